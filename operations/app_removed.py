"""Slack tells that the app is not in a workspace any more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from operations import workspaces

UNINSTALLED = "It was removed from the workspace."
REVOKED = "Its token was revoked."


def handle(payload: Mapping[str, Any], *, stored_at: datetime) -> None:
    """Take over an `app_uninstalled` or `tokens_revoked` of Slack's Events API, in a running transaction."""
    event = payload["event"]
    is_uninstalled = event.get("type") == "app_uninstalled"
    if is_uninstalled or _is_bots(event):
        why = UNINSTALLED if is_uninstalled else REVOKED
        workspaces.lost(str(payload.get("team_id") or ""), why, before=_happened_at(payload, stored_at))


def _is_bots(event: Mapping[str, Any]) -> bool:
    """Whether the bot's own token is gone; people's tokens, which we have none of, are told here too."""
    tokens = event.get("tokens")
    return isinstance(tokens, Mapping) and bool(tokens.get("bot"))


def _happened_at(payload: Mapping[str, Any], stored_at: datetime) -> datetime:
    """Slack's clock, to the second; an event may come long after it, or again."""
    told = payload.get("event_time")
    return datetime.fromtimestamp(told, UTC) if isinstance(told, int) and not isinstance(told, bool) else stored_at
