"""Pictures inside messages of ours: shown, replaced in place by the next one, and taken away with their files.

A file that is shared can only be deleted; one that is shown in a block of ours is replaced by changing the message.
Where Slack does not take such a block, the picture is shared after all, and the message before it deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.uploads import Uploads
from database import in_database
from operations import relaying
from operations.relaying import LeasedPost
from settings.logs import get_logger
from slack.blocks import Block, sections
from slack.errors import SlackRefused

if TYPE_CHECKING:
    from slack.client import SlackClient

log = get_logger(__name__)

_BAD_BLOCKS = frozenset({"invalid_blocks", "invalid_blocks_format", "slack_file_not_found"})


class Pictures:
    """Posts with `picture`, updates with `of`, deletions with `file_of`."""

    def __init__(self, slack: SlackClient, uploads: Uploads) -> None:
        self._slack = slack
        self._uploads = uploads

    async def show(self, post: LeasedPost, channel: str, text: str) -> str:
        """Post a message with the picture in it; its ts."""
        file_id = await self._uploads.to_be_shown(post)
        try:
            blocks, outbox_id = _blocks(post, text, file_id), str(post.post_id)
            return await self._slack.post(channel, text, blocks=blocks, thread_ts=post.thread_ts, outbox_id=outbox_id)
        except SlackRefused as error:
            _require_bad_blocks(error, post)
            return await self._uploads.share_anew(post, channel, text, instead_of=file_id)

    async def look_up(self, post: LeasedPost, channel: str, found: str | None) -> str | None:
        """Where a picture stands that may have been shared in place of a message of ours, which is `found`."""
        if found is not None or post.file_id is None:
            return found
        return await self._uploads.shared_at(post.file_id, channel)

    async def replace(self, post: LeasedPost, channel: str, text: str) -> str | None:
        """Bring the message of an earlier post up to date, with another picture or without any; where it stands."""
        earlier = await in_database(relaying.made_before, post, post.payload["of"])
        if earlier is None or earlier.slack_ts is None:
            return None  # it never came to be, and there is nothing to bring up to date
        if "file" not in post.payload:
            await self._slack.update(channel, earlier.slack_ts, text, blocks=sections(text))
            return earlier.slack_ts
        file_id = await self._uploads.to_be_shown(post)
        try:
            await self._slack.update(channel, earlier.slack_ts, text, blocks=_blocks(post, text, file_id))
        except SlackRefused as error:
            _require_bad_blocks(error, post)
            ts = await self._uploads.share_anew(post, channel, text, instead_of=file_id)
            await self._slack.delete(channel, earlier.slack_ts)
            return ts
        return earlier.slack_ts

    async def take_away(self, post: LeasedPost) -> None:
        """Delete the file of an earlier post, from Slack itself and wherever it is shown."""
        earlier = await in_database(relaying.made_before, post, post.payload["file_of"])
        if earlier is not None and earlier.file_id is not None:
            await self._slack.delete_file(earlier.file_id)


def _blocks(post: LeasedPost, text: str, file_id: str) -> list[Block]:
    image = {"type": "image", "slack_file": {"id": file_id}, "alt_text": post.payload["alt_text"]}
    return [*sections(text), image]


def _require_bad_blocks(error: SlackRefused, post: LeasedPost) -> None:
    if error.reason not in _BAD_BLOCKS:
        raise error
    log.warning("picture not taken in a message, sharing it", post_id=post.post_id, reason=error.reason)
