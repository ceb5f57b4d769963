"""The outbox of posts: lease, post, record, as `operations.sending` does for messages; a lane is what is claimed."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from database import notify, tenant_transaction, transaction
from models import Message, PostKind, WorkspaceState
from operations.held import NO_CHANNEL
from operations.posting import queue_post
from operations.receipts import show_receipt
from operations.refused_posts import Refusal, tell_of_place, tell_of_refusal
from operations.replaying import newest_of
from operations.sending import pause_after
from operations.sql import changed, first, rows, value


@dataclass(frozen=True)
class LeasedPost:
    """A post that is ours until the lease ends. `post_started_at`: an earlier try was interrupted.

    `lane_id` is the lane that was leased for it; a receipt may be in another one by now. `failures`: tries at which
    Slack failed for no reason but the post's own.
    """

    post_id: UUID
    tenant_id: UUID | None
    conversation_id: UUID | None
    message_id: UUID | None
    lease_token: UUID
    lease_expires_at: datetime
    kind: str
    slack_team_id: str
    slack_channel_id: str
    thread_ts: str | None
    payload: dict[str, Any]
    slack_ts: str | None
    file_id: str | None
    attempts: int
    post_started_at: datetime | None
    created_at: datetime
    lane_id: UUID
    failures: int


@dataclass(frozen=True)
class Full:
    """What Slack's limits do not let through now: posts in some channels, all posts, all reactions."""

    channels: tuple[str, ...] = ()
    posts: bool = False
    reactions: bool = False


NOTHING_IS_FULL = Full()

_UNTIL_IT_IS_BACK = timedelta(days=3650)


def lease(limit: int, lease: timedelta, lease_of_files: timedelta, *, full: Full = NOTHING_IS_FULL) -> list[LeasedPost]:
    """The heads of up to `limit` lanes; a post with a file takes longer, and so does its lease."""
    with transaction():
        return rows(
            LeasedPost,
            "SELECT * FROM lease_posts(%s, %s, %s, %s, %s, %s)",
            (limit, lease, lease_of_files, list(full.channels), not full.posts, not full.reactions),
        )


def begin(post: LeasedPost, call: timedelta) -> bool:
    """Mark the call as begun; False when it would not fit into what is left of the lease, and must not be made.

    A receipt is remembered as tried: after an interruption nobody knows which reactions stand.
    """
    with _scope(post):
        return bool(
            changed(
                # The thread is kept with it: an unknown outcome is looked up where it began, not where one would now.
                "UPDATE slack_posts SET post_started_at = clock_timestamp(), thread_ts = %s, payload = CASE "
                "WHEN kind = 'react' THEN payload || jsonb_build_object('tried', "
                "coalesce(payload->'tried', '[]') || to_jsonb(%s::text)) ELSE payload END "
                "WHERE id = %s AND lease_token = %s AND posted_at IS NULL AND parked_at IS NULL "
                "AND lease_expires_at > clock_timestamp() + %s",
                (post.thread_ts, post.payload.get("receipt"), post.post_id, post.lease_token, call),
            )
        )


def keep_file_id(post: LeasedPost, file_id: str) -> None:
    """Remember an upload before it is completed: by this id an unknown outcome is looked up."""
    with _scope(post):
        changed(
            "UPDATE slack_posts SET file_id = %s WHERE id = %s AND lease_token = %s",
            (file_id, post.post_id, post.lease_token),
        )


@dataclass(frozen=True)
class MadeBefore:
    """What became of an earlier post: where it stands, if anywhere, and which file it uploaded."""

    slack_ts: str | None
    file_id: str | None


def made_before(post: LeasedPost, earlier_id: str) -> MadeBefore | None:
    """An earlier post of the same tenant, to which this one refers."""
    with _scope(post):
        return first(
            MadeBefore,
            "SELECT slack_ts, file_id FROM slack_posts WHERE id = %s AND tenant_id IS NOT DISTINCT FROM %s",
            (UUID(earlier_id), post.tenant_id),
        )


