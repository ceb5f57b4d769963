from __future__ import annotations

import asyncio
import base64
import io
from typing import TYPE_CHECKING, Any

import pytest
import zxingcpp
from PIL import Image

from sandbox.whatsapp import PhoneError

if TYPE_CHECKING:
    from tests.sandbox.waha.conftest import Make, Rig


def decoded(png: bytes) -> str:
    [code] = zxingcpp.read_barcodes(Image.open(io.BytesIO(png)))
    return str(code.text)


async def test_a_call_without_the_key_is_refused(rig: Rig) -> None:
    missing = await rig.call("GET", "/api/sessions", headers={})
    wrong = await rig.call("GET", "/health", headers={"X-Api-Key": "wrong"})
    unknown_route = await rig.call("GET", "/api/nosuchroute", headers={"X-Api-Key": "wrong"})

    assert {missing.status, wrong.status, unknown_route.status} == {401}
    assert missing.body == {"message": "Unauthorized", "statusCode": 401}


async def test_a_ping_needs_no_key(rig: Rig) -> None:
    answer = await rig.call("GET", "/ping", headers={})

    assert (answer.status, answer.body) == (200, {"message": "pong"})


async def test_a_key_of_a_session_reaches_no_other(rig: Rig) -> None:
    await rig.create("acme")
    await rig.create("other")
    rig.waha.keys.add("acme-key", session="acme")
    with_key = {"headers": {"X-Api-Key": "acme-key"}}

    own = await rig.call("GET", "/api/sessions/acme", **with_key)
    other = await rig.call("GET", "/api/sessions/other", **with_key)
    listed = await rig.call("GET", "/api/sessions", **with_key)
    sent = await rig.call("POST", "/api/sendText", {"session": "other", "chatId": "1", "text": "x"}, **with_key)

    assert own.status == 200
    assert (other.status, other.body) == (403, {"message": "Forbidden", "statusCode": 403})
    assert [session["name"] for session in listed.body] == ["acme"]
    assert sent.status == 403


async def test_an_unknown_route_is_named_in_the_answer(rig: Rig) -> None:
    answer = await rig.call("PATCH", "/api/sessions/default")

    assert answer.status == 404
    assert answer.body == {"message": "Cannot PATCH /api/sessions/default", "error": "Not Found", "statusCode": 404}


async def test_a_session_exists_once(rig: Rig) -> None:
    first = await rig.create("acme")
    second = await rig.create("acme")

    assert (first.status, first.body["status"]) == (201, "STARTING")
    assert second.status == 422
    assert second.body == {
        "message": "Session 'acme' already exists. Use PUT to update it.",
        "error": "Unprocessable Entity",
        "statusCode": 422,
    }


async def test_a_session_created_without_start_stays_stopped(rig: Rig) -> None:
    await rig.call("POST", "/api/sessions", {"name": "quiet"})

    running = await rig.call("GET", "/api/sessions")
    everything = await rig.call("GET", "/api/sessions?all=true")
    misspelt = await rig.call("GET", "/api/sessions?all=banana")

    assert running.body == []
    assert [(session["name"], session["status"]) for session in everything.body] == [("quiet", "STOPPED")]
    assert "engine" not in everything.body[0]
    assert misspelt.body["message"] == ["all must be a boolean value"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": "a b"}, "Session name can only contain"),
        ({"name": "x" * 55}, "name must be shorter than or equal to 54 characters"),
        ({"name": "x", "start": "yes"}, "start must be a boolean value"),
        ({"name": "x", "config": {"metadata": {"a": 1}}}, "config.metadata accepts string key-value pairs only"),
        ({"name": "x", "config": {"webhooks": [{"url": "no url"}]}}, "config.webhooks.0.url must be a URL address"),
    ],
)
async def test_a_faulty_session_is_refused_with_a_list(rig: Rig, body: dict[str, Any], message: str) -> None:
    answer = await rig.call("POST", "/api/sessions", body)

    assert answer.status == 400
    assert answer.body["error"] == "Bad Request"
    assert answer.body["message"][0].startswith(message)


