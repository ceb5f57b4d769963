"""What a check-up reads from the database; each check is a function of its own, so that one takes no other with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from database import connection, transaction
from database.opening import connection_budget
from database.pool import PoolFigures
from models import ProcessKind, RoutePurpose
from operations import measuring, processes
from operations.encryption import KeyRing
from operations.findings import Finding, bad, ok, warn
from operations.measuring import Measured
from operations.processes import Running
from operations.sql import database_now, first, rows, value
from operations.wording import counted
from settings import ROLES

# PostgreSQL ends a statement of ours after 15 s; what takes longer is somebody else's.
_LONG_TRANSACTION = timedelta(minutes=5)
_OLDEST_POSTGRES = 140000


@dataclass(frozen=True)
class Queue:
    """How long the oldest of a queue may wait, in seconds, before a person is told; and what to look at then."""

    what: str
    warn: float
    bad: float
    look_at: str


_DAEMON_RUNS = "see whether a daemon with role `{role}` runs (`supervisorctl status`), and what it logs"
QUEUES: Mapping[str, Queue] = {
    "webhooks": Queue("webhooks of WAHA to be handled", 60, 600, _DAEMON_RUNS.format(role="inbox")),
    "slack_events": Queue("events of Slack to be handled", 60, 600, _DAEMON_RUNS.format(role="inbox")),
    "commands": Queue("commands to be answered", 60, 600, "see whether the bot runs, and what it logs"),
    # A session that is away holds its messages; what is too old asks a person by itself.
    "messages": Queue("messages to be sent", 900, float("inf"), "`session list` shows which session holds them"),
    "posts": Queue("posts for Slack", 300, 3600, _DAEMON_RUNS.format(role="relay")),
    "actions": Queue("things asked of WAHA", 120, 900, _DAEMON_RUNS.format(role="reconciler")),
}
_PARKED = {
    "webhooks": "the runbook says how to look at them: docs/runbook.md, Webhooks could not be handled",
    "slack_events": "the daemon's log says why each was set aside: `event parked`",
    "messages": "`message failed` lists them, and sends them again or drops them",
    "posts": "`error` says why: docs/runbook.md, Slack is away or refuses, has the statement that posts them after all",
}


def postgres() -> Finding:
    """That it answers, and which it is."""
    with connection():
        number, name = int(value("SHOW server_version_num")), str(value("SHOW server_version"))
    if number < _OLDEST_POSTGRES:
        return warn("database.version", f"PostgreSQL {name}; tried with 14 and later.", "bring PostgreSQL up to date")
    return ok("database.version", f"PostgreSQL {name} answers.")


def connections() -> Finding:
    with connection():
        budget = connection_budget(PoolFigures().max_size)
    ours = "1 process" if budget.processes == 1 else f"{budget.processes} processes"
    figures = (
        f"{budget.is_open} of {budget.allowed} connections are open; {ours} of ours may open {budget.wanted} together."
    )
    if budget.wanted > budget.allowed:
        fix = (
            f"set max_connections of PostgreSQL to {budget.wanted + 20} or more and restart it, or run fewer processes"
        )
        return warn("database.connections", figures, fix)
    return ok("database.connections", figures)


@dataclass(frozen=True)
class _Open:
    longest: timedelta | None
    longest_pid: int | None
    waiting: int
    holder_pid: int | None


def transactions() -> Finding:
    """Whatever is open for long keeps dead rows from being cleared, and may lock out a migration."""
    with connection():
        [found] = rows(_Open, "SELECT * FROM open_transactions()")
    longest = found.longest or timedelta(0)
    said = f"The longest transaction has been open for {spoken(longest)}; {found.waiting} wait for a lock for over 5 s."
    if found.waiting:
        return warn("database.transactions", said, _end(found.holder_pid, "holds what is waited for"))
    if longest > _LONG_TRANSACTION:
        return warn("database.transactions", said, _end(found.longest_pid, "is the longest open"))
    return ok("database.transactions", said)


def _end(pid: int | None, why: str) -> str:
    if pid is None:
        return "ask again; if it stays, see pg_prepared_xacts: a prepared transaction holds what is waited for"
    look = f"SELECT application_name, state, query FROM pg_stat_activity WHERE pid = {pid}"  # noqa: S608 - a number
    return (
        f"process {pid} of PostgreSQL {why}; as the owner of the tables see what it does: `{look}`, and end it: "
        f"`SELECT pg_terminate_backend({pid})`"
    )


def clock(asked_at: datetime, answered_at: datetime, theirs: datetime) -> Finding:
    """`theirs` was read between the two of ours."""
    return clock_of("database.clock", "PostgreSQL", asked_at + (answered_at - asked_at) / 2, theirs)


def clock_of(check: str, whose: str, ours: datetime, theirs: datetime) -> Finding:
    """Slack refuses requests that are five minutes off, and times in reports are compared across machines."""
    off = (theirs - ours).total_seconds()
    said = f"The clock of {whose} and of this machine differ by {abs(off):.1f} s."
    if abs(off) <= 5:  # noqa: PLR2004 - an HTTP date has whole seconds, and the way takes some
        return ok(check, said)
    behind = "This machine" if off > 0 else whose
    fix = "let both follow the time by NTP: `timedatectl set-ntp true`, or chrony in the host of the container"
    return warn(check, f"{said} {behind} is behind, or the other ahead.", fix)


def now_of_database() -> datetime:
    with connection():
        return database_now()


def keys(ring: KeyRing) -> Finding:
    """Whether every key that something is encrypted under is known here."""
    with transaction():
        needed = value("SELECT array_agg(key_id ORDER BY key_id) FROM keys_in_use WHERE retired_at IS NULL") or []
    missing = [key_id for key_id in needed if key_id not in ring.key_ids]
    if missing:
        return bad(
            "security.keys",
            f"{counted(len(missing), 'key')} that secrets are encrypted under: not known here ({', '.join(missing)}).",
            "put them back behind the others in security.encryption_keys; docs/runbook.md, A key for secrets was lost",
        )
    return ok("security.keys", f"{counted(len(ring.key_ids), 'key')} known, {len(needed)} in use.")


def who_runs(found: Sequence[Running], *, with_bot: bool = True) -> Iterator[Finding]:
    """`found` is `processes.running()`."""
    bots = [one for one in found if one.kind == ProcessKind.BOT]
    daemons = [one for one in found if one.kind == ProcessKind.DAEMON]
    start = (
        "start it: `.venv/bin/supervisorctl -c supervisord.conf start {name}`, or `docker compose up --detach {name}`"
    )
    if with_bot:
        yield _of_bots(bots) if bots else bad("bot.runs", "No bot runs.", start.format(name="bot"))
    if not daemons:
        yield bad("daemon.runs", "No daemon runs: nothing is sent, posted or taken in.", start.format(name="daemon"))
        return
    missing = [role for role in ROLES if not any(role in one.roles for one in daemons)]
    names = ", ".join(f"{one.name} (up {spoken(one.up)})" for one in daemons)
    if missing:
        fix = f"add {', '.join(missing)} to daemon.roles of one of them and restart it"
        yield bad("daemon.roles", f"No daemon has the role {', '.join(missing)}; running: {names}.", fix)
        return
    versions = {one.version for one in found}
    if len(versions) > 1:
        fix = "finish the update: start the older ones again"
        yield warn("daemon.runs", f"Several versions run: {', '.join(sorted(versions))}; {names}.", fix)
        return
    yield ok("daemon.runs", f"{names}; every role is taken.")


def _of_bots(bots: Sequence[Running]) -> Finding:
    said = []
    for one in bots:
        sockets = one.facts.get("sockets")
        heard = one.facts.get("last_envelope_seconds")
        parts = [f"up {spoken(one.up)}"]
        parts += [f"{sockets} sockets to Slack"] if sockets is not None else []
        parts += [f"last heard of Slack {spoken(timedelta(seconds=heard))} ago"] if heard is not None else []
        said.append(f"{one.name} ({', '.join(parts)})")
        if sockets == 0:
            fix = "see why in the bot's log; with an app token that is refused, make a new one with connections:write"
            return bad("bot.sockets", f"{one.name} has no socket to Slack: commands do not arrive.", fix)
    return ok("bot.runs", f"{'; '.join(said)}.")


def queues(measured: Collection[Measured]) -> Iterator[Finding]:
    """`measured` is `measuring.measure()`."""
    depth = _by_queue(measured, "queue_depth")
    age = _by_queue(measured, "queue_oldest_age_seconds")
    for name, queue in QUEUES.items():
        said = f"{depth.get(name, 0):.0f} {queue.what}, the oldest for {spoken(timedelta(seconds=age.get(name, 0)))}."
        if age.get(name, 0) <= queue.warn:
            yield ok(f"queue.{name}", said)
        elif age[name] <= queue.bad:
            yield warn(f"queue.{name}", said, queue.look_at)
        else:
            yield bad(f"queue.{name}", said, queue.look_at)
    for name, count in _by_queue(measured, "parked").items():
        if count:
            yield warn(f"parked.{name}", f"Set aside: {count:.0f} {QUEUES[name].what}.", _PARKED[name])


def _by_queue(measured: Collection[Measured], series: str) -> dict[str, float]:
    return {one.labels["queue"]: one.value for one in measured if one.series == series}


def looked_after(measured: Collection[Measured], servers: Collection[str]) -> Iterator[Finding]:
    """Whether a daemon polls each server of the settings."""
    leased = {one.labels["server"] for one in measured if one.series == "waha_server_leased" and one.value}
    for name in sorted(servers):
        if name not in leased:
            yield bad(
                f"waha.{name}.polled",
                f"No daemon looks after server {name}: its sessions are neither watched nor started.",
                f"run a daemon whose settings have [waha.servers.{name}] and whose daemon.roles have `reconciler`",
            )


@dataclass(frozen=True)
class LinkedChannel:
    slack_team_id: str
    slack_channel_id: str
    purposes: list[str]

    @property
    def shown(self) -> str:
        return f"{self.slack_channel_id} ({', '.join(RoutePurpose(one).value for one in self.purposes)})"


def linked_channels(limit: int) -> list[LinkedChannel]:
    """Of all tenants, the newest first."""
    with transaction():
        return rows(LinkedChannel, "SELECT * FROM linked_channels(%s)", (limit,))


@dataclass(frozen=True)
class KnownServer:
    """`heard_at` is when a webhook of it last arrived."""

    id: UUID
    webhook_hmac_key: str | None = field(repr=False)
    heard_at: datetime | None


def known_server(name: str) -> KnownServer | None:
    with transaction():
        return first(
            KnownServer,
            "SELECT id, webhook_hmac_key, last_webhook_at AS heard_at FROM waha_servers WHERE name = %s",
            (name,),
        )


def kept_webhook_key(server: KnownServer | None, ring: KeyRing) -> str:
    """The key that was made for a server whose settings have none; "" before one was made.

    Raises:
        CannotDecrypt: none of the keys opens it.
    """
    if server is None or server.webhook_hmac_key is None:
        return ""
    return ring.decrypt(
        server.webhook_hmac_key, table="waha_servers", column="webhook_hmac_key", row=server.id
    ).decode()


def who_and_how_much() -> tuple[list[Running], list[Measured]]:
    """The two lists that several checks read."""
    return processes.running(), measuring.measure()


def spoken(span: timedelta) -> str:
    """`12 s`, `5 min`, `3 h`, `2 days`."""
    seconds = max(0.0, span.total_seconds())
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
