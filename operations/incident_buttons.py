"""The buttons under an incident's message: what a person can do about it there."""

from __future__ import annotations

from models import Incident, IncidentKind
from slack.blocks import Block, Style, actions, button, confirm

RESTART = "incident.restart"
SHOW_QR = "incident.qr"
MUTE = "incident.mute"
UNMUTE = "incident.unmute"

_RESTARTED = frozenset({IncidentKind.FAILED, IncidentKind.STOPPED, IncidentKind.STUCK, IncidentKind.SILENT})
_SCANNED = frozenset({IncidentKind.NEEDS_SCAN, IncidentKind.FAILED})

_ARE_YOU_SURE = confirm(
    "Restart the session?", "Messages wait meanwhile, and what customers write is read afterwards.", yes="Restart"
)


def buttons_of(incident: Incident, kind: IncidentKind) -> Block | None:
    """For what it is by now; None for what is the installation's, where nothing is left to a click."""
    if incident.tenant_id is None:
        return None
    value, found = str(incident.id), []
    if incident.session_id is not None and kind in _RESTARTED:
        found.append(button("Restart", RESTART, value=value, confirm=_ARE_YOU_SURE))
    if incident.session_id is not None and kind in _SCANNED:
        style: Style | None = "primary" if kind is IncidentKind.NEEDS_SCAN else None
        found.append(button("Show QR", SHOW_QR, value=value, style=style))
    found.append(
        button("Unmute", UNMUTE, value=value) if incident.muted_at is not None else button("Mute", MUTE, value=value)
    )
    return actions(*found)
