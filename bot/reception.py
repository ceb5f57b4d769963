"""What Bolt hands over: kept before it is acknowledged, and nothing ever raised back to Bolt."""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext
from slack_bolt.response import BoltResponse

from bot.call import Call
from bot.desk import Desk, new_error_id, went_wrong
from bot.in_flight import InFlight
from bot.interactions import errors_in, notice
from database import DatabaseUnavailable, in_database
from models import SlackEventKind
from operations import slack_inbox
from operations.slack_events import incoming, team_of
from operations.slack_inbox import NewSlackEvent
from operations.standing import Person
from settings.logs import get_logger

# Slack waits 3 s. An event that is not acknowledged is sent again; a command is not, and its person is told.
EVENT_SECONDS = 2.5
COMMAND_SECONDS = 2.0
SAVE_AGAIN_SECONDS = 3.0
GIVE_UP_SAVING_SECONDS = 600.0

NOT_SAVED_YET = (
    "Not saved yet: the database is slow. Do not repeat it; whether it was saved and what came of it follows here."
)
NOT_SAVED = (
    "That could not be saved for ten minutes, because the database does not answer. Nothing was done; when it is back, "
    "look whether it is so before you ask again."
)
NOT_SERVED = (
    "Nothing was done: this Slack workspace is not connected. Ask an operator of the installation to connect it: "
    "`{command} workspace add`."
)

HOME_OPENED = "app_home_opened"

ACKNOWLEDGED = 200
NOT_ACKNOWLEDGED = 503

log = get_logger(__name__)

T = TypeVar("T")
Listener = Callable[..., Awaitable[T]]


