"""Scopes that depend on the kind of channel: `channels:history`, `groups:history`, `im:history`, and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.slack.refusal import Refusal

if TYPE_CHECKING:
    from sandbox.slack.state import State
    from sandbox.slack.workspace import Kind

FAMILY = {"channel": "channels", "group": "groups", "im": "im"}
BY_KIND = frozenset(f"{family}:{what}" for family in FAMILY.values() for what in ("history", "read"))


def require(state: State, kind: Kind, what: str) -> None:
    """Let the call pass only with the scope for this kind of channel.

    Raises:
        Refusal: `missing_scope`, which names it.
    """
    refuse_without(state, f"{FAMILY[kind]}:{what}")


def refuse_without(state: State, scope: str) -> None:
    """Let the call pass only with this scope.

    Raises:
        Refusal: `missing_scope`.
    """
    if scope not in state.scopes:
        raise Refusal("missing_scope", needed=scope, provided=",".join(sorted(state.scopes)))
