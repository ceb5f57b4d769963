"""How each kind of post is made in Slack, and how an interrupted one is looked up.

Payloads: `post` and `direct` {text, blocks?, root?, file?, filename?, alt_text?, below?} · `ephemeral` {text,
blocks?, user} · `update` {ts, text, blocks?, direct?} · `delete` {ts}, of all that is ours in a thread {ts, thread,
asker} · `react` {ts, receipt, shown?, tried?} · `publish` {text, blocks}, a person's home. A `file` is base64,
encrypted for its row; with `contents` it is made when it is sent (`operations.made_files`). With `picture` the file
is shown inside the message (`daemon.pictures`), which an `update` of the same lane replaces: {of, text, file?, …}
names the post before it by its id; `delete` {file_of} takes away what that one uploaded. A `drawing` is figures, of
which a file is made before (`daemon.drawings`). `sealed_text` is the text, encrypted for its row; `text` then says
what it is. With `names_commands` the text is ours and mentions commands without the slash command that they belong
to.
"""

from __future__ import annotations

from datetime import timedelta

from daemon.drawings import Drawings
from daemon.erased_threads import sweep
from daemon.pictures import Pictures
from daemon.uploads import Uploads
from operations.encryption import KeyRing
from operations.relaying import LeasedPost
from operations.wording import rooted, with_root
from settings.logs import get_logger
from slack.blocks import Block
from slack.client import SlackClient
from slack.errors import SlackRefused

log = get_logger(__name__)

# Slack's clock and ours differ; no message is older than the try that made it.
_LOOKS_BACK = timedelta(minutes=1)
_MAY_BE_REPEATED = frozenset({"react", "update", "delete", "publish"})  # the second time changes nothing
_BAD_BLOCKS = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
# Slack may fail at blocks without saying so: after so many failures the text goes alone.
_FAILURES_WITH_BLOCKS = 3

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

    def __init__(self, slack: SlackClient, ring: KeyRing, command: str, drawings: Drawings | None = None) -> None:
        self.drawings = drawings or Drawings()
        self._slack = slack
        self._ring = ring
        self._command = command
        self._uploads = Uploads(slack, ring, self.drawings)
        self._pictures = Pictures(slack, self._uploads)

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
        is_inside = bool(post.payload.get("picture"))
        if post.file_id is not None and not is_inside:
            return await self._uploads.shared_at(post.file_id, channel)
        began = post.post_started_at or post.created_at
        found = await self._slack.find_post(
            channel, str(post.post_id), thread_ts=post.thread_ts, oldest=began - _LOOKS_BACK
        )
        return await self._pictures.look_up(post, channel, found) if is_inside else found

    async def make(self, post: LeasedPost) -> str | None:
        """Make the post; its ts where Slack gives one.

        Blocks that Slack does not take, or at which it fails, are left out: the text says all that they say.
        """
        if post.kind == "publish":
            # Without its blocks it would be empty: what Slack does not take is refused as a whole.
            await self._slack.publish_home(post.slack_channel_id, self._blocks_of(post) or [])
            return None
        blocks = self._blocks_of(post) if post.failures < _FAILURES_WITH_BLOCKS else None
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
            case "update" if "of" in post.payload:
                return await self._pictures.replace(post, await self._channel_of(post), self._text_of(post))
            case "update":
                channel = await self._channel_of(post)
                await self._slack.update(channel, post.payload["ts"], self._text_of(post), blocks=blocks)
                return str(post.payload["ts"])
            case "delete" if post.payload.get("thread"):
                await sweep(self._slack, post)
                return str(post.payload["ts"])
            case "delete" if "file_of" in post.payload:
                await self._pictures.take_away(post)
                return None
            case "delete":
                await self._slack.delete(place, post.payload["ts"])
                return str(post.payload["ts"])
            case "post" | "direct" if post.payload.get("picture"):
                return await self._pictures.show(post, await self._channel_of(post), self._text_of(post))
            case "post" | "direct" if "file" in post.payload:
                return await self._uploads.share(post, await self._channel_of(post), self._text_of(post))
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
        if sealed := post.payload.get("sealed_text"):
            opened = self._ring.decrypt(sealed, table="slack_posts", column="payload", row=post.post_id)
            text = opened.decode()
        return with_root(text, self._command) if post.payload.get("names_commands") else text

    def _blocks_of(self, post: LeasedPost) -> list[Block] | None:
        blocks: list[Block] | None = post.payload.get("blocks")
        return rooted(blocks, self._command) if blocks and post.payload.get("names_commands") else blocks

    async def _channel_of(self, post: LeasedPost) -> str:
        if post.kind == "direct" or "of" in post.payload or post.payload.get("direct"):
            return await self._slack.open_direct(post.slack_channel_id)
        return post.slack_channel_id


def needs_look_up(post: LeasedPost) -> bool:
    """Whether an earlier try may have been made, and a second one would show. A file may be shown at any time."""
    was_interrupted = post.post_started_at is not None or post.file_id is not None
    return was_interrupted and post.kind not in _MAY_BE_REPEATED


def outdated_receipts(post: LeasedPost) -> set[str]:
    """The receipts that stand on a message, or may since a try was interrupted, besides the present one."""
    shown = post.payload.get("shown")
    return {*post.payload.get("tried", []), *([shown] if shown else [])} - {post.payload.get("receipt")}
