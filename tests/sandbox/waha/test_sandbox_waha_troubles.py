"""What happens to sessions by fate: deafness, starts that come to nothing, thousands of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.waha import Control

if TYPE_CHECKING:
    from tests.sandbox.waha.conftest import Make, Rig


async def test_a_deaf_session_posts_nothing_and_remembers_everything_until_it_is_restarted(rig: Rig) -> None:
    await rig.pair()
    rig.waha.deafen("acme")

    await rig.carla.write("Hello?", to=rig.shop)
    overview = await rig.call("GET", "/api/acme/chats/overview")
    told_while_deaf = rig.hooks.events("message.any")
    await rig.call("POST", "/api/sessions/acme/restart")
    await rig.reaches("WORKING")
    await rig.carla.write("Anybody?", to=rig.shop)

    [heard] = await rig.until(lambda: rig.hooks.events("message.any"))
    assert (told_while_deaf, overview.body[0]["lastMessage"]["body"]) == ([], "Hello?")
    assert heard["payload"]["body"] == "Anybody?"
    assert rig.hooks.statuses()[-3:] == ["STOPPED", "STARTING", "WORKING"]


async def test_a_lost_connection_does_not_cure_deafness(rig: Rig) -> None:
    await rig.pair()
    rig.waha.deafen("acme")

    rig.waha.lose_connection("acme")
    await rig.reaches("WORKING")
    await rig.carla.write("Hello?", to=rig.shop)

    assert [fault.kind for fault in rig.waha.webhook_faults.switched_on] == ["deaf"]
    assert rig.hooks.events("message.any") == []


async def test_a_session_with_a_dead_socket_says_working_and_can_do_nothing(rig: Rig) -> None:
    await rig.pair()
    rig.waha.lose_hearing("acme")

    await rig.carla.write("Hello?", to=rig.shop)
    sent = await rig.send("Here!")
    info = await rig.call("GET", "/api/sessions/acme")
    overview = await rig.call("GET", "/api/acme/chats/overview")
    await rig.call("POST", "/api/sessions/acme/restart")

    await rig.until(lambda: rig.hooks.events("message.any"))
    assert (sent.status, sent.body["exception"]["details"]) == (500, "websocket not connected")
    assert (info.body["status"], overview.body) == ("WORKING", [])
    assert rig.carla.chat_with(rig.shop)[0].text == "Hello?"


async def test_a_start_that_hangs_is_over_with_the_next_one(rig: Rig) -> None:
    await rig.pair()
    rig.waha.starts.hang(session="acme", times=1)

    await rig.call("POST", "/api/sessions/acme/restart")
    send = await rig.send("Hi")
    await rig.call("POST", "/api/sessions/acme/restart")

    await rig.reaches("WORKING")
    assert (send.status, send.body["status"]) == (422, "STARTING")


@pytest.mark.parametrize(
    ("engine", "then"),
    [("GOWS", ["STARTING", "FAILED"]), ("WEBJS", ["STARTING", "FAILED", "STARTING", "WORKING"])],
)
async def test_a_start_fails_and_one_engine_tries_again_by_itself(make_rig: Make, engine: str, then: list[str]) -> None:
    rig = await make_rig(engine=engine)
    await rig.pair()
    rig.waha.starts.fail(times=1)

    await rig.call("POST", "/api/sessions/acme/restart")

    await rig.until(lambda: rig.hooks.statuses()[-len(then) :] == then)


async def test_a_session_starts_and_works_in_turns(rig: Rig) -> None:
    await rig.pair()
    rig.waha.starts.drop(times=2)

    await rig.call("POST", "/api/sessions/acme/restart")

    turns = ["STARTING", "WORKING"] * 3
    await rig.until(lambda: rig.hooks.statuses()[-6:] == turns)


async def test_thousands_of_sessions_are_listed_in_no_time(rig: Rig) -> None:
    names = rig.waha.add_idle_sessions(2000)
    first = await rig.call("GET", "/api/sessions?all=true")

    started = time.perf_counter()
    again = await rig.call("GET", "/api/sessions?all=true")
    seconds = time.perf_counter() - started

    assert [session["name"] for session in first.body] == names
    assert {session["status"] for session in first.body} == {"WORKING"}
    assert again.body == first.body
    assert rig.hooks.posts == []
    # With a margin of ten for a machine that is busy.
    assert seconds < 1


async def test_the_status_of_many_changes_at_once_told_or_not(rig: Rig) -> None:
    config = rig.config("session.status") | {"metadata": {"tenant.id": "acme"}}
    names = rig.waha.add_idle_sessions({f"one-{number}": config for number in range(20)})

    rig.waha.set_status(names[:5], "STOPPED", told=False)
    rig.waha.set_status(names[5:10], "FAILED")

    await rig.until(lambda: len(rig.hooks.posts) == 5)
    listed = await rig.call("GET", "/api/sessions?all=true")
    assert [row["status"] for row in listed.body] == ["STOPPED"] * 5 + ["FAILED"] * 5 + ["WORKING"] * 10
    assert {event["session"] for event in rig.hooks.events("session.status")} == set(names[5:10])
    assert listed.body[0]["config"]["metadata"] == {"tenant.id": "acme"}


async def test_an_idle_session_is_one_as_all_others(rig: Rig) -> None:
    [name] = rig.waha.add_idle_sessions({"quiet": rig.config()})
    account = rig.waha.sessions.known(name).account

    await rig.carla.write("Hello", to=account)
    sent = await rig.call("POST", "/api/sendText", {"session": name, "chatId": "4915123456789@c.us", "text": "Hi"})
    await rig.call("POST", f"/api/sessions/{name}/restart")

    await rig.reaches("WORKING", name)
    await rig.until(lambda: len(rig.hooks.events("message.any")) == 2)
    assert sent.status == 201


async def test_another_process_plays_fate_too(rig: Rig) -> None:
    await rig.pair()
    async with Control(rig.waha) as control:

        async def ask(path: str, body: dict[str, Any]) -> int:
            async with rig.http.post(control.url + path, json=body) as answer:
                return answer.status

        statuses = [
            await ask("/faults/starts", {"kind": "fail", "session": "acme"}),
            await ask("/sessions/acme/deafen", {}),
            await ask("/sessions/acme/fail", {}),
            await ask("/sessions/nosuch/fail", {}),
        ]

    [deaf] = rig.waha.webhook_faults.switched_on
    [fails] = rig.waha.starts.switched_on
    assert statuses == [201, 200, 200, 400]
    assert (deaf.kind, fails.kind, rig.waha.sessions.known("acme").status) == ("deaf", "fail", "FAILED")
