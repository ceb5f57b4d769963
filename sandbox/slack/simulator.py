"""The simulated Slack: one HTTP server with a workspace behind it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from aiohttp import web

from sandbox.slack.asking import Asking
from sandbox.slack.changes import Changes
from sandbox.slack.control import Control
from sandbox.slack.delivery import Delivery
from sandbox.slack.doing import Doing
from sandbox.slack.events import SUBSCRIPTIONS, EventsApi
from sandbox.slack.faults import Faults
from sandbox.slack.files import Files
from sandbox.slack.http_mode import HttpMode
from sandbox.slack.interactions import Interactions
from sandbox.slack.messages import Messages
from sandbox.slack.methods import METHODS
from sandbox.slack.methods.scopes import BY_KIND
from sandbox.slack.rate_limits import RateLimits
from sandbox.slack.seeing import Seeing
from sandbox.slack.socket_mode import SocketMode
from sandbox.slack.state import State
from sandbox.slack.troubling import Troubling
from sandbox.slack.views import Views
from sandbox.slack.web_api import WebApi
from sandbox.slack.workspace import Channel, Installation, Person, Workspace, populate

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from sandbox.slack.journal import Call

# `commands` belongs to no method.
EVERY_SCOPE = BY_KIND | {method.scope for method in METHODS.values() if method.scope} | {"commands"}
LARGEST_UPLOAD = 64 * 1024 * 1024


class SandboxSlack(Doing, Asking, Seeing, Troubling):
    """A Slack on a loopback port, with people in it who can act and look, and switches for what goes wrong.

    `pace` multiplies Slack's waits before it repeats an event (0, 60 and 300 s); the 3 s for an acknowledgement and for
    a trigger id are `ack_seconds` and `trigger_seconds`. `share_seconds` is how long an uploaded file takes to appear.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        pace: float = 1.0,
        ack_seconds: float = 3.0,
        trigger_seconds: float = 3.0,
        share_seconds: float = 0.05,
        subscriptions: frozenset[str] = SUBSCRIPTIONS,
        scopes: frozenset[str] = EVERY_SCOPE,
        installation: Installation | None = None,
    ) -> None:
        workspace = Workspace(installation or Installation())
        populate(workspace)
        changes = Changes()
        socket_mode = SocketMode(workspace.installation.app_id, changes, ack_seconds=ack_seconds)
        delivery = Delivery(socket_mode)
        self.faults = Faults()
        events = EventsApi(workspace, delivery, changes, self.faults.random, pace, subscriptions)
        self.state = State(
            workspace=workspace,
            changes=changes,
            messages=Messages(workspace, changes, events.publish),
            files=Files(workspace.identifiers, workspace.installation),
            views=Views(workspace, changes),
            interactions=Interactions(workspace, changes, trigger_seconds=trigger_seconds),
            socket_mode=socket_mode,
            app=delivery,
            events=events,
            later=self._later,
            scopes=scopes,
            share_seconds=share_seconds,
        )
        self.journal: list[Call] = []
        self.rate_limits = RateLimits()
        self._port = port
        self._timers: list[asyncio.TimerHandle] = []
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        api = WebApi(self.state, self.faults, self.rate_limits, self.journal)
        app = web.Application(client_max_size=LARGEST_UPLOAD)
        app.add_routes([*api.routes(), web.get("/link/", self.state.socket_mode.connect), *Control(self).routes()])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await self.come_back()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection, and stop whatever would still have happened."""
        self.faults.heal()
        for timer in self._timers:
            timer.cancel()
        await self.state.events.close()
        await self.go_down()
        if self._runner:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return self.state.address

    @property
    def api_url(self) -> str:
        """What a client takes as its base address."""
        return f"{self.url}/api/"

    @property
    def bot_token(self) -> str:
        """The token for everything but opening sockets."""
        return self.state.workspace.installation.bot_token

    @property
    def app_token(self) -> str:
        """The token that opens sockets."""
        return self.state.workspace.installation.app_token

    @property
    def team_id(self) -> str:
        """The workspace."""
        return self.state.workspace.installation.team_id

    def person(self, name: str) -> Person:
        """A person by name, id or address."""
        return self.state.workspace.person(name)

    def channel(self, name: str) -> Channel:
        """A channel by name or id; `@ana` is the app's direct messages with ana."""
        return self.state.workspace.channel(name)

    def add_person(self, name: str, *, real_name: str = "", email: str = "", guest: bool = False) -> Person:
        """Somebody new, in no channel yet."""
        return self.state.workspace.add_person(name, real_name=real_name, email=email, guest=guest)

    def add_channel(
        self,
        name: str,
        *,
        members: tuple[str, ...] = ("ana", "ben", "olga"),
        with_app: bool = True,
        is_private: bool = False,
        is_ext_shared: bool = False,
    ) -> Channel:
        """A new channel with these people, and the app in it unless told otherwise."""
        app = [self.state.workspace.installation.bot_user] if with_app else []
        return self.state.workspace.add_channel(
            name, members=[*members, *app], is_private=is_private, is_ext_shared=is_ext_shared
        )

    def calls(self, method: str = "") -> list[Call]:
        """The journal, or the calls of one method; `response_url`, `upload` and `download` count as methods."""
        return [call for call in self.journal if method in {"", call.method}]

    def deliver_by_http(self, url: str, signing_secret: str) -> None:
        """From now on post signed requests to `url` instead of using sockets."""
        self.state.app.http_mode = HttpMode(url, signing_secret, self.state.socket_mode.ack_seconds)

    async def go_down(self) -> None:
        """Refuse connections and cut those that are open. People go on writing; events are repeated by the schedule."""
        if self._site:
            await self._site.stop()
            self._site = None
        self.state.socket_mode.cut()
        if self._runner and self._runner.server:
            for connection in self._runner.server.connections:
                connection.force_close()

    async def come_back(self) -> None:
        """Listen again, on the same port."""
        if self._runner is None or self._site is not None:
            return
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await self._site.start()
        self._port = self._runner.addresses[0][1]
        self.state.address = f"http://127.0.0.1:{self._port}"

    async def connected(self, connections: int = 1, seconds: float = 10.0) -> None:
        """Wait until the app has so many sockets open.

        Raises:
            TimeoutError: it has not.
        """
        await self.until(lambda: len(self.state.socket_mode.connections) >= connections, seconds)

    def _later(self, seconds: float, act: Callable[[], object]) -> asyncio.TimerHandle:
        timer = asyncio.get_running_loop().call_later(seconds, act)
        self._timers.append(timer)
        return timer
