"""Break one thing, and that finding turns, and no other; its fix says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from threading import Thread

import psycopg2
import pytest
from pydantic import SecretStr

from daemon.doctor.checkup import Checkup, look
from database import in_database
from operations import doctor, processes
from operations.findings import Finding, Level, ok
from tests.conftest import MigratedDatabase
from tests.daemon.examined import Examined, examined, webhook_config


@pytest.fixture
async def well(migrated_database: MigratedDatabase) -> AsyncIterator[Examined]:
    async with examined(migrated_database) as one:
        yield one


async def test_where_all_is_well_nothing_is_to_do(well: Examined) -> None:
    found = await well.look()

    assert {check: finding for check, finding in found.items() if finding.level is not Level.OK} == {}
    assert {"slack.scopes", "slack.app_token", "slack.channels", "slack.events", "slack.clock"} <= set(found)
    assert {"waha.main.key", "waha.main.webhook", "waha.main.arrival", "waha.main.clock"} <= set(found)
    assert {"database.migrations", "database.connections", "database.clock", "disk.free", "daemon.runs"} <= set(found)
    assert "signed probe" in found["waha.main.arrival"].found


def webhooks_are(well: Examined, url: str | None = None, **more: object) -> None:
    target = url or well.settings.waha.servers["main"].webhook_url
    well.at_waha.config = webhook_config(target, **more)


async def no_bot(well: Examined) -> None:
    await in_database(processes.end, well.bot)


async def no_daemon(well: Examined) -> None:
    await in_database(processes.end, well.daemon)


async def a_role_is_missing(well: Examined) -> None:
    await well.sql("""UPDATE processes SET roles = '["ingress"]' WHERE kind = 'daemon'""")


async def no_socket(well: Examined) -> None:
    await well.sql("""UPDATE processes SET facts = '{"sockets": 0}' WHERE kind = 'bot'""")


async def token_refused(well: Examined) -> None:
    well.override("slack", bot_token=SecretStr("xoxb-another"))


async def app_token_refused(well: Examined) -> None:
    well.override("slack", app_token=SecretStr("xapp-another"))


async def scope_missing(well: Examined) -> None:
    state = well.slack.state
    object.__setattr__(state, "scopes", state.scopes - {"reactions:write"})


async def bot_left(well: Examined) -> None:
    await well.sql("UPDATE channel_routes SET slack_channel_id = %s", well.slack.channel("general").id)


async def channel_archived(well: Examined) -> None:
    well.slack.archive("ana", "support")


async def channel_gone(well: Examined) -> None:
    await well.sql("UPDATE channel_routes SET slack_channel_id = 'CNOWHERE'")


async def no_events(well: Examined) -> None:
    await well.sql("DELETE FROM slack_events WHERE kind = 'event'")


async def waha_down(well: Examined) -> None:
    await well.waha.go_down()


async def waha_key_changed(well: Examined) -> None:
    well.waha.keys.refused = True


async def waha_key_of_a_session(well: Examined) -> None:
    well.waha.answer("/api/keys", status=403, body={"message": "Forbidden", "statusCode": 403})


async def waha_disk_full(well: Examined) -> None:
    full = {"mediaFiles.space": {"status": "down", "free": 10**7, "threshold": 10**8}}
    well.waha.answer("/health", status=503, body={"status": "error", "details": full})


async def waha_is_something_else(well: Examined) -> None:
    well.waha.answer("/api/server/version", status=200, body={"name": "nginx"})


async def waha_is_old(well: Examined) -> None:
    old = {"version": "2025.1.1", "engine": "GOWS", "tier": "CORE"}
    well.waha.answer("/api/server/version", status=200, body=old)


async def waha_is_of_another_engine(well: Examined) -> None:
    webjs = {"version": "2026.9.1", "engine": "WEBJS", "tier": "CORE"}
    well.waha.answer("/api/server/version", status=200, body=webjs)


async def waha_lost_the_session(well: Examined) -> None:
    well.waha.answer("/api/sessions", status=200, body=[])


async def webhook_elsewhere(well: Examined) -> None:
    webhooks_are(well, "http://10.0.0.9:8080/webhooks/waha/main")


async def webhook_unsigned(well: Examined) -> None:
    webhooks_are(well, hmac=None)


async def webhook_of_another_key(well: Examined) -> None:
    webhooks_are(well, hmac={"key": "another"})


async def webhook_leaves_out(well: Examined) -> None:
    webhooks_are(well, events=["message.any"])


async def no_webhook(well: Examined) -> None:
    well.at_waha.config = {}


async def nobody_polls(well: Examined) -> None:
    await well.sql("UPDATE waha_servers SET poll_lease_expires_at = now() - interval '1 minute'")


async def webhooks_pile_up(well: Examined) -> None:
    await well.sql(
        "UPDATE webhook_events SET processed_at = NULL, parked_at = NULL, created_at = now() - interval '1 hour'"
    )


async def messages_set_aside(well: Examined) -> None:
    await in_database(_park_a_message, well)


def _park_a_message(well: Examined) -> None:
    message = well.world.message(well.world.conversation(well.session))
    well.world.sql("UPDATE messages SET parked_at = now() WHERE id = %s", message.id)


async def no_operators(well: Examined) -> None:
    well.override("slack", operators=())


async def no_alerts(well: Examined) -> None:
    well.override("alerts", webhook_url=SecretStr(""))


async def no_public_url(well: Examined) -> None:
    well.override("security", public_url="")


async def key_unknown(well: Examined) -> None:
    await well.sql("INSERT INTO keys_in_use (id, key_id) VALUES (gen_random_uuid(), 'feedface')")


async def posts_set_aside(well: Examined) -> None:
    await _posts_are_parked(well, "1 hour", attempts=1)


async def _posts_are_parked(well: Examined, ago: str, *, attempts: int) -> None:
    await well.sql("INSERT INTO post_lanes (id, name) VALUES (gen_random_uuid(), 'x')")
    await well.sql(
        "INSERT INTO slack_posts (id, lane_id, seq, kind, slack_team_id, slack_channel_id, payload, attempts, "
        "parked_at) SELECT id, id, 1, 'post', 'T1', 'C1', '{}', %s, now() - %s::interval FROM post_lanes",
        attempts,
        ago,
    )


Break = Callable[[Examined], Awaitable[None]]
BREAKS: list[tuple[Break, str, Level, str]] = [
    (no_bot, "bot.runs", Level.BAD, "start bot"),
    (no_daemon, "daemon.runs", Level.BAD, "start daemon"),
    (a_role_is_missing, "daemon.roles", Level.BAD, "daemon.roles"),
    (no_socket, "bot.sockets", Level.BAD, "connections:write"),
    (app_token_refused, "slack.app_token", Level.BAD, "SWITCHBOARD_SLACK__APP_TOKEN"),
    (scope_missing, "slack.scopes", Level.BAD, "add reactions:write under OAuth & Permissions"),
    (no_events, "slack.events", Level.BAD, "Event Subscriptions"),
    (waha_down, "waha.main.reached", Level.BAD, "SWITCHBOARD_WAHA__SERVERS__MAIN__URL"),
    (waha_key_changed, "waha.main.key", Level.BAD, "WAHA_API_KEY"),
    (waha_key_of_a_session, "waha.main.key", Level.BAD, "SWITCHBOARD_WAHA__SERVERS__MAIN__API_KEY"),
    (waha_disk_full, "waha.main.disk", Level.BAD, "make room on WAHA's disk"),
    (waha_is_something_else, "waha.main.reached", Level.BAD, "waha.servers.main.url"),
    (waha_is_old, "waha.main.version", Level.BAD, "update WAHA"),
    (waha_is_of_another_engine, "waha.main.version", Level.WARN, "WHATSAPP_DEFAULT_ENGINE=GOWS"),
    (waha_lost_the_session, "waha.main.sessions", Level.WARN, "session qr"),
    (webhook_elsewhere, "waha.main.webhook", Level.BAD, "/webhooks/waha/main"),
    (webhook_unsigned, "waha.main.webhook", Level.BAD, "hmac.key"),
    (webhook_of_another_key, "waha.main.webhook", Level.BAD, "hmac.key"),
    (webhook_leaves_out, "waha.main.webhook", Level.BAD, "session.status"),
    (no_webhook, "waha.main.webhook", Level.BAD, "puts it right at its next poll"),
    (nobody_polls, "waha.main.polled", Level.BAD, "reconciler"),
    (webhooks_pile_up, "queue.webhooks", Level.BAD, "role `inbox`"),
    (messages_set_aside, "parked.messages", Level.WARN, "message failed"),
    (posts_set_aside, "parked.posts", Level.WARN, "docs/runbook.md"),
    (no_operators, "settings.operators", Level.BAD, "SWITCHBOARD_SLACK__OPERATORS"),
    (no_alerts, "settings.alerts", Level.WARN, "SWITCHBOARD_ALERTS__WEBHOOK_URL"),
    (no_public_url, "settings.public_url", Level.WARN, "SWITCHBOARD_SECURITY__PUBLIC_URL"),
    (key_unknown, "security.keys", Level.BAD, "security.encryption_keys"),
]


@pytest.mark.parametrize(("broken", "check", "level", "fix"), BREAKS, ids=[row[0].__name__ for row in BREAKS])
async def test_what_is_broken_is_named_with_its_fix_and_nothing_else_is(
    well: Examined, broken: Break, check: str, level: Level, fix: str
) -> None:
    await broken(well)

    troubles = await well.troubles()

    assert list(troubles) == [check], {name: one.found for name, one in troubles.items()}
    assert troubles[check].level is level
    assert fix in troubles[check].fix


async def test_a_token_that_is_refused_is_said_once_and_not_again_for_each_channel(well: Examined) -> None:
    await token_refused(well)

    troubles = await well.troubles()

    assert list(troubles) == ["slack.token"]
    assert "SWITCHBOARD_SLACK__BOT_TOKEN" in troubles["slack.token"].fix


@pytest.mark.parametrize(
    ("broken", "fix"),
    [(bot_left, "/invite"), (channel_archived, "channel link"), (channel_gone, "/invite")],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_channel_that_the_bot_cannot_post_in_is_named(well: Examined, broken: Break, fix: str) -> None:
    await broken(well)

    [(check, finding)] = (await well.troubles()).items()

    assert check.startswith("slack.channel.C")
    assert finding.level is Level.BAD
    assert fix in finding.fix


async def test_a_database_that_is_behind_is_named(well: Examined, new_database: Callable[[], str]) -> None:
    well.override("database", owner_url=SecretStr(new_database()))

    troubles = await well.troubles()

    assert list(troubles) == ["database.migrations"]
    assert "001_initial" in troubles["database.migrations"].found
    assert "make migrate" in troubles["database.migrations"].fix


@pytest.mark.parametrize(("ago", "attempts"), [("2 days", 1), ("1 hour", 0)], ids=["long ago", "on purpose"])
async def test_what_was_set_aside_long_ago_or_on_purpose_is_no_trouble(well: Examined, ago: str, attempts: int) -> None:
    await _posts_are_parked(well, ago, attempts=attempts)

    assert await well.troubles() == {}


async def test_a_foreign_webhook_is_named_by_its_host_alone(well: Examined) -> None:
    webhooks_are(well, "https://admin:hunter2@hooks.example.org/services/T0/B0/SECRETTOKEN?sig=abc")

    finding = (await well.troubles())["waha.main.webhook"]

    assert "at hooks.example.org, not to http://127.0.0.1:" in finding.found
    assert [word for word in ("hunter2", "SECRETTOKEN", "sig=") if word in finding.found + finding.fix] == []


async def test_a_key_that_was_made_is_not_asked_for_by_its_setting(well: Examined) -> None:
    webhooks_are(well, hmac=None)
    with_key = (await well.troubles())["waha.main.webhook"].fix
    well.override("waha", webhook_hmac_key=SecretStr(""))
    without = (await well.troubles())["waha.main.webhook"].fix

    assert with_key.endswith("(SWITCHBOARD_WAHA__SERVERS__MAIN__WEBHOOK_HMAC_KEY)")
    assert without.endswith("which you set first: the one that was made for it is shown to nobody")


@contextmanager
def held_up(url: str) -> Iterator[int]:
    """Two connections of the login, the second of which waits for the first; its process id."""
    with closing(psycopg2.connect(url)) as holder, closing(psycopg2.connect(url)) as waiter:
        with holder.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(42), pg_backend_pid()")
            [(_, pid)] = cursor.fetchall()
        waiting = Thread(target=lambda: waiter.cursor().execute("SELECT pg_advisory_lock(42)"))
        waiting.start()
        yield int(pid)
        with holder.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(42)")
        waiting.join()


async def test_who_holds_up_others_is_named_by_the_process_and_nobody_where_nobody_does(
    migrated_database: MigratedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_LONG_TRANSACTION", timedelta(0))
    with held_up(migrated_database.url) as pid:
        long = await in_database(doctor.transactions)
        async with asyncio.timeout(15):
            while "0 wait" in (waits := await in_database(doctor.transactions)).found:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    calm = await in_database(doctor.transactions)

    assert f"process {pid} of PostgreSQL is the longest open" in long.fix
    assert f"process {pid} of PostgreSQL holds what is waited for" in waits.fix
    assert f"`SELECT pg_terminate_backend({pid})`" in waits.fix
    assert (calm.level, calm.fix) == (Level.OK, "")


async def test_a_clock_that_is_off_is_named_for_each_whose_clock_is_another(well: Examined) -> None:
    well.now = datetime.now(UTC) + timedelta(minutes=4)

    troubles = await well.troubles()

    assert set(troubles) == {"slack.clock", "database.clock", "waha.main.clock"}
    assert {finding.level for finding in troubles.values()} == {Level.WARN}
    assert all("NTP" in finding.fix for finding in troubles.values())


async def test_a_check_that_hangs_takes_no_other_with_it(well: Examined) -> None:
    async def hangs(_: Checkup) -> AsyncIterator[Finding]:
        yield ok("one", "This was found before.")
        await asyncio.Event().wait()

    found = await look("hanging", hangs, Checkup(well.settings, None, has_database=False), within=0.05)

    assert [(one.check, one.level) for one in found] == [("one", Level.OK), ("hanging", Level.BAD)]


async def test_what_was_found_stands_when_the_check_fails_and_no_trace_is_shown(well: Examined) -> None:
    async def fails(_: Checkup) -> AsyncIterator[Finding]:
        yield ok("one", "This was found before.")
        raise RuntimeError("a secret")

    found = await look("failing", fails, Checkup(well.settings, None, has_database=False))

    assert [(one.check, one.level) for one in found] == [("one", Level.OK), ("failing", Level.BAD)]
    assert "a secret" not in found[1].found
