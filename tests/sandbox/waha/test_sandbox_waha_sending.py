from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from sandbox.whatsapp import Ack, Shown

if TYPE_CHECKING:
    from tests.sandbox.waha.conftest import Make, Rig

CARLA = "4915123456789@c.us"
OWN_ID = "3EB0AAAAAAAAAAAAAAAAAA"


def screen(rig: Rig) -> list[Shown]:
    """What Carla sees of her conversation with the shop."""
    return rig.carla.chat_with(rig.shop)


async def test_a_text_reaches_the_phone(rig: Rig) -> None:
    await rig.pair()

    answer = await rig.send("Your order is ready")

    [shown] = screen(rig)
    assert answer.status == 201
    assert (shown.text, shown.direction, shown.copies) == ("Your order is ready", "in", 1)


async def test_gows_answers_with_the_id_and_the_raw_message_only(rig: Rig) -> None:
    await rig.pair()

    answer = await rig.send("Hi")

    [shown] = screen(rig)
    assert set(answer.body) == {"id", "_data"}
    assert answer.body["id"] == f"true_{CARLA}_{shown.id}"
    info = answer.body["_data"]["Info"]
    assert (info["ID"], info["Chat"], info["IsFromMe"]) == (shown.id, "4915123456789@s.whatsapp.net", True)


async def test_gows_says_delivered_and_read_but_never_server(rig: Rig) -> None:
    await rig.pair()
    await rig.send("Hi")

    await rig.carla.read(rig.shop)

    await rig.until(lambda: len(rig.hooks.events("message.ack")) == 2)
    acks = rig.hooks.events("message.ack")
    [shown] = screen(rig)
    assert {(event["payload"]["ack"], event["payload"]["ackName"]) for event in acks} == {(2, "DEVICE"), (3, "READ")}
    assert {event["payload"]["id"] for event in acks} == {f"true_{CARLA}_{shown.id}"}
    assert {event["payload"]["from"] for event in acks} == {CARLA}


async def test_noweb_says_server_first(make_rig: Make) -> None:
    rig = await make_rig(engine="NOWEB")
    await rig.pair()

    await rig.send("Hi")

    await rig.until(lambda: len(rig.hooks.events("message.ack")) == 2)
    assert {event["payload"]["ack"] for event in rig.hooks.events("message.ack")} == {1, 2}


async def test_a_phone_that_is_off_acknowledges_later(rig: Rig) -> None:
    await rig.pair()
    rig.carla.switch_off()
    await rig.send("Hi")
    before = list(screen(rig))

    rig.carla.switch_on()

    assert before == []
    assert [shown.text for shown in screen(rig)] == ["Hi"]
    await rig.until(lambda: rig.hooks.events("message.ack"))


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB"])
async def test_an_own_send_is_posted_as_message_any_and_not_as_message(make_rig: Make, engine: str) -> None:
    rig = await make_rig(engine=engine)
    await rig.pair()

    await rig.send("Hi", id=OWN_ID)

    [event] = await rig.until(lambda: rig.hooks.events("message.any"))
    payload = event["payload"]
    assert (payload["id"], payload["fromMe"], payload["source"]) == (f"true_{CARLA}_{OWN_ID}", True, "api")
    assert payload["from"] == CARLA
    assert payload["ack"] == (1 if engine == "GOWS" else 0)
    assert rig.hooks.events("message") == []


async def test_what_the_shop_writes_on_its_phone_is_marked_as_app(rig: Rig) -> None:
    await rig.pair()

    await rig.shop.write("From my phone", to=rig.carla)

    [event] = await rig.until(lambda: rig.hooks.events("message.any"))
    assert (event["payload"]["fromMe"], event["payload"]["source"]) == (True, "app")


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB"])
async def test_the_same_id_twice_is_shown_twice(make_rig: Make, engine: str) -> None:
    rig = await make_rig(engine=engine)
    await rig.pair()

    answers = [await rig.send("Hi", id=OWN_ID) for _ in range(2)]

    assert [answer.status for answer in answers] == [201, 201]
    assert [(shown.id, shown.copies) for shown in screen(rig)] == [(OWN_ID, 2)] * 2


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB"])
async def test_an_old_server_ignores_the_id(make_rig: Make, engine: str) -> None:
    rig = await make_rig(engine=engine, version="2026.4.2")
    await rig.pair()

    await rig.send("Hi", id=OWN_ID)
    new_id = await rig.call("GET", "/api/acme/new-message-id")

    [shown] = screen(rig)
    assert shown.id != OWN_ID
    assert new_id.status == 404


async def test_a_new_id_has_the_usual_form(rig: Rig) -> None:
    await rig.pair()

    answer = await rig.call("GET", "/api/acme/new-message-id")

    assert answer.body["id"].startswith("3EB0")
    assert len(answer.body["id"]) == 22


