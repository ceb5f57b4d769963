"""A message as JSON, in the shape that `conversations.history` and the events share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.slack.messages import Message
    from sandbox.slack.refusal import Json
    from sandbox.slack.workspace import Installation


@dataclass
class Replies:
    """What a root shows of its thread: kept with it, so that a page of roots is read without their replies."""

    count: int = 0
    people: dict[str, None] = field(default_factory=dict)
    latest: str = ""

    def add(self, reply: Message) -> None:
        """One more."""
        self.count += 1
        self.people[reply.user] = None
        self.latest = max(self.latest, reply.ts)


def as_json(
    message: Message,
    root: Message | None,
    replies: Replies,
    installation: Installation,
    *,
    team_id: str,
    metadata: bool,
) -> Json:
    """What Slack shows of a message; `team_id` is its writer's, which is named more than once where it is another.

    `thread_ts` stands on replies, and on a root as soon as it has one. Metadata is left out unless it is asked for.
    """
    shape: Json = {"type": "message", "user": message.user, "ts": message.ts, "text": message.text}
    if message.subtype:
        shape["subtype"] = message.subtype
    if message.by_bot:
        shape |= _author(message, installation)
    shape["team"] = team_id
    if team_id != installation.team_id:
        shape |= {"user_team": team_id, "source_team": team_id}
    shape |= _content(message)
    shape |= _thread(message, root, replies)
    if metadata and message.metadata:
        shape["metadata"] = message.metadata
    return shape


def _author(message: Message, installation: Installation) -> Json:
    profile = {
        "id": installation.bot_id,
        "app_id": installation.app_id,
        "name": installation.bot_name,
        "team_id": installation.team_id,
        "deleted": False,
    }
    shape: Json = {"bot_id": installation.bot_id, "app_id": installation.app_id, "bot_profile": profile}
    if message.username:
        shape["username"] = message.username
    return shape


def _content(message: Message) -> Json:
    shape: Json = {}
    if message.client_msg_id:
        shape["client_msg_id"] = message.client_msg_id
    if message.blocks:
        shape["blocks"] = message.blocks
    if message.files:
        shape["files"] = [file.as_json() for file in message.files]
        shape["upload"] = False
    if message.edited_ts:
        shape["edited"] = {"user": message.edited_by, "ts": message.edited_ts}
    if message.reactions:
        shape["reactions"] = [
            {"name": name, "users": list(users), "count": len(users)} for name, users in message.reactions.items()
        ]
    return shape


def _thread(message: Message, root: Message | None, replies: Replies) -> Json:
    if message.is_reply:
        parent = {"parent_user_id": root.user} if root else {}
        return {"thread_ts": message.thread_ts, **parent}
    if not replies.count:
        return {}
    return {
        "thread_ts": message.ts,
        "reply_count": replies.count,
        "reply_users_count": len(replies.people),
        "latest_reply": replies.latest,
        "reply_users": list(replies.people),
        "is_locked": False,
        "subscribed": False,
    }