def record_posted(post: LeasedPost, slack_ts: str | None) -> bool:
    """It stands in Slack; False when the lease was no longer ours. The root of a conversation makes its thread."""
    with _scope(post):
        shown = None
        if slack_ts is not None and post.kind == "post":
            _remember_thread(post, slack_ts)
            shown = _remember_message(post, slack_ts)
        mine = _close(
            post, "posted_at = clock_timestamp(), slack_ts = coalesce(%s, slack_ts), error = NULL", (slack_ts,)
        )
        if mine and slack_ts is not None:
            _queue_below(post, slack_ts)
        if shown is not None:
            show_receipt(shown)
        return mine


def record_shown(post: LeasedPost, receipt: str) -> bool:
    """A receipt is shown; where a later one came meanwhile, the post stays due."""
    with _scope(post):
        return _close(
            post,
            "payload = payload - 'tried' || jsonb_build_object('shown', %s::text), error = NULL, failures = 0, "
            "posted_at = CASE WHEN payload->>'receipt' = %s THEN clock_timestamp() END",
            (receipt, receipt),
        )


def record_delayed(post: LeasedPost, pause: timedelta, reason: str) -> bool:
    """Slack asked for a pause, or there is no place for it yet: no attempt is counted."""
    with _scope(post):
        return _close(
            post,
            "post_started_at = NULL, error = %s, next_attempt_at = clock_timestamp() + %s",
            (reason, pause),
        )


def record_without_workspace(post: LeasedPost, pause: timedelta) -> bool:
    """Its workspace is not served by us now: it waits until the app is back there, or until we know the tokens."""
    with _scope(post):
        # Shared, so that whoever brings the app back either waits for this or makes the post due after it.
        state = value("SELECT state FROM slack_workspaces WHERE slack_team_id = %s FOR SHARE", (post.slack_team_id,))
        wait = _UNTIL_IT_IS_BACK if state == WorkspaceState.REMOVED else pause
        return _close(
            post,
            "error = %s, next_attempt_at = clock_timestamp() + %s",
            ("The app is not in its workspace.", wait),
        )


def record_not_posted(post: LeasedPost, error: str) -> bool:
    """Nothing left this machine: try again, later each time."""
    with _scope(post):
        return _close(
            post,
            "attempts = attempts + 1, post_started_at = NULL, error = %s, next_attempt_at = clock_timestamp() + %s",
            (error, pause_after(post.attempts)),
        )


def record_unknown(post: LeasedPost, error: str, *, is_its_own: bool, give_up_after: timedelta) -> bool:
    """Whether it was posted is not known. The lease runs out by itself, and then it is looked up; never before.

    With `is_its_own` Slack takes others meanwhile. That is believed of every post which waited for `give_up_after`.
    """
    with _scope(post):
        return bool(
            changed(
                "UPDATE slack_posts SET attempts = attempts + 1, error = %s, failures = failures + "
                "CASE WHEN %s OR created_at < clock_timestamp() - %s THEN 1 ELSE 0 END "
                "WHERE id = %s AND lease_token = %s",
                (error, is_its_own, give_up_after, post.post_id, post.lease_token),
            )
        )


def record_postponed(post: LeasedPost, pause: timedelta, reason: str) -> bool:
    """The look-up of an unknown outcome failed: look again later, and post nothing meanwhile."""
    with _scope(post):
        return _close(post, "error = %s, next_attempt_at = clock_timestamp() + %s", (reason, pause))


def record_no_place(
    post: LeasedPost, reason: str, *, is_unknown: bool, operators: Collection[str], give_up_after: timedelta
) -> bool:
    """The channel does not take posts (the bot was removed, it was archived): the post waits until it does.

    With `is_unknown` an earlier try was to be looked up, and still is before anything is posted. Whoever can mend it is
    told once a day and channel. After `give_up_after` the post is parked, and its message waits for the next channel.
    """
    with _scope(post):
        if value("SELECT clock_timestamp() - %s > %s", (post.created_at, give_up_after)):
            changed(
                "UPDATE messages SET hold_reason = %s WHERE id = %s AND tenant_id = %s AND direction = 'inbound'",
                (NO_CHANNEL, post.message_id, post.tenant_id),
            )
            return _close(post, "parked_at = clock_timestamp(), attempts = attempts + 1, error = %s", (reason,))
        waits = _close(
            post,
            "attempts = attempts + 1, post_started_at = CASE WHEN %s THEN post_started_at END, error = %s, "
            "next_attempt_at = clock_timestamp() + %s",
            (is_unknown, reason, pause_after(post.attempts)),
        )
        if waits:
            tell_of_place(post, reason, operators)
        return waits


