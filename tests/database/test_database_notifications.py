from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

from database import database, in_database, notify, transaction
from database.leadership import Leadership
from database.notifications import Listener, Wakeup

SOON = 5.0


async def wait_until_listening(wakeup: Wakeup) -> None:
    """A new connection rings once for what was missed."""
    assert await wakeup.wait(SOON)


def announce(channel: str) -> None:
    with transaction():
        notify(channel)
        notify(channel)


def announce_and_fail(channel: str) -> None:
    with suppress(ZeroDivisionError), transaction():
        notify(channel)
        raise ZeroDivisionError


def end_listening_session() -> None:
    database.execute_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND starts_with(query, 'LISTEN')"
    )


def end_leading_session() -> None:
    database.execute_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_locks.database = pg_database.oid"
        " WHERE locktype = 'advisory' AND granted AND datname = current_database()"
    )


async def test_a_commit_wakes_who_listens(opened: str) -> None:
    async with Listener(["messages", "posts"]) as listener:
        wakeup = listener.wake("messages")
        await wait_until_listening(wakeup)

        await in_database(announce, "messages")

        assert await wakeup.wait(SOON)


async def test_notifications_of_one_transaction_ring_once_and_only_their_channel(opened: str) -> None:
    async with Listener(["messages", "posts"]) as listener:
        messages, posts = listener.wake("messages"), listener.wake("posts")
        await wait_until_listening(messages)
        await wait_until_listening(posts)

        await in_database(announce, "messages")

        assert await messages.wait(SOON)
        assert not await messages.wait(0.05)
        assert not await posts.wait(0)


async def test_every_worker_on_a_channel_is_woken(opened: str) -> None:
    async with Listener(["messages"]) as listener:
        wakeups = [listener.wake("messages") for _ in range(3)]
        for wakeup in wakeups:
            await wait_until_listening(wakeup)

        await in_database(announce, "messages")

        assert all([await wakeup.wait(SOON) for wakeup in wakeups])


async def test_a_transaction_that_failed_announces_nothing(opened: str) -> None:
    async with Listener(["messages"]) as listener:
        wakeup = listener.wake("messages")
        await wait_until_listening(wakeup)

        await in_database(announce_and_fail, "messages")

        assert not await wakeup.wait(0.1)


async def test_a_ring_before_the_wait_is_not_missed() -> None:
    wakeup = Wakeup()

    wakeup.ring()

    assert await wakeup.wait(0)
    assert not await wakeup.wait(0)


async def test_a_listener_whose_connection_broke_listens_again(opened: str) -> None:
    async with Listener(["messages"]) as listener:
        wakeup = listener.wake("messages")
        await wait_until_listening(wakeup)

        await in_database(end_listening_session)

        await wait_until_listening(wakeup)
        await in_database(announce, "messages")
        assert await wakeup.wait(SOON)


async def test_one_candidate_leads_and_the_next_follows_when_it_goes(opened: str) -> None:
    async with AsyncExitStack() as standing, asyncio.timeout(2 * SOON):
        second = Leadership("reports")
        async with Leadership("reports") as first:
            await first.wait_until_won()
            await standing.enter_async_context(second)
            assert not second.is_leading

        await second.wait_until_won()

        assert not first.is_leading


async def test_leaders_of_different_things_do_not_exclude_each_other(opened: str) -> None:
    async with Leadership("reports") as reports, Leadership("clean-up") as clean_up, asyncio.timeout(SOON):
        await reports.wait_until_won()
        await clean_up.wait_until_won()


async def test_a_leader_whose_connection_broke_steps_down_and_stands_again(opened: str) -> None:
    async with Leadership("reports") as leadership, asyncio.timeout(SOON):
        await leadership.wait_until_won()
        lost = asyncio.create_task(leadership.wait_until_lost())

        await in_database(end_leading_session)

        await lost
        await leadership.wait_until_won()
