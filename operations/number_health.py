"""How close each phone number is to being restricted: measured as things happen, told where sending slows down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg2.extras import Json

from database import set_tenant, tenant_transaction, transaction
from models import HealthLevel, IncidentKind, NumberHealth, WahaSession, uuid7
from models.session_limits import SessionLimits
from operations import incidents, restrictions, sessions, tenant_settings
from operations.number_verdict import Figures, Verdict, verdict_on
from operations.sending_pace import day_of
from operations.sql import changed, database_now, first, rows, value
from settings import NumberSettings
from waha.payloads import Capping

AT_ONCE: Final = 50
"""Of what is measured; where so many were found there may be more."""

# Where WhatsApp does not say until when, what it allows is stopped for a day, and again before that is over.
_RENEW_BEFORE: Final = timedelta(hours=1)
_A_DAY, _A_WEEK = timedelta(days=1), timedelta(days=7)
# Whoever was written to a moment ago has not declined to answer.
_TIME_TO_ANSWER: Final = timedelta(hours=4)
_TOLD: Final = frozenset({HealthLevel.SLOW, HealthLevel.STOPPED})

WHAT_TO_DO: Final = {
    HealthLevel.UNKNOWN: "Nothing was sent yet, so there is nothing to say.",
    HealthLevel.GOOD: "Nothing.",
    HealthLevel.WATCH: "Write first only to people who asked for it, and better let them write first.",
    HealthLevel.SLOW: "Write to nobody new for some days, and let customers write first: a link such as wa.me opens "
    "the chat on their side.",
    HealthLevel.STOPPED: "Answer those who write, which is always possible, and write to nobody new before it ends: "
    "each further try makes it longer.",
}

_FIGURES: Final = """
SELECT begun.today AS new_contacts, begun.week AS begun, begun.unanswered, gone.sent, gone.failed, gone.sent_before,
    gone.failed_before
FROM (
    SELECT count(*) FILTER (WHERE begun_at >= %(today)s) AS today,
        count(*) FILTER (WHERE begun_at < %(could_answer)s) AS week,
        count(*) FILTER (WHERE begun_at < %(could_answer)s AND last_inbound_at IS NULL) AS unanswered
    FROM conversations
    WHERE tenant_id = %(tenant)s AND session_id = %(session)s AND begun_at >= %(week_ago)s AND deleted_at IS NULL
) begun
CROSS JOIN (
    SELECT count(*) FILTER (WHERE sent_at >= %(day_ago)s) AS sent,
        count(*) FILTER (WHERE sent_at >= %(day_ago)s AND status = 'failed') AS failed,
        count(*) FILTER (WHERE sent_at < %(day_ago)s) AS sent_before,
        count(*) FILTER (WHERE sent_at < %(day_ago)s AND status = 'failed') AS failed_before
    FROM messages
    WHERE tenant_id = %(tenant)s AND session_id = %(session)s AND direction = 'outbound'
        AND sent_at >= %(day_ago)s - interval '7 days'
) gone
"""


@dataclass(frozen=True)
class LimitsTold:
    """What WAHA told of an account's limits."""

    external_session_id: str
    restricted_until: datetime | None
    capping: Capping | None


@dataclass(frozen=True)
class Number:
    """An account, by its session."""

    tenant_id: UUID
    session_id: UUID
    external_session_id: str = ""


@dataclass(frozen=True)
class _Told:
    external_session_id: str
    restricted_until: datetime | None
    capping: dict[str, Any] | None


def told_before(server: str) -> list[LimitsTold]:
    """What was last told of the accounts of a server."""
    with transaction():
        found = rows(_Told, "SELECT * FROM limits_told(%s)", (server,))
    return [LimitsTold(one.external_session_id, one.restricted_until, Capping.parse(one.capping)) for one in found]


