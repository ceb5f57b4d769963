from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest

if TYPE_CHECKING:
    from tests.sandbox.waha.conftest import Rig

SEND = "/api/sendText"


def texts(rig: Rig) -> list[str]:
    """What Carla sees of the shop."""
    return [shown.text for shown in rig.carla.chat_with(rig.shop)]


def bodies(rig: Rig, event: str = "message.any") -> list[str]:
    return [event["payload"]["body"] for event in rig.hooks.events(event)]


async def test_a_delay_is_added_before_a_request_is_carried_out(rig: Rig) -> None:
    await rig.pair()
    rig.waha.faults.delay(SEND, (0.1, 0.2))

    call = asyncio.create_task(rig.send("Hi"))
    await rig.until(lambda: rig.waha.journal.requests_to(SEND))
    before = texts(rig)

    assert before == []
    assert (await call).seconds >= 0.1
    assert texts(rig) == ["Hi"]


async def test_what_a_caller_gave_up_on_is_carried_out_nevertheless_and_late(rig: Rig) -> None:
    await rig.pair()
    rig.waha.faults.delay(SEND, 0.2, times=1)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await rig.send("Hi")
    when_given_up = texts(rig)

    await rig.until(lambda: texts(rig) == ["Hi"])
    assert when_given_up == []


async def test_a_delay_of_the_answer_lets_receipts_overtake_it(rig: Rig) -> None:
    await rig.pair()
    rig.waha.faults.delay(SEND, 0.3, carried_out=True)

    call = asyncio.create_task(rig.send("Hi"))
    await rig.until(lambda: rig.hooks.events("message.ack"))

    assert not call.done()
    assert (await call).status == 201


async def test_a_failure_has_the_body_of_wahas_own(rig: Rig) -> None:
    await rig.pair()
    rig.waha.faults.fail(SEND, times=1)

    failed = await rig.send("Hi")
    answered = await rig.send("Again")

    assert (failed.status, answered.status) == (500, 201)
    assert failed.body["request"]["body"]["text"] == "Hi"
    assert failed.body["version"]["engine"] == "GOWS"
    assert texts(rig) == ["Again"]


async def test_a_server_behind_a_proxy_is_unavailable_until_healed(rig: Rig) -> None:
    rig.waha.faults.unavailable(headers={"Retry-After": "1"})
    away = await rig.call("GET", "/api/sessions")

    rig.waha.heal()

    assert (away.status, away.headers["Retry-After"]) == (503, "1")
    assert (await rig.call("GET", "/api/sessions")).status == 200


@pytest.mark.parametrize("carried_out", [True, False])
async def test_a_connection_is_cut_before_or_after(rig: Rig, *, carried_out: bool) -> None:
    await rig.pair()
    cut = rig.waha.faults.lose_answer if carried_out else rig.waha.faults.refuse
    fault = cut(SEND, times=1)

    with pytest.raises(aiohttp.ClientConnectionError):
        await rig.send("Hi")

    assert texts(rig) == (["Hi"] if carried_out else [])
    assert fault.hits == 1


async def test_what_hangs_is_cut_when_it_is_healed(rig: Rig) -> None:
    await rig.pair()
    fault = rig.waha.faults.hang(SEND)
    call = asyncio.create_task(rig.send("Hi"))
    await rig.until(lambda: fault.hits == 1)

    rig.waha.heal()

    with pytest.raises(aiohttp.ClientConnectionError):
        await call
    assert texts(rig) == []


async def test_one_session_hangs_and_another_does_not(rig: Rig) -> None:
    await rig.pair()
    await rig.create("other")
    await rig.waha.pair("other", rig.whatsapp.phone("+4930777777"))
    rig.waha.faults.hang(session="other")

    answer = await rig.send("Hi")

    assert answer.status == 201
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await rig.send("Hi", session="other")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await rig.call("GET", "/api/other/chats")


async def test_a_probability_repeats_with_its_seed(rig: Rig) -> None:
    async def statuses() -> list[int]:
        rig.waha.heal()
        rig.waha.faults.unavailable("/ping", probability=0.5, seed=11)
        return [(await rig.call("GET", "/ping")).status for _ in range(20)]

    first, second = await statuses(), await statuses()

    assert first == second
    assert set(first) == {200, 503}


async def test_delays_add_up_and_the_first_end_wins(rig: Rig) -> None:
    rig.waha.faults.delay("/ping", 0.05)
    rig.waha.faults.delay("*", 0.05)
    rig.waha.faults.unavailable("/ping", times=1)
    later = rig.waha.faults.fail("/ping")

    answer = await rig.call("GET", "/ping")

    assert answer.status == 503
    assert answer.seconds >= 0.1
    assert later.hits == 0


