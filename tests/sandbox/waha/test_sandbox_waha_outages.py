from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from sandbox.whatsapp import WhatsApp

if TYPE_CHECKING:
    from tests.sandbox.waha.conftest import Rig


async def started_at(rig: Rig) -> int:
    answer = await rig.call("GET", "/api/server/status")
    started: int = answer.body["startTimestamp"]
    return started


async def test_a_server_that_is_down_refuses_connections(rig: Rig) -> None:
    await rig.waha.go_down()

    with pytest.raises(aiohttp.ClientConnectorError):
        await rig.call("GET", "/ping")


async def test_it_comes_back_at_the_same_address_with_a_new_start(rig: Rig) -> None:
    before = (rig.waha.url, await started_at(rig))

    await rig.waha.go_down()
    await rig.waha.come_back()

    assert rig.waha.url == before[0]
    assert await started_at(rig) > before[1]


async def test_sessions_that_ran_start_again_and_others_do_not(rig: Rig) -> None:
    await rig.pair("acme")
    await rig.create("stopped")
    await rig.call("POST", "/api/sessions/stopped/stop")

    await rig.waha.go_down()
    await rig.waha.come_back()

    await rig.reaches("WORKING", "acme")
    assert rig.waha.sessions.known("stopped").status.value == "STOPPED"


async def test_what_was_written_meanwhile_arrives_as_normal_events(rig: Rig) -> None:
    await rig.pair()
    await rig.waha.go_down()

    for text in ("one", "two"):
        await rig.carla.write(text, to=rig.shop)
    during = rig.hooks.events("message")
    await rig.waha.come_back()

    await rig.until(lambda: len(rig.hooks.events("message")) == 2)
    assert during == []
    assert {event["payload"]["body"] for event in rig.hooks.events("message")} == {"one", "two"}


async def test_webhooks_that_wait_for_a_retry_are_lost(rig: Rig) -> None:
    await rig.pair()
    rig.hooks.silent = True
    await rig.carla.write("Hi", to=rig.shop)
    await rig.until(lambda: rig.hooks.events("message"))

    await rig.waha.go_down()
    rig.hooks.silent = False
    await rig.waha.come_back()
    await rig.reaches("WORKING")

    history = await rig.call("GET", "/api/acme/chats/all/messages?downloadMedia=false")
    assert len(rig.hooks.events("message")) == 1
    assert [row["body"] for row in history.body] == ["Hi"]


async def test_a_request_under_way_is_cut_off(rig: Rig) -> None:
    await rig.pair()
    hold = rig.waha.hold_answers("/api/sendText")
    call = asyncio.create_task(rig.send("Hi"))
    await rig.until(lambda: hold.held == 1)

    await rig.waha.go_down()

    with pytest.raises(aiohttp.ClientConnectionError):
        await call
    assert [shown.text for shown in rig.carla.chat_with(rig.shop)] == ["Hi"]


async def test_connections_can_be_cut_while_the_server_stays(rig: Rig) -> None:
    await rig.pair()
    started = await started_at(rig)
    with rig.waha.hold_answers("/api/sendText") as hold:
        call = asyncio.create_task(rig.send("Hi"))
        await rig.until(lambda: hold.held == 1)

        cut = rig.waha.cut_connections()

        with pytest.raises(aiohttp.ClientConnectionError):
            await call

    assert cut >= 1
    assert await started_at(rig) == started


async def test_what_is_dated_back_while_the_server_is_down_keeps_its_date(rig: Rig) -> None:
    await rig.pair()
    await rig.waha.go_down()
    long_ago = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)

    await rig.carla.write("Hello?", to=rig.shop, at=long_ago)
    await rig.waha.come_back()

    [event] = await rig.until(lambda: rig.hooks.events("message"))
    assert event["payload"]["timestamp"] == int(long_ago.timestamp())
    assert event["timestamp"] > long_ago.timestamp() * 1000


async def test_a_stop_of_the_server_is_a_restart(rig: Rig) -> None:
    before = await started_at(rig)

    answer = await rig.call("POST", "/api/server/stop", {"force": False})

    assert (answer.status, answer.body) == (201, {"stopping": True})
    await rig.until(lambda: not rig.waha.is_up)
    await rig.until(lambda: rig.waha.is_up)
    assert await started_at(rig) > before


async def test_two_runs_with_one_seed_make_the_same_ids() -> None:
    async def ids() -> list[Any]:
        whatsapp = WhatsApp(seed=3)
        carla, shop = whatsapp.phone("+491"), whatsapp.phone("+492")
        return [(await carla.write("Hi", to=shop)).id for _ in range(3)]

    assert await ids() == await ids()
