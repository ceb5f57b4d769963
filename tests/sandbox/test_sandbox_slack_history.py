"""What can be read afterwards: back-dated and unheard messages, pages, threads that changed, large channels."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import Message, SandboxSlack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack(pace=0.001, ack_seconds=0.2) as running:
        yield running


@pytest.fixture
def app(slack: SandboxSlack) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])


async def read(app: AsyncWebClient, method: str, **arguments: Any) -> list[list[str]]:
    """The texts of every page."""
    pages: list[list[str]] = []
    cursor = ""
    while True:
        page = await app.api_call(method, params={**arguments, "cursor": cursor})
        pages.append([message["text"] for message in page["messages"]])
        metadata: dict[str, str] = page.get("response_metadata") or {}
        cursor = metadata.get("next_cursor", "")
        if not cursor:
            return pages


async def test_what_was_typed_while_nobody_listened_stands_in_its_place(
    slack: SandboxSlack, app: AsyncWebClient
) -> None:
    root = slack.say("ana", "support", "root", seconds_ago=3600, heard=False)
    slack.say("ben", "support", "now", root.ts, heard=False)
    slack.say("ben", "support", "earlier", root.ts, seconds_ago=600, heard=False)

    [texts] = await read(app, "conversations.replies", channel=root.channel, ts=root.ts)

    assert texts == ["root", "earlier", "now"]
    assert slack.state.events.deliveries == []


async def test_unheard_edits_and_deletions_are_seen_in_the_thread_only(
    slack: SandboxSlack, app: AsyncWebClient
) -> None:
    root = slack.say("ana", "support", "root", heard=False)
    edited = slack.say("ben", "support", "befor", root.ts, heard=False)
    deleted = slack.say("ben", "support", "gone", root.ts, heard=False)

    slack.edit("ben", edited, "before", seconds_ago=60, heard=False)
    slack.delete("ben", deleted, heard=False)
    answer = await app.conversations_replies(channel=root.channel, ts=root.ts)

    assert [message["text"] for message in answer["messages"]] == ["root", "before"]
    assert float(answer["messages"][1]["edited"]["ts"]) < time.time() - 50
    assert slack.state.events.deliveries == []


async def test_the_history_says_which_threads_changed(slack: SandboxSlack, app: AsyncWebClient) -> None:
    root = slack.say("ana", "support", "root", seconds_ago=3600)
    slack.say("ben", "support", "first", root.ts, seconds_ago=60)
    last = slack.say("ben", "support", "second", root.ts)

    history = await app.conversations_history(channel=root.channel)

    [shown] = history["messages"]
    assert (shown["reply_count"], shown["latest_reply"], shown["thread_ts"]) == (2, last.ts, root.ts)


async def test_a_deleted_reply_counts_no_more(slack: SandboxSlack, app: AsyncWebClient) -> None:
    root = slack.say("ana", "support", "root")
    first = slack.say("ana", "support", "first", root.ts)
    slack.delete("ben", slack.say("ben", "support", "second", root.ts))

    history = await app.conversations_history(channel=root.channel)

    [shown] = history["messages"]
    assert (shown["reply_count"], shown["latest_reply"], shown["reply_users"]) == (1, first.ts, [first.user])


async def test_a_thread_is_read_from_a_time_on_and_in_pages(slack: SandboxSlack, app: AsyncWebClient) -> None:
    root = slack.say("ana", "support", "root")
    replies = [slack.say("ben", "support", f"reply {number}", root.ts) for number in range(6)]

    pages = await read(app, "conversations.replies", channel=root.channel, ts=root.ts, oldest=replies[0].ts, limit=2)

    assert pages == [["root", "reply 1", "reply 2"], ["reply 3", "reply 4"], ["reply 5"]]


async def test_what_is_written_while_somebody_reads_shifts_no_page(slack: SandboxSlack, app: AsyncWebClient) -> None:
    for number in range(4):
        slack.say("ana", "support", f"line {number}")
    support = slack.channel("support").id

    first = await app.conversations_history(channel=support, limit=2)
    slack.say("ana", "support", "new")
    second = await app.conversations_history(channel=support, limit=2, cursor=first["response_metadata"]["next_cursor"])

    assert [message["text"] for message in second["messages"]] == ["line 1", "line 0"]


async def test_both_ends_of_a_span_count_when_they_are_asked_for(slack: SandboxSlack, app: AsyncWebClient) -> None:
    lines = [slack.say("ana", "support", f"line {number}") for number in range(4)]
    span = {"channel": lines[0].channel, "oldest": lines[1].ts, "latest": lines[3].ts}

    without = await read(app, "conversations.history", **span)
    including = await read(app, "conversations.history", inclusive=True, **span)

    assert without == [["line 2"]]
    assert including == [["line 3", "line 2", "line 1"]]


@pytest.mark.parametrize("method", ["conversations.history", "conversations.replies"])
@pytest.mark.parametrize(("wanted", "error"), [({"limit": 1000}, "invalid_limit"), ({"cursor": "x"}, "invalid_cursor")])
async def test_pages_beyond_the_limit_and_strange_cursors_are_refused(
    slack: SandboxSlack, app: AsyncWebClient, method: str, wanted: dict[str, Any], error: str
) -> None:
    root = slack.say("ana", "support", "root")

    with pytest.raises(SlackApiError) as refused:
        await app.api_call(method, params={"channel": root.channel, "ts": root.ts, **wanted})

    assert refused.value.response["error"] == error


async def test_a_look_into_a_large_channel_reads_what_it_shows(slack: SandboxSlack) -> None:
    support = slack.channel("support").id
    for number in range(50_000):
        ts = f"{1_700_000_000 + number}.000000"
        slack.state.messages.show(Message(channel=support, ts=ts, user="U1", text=str(number)))
    read_through = 0

    for found in slack.state.messages.timeline_before(support, "1700040000.000000"):
        read_through += 1
        if found.ts <= "1700039990.000000":
            break

    assert read_through == 10