async def test_a_reply_quotes(rig: Rig) -> None:
    await rig.pair()
    question = await rig.carla.write("Open today?", to=rig.shop)

    await rig.send("Until six", reply_to=f"false_{CARLA}_{question.id}")
    await rig.send("Really", reply_to="garbage")

    _, quoting, plain = screen(rig)
    assert quoting.message.quoted == question
    assert plain.message.quoted is None
    events = await rig.until(lambda: len(rig.hooks.events("message.any")) == 3 and rig.hooks.events("message.any"))
    [reply] = [event["payload"] for event in events if event["payload"]["body"] == "Until six"]
    assert (reply["replyTo"]["id"], reply["replyTo"]["body"]) == (question.id, "Open today?")


async def test_a_send_on_a_stopped_session_waits_and_is_refused(rig: Rig) -> None:
    await rig.call("POST", "/api/sessions", {"name": "acme"})

    answer = await rig.send("Hi")

    assert answer.seconds >= 5 * rig.waha.environment.pace
    assert (answer.status, answer.body["status"], answer.body["expected"]) == (422, "STOPPED", ["WORKING"])
    assert "statusCode" not in answer.body


async def test_a_send_on_a_session_that_is_not_working_waits_longer(rig: Rig) -> None:
    await rig.create()
    await rig.reaches("SCAN_QR_CODE")

    answer = await rig.send("Hi")

    assert answer.seconds >= 10 * rig.waha.environment.pace
    assert (answer.status, answer.body["status"]) == (422, "SCAN_QR_CODE")


async def test_a_send_waits_for_a_reconnect(rig: Rig) -> None:
    await rig.pair()
    rig.waha.lose_connection("acme")

    answer = await rig.send("Hi")

    assert answer.status == 201
    assert len(screen(rig)) == 1


async def test_a_send_names_its_session(rig: Rig) -> None:
    nameless = await rig.call("POST", "/api/sendText", {"chatId": CARLA, "text": "Hi"})
    unknown = await rig.send("Hi", session="nosuch")

    assert nameless.body == {"message": "Session name is required", "error": "Bad Request", "statusCode": 400}
    assert (unknown.status, unknown.body) == (
        422,
        {"error": 'Session "nosuch" does not exist', "session": "nosuch"},
    )


@pytest.mark.parametrize("missing", ["chatId", "text"])
async def test_a_malformed_send_is_a_500_that_repeats_the_request(rig: Rig, missing: str) -> None:
    await rig.pair()
    body = {"session": "acme", "chatId": CARLA, "text": "secret"}
    del body[missing]

    answer = await rig.call("POST", "/api/sendText", body)

    assert answer.status == 500
    assert answer.body["exception"]["name"] == "TypeError"
    assert answer.body["request"] == {"path": "/api/sendText", "method": "POST", "body": body, "query": {}}
    assert answer.body["version"]["engine"] == "GOWS"


async def test_broken_json_is_a_400(rig: Rig) -> None:
    answer = await rig.call("POST", "/api/sendText", data=b"{", json=None)

    assert (answer.status, answer.body["error"]) == (400, "Bad Request")


async def test_gows_fails_when_a_restricted_account_starts_a_chat_but_not_in_a_known_one(rig: Rig) -> None:
    await rig.pair()
    rig.shop.restricted = True

    refused = await rig.send("Hi")
    await rig.carla.write("Hello?", to=rig.shop)
    answered = await rig.send("Hi")

    assert refused.status == 500
    assert refused.body["exception"]["details"] == "server returned error 463"
    assert refused.body["exception"]["code"] == 2
    assert answered.status == 201
    assert [shown.text for shown in screen(rig)] == ["Hello?", "Hi"]


@pytest.mark.parametrize(("version", "explained"), [("2026.7.1", False), ("2026.7.2", True)])
async def test_noweb_says_yes_and_then_error(make_rig: Make, version: str, *, explained: bool) -> None:
    rig = await make_rig(engine="NOWEB", version=version)
    await rig.pair()
    rig.shop.restricted = True

    answer = await rig.send("Hi")

    [ack] = await rig.until(lambda: rig.hooks.events("message.ack"))
    assert answer.status == 201
    assert (ack["payload"]["ack"], ack["payload"]["ackName"]) == (-1, "ERROR")
    assert ack["payload"].get("error", {}).get("code") == ("463" if explained else None)
    assert screen(rig) == []


async def test_a_message_to_a_hidden_id_arrives(rig: Rig) -> None:
    await rig.pair()

    answer = await rig.send("Hi", chatId=f"{rig.carla.lid}@lid")

    [shown] = screen(rig)
    assert answer.body["id"] == f"true_{rig.carla.lid}@lid_{shown.id}"


async def test_a_number_with_a_plus_reaches_nobody(rig: Rig) -> None:
    await rig.pair()

    answer = await rig.send("Hi", chatId="+4915123456789@c.us")

    assert answer.status == 201
    assert screen(rig) == []


