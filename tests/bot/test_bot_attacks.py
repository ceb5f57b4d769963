"""Requests that are not Slack's, or are Slack's of before, at the door of the real Bolt over HTTP; counted."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from bot.http_mode import FORM_TYPE, JSON_TYPE, HttpMode
from sandbox.slack import SandboxSlack
from sandbox.slack.http_mode import signature
from tests.bot.conftest import SIGNING_SECRET, Mode, Rows
from tests.bot.test_bot_http_mode import Caller

pytestmark = pytest.mark.database_role("switchboard_bot")

KEPT = "SELECT count(*) FROM slack_events"


@pytest.fixture
def mode() -> Mode:
    return "http"


@pytest.fixture
async def caller(bot: HttpMode, slack: SandboxSlack) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(bot.address, session, slack.team_id)


def bent(body: bytes) -> Iterator[bytes]:
    """The body with one bit of one byte changed, from its beginning to its end."""
    for place in range(0, len(body), 3):
        yield bytes(byte ^ (at == place) for at, byte in enumerate(body))


async def test_no_forged_request_of_slack_is_kept(caller: Caller, rows: Rows) -> None:
    counts: Counter[str] = Counter()
    refused = 0
    now = int(time.time())

    for body, kind in ((caller.command("help"), FORM_TYPE), (caller.event(), JSON_TYPE)):
        honest = signature(SIGNING_SECRET, body, at=now)
        attempts = [("with a changed byte", one, honest) for one in bent(body)]
        attempts += [
            ("signed with another secret", body, signature(secret, body, at=now))
            for secret in ("", "another", SIGNING_SECRET[:-1], SIGNING_SECRET.upper(), f"{SIGNING_SECRET} ")
        ]
        attempts += [
            ("signed too long ago or too early", body, signature(SIGNING_SECRET, body, at=now + seconds))
            for seconds in (-301, -3600, -86400, 310, 86400)
        ]
        old = signature(SIGNING_SECRET, body, at=now - 900)
        attempts.append(("of before with a new time", body, old | {"X-Slack-Request-Timestamp": str(now)}))
        attempts += [
            ("with a bent signature", body, honest | {"X-Slack-Signature": wrong})
            for wrong in (
                "",
                "v0=",
                honest["X-Slack-Signature"][3:],
                honest["X-Slack-Signature"][:-1],
                "v0=" + "0" * 64,
            )
        ]
        for what, sent, headers in attempts:
            status, _ = await caller.post(sent, content_type=kind, headers=headers)
            counts[what] += 1
            refused += status == 401

    lines = [f"{number:6}  Slack request {what}" for what, number in counts.items()]
    print("\n" + "\n".join([*lines, f"{refused:6}  of them refused"]))  # noqa: T201 - what this shows
    assert refused == counts.total() > 100
    assert await rows(KEPT) == [(0,)]


async def test_what_slack_sent_before_is_carried_out_once_in_whatever_order(caller: Caller, rows: Rows) -> None:
    now = time.time()
    bodies = [caller.command("help", trigger_id=f"1.2.{number}") for number in range(5)]
    replayed = bodies * 8
    random.Random(1).shuffle(replayed)  # noqa: S311 - the same order each time

    for body in bodies:
        await caller.post(body, at=now)
    statuses = {(await caller.post(body, at=now))[0] for body in replayed}

    print(f"\n{len(replayed):6}  Slack requests replayed, in another order; kept again 0")  # noqa: T201
    assert statuses == {200}
    assert await rows(KEPT) == [(len(bodies),)]