def record_told(server: str, told: Sequence[LimitsTold], *, now: datetime | None = None) -> int:
    """Keep what is new, stop what WhatsApp stopped, and have the numbers measured; how many are ours."""
    by_name = {one.external_session_id: one for one in told}
    with transaction():
        found = rows(Number, "SELECT * FROM numbers_called(%s, %s)", (server, list(by_name)))
    for number in found:
        with tenant_transaction(number.tenant_id):
            _keep_told(number, by_name[number.external_session_id], now or database_now())
    return len(found)


def _keep_told(number: Number, told: LimitsTold, now: datetime) -> None:
    capping = None if told.capping is None else Json(told.capping.as_told())
    changed(
        "INSERT INTO number_healths (id, tenant_id, session_id, restricted_until, capping) VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT (tenant_id, session_id) DO UPDATE SET restricted_until = excluded.restricted_until, "
        "capping = excluded.capping, measured_at = NULL",
        (uuid7(), number.tenant_id, number.session_id, told.restricted_until, capping),
    )
    if told.restricted_until is not None and told.restricted_until > now:
        restrictions.restrict(number.tenant_id, number.session_id, until=told.restricted_until)
    ends = told.capping.cycle_ends_at if told.capping is not None else None
    if told.capping is not None and told.capping.status == "CAPPED" and (ends is None or ends > now):
        restrictions.restrict(number.tenant_id, number.session_id, until=ends)


def to_measure(*, now: datetime | None = None, limit: int = AT_ONCE) -> list[Number]:
    """The numbers in which something happened since they were measured, those that wait longest first."""
    with transaction():
        return rows(Number, "SELECT * FROM numbers_to_measure(%s, %s)", (limit, now or database_now()))


def measure(number: Number, numbers: NumberSettings, *, now: datetime | None = None) -> None:
    """Keep how a number is, and tell where its sending slows down."""
    with tenant_transaction(number.tenant_id):
        _measure(number, numbers, now or database_now())


def pass_over(number: Number, *, now: datetime | None = None) -> None:
    """It could not be measured: those behind it come first."""
    with tenant_transaction(number.tenant_id):
        changed(
            "INSERT INTO number_healths (id, tenant_id, session_id, measured_at) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (tenant_id, session_id) DO UPDATE SET measured_at = excluded.measured_at",
            (uuid7(), number.tenant_id, number.session_id, now or database_now()),
        )


@dataclass(frozen=True)
class Health:
    """A number as it is at this moment."""

    session: WahaSession
    figures: Figures
    verdict: Verdict


def show(tenant_id: UUID, name: str, numbers: NumberSettings, *, now: datetime | None = None) -> Health:
    """Raises `NotFound` where the tenant has no session of that name."""
    session, moment = sessions.named(tenant_id, name), now or database_now()
    figures = figures_of(session, numbers, now=moment)
    return Health(session, figures, verdict_on(figures, now=moment))


def list_all(tenant_id: UUID) -> list[tuple[WahaSession, HealthLevel, list[str]]]:
    """Every session of a tenant with its level and reasons as last measured."""
    set_tenant(tenant_id)
    kept = {one.session_id: one for one in NumberHealth.select().where(NumberHealth.tenant_id == tenant_id)}
    mine = WahaSession.live().where(WahaSession.tenant_id == tenant_id).order_by(WahaSession.name)
    return [
        (session, kept[session.id].level, kept[session.id].reasons)
        if session.id in kept
        else (session, HealthLevel.UNKNOWN, [])
        for session in mine
    ]


def figures_of(session: WahaSession, numbers: NumberSettings, *, now: datetime) -> Figures:
    """What counts of an account at this moment."""
    zone = ZoneInfo(tenant_settings.settings_of(session.tenant_id).time_zone)
    counts = first(
        Figures,
        _FIGURES,
        {
            "tenant": session.tenant_id,
            "session": session.id,
            "today": day_of(now, zone)[0],
            "could_answer": now - _TIME_TO_ANSWER,
            "day_ago": now - _A_DAY,
            "week_ago": now - _A_WEEK,
        },
    )
    return _complete(counts or Figures(), session, numbers)


