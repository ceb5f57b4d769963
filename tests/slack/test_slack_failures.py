"""What a failure on the wire means: each of these is made on a real socket."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from slack.client import SlackClient
from slack.errors import (
    SlackNotSent,
    SlackRateLimited,
    SlackRefused,
    SlackTokenRefused,
    SlackUncertain,
)
from slack.refusals import refusal_of

if TYPE_CHECKING:
    from tests.slack.conftest import ScriptedSlack

SHORT = timedelta(seconds=0.4)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_refused_connection_proves_that_nothing_was_sent() -> None:
    async with SlackClient("xoxb-test", f"http://127.0.0.1:{unused_port()}/api/") as slack:
        with pytest.raises(SlackNotSent):
            await slack.post("C1", "hello")


async def test_a_connection_that_is_never_taken_up_proves_that_nothing_was_sent() -> None:
    with ExitStack() as sockets:
        server = sockets.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):  # the queue of connections is full then, and further ones get no answer
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        async with SlackClient("t", f"http://127.0.0.1:{server.getsockname()[1]}/api/", timeout=SHORT) as slack:
            with pytest.raises(SlackNotSent):
                await slack.post("C1", "hello")


async def test_a_connection_without_the_right_certificate_proves_that_nothing_was_sent(scripted: ScriptedSlack) -> None:
    async with SlackClient("t", scripted.api_url.replace("http:", "https:")) as slack:
        with pytest.raises(SlackNotSent):
            await slack.post("C1", "hello")

    assert scripted.calls == []


@pytest.mark.parametrize("fault", ["close_after_reading", "reset_after_reading", "break_off_inside_the_answer"])
async def test_a_connection_lost_after_the_request_is_uncertain_and_not_repeated(
    scripted: ScriptedSlack, slack: SlackClient, fault: str
) -> None:
    getattr(scripted, fault)()

    with pytest.raises(SlackUncertain):
        await slack.post("C1", "hello")

    assert len(scripted.calls) == 1


async def test_a_kept_connection_that_slack_drops_is_uncertain_and_not_repeated(
    scripted: ScriptedSlack, slack: SlackClient
) -> None:
    scripted.answer({"ok": True, "ts": "1.1"})
    scripted.reset_after_reading()
    await slack.post("C1", "first")

    with pytest.raises(SlackUncertain):
        await slack.post("C1", "second")

    assert len(scripted.calls) == 2


async def test_silence_is_uncertain_after_the_time_for_the_whole_call(scripted: ScriptedSlack) -> None:
    scripted.hang()
    async with SlackClient("t", scripted.api_url, timeout=SHORT) as slack:
        async with asyncio.timeout(5):
            with pytest.raises(SlackUncertain):
                await slack.post("C1", "hello")

    assert len(scripted.calls) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_a_server_error_is_uncertain(scripted: ScriptedSlack, slack: SlackClient, status: int) -> None:
    scripted.answer_text("oops", status=status, content_type="text/html")

    with pytest.raises(SlackUncertain):
        await slack.post("C1", "hello")

    assert len(scripted.calls) == 1


@pytest.mark.parametrize("reason", ["internal_error", "fatal_error", "request_timeout", "service_unavailable"])
async def test_slacks_own_stumbling_is_uncertain(scripted: ScriptedSlack, slack: SlackClient, reason: str) -> None:
    scripted.answer({"ok": False, "error": reason})

    with pytest.raises(SlackUncertain, match=reason):
        await slack.post("C1", "hello")


@pytest.mark.parametrize(
    ("text", "content_type"),
    [
        ("<html>sign in to the network</html>", "text/html"),
        ("fine", "text/plain"),
        ("[1, 2]", "application/json"),
        ("null", "application/json"),
        ("{broken", "application/json"),
        ('{"ok": true}', "application/json"),
    ],
)
async def test_a_200_that_does_not_say_what_was_posted_is_uncertain(
    scripted: ScriptedSlack, slack: SlackClient, text: str, content_type: str
) -> None:
    scripted.answer_text(text, content_type=content_type)

    with pytest.raises(SlackUncertain):
        await slack.post("C1", "hello")


@pytest.mark.parametrize(
    ("header", "expected"),
    [("7", 7), ("0", 1), ("-3", 1), (None, 30), ("soon", 30), ("99999999999999999999", 3600)],
)
async def test_a_429_says_how_long_to_wait(
    scripted: ScriptedSlack, slack: SlackClient, header: str | None, expected: int
) -> None:
    headers = {"Retry-After": header} if header else {}
    scripted.answer({"ok": False, "error": "ratelimited"}, status=429, headers=headers)

    with pytest.raises(SlackRateLimited) as limited:
        await slack.post("C1", "hello")

    assert limited.value.retry_after == timedelta(seconds=expected)
    assert len(scripted.calls) == 1


async def test_a_429_without_a_body_is_a_rate_limit_too(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer_text("slow down", status=429)

    with pytest.raises(SlackRateLimited):
        await slack.post("C1", "hello")


@pytest.mark.parametrize(
    "reason",
    ["channel_not_found", "not_in_channel", "is_archived", "msg_too_long", "restricted_action", "missing_scope"],
)
async def test_a_refusal_says_what_is_wrong_and_what_to_do(
    scripted: ScriptedSlack, slack: SlackClient, reason: str
) -> None:
    scripted.answer({"ok": False, "error": reason})

    with pytest.raises(SlackRefused) as refusal:
        await slack.post("C1", "hello")

    assert refusal.value.reason == reason
    assert refusal.value.sentence.endswith(".")
    assert refusal.value.next_step.endswith((".", "`"))
    assert not isinstance(refusal.value, SlackTokenRefused)


@pytest.mark.parametrize("reason", ["invalid_auth", "token_revoked", "account_inactive", "not_authed"])
async def test_a_refused_token_is_told_apart_because_every_call_will_fail(
    scripted: ScriptedSlack, slack: SlackClient, reason: str
) -> None:
    scripted.answer({"ok": False, "error": reason})

    with pytest.raises(SlackTokenRefused) as refusal:
        await slack.auth_test()

    assert refusal.value.reason == reason


async def test_a_refusal_carries_slacks_explanation_of_the_blocks(scripted: ScriptedSlack, slack: SlackClient) -> None:
    messages = ["[ERROR] must be more than 0 characters [json-pointer:/blocks/0/text/text]"]
    scripted.answer({"ok": False, "error": "invalid_blocks", "response_metadata": {"messages": messages}})

    with pytest.raises(SlackRefused, match="json-pointer:/blocks/0") as refusal:
        await slack.post("C1", "hello", blocks=[{"type": "divider"}])

    assert refusal.value.details == tuple(messages)


async def test_a_missing_scope_is_named(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer({"ok": False, "error": "missing_scope", "needed": "users:read.email", "provided": "chat:write"})

    with pytest.raises(SlackRefused, match="needs users:read"):
        await slack.user_info("U1")


async def test_a_new_word_of_slacks_is_a_refusal_that_shows_it(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer({"ok": False, "error": "some_word_of_next_year"})

    with pytest.raises(SlackRefused, match="some_word_of_next_year"):
        await slack.post("C1", "hello")


async def test_bodies_are_not_logged_even_at_debug(
    scripted: ScriptedSlack, slack: SlackClient, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.answer({"ok": True, "ts": "1.1"})

    with caplog.at_level(logging.DEBUG):
        await slack.post("C1", "my number is +4915123456789")

    assert "4915123456789" not in caplog.text


@pytest.mark.parametrize("reason", ["channel_not_found", "nobody_knows"])
def test_every_refusal_has_a_sentence_and_a_next_step(reason: str) -> None:
    refusal = refusal_of(reason)

    assert refusal.sentence
    assert refusal.next_step
