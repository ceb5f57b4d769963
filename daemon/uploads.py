"""Files on their way to Slack: shared as a message of their own, or shown inside one of ours.

A file is reserved, its id kept, its bytes sent, and then handed over: by the id an interrupted upload is found again.
"""

from __future__ import annotations

import asyncio
import base64

from daemon.drawings import Drawings
from database import in_database
from operations import made_files, relaying
from operations.encryption import KeyRing
from operations.relaying import LeasedPost
from slack.client import SlackClient
from slack.errors import SlackRefused, SlackUncertain

# Seconds: a file appears after Slack has looked for viruses in it. Later than this is left to the look-up.
_LOOKS = (0.2, 0.5, 1, 2, 3)


class Uploads:
    """Files of posts, through one Slack client."""

    def __init__(self, slack: SlackClient, ring: KeyRing, drawings: Drawings) -> None:
        self._slack = slack
        self._ring = ring
        self._drawings = drawings

    async def share(self, post: LeasedPost, channel: str, comment: str) -> str:
        """Share a file; its message comes a moment later, and only with it this is done.

        Raises:
            SlackUncertain: the message has not come yet.
        """
        return await self._appears(await self._handed_over(post, channel, comment), channel)

    async def share_anew(self, post: LeasedPost, channel: str, comment: str, *, instead_of: str) -> str:
        """Share what could not be shown inside a message, under another id: Slack hands a file over once."""
        await self._slack.delete_file(instead_of)
        file_id = await self._send_bytes(post)
        await self._complete(post, file_id, channel, comment)
        return await self._appears(file_id, channel)

    async def to_be_shown(self, post: LeasedPost) -> str:
        """The id of the file for a block of ours, as soon as Slack takes it there, or may."""
        file_id = await self._handed_over(post, None, "")
        for pause in _LOOKS:
            if await self._slack.file_is_ready(file_id):
                break
            await asyncio.sleep(pause)
        return file_id

    async def shared_at(self, file_id: str, channel: str) -> str | None:
        shares = await self._slack.file_shares(file_id)
        return next((share.ts for share in shares if share.channel == channel), None)

    async def _appears(self, file_id: str, channel: str) -> str:
        for pause in _LOOKS:
            await asyncio.sleep(pause)
            if ts := await self.shared_at(file_id, channel):
                return ts
        raise SlackUncertain("files.info", "The file is not shared yet.")

    async def _handed_over(self, post: LeasedPost, channel: str | None, comment: str) -> str:
        if post.file_id is not None and await self._complete(post, post.file_id, channel, comment):
            return post.file_id
        file_id = await self._send_bytes(post)
        if not await self._complete(post, file_id, channel, comment):
            raise SlackUncertain("files.completeUploadExternal", "Slack does not know the file that it just took.")
        return file_id

    async def _send_bytes(self, post: LeasedPost) -> str:
        content = await self._content_of(post)
        slot = await self._slack.reserve_upload(
            post.payload["filename"], len(content), alt_text=post.payload["alt_text"]
        )
        await in_database(relaying.keep_file_id, post, slot.file_id)
        await self._slack.put_bytes(slot.upload_url, content)
        return slot.file_id

    async def _content_of(self, post: LeasedPost) -> bytes:
        if "drawing" in post.payload:
            return self._drawings.take(post.post_id)
        if (contents := post.payload.get("contents")) and post.tenant_id is not None:
            return await in_database(made_files.content, contents, post.tenant_id)
        sealed = self._ring.decrypt(post.payload["file"], table="slack_posts", column="payload", row=post.post_id)
        return base64.b64decode(sealed)

    async def _complete(self, post: LeasedPost, file_id: str, channel: str | None, comment: str) -> bool:
        """Hand a file over; False when Slack never got its bytes. To hand it over again changes nothing."""
        try:
            await self._slack.complete_upload(file_id, channel, thread_ts=post.thread_ts, comment=comment or None)
        except SlackRefused as error:
            if error.reason != "file_not_found":
                raise
            return False
        return True
