"""The WAHA servers: what is last known of each, how full it is, and where a new session goes."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf
from uuid import UUID

from database import transaction
from models import Engine, ServerState, WahaServer, now_utc, uuid7
from operations import audit
from operations.encryption import KeyRing
from operations.errors import Conflict, NotFound
from operations.sql import changed, first, lock, rows
from slack.mrkdwn import escape

_NEARNESS = {ServerState.UP: 0, ServerState.UNKNOWN: 1, ServerState.DOWN: 2, ServerState.KEY_REFUSED: 3}


@dataclass(frozen=True)
class _Key:
    id: UUID
    webhook_hmac_key: str | None


@dataclass(frozen=True)
class ServerView:
    """What is last known of a server."""

    name: str
    state: str
    error_message: str | None
    version: str | None
    engine: str | None


def webhook_key(server: str, ring: KeyRing) -> str:
    """The HMAC key of a server's webhooks, made once and kept encrypted."""
    with transaction():
        changed("INSERT INTO waha_servers (id, name) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING", (uuid7(), server))
        row = first(_Key, "SELECT id, webhook_hmac_key FROM waha_servers WHERE name = %s FOR UPDATE", (server,))
        if row is None:
            raise LookupError(server)
        if row.webhook_hmac_key is not None:
            place = {"table": "waha_servers", "column": "webhook_hmac_key", "row": row.id}
            return ring.decrypt(row.webhook_hmac_key, **place).decode()  # type: ignore[arg-type]
        key = secrets.token_hex(32)
        sealed = ring.encrypt(key.encode(), table="waha_servers", column="webhook_hmac_key", row=row.id)
        changed("UPDATE waha_servers SET webhook_hmac_key = %s WHERE id = %s", (sealed, row.id))
        return key


def views(names: Iterable[str]) -> dict[str, ServerView]:
    found = rows(
        ServerView,
        "SELECT name, state, error_message, version, engine FROM waha_servers WHERE name = ANY (%s)",
        (list(names),),
    )
    return {one.name: one for one in found}


@dataclass(frozen=True)
class Load:
    """How many live sessions a server has, over all tenants; troubled is what should run and does not work."""

    server: str
    sessions: int = 0
    working: int = 0
    stopped_by_people: int = 0
    troubled: int = 0
    oldest_trouble_at: datetime | None = None


@dataclass(frozen=True)
class Host:
    """A server of the settings with all that is known of it; capacity 0 is no limit."""

    name: str
    capacity: int
    load: Load
    state: ServerState = ServerState.UNKNOWN
    error_message: str | None = None
    version: str | None = None
    engine: str | None = None
    worker_id: str | None = None
    observed_at: datetime | None = None
    last_webhook_at: datetime | None = None
    draining_since: datetime | None = None

    @property
    def free(self) -> float:
        return self.capacity - self.load.sessions if self.capacity else inf

    def why_not(self, engine: Engine | None) -> str | None:
        """Why no new session goes there, as the end of a sentence; None where one may."""
        if self.draining_since is not None:
            return "is being drained"
        if self.free <= 0:
            return f"is full ({self.load.sessions} of {self.capacity})"
        if engine is not None and self.engine not in {None, engine.value}:
            return f"runs {escape(self.engine or '')}, not {engine.value}"
        return None


def hosts(names: Iterable[str], capacities: Mapping[str, int]) -> list[Host]:
    """The servers of the settings, in their order, each with what it has; in the running transaction."""
    loads = {load.server: load for load in rows(Load, "SELECT * FROM sessions_by_server()")}
    # The bot may not read the webhook key, so the columns are named.
    columns = [getattr(WahaServer, name) for name in ("name", *_KNOWN)]
    known = {server.name: server for server in WahaServer.select(*columns)}
    return [
        Host(
            name,
            capacities.get(name, 0),
            loads.get(name, Load(name)),
            **{field: getattr(known[name], field) for field in _KNOWN if name in known},
        )
        for name in names
    ]


_KNOWN = (
    *("state", "error_message", "version", "engine", "worker_id", "observed_at", "last_webhook_at"),
    "draining_since",
)


def place(
    names: Collection[str], capacities: Mapping[str, int], engine: Engine | None = None, *, wish: str | None = None
) -> str:
    """The server for a new session: one that answers, has the most room, is not drained and runs `engine`.

    In the transaction that adds the session, which then is alone in placing one. Where none answers at present, one
    that is away does: the session is created when it is back. `wish` is the server that a person named.

    Raises:
        Conflict: none of them may have it, with the reason for each.
    """
    lock("placing a session")
    choices = [host for host in hosts(names, capacities) if wish is None or host.name == wish]
    fitting = [host for host in choices if host.why_not(engine) is None]
    if not fitting:
        reasons = "; ".join(f"`{escape(host.name)}` {host.why_not(engine)}" for host in choices)
        if engine is not None and any(host.why_not(None) is None for host in choices):
            raise Conflict(f"No WAHA server may have a session with {engine}: {reasons}. Leave `--engine` out.")
        raise Conflict(
            f"No WAHA server may have another session: {reasons}. An operator sees them with `server list`, lets one "
            "have sessions again with `server undrain NAME`, or adds a server or its `capacity` to the settings."
        )
    return min(fitting, key=lambda host: (_NEARNESS[host.state], -host.free, host.load.sessions, host.name)).name


@dataclass(frozen=True)
class OnServer:
    """A session of a server, for an operator."""

    tenant_name: str
    name: str
    status: str
    desired_state: str
    status_changed_at: datetime | None


def sessions_on(server: str, *, most: int) -> list[OnServer]:
    """The sessions of a server, those in trouble first, the longest trouble before others."""
    return rows(OnServer, "SELECT * FROM sessions_on_server(%s, %s)", (server, most))


def drain(server: str, *, actor: str) -> bool:
    """No new session is placed there from now on; those that it has stay. False where that is so already.

    Raises:
        NotFound: no daemon has looked at a server of that name yet.
    """
    return _set_draining(server, "server.drain", now_utc(), actor=actor)


def undrain(server: str, *, actor: str) -> bool:
    """New sessions may be placed there again; False where they may already.

    Raises:
        NotFound: no daemon has looked at a server of that name yet.
    """
    return _set_draining(server, "server.undrain", None, actor=actor)


def _set_draining(server: str, action: str, since: datetime | None, *, actor: str) -> bool:
    columns = (WahaServer.id, WahaServer.name, WahaServer.draining_since)
    known = WahaServer.select(*columns).where(WahaServer.name == server).first()
    if known is None:
        raise NotFound(
            f"Nothing is known of WAHA server `{escape(server)}` yet: a daemon has to look at it first. "
            "See that one runs, then try again."
        )
    if (known.draining_since is None) == (since is None):
        return False
    changed("UPDATE waha_servers SET draining_since = %s WHERE id = %s", (since, known.id))
    audit.record(actor, action, known, tenant_id=None, after={"server": server})
    return True