class Reception:
    """The middleware and listeners of the app. `is_served` tells whose events are taken, by the id of a workspace."""

    def __init__(self, desk: Desk, in_flight: InFlight, is_served: Callable[[str], bool]) -> None:
        self._desk = desk
        self._in_flight = in_flight
        self._is_served = is_served

    def register(self, app: AsyncApp) -> None:
        """Everything has a listener: what Bolt finds none for stays without an acknowledgement."""
        anything = re.compile(".*", re.DOTALL)
        app.middleware(self._guarded(self.keep, BoltResponse(status=NOT_ACKNOWLEDGED)))
        app.event(anything)(self._guarded(self.on_event, None))
        for kind in (app.command, app.action, app.view, app.shortcut):
            kind(anything)(self._guarded(self.on_call, None))
        app.options(anything)(self._guarded(self.on_options, None))

    async def keep(
        self, body: dict[str, Any], context: AsyncBoltContext, next_: Callable[[], Awaitable[Any]]
    ) -> BoltResponse | None:
        """Store what arrived before anything else happens to it. A response ends the way of the request here."""
        if not self._is_served(team_of(body)):
            log.warning("workspace is not served: see slack.teams and `workspace add`", team_id=team_of(body))
            return BoltResponse(status=ACKNOWLEDGED, body=_not_served(body))
        context["errors"] = errors_in(body)
        if not context["errors"] and (row := incoming(body)) is not None:
            saving = self._in_flight.start(in_database(slack_inbox.store, row))
            is_event = row.kind == SlackEventKind.EVENT
            await asyncio.wait({saving}, timeout=EVENT_SECONDS if is_event else COMMAND_SECONDS)
            if is_event and (ended := _end_of_event(row, saving)) is not None:
                return ended
            context["row"], context["saving"] = row, saving
        await next_()
        return None

    async def on_event(self, body: dict[str, Any]) -> None:
        """The daemon handles events. Bolt acknowledges them by itself.

        Who opens their home is looked up meanwhile: nothing of a tenant is shown to somebody of whom nothing is known.
        """
        event = body["event"]
        log.debug("event kept", kind=event.get("type"))
        if event.get("type") == HOME_OPENED:
            self._in_flight.start(self._desk.meet(Person(team_of(body), str(event.get("user") or ""))))

    async def on_call(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> None:
        """Acknowledge a command, a click or a form, and answer it afterwards."""
        row: NewSlackEvent | None = context.get("row")
        if row is None:
            await _take(ack, context["errors"])
            return
        saving: asyncio.Task[bool] = context["saving"]
        if _is_saved(saving):
            await ack()
        else:
            await self._promise_nothing(ack, body)
        self._in_flight.start(self._follow_up(Call.of(row, body), row, saving))

    async def _promise_nothing(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        if "command" in body:
            await ack(text=NOT_SAVED_YET)
        elif body.get("type") == "view_submission":
            await ack(response_action="update", view=notice(NOT_SAVED_YET))
        else:
            await ack()
            if response_url := body.get("response_url"):
                self._in_flight.start(self._desk.say(str(response_url), NOT_SAVED_YET))

    async def on_options(self, ack: AsyncAck) -> None:
        await ack(options=[])

    async def _follow_up(self, call: Call, row: NewSlackEvent, saving: asyncio.Task[bool]) -> None:
        try:
            is_new = await self._saved(row, saving)
        except Exception:
            log.exception("command was not saved", event_id=call.event_id)
            if call.response_url:
                await self._desk.say(call.response_url, NOT_SAVED, thread_ts=call.thread_ts)
            return
        if is_new:
            await self._desk.serve(call)
        else:
            # Sent twice, or the answer to its COMMIT was lost: then it is here, and unanswered.
            await self._desk.resume(call)

    async def _saved(self, row: NewSlackEvent, saving: asyncio.Task[bool]) -> bool:
        """Save it in the end: only that tells whether an earlier try, whose answer was lost, was committed."""
        give_up_at = time.monotonic() + GIVE_UP_SAVING_SECONDS
        while True:
            try:
                return await saving
            except DatabaseUnavailable as error:
                if time.monotonic() >= give_up_at:
                    raise
                log.warning("command is not saved yet", event_id=row.id, reason=str(error))
            await asyncio.sleep(SAVE_AGAIN_SECONDS)
            saving = self._in_flight.start(in_database(slack_inbox.store, row))

    def _guarded(self, listener: Listener[T], otherwise: T) -> Listener[T]:
        """An exception soon after `ack()` would lose the acknowledgement, and one later only Bolt's log would have."""

        @functools.wraps(listener)
        async def guarded(*args: Any, **kwargs: Any) -> T:
            try:
                return await listener(*args, **kwargs)
            except Exception:
                error_id = new_error_id()
                log.exception("listener failed", error_id=error_id)
                if response_url := (kwargs.get("body") or {}).get("response_url"):
                    await self._desk.say(str(response_url), went_wrong(error_id))
                return otherwise

        return guarded


async def _take(ack: AsyncAck, errors: Mapping[str, str]) -> None:
    """A form with something wrong in it stays open and shows that; there is nothing to do for anything else."""
    if errors:
        await ack(response_action="errors", errors=dict(errors))
    else:
        await ack()


def _not_served(body: Mapping[str, Any]) -> dict[str, Any] | str:
    """Shown to who gave a command; nothing else can be answered here, since there is no token for it."""
    return {"text": NOT_SERVED.format(command=body["command"])} if "command" in body else ""


def _is_saved(saving: asyncio.Task[bool]) -> bool:
    return saving.done() and saving.exception() is None


def _end_of_event(row: NewSlackEvent, saving: asyncio.Task[bool]) -> BoltResponse | None:
    """How an event ends here: not acknowledged when it is not saved, done when it was there already."""
    if not _is_saved(saving):
        reason = str(saving.exception()) if saving.done() else "PostgreSQL is slow"
        log.warning("event is not saved, Slack will repeat it", key=row.key, reason=reason)
        return BoltResponse(status=NOT_ACKNOWLEDGED)
    return None if saving.result() else BoltResponse(status=ACKNOWLEDGED)
