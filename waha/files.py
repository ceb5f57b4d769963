from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlsplit

from waha.calls import WahaCalls
from waha.chat_ids import checked
from waha.errors import WahaRejected
from waha.payloads import SentMessage

_FILES = "/api/files/"
# WAHA sends these as a picture and converts no other; everything else goes as a document.
_PICTURES = frozenset({"image/jpeg", "image/png"})


class FileCalls(WahaCalls):
    """Files of messages, in and out."""

    async def download(self, url: str, *, max_bytes: int) -> bytes:
        """The file at a message's `media.url`, taken from the configured server whatever host the URL names.

        WAHA writes its own idea of its address there, often `localhost`. Nothing ever goes elsewhere, least the key.

        Raises:
            WahaRejected: the URL leads to no file of WAHA's own, or WAHA has deleted it (after 180 s by default).
            WahaUnreadable: the file is longer than `max_bytes`.
        """
        parts = urlsplit(url)
        _, found, name = parts.path.partition(_FILES)
        if not found or not name or ".." in name.split("/"):
            raise WahaRejected("The file does not lie on this WAHA.")
        answer = await self._answer(
            "GET", _FILES + name, headers={"Accept": "*/*"}, seconds=self.timeouts.media, max_bytes=max_bytes
        )
        return answer.content

    async def send_file(
        self,
        session: str,
        chat_id: str,
        content: bytes,
        *,
        filename: str,
        mimetype: str,
        caption: str | None = None,
        reply_to: str | None = None,
    ) -> SentMessage:
        """Send a picture or a document; WAHA takes about 37 MB.

        No id of ours goes with it: WAHA does not document one for files, so an unknown outcome cannot be looked up.

        Raises:
            BadRecipient: `chat_id` is none.
        """
        data = base64.b64encode(content).decode()
        body: dict[str, Any] = {
            "session": session,
            "chatId": checked(chat_id),
            "file": {"mimetype": mimetype, "filename": filename, "data": data},
        }
        if caption is not None:
            body["caption"] = caption
        if reply_to is not None:
            body["reply_to"] = reply_to
        path = "/api/sendImage" if mimetype in _PICTURES else "/api/sendFile"
        return SentMessage.parse(await self.call("POST", path, body=body, seconds=self.timeouts.media))
