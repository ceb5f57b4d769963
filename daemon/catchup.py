"""Reads what the sessions of WAHA's servers missed: after every kind of gap, and now and then where there was none."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from daemon.loops import Crew
from daemon.servers import Server
from database import DatabaseUnavailable, in_database
from database.notifications import Wakeup
from operations import catching_up, missed_messages, silence_recovered
from operations.catching_up import Leased, LeasedSession
from operations.missed_messages import Missed
from settings.logs import get_logger
from waha.client import WahaClient
from waha.errors import NotImplementedByEngine, WahaError
from waha.messages import Message

log = get_logger(__name__)

_AT_ONCE = 2
_MOST_FAILURES = 3


class Interrupted(Exception):
    """The lease was lost, or the daemon stops: whoever is next begins at the same place."""


class SessionReader:
    """The sessions of all servers; two of a server at once, so that a WAHA that hangs keeps no other waiting."""

    def __init__(
        self,
        servers: Mapping[str, Server],
        wakeup: Wakeup,
        stopping: asyncio.Event,
        *,
        every: timedelta,
        operators: Collection[str] = (),
        most_bytes: int = missed_messages.MOST_BYTES_AT_ONCE,
    ) -> None:
        self._servers = servers
        self._stopping = stopping
        self._every = every
        self._operators = operators
        self._most_bytes = most_bytes
        self._has_asked = False
        self.wakeup = wakeup
        self._busy: Counter[str] = Counter()
        self.crew = Crew(_AT_ONCE * len(servers), wakeup)

    async def step(self) -> bool:
        if self._stopping.is_set():
            return False
        if not self._has_asked:
            # Until a moment ago nobody may have taken webhooks.
            await in_database(catching_up.request, servers=list(self._servers))
            self._has_asked = True
        found = [await self._begin(server) for server in self._servers]
        return any(found)

    async def _begin(self, server: str) -> bool:
        free = _AT_ONCE - self._busy[server]
        if free <= 0:
            return False
        leased = await in_database(catching_up.lease_sessions, free, servers=[server], every=self._every)
        for session in leased:
            self._busy[server] += 1
            self.crew.start(self._read(session), session_id=str(session.session_id))
        return bool(leased)

    async def _read(self, session: LeasedSession) -> None:
        facts = {"session_id": session.session_id, "cause": session.cause}
        try:
            await self._catch_up(session)
        except WahaError as error:
            await in_database(catching_up.postpone, session, error.sentence, operators=self._operators)
            log.warning("session not caught up with, trying again", reason=error.sentence, **facts)
        except Interrupted as interrupted:
            await in_database(catching_up.go_on, session)
            log.info("catching up ends early", reason=str(interrupted), **facts)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"[:500]
            await in_database(catching_up.postpone, session, reason, operators=self._operators)
            log.exception("session cannot be caught up with", **facts)
        finally:
            self._busy[session.server] -= 1

    async def _catch_up(self, session: LeasedSession) -> None:
        client, name = self._servers[session.server].client, session.external_session_id
        info = await client.get_session(name)
        await self.keep(session)
        if info.waha_status != "WORKING":
            await in_database(catching_up.postpone, session, f"The session is {info.waha_status}.")
            return
        account = info.me.chat_id if info.me is not None else None
        since = session.since_of(account)
        missed: list[Missed] = []
        try:
            is_all = await self._collect(missed, client, session, since)
        except WahaError:
            # One chat that cannot be read keeps nothing of the others from people.
            await self._store(session, missed)
            raise
        recovered = await self._store(session, missed)
        if await in_database(silence_recovered.note, session, missed, recovered):
            log.warning("session is silent", session_id=session.session_id, recovered=recovered)
        receipts = await self._receipts(client, session)
        if is_all:
            await in_database(catching_up.complete_session, session, since=since, account=account)
        else:
            await in_database(catching_up.go_on, session, pause=catching_up.MORE_AFTER)
        if recovered or receipts:
            found = {"recovered": recovered, "receipts": receipts, "is_all": is_all}
            log.warning(
                "what was missed is recovered", session_id=session.session_id, cause=session.cause, since=since, **found
            )

    async def _collect(self, missed: list[Missed], client: WahaClient, session: LeasedSession, since: datetime) -> bool:
        """Add what is not known here; whether it is all: no more is held in memory than is stored in a moment."""
        pages = client.all_messages(
            session.external_session_id, since=since, until=session.until, turn=partial(self.keep, session)
        )
        size = 0
        async for page in pages:
            found = await in_database(missed_messages.unknown, session, page)
            missed += found
            size += sum(one.size for one in found)
            if len(missed) >= missed_messages.MOST_AT_ONCE or size >= self._most_bytes:
                return False
        return True

    async def _store(self, session: LeasedSession, missed: Sequence[Missed]) -> int:
        """Keep all that goes into one thread at once; how many messages were recovered."""
        recovered = 0
        for group in await in_database(missed_messages.by_conversation, session, missed):
            await self.keep(session)
            recovered += await in_database(missed_messages.store, session, group)
        return recovered

    async def _receipts(self, client: WahaClient, session: LeasedSession) -> int:
        """How far messages got that are not known to have arrived: the history tells no receipts, each is asked for."""
        found: list[Message] = []
        failures = 0
        for message_id in await in_database(missed_messages.unacknowledged, session):
            await self.keep(session)
            try:
                told = await client.find_message(session.external_session_id, message_id)
            except NotImplementedByEngine:
                break
            except WahaError as error:
                # Receipts are no reason to read messages again: the next catch-up asks for them.
                log.debug("receipt not found out", session_id=session.session_id, reason=error.sentence)
                failures += 1
                if failures >= _MOST_FAILURES:
                    break
                continue
            if told is not None and told.from_me:
                found.append(told)
        return await in_database(missed_messages.store_receipts, session, found) if found else 0

    async def keep(self, session: Leased) -> None:
        """Go on only as long as this is ours to do.

        Raises:
            Interrupted: it is not any more.
        """
        if self._stopping.is_set():
            raise Interrupted("The daemon stops.")
        if not await in_database(catching_up.renew, session):
            raise Interrupted("Another daemon reads on.")
