"""The life of the process: start, answer what was left, listen, watch, drain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient
from yarl import URL

from bot.beating import beat
from bot.commands import Installation
from bot.desk import Desk, unanswered
from bot.http_mode import HttpMode
from bot.in_flight import InFlight
from bot.metrics import Metrics
from bot.reception import Reception
from bot.roll_call import RollCall
from bot.sockets import Sockets
from bot.workspaces import Workspaces
from database import DatabaseUnavailable, in_database
from operations import catching_up
from operations.page_links import address_of
from operations.sql import value
from operations.workspaces import Place
from settings import Settings, SettingsError, SlackSettings
from settings.keys import variable_of
from settings.logs import get_logger
from settings.meters import Meters
from slack.addresses import is_loopback
from slack.answers import Identity
from slack.client import CALL_TIMEOUT, SlackClient
from slack.errors import SlackError, SlackTokenRefused
from slack.wire import new_session

RETRY_SECONDS = 3.0
READY_WITHIN_SECONDS = 2.0

WayIn: TypeAlias = Sockets | HttpMode
"""How what happens in Slack reaches the bot."""

log = get_logger(__name__)
_bolt_log = logging.getLogger("bot.bolt")
_bolt_log.setLevel(logging.INFO)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set.

    Raises:
        SettingsError: Slack refuses a token.
        NoSocket: Slack could not be reached for too long.
        OSError: the address for Slack's requests is taken.
    """
    bot = asyncio.create_task(_serve(settings))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({bot, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    # Also while it still waits for Slack to be reachable.
    bot.cancel()
    with suppress(asyncio.CancelledError):
        await bot


async def _serve(settings: Settings) -> None:
    async with serving(settings) as way_in:
        await way_in.watch()


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[WayIn]:
    """A bot that listens, over a database that is open. At the end it takes nothing more and finishes what it took."""
    in_flight = InFlight()
    async with new_session(CALL_TIMEOUT) as session:
        table = settings.slack
        meters = Meters("bot")
        token = table.bot_token.get_secret_value()
        async with SlackClient(token, table.api_url, session, observe=meters.slack_call) as slack:
            identity = await _identity(slack)
            teams = table.teams or (identity.team_id,)

            def ask_for_missed(team_id: str = identity.team_id) -> None:
                in_flight.start(_ask_for_missed(team_id))
                roll_call.after_gap()

            own = Place(identity.team_id, identity.team, identity.user_id, identity.bot_id)
            workspaces = Workspaces(own, slack, table, teams=teams, ask_for_missed=ask_for_missed)
            roll_call = RollCall(workspaces.client_of, workspaces.is_served)
            desk = Desk(slack, _installation(settings, teams), workspaces.client_of)
            # Without a token, which `authorize` gives: Bolt warns of two.
            web = AsyncWebClient(base_url=table.api_url, session=session, retry_handlers=[], logger=_bolt_log)
            if is_loopback(URL(table.api_url)):
                web.proxy = None  # the SDK takes HTTP_PROXY from the environment and knows no NO_PROXY
            app = _app(web, workspaces)
            Reception(desk, in_flight, workspaces.is_served).register(app)
            metrics = Metrics(meters)
            way_in = _way_in(table, app, workspaces, ask_for_missed, metrics)

            async def sockets_up() -> int | None:
                return await way_in.up() if isinstance(way_in, Sockets) else None

            metrics.sockets_up = sockets_up

            await workspaces.refresh(app)
            left = await unanswered()
            in_flight.start(desk.answer_all(left))
            beside = [
                asyncio.create_task(work)
                for work in (
                    desk.answer_leftovers(),
                    workspaces.keep_up(app),
                    roll_call.run(),
                    beat(sockets_up),
                    meters.watch_loop(),
                )
            ]
            try:
                await way_in.connect()
                await metrics.listen(table)
                ask_for_missed()
                log.info("bot listens", team_id=identity.team_id, command=table.command, answered_late=len(left))
                yield way_in
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
                await way_in.close()
                await metrics.close()
                await workspaces.close()
                unfinished = await in_flight.finish(settings.daemon.shutdown_seconds)
                log.info("bot stopped", left_for_the_next_start=unfinished)


def _way_in(
    slack: SlackSettings,
    app: AsyncApp,
    workspaces: Workspaces,
    after_gap: Callable[[], object],
    metrics: Metrics,
) -> WayIn:
    if slack.mode == "socket":
        return Sockets(app, slack.app_token.get_secret_value(), after_gap=after_gap)
    return HttpMode(
        app,
        workspaces.signers,
        host=slack.host,
        port=slack.port,
        missing=_missing,
        after_gap=after_gap,
        metrics=metrics.show,
    )


async def _missing() -> list[str]:
    """What the bot cannot work without, and has not now."""
    try:
        async with asyncio.timeout(READY_WITHIN_SECONDS):
            await in_database(value, "SELECT 1")
    except Exception as error:  # noqa: BLE001 - whatever it is, what arrives now cannot be kept
        return [f"PostgreSQL: {type(error).__name__}"]
    return []


async def _ask_for_missed(team_id: str) -> None:
    """Nobody listened for a while: the daemon reads what people wrote meanwhile."""
    while True:
        try:
            await in_database(catching_up.request, team_id=team_id)
        except DatabaseUnavailable as error:
            log.warning("the daemon is not told of a gap yet, trying again", reason=str(error))
        else:
            return
        await asyncio.sleep(RETRY_SECONDS)


def _app(web: AsyncWebClient, workspaces: Workspaces) -> AsyncApp:
    # A function, since Bolt takes the `self` of a method for one more thing to fill in.
    async def authorize(team_id: str | None) -> AuthorizeResult:
        return workspaces.authorization_of(team_id)

    return AsyncApp(
        client=web,
        authorize=authorize,
        # `bot.http_mode` does it: Bolt knows one app's secret, and logs the bodies that it refuses.
        request_verification_enabled=False,
        logger=_bolt_log,
        name="switchboard",
    )


async def _identity(slack: SlackClient) -> Identity:
    while True:
        try:
            return await slack.auth_test()
        except SlackTokenRefused as error:
            variable = variable_of(("slack", "bot_token"))
            raise SettingsError([f"Slack refuses slack.bot_token ({error.reason}): set {variable}=xoxb-…"]) from error
        except SlackError as error:
            log.warning("Slack cannot be reached, trying again", reason=str(error))
            await asyncio.sleep(RETRY_SECONDS)


def _installation(settings: Settings, teams: tuple[str, ...]) -> Installation:
    return Installation(
        root=settings.slack.command,
        operators=settings.slack.operators,
        servers=tuple(settings.waha.servers),
        reports=settings.reports,
        page_address=address_of(settings),
        teams=teams,
        numbers=settings.numbers,
        capacities={name: server.capacity for name, server in settings.waha.servers.items()},
    )
