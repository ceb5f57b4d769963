"""The control server, driven as a command line in another process would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from sandbox.waha import Control

if TYPE_CHECKING:
    from tests.sandbox.waha.conftest import Rig

Ask = Callable[..., Awaitable[tuple[int, Any]]]
CARLA = "+4915123456789"


@pytest.fixture
async def ask(rig: Rig) -> AsyncIterator[Ask]:
    async with Control(rig.waha) as control:

        async def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
            async with rig.http.request(method, control.url + path, json=body) as response:
                return response.status, await response.json()

        yield ask


async def test_a_code_is_scanned_by_value_or_by_session(rig: Rig, ask: Ask) -> None:
    await rig.create("acme")
    await rig.create("other")
    qr = await rig.call("GET", "/api/acme/auth/qr?format=raw")
    await rig.reaches("SCAN_QR_CODE", "other")

    by_value = await ask("POST", "/phones/+4930123456/scan", {"qr": qr.body["value"]})
    by_session = await ask("POST", "/phones/+4930777777/scan", {"session": "other"})

    assert (by_value[0], by_session[0]) == (201, 201)
    await rig.reaches("WORKING", "acme")
    await rig.reaches("WORKING", "other")


async def test_a_phone_writes_to_the_only_linked_account(rig: Rig, ask: Ask) -> None:
    await rig.pair()

    status, body = await ask("POST", f"/phones/{CARLA}/write", {"text": "Hi"})

    assert (status, body["to"]) == (201, "+4930123456")
    await rig.until(lambda: rig.hooks.events("message"))


async def test_a_phone_shows_its_chats(rig: Rig, ask: Ask) -> None:
    await rig.pair()
    await ask("POST", f"/phones/{CARLA}/write", {"text": "Hi"})
    await rig.send("Hello Carla")

    _, phone = await ask("GET", f"/phones/{CARLA}")

    [chat] = phone["chats"].values()
    assert [(shown["direction"], shown["text"], shown["copies"]) for shown in chat] == [
        ("out", "Hi", 1),
        ("in", "Hello Carla", 1),
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("/phones/+491/write", {"text": "Hi"}, 400, "Say to whom: 0 accounts are linked to WAHA."),
        ("/phones/+491/write", {}, 400, "Say what to write"),
        ("/phones/+491/write", [], 400, "The body has to be a JSON object."),
        ("/phones/+491/scan", {"qr": "2@old"}, 400, "This code is not shown by any device now."),
        ("/phones/+491/scan", {}, 400, "Say which code to scan"),
        ("/phones/+491/read", {}, 404, "There is no phone with the number +491."),
        ("/sessions/nosuch/disconnect", {}, 400, "Session not found"),
        ("/phones/+491/write", {"text": "Hi", "at": "now"}, 400, "Say when with a time zone"),
        ("/faults/requests", {"kind": "sulk"}, 400, 'Say which kind: {"kind": "…"} is one of delay, answer, fail,'),
        ("/faults/webhooks", {"kind": "late", "path": "*"}, 400, "There is no path; there are by, event, kind,"),
        ("/nosuch", {}, 404, "POST /nosuch: Not Found."),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(
    ask: Ask, path: str, body: Any, status: int, sentence: str
) -> None:
    answer = await ask("POST", path, body)

    assert answer[0] == status
    assert answer[1]["error"].startswith(sentence)


async def test_the_server_goes_down_and_up_while_control_stays(rig: Rig, ask: Ask) -> None:
    _, down = await ask("POST", "/down")
    was_up = rig.waha.is_up
    _, up = await ask("POST", "/up")

    assert (down["up"], was_up, up["up"]) == (False, False, True)


async def test_answers_are_held_and_released(rig: Rig, ask: Ask) -> None:
    await rig.pair()
    await ask("POST", "/hold", {"path": "/api/sendText"})
    body = {"session": "acme", "chatId": CARLA[1:], "text": "Hi"}
    with pytest.raises(TimeoutError):
        await rig.call("POST", "/api/sendText", body, timeout=aiohttp.ClientTimeout(total=0.1))

    await ask("POST", "/release")

    assert len(rig.carla.chat_with(rig.shop)) == 1
    assert (await rig.send("again")).status == 201


async def test_sessions_and_journal_can_be_looked_at(rig: Rig, ask: Ask) -> None:
    await rig.pair()

    _, sessions = await ask("GET", "/sessions")
    _, journal = await ask("GET", "/journal")

    assert [(session["name"], session["status"]) for session in sessions] == [("acme", "WORKING")]
    assert journal["requests"][0]["path"] == "/api/sessions"
    assert journal["webhooks"][0]["event"]["event"] == "session.status"


async def test_faults_are_switched_on_listed_and_healed(rig: Rig, ask: Ask) -> None:
    await rig.pair()
    await ask("POST", "/faults/requests", {"kind": "answer", "path": "/api/send*", "status": 503, "times": 2})
    await ask("POST", "/faults/webhooks", {"kind": "late", "seconds": [0.01, 0.02], "probability": 0.5, "seed": 4})
    status, receipt = await ask("POST", "/faults/receipts", {"kind": "unsent"})

    refused = await rig.send("Hi")
    _, listed = await ask("GET", "/faults")
    _, healed = await ask("DELETE", "/faults")

    assert (status, receipt["kind"], receipt["hits"]) == (201, "unsent", 0)
    assert refused.status == 503
    assert {kind: len(faults) for kind, faults in listed.items()} == {
        "requests": 1,
        "webhooks": 1,
        "receipts": 1,
        "starts": 0,
    }
    assert listed["requests"][0]["hits"] == 1
    assert healed == {"requests": [], "webhooks": [], "receipts": [], "starts": []}
    assert (await rig.send("Hi")).status == 201


async def test_a_message_of_long_ago_is_only_in_the_history_after_a_restart(rig: Rig, ask: Ask) -> None:
    await rig.pair()
    rig.hooks.silent = True
    old = {"text": "Hello?", "at": "2026-01-01T12:00:00+00:00"}
    await ask("POST", f"/phones/{CARLA}/write", old)
    await rig.until(lambda: rig.hooks.events("message.any"))

    await ask("POST", "/restart")
    rig.hooks.silent = False
    await rig.reaches("WORKING")

    [row] = (await rig.call("GET", "/api/acme/chats/all/messages?filter.timestamp.lte=1767268800")).body
    assert (row["body"], row["timestamp"]) == ("Hello?", 1767268800)
    assert len(rig.hooks.events("message.any")) == 1
