from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.whatsapp import Media

if TYPE_CHECKING:
    from tests.sandbox.waha.conftest import Make, Rig

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ALL = "/api/acme/chats/all/messages?downloadMedia=false"
CARLA = "4915123456789@c.us"


async def bodies(rig: Rig, query: str) -> list[str]:
    answer = await rig.call("GET", f"{ALL}&{query}")
    assert answer.status == 200, answer.body
    return [row["body"] for row in answer.body]


async def written(rig: Rig, count: int) -> None:
    """Carla writes `count` messages, one a second from noon on: their texts are the seconds."""
    await rig.pair()
    for second in range(count):
        await rig.carla.write(str(second), to=rig.shop, at=NOON + timedelta(seconds=second))


async def test_the_newest_ten_come_first_by_default(rig: Rig) -> None:
    await written(rig, 12)

    assert await bodies(rig, "") == [str(second) for second in range(11, 1, -1)]


async def test_pages_can_be_read_forward(rig: Rig) -> None:
    await written(rig, 5)

    pages = [await bodies(rig, f"sortOrder=asc&limit=2&offset={offset}") for offset in (0, 2, 4, 6)]

    assert pages == [["0", "1"], ["2", "3"], ["4"], []]


async def test_a_page_can_be_short_without_being_the_last(rig: Rig) -> None:
    await written(rig, 2)
    [first, _] = rig.carla.chat_with(rig.shop)
    await rig.carla.react(first.id, "👍")
    await rig.carla.write("later", to=rig.shop)

    pages = [await bodies(rig, f"sortOrder=asc&limit=2&offset={offset}") for offset in (0, 2, 4)]

    assert pages == [["0", "1"], ["later"], []]


async def test_times_filter_by_seconds_and_include_both_ends(rig: Rig) -> None:
    await written(rig, 5)
    start = int(NOON.timestamp())

    found = await bodies(rig, f"sortOrder=asc&filter.timestamp.gte={start + 1}&filter.timestamp.lte={start + 3}")

    assert found == ["1", "2", "3"]


async def test_own_messages_and_acks_can_be_asked_for(rig: Rig) -> None:
    await written(rig, 1)
    await rig.send("own")

    assert await bodies(rig, "filter.fromMe=true") == ["own"]
    assert await bodies(rig, "filter.fromMe=0") == ["0"]
    assert await bodies(rig, "filter.fromMe=true&filter.ack=DEVICE") == ["own"]


@pytest.mark.parametrize("query", ["filter.ack=NONSENSE", "sortBy=name", "limit=many", "merge=perhaps"])
async def test_a_faulty_query_is_a_400(rig: Rig, query: str) -> None:
    await rig.pair()

    answer = await rig.call("GET", f"/api/acme/chats/{CARLA}/messages?{query}")

    assert (answer.status, isinstance(answer.body["message"], list)) == (400, True)


async def test_both_ids_of_a_person_are_merged_unless_told_otherwise(rig: Rig) -> None:
    await rig.pair()
    await rig.carla.write("by number", to=rig.shop, at=NOON)
    rig.carla.appears_as = "lid"
    await rig.carla.write("hidden", to=rig.shop, at=NOON + timedelta(seconds=1))
    path = f"/api/acme/chats/{CARLA}/messages?sortOrder=asc"

    merged = await rig.call("GET", path)
    separate = await rig.call("GET", f"{path}&merge=false")

    assert [row["body"] for row in merged.body] == ["by number", "hidden"]
    assert [row["body"] for row in separate.body] == ["by number"]


@pytest.mark.parametrize("chat", ["all", CARLA])
async def test_a_message_is_found_by_its_id_with_its_present_ack(rig: Rig, chat: str) -> None:
    await rig.pair()
    sent = (await rig.send("Hi", id="3EB0AAAAAAAAAAAAAAAAAA")).body["id"]
    await rig.carla.read(rig.shop)

    by_bare = await rig.call("GET", f"/api/acme/chats/{chat}/messages/3EB0AAAAAAAAAAAAAAAAAA?downloadMedia=false")
    by_full = await rig.call("GET", f"/api/acme/chats/{chat}/messages/{sent}?downloadMedia=false")

    assert by_bare.body == by_full.body
    assert (by_bare.body["id"], by_bare.body["ack"]) == (sent, 3)


