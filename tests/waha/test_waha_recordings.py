"""Every answer and every signed webhook that a real WAHA 2026.2.1 (NOWEB) gave, through the client and the parser."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from waha import webhooks
from waha.client import WahaClient
from waha.errors import WahaError
from waha.events import AckEvent, MessageEvent, SessionStatusEvent

KEY = "my-hmac-key"
CHAT = "79991234567@c.us"

Call = Callable[[WahaClient], Awaitable[Any]]

# What a recorded request is to the client; requests that it never makes go through `call`.
CALLS: list[tuple[str, Call]] = [
    (r"GET /ping", lambda waha: waha.ping()),
    (r"GET /api/(server/)?version", lambda waha: waha.version()),
    (r"GET /api/server/status", lambda waha: waha.server_status()),
    (r"GET /api/sessions/?(\?.*)?", lambda waha: waha.list_sessions()),
    (r"POST /api/sessions", lambda waha: waha.create_session("default", {}, start=False)),
    (r"GET /api/sessions/\w+", lambda waha: waha.get_session("default")),
    (r"PUT /api/sessions/\w+", lambda waha: waha.update_session_config("default", lambda config: {**config, "new": 1})),
    (r"DELETE /api/sessions/\w+", lambda waha: waha.delete_session("default")),
    (r"POST /api/sessions/\w+/start", lambda waha: waha.start_session("default")),
    (r"POST /api/sessions/\w+/stop", lambda waha: waha.stop_session("default")),
    (r"POST /api/sessions/\w+/restart", lambda waha: waha.restart_session("default")),
    (r"POST /api/sessions/\w+/logout", lambda waha: waha.logout_session("default")),
    (r"GET /api/\w+/auth/qr", lambda waha: waha.qr_png("default")),
    (r"GET /api/\w+/auth/qr\?format=raw", lambda waha: waha.qr_value("default")),
    (r"POST /api/\w+/auth/request-code", lambda waha: waha.request_code("default", "12132132130")),
    (r"POST /api/sendText", lambda waha: waha.send_text("default", CHAT, "hi")),
    (r"POST /api/sendSeen", lambda waha: waha.send_seen("default", CHAT)),
    (r"POST /api/startTyping", lambda waha: waha.start_typing("default", CHAT)),
    (r"GET /api/contacts/check-exists.*", lambda waha: waha.check_exists("default", "11111111111")),
    (r"GET /api/\w+/chats/overview", lambda waha: waha.chats_overview("default")),
    (r"GET /api/\w+/chats/[^/]+/messages\?.*", lambda waha: waha.messages("default")),
]


def recorded(name: str) -> list[dict[str, Any]]:
    lines = (Path(__file__).parent / "data" / name).read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def call_of(row: dict[str, Any]) -> Call:
    request = f"{row['method']} {row['path']}"
    known = [call for pattern, call in CALLS if re.fullmatch(pattern, request)]
    return known[0] if known else lambda waha: waha.call(row["method"], row["path"], seconds=5)


async def outcome_of(call: Awaitable[Any]) -> str:
    try:
        result = await call
    except WahaError as error:
        return type(error).__name__
    kind = type(result).__name__
    return f"list of {len(result)}" if isinstance(result, list) else kind


async def test_every_recorded_answer_is_a_typed_result_or_a_typed_error(
    waha: WahaClient, answer: Callable[..., None]
) -> None:
    rows = recorded("answers.jsonl")
    outcomes = {}

    for row in rows:
        content_type = (row["content_type"] or "application/json").partition(";")[0]
        answer(row["status"], row["body"], content_type=content_type)
        outcomes[row["label"]] = await outcome_of(call_of(row)(waha))

    assert outcomes == {row["label"]: row["outcome"] for row in rows}
    assert len(outcomes) == len(rows) == 121


async def test_no_recorded_refusal_repeats_the_api_key_or_the_text(
    waha: WahaClient, answer: Callable[..., None]
) -> None:
    refusals = [row for row in recorded("answers.jsonl") if row["status"] >= 400]

    for row in refusals:
        answer(row["status"], row["body"])
        with pytest.raises(WahaError) as raised:
            await waha.call(row["method"], row["path"], seconds=5)
        assert raised.value.http_status == row["status"]
        assert raised.value.sentence
        assert "\n    at " not in str(raised.value)


def test_every_signed_webhook_verifies_and_parses() -> None:
    posts = recorded("signed-webhooks.jsonl")

    events = [
        webhooks.parse(post["body"].encode())
        for post in posts
        if webhooks.verify(post["body"].encode(), post["signature"], post["algorithm"], KEY)
    ]

    assert len(events) == len(posts) == 34
    assert len({event.envelope.id for event in events}) == 31
    assert Counter(type(event) for event in events) == {SessionStatusEvent: 22, MessageEvent: 10, AckEvent: 2}


def test_every_signed_webhook_with_one_byte_changed_is_refused() -> None:
    refused = 0

    for number, post in enumerate(recorded("signed-webhooks.jsonl")):
        raw = bytearray(post["body"].encode())
        raw[number * 7 % len(raw)] ^= 1
        refused += not webhooks.verify(bytes(raw), post["signature"], post["algorithm"], KEY)

    assert refused == 34


def test_the_key_of_a_webhook_agrees_with_its_event() -> None:
    for post in recorded("signed-webhooks.jsonl"):
        raw = post["body"].encode()

        key, event = webhooks.envelope_of(raw), webhooks.parse(raw)

        assert key is not None
        assert key[:3] == (event.envelope.session, event.envelope.id, event.envelope.name)
        chat_id = event.message.chat_id if isinstance(event, MessageEvent) else getattr(event, "chat_id", None)
        assert key.chat_id == chat_id
