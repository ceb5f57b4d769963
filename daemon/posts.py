"""How each kind of post is made in Slack, and how an interrupted one is looked up.

Payloads: `post` and `direct` {text, blocks?, root?, file?, filename?, alt_text?} · `ephemeral` {text, user} ·
`react` {ts, receipt, shown?}. A `file` is base64, encrypted for its row. With `names_commands` the text is ours and
mentions commands without the slash command that they belong to.
"""

from __future__ import annotations

import base64
from datetime import timedelta

from database import in_database
from operations import relaying
from operations.encryption import KeyRing
from operations.relaying import LeasedPost
from operations.wording import with_root
from slack.client import SlackClient

# Slack's clock and ours differ; no message is older than its row.
_LOOKS_BACK = timedelta(minutes=1)

REACTION_OF = {
    "queued": "hourglass_flowing_sand",
    "sent": "outbox_tray",
    "delivered": "white_check_mark",
    "read": "eyes",
    "failed": "x",
}


class AtMostOnce(Exception):
    """An earlier try of something that leaves no trace was interrupted: it is not repeated."""


class Poster:
    """Makes posts through one Slack client."""

    def __init__(self, slack: SlackClient, ring: KeyRing, command: str) -> None:
        self._slack = slack
        self._ring = ring
        self._command = command

    async def look_up(self, post: LeasedPost) -> str | None:
        """The ts of a post whose outcome was unknown; None when it is not in Slack.

        Raises:
            AtMostOnce: nobody can tell.
            SlackError: Slack could not be asked.
        """
        if post.post_started_at is None or post.kind == "react":
            return None  # a reaction may be made twice: the second changes nothing
        if post.kind == "ephemeral":
            raise AtMostOnce
        channel = await self._channel_of(post)
        if post.file_id is not None:
            shares = await self._slack.file_shares(post.file_id)
            return next((share.ts for share in shares if share.channel == channel), None)
        return await self._slack.find_post(
            channel, str(post.post_id), thread_ts=post.thread_ts, oldest=post.created_at - _LOOKS_BACK
        )

    async def make(self, post: LeasedPost) -> str | None:
        """Make the post; its ts where Slack gives one."""
        match post.kind:
            case "ephemeral":
                await self._slack.post_ephemeral(
                    post.slack_channel_id, post.payload["user"], self._text_of(post), thread_ts=post.thread_ts
                )
                return None
            case "direct" if "file" in post.payload:
                await self._upload(post, await self._channel_of(post))
                return None
            case "post" | "direct":
                return await self._slack.post(
                    await self._channel_of(post),
                    self._text_of(post),
                    blocks=post.payload.get("blocks"),
                    thread_ts=post.thread_ts,
                    outbox_id=str(post.post_id),
                )
        raise NotImplementedError(f"Posts of kind {post.kind} are not made yet.")

    async def show_receipt(self, post: LeasedPost) -> str:
        """Put the present receipt on the agent's message in place of the one that is shown; returns it."""
        channel, ts = post.slack_channel_id, post.payload["ts"]
        receipt, shown = post.payload["receipt"], post.payload.get("shown")
        await self._slack.add_reaction(channel, ts, REACTION_OF[receipt])
        if shown is not None and shown != receipt:
            await self._slack.remove_reaction(channel, ts, REACTION_OF[shown])
        return str(receipt)

    def _text_of(self, post: LeasedPost) -> str:
        text = str(post.payload["text"])
        return with_root(text, self._command) if post.payload.get("names_commands") else text

    async def _channel_of(self, post: LeasedPost) -> str:
        if post.kind == "direct":
            return await self._slack.open_direct(post.slack_channel_id)
        return post.slack_channel_id

    async def _upload(self, post: LeasedPost, channel: str) -> None:
        sealed = self._ring.decrypt(post.payload["file"], table="slack_posts", column="payload", row=post.post_id)
        content = base64.b64decode(sealed)
        slot = await self._slack.reserve_upload(
            post.payload["filename"], len(content), alt_text=post.payload["alt_text"]
        )
        await in_database(relaying.keep_file_id, post, slot.file_id)
        await self._slack.put_bytes(slot.upload_url, content)
        await self._slack.complete_upload(slot.file_id, channel, comment=self._text_of(post))
