"""Webhooks that do not arrive: the doctor names it, with what to do, for each reason that there can be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from operations.doctor_waha import Arrival, arrival
from operations.findings import Level
from tests.conftest import MigratedDatabase
from tests.daemon.examined import Examined, examined, webhook_config

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
URL = "http://switchboard:8080/webhooks/waha/main"


def minutes_ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


@pytest.mark.timeline("complaint/8")
@pytest.mark.parametrize(
    ("heard", "active", "probe", "level", "said", "fix"),
    [
        (1, 1, "taken", Level.OK, "60 s ago", ""),
        # A night without a message is no trouble.
        (600, 600, "taken", Level.OK, "10 h ago", ""),
        # It may be on its way.
        (10, 1, "taken", Level.OK, "10 min ago", ""),
        (90, 5, "taken", Level.BAD, "WAHA saw something happen 5 min ago", "curl -si -X POST"),
        (None, 5, "taken", Level.BAD, "No webhook ever arrived", "waha.servers.main.webhook_url"),
        (None, None, "unreachable", Level.BAD, "No webhook ever arrived", "no address that WAHA reaches"),
        (90, 5, "unreachable", Level.BAD, "cannot be reached either", "curl -si -X POST"),
        # From WAHA's network it can be reached, from here not: what arrives proves it.
        (1, 1, "unreachable", Level.OK, "sessions that work post to it", ""),
        (60, 60, "unreachable", Level.WARN, "cannot be reached", "role `ingress`"),
        (1, 1, "key refused", Level.BAD, "another installation", "SWITCHBOARD_WAHA__SERVERS__MAIN__WEBHOOK_HMAC_KEY"),
        (90, 5, "not ours", Level.BAD, "No ingress of ours", "/webhooks/waha/main"),
    ],
)
def test_webhooks_that_do_not_arrive_are_named_with_what_to_do(
    heard: float | None, active: float | None, probe: str, level: Level, said: str, fix: str
) -> None:
    arrived = Arrival(
        url=URL,
        works=1,
        heard_at=minutes_ago(heard) if heard is not None else None,
        active_at=minutes_ago(active) if active is not None else None,
        probe=probe,
        why="ClientConnectorError",
        is_registered=True,
    )

    finding = arrival("main", arrived, now=NOW)

    assert finding.level is level
    assert said in finding.found
    assert fix in finding.fix


def test_where_no_session_works_nothing_is_expected() -> None:
    finding = arrival("main", Arrival(URL, 0, None, None, "taken"), now=NOW)

    assert finding.level is Level.OK


@pytest.fixture
async def well(migrated_database: MigratedDatabase) -> AsyncIterator[Examined]:
    async with examined(migrated_database) as one:
        yield one


@pytest.mark.timeline("complaint/8")
async def test_a_session_whose_webhooks_stop_arriving_is_named_hours_later(well: Examined) -> None:
    """WAHA posts somewhere else: a customer's message is seen by it and never told to us."""
    target = well.settings.waha.servers["main"].webhook_url
    session = well.at_waha
    session.config = webhook_config("http://127.0.0.1:1/webhooks/waha/main")
    await well.sql("UPDATE waha_servers SET last_webhook_at = now() - interval '3 hours'")
    session.last_activity = int((datetime.now(UTC) - timedelta(hours=1)).timestamp() * 1000)

    troubles = await well.troubles()

    assert set(troubles) == {"waha.main.webhook", "waha.main.arrival"}
    assert f"goes to another address, at 127.0.0.1, not to {target}" in troubles["waha.main.webhook"].found
    assert "puts it right at its next poll" in troubles["waha.main.webhook"].fix
    assert "3 h ago, though WAHA saw something happen 60 min ago" in troubles["waha.main.arrival"].found
    assert f"curl -si -X POST {target}" in troubles["waha.main.arrival"].fix


@pytest.mark.timeline("complaint/8")
async def test_an_ingress_with_another_key_is_named(well: Examined) -> None:
    """Two installations share an address, or a key was changed on one machine only."""
    well.override("waha", webhook_hmac_key=SecretStr("another"))

    troubles = await well.troubles()

    assert set(troubles) == {"waha.main.webhook", "waha.main.arrival"}
    assert "refuses what is signed with our key" in troubles["waha.main.arrival"].found
    assert "another HMAC key" in troubles["waha.main.webhook"].found


def test_what_arrived_at_a_former_address_proves_nothing_of_this_one() -> None:
    arrived = Arrival(
        URL, 1, minutes_ago(1), minutes_ago(1), "unreachable", "ClientConnectorError", is_registered=False
    )

    finding = arrival("main", arrived, now=NOW)

    assert finding.level is Level.WARN
    assert "waha.servers.main.webhook_url" in finding.fix
