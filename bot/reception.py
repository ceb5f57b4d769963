"""What Bolt hands over: kept before it is acknowledged, and nothing ever raised back to Bolt."""

from __future__ import annotations

import asyncio
import functools
import re
import uuid
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext
from slack_bolt.response import BoltResponse

from bot.desk import Call, Desk, went_wrong
from bot.in_flight import InFlight
from bot.incoming import incoming, team_of
from database import in_database
from models import SlackEventKind
from operations import slack_inbox
from operations.slack_inbox import NewSlackEvent
from settings.logs import get_logger

# Slack waits 3 s. An event that is not acknowledged is sent again; a command is not, and its person is told.
EVENT_SECONDS = 2.5
COMMAND_SECONDS = 2.0
NOT_SAVED_YET = (
    "Not saved yet: the database is slow. Do not repeat it; whether it was saved and what came of it follows here."
)
NOT_SAVED = "That was *not saved*, and nothing was done: the database does not answer. Try again in a few minutes."

ACKNOWLEDGED = 200
NOT_ACKNOWLEDGED = 503

log = get_logger(__name__)

Listener = Callable[..., Awaitable[None]]


class Reception:
    """The middleware and listeners of the app. `teams` are the workspaces that are served."""

    def __init__(self, desk: Desk, in_flight: InFlight, teams: Collection[str]) -> None:
        self._desk = desk
        self._in_flight = in_flight
        self._teams = frozenset(teams)

    def register(self, app: AsyncApp) -> None:
        """Everything has a listener: what Bolt finds none for stays without an acknowledgement."""
        anything = re.compile(".*", re.DOTALL)
        app.middleware(self.keep)
        app.command(anything)(self._guarded(self.on_command))
        app.event(anything)(self._guarded(self.on_event))
        for kind in (app.action, app.view, app.shortcut):
            kind(anything)(self._guarded(self.on_interaction))
        app.options(anything)(self._guarded(self.on_options))

    async def keep(
        self, body: dict[str, Any], context: AsyncBoltContext, next_: Callable[[], Awaitable[Any]]
    ) -> BoltResponse | None:
        """Store what arrived before anything else happens to it. A response ends the way of the request here."""
        if team_of(body) not in self._teams:
            log.warning("workspace is not served: see slack.teams", team_id=team_of(body))
            return BoltResponse(status=ACKNOWLEDGED)
        row = incoming(body)
        if row is None:
            await next_()
            return None
        saving = self._in_flight.start(in_database(slack_inbox.store, row))
        is_event = row.kind == SlackEventKind.EVENT
        await asyncio.wait({saving}, timeout=EVENT_SECONDS if is_event else COMMAND_SECONDS)
        if is_event:
            if (ended := _end_of_event(row, saving)) is not None:
                return ended
        else:
            context["row"], context["saving"] = row, saving
        await next_()
        return None

    async def on_event(self, body: dict[str, Any]) -> None:
        """The daemon handles events. Bolt acknowledges them by itself."""
        log.debug("event kept", kind=body["event"].get("type"))

    async def on_command(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        await self._take(ack, body, context)

    async def on_interaction(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        if "saving" in context:
            await self._take(ack, body, context)
        else:
            await ack()

    async def on_options(self, ack: AsyncAck) -> None:
        await ack(options=[])

    async def _take(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        row: NewSlackEvent = context["row"]
        saving: asyncio.Task[bool] = context["saving"]
        is_saved = saving.done() and saving.exception() is None
        is_command = row.kind == SlackEventKind.COMMAND
        if is_saved or not is_command:
            await ack()
        else:
            await ack(text=NOT_SAVED if saving.done() else NOT_SAVED_YET)
        if is_saved or not saving.done():
            self._in_flight.start(self._follow_up(Call.of(row.id, body), saving))
        else:
            log.error("command was not saved", event_id=row.id, exc_info=saving.exception())

    async def _follow_up(self, call: Call, saving: asyncio.Task[bool]) -> None:
        try:
            is_new = await saving
        except Exception:
            log.exception("command was not saved", event_id=call.event_id)
            await self._desk.say(call, NOT_SAVED)
            return
        if is_new:
            await self._desk.serve(call)
        else:
            # Sent twice, or the answer to its COMMIT was lost: then it is here, and unanswered.
            await self._desk.resume(call)

    def _guarded(self, listener: Listener) -> Listener:
        """An exception soon after `ack()` would lose the acknowledgement, and one later only Bolt's log would have."""

        @functools.wraps(listener)
        async def guarded(*args: Any, **kwargs: Any) -> None:
            try:
                await listener(*args, **kwargs)
            except Exception:
                error_id = uuid.uuid4().hex[:8]
                log.exception("listener failed", error_id=error_id)
                await self._tell_of_failure(kwargs.get("body") or {}, error_id)

        return guarded

    async def _tell_of_failure(self, body: dict[str, Any], error_id: str) -> None:
        if body.get("response_url"):
            await self._desk.say(Call.of(uuid.uuid4(), body), went_wrong(error_id))


def _end_of_event(row: NewSlackEvent, saving: asyncio.Task[bool]) -> BoltResponse | None:
    """How an event ends here: not acknowledged when it is not saved, done when it was there already."""
    if not saving.done():
        log.warning("event is not saved in time, Slack will repeat it", key=row.key)
        return BoltResponse(status=NOT_ACKNOWLEDGED)
    if error := saving.exception():
        log.warning("event is not saved, Slack will repeat it", key=row.key, reason=str(error))
        return BoltResponse(status=NOT_ACKNOWLEDGED)
    return None if saving.result() else BoltResponse(status=ACKNOWLEDGED)
