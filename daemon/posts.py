"""How each kind of post is made in Slack, and how an interrupted one is looked up.

Payloads: `post` and `direct` {text, blocks?, root?, file?, filename?, alt_text?} · `ephemeral` {text, blocks?, user} ·
`update` {ts, text, blocks?} · `delete` {ts}, of all that is ours in a thread {ts, thread, asker} · `react` {ts,
receipt, shown?, tried?}. A `file` is base64, encrypted for its row; with `contents` it is made when it is sent
(`operations.made_files`). With `names_commands` the text is ours and mentions commands without the slash command that
they belong to.
"""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta

from daemon.erased_threads import sweep
from database import in_database
from operations import made_files, relaying
from operations.encryption import KeyRing
from operations.relaying import LeasedPost
from operations.wording import with_root
from settings.logs import get_logger
from slack.blocks import Block
from slack.client import SlackClient
from slack.errors import SlackRefused, SlackUncertain

log = get_logger(__name__)

# Slack's clock and ours differ; no message is older than the try that made it.
_LOOKS_BACK = timedelta(minutes=1)
_MAY_BE_REPEATED = frozenset({"react", "update", "delete"})  # the second time changes nothing
_BAD_BLOCKS = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
# Slack may fail at blocks without saying so: after so many failures the text goes alone.
_FAILURES_WITH_BLOCKS = 3
# Seconds: a file appears after Slack has looked for viruses in it. Later than this is left to the look-up.
_LOOKS_FOR_SHARE = (0.2, 0.5, 1, 2, 3)

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
        if not needs_look_up(post):
            return None
        if post.kind == "ephemeral":
            raise AtMostOnce
        channel = await self._channel_of(post)
        if post.file_id is not None:
            return await self._shared_at(post.file_id, channel)
        began = post.post_started_at or post.created_at
        return await self._slack.find_post(
            channel, str(post.post_id), thread_ts=post.thread_ts, oldest=began - _LOOKS_BACK
        )

    async def make(self, post: LeasedPost) -> str | None:
        """Make the post; its ts where Slack gives one.

        Blocks that Slack does not take, or at which it fails, are left out: the text says all that they say.
        """
        blocks = post.payload.get("blocks") if post.failures < _FAILURES_WITH_BLOCKS else None
        try:
            return await self._make(post, blocks)
        except SlackRefused as error:
            if not blocks or error.reason not in _BAD_BLOCKS:
                raise
            log.warning("blocks refused, posting the text alone", post_id=post.post_id, reason=str(error))
            return await self._make(post, None)

    async def _make(self, post: LeasedPost, blocks: list[Block] | None) -> str | None:
        place = post.slack_channel_id
        match post.kind:
            case "ephemeral":
                user, thread = post.payload["user"], post.thread_ts
                await self._slack.post_ephemeral(place, user, self._text_of(post), blocks=blocks, thread_ts=thread)
                return None
            case "update":
                await self._slack.update(place, post.payload["ts"], self._text_of(post), blocks=blocks)
                return str(post.payload["ts"])
            case "delete" if post.payload.get("thread"):
                await sweep(self._slack, post)
                return str(post.payload["ts"])
            case "delete":
                await self._slack.delete(place, post.payload["ts"])
                return str(post.payload["ts"])
            case "post" | "direct" if "file" in post.payload:
                return await self._upload(post, await self._channel_of(post))
            case "post" | "direct":
                return await self._slack.post(
                    await self._channel_of(post),
                    self._text_of(post),
                    blocks=blocks,
                    thread_ts=post.thread_ts,
                    outbox_id=str(post.post_id),
                )
        raise NotImplementedError(f"Posts of kind {post.kind} are not made yet.")

    async def show_receipt(self, post: LeasedPost) -> str:
        """Put the present receipt on the agent's message in place of those that are or may be shown; returns it."""
        channel, ts = post.slack_channel_id, post.payload["ts"]
        receipt = str(post.payload["receipt"])
        await self._slack.add_reaction(channel, ts, REACTION_OF[receipt])
        for other in outdated_receipts(post):
            await self._slack.remove_reaction(channel, ts, REACTION_OF[other])
        return receipt

    def _text_of(self, post: LeasedPost) -> str:
        text = str(post.payload["text"])
        return with_root(text, self._command) if post.payload.get("names_commands") else text

    async def _channel_of(self, post: LeasedPost) -> str:
        if post.kind == "direct":
            return await self._slack.open_direct(post.slack_channel_id)
        return post.slack_channel_id

    async def _upload(self, post: LeasedPost, channel: str) -> str:
        """Share a file; its message comes a moment later, and only with it this is done.

        Raises:
            SlackUncertain: the message has not come yet.
        """
        if post.file_id is None or not await self._complete(post, post.file_id, channel):
            file_id = await self._send_bytes(post)
            if not await self._complete(post, file_id, channel):
                raise SlackUncertain("files.completeUploadExternal", "Slack does not know the file that it just took.")
        else:
            file_id = post.file_id
        for pause in _LOOKS_FOR_SHARE:
            await asyncio.sleep(pause)
            if ts := await self._shared_at(file_id, channel):
                return ts
        raise SlackUncertain("files.info", "The file is not shared yet.")

    async def _send_bytes(self, post: LeasedPost) -> str:
        content = await self._content_of(post)
        slot = await self._slack.reserve_upload(
            post.payload["filename"], len(content), alt_text=post.payload["alt_text"]
        )
        await in_database(relaying.keep_file_id, post, slot.file_id)
        await self._slack.put_bytes(slot.upload_url, content)
        return slot.file_id

    async def _content_of(self, post: LeasedPost) -> bytes:
        if (contents := post.payload.get("contents")) and post.tenant_id is not None:
            return await in_database(made_files.content, contents, post.tenant_id)
        sealed = self._ring.decrypt(post.payload["file"], table="slack_posts", column="payload", row=post.post_id)
        return base64.b64decode(sealed)

    async def _complete(self, post: LeasedPost, file_id: str, channel: str) -> bool:
        """Hand a file over; False when Slack never got its bytes. To hand it over again changes nothing."""
        try:
            await self._slack.complete_upload(
                file_id, channel, thread_ts=post.thread_ts, comment=self._text_of(post) or None
            )
        except SlackRefused as error:
            if error.reason != "file_not_found":
                raise
            return False
        return True

    async def _shared_at(self, file_id: str, channel: str) -> str | None:
        shares = await self._slack.file_shares(file_id)
        return next((share.ts for share in shares if share.channel == channel), None)


def needs_look_up(post: LeasedPost) -> bool:
    """Whether an earlier try may have been made, and a second one would show. A file may be shown at any time."""
    was_interrupted = post.post_started_at is not None or post.file_id is not None
    return was_interrupted and post.kind not in _MAY_BE_REPEATED


def outdated_receipts(post: LeasedPost) -> set[str]:
    """The receipts that stand on a message, or may since a try was interrupted, besides the present one."""
    shown = post.payload.get("shown")
    return {*post.payload.get("tried", []), *([shown] if shown else [])} - {post.payload.get("receipt")}
