"""Looks after the sessions of one WAHA server: what people want against what is, one list call a poll."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from daemon.servers import Server, session_config
from database import in_database
from models import ServerState
from operations import observing
from operations.observing import PollLease, Seen, Wanted
from settings import DaemonSettings
from settings.logs import get_logger
from waha.errors import SessionExists, WahaBusy, WahaError, WahaKeyRefused
from waha.payloads import SessionInfo
from waha.status import status_of

log = get_logger(__name__)

_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=15)
# Longer than the longest control call, so that no session is restarted by two daemons at once.
_WHILE_CONTROLLING = timedelta(seconds=60)


@dataclass(frozen=True)
class Step:
    """What is done about a session: a verb of WAHA's."""

    verb: str
    wanted: Wanted


def plan(wanted: Collection[Wanted], seen: Mapping[str, SessionInfo]) -> list[Step]:
    """What to do about sessions that are not as people want them. Never a logout, never a deletion.

    A session that failed is restarted; one that waits for its code waits for a person.
    """
    steps = []
    for session in wanted:
        info = seen.get(session.external_session_id)
        verb = _verb(session.desired_state, info.waha_status if info is not None else None)
        if verb is not None and session.is_control_due:
            steps.append(Step(verb, session))
    return steps


def _verb(desired: str, waha_status: str | None) -> str | None:
    if desired == "stopped":
        return "stop" if waha_status not in {None, "STOPPED"} else None
    if waha_status is None:
        return "create"
    return {"STOPPED": "start", "FAILED": "restart"}.get(waha_status)


def observations(wanted: Collection[Wanted], seen: Mapping[str, SessionInfo], at: datetime) -> list[Seen]:
    """What differs from what is written; a quiet poll gives nothing and so writes nothing."""
    fresh = []
    for session in wanted:
        info = seen.get(session.external_session_id)
        if info is None:
            if session.is_deleted:
                # There is nothing to stop, and it need not be looked for again.
                fresh.append(Seen(session.tenant_id, session.session_id, "STOPPED", at))
            continue
        me = info.me
        is_same_account = me is None or session.metadata.get("me_id") == me.chat_id
        status = status_of(info.waha_status)
        if (status is None or status == session.status) and is_same_account:
            continue
        fresh.append(
            Seen(
                tenant_id=session.tenant_id,
                session_id=session.session_id,
                waha_status=info.waha_status,
                at=at,
                me_chat_id=me.chat_id if me is not None else None,
                me_name=me.push_name if me is not None else None,
            )
        )
    return fresh


class Reconciler:
    """One server, as long as this daemon holds its lease."""

    def __init__(self, server: Server, daemon: DaemonSettings) -> None:
        self._server = server
        # Missed by two polls, a daemon is taken for dead.
        self._lease = timedelta(seconds=max(3 * daemon.poll_seconds, 5))
        self._token: UUID = uuid4()

    async def step(self) -> bool:
        if not await self._holds(self._lease):
            return False
        seen = await self._poll()
        wanted = await in_database(observing.sessions_of, self._server.name)
        if seen is not None:
            await self._compare(wanted, seen)
        return False

    async def _holds(self, lease: timedelta) -> bool:
        """Take or renew the right to look after the server."""
        taken = await in_database(observing.lease_server, self._server.name, token=self._token, lease=lease)
        return taken is not None

    async def hand_over(self) -> None:
        """Let another daemon look after the server at once; without it they would wait for the end of the lease."""
        await in_database(observing.release_server, PollLease(self._server.name, self._token))

    async def _compare(self, wanted: list[Wanted], seen: tuple[datetime, dict[str, SessionInfo]]) -> None:
        at, sessions = seen
        fresh = observations(wanted, sessions, at)
        if fresh:
            await in_database(observing.record_poll, fresh)
        await self._settle(wanted, sessions)
        for step in plan(wanted, sessions):
            if await self._holds(_WHILE_CONTROLLING):
                await self._carry_out(step)

    async def _poll(self) -> tuple[datetime, dict[str, SessionInfo]] | None:
        """All sessions of the server by their WAHA name, and when they were asked for; None when it did not answer."""
        at = datetime.now(UTC)
        name, client = self._server.name, self._server.client
        try:
            status = await client.server_status()
            version = await client.version()
            sessions = {info.name: info for info in await client.list_sessions()}
        except WahaKeyRefused as error:
            sentence = (
                f"{error.sentence} A WAHA without a strong key of its own makes a new one at every start: "
                f"compare its WAHA_API_KEY with waha.servers.{name}.api_key."
            )
            await self._record(ServerState.KEY_REFUSED, error_message=sentence)
            return None
        except WahaError as error:
            await self._record(ServerState.DOWN, error_message=error.sentence)
            return None
        await self._record(
            ServerState.UP,
            version=version.version,
            engine=version.engine,
            start_timestamp=int(status.started_at.timestamp() * 1000),
        )
        return at, sessions

    async def _record(
        self,
        state: ServerState,
        *,
        error_message: str | None = None,
        version: str | None = None,
        engine: str | None = None,
        start_timestamp: int | None = None,
    ) -> None:
        before, restarted = await in_database(
            observing.record_server,
            self._server.name,
            state,
            error_message=error_message,
            version=version,
            engine=engine,
            start_timestamp=start_timestamp,
        )
        if before != state:
            say = log.info if state is ServerState.UP else log.error
            say("WAHA server changed", server=self._server.name, state=state.value, reason=error_message)
        if restarted:
            log.warning("WAHA was restarted: webhooks that it had yet to repeat are lost", server=self._server.name)

    async def _settle(self, wanted: list[Wanted], sessions: Mapping[str, SessionInfo]) -> None:
        for session in wanted:
            info = sessions.get(session.external_session_id)
            if info is not None and info.waha_status == "WORKING" and session.control_attempts:
                await in_database(observing.control_settled, session.tenant_id, session.session_id)

    async def _carry_out(self, step: Step) -> None:
        session, error = step.wanted, None
        try:
            await self._call(step)
            log.info("session controlled", verb=step.verb, session_id=session.session_id)
        except SessionExists:
            pass  # an earlier call that we never heard of created it
        except WahaBusy as busy:
            error = busy.sentence
            log.info("session is busy, seen to at the next poll", verb=step.verb, session_id=session.session_id)
        except WahaError as failed:
            error = failed.sentence
            log.warning("session not controlled", verb=step.verb, session_id=session.session_id, reason=error)
        await in_database(
            observing.control_tried,
            session.tenant_id,
            session.session_id,
            pause=pause_after(session.control_attempts),
            error=error,
        )

    async def _call(self, step: Step) -> None:
        client, name = self._server.client, step.wanted.external_session_id
        match step.verb:
            case "create":
                await client.create_session(name, session_config(step.wanted, self._server), start=True)
            case "start":
                await client.start_session(name)
            case "restart":
                await client.restart_session(name)
            case "stop":
                await client.stop_session(name)


def pause_after(attempts: int) -> timedelta:
    """5 s, 10 s, 20 s … up to 15 minutes between tries to bring a session where it should be."""
    doubled: timedelta = _FIRST_PAUSE * 2 ** min(attempts, 20)
    return min(doubled, _LONGEST_PAUSE)