async def test_an_old_server_refuses_an_event_that_it_does_not_know(make_rig: Make) -> None:
    body = {"name": "x", "config": {"webhooks": [{"url": "http://localhost/", "events": ["nope"]}]}}
    old, new = await make_rig(version="2026.2.1", engine="NOWEB"), await make_rig()

    refused, taken = await old.call("POST", "/api/sessions", body), await new.call("POST", "/api/sessions", body)

    assert refused.body["message"][0].startswith("config.webhooks.0.each value in events must be one of")
    assert taken.status == 201


async def test_an_old_server_says_nothing_about_a_session_that_it_did_not_start(make_rig: Make) -> None:
    rig = await make_rig(version="2026.2.1", engine="NOWEB")

    answer = await rig.call("POST", "/api/sessions", {"name": "x", "start": False})

    assert (answer.status, answer.body) == (201, b"")


async def test_start_and_stop_are_idempotent(rig: Rig) -> None:
    await rig.create("acme")

    again = await rig.call("POST", "/api/sessions/acme/start")
    stopped = [await rig.call("POST", "/api/sessions/acme/stop") for _ in range(2)]
    unknown_stop = await rig.call("POST", "/api/sessions/nosuch/stop")
    unknown_start = await rig.call("POST", "/api/sessions/nosuch/start")

    assert (again.status, again.body["name"]) == (201, "acme")
    assert [(answer.status, answer.body["status"]) for answer in stopped] == [(201, "STOPPED")] * 2
    assert (unknown_stop.status, unknown_stop.body) == (201, b"")
    assert unknown_start.body == {"message": "Session not found", "error": "Not Found", "statusCode": 404}


async def test_deleting_twice_succeeds_twice(rig: Rig) -> None:
    await rig.pair()

    answers = [await rig.call("DELETE", "/api/sessions/acme") for _ in range(2)]

    assert [(answer.status, answer.body) for answer in answers] == [(200, b"")] * 2
    assert rig.shop.devices == []


async def test_an_update_replaces_the_configuration_and_restarts(rig: Rig) -> None:
    await rig.pair(metadata={"tenant": "1"})

    answer = await rig.call("PUT", "/api/sessions/acme", {"config": rig.config()})

    await rig.reaches("WORKING")
    assert (answer.status, answer.body["config"]) == (200, rig.config())
    await rig.until(lambda: rig.hooks.statuses()[-3:] == ["STOPPED", "STARTING", "WORKING"])


async def test_a_qr_code_can_be_scanned_in_all_three_forms(rig: Rig) -> None:
    await rig.create("acme")

    raw = await rig.call("GET", "/api/acme/auth/qr?format=raw")
    key = {"X-Api-Key": rig.waha.api_key}
    as_json = await rig.call("GET", "/api/acme/auth/qr", headers=key | {"Accept": "application/json"})
    as_png = await rig.call("GET", "/api/acme/auth/qr", headers=key | {"Accept": "application/json, */*"})

    assert raw.body["value"].startswith("2@")
    assert decoded(base64.b64decode(as_json.body["data"])) == raw.body["value"]
    assert as_png.headers["Content-Type"] == "image/png"
    assert decoded(as_png.body) == raw.body["value"]


async def test_a_qr_code_that_is_not_shown_is_refused_after_a_wait(rig: Rig) -> None:
    await rig.call("POST", "/api/sessions", {"name": "acme"})

    answer = await rig.call("GET", "/api/acme/auth/qr")

    assert answer.status == 422
    assert answer.seconds >= 5 * rig.waha.environment.pace
    assert answer.body == {
        "error": "Session status is not as expected. Try again later or restart the session",
        "session": "acme",
        "status": "STOPPED",
        "expected": ["SCAN_QR_CODE"],
    }


async def test_nobody_scans_six_codes_and_the_session_fails(make_rig: Make) -> None:
    rig = await make_rig(pace=0.001)
    await rig.create("acme")

    await rig.reaches("FAILED")

    await rig.until(lambda: rig.hooks.statuses() == ["STARTING", *["SCAN_QR_CODE"] * 6, "FAILED"])
    listed = await rig.call("GET", "/api/sessions")
    assert [session["status"] for session in listed.body] == ["FAILED"]