def _complete(counts: Figures, session: WahaSession, numbers: NumberSettings) -> Figures:
    own = SessionLimits.of(session.limits).new_contacts_per_day
    kept = NumberHealth.get_or_none(NumberHealth.tenant_id == session.tenant_id, NumberHealth.session_id == session.id)
    return replace(
        counts,
        most_new_contacts=numbers.new_contacts_per_day if own is None else own,
        restricted_until=session.restricted_until,
        capping=Capping.parse(kept.capping) if kept is not None else None,
    )


def _measure(number: Number, numbers: NumberSettings, now: datetime) -> None:
    session = WahaSession.find(number.session_id)
    if session is None:
        return
    figures = figures_of(session, numbers, now=now)
    if _is_stopped_without_an_end(figures, now):
        ends = restrictions.restrict(number.tenant_id, number.session_id, until=None)
        figures = replace(figures, restricted_until=ends)
    verdict = verdict_on(figures, now=now)
    told = _write(number, figures, verdict, now)
    _tell(number, verdict, told, now)


def _is_stopped_without_an_end(figures: Figures, now: datetime) -> bool:
    """What WAHA tells is heard only when it changes; what it goes on telling has to go on."""
    quota, until = figures.capping, figures.restricted_until
    return (
        quota is not None
        and quota.status == "CAPPED"
        and quota.cycle_ends_at is None
        and (until is None or until < now + _RENEW_BEFORE)
    )


def _write(number: Number, figures: Figures, verdict: Verdict, now: datetime) -> str | None:
    """Keep what was found; the level that people were told of before."""
    told: str | None = value(
        """
        INSERT INTO number_healths (id, tenant_id, session_id, level, reasons, new_contacts, unanswered_share,
            ack_failure_share, ack_failure_share_before, slow_factor, measured_at)
        VALUES (%(id)s, %(tenant)s, %(session)s, %(level)s, %(reasons)s, %(new)s, %(unanswered)s, %(failures)s,
            %(before)s, %(slow)s, %(now)s)
        ON CONFLICT (tenant_id, session_id) DO UPDATE SET level = excluded.level, reasons = excluded.reasons,
            new_contacts = excluded.new_contacts, unanswered_share = excluded.unanswered_share,
            ack_failure_share = excluded.ack_failure_share,
            ack_failure_share_before = excluded.ack_failure_share_before, slow_factor = excluded.slow_factor,
            measured_at = excluded.measured_at
        RETURNING told_level
        """,
        {
            "id": uuid7(),
            "tenant": number.tenant_id,
            "session": number.session_id,
            "level": verdict.level.value,
            "reasons": Json(list(verdict.reasons)),
            "new": figures.new_contacts,
            "unanswered": figures.unanswered_share,
            "failures": figures.failure_share,
            "before": figures.failure_share_before,
            "slow": verdict.slow_factor,
            "now": now,
        },
    )
    return told


def _tell(number: Number, verdict: Verdict, told: str | None, now: datetime) -> None:
    """Begin an incident where sending slows down, add what changed, and end it where sending is as usual again."""
    place = (number.tenant_id, number.session_id)
    if verdict.level in _TOLD:
        cause = " ".join([*verdict.reasons, WHAT_TO_DO[verdict.level]])
        incidents.begin(*place, IncidentKind.NUMBER, at=now, cause=cause)
        if told != verdict.level:
            incidents.note(*place, IncidentKind.NUMBER, _done(verdict), at=now)
    elif told in _TOLD:
        incidents.end(*place, IncidentKind.NUMBER, at=now)
    else:
        return
    if told != verdict.level:
        changed(
            "UPDATE number_healths SET told_level = %s WHERE tenant_id = %s AND session_id = %s",
            (verdict.level.value, *place),
        )


def _done(verdict: Verdict) -> str:
    if verdict.level is HealthLevel.STOPPED:
        return "Messages to people who never wrote wait; replies leave as always."
    return f"Pauses between messages are {verdict.slow_factor:g} times as long."