def record_refused(post: LeasedPost, refusal: Refusal, *, operators: Collection[str]) -> bool:
    """Slack will never take it: what is behind it goes on, and somebody is told who can do something about it."""
    with _scope(post):
        reason = f"{refusal.sentence} {refusal.next_step}".strip()
        # A receipt that was parked is tried anew with the next state of its message.
        parked = "parked_at = clock_timestamp(), attempts = attempts + 1, failures = 0, error = %s"
        mine = _close(post, parked, (reason,))
        if mine:
            tell_of_refusal(post, refusal, operators)
        return mine


def record_parked(post: LeasedPost, reason: str) -> bool:
    """It is not made, and nobody needs to know; what is behind it in its lane goes on."""
    with _scope(post):
        return _close(post, "parked_at = clock_timestamp(), attempts = attempts + 1, error = %s", (reason,))


def forget_thread(post: LeasedPost) -> None:
    """The thread is gone from Slack: the next post of the conversation begins a new one."""
    with _scope(post):
        changed(
            "UPDATE conversations SET slack_thread_ts = NULL WHERE id = %s AND tenant_id = %s AND slack_thread_ts = %s",
            (post.conversation_id, post.tenant_id, post.thread_ts),
        )
        changed("UPDATE slack_posts SET thread_ts = NULL WHERE id = %s", (post.post_id,))


def _scope(post: LeasedPost) -> AbstractContextManager[None]:
    return transaction() if post.tenant_id is None else tenant_transaction(post.tenant_id)


def _close(post: LeasedPost, assignments: str, parameters: tuple[object, ...]) -> bool:
    # The lane first, as whoever queues a post or renews a receipt does: else two wait for each other.
    changed(
        "UPDATE post_lanes SET lease_token = NULL, lease_expires_at = NULL WHERE id = %s AND lease_token = %s",
        (post.lane_id, post.lease_token),
    )
    mine = changed(
        f"UPDATE slack_posts SET {assignments}, lease_token = NULL, lease_expires_at = NULL "  # noqa: S608 - words of ours
        "WHERE id = %s AND lease_token = %s",
        (*parameters, post.post_id, post.lease_token),
    )
    notify("posts")
    return bool(mine)


def _remember_thread(post: LeasedPost, slack_ts: str) -> None:
    """The first post of a conversation is its thread's root, also where the intended one could not be posted."""
    if post.conversation_id is None or post.thread_ts is not None:
        return
    changed(
        "UPDATE conversations SET slack_thread_ts = %s WHERE id = %s AND tenant_id = %s AND slack_thread_ts IS NULL "
        "AND slack_channel_id = %s",
        (slack_ts, post.conversation_id, post.tenant_id, post.slack_channel_id),
    )


def _queue_below(post: LeasedPost, slack_ts: str) -> None:
    """What belongs into the thread that this post begins, in a lane of its own: it may take long to be made."""
    for one in post.payload.get("below", ()):
        queue_post(
            f"below:{post.slack_team_id}/{post.slack_channel_id}",
            PostKind.POST,
            one,
            team_id=post.slack_team_id,
            channel_id=post.slack_channel_id,
            tenant_id=post.tenant_id,
            thread_ts=slack_ts,
            slot=f"below:{post.post_id}:{one['filename']}",
        )


def _remember_message(post: LeasedPost, slack_ts: str) -> Message | None:
    """A message that began with a command has its receipts on the post that shows it; returns it as it is by now.

    Where it was replayed before it was known what shows it, the receipts are the replay's.
    """
    if post.message_id is None or post.tenant_id is None:
        return None
    message_id = newest_of(post.message_id, post.tenant_id)
    remembered = changed(
        "UPDATE messages SET slack_team_id = %s, slack_channel_id = %s, slack_ts = %s, slack_part = 0 "
        "WHERE id = %s AND tenant_id = %s AND slack_ts IS NULL",
        (post.slack_team_id, post.slack_channel_id, slack_ts, message_id, post.tenant_id),
    )
    if not remembered:
        return None
    message: Message = Message.get_by_id(message_id)
    return message
