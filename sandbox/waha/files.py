"""Media files that WAHA keeps for a short while after it downloaded them."""

from __future__ import annotations

import mimetypes
import time
from dataclasses import dataclass

from aiohttp import web

from sandbox.waha import errors
from sandbox.waha.environment import Environment, Json
from sandbox.waha.mailbox import Row
from sandbox.whatsapp import Media

# WAHA names itself like this unless it was told better, so whoever is on another host has to replace it.
BASE_URL = "http://localhost:3000"


@dataclass(frozen=True)
class _Kept:
    media: Media
    until: float


class Files:
    def __init__(self, environment: Environment, *, lifetime_seconds: float) -> None:
        self._environment = environment
        self._lifetime_seconds = lifetime_seconds
        self._kept: dict[str, _Kept] = {}

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/files/{session}/{name}", self.get)]

    def forget_all(self) -> None:
        self._kept.clear()

    def publish(self, session: str, row: Row) -> Json | None:
        """Keeps the file of a message for its lifetime; returns `media` of its payload, None if it has no file."""
        media = row.file
        if media is None:
            return None
        path = f"/api/files/{session}/{row.serialized}{_extension(media.mimetype)}"
        until = time.monotonic() + self._environment.seconds(self._lifetime_seconds)
        self._kept[path] = _Kept(media, until)
        return {
            "url": BASE_URL + path,
            "mimetype": media.mimetype,
            "filename": media.filename,
            "s3": None,
            "error": None,
        }

    async def get(self, request: web.Request) -> web.Response:
        kept = self._kept.get(request.path)
        if kept is None or kept.until < time.monotonic():
            raise errors.file_not_found(f"{request.path} is not there")
        return web.Response(body=kept.media.data, headers={"Content-Type": kept.media.mimetype})


def _extension(mimetype: str) -> str:
    return mimetypes.guess_extension(mimetype.split(";", maxsplit=1)[0]) or ".bin"
