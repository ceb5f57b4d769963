"""Why sessions fail together, as far as what is known of their servers proves it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from operations.silence_words import EVERYWHERE, WAY_IS_CUT
from operations.sql import rows
from slack.mrkdwn import foreign, local_time

Code = Literal["server_down", "key_refused", "restarted", "protocol", "silent_server", "silent", "unknown"]

# Of the first failure: sessions of a WAHA that stops and starts again fail before and after its start.
AROUND_A_RESTART = timedelta(minutes=2)


# As they begin, before the name of the server.
_OF_SERVERS = tuple(sentence.partition("{")[0] for sentence in (WAY_IS_CUT, EVERYWHERE))


@dataclass(frozen=True)
class Cause:
    """What it looks like, and a sentence that goes on after "Likely cause:"."""

    code: Code
    sentence: str


@dataclass(frozen=True)
class OnServer:
    """The sessions in trouble of one server and engine. `started_at` is when its WAHA last started."""

    server: str
    engine: str
    state: str | None
    error_message: str | None
    version: str | None
    started_at: datetime | None
    stopped: int
    sessions: int


@dataclass(frozen=True)
class _Row:
    server: str
    engine: str
    state: str | None
    error_message: str | None
    version: str | None
    start_timestamp: int | None
    stopped: int
    sessions: int


_OF_TENANT = """
    SELECT i.server, s.engine, v.state, v.error_message, v.version, v.start_timestamp,
        count(*) FILTER (WHERE i.kind = 'stopped') AS stopped, count(*) AS sessions
    FROM incidents i
    JOIN waha_sessions s ON s.id = i.session_id AND s.tenant_id = i.tenant_id
    LEFT JOIN waha_servers v ON v.name = i.server
    WHERE i.part_of = %s AND i.tenant_id = %s
    GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 8 DESC, 1, 2
"""


def cause_of(incident_id: UUID, tenant_id: UUID, began_at: datetime) -> Cause:
    """The likely cause of what is part of an incident of this tenant."""
    return likely([_on_server(row) for row in rows(_Row, _OF_TENANT, (incident_id, tenant_id))], began_at)


def cause_of_silence(incident_id: UUID, tenant_id: UUID) -> Cause:
    """The likely cause of sessions that are silent together."""
    found = rows(
        _Said,
        "SELECT cause FROM incidents WHERE part_of = %s AND tenant_id = %s AND kind = 'silent' AND ended_at IS NULL",
        (incident_id, tenant_id),
    )
    return likely_of_silence([one.cause for one in found])


@dataclass(frozen=True)
class _Said:
    cause: str


def likely_of_silence(said: Sequence[str]) -> Cause:
    """What was found of their server, by whoever compared its sessions, is true of all that are on it."""
    of_servers = Counter(cause for cause in said if cause.startswith(_OF_SERVERS))
    if of_servers:
        [(cause, _)] = of_servers.most_common(1)
        return Cause("silent_server", cause)
    return Cause(
        "silent", "not known; WAHA says that they work, and has not told of messages that it knows, or not sent them."
    )


def likely(places: Sequence[OnServer], began_at: datetime) -> Cause:
    """From what is proved best to what is only the rest."""
    for place in places:
        name = foreign(place.server)
        if place.state == "down":
            why = foreign(place.error_message or "it does not answer.")
            return Cause("server_down", f"WAHA server `{name}` is down: {why}")
        if place.state == "key_refused":
            return Cause(
                "key_refused",
                f"WAHA server `{name}` refuses our key. A WAHA without a strong key of its own makes a new one at each "
                "start.",
            )
        if place.started_at is not None and abs(place.started_at - began_at) <= AROUND_A_RESTART:
            return Cause("restarted", f"WAHA server `{name}` was restarted at {local_time(place.started_at)}.")
    return _of_the_rest(places)


def _of_the_rest(places: Sequence[OnServer]) -> Cause:
    engines = {place.engine for place in places}
    stopped = sum(place.stopped for place in places)
    if len(engines) == 1 and not stopped and all(place.state == "up" for place in places):
        versions = sorted({place.version or "of an unknown version" for place in places})
        return Cause(
            "protocol",
            f"WhatsApp may have changed its protocol: all of them use engine {engines.pop()} of WAHA "
            f"{foreign(' and '.join(versions))}, which answers and was not restarted.",
        )
    if stopped and stopped == sum(place.sessions for place in places):
        return Cause(
            "unknown", "not known; somebody may have stopped them on the WAHA server, which was not restarted."
        )
    return Cause("unknown", "not known: neither their servers nor their engine explains it.")


def _on_server(row: _Row) -> OnServer:
    started_at = datetime.fromtimestamp(row.start_timestamp / 1000, UTC) if row.start_timestamp else None
    return OnServer(
        row.server, row.engine, row.state, row.error_message, row.version, started_at, row.stopped, row.sessions
    )
