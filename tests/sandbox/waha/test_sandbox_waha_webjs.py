"""The browser engine, asked as anybody would and through the client that the product uses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from waha.client import WahaClient
from waha.errors import NotImplementedByEngine
from waha.message_ids import new_message_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.whatsapp import Shown
    from tests.sandbox.waha.conftest import Make, Rig

CARLA = "4915123456789@c.us"
SHOP = "4930123456@c.us"
OWN_ID = "3EB0AAAAAAAAAAAAAAAAAA"
MESSAGES = f"/api/acme/chats/{CARLA.replace('@', '%40')}/messages"


@pytest.fixture
async def browser(make_rig: Make) -> Rig:
    rig = await make_rig(engine="WEBJS")
    await rig.pair()
    return rig


@pytest.fixture
async def client(browser: Rig) -> AsyncIterator[WahaClient]:
    async with WahaClient(browser.waha.url, browser.waha.api_key) as client:
        yield client


def screen(rig: Rig) -> list[Shown]:
    """What Carla sees of her conversation with the shop."""
    return rig.carla.chat_with(rig.shop)


async def written(rig: Rig, *texts: str) -> None:
    """Carla writes these a minute apart."""
    for minute, text in enumerate(texts):
        await rig.carla.write(text, to=rig.shop, at=datetime(2026, 1, 1, 12, minute, tzinfo=UTC))


async def test_an_answer_is_a_message_with_an_object_for_an_id_of_its_own(browser: Rig) -> None:
    answer = await browser.send("Hi", id=OWN_ID)

    [shown] = screen(browser)
    assert answer.status == 201
    assert shown.id != OWN_ID
    assert answer.body["id"] == {
        "fromMe": True,
        "remote": CARLA,
        "id": shown.id,
        "_serialized": f"true_{CARLA}_{shown.id}",
    }
    assert (answer.body["ack"], answer.body["from"], answer.body["to"]) == (0, SHOP, CARLA)


async def test_the_same_id_twice_makes_two_messages(browser: Rig) -> None:
    for _ in range(2):
        await browser.send("Hi", id=OWN_ID)

    first, second = screen(browser)
    assert first.id != second.id
    assert (first.copies, second.copies) == (1, 1)


async def test_an_own_message_is_from_me_and_to_the_chat(browser: Rig) -> None:
    await browser.send("Hi")

    [event] = await browser.until(lambda: browser.hooks.events("message.any"))
    payload = event["payload"]
    assert (payload["from"], payload["to"], payload["fromMe"]) == (SHOP, CARLA, True)
    assert (payload["ack"], payload["source"]) == (0, "api")
    assert event["environment"]["browser"]


async def test_an_incoming_message_names_both_sides(browser: Rig) -> None:
    message = await browser.carla.write("Hi", to=browser.shop)

    [event] = await browser.until(lambda: browser.hooks.events("message"))
    payload = event["payload"]
    assert payload["id"] == f"false_{CARLA}_{message.id}"
    assert (payload["from"], payload["to"]) == (CARLA, SHOP)
    assert payload["_data"]["notifyName"] == "Carla"


async def test_receipts_begin_with_the_server(browser: Rig) -> None:
    await browser.send("Hi")
    await browser.carla.read(browser.shop)

    events = await browser.until(
        lambda: len(browser.hooks.events("message.ack")) == 3 and browser.hooks.events("message.ack")
    )
    assert {event["payload"]["ack"] for event in events} == {1, 2, 3}
    assert {(event["payload"]["from"], event["payload"]["to"]) for event in events} == {(SHOP, CARLA)}


@pytest.mark.parametrize("tagged", [True, False])
async def test_receipts_of_groups_want_a_setting(make_rig: Make, *, tagged: bool) -> None:
    rig = await make_rig(engine="WEBJS")
    group = rig.whatsapp.group("Crew", [rig.shop, rig.carla])
    await rig.pair(webjs={"tagsEventsOn": tagged})

    await rig.send("Hi all", chatId=group.id)
    await rig.send("Hi Carla")

    await rig.until(lambda: len(rig.hooks.events("message.ack")) == 2)
    assert len(rig.hooks.events("message.ack.group")) == (2 if tagged else 0)


async def test_who_sent_a_message_is_forgotten_at_a_restart(browser: Rig) -> None:
    await browser.send("Hi")
    before = (await browser.call("GET", MESSAGES)).body

    await browser.waha.restart()

    after = (await browser.call("GET", MESSAGES)).body
    assert [row["source"] for row in (*before, *after)] == ["api", "app"]


@pytest.mark.parametrize("path", ["/api/acme/chats/all/messages", "/api/acme/new-message-id"])
async def test_what_a_browser_cannot_is_a_501(browser: Rig, path: str) -> None:
    answer = await browser.call("GET", path)

    assert (answer.status, answer.body["error"]) == (501, "Not Implemented")


async def test_a_message_is_found_by_its_whole_id_only(browser: Rig) -> None:
    whole = (await browser.send("Hi")).body["id"]["_serialized"]

    found = await browser.call("GET", f"{MESSAGES}/{whole.replace('@', '%40')}")
    unknown = await browser.call("GET", f"{MESSAGES}/true_{CARLA.replace('@', '%40')}_3EB0FF")
    bare = await browser.call("GET", f"{MESSAGES}/{whole.split('_')[2]}")

    assert (found.status, found.body["body"]) == (200, "Hi")
    assert (unknown.status, bare.status) == (404, 500)


async def test_the_chats_are_walked_from_the_one_that_changed_last(browser: Rig) -> None:
    dora = browser.whatsapp.phone("+4916099999999", name="Dora")
    await written(browser, "one", "two")
    await dora.write("three", to=browser.shop)

    newest_first = await browser.call("GET", "/api/acme/chats?sortBy=conversationTimestamp&sortOrder=desc&limit=1")
    oldest_first = await browser.call("GET", "/api/acme/chats?sortBy=conversationTimestamp&sortOrder=asc&limit=1")
    nonsense = await browser.call("GET", "/api/acme/chats?sortBy=mood")

    assert [chat["id"]["_serialized"] for chat in newest_first.body] == ["4916099999999@c.us"]
    assert [(chat["id"]["_serialized"], chat["timestamp"], chat["name"]) for chat in oldest_first.body] == [
        (CARLA, int(datetime(2026, 1, 1, 12, 1, tzinfo=UTC).timestamp()), "Carla")
    ]
    assert nonsense.status == 400


async def test_a_chat_is_read_from_its_newest_message_in_full_pages(browser: Rig) -> None:
    await written(browser, "one", "two", "three")
    await browser.carla.react((await browser.carla.write("four", to=browser.shop)).id, "👍")

    pages: list[Any] = [
        (await browser.call("GET", f"{MESSAGES}?sortOrder=asc&limit=2&offset={offset}")).body for offset in (0, 2, 4)
    ]

    assert [[row["body"] for row in page] for page in pages] == [["four", "three"], ["two", "one"], []]


async def test_stopping_a_browser_takes_long(make_rig: Make) -> None:
    browser = await make_rig(engine="WEBJS", pace=0.05)
    await browser.pair()

    answer = await browser.call("POST", "/api/sessions/acme/stop")

    assert answer.seconds >= 3 * browser.waha.environment.pace


async def test_a_browser_that_crashed_starts_again_by_itself(browser: Rig) -> None:
    browser.waha.fail("acme")

    await browser.until(lambda: browser.hooks.statuses()[-3:] == ["FAILED", "STARTING", "WORKING"])


async def test_our_client_sends_and_learns_the_id_that_the_browser_chose(browser: Rig, client: WahaClient) -> None:
    sent = await client.send_text("acme", CARLA, "Hi", message_id=new_message_id())

    [shown] = screen(browser)
    assert (sent.waha_message_id, sent.ack) == (shown.id, 0)


async def test_our_client_walks_the_chats_and_their_history(browser: Rig, client: WahaClient) -> None:
    await written(browser, "one", "two")
    await browser.send("three")

    with pytest.raises(NotImplementedByEngine):
        await client.messages("acme")
    [chat] = await client.chats_overview("acme")
    since = datetime(2026, 1, 1, 12, 1, tzinfo=UTC)
    rows = await client.messages("acme", chat.chat_id, since=since)

    assert chat.chat_id == CARLA
    assert [row["body"] for row in rows] == ["three", "two"]