async def test_an_unknown_message_is_a_404(rig: Rig) -> None:
    await rig.pair()

    answer = await rig.call("GET", "/api/acme/chats/all/messages/3EB0BBBBBBBBBBBBBBBBBB")

    assert answer.body == {"message": "Message not found", "error": "Not Found", "statusCode": 404}


async def test_foreign_messages_have_no_ack_in_the_history_of_gows(rig: Rig) -> None:
    await written(rig, 1)

    [row] = (await rig.call("GET", ALL)).body

    assert (row["ack"], row["ackName"]) == (None, "UNKNOWN")


async def test_noweb_without_its_store_has_no_history(make_rig: Make) -> None:
    rig = await make_rig(engine="NOWEB")
    await rig.pair(noweb={"store": {"enabled": False}})

    answer = await rig.call("GET", ALL)

    assert answer.status == 400
    assert answer.body["message"].startswith("Enable NOWEB store")


async def test_gows_told_to_store_nothing_has_an_empty_history(rig: Rig) -> None:
    await rig.pair(gows={"storage": {"messages": False}})
    message = await rig.carla.write("Hi", to=rig.shop)

    listed = await rig.call("GET", ALL)
    single = await rig.call("GET", f"/api/acme/chats/all/messages/{message.id}")

    assert (listed.status, listed.body, single.status) == (200, [], 404)


async def test_the_overview_shows_the_last_message_of_each_chat(rig: Rig) -> None:
    dora = rig.whatsapp.phone("+4916099999999", name="Dora")
    await rig.pair()
    await dora.write("old", to=rig.shop, at=NOON)
    await rig.carla.write("new", to=rig.shop)

    overview = await rig.call("GET", "/api/acme/chats/overview?limit=20&offset=0")
    only = await rig.call("POST", "/api/acme/chats/overview", {"pagination": {"limit": 1, "offset": 1}})
    chats = await rig.call("GET", "/api/acme/chats")

    assert [(chat["name"], chat["lastMessage"]["body"]) for chat in overview.body] == [
        ("Carla", "new"),
        ("Dora", "old"),
    ]
    assert [chat["name"] for chat in only.body] == ["Dora"]
    assert [chat["id"] for chat in chats.body] == ["4915123456789@s.whatsapp.net", "4916099999999@s.whatsapp.net"]


async def test_chats_are_sorted_as_asked(rig: Rig) -> None:
    await written(rig, 1)
    dora = rig.whatsapp.phone("+4916099999999", name="Dora")
    await dora.write("later", to=rig.shop, at=NOON + timedelta(minutes=1))

    newest_first = await rig.call("GET", "/api/acme/chats?sortBy=conversationTimestamp&limit=1")
    oldest_first = await rig.call("GET", "/api/acme/chats?sortBy=conversationTimestamp&sortOrder=asc&limit=1")
    by_id = await rig.call("GET", "/api/acme/chats?sortBy=id&sortOrder=asc")

    assert newest_first.body == [
        {"id": "4916099999999@s.whatsapp.net", "conversationTimestamp": int(NOON.timestamp()) + 60}
    ]
    assert [chat["id"] for chat in oldest_first.body] == ["4915123456789@s.whatsapp.net"]
    assert [chat["id"] for chat in by_id.body] == ["4915123456789@s.whatsapp.net", "4916099999999@s.whatsapp.net"]


async def test_a_chat_is_found_under_either_id_of_its_person(rig: Rig) -> None:
    await rig.pair()
    rig.carla.appears_as = "lid"
    await rig.carla.write("Hi", to=rig.shop)

    by_number = await rig.call("GET", f"/api/acme/chats/{CARLA}/messages")
    alone = await rig.call("GET", f"/api/acme/chats/{CARLA}/messages?merge=false")

    assert [row["body"] for row in by_number.body] == ["Hi"]
    assert alone.body == []


