from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.sandbox.waha.conftest import Make, Rig

OWN_ID = "3EB0AAAAAAAAAAAAAAAAAA"


def texts(rig: Rig) -> list[str]:
    """What Carla sees of the shop."""
    return [shown.text for shown in rig.carla.chat_with(rig.shop)]


def acks(rig: Rig) -> list[int]:
    return [event["payload"]["ack"] for event in rig.hooks.events("message.ack")]


async def stored_ack(rig: Rig) -> Any:
    return (await rig.call("GET", f"/api/acme/chats/all/messages/{OWN_ID}")).body["ack"]


async def test_a_message_may_arrive_without_a_receipt(rig: Rig) -> None:
    await rig.pair()
    rig.waha.receipts.none(times=1)

    await rig.send("silent", id=OWN_ID)
    await rig.send("told")

    await rig.until(lambda: acks(rig) == [2])
    assert texts(rig) == ["silent", "told"]
    assert await stored_ack(rig) == 1


async def test_what_is_sent_again_has_a_fate_of_its_own_and_is_seen_twice(rig: Rig) -> None:
    await rig.pair()
    rig.waha.receipts.none(times=1)

    for _ in range(2):
        await rig.send("Hi", id=OWN_ID)

    await rig.until(lambda: acks(rig) == [2])
    assert texts(rig) == ["Hi", "Hi"]


async def test_a_message_may_be_accepted_and_never_sent(make_rig: Make) -> None:
    rig = await make_rig(engine="NOWEB")
    await rig.pair()
    rig.waha.receipts.unsent(times=1)

    accepted = await rig.send("Hi", id=OWN_ID)
    before = texts(rig), await stored_ack(rig)
    await rig.send("Hi", id=OWN_ID)

    assert accepted.status == 201
    assert before == ([], 0)
    assert texts(rig) == ["Hi"]


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB"])
async def test_whatsapp_may_refuse_what_was_accepted(make_rig: Make, engine: str) -> None:
    rig = await make_rig(engine=engine, version="2026.7.2")
    await rig.pair()
    rig.waha.receipts.error(times=1)

    answer = await rig.send("Hi", id=OWN_ID)

    await rig.until(lambda: acks(rig) == [-1])
    assert (answer.status, texts(rig), await stored_ack(rig)) == (201, [], -1)
    [event] = rig.hooks.events("message.ack")
    assert event["payload"].get("error", {}).get("code") is None


async def test_receipts_may_be_repeated_and_go_backwards(rig: Rig) -> None:
    await rig.pair()
    rig.waha.receipts.repeated(times=1)
    rig.waha.receipts.backwards(times=1)

    await rig.send("Hi")
    await rig.carla.read(rig.shop)

    await rig.until(lambda: len(acks(rig)) == 5)
    assert sorted(acks(rig)) == [2, 2, 2, 3, 3]


async def test_receipt_faults_are_for_the_session_that_they_name(rig: Rig) -> None:
    await rig.pair()
    fault = rig.waha.receipts.unsent(session="other")

    await rig.send("Hi")

    assert texts(rig) == ["Hi"]
    assert fault.hits == 0


async def test_a_restriction_is_told_with_its_end_by_newer_servers(make_rig: Make) -> None:
    rig = await make_rig(version="2026.8.1")
    await rig.pair()
    never = (await rig.call("GET", "/api/sessions/acme")).body["me"]
    end = datetime.now(UTC) + timedelta(hours=1)

    rig.shop.restrict(until=end)

    told = await rig.until(lambda: [one for one in rig.hooks.events("session.status") if one["payload"]["data"]])
    lock = {
        "enforcementType": "RESTRICT_ALL_COMPANIONS",
        "isActive": True,
        "timeEnforcementEnds": int(end.timestamp()),
    }
    assert (never["reachoutTimelock"], never["messageCapping"]) == (None, None)
    assert (await rig.call("GET", "/api/sessions/acme")).body["me"]["reachoutTimelock"] == lock
    assert told[0]["payload"]["data"] == {"reachoutTimelock": lock}
    assert told[0]["payload"]["status"] == "WORKING"


async def test_a_restriction_that_is_lifted_lets_chats_begin(make_rig: Make) -> None:
    rig = await make_rig(version="2026.8.1")
    await rig.pair()
    rig.shop.restrict(until=datetime.now(UTC) + timedelta(hours=1))
    refused = await rig.send("Hi")

    rig.shop.lift_restriction()

    assert (refused.status, (await rig.send("Hi")).status) == (500, 201)
    me = (await rig.call("GET", "/api/sessions/acme/me")).body
    assert me["reachoutTimelock"]["isActive"] is False


async def test_whatsapp_does_not_always_tell_of_a_restriction(make_rig: Make) -> None:
    rig = await make_rig(version="2026.8.1")
    await rig.pair()

    rig.shop.restrict()

    assert (await rig.send("Hi")).body["exception"]["details"] == "server returned error 463"
    assert (await rig.call("GET", "/api/sessions/acme/me")).body["reachoutTimelock"] is None
