"""Two Slack workspaces behind one address: what is posted where, and what becomes of it when the app is removed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from daemon.catchup_channels import ChannelReader
from daemon.loops import repeat
from daemon.posts import Poster
from daemon.relay import Relay
from daemon.workspaces import Outlet, Outlets, Workspaces
from database import in_database, transaction
from database.notifications import Wakeup
from models import uuid7
from operations import posting, slack_inbox, workspaces
from operations.slack_events import incoming
from operations.workspaces import Place, Tokens
from sandbox.slack import SandboxSlack
from sandbox.slack.front import Front
from sandbox.slack.workspace import Installation
from settings import DeliverySettings, SlackSettings
from slack.client import SlackClient
from slack.pacing import Pacing
from tests.daemon.conftest import DEADLINE_SECONDS, Rows, becomes
from tests.daemon.relays import CALL_SECONDS, MARGIN_SECONDS, RING, tell, texts

THERE = Installation(
    team_id="T0SANDBOX02",
    team_name="Globex",
    team_domain="globex",
    app_id="A0SANDBOX02",
    bot_id="B0SANDBOX02",
    bot_user="U0SANDBOX02",
    bot_token="xoxb-sandbox-other",
    app_token="xapp-sandbox-other",
)
STATE = "SELECT state, bot_token IS NULL, why FROM slack_workspaces"
WAITING = "SELECT slack_team_id, count(*) FROM slack_posts WHERE posted_at IS NULL AND parked_at IS NULL GROUP BY 1"
TOLD_OPERATORS = (
    "SELECT slack_team_id, slack_channel_id FROM slack_posts WHERE kind = 'direct' "
    "AND payload->>'text' LIKE 'The app is not in the Slack workspace *Globex*%%'"
)
# A token whose client cannot be made.
CANNOT_BE_OPENED = "xoxb-none"


@dataclass
class Two:
    """The workspace of the settings, `here`, and another that is connected when `connect` was called."""

    here: SandboxSlack
    there: SandboxSlack
    outlets: Outlets
    waking: Workspaces
    relay: Relay

    async def connect(self, *, bot_token: str = THERE.bot_token) -> int:
        place = Place(THERE.team_id, THERE.team_name, THERE.bot_user, THERE.bot_id)

        def connect() -> int:
            with transaction():
                return workspaces.connect(place, Tokens(bot_token), workspace_id=uuid7(), actor="T/U")

        resumed = await in_database(connect)
        self.waking.wakeup.ring()
        return resumed

    async def hear(self, event: dict[str, Any], *, at: float) -> None:
        """Handle an event of the other workspace that happened then."""
        body = {"type": "event_callback", "team_id": THERE.team_id, "event_id": f"Ev{uuid7().hex}", "event": event}
        row = incoming({**body, "event_time": int(at)})
        assert row is not None
        await in_database(slack_inbox.store, row)
        for lane in await in_database(slack_inbox.due_lanes, 10):
            await in_database(slack_inbox.process_head, lane)
        self.waking.wakeup.ring()


@asynccontextmanager
async def at_work(here: SandboxSlack, there: SandboxSlack) -> AsyncIterator[Two]:
    """Relays and what keeps up with the table, as the daemon runs them."""
    stopping = asyncio.Event()
    delivery = DeliverySettings(slack_timeout_seconds=CALL_SECONDS, lease_margin_seconds=MARGIN_SECONDS)
    operators = (f"{here.team_id}/{here.person('olga').id}", f"{there.team_id}/{there.person('olga').id}")
    async with AsyncExitStack() as stack:
        front = await stack.enter_async_context(Front(here, there))

        async def open_client(token: str) -> SlackClient:
            if token == CANNOT_BE_OPENED:
                raise OSError("no more sockets")
            client = SlackClient(token, front.api_url, timeout=timedelta(seconds=CALL_SECONDS))
            return await stack.enter_async_context(client)

        def outlet(client: SlackClient, team_id: str) -> Outlet:
            return Outlet(Poster(client, RING, "/wa"), Pacing(switched_on=False), team_id)

        def reader(client: SlackClient) -> ChannelReader:
            every = timedelta(minutes=10)
            return ChannelReader(client, Wakeup(), stopping, every=every, ask_after=every, is_paced=False)

        own = outlet(await open_client(here.bot_token), "")
        outlets = Outlets(own, frozenset({here.team_id}))
        waking = Workspaces(
            outlets,
            SlackSettings(operators=operators),
            Wakeup(),
            open_client=open_client,
            new_outlet=outlet,
            new_reader=reader,
            stopping=stopping,
        )
        relays = [Relay(outlets, delivery, Wakeup(), of_receipts=of_receipts) for of_receipts in (False, True)]
        workers: list[Workspaces | Relay] = [waking, *relays]
        working = [
            asyncio.create_task(repeat("worker", one.step, wakeup=one.wakeup, stopping=stopping, every_seconds=0.02))
            for one in workers
        ]
        try:
            yield Two(here, there, outlets, waking, relays[0])
        finally:
            stopping.set()
            here.heal()
            there.heal()
            await asyncio.gather(*working)
            await waking.finish()
            for relay in relays:
                await relay.crew.finish()


async def eventually(condition: Callable[[], object]) -> None:
    """Look until it is true, for what no Slack announces."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 - another task changes it
            await asyncio.sleep(0.02)


