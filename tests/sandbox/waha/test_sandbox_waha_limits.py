"""New chats, numbers with two forms, keys with scopes, disks, clocks and locks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest

from sandbox.whatsapp.numbers import written_otherwise

if TYPE_CHECKING:
    from tests.sandbox.waha.conftest import Make, Rig


async def test_a_cap_of_new_chats_is_told_used_up_and_then_kept(make_rig: Make) -> None:
    rig = await make_rig(version="2026.8.1")
    await rig.pair()
    never = await rig.call("GET", "/api/sessions/acme/capping")
    rig.shop.cap(used=8, total=10)

    first = await rig.send("Hi")
    again = await rig.send("Again")
    capping = await rig.call("GET", "/api/sessions/acme/capping")
    rig.shop.cap(used=10, total=10)
    capped = await rig.call("POST", "/api/sendText", {"session": "acme", "chatId": "4917000000@c.us", "text": "New"})

    told = await rig.until(lambda: [one for one in rig.hooks.events("session.status") if one["payload"]["data"]])
    assert (never.status, never.body) == (200, b"")
    assert (first.status, again.status, capped.status) == (201, 201, 500)
    assert {"cappingStatus": "SECOND_WARNING", "totalQuota": 10, "usedQuota": 9}.items() <= capping.body.items()
    assert told[0]["payload"]["data"]["messageCapping"]["usedQuota"] == 8
    assert (await rig.call("GET", "/api/sessions/acme")).body["me"]["messageCapping"]["cappingStatus"] == "CAPPED"


async def test_the_time_of_a_restriction_is_asked_for(make_rig: Make) -> None:
    rig = await make_rig(version="2026.8.1")
    await rig.pair()
    rig.shop.restrict(until=datetime.now(UTC) + timedelta(hours=1))

    timelock = await rig.call("GET", "/api/sessions/acme/timelock")

    assert timelock.body["isActive"] is True


async def test_limits_are_unknown_to_older_servers_and_to_the_browser(make_rig: Make) -> None:
    old, browser = await make_rig(version="2026.7.2"), await make_rig(engine="WEBJS", version="2026.8.1")
    await browser.pair()

    statuses = [(await rig.call("GET", "/api/sessions/acme/capping")).status for rig in (old, browser)]

    assert statuses == [404, 501]


@pytest.mark.parametrize(
    ("registered", "asked"),
    [("5511999998888", "551199998888"), ("5215512345678", "525512345678"), ("5491123456789", "541123456789")],
)
async def test_a_number_with_two_forms_is_found_under_both_and_reached_under_one(
    rig: Rig, registered: str, asked: str
) -> None:
    await rig.pair()
    friend = rig.whatsapp.phone(registered, name="Bia")

    exists = await rig.call("GET", f"/api/contacts/check-exists?phone={asked}&session=acme")
    astray = await rig.call("POST", "/api/sendText", {"session": "acme", "chatId": f"{asked}@c.us", "text": "1"})
    arrives = await rig.call("POST", "/api/sendText", {"session": "acme", "chatId": exists.body["chatId"], "text": "2"})

    assert exists.body == {"numberExists": True, "chatId": f"{registered}@c.us"}
    assert (astray.status, arrives.status) == (201, 201)
    assert [shown.text for shown in friend.chat_with(rig.shop)] == ["2"]
    assert written_otherwise(registered) == asked
    assert written_otherwise("4915123456789") is None


async def test_somebody_with_a_hidden_id_is_found_under_it(make_rig: Make) -> None:
    rig = await make_rig(version="2026.8.1")
    await rig.pair()
    rig.carla.appears_as = "lid"

    exists = await rig.call("GET", "/api/contacts/check-exists?phone=4915123456789&session=acme")

    assert exists.body == {"numberExists": True, "chatId": f"{rig.carla.lid}@lid", "pn": "4915123456789@c.us"}


async def test_a_key_does_what_its_scopes_allow(rig: Rig) -> None:
    await rig.create("acme")
    rig.waha.keys.add("usual", session="acme")
    rig.waha.keys.add("reads", session="acme", scopes=["read"])

    async def tried(key: str) -> list[int]:
        asked = [("GET", "/api/sessions/acme"), ("POST", "/api/sessions/acme/stop"), ("DELETE", "/api/sessions/acme")]
        return [(await rig.call(*call, headers={"X-Api-Key": key})).status for call in asked]

    assert await tried("usual") == [200, 201, 403]
    assert await tried("reads") == [200, 403, 403]


async def test_a_full_disk_is_told_by_the_health_of_the_server(rig: Rig) -> None:
    well = await rig.call("GET", "/health")
    rig.waha.fill_disk(free_bytes=1000)

    ill = await rig.call("GET", "/health")

    assert (well.status, well.body["status"]) == (200, "ok")
    assert (ill.status, ill.body["status"]) == (503, "error")
    assert ill.body["error"]["mediaFiles.space"]["free"] == 1000


async def test_a_clock_that_is_wrong_shows_in_every_answer(rig: Rig) -> None:
    right = await rig.call("GET", "/ping")
    rig.waha.clock_ahead = timedelta(minutes=10)

    wrong = await rig.call("GET", "/ping")

    ahead = [parsedate_to_datetime(answer.headers["Date"]) - datetime.now(UTC) for answer in (right, wrong)]
    assert abs(ahead[0]) < timedelta(minutes=1)
    assert timedelta(minutes=9) < ahead[1] < timedelta(minutes=11)


async def test_a_lock_that_is_not_had_changes_nothing_and_one_kept_too_long_does(rig: Rig) -> None:
    await rig.pair()
    rig.waha.faults.lock(times=1)
    rig.waha.faults.lock(carried_out=True, times=1)

    seen = await rig.call("GET", "/api/sessions/acme")
    busy = await rig.call("POST", "/api/sessions/acme/stop")
    working = rig.waha.sessions.known("acme").status
    late = await rig.call("POST", "/api/sessions/acme/stop")

    assert (seen.status, busy.status, late.status) == (200, 500, 500)
    assert busy.body["exception"]["message"] == "async-lock timed out in queue acme"
    assert late.body["exception"]["message"] == "Maximum execution time is exceeded acme"
    assert (working, rig.waha.sessions.known("acme").status) == ("WORKING", "STOPPED")


async def test_two_servers_on_one_database_list_each_others_sessions_as_stopped(make_rig: Make) -> None:
    first, second = await make_rig(worker_id="waha1"), await make_rig(worker_id="waha2")
    first.waha.share_database_with(second.waha)
    await first.pair("acme")

    async def listed(rig: Rig) -> list[tuple[str, str, str | None]]:
        answer = await rig.call("GET", "/api/sessions?all=true")
        return [(row["name"], row["status"], row["assignedWorker"]) for row in answer.body]

    assert await listed(first) == [("acme", "WORKING", "waha1")]
    assert await listed(second) == [("acme", "STOPPED", "waha1")]
    assert (await second.call("GET", "/api/sessions")).body == []
    assert (await second.call("POST", "/api/sessions", {"name": "acme"})).status == 422
    await first.call("POST", "/api/sessions/acme/stop")
    assert await listed(second) == [("acme", "STOPPED", None)]


async def test_a_session_that_is_started_twice_is_thrown_out_of_the_first_server(make_rig: Make) -> None:
    first, second = await make_rig(worker_id="waha1"), await make_rig(worker_id="waha2")
    first.waha.share_database_with(second.waha)
    await first.pair("acme")

    await second.call("POST", "/api/sessions/acme/start")

    await second.reaches("WORKING")
    thrown_out = (await first.call("GET", "/api/sessions/acme")).body
    assert (thrown_out["status"], thrown_out["assignedWorker"]) == ("FAILED", "waha2")
    assert len(first.shop.devices) == 1


async def test_what_a_person_would_do_before_writing_stands_in_the_journal(rig: Rig) -> None:
    await rig.pair()
    await rig.carla.write("Hello?", to=rig.shop)
    chat = {"session": "acme", "chatId": "4915123456789@c.us"}

    for path in ("sendSeen", "startTyping", "stopTyping"):
        await rig.call("POST", f"/api/{path}", chat)
    online = await rig.call("POST", "/api/acme/presence", {"presence": "online"})
    wrong = await rig.call("POST", "/api/acme/presence", {"presence": "typing"})

    paths = [entry.path for entry in rig.waha.journal.requests if entry.method == "POST"]
    assert paths[-5:-2] == ["/api/sendSeen", "/api/startTyping", "/api/stopTyping"]
    assert rig.shop.chat_with(rig.carla)[0].read
    assert (online.status, wrong.status, wrong.body) == (201, 400, {"detail": "'chatId' is required"})
