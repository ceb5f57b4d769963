"""The daemon as a whole: opens what its roles need, runs them until it is told to stop, finishes what is in flight."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from aiohttp import web

from daemon import ingress
from daemon.asked import ActionWorker
from daemon.beating import beat
from daemon.catchup import SessionReader
from daemon.catchup_channels import ChannelReader
from daemon.doctor.worker import DoctorWorker
from daemon.drawings import Drawings
from daemon.homes import Homes, News
from daemon.inbox import InboxWorker
from daemon.incidents import PAUSE_SECONDS as INCIDENTS_PAUSE_SECONDS
from daemon.incidents import Incidents
from daemon.intake import Intake
from daemon.loops import LOOK_EVERY_SECONDS, repeat
from daemon.metrics import Metrics
from daemon.numbers import MEASURE_EVERY_SECONDS, NumberWatch
from daemon.outages import Outages
from daemon.page_guard import Addresses
from daemon.pages import PasswordPage
from daemon.posts import Poster
from daemon.reconciler import Reconciler
from daemon.relay import Relay
from daemon.scheduler import Scheduler
from daemon.second_channel import SecondChannel
from daemon.sender import Sender
from daemon.servers import Server, open_servers
from daemon.silence import SilenceWatch
from daemon.unacknowledged import Unconfirmed
from daemon.workspaces import Outlet, Outlets, Workspaces
from database import DatabaseUnavailable, in_database
from database.notifications import Listener, Wakeup
from operations import encryption, slack_inbox, webhook_inbox
from operations import servers as server_rows
from operations.encryption import CannotDecrypt, KeyRing
from operations.inbound import House
from operations.page_links import address_of
from operations.sql import value
from settings import Settings, SettingsError
from settings.keys import variable_of
from settings.logs import get_logger
from settings.meters import Meters
from slack.client import SlackClient
from slack.errors import SlackError, SlackTokenRefused
from slack.pacing import Pacing

log = get_logger(__name__)

_CHANNELS = (
    "webhooks",
    "slack_events",
    "messages",
    "posts",
    "actions",
    "sessions",
    "catch_ups",
    "workspaces",
    "incidents",
    "doctor",
    "homes",
)
_READY_WITHIN_SECONDS = 2.0
# Webhooks are not kept waiting for a Slack that is slow.
_TOKEN_CHECK = timedelta(seconds=3)

Worker: TypeAlias = (
    InboxWorker
    | Homes
    | DoctorWorker
    | Reconciler
    | Sender
    | Relay
    | Unconfirmed
    | ActionWorker
    | SessionReader
    | Incidents
    | Outages
    | SilenceWatch
    | ChannelReader
    | Workspaces
)


class Daemon:
    """One process; several on several machines share one PostgreSQL."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = asyncio.Event()
        self._listener = Listener(_CHANNELS)
        self._crews: list[tuple[Worker, asyncio.Task[None]]] = []
        self._workers: list[asyncio.Task[None]] = []
        self._reconcilers: list[Reconciler] = []
        self._intake = Intake()
        self._meters = Meters("daemon")
        self._token_refused = ""
        self._own_teams: frozenset[str] = frozenset()
        self._outlets: Outlets | None = None
        self._workspaces: Workspaces | None = None

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT, then end cleanly within `daemon.shutdown_seconds`.

        Raises:
            SettingsError: the encryption key is not the one that was used.
            OSError: the address for webhooks is taken.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        await self._check_token()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._listener)
            runner = await self._start(stack)
            await self._stopping.wait()
            log.info("stopping: finishing what is in flight")
            await self._finish(runner)
        log.info("stopped")

    async def _check_token(self) -> None:
        """Say at the start what no retry would mend. A Slack that is away or slow is waited for by the relay."""
        if "relay" not in self._settings.daemon.roles:
            return
        table = self._settings.slack
        observe = self._meters.slack_call
        token = table.bot_token.get_secret_value()
        async with SlackClient(token, table.api_url, timeout=_TOKEN_CHECK, observe=observe) as client:
            try:
                identity = await client.auth_test()
                self._own_teams = frozenset({identity.team_id, *table.teams})
            except SlackTokenRefused as error:
                # Webhooks are taken in all the same: what customers write is kept until somebody sets the right token.
                variable = variable_of(("slack", "bot_token"))
                self._token_refused = f"Slack refuses slack.bot_token ({error.reason}): set {variable}=xoxb-…"
                log.error("nothing can be posted", reason=self._token_refused)  # noqa: TRY400
            except SlackError as error:
                log.warning("Slack cannot be reached, posts wait", reason=error.sentence)

    async def _start(self, stack: AsyncExitStack) -> web.AppRunner | None:
        ring = encryption.keys()
        servers = await self._open_servers(ring, stack)
        roles = self._settings.daemon.roles
        # First of all: where the address is taken, no worker has begun anything that would have to be taken back.
        runner = await self._listen(servers) if "ingress" in roles else None
        if "inbox" in roles:
            self._run_inbox()
        if "sender" in roles:
            self._run_sender(servers)
        if "relay" in roles:
            await self._run_relay(ring, stack)
        if "reconciler" in roles:
            self._run_reconciler(servers, ring)
        if "scheduler" in roles:
            self._begin(Scheduler(self._stopping, keep=timedelta(days=self._settings.daemon.keep_days)).run())
        self._begin(beat(roles, self._stopping), name="beat")
        log.info("daemon works", roles=list(roles))
        return runner

    async def _open_servers(self, ring: KeyRing, stack: AsyncExitStack) -> dict[str, Server]:
        configured = self._settings.waha.servers
        keys = {}
        for name, server in configured.items():
            own = server.webhook_hmac_key.get_secret_value()
            keys[name] = own or await self._kept_key(name, ring)
        return await open_servers(configured, keys, self._settings.delivery, stack, observe=self._meters.waha_call)

    @staticmethod
    async def _kept_key(server: str, ring: KeyRing) -> str:
        try:
            return await in_database(server_rows.webhook_key, server, ring)
        except CannotDecrypt as error:
            raise SettingsError([f"security.encryption_keys lacks a key that was used: {error}"]) from error

    def _run_inbox(self) -> None:
        house = House(operators=self._settings.slack.operators)

        def process_webhook(lane: str) -> int:
            return webhook_inbox.process(lane, house=house)

        webhooks = InboxWorker(webhook_inbox.due_lanes, process_webhook, self._listener.wake("webhooks"))
        slack = InboxWorker(slack_inbox.due_lanes, slack_inbox.process_head, self._listener.wake("slack_events"))
        self._repeat("webhook inbox", webhooks)
        self._repeat("slack inbox", slack)

    def _run_sender(self, servers: dict[str, Server]) -> None:
        delivery = self._settings.delivery
        self._repeat("sender", Sender(servers, delivery, self._listener.wake("messages"), self._settings.numbers))
        # It looks by itself: nobody is announced who does not answer.
        self._repeat("unconfirmed", Unconfirmed(servers, delivery, Wakeup()))

    async def _run_relay(self, ring: KeyRing, stack: AsyncExitStack) -> None:
        slack, delivery = self._settings.slack, self._settings.delivery
        timeout = timedelta(seconds=delivery.slack_timeout_seconds)

        async def open_client(token: str) -> SlackClient:
            return await stack.enter_async_context(
                SlackClient(token, slack.api_url, timeout=timeout, observe=self._meters.slack_call)
            )

        drawings = Drawings()  # one at a time, whatever the workspace

        def outlet(client: SlackClient, team_id: str) -> Outlet:
            return Outlet(Poster(client, ring, slack.command, drawings), Pacing(switched_on=slack.pacing), team_id)

        client = await open_client(slack.bot_token.get_secret_value())
        self._outlets = Outlets(outlet(client, ""), self._own_teams)
        if self._token_refused:
            self._outlets.own.health.failed(f"{self._token_refused}.", datetime.now(UTC))
        outlets, other_way = self._outlets, SecondChannel(self._settings.alerts.webhook_url)
        self._repeat("outages", Outages(lambda: outlets.health, other_way, Wakeup(), ask_slack=client.auth_test))
        self._workspaces = Workspaces(
            self._outlets,
            slack,
            self._listener.wake("workspaces"),
            open_client=open_client,
            new_outlet=outlet,
            new_reader=self._channel_reader,
            stopping=self._stopping,
        )
        # Before anything is posted: what is another workspace's must not go out under the token of the settings.
        await self._workspaces.step()
        self._repeat("workspaces", self._workspaces)
        for name, of_receipts in (("relay", False), ("receipts", True)):
            wakeup = self._listener.wake("posts")
            relay = Relay(self._outlets, delivery, wakeup, operators=slack.operators, of_receipts=of_receipts)
            self._repeat(name, relay)
        news = self._listener.join(News(), "homes", "incidents", "sessions")
        self._repeat("homes", Homes(news, slack.operators))
        self._repeat("channel reader", self._channel_reader(client))

    def _channel_reader(self, client: SlackClient) -> ChannelReader:
        return ChannelReader(
            client,
            self._listener.wake("catch_ups"),
            self._stopping,
            every=timedelta(minutes=self._settings.daemon.catch_up_minutes),
            ask_after=timedelta(minutes=self._settings.delivery.ask_before_sending_after_minutes),
            is_paced=self._settings.slack.pacing,
        )

    def _run_reconciler(self, servers: dict[str, Server], ring: KeyRing) -> None:
        daemon = self._settings.daemon
        for server in servers.values():
            wakeup = self._listener.wake("sessions")
            reconciler = Reconciler(server, daemon, wakeup, self._settings.slack.operators)
            self._reconcilers.append(reconciler)
            self._repeat(f"reconciler {server.name}", reconciler, every_seconds=daemon.poll_seconds)
        self._repeat("doctor", DoctorWorker(self._settings, ring, self._listener.wake("doctor")))
        incidents = Incidents(self._listener.wake("incidents"), operators=self._settings.slack.operators)
        self._repeat("incidents", incidents, pause_seconds=INCIDENTS_PAUSE_SECONDS)
        self._repeat(
            "actions",
            ActionWorker(servers, ring, self._listener.wake("actions"), operators=self._settings.slack.operators),
        )
        every = timedelta(minutes=daemon.catch_up_minutes)
        reader = SessionReader(
            servers,
            self._listener.wake("catch_ups"),
            self._stopping,
            every=every,
            operators=self._settings.slack.operators,
        )
        self._repeat("session reader", reader)
        self._repeat("silence watch", SilenceWatch(servers, Wakeup()))
        watch = NumberWatch(self._settings.numbers)
        self._begin(
            repeat(
                "numbers",
                watch.step,
                wakeup=watch.wakeup,
                stopping=self._stopping,
                every_seconds=MEASURE_EVERY_SECONDS,
            ),
            name="numbers",
        )

    async def _listen(self, servers: dict[str, Server]) -> web.AppRunner:
        self._begin(self._intake.write())
        self._begin(self._meters.watch_loop())
        app = ingress.application(
            intake=self._intake,
            keys={name: server.webhook_key for name, server in servers.items()},
            max_body_bytes=self._settings.daemon.max_body_bytes,
            ready=self._missing,
            troubled=lambda: self._outlets.refusals() if self._outlets is not None else [],
            metrics=Metrics(self._meters, self._intake),
        )
        PasswordPage(
            address=address_of(self._settings),
            command=self._settings.slack.command,
            addresses=Addresses(self._settings.daemon.trusted_proxies),
        ).add_to(app)
        runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await runner.setup()
        site = web.TCPSite(runner, self._settings.daemon.host, self._settings.daemon.port)
        await site.start()
        host, port = runner.addresses[0][:2]
        log.info("listening for webhooks", host=host, port=port)
        return runner

    async def _missing(self) -> list[str]:
        try:
            async with asyncio.timeout(_READY_WITHIN_SECONDS):
                await in_database(value, "SELECT 1")
        except Exception as error:  # noqa: BLE001 - whatever it is, this daemon is not ready
            return [f"PostgreSQL: {type(error).__name__}"]
        ended = [f"worker {task.get_name()} ended" for task in self._workers if task.done()]
        away = self._outlets.health.away(datetime.now(UTC)) if self._outlets is not None else ""
        return [*ended, *filter(None, (self._token_refused, away))]

    def _repeat(
        self, name: str, worker: Worker, *, every_seconds: float = LOOK_EVERY_SECONDS, pause_seconds: float = 0.0
    ) -> None:
        self._begin(
            repeat(
                name,
                worker.step,
                wakeup=worker.wakeup,
                stopping=self._stopping,
                every_seconds=every_seconds,
                pause_seconds=pause_seconds,
            ),
            name=name,
        )
        self._crews.append((worker, self._workers[-1]))

    def _begin(self, work: Coroutine[Any, Any, None], *, name: str | None = None) -> None:
        self._workers.append(asyncio.create_task(work, name=name))

    async def _finish(self, runner: web.AppRunner | None) -> None:
        """Take nothing new in, let what is in flight end, then go; what does not end in time is still a row."""
        try:
            async with asyncio.timeout(self._settings.daemon.shutdown_seconds):
                if runner is not None:
                    await runner.cleanup()
                # A worker that is just leasing hands over what it leased; only then its crew has all it will get.
                for worker, repeating in self._crews:
                    worker.wakeup.ring()
                    await asyncio.wait({repeating})
                    await worker.crew.finish()
                if self._workspaces is not None:
                    await self._workspaces.finish()
                for reconciler in self._reconcilers:
                    await reconciler.hand_over()
        except TimeoutError:
            log.warning("not everything in flight ended in time; it is found again by the next daemon")
        except DatabaseUnavailable as error:
            log.warning("PostgreSQL is away at the end; leases run out by themselves", reason=str(error))
        for task in self._workers:
            task.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