async def test_a_reaction_an_edit_and_a_deletion_show_on_the_phone_and_as_events(rig: Rig) -> None:
    await rig.pair()
    question = await rig.carla.write("Open today?", to=rig.shop)
    reply = (await rig.send("Yes")).body["id"]
    path = f"/api/acme/chats/4915123456789%40c.us/messages/{reply.replace('@', '%40')}"

    reaction = {"session": "acme", "messageId": f"false_{CARLA}_{question.id}", "reaction": "👍"}
    reacted = await rig.call("PUT", "/api/reaction", reaction)
    edited = await rig.call("PUT", path, {"text": "Yes, until six"})
    revoked = await rig.call("DELETE", path)

    first, second = screen(rig)
    assert [answer.status for answer in (reacted, edited, revoked)] == [200, 200, 200]
    assert first.reactions == {rig.shop.number: "👍"}
    assert (second.text, second.edited, second.revoked) == ("Yes, until six", True, True)
    [edit] = await rig.until(lambda: rig.hooks.events("message.edited"))
    [revocation] = await rig.until(lambda: rig.hooks.events("message.revoked"))
    assert (edit["payload"]["editedMessageId"], edit["payload"]["body"]) == (second.id, "Yes, until six")
    assert revocation["payload"]["revokedMessageId"] == second.id


async def test_seen_reaches_the_customer(rig: Rig) -> None:
    await rig.pair()
    question = await rig.carla.write("Open today?", to=rig.shop)

    answer = await rig.call("POST", "/api/sendSeen", {"session": "acme", "chatId": CARLA})

    [shown] = screen(rig)
    assert (answer.status, answer.body) == (201, {"ids": [f"false_{CARLA}_{question.id}"]})
    assert shown.ack is Ack.READ


@pytest.mark.parametrize(("engine", "status"), [("GOWS", 501), ("NOWEB", 201), ("WEBJS", 201)])
async def test_forwarding_is_not_for_every_engine(make_rig: Make, engine: str, status: int) -> None:
    rig = await make_rig(engine=engine)
    await rig.pair()
    message = await rig.carla.write("Pass this on", to=rig.shop)
    dora = rig.whatsapp.phone("+4916099999999", name="Dora")
    body = {"session": "acme", "chatId": "4916099999999@c.us", "messageId": f"false_{CARLA}_{message.id}"}

    answer = await rig.call("POST", "/api/forwardMessage", body)

    assert answer.status == status
    assert [shown.text for shown in dora.chat_with(rig.shop)] == ([] if engine == "GOWS" else ["Pass this on"])
    assert answer.body.get("error") == ("Not Implemented" if engine == "GOWS" else None)


async def test_typing_is_accepted(rig: Rig) -> None:
    await rig.pair()

    answer = await rig.call("POST", "/api/startTyping", {"session": "acme", "chatId": CARLA})

    assert (answer.status, answer.body) == (201, {"result": True})


async def test_a_file_arrives_with_its_caption(rig: Rig) -> None:
    await rig.pair()
    file = {"mimetype": "image/png", "filename": "a.png", "data": base64.b64encode(b"pixels").decode()}

    answer = await rig.call(
        "POST", "/api/sendImage", {"session": "acme", "chatId": CARLA, "file": file, "caption": "Look"}
    )

    [shown] = screen(rig)
    assert answer.status == 201
    assert shown.text == "Look"
    assert shown.message.media is not None
    assert shown.message.media.data == b"pixels"


async def test_a_held_answer_comes_only_after_the_release_though_the_message_arrived(rig: Rig) -> None:
    await rig.pair()

    with rig.waha.hold_answers("/api/sendText") as hold:
        call = asyncio.create_task(rig.send("Hi", id=OWN_ID))
        await rig.until(lambda: hold.held == 1)
        shown_while_held, done_while_held = len(screen(rig)), call.done()

    answer = await call
    assert (shown_while_held, done_while_held) == (1, False)
    assert answer.status == 201


async def test_a_scripted_answer_is_given_as_often_as_asked(rig: Rig) -> None:
    await rig.pair()
    rig.waha.answer("/api/sendText", status=503, body={"oh": "no"}, times=2, headers={"Retry-After": "1"})

    answers: list[Any] = [await rig.send("Hi") for _ in range(3)]

    assert [answer.status for answer in answers] == [503, 503, 201]
    assert answers[0].headers["Retry-After"] == "1"
    assert len(screen(rig)) == 1


async def test_a_scripted_failure_may_hide_a_success(rig: Rig) -> None:
    await rig.pair()
    rig.waha.answer("/api/send*", status=500, times=1, carried_out=True)

    answer = await rig.send("Hi")

    assert answer.status == 500
    assert len(screen(rig)) == 1


@pytest.mark.parametrize("carried_out", [True, False])
async def test_a_call_that_is_hung_up_on_gets_no_answer(rig: Rig, *, carried_out: bool) -> None:
    await rig.pair()
    rig.waha.hang_up("/api/sendText", times=1, carried_out=carried_out)

    with pytest.raises(aiohttp.ClientConnectionError):
        await rig.send("Hi")

    assert len(screen(rig)) == int(carried_out)
    assert rig.waha.journal.requests_to("/api/sendText")[0].status is None


async def test_a_refused_key_is_accepted_again(rig: Rig) -> None:
    rig.waha.refuse_key()
    refused = await rig.call("GET", "/api/sessions")

    rig.waha.accept_key()

    assert refused.status == 401
    assert (await rig.call("GET", "/api/sessions")).status == 200
