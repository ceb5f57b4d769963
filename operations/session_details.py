"""All that `session show` says of a session beside its state, a sentence a line; what is not set is not mentioned."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

from database import set_tenant
from models import Incident, WahaSession
from models.session_limits import SessionLimits
from operations.configuring import shown_proxy
from operations.conversations import masked, number_of
from operations.wording import counted
from slack.mrkdwn import foreign, local_time


def account(session: WahaSession) -> str:
    """`+4915•••••789`; "" where none is linked, or WAHA tells no number."""
    number = number_of(str(session.metadata.get("me_id") or "")) or ""
    return masked(number) if number else ""


def details(session: WahaSession, *, today: date | None = None) -> list[str]:
    """What is known and set, in the order in which somebody with trouble would ask for it."""
    return list(_details(session, today or datetime.now(UTC).date()))


def _details(session: WahaSession, today: date) -> Iterator[str]:
    for incident in _open_incidents(session):
        cause = f": {foreign(incident.cause)}" if incident.cause else "."
        yield f"Open incident since {local_time(incident.began_at)}, `{incident.kind.value}`{cause}"
    if session.restarts and session.restarts_on == today:
        yield f"Restarted by itself {counted(session.restarts, 'time')} today."
    if number := account(session):
        yield f"Linked to {number}."
    if proxy := shown_proxy(session):
        yield f"Proxy: {foreign(proxy)}."
    if session.restricted_until is not None and session.restricted_until > datetime.now(UTC):
        yield f"WhatsApp lets it begin no new chats until {local_time(session.restricted_until)}."
    yield from _limits(SessionLimits.of(session.limits))


def _limits(limits: SessionLimits) -> Iterator[str]:
    if limits.new_contacts_per_day is not None:
        yield f"It writes to at most {counted(limits.new_contacts_per_day, 'new contact')} a day."
    if limits.quiet_from is not None and limits.quiet_to is not None:
        yield f"Quiet hours: {limits.quiet_from:%H:%M} to {limits.quiet_to:%H:%M}."
    if limits.human_like is not None:
        yield f"It writes {'as a person does' if limits.human_like else 'as fast as it may'}."
    if limits.canary_minutes is not None:
        yield f"It writes to itself every {counted(limits.canary_minutes, 'minute')} to see whether it hears."


def _open_incidents(session: WahaSession) -> list[Incident]:
    set_tenant(session.tenant_id)
    return list(
        Incident.select()
        .where(Incident.tenant_id == session.tenant_id, Incident.session_id == session.id, Incident.ended_at.is_null())
        .order_by(Incident.began_at)
    )
