"""A thread of an erased customer: all that we said in it is to go, also what is older than our rows of it."""

from __future__ import annotations

from typing import Any

from database import in_database
from operations import erasing
from operations.erasing import Order
from operations.relaying import LeasedPost
from slack.client import SlackClient
from slack.errors import SlackRefused

_A_PAGE = 999
_GONE = frozenset({"thread_not_found", "message_not_found"})


async def sweep(slack: SlackClient, post: LeasedPost) -> None:
    """Read the thread and order the deletion of each post of ours, the head last; to do it again changes nothing.

    Raises:
        SlackError: it could not be read.
    """
    payload = post.payload
    order = Order(post.slack_team_id, post.slack_channel_id, str(payload["ts"]), str(payload.get("asker", "")))
    us = await slack.auth_test()
    ours: list[str] = []
    others = 0
    for message in await _read(slack, order):
        if (us.bot_id and message.get("bot_id") == us.bot_id) or message.get("user") == us.user_id:
            ours.append(str(message["ts"]))
        elif message.get("subtype") != "tombstone":
            others += 1
    await in_database(
        erasing.order_deletions_in_thread,
        order,
        ours[::-1],
        others=others,
        tenant_id=post.tenant_id,
        post_id=post.post_id,
    )


async def _read(slack: SlackClient, order: Order) -> list[dict[str, Any]]:
    found = slack.history(order.channel_id, oldest="0", thread_ts=order.thread_ts, limit=_A_PAGE)
    try:
        return [message async for message in found]
    except SlackRefused as error:
        if error.reason in _GONE:
            return []
        raise