async def test_a_webhook_is_posted_twice_under_one_event_id(rig: Rig) -> None:
    await rig.pair()
    rig.waha.webhook_faults.duplicate("message.any", times=1)

    await rig.carla.write("Hi", to=rig.shop)

    first, second = await rig.until(lambda: len(bodies(rig)) == 2 and rig.hooks.events("message.any"))
    assert first == second


async def test_a_late_webhook_comes_after_those_that_follow(rig: Rig) -> None:
    await rig.pair()
    rig.waha.webhook_faults.late(0.1, "message.any", times=1)

    await rig.carla.write("one", to=rig.shop)
    await rig.carla.write("two", to=rig.shop)

    await rig.until(lambda: len(bodies(rig)) == 2)
    assert bodies(rig) == ["two", "one"]


async def test_a_webhook_is_held_until_later_ones_of_its_chat_have_overtaken_it(rig: Rig) -> None:
    dora = rig.whatsapp.phone("+4916099999999", name="Dora")
    await rig.pair()
    fault = rig.waha.webhook_faults.overtaken("message.any", by=2, times=1)

    await rig.carla.write("one", to=rig.shop)
    await dora.write("of another chat", to=rig.shop)
    await rig.carla.write("two", to=rig.shop)
    await rig.until(lambda: len(bodies(rig)) == 2)
    held = list(bodies(rig))
    await rig.carla.write("three", to=rig.shop)

    await rig.until(lambda: len(bodies(rig)) == 4)
    assert "one" not in held
    assert bodies(rig)[-1] == "one"
    assert fault.hits == 1


async def test_a_held_webhook_that_nothing_overtakes_comes_after_a_while_or_when_healed(rig: Rig) -> None:
    await rig.pair()
    rig.waha.webhook_faults.overtaken("message.any", seconds=0.05, times=1)
    await rig.carla.write("one", to=rig.shop)
    await rig.until(lambda: bodies(rig) == ["one"])
    rig.waha.webhook_faults.overtaken("message.any", times=1)
    await rig.carla.write("two", to=rig.shop)

    rig.waha.heal()

    await rig.until(lambda: bodies(rig) == ["one", "two"])


async def test_a_lost_webhook_is_only_in_the_history(rig: Rig) -> None:
    await rig.pair()
    rig.waha.webhook_faults.lose("message*")
    await rig.carla.write("lost", to=rig.shop)
    rig.waha.heal()

    await rig.carla.write("told", to=rig.shop)

    await rig.until(lambda: bodies(rig) == ["told"])
    history = await rig.call("GET", "/api/acme/chats/all/messages?sortOrder=asc")
    assert [row["body"] for row in history.body] == ["lost", "told"]


async def test_pending_retries_can_be_forgotten_without_a_restart(rig: Rig) -> None:
    await rig.pair()
    rig.hooks.silent = True
    await rig.carla.write("lost", to=rig.shop)
    await rig.until(lambda: bodies(rig) == ["lost"])

    await rig.waha.forget_webhooks()
    rig.hooks.silent = False
    await rig.carla.write("told", to=rig.shop)

    await rig.until(lambda: bodies(rig) == ["lost", "told"])


async def test_a_webhook_that_wants_message_any_may_get_message_too(rig: Rig) -> None:
    await rig.pair(**rig.config("message.any"))
    rig.waha.webhook_faults.message_too()

    await rig.carla.write("Hi", to=rig.shop)

    [one] = await rig.until(lambda: rig.hooks.events("message"))
    [other] = await rig.until(lambda: rig.hooks.events("message.any"))
    assert one["id"] == other["id"]


async def test_a_message_may_come_again_under_the_other_id_of_its_sender(rig: Rig) -> None:
    await rig.pair()
    rig.waha.webhook_faults.twin(times=1)

    message = await rig.carla.write("Hi", to=rig.shop)

    events = await rig.until(lambda: len(bodies(rig)) == 2 and rig.hooks.events("message.any"))
    assert {event["payload"]["from"] for event in events} == {"4915123456789@c.us", f"{rig.carla.lid}@lid"}
    assert {event["payload"]["id"].split("_")[2] for event in events} == {message.id}
    assert len({event["id"] for event in events}) == 2


async def test_faults_of_webhooks_add_up(rig: Rig) -> None:
    await rig.pair()
    rig.waha.webhook_faults.duplicate("message.any")
    rig.waha.webhook_faults.late((0.01, 0.05), "message.any", probability=0.5, seed=3)

    for number in range(10):
        await rig.carla.write(str(number), to=rig.shop)

    await rig.until(lambda: len(bodies(rig)) == 20)
    assert sorted(bodies(rig)) == sorted([str(number) for number in range(10)] * 2)
