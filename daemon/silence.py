"""Watches sessions that say that they work: whether they tell what WAHA knows, hear themselves, and can send."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from daemon.loops import Crew
from daemon.servers import Server
from database import in_database
from database.notifications import Wakeup
from operations import canaries, learning, silence, silent_sending
from operations.hearing import canary_text
from operations.silence_course import Watched
from settings.logs import get_logger
from waha.errors import WahaError

log = get_logger(__name__)

_AT_ONCE = 2
# As many chats as may stand above the one that matters: stories and channels come first in some lists.
_CHATS = 10
_LOOK_AT_SENDING_EVERY_SECONDS = 30.0


class SilenceWatch:
    """The sessions of all servers; two of a server at once, so that a WAHA that hangs keeps no other waiting."""

    def __init__(self, servers: Mapping[str, Server], wakeup: Wakeup) -> None:
        self._servers = servers
        self.wakeup = wakeup
        self._busy: Counter[str] = Counter()
        self.crew = Crew(_AT_ONCE * len(servers), wakeup)
        self._looked_at_sending: float | None = None

    async def step(self, *, now: datetime | None = None) -> bool:
        """Begin the checks that are due; `now` is PostgreSQL's clock where it is not handed in."""
        found = [await self._begin(server, now) for server in self._servers]
        if self._is_time_to_look_at_sending():
            await self.look_at_sending(now=now)
            found.append(bool(await in_database(learning.learn_some, now=now)))
        return any(found)

    async def look_at_sending(self, *, now: datetime | None = None) -> None:
        for session_id in await in_database(silent_sending.look, list(self._servers), now=now):
            log.warning("session does not send", session_id=session_id)

    def _is_time_to_look_at_sending(self) -> bool:
        moment = time.monotonic()
        if self._looked_at_sending is not None and moment - self._looked_at_sending < _LOOK_AT_SENDING_EVERY_SECONDS:
            return False
        self._looked_at_sending = moment
        return True

    async def _begin(self, server: str, now: datetime | None) -> bool:
        free = _AT_ONCE - self._busy[server]
        if free <= 0:
            return False
        leased = await in_database(silence.lease, server, free, now=now)
        for watched in leased:
            self._busy[server] += 1
            self.crew.start(self._watch(watched), session_id=str(watched.session_id))
        return bool(leased)

    async def _watch(self, watched: Watched) -> None:
        try:
            word = await self._look(watched)
        finally:
            self._busy[watched.server] -= 1
        if word:
            log.warning("silence watch", session_id=watched.session_id, conclusion=word)

    async def _look(self, watched: Watched) -> str:
        word = await self._write_to_itself(watched) if watched.is_canary_due else ""
        if not watched.is_check_due:
            await in_database(silence.give_back, watched)
            return word
        client = self._servers[watched.server].client
        try:
            chats = await client.chats_overview(watched.external_session_id, limit=_CHATS)
        except WahaError as error:
            log.info("chats not compared", session_id=watched.session_id, reason=error.sentence)
            await in_database(silence.record_unasked, watched)
            return word
        return await in_database(silence.record_chats, watched, chats) or word

    async def _write_to_itself(self, watched: Watched) -> str:
        """Look whether the last canary was heard, where one is awaited; else send one."""
        word = await in_database(canaries.look, watched)
        canary_id = "" if word else await in_database(canaries.begin, watched)
        if canary_id and watched.account is not None:
            client, text = self._servers[watched.server].client, canary_text(canary_id)
            try:
                await client.send_text(watched.external_session_id, watched.account, text, message_id=canary_id)
            except WahaError as error:
                log.info("canary not sent", session_id=watched.session_id, reason=error.sentence)
                await in_database(canaries.not_sent, watched, canary_id)
            else:
                await in_database(canaries.taken, watched, canary_id)
        return word