async def test_a_file_is_downloaded_again_when_asked_for(rig: Rig) -> None:
    await rig.pair()
    await rig.carla.write("Look", to=rig.shop, media=Media(b"pixels", "image/png", "a.png"))

    [without] = (await rig.call("GET", ALL)).body
    [with_file] = (await rig.call("GET", "/api/acme/chats/all/messages")).body

    assert (without["hasMedia"], without["media"]) == (True, None)
    path = with_file["media"]["url"].removeprefix("http://localhost:3000")
    assert (await rig.call("GET", path)).body == b"pixels"


async def test_a_file_vanishes_after_its_lifetime(make_rig: Make) -> None:
    rig = await make_rig(files_lifetime_seconds=0.0)
    await rig.pair()
    await rig.carla.write("Look", to=rig.shop, media=Media(b"pixels", "image/png"))
    [event] = await rig.until(lambda: rig.hooks.events("message"))

    answer = await rig.call("GET", event["payload"]["media"]["url"].removeprefix("http://localhost:3000"))

    assert (answer.status, answer.body["error"]["key"]) == (404, "FILE_NOT_FOUND")


async def test_a_number_is_checked(rig: Rig) -> None:
    await rig.pair()

    async def check(phone: str) -> Any:
        return (await rig.call("GET", f"/api/contacts/check-exists?session=acme&phone={phone}")).body

    assert await check("%2B4915123456789") == {"numberExists": True, "chatId": CARLA}
    assert await check("4999") == {"numberExists": False, "chatId": None}


async def test_noweb_leaves_the_chat_id_of_an_unknown_number_out(make_rig: Make) -> None:
    rig = await make_rig(engine="NOWEB", version="2026.8.1")
    await rig.pair()

    known = await rig.call("GET", f"/api/contacts/check-exists?session=acme&phone={CARLA}")
    unknown = await rig.call("GET", "/api/contacts/check-exists?session=acme&phone=4999")

    assert known.body == {"numberExists": True, "chatId": CARLA, "pn": CARLA}
    assert unknown.body == {"numberExists": False}


async def test_hidden_ids_are_translated_once_their_owner_wrote(rig: Rig) -> None:
    await rig.pair()
    pair = {"lid": f"{rig.carla.lid}@lid", "pn": CARLA}
    unknown = await rig.call("GET", f"/api/acme/lids/{rig.carla.lid}%40lid")

    await rig.carla.write("Hi", to=rig.shop)

    assert unknown.body == {"lid": pair["lid"], "pn": None}
    assert (await rig.call("GET", "/api/acme/lids")).body == [pair]
    assert (await rig.call("GET", "/api/acme/lids/count")).body == {"count": 1}
    assert (await rig.call("GET", f"/api/acme/lids/{rig.carla.lid}")).body == pair
    assert (await rig.call("GET", "/api/acme/lids/pn/4915123456789")).body == pair
    assert (await rig.call("GET", "/api/acme/lids/pn/4999")).body == {"lid": None, "pn": "4999@c.us"}
    assert (await rig.call("GET", f"/api/acme/lids/{CARLA}")).status == 422


async def test_contacts_have_the_names_that_they_gave_themselves(rig: Rig) -> None:
    await rig.pair()
    await rig.carla.write("Hi", to=rig.shop)

    one = await rig.call("GET", f"/api/contacts?contactId={CARLA}&session=acme")
    everybody = await rig.call("GET", "/api/contacts/all?session=acme")
    picture = await rig.call("GET", f"/api/contacts/profile-picture?contactId={CARLA}&session=acme")

    assert one.body == {"id": CARLA, "pushname": "Carla"}
    assert everybody.body == [one.body]
    assert picture.body == {"profilePictureURL": None}
