"""The channels' reader before a simulated Slack: few calls, no reply missed, and patience with Slack's limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from daemon.catchup_channels import ChannelReader
from database import in_database, tenant_transaction
from database.notifications import Wakeup
from models import ChannelRoute, Conversation, RoutePurpose, Tenant, WahaSession, uuid7
from sandbox.slack import SandboxSlack
from slack.client import SlackClient
from tests.daemon.conftest import Rows

CHANNEL = "support"
STORED = "SELECT count(*) FROM slack_events"


class Place:
    """A simulated Slack with threads of conversations, and a reader that is not started."""

    def __init__(self, slack: SandboxSlack, client: SlackClient, rows: Rows) -> None:
        self.slack = slack
        self.client = client
        self.rows = rows
        self.reader = ChannelReader(
            client,
            Wakeup(),
            asyncio.Event(),
            every=timedelta(minutes=10),
            ask_after=timedelta(minutes=30),
            is_paced=False,
        )

    async def threads(self, count: int) -> list[str]:
        """Conversations whose roots are posts of ours, in a channel that was linked an hour ago."""
        channel = self.slack.channel(CHANNEL).id
        roots = [await self.client.post(channel, f"Customer {number}") for number in range(count)]

        def make() -> None:
            tenant_id = uuid7()
            with tenant_transaction(tenant_id):
                Tenant.create(id=tenant_id, name="Acme")
                session = WahaSession.create(
                    tenant_id=tenant_id, name="sales", external_session_id="sales", server="main"
                )
                place = {"tenant_id": tenant_id, "slack_team_id": self.slack.team_id, "slack_channel_id": channel}
                ChannelRoute.create(**place, purpose=RoutePurpose.CONVERSATIONS)
                for root in roots:
                    Conversation.create(**place, session_id=session.id, slack_thread_ts=root)

        await in_database(make)
        await self.rows("UPDATE channel_routes SET created_at = now() - interval '1 hour'")
        return roots

    def unheard(self, root: str, text: str = "Anybody?") -> None:
        self.slack.say("ana", CHANNEL, text, root, seconds_ago=60, heard=False)

    async def read(self) -> None:
        """One turn, until it is over."""
        await self.reader.step()
        await self.reader.crew.finish()


@pytest.fixture
async def place(rows: Rows) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(SandboxSlack())
        client = await stack.enter_async_context(SlackClient(slack.bot_token, slack.api_url))
        yield Place(slack, client, rows)


async def test_only_threads_with_a_new_reply_are_read(place: Place, rows: Rows) -> None:
    roots = await place.threads(12)
    for root in roots[3:5]:
        place.unheard(root)

    await place.read()

    assert await rows(STORED) == [(2,)]
    assert len(place.slack.calls("conversations.history")) == 1
    assert {call.arguments["ts"] for call in place.slack.calls("conversations.replies")} == set(roots[3:5])
    assert await rows("SELECT caught_up_to IS NOT NULL, error FROM catch_ups") == [(True, None)]


async def test_threads_in_which_nobody_but_us_wrote_are_not_read(place: Place, rows: Rows) -> None:
    ours, theirs = await place.threads(2)
    for root in (ours, theirs):
        await place.client.post(place.slack.channel(CHANNEL).id, "A customer's words", thread_ts=root)
    place.unheard(theirs)

    await place.read()

    assert [call.arguments["ts"] for call in place.slack.calls("conversations.replies")] == [theirs]
    assert await rows(STORED) == [(1,)]


async def test_people_who_talk_elsewhere_in_the_channel_are_not_read(place: Place, rows: Rows) -> None:
    await place.threads(1)
    lunch = place.slack.say("ana", CHANNEL, "Lunch?")
    place.unheard(lunch.ts, "Yes")

    await place.read()

    assert await rows(STORED) == [(0,)]
    assert place.slack.calls("conversations.replies") == []


async def test_a_reply_below_the_first_root_of_a_channel_is_read_also_before_that_is_recorded(
    place: Place, rows: Rows
) -> None:
    [root] = await place.threads(1)
    place.unheard(root)
    await rows("UPDATE conversations SET slack_thread_ts = NULL")

    await place.read()

    assert await rows(STORED) == [(1,)]


async def test_a_short_pause_is_waited_for_and_a_long_one_gives_the_channel_back(place: Place, rows: Rows) -> None:
    [root] = await place.threads(1)
    place.unheard(root)
    place.slack.fail("conversations.history", status=429, retry_after=1)
    place.slack.fail("conversations.replies", status=429, retry_after=90)

    await place.read()

    waits = "SELECT round(extract(epoch FROM next_attempt_at - now()) / 10), lease_token, caught_up_to FROM catch_ups"
    assert await rows(waits) == [(9, None, None)]
    assert await rows(STORED) == [(0,)]
    await rows("UPDATE catch_ups SET next_attempt_at = now()")
    await place.read()
    assert await rows(STORED) == [(1,)]


async def test_what_was_read_before_a_pause_is_not_read_again_after_it(place: Place, rows: Rows) -> None:
    roots = await place.threads(3)
    for root in roots:
        place.unheard(root)
    last = min(roots)  # the one that was answered first
    place.slack.fail("conversations.replies", status=429, retry_after=90, when=lambda given: given["ts"] == last)

    await place.read()
    await rows("UPDATE catch_ups SET next_attempt_at = now()")
    await place.read()

    asked = [call.arguments["ts"] for call in place.slack.calls("conversations.replies")]
    assert sorted(asked) == sorted([*roots, last])
    assert await rows(STORED) == [(3,)]


async def test_a_channel_that_is_closed_to_us_keeps_its_place(place: Place, rows: Rows) -> None:
    [root] = await place.threads(1)
    place.unheard(root)
    place.slack.remove_app(CHANNEL)

    await place.read()

    assert await rows("SELECT caught_up_to, attempts FROM catch_ups") == [(None, 1)]
    place.slack.invite_app("ana", CHANNEL)
    await rows("UPDATE catch_ups SET next_attempt_at = now()")
    await place.read()
    assert await rows(STORED) == [(1,)]


async def test_many_roots_are_one_call_a_page_and_old_ones_count(place: Place, rows: Rows) -> None:
    roots = await place.threads(3)
    for number in range(1_100):
        place.slack.say("ben", CHANNEL, f"Something else {number}")
    place.unheard(roots[0])

    await place.read()

    assert len(place.slack.calls("conversations.history")) == 2
    assert await rows(STORED) == [(1,)]


async def test_our_start_is_a_gap(place: Place, rows: Rows) -> None:
    await place.threads(1)

    await place.read()

    assert await rows("SELECT requested_for FROM catch_ups") == [("switchboard",)]