@pytest.fixture
async def two(rows: Rows) -> AsyncIterator[Two]:
    async with (
        SandboxSlack() as here,
        SandboxSlack(installation=THERE) as there,
        at_work(here, there) as both,
    ):
        yield both


async def test_what_is_said_in_one_workspace_is_never_posted_in_the_other(two: Two, rows: Rows) -> None:
    assert two.here.channel("support").id == two.there.channel("support").id
    await two.connect()

    for number in range(10):
        await tell(two.here, f"here {number}")
        await tell(two.there, f"there {number}")
    await becomes(rows, WAITING, [])

    assert texts(two.here) == [f"here {number}" for number in range(10)]
    assert texts(two.there) == [f"there {number}" for number in range(10)]


async def test_what_is_said_before_a_workspace_is_known_here_waits_and_goes_nowhere_else(two: Two, rows: Rows) -> None:
    await tell(two.there, "too early")
    await becomes(rows, "SELECT error FROM slack_posts", [("The app is not in its workspace.",)])

    await two.connect()
    await becomes(rows, WAITING, [])

    assert texts(two.there) == ["too early"]
    assert texts(two.here) == []


async def test_a_token_that_is_revoked_stops_its_workspace_alone_and_nothing_is_lost(two: Two, rows: Rows) -> None:
    await two.connect()
    revoked = two.there.fail("chat.postMessage", error="token_revoked", times=None)

    for number in range(3):
        await tell(two.there, f"there {number}")
        await tell(two.here, f"here {number}")
    await becomes(rows, STATE, [("removed", True, "The token was revoked.")])
    await two.here.until(lambda: len(texts(two.here)) == 3)
    await becomes(rows, TOLD_OPERATORS, [(two.here.team_id, two.here.person("olga").id)])
    tried = revoked.hits
    await tell(two.there, "there 3")
    await becomes(rows, WAITING, [(THERE.team_id, 4)])

    assert texts(two.there) == []
    assert revoked.hits == tried
    two.there.heal()
    assert await two.connect() == 4
    await becomes(rows, WAITING, [])
    assert texts(two.there) == [f"there {number}" for number in range(4)]


async def test_a_token_that_is_refused_for_now_is_named_and_the_others_go_on(two: Two, rows: Rows) -> None:
    await two.connect()
    two.there.fail("chat.postMessage", error="invalid_auth", times=None)

    await tell(two.there, "there")
    await eventually(two.outlets.refusals)
    await tell(two.here, "here")
    await two.here.until(lambda: texts(two.here) == ["here"])

    assert two.outlets.refusals() == ["workspace T0SANDBOX02: invalid_auth"]
    assert await rows(STATE) == [("active", False, "")]


async def test_a_token_that_is_refused_or_a_slack_that_is_slow_in_one_workspace_is_no_outage_of_slack(
    two: Two, rows: Rows
) -> None:
    await two.connect()
    two.there.fail("chat.postMessage", error="invalid_auth", times=None)
    await tell(two.there, "there")
    await eventually(two.outlets.refusals)
    after_refusal = two.outlets.health.failing_since
    two.here.fail("chat.postMessage", status=500, times=None)
    await tell(two.here, "here")
    await eventually(lambda: two.outlets.health.failing_since)

    assert after_refusal is None
    assert two.outlets.health is two.outlets.own.health
    assert two.outlets.added[THERE.team_id].health.failing_since is None


async def test_where_every_workspace_fails_and_the_one_of_the_settings_is_not_used_slack_is_away(two: Two) -> None:
    await two.connect()
    two.there.fail("chat.postMessage", status=500, times=None)

    await tell(two.there, "there")
    await eventually(lambda: two.outlets.health.failing_since)

    assert two.outlets.own.health.failing_since is None
    assert two.outlets.health is two.outlets.added[THERE.team_id].health


async def test_a_token_of_the_settings_that_is_refused_later_is_named_too(two: Two) -> None:
    two.here.fail("chat.postMessage", error="account_inactive", times=None)

    await tell(two.here, "here")
    await eventually(two.outlets.refusals)

    assert two.outlets.refusals() == ["workspace of the settings: account_inactive"]


