"""Everything that the simulated Slack knows, in one place for those that act on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from sandbox.slack.changes import Changes
    from sandbox.slack.delivery import Delivery
    from sandbox.slack.events import EventsApi
    from sandbox.slack.files import Files
    from sandbox.slack.interactions import Interactions
    from sandbox.slack.messages import Messages
    from sandbox.slack.socket_mode import SocketMode
    from sandbox.slack.views import Views
    from sandbox.slack.workspace import Workspace


@dataclass
class State:
    """The workspace, what is in it, and the ways to the app. `later` runs something after a delay in seconds."""

    workspace: Workspace
    changes: Changes
    messages: Messages
    files: Files
    views: Views
    interactions: Interactions
    socket_mode: SocketMode
    app: Delivery
    events: EventsApi
    later: Callable[[float, Callable[[], object]], asyncio.TimerHandle]
    scopes: frozenset[str]
    share_seconds: float
    address: str = ""
