"""Files: reserved, uploaded, shared a moment later, downloaded with the token."""

from __future__ import annotations

import mimetypes
import time
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.slack.identifiers import Identifiers
    from sandbox.slack.refusal import Json
    from sandbox.slack.workspace import Channel, Installation


@dataclass(frozen=True)
class Share:
    """Where a file was shown: the message that carries it."""

    ts: str
    thread_ts: str | None
    channel: Channel


@dataclass(eq=False)
class File:
    """One file.

    `content` is None until its bytes were sent; it is `complete` once it was handed over to Slack, `processed` when
    Slack has looked at it, a moment later, and for ever `deleted`.
    """

    id: str
    name: str
    size: int
    user: str
    team_id: str
    address: str
    alt_txt: str = ""
    title: str = ""
    content: bytes | None = None
    complete: bool = False
    processed: bool = False
    deleted: bool = False
    created: int = field(default_factory=lambda: int(time.time()))
    shares: list[Share] = field(default_factory=list)

    @property
    def mimetype(self) -> str:
        """Guessed from the name, as Slack does; empty while the file is not processed."""
        return (mimetypes.guess_type(self.name)[0] or "application/octet-stream") if self.processed else ""

    def as_json(self) -> Json:
        """The file as `files.info` and a message's `files[]` show it."""
        if self.deleted:
            return {"id": self.id, "mode": "tombstone"}
        url = f"{self.address}/files-pri/{self.team_id}-{self.id}"
        return {
            "id": self.id,
            "created": self.created,
            "timestamp": self.created,
            "name": self.name,
            "title": self.title or self.name,
            "mimetype": self.mimetype,
            "filetype": PurePath(self.name).suffix.removeprefix(".") if self.processed else "",
            "user": self.user,
            "size": self.size,
            "mode": "hosted",
            "file_access": "visible",
            "is_external": False,
            "is_public": any(share.channel.kind == "channel" for share in self.shares),
            "alt_txt": self.alt_txt,
            "url_private": f"{url}/{self.name}",
            "url_private_download": f"{url}/download/{self.name}",
            "permalink": f"{self.address}/files/{self.user}/{self.id}/{self.name}",
            "channels": [share.channel.id for share in self.shares if share.channel.kind == "channel"],
            "groups": [share.channel.id for share in self.shares if share.channel.kind == "group"],
            "ims": [share.channel.id for share in self.shares if share.channel.kind == "im"],
            "shares": self._shares(),
        }

    def _shares(self) -> Json:
        places: Json = {}
        for share in self.shares:
            visibility = "public" if share.channel.kind == "channel" else "private"
            shown = {"ts": share.ts, "channel_name": share.channel.name, "team_id": self.team_id, "reply_count": 0}
            if share.thread_ts:
                shown["thread_ts"] = share.thread_ts
            places.setdefault(visibility, {}).setdefault(share.channel.id, []).append(shown)
        return places


class Files:
    """Every file of the workspace, and the secret addresses to which bytes are sent."""

    def __init__(self, identifiers: Identifiers, installation: Installation) -> None:
        self._identifiers = identifiers
        self._installation = installation
        self.by_id: dict[str, File] = {}
        self.upload_tickets: dict[str, File] = {}

    def reserve(self, name: str, size: int, *, user: str, address: str, alt_txt: str = "") -> File:
        """A file without bytes; `address` is where this Slack is reached."""
        file = File(
            id=self._identifiers.new("F"),
            name=PurePath(name).name,
            size=size,
            user=user,
            team_id=self._installation.team_id,
            address=address,
            alt_txt=alt_txt,
        )
        self.by_id[file.id] = file
        return file

    def ticket(self, file: File) -> str:
        """The secret end of the address to which the bytes of `file` are to be posted."""
        ticket = self._identifiers.new("", "upload")
        self.upload_tickets[ticket] = file
        return ticket