async def test_an_old_code_cannot_be_scanned(make_rig: Make) -> None:
    rig = await make_rig(pace=0.001)
    await rig.create("acme")
    await rig.reaches("SCAN_QR_CODE")
    value = rig.waha.sessions.known("acme").qr_value
    await rig.reaches("FAILED")

    with pytest.raises(PhoneError, match="replaced by a newer one"):
        await rig.shop.scan(value or "")


async def test_scanning_makes_the_session_work(rig: Rig) -> None:
    await rig.create()
    qr = await rig.call("GET", "/api/acme/auth/qr?format=raw")
    await rig.shop.scan(qr.body["value"])
    await rig.reaches("WORKING")

    info = await rig.call("GET", "/api/sessions/acme")
    me = await rig.call("GET", "/api/sessions/acme/me")

    assert info.body["status"] == "WORKING"
    assert info.body["engine"]["engine"] == "GOWS"
    assert me.body == info.body["me"]
    assert me.body["id"] == "4930123456@c.us"
    assert me.body["pushName"] == "Shop"


async def test_a_pairing_code_works_too(make_rig: Make) -> None:
    # Codes that live long enough for a machine that has other things to do.
    rig = await make_rig(pace=0.2)
    await rig.create("acme")
    early = await rig.call("POST", "/api/acme/auth/request-code", {"phoneNumber": "4930123456"})
    await rig.reaches("SCAN_QR_CODE")

    answer = await rig.call("POST", "/api/acme/auth/request-code", {"phoneNumber": "4930123456"})
    await rig.shop.enter_code(answer.body["code"])

    await rig.reaches("WORKING")
    assert early.body["message"].endswith("The current status is STARTING")
    assert answer.status == 201


async def test_noweb_starts_once_more_after_the_scan(make_rig: Make) -> None:
    rig = await make_rig(engine="NOWEB")

    await rig.pair()

    await rig.until(lambda: rig.hooks.statuses() == ["STARTING", "SCAN_QR_CODE", "STARTING", "WORKING"])


async def test_me_is_unknown_before_the_scan_and_refused_while_stopped(rig: Rig) -> None:
    await rig.create("acme")

    starting = await rig.call("GET", "/api/sessions/acme/me")
    await rig.call("POST", "/api/sessions/acme/stop")
    stopped = await rig.call("GET", "/api/sessions/acme/me")

    assert (starting.status, starting.body) == (200, b"")
    assert stopped.status == 404
    assert stopped.body["message"].startswith("We didn't find a session with name 'acme'.\nPlease start it first")


async def test_a_lost_connection_comes_back_by_itself(rig: Rig) -> None:
    await rig.pair()

    rig.waha.lose_connection("acme")
    await rig.carla.write("Are you there?", to=rig.shop)

    await rig.until(lambda: rig.hooks.statuses()[-2:] == ["STARTING", "WORKING"])
    await rig.until(lambda: rig.hooks.events("message"))


async def test_unlinking_on_the_phone_fails_the_session_and_asks_for_a_new_scan(rig: Rig) -> None:
    await rig.pair()

    await rig.shop.unlink_devices()
    failed = rig.waha.sessions.known("acme").status.value
    await rig.call("POST", "/api/sessions/acme/restart")

    assert failed == "FAILED"
    await rig.reaches("SCAN_QR_CODE")


async def test_a_logout_keeps_the_configuration_and_shows_a_code(rig: Rig) -> None:
    await rig.pair()

    answer = await rig.call("POST", "/api/sessions/acme/logout")

    assert (answer.status, answer.body["me"]) == (201, None)
    assert answer.body["config"] == rig.config()
    await rig.reaches("SCAN_QR_CODE")


async def test_changes_to_one_session_wait_for_each_other_and_then_fail(make_rig: Make) -> None:
    rig = await make_rig(engine="NOWEB", pace=0.05)
    await rig.pair()

    answers = await asyncio.gather(*(rig.call("POST", "/api/sessions/acme/restart") for _ in range(8)))

    refused = [answer for answer in answers if answer.status == 500]
    assert refused
    assert refused[0].body["exception"]["message"] == "async-lock timed out in queue acme"
