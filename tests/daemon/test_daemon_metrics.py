"""`GET /metrics`: every series says what it is, none names anybody, and without PostgreSQL there is still a page."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from bot.metrics import FAMILIES as OF_THE_BOT
from bot.metrics import Metrics as BotMetrics
from daemon import ingress
from daemon.intake import Intake
from daemon.metrics import FAMILIES, Metrics
from database import close_database, in_database
from models import DesiredState, ProcessKind, SessionStatus, uuid7
from operations import processes
from operations.measuring import measure
from sandbox.slack import SandboxSlack
from sandbox.waha import SandboxWaha
from sandbox.whatsapp import WhatsApp
from settings.meters import Meters
from slack.client import SlackClient
from slack.errors import SlackError
from tests.conftest import MigratedDatabase
from tests.daemon.conftest import Rows
from tests.daemon.test_daemon_ingress import KEY, event, nothing_missing, post, signed
from tests.operations.builders import World
from waha.client import WahaClient
from waha.errors import WahaError
from waha.routes import route_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
Client = TestClient[Request, Application]


@pytest.fixture
def meters() -> Meters:
    return Meters("daemon")


@pytest.fixture
async def client(meters: Meters, rows: Rows) -> AsyncIterator[Client]:
    intake = Intake()
    writing = asyncio.create_task(intake.write())
    app = ingress.application(
        intake=intake,
        keys={"main": KEY},
        max_body_bytes=10_000,
        ready=nothing_missing,
        metrics=Metrics(meters, intake, kept_seconds=0),
    )
    async with TestClient(TestServer(app)) as client:
        yield client
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


async def scraped(client: Client) -> dict[str, Metric]:
    """The page as Prometheus reads it, by the name of the family."""
    async with client.get("/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        text = await response.text()
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(page: dict[str, Metric], name: str, **labels: str) -> float:
    [sample] = [
        one
        for family in page.values()
        for one in family.samples
        if one.name == f"switchboard_{name}" and one.labels == labels
    ]
    return float(sample.value)


async def test_every_series_says_what_it_is_and_counts_in_a_unit(client: Client) -> None:
    page = await scraped(client)

    assert [name for name in page if not name.startswith("switchboard_")] == []
    assert [name for name, family in page.items() if not family.documentation or family.type == "unknown"] == []
    assert [name for name, family in page.items() if re.search("_(ms|millis|minutes|hours)(_|$)", name)] == []
    assert {f"switchboard_{name}" for name in FAMILIES} <= set(page)


def a_world(world: World) -> None:
    tenant = world.tenant("Verysecretname")
    session = world.session(tenant, "hiddenname", status=SessionStatus.FAILED, desired_state=DesiredState.RUNNING)
    conversation = world.conversation(session, "4915199999999@c.us")
    world.message(conversation, "a body that nobody shall read")
    world.sql("UPDATE messages SET created_at = now() - interval '10 minutes'")
    world.sql("INSERT INTO waha_servers (id, name, state) VALUES (%s, 'main', 'up')", uuid7())


async def test_rows_are_counted_and_their_age_told(client: Client, migrated_database: MigratedDatabase) -> None:
    await in_database(a_world, World(migrated_database))

    page = await scraped(client)

    assert value(page, "database_up") == 1
    assert value(page, "queue_depth", queue="messages") == 1
    assert 600 <= value(page, "queue_oldest_age_seconds", queue="messages") < 700
    assert value(page, "queue_depth", queue="webhooks") == 0
    assert value(page, "sessions", server="main", status="failed", desired="running") == 1
    assert value(page, "waha_servers", server="main", state="up") == 1
    assert value(page, "waha_server_leased", server="main") == 0


async def test_nobody_is_named(client: Client, migrated_database: MigratedDatabase, meters: Meters) -> None:
    await in_database(a_world, World(migrated_database))
    meters.waha_call(route_of("GET", "/api/hiddenname/chats/4915199999999@c.us/messages"), "ok", 0.1)

    async with client.get("/metrics") as response:
        text = await response.text()

    assert [word for word in ("Verysecret", "hiddenname", "4915199999999", "body that", "@c.us") if word in text] == []
    assert 'route="GET /api/*/chats/*/messages"' in text


async def test_webhooks_are_counted_by_what_they_were_answered(client: Client, rows: Rows) -> None:
    answers = [
        await post(client, event("evt_1")),
        await post(client, event("evt_1")),
        await post(client, event("evt_2"), key="another"),
        await post(client, event("evt_3"), server="unknown"),
        await post(client, b"x" * 20_000),
    ]

    page = await scraped(client)

    assert answers == [200, 200, 401, 404, 413]
    assert value(page, "webhooks_total", outcome="kept") == 2
    assert value(page, "webhooks_repeated") == 1
    assert value(page, "webhooks_total", outcome="signature_refused") == 1
    assert value(page, "webhooks_total", outcome="server_unknown") == 1
    assert value(page, "webhooks_total", outcome="too_large") == 1
    assert value(page, "queue_depth", queue="webhooks") == 1
    assert (
        value(page, "webhook_last_age_seconds", server="main") < 60 if await rows("SELECT 1 FROM waha_servers") else 1
    )


@pytest.mark.parametrize(("ack", "receipt"), [(2, "delivered"), (3, "read"), (-1, "failed")])
async def test_receipts_are_counted_by_how_far_a_message_got(client: Client, ack: int, receipt: str) -> None:
    payload = {"id": "true_49151@c.us_3EB0", "from": "49151@c.us", "fromMe": True, "ack": ack}
    raw = json.dumps({"id": "evt", "event": "message.ack", "session": "sales", "payload": payload}).encode()

    async with client.post("/webhooks/waha/main", data=raw, headers=signed(raw)):
        page = await scraped(client)

    assert value(page, "receipts_total", receipt=receipt) == 1


async def test_without_postgresql_there_is_still_a_page(client: Client) -> None:
    await scraped(client)
    await asyncio.to_thread(close_database)

    page = await scraped(client)

    assert (value(page, "database_up"), value(page, "rows_counted")) == (0, 0)
    assert page["switchboard_queue_depth"].samples == []
    assert page["switchboard_process_resident_memory_bytes"].samples != []


async def test_a_postgresql_that_takes_long_to_count_is_not_said_to_be_away(
    rows: Rows, meters: Meters, migrated_database: MigratedDatabase
) -> None:
    app = Application()
    app.router.add_get("/metrics", Metrics(meters, Intake(), kept_seconds=0, within_seconds=0.2).show)
    async with TestClient(TestServer(app)) as client:
        with closing(psycopg2.connect(migrated_database.url)) as migrating:
            migrating.cursor().execute("LOCK TABLE incidents IN ACCESS EXCLUSIVE MODE")
            slow = await scraped(client)
        again = await scraped(client)

    assert (value(slow, "database_up"), value(slow, "rows_counted")) == (1, 0)
    assert slow["switchboard_queue_depth"].samples == []
    assert (value(again, "database_up"), value(again, "rows_counted")) == (1, 1)


async def test_scraping_oftener_reads_the_rows_once(rows: Rows, meters: Meters) -> None:
    metrics = Metrics(meters, Intake(), kept_seconds=60)
    app = Application()
    app.router.add_get("/metrics", metrics.show)
    async with TestClient(TestServer(app)) as client:
        await scraped(client)
        await in_database(processes.beat, uuid7(), ProcessKind.BOT, "host:1")
        page = await scraped(client)

    assert page["switchboard_processes"].samples == []
    assert [one.value for one in await in_database(measure) if one.series == "processes"] == [1]


async def test_calls_are_timed_and_sorted_by_what_became_of_them(meters: Meters, client: Client) -> None:
    async with (
        SandboxSlack() as slack,
        SandboxWaha(WhatsApp(), pace=0.01) as waha,
        SlackClient(slack.bot_token, slack.api_url, observe=meters.slack_call) as calls,
        WahaClient(waha.url, "another key", observe=meters.waha_call) as refused,
        WahaClient(waha.url, waha.api_key, observe=meters.waha_call) as taken,
    ):
        await calls.auth_test()
        with pytest.raises(SlackError):
            await calls.channel_info("CNOWHERE")
        await taken.list_sessions()
        with pytest.raises(WahaError):
            await refused.send_text("sales", "49151@c.us", "Hello")

    page = await scraped(client)

    assert value(page, "slack_calls_total", method="auth.test", outcome="ok") == 1
    assert value(page, "slack_calls_total", method="conversations.info", outcome="SlackRefused") == 1
    assert value(page, "waha_calls_total", route="GET /api/sessions", outcome="ok") == 1
    assert value(page, "waha_calls_total", route="POST /api/sendText", outcome="WahaKeyRefused") == 1
    assert value(page, "sends_total", outcome="not_sent") == 1
    assert value(page, "waha_call_seconds_count", route="POST /api/sendText") == 1


async def test_the_lag_of_the_loop_is_measured(meters: Meters, client: Client) -> None:
    watching = asyncio.create_task(meters.watch_loop())
    async with asyncio.timeout(10):
        while value(await scraped(client), "event_loop_lag_seconds_count") < 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    watching.cancel()


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/sessions/acme-1/start", "POST /api/sessions/*/start"),
        ("/api/acme-1/auth/qr?format=raw", "POST /api/*/auth/qr"),
        ("/api/contacts/check-exists", "POST /api/contacts/check-exists"),
        ("/api/acme/lids/7700011122@lid", "POST /api/*/lids/*"),
    ],
)
def test_a_route_holds_no_name(path: str, route: str) -> None:
    assert route_of("POST", path) == route


def families_of_a_bot() -> set[tuple[str, str, str]]:
    meters = Meters("bot")
    BotMetrics(meters)
    return described(meters)


def described(meters: Meters) -> set[tuple[str, str, str]]:
    """Name, type and meaning of each series, but for those of the process itself, which the library describes."""
    return {
        (family.name + ("_total" if family.type == "counter" else ""), family.type, family.documentation)
        for family in meters.registry.collect()
        if not family.name.startswith("switchboard_process_")
    }


def test_the_document_says_of_every_series_what_the_page_says(meters: Meters) -> None:
    Metrics(meters, Intake())
    table = re.findall(r"^\| `(\w+)` \| (\w+) \| [^|]* \| [^|]* \| (.+) \|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)

    assert set(table) == described(meters) | families_of_a_bot()
    assert set(OF_THE_BOT) - set(FAMILIES) == {"slack_sockets"}


def test_every_alert_asks_for_a_series_that_there_is(meters: Meters) -> None:
    Metrics(meters, Intake())
    text = DOCUMENT.read_text("utf-8")
    rules = re.findall(r"^      - alert: (\w+)$", text, re.MULTILINE)
    asked = set(re.findall(r"switchboard_\w+", "".join(re.findall(r"^        expr: .*$", text, re.MULTILINE))))

    known = {name for name, _, _ in described(meters) | families_of_a_bot()}
    known |= {f"{name}_bucket" for name, kind, _ in described(meters) if kind == "histogram"}
    assert len(rules) == len(set(rules)) >= 8
    assert asked <= known
    assert text.count("          do: ") == len(rules)


async def test_a_bot_that_beats_is_counted(rows: Rows, client: Client) -> None:
    await in_database(processes.beat, uuid7(), ProcessKind.BOT, "host:1")

    assert value(await scraped(client), "processes", kind="bot") == 1