@pytest.mark.parametrize(
    "event", [{"type": "app_uninstalled"}, {"type": "tokens_revoked", "tokens": {"bot": ["U0SANDBOX02"]}}]
)
async def test_a_workspace_that_removes_the_app_is_left_alone_until_it_is_back(
    two: Two, rows: Rows, event: dict[str, Any]
) -> None:
    await two.connect()
    await tell(two.there, "before")
    await becomes(rows, WAITING, [])

    await two.hear(event, at=time.time() + 1)
    await eventually(lambda: not two.outlets.added)
    await tell(two.there, "meanwhile")
    await becomes(rows, WAITING, [(THERE.team_id, 1)])
    await becomes(rows, TOLD_OPERATORS, [(two.here.team_id, two.here.person("olga").id)])
    calls = len(two.there.calls("chat.postMessage"))
    resumed = await two.connect()
    await becomes(rows, WAITING, [])

    assert calls == 1
    assert resumed == 1
    assert texts(two.there) == ["before", "meanwhile"]
    assert await rows("SELECT count(*) FROM slack_workspaces") == [(1,)]


async def test_an_end_that_is_told_after_the_app_came_back_is_an_old_one(two: Two, rows: Rows) -> None:
    await two.connect()

    await two.hear({"type": "app_uninstalled"}, at=time.time() - 60)

    assert await rows(STATE) == [("active", False, "")]


async def test_a_token_that_is_refused_after_another_was_given_ends_nothing(two: Two, rows: Rows) -> None:
    await two.connect()
    await eventually(lambda: two.outlets.added)
    held = two.there.fail("chat.postMessage", error="token_revoked", hang=0.2)
    await tell(two.there, "under the old token")
    await eventually(lambda: held.hits)

    await two.connect()
    soon = "SELECT error, next_attempt_at < now() + interval '1 min' FROM slack_posts"
    await becomes(rows, soon, [("The token was revoked.", True)])

    assert await rows(STATE) == [("active", False, "")]


async def test_a_refused_token_of_the_settings_ends_no_workspace_that_was_connected_meanwhile(
    two: Two, rows: Rows
) -> None:
    two.outlets.own_teams = frozenset()  # Slack has not said yet whose token it is
    held = two.here.fail("chat.postMessage", error="token_revoked", hang=0.2)
    await tell(two.there, "before it was connected")
    await eventually(lambda: held.hits)

    await two.connect()
    soon = "SELECT error, next_attempt_at < now() + interval '1 min' FROM slack_posts"
    await becomes(rows, soon, [("The token was revoked.", True)])
    await eventually(lambda: two.outlets.own.refused)
    await two.relay.crew.finish()

    assert await rows(STATE) == [("active", False, "")]


async def test_a_workspace_that_cannot_be_served_keeps_none_behind_it_from_it(two: Two, rows: Rows) -> None:
    def connect() -> None:
        with transaction():
            for team_id, token in (("T0SANDBOX00", CANNOT_BE_OPENED), (THERE.team_id, THERE.bot_token)):
                place = Place(team_id, team_id, THERE.bot_user, THERE.bot_id)
                workspaces.connect(place, Tokens(token), workspace_id=uuid7(), actor="T/U")

    await in_database(connect)
    two.waking.wakeup.ring()

    await eventually(lambda: two.outlets.added)
    assert list(two.outlets.added) == [THERE.team_id]


async def test_the_revoked_tokens_of_people_are_no_end(two: Two, rows: Rows) -> None:
    await two.connect()

    await two.hear({"type": "tokens_revoked", "tokens": {"oauth": ["U1"], "bot": []}}, at=time.time() + 1)

    assert await rows(STATE) == [("active", False, "")]


async def test_what_was_only_of_its_day_is_not_posted_after_the_app_was_away(two: Two, rows: Rows) -> None:
    await two.connect()
    await two.hear({"type": "app_uninstalled"}, at=time.time() + 1)
    await eventually(lambda: not two.outlets.added)
    await tell(two.there, "a report of last week", "a report of today")
    await rows(
        "UPDATE slack_posts SET created_at = now() - interval '7 days' WHERE payload->>'text' = 'a report of last week'"
    )

    assert await two.connect() == 1
    await becomes(rows, WAITING, [])

    assert texts(two.there) == ["a report of today"]


async def test_direct_messages_go_through_the_workspace_of_the_person(two: Two, rows: Rows) -> None:
    await two.connect()

    def queue() -> None:
        with transaction():
            for slack in (two.here, two.there):
                olga = slack.person("olga").id
                posting.tell_person(slack.team_id, olga, f"to {slack.team_id}", tenant_id=None)

    await in_database(queue)
    await becomes(rows, WAITING, [])

    assert [one.text for one in two.here.direct_messages("olga")] == [f"to {two.here.team_id}"]
    assert [one.text for one in two.there.direct_messages("olga")] == [f"to {two.there.team_id}"]


async def test_the_tokens_stand_in_no_row_in_plain_text(two: Two, rows: Rows) -> None:
    await two.connect()

    [(kept,)] = await rows("SELECT to_jsonb(w)::text FROM slack_workspaces w")

    assert json.loads(kept)["bot_token"].startswith("v1.")
    assert THERE.bot_token not in kept
