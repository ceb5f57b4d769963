from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from waha.chat_ids import BadRecipient
from waha.client import Timeouts, WahaClient
from waha.errors import (
    NotImplementedByEngine,
    NotWaha,
    SessionUnknown,
    WahaError,
    WahaRejected,
    WahaUnreadable,
)
from waha.payloads import Capping, SentMessage

Answer = Callable[..., None]
CHAT = "4915123456789@c.us"
OURS = "3EB0AAAAAAAAAAAAAAAAAA"
NOT_FOUND = {"message": "Message not found", "error": "Not Found", "statusCode": 404}

GOWS = {
    "id": f"true_{CHAT}_{OURS}",
    "_data": {"Info": {"ID": OURS, "Chat": "4915123456789@s.whatsapp.net", "IsFromMe": True}},
}
NOWEB = {
    "key": {"remoteJid": "4915123456789@s.whatsapp.net", "fromMe": True, "id": OURS},
    "messageTimestamp": "1767000000",
    "status": "PENDING",
}
WEBJS = {"id": {"fromMe": True, "remote": CHAT, "id": OURS, "_serialized": f"true_{CHAT}_{OURS}"}, "ack": 0}
WPP = {"id": {"_renamed": f"true_{CHAT}_{OURS}"}, "ack": 1}


@pytest.mark.parametrize(
    ("shape", "ack"), [(GOWS, 1), (NOWEB, 0), (WEBJS, 0), (WPP, 1)], ids=["GOWS", "NOWEB", "WEBJS", "WPP"]
)
async def test_every_engines_answer_to_a_send_gives_the_same_id(
    waha: WahaClient, answer: Answer, shape: dict[str, Any], ack: int
) -> None:
    answer(201, shape)

    sent = await waha.send_text("acme-1", CHAT, "Hello")

    assert sent == SentMessage(OURS, ack, CHAT)


@pytest.mark.parametrize("body", ["", "null", "[]", "{}", '{"sent":true}'])
async def test_a_success_that_tells_no_id_is_still_a_success(waha: WahaClient, answer: Answer, body: str) -> None:
    answer(201, body)

    sent = await waha.send_text("acme-1", CHAT, "Hello")

    assert sent == SentMessage(None, None)


async def test_a_message_is_sent_with_the_id_that_we_chose(waha: WahaClient, answer: Answer, asked: list[Any]) -> None:
    answer(201, GOWS)

    await waha.send_text("acme-1", CHAT, "Hello", message_id=OURS, reply_to="3EB0BB")

    assert (asked[-1].method, asked[-1].path) == ("POST", "/api/sendText")
    assert asked[-1].headers["X-Api-Key"] == "the-right-key"
    assert asked[-1].body == {
        "session": "acme-1",
        "chatId": CHAT,
        "text": "Hello",
        "linkPreview": False,
        "id": OURS,
        "reply_to": "3EB0BB",
    }


async def test_a_message_without_an_id_of_ours_carries_none(waha: WahaClient, answer: Answer, asked: list[Any]) -> None:
    answer(201, WEBJS)

    await waha.send_text("acme-1", CHAT, "Hello")

    assert set(asked[-1].body) == {"session", "chatId", "text", "linkPreview"}


@pytest.mark.parametrize("chat_id", ["", "@", "4915123456789", "@c.us", "4915123456789@"])
async def test_what_is_no_chat_id_never_reaches_waha(waha: WahaClient, asked: list[Any], chat_id: str) -> None:
    with pytest.raises(BadRecipient):
        await waha.send_text("acme-1", chat_id, "Hello")

    assert asked == []


async def test_a_message_is_found_by_its_id(waha: WahaClient, answer: Answer, asked: list[Any]) -> None:
    answer(200, {"id": f"true_{CHAT}_{OURS}", "from": CHAT, "fromMe": True, "ack": 2, "body": "Hello"})

    found = await waha.find_message("acme-1", OURS)

    assert found is not None
    assert (found.message_id, found.chat_id, found.ack, found.body) == (OURS, CHAT, 2, "Hello")
    assert asked[-1].path == f"/api/acme-1/chats/all/messages/{OURS}"
    assert asked[-1].query == {"downloadMedia": "false"}


@pytest.mark.parametrize(("status", "body"), [(404, NOT_FOUND), (200, ""), (200, "null")])
async def test_a_message_that_waha_does_not_know_is_none(
    waha: WahaClient, answer: Answer, status: int, body: Any
) -> None:
    answer(status, body)

    assert await waha.find_message("acme-1", OURS) is None


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, "<html>nginx</html>", NotWaha),
        (404, "", NotWaha),
        (404, {"message": "Session not found", "statusCode": 404}, SessionUnknown),
        (404, {"message": "Cannot GET /api/acme-1/chats/all/messages/x", "statusCode": 404}, NotImplementedByEngine),
        (404, {"message": "Chat not found", "statusCode": 404}, WahaRejected),
        (501, {"message": "The method is not implemented by 'WEBJS' engine."}, NotImplementedByEngine),
        (200, {"id": f"true_{CHAT}_3EB0OTHER"}, WahaUnreadable),
        (200, [], WahaUnreadable),
        (200, "<html>please log in</html>", WahaUnreadable),
    ],
)
async def test_a_doubt_about_a_message_is_never_taken_for_not_found(
    waha: WahaClient, answer: Answer, status: int, body: Any, expected: type[WahaError]
) -> None:
    answer(status, body)

    with pytest.raises(expected):
        await waha.find_message("acme-1", OURS)


async def test_history_is_asked_oldest_first_without_files_and_in_seconds(
    waha: WahaClient, answer: Answer, asked: list[Any]
) -> None:
    answer(200, [{"id": "false_1@c.us_A"}, None, 5])

    rows = await waha.messages(
        "acme-1",
        since=datetime(2026, 11, 22, 12, 0, 0, 999, tzinfo=UTC),
        until=datetime(2026, 11, 22, 13, tzinfo=UTC),
        offset=200,
    )

    assert rows == [{"id": "false_1@c.us_A"}]
    assert asked[-1].path == "/api/acme-1/chats/all/messages"
    assert asked[-1].query == {
        "limit": "100",
        "offset": "200",
        "sortBy": "timestamp",
        "sortOrder": "asc",
        "downloadMedia": "false",
        "merge": "false",
        "filter.timestamp.gte": "1795348800",
        "filter.timestamp.lte": "1795352400",
    }


async def test_a_name_cannot_lead_to_another_call(waha: WahaClient, answer: Answer, asked: list[Any]) -> None:
    answer(200, [])

    await waha.messages("../sessions/a?b#c", "4915123456789@c.us")

    assert asked[-1].path == "/api/..%2Fsessions%2Fa%3Fb%23c/chats/4915123456789@c.us/messages"


@pytest.mark.parametrize("start", [True, False])
async def test_whether_to_start_is_always_said(
    waha: WahaClient, answer: Answer, asked: list[Any], *, start: bool
) -> None:
    answer(201, "")

    created = await waha.create_session("acme-1", {"metadata": {"a": "b"}}, start=start)

    assert created is None
    assert asked[-1].body == {"name": "acme-1", "start": start, "config": {"metadata": {"a": "b"}}}


async def test_changing_a_configuration_keeps_what_it_does_not_change(
    waha: WahaClient, answer: Answer, asked: list[Any]
) -> None:
    answer(200, {"name": "acme-1", "status": "WORKING", "config": {"webhooks": [{"url": "http://a"}], "debug": True}})

    await waha.update_session_config("acme-1", lambda config: {**config, "debug": False})

    assert [(request.method, request.path) for request in asked] == [
        ("GET", "/api/sessions/acme-1"),
        ("PUT", "/api/sessions/acme-1"),
    ]
    assert asked[-1].body == {"config": {"webhooks": [{"url": "http://a"}], "debug": False}}


async def test_a_configuration_that_stays_the_same_is_not_written(
    waha: WahaClient, answer: Answer, asked: list[Any]
) -> None:
    answer(200, {"name": "acme-1", "status": "WORKING", "config": {"debug": True}})

    def same(config: dict[str, Any]) -> dict[str, Any]:
        config["debug"] = True
        return config

    await waha.update_session_config("acme-1", same)

    assert [request.method for request in asked] == ["GET"]


async def test_polling_reads_stopped_sessions_too(waha: WahaClient, answer: Answer, asked: list[Any]) -> None:
    answer(
        200, [{"name": "a", "status": "STOPPED", "config": None}, {"name": "b", "status": "NEW_WORD"}, {"odd": 1}, 7]
    )

    sessions = await waha.list_sessions()

    assert asked[-1].query == {"all": "true"}
    assert [(session.name, session.waha_status, session.status) for session in sessions] == [
        ("a", "STOPPED", "stopped"),
        ("b", "NEW_WORD", None),
    ]


async def test_starting_what_runs_and_deleting_what_is_gone_is_no_error(waha: WahaClient, answer: Answer) -> None:
    answer(422, {"message": "Session 'acme-1' is already started.", "statusCode": 422})
    assert await waha.start_session("acme-1") is None

    answer(404, {"message": "Session not found", "statusCode": 404})
    await waha.delete_session("acme-1")


async def test_a_qr_code_comes_as_the_bytes_of_an_image(waha: WahaClient, answer: Answer, asked: list[Any]) -> None:
    image = b"\x89PNG\r\n\x1a\n\xff\xfe"
    answer(200, image, content_type="image/png")

    assert await waha.qr_png("acme-1") == image
    assert asked[-1].headers["Accept"] == "image/png"


async def test_a_qr_code_that_is_no_image_is_unreadable(waha: WahaClient, answer: Answer) -> None:
    answer(200, {"mimetype": "image/png", "data": "iVBO"})

    with pytest.raises(WahaUnreadable):
        await waha.qr_png("acme-1")


async def test_the_key_does_not_follow_a_redirect(waha: WahaClient, answer: Answer, asked: list[Any]) -> None:
    answer(302, headers={"Location": "http://127.0.0.1:1/elsewhere"})

    with pytest.raises(NotWaha):
        await waha.version()

    assert len(asked) == 1


async def test_edits_deletions_reactions_and_read_marks_go_where_waha_expects_them(
    waha: WahaClient, answer: Answer, asked: list[Any]
) -> None:
    answer(200, "")
    written = f"true_{CHAT}_{OURS}"

    await waha.edit_message("acme-1", CHAT, written, "Hello!")
    await waha.delete_message("acme-1", CHAT, written)
    await waha.react("acme-1", written, "👍")
    await waha.send_seen("acme-1", CHAT, message_ids=[written])

    message = f"/api/acme-1/chats/{CHAT}/messages/{written}"
    assert [(request.method, request.path, request.body) for request in asked] == [
        ("PUT", message, {"text": "Hello!", "linkPreview": False}),
        ("DELETE", message, None),
        ("PUT", "/api/reaction", {"session": "acme-1", "messageId": written, "reaction": "👍"}),
        ("POST", "/api/sendSeen", {"session": "acme-1", "chatId": CHAT, "messageIds": [written]}),
    ]


async def test_typing_begins_and_ends_in_a_chat(waha: WahaClient, answer: Answer, asked: list[Any]) -> None:
    answer(201, {"result": True})

    await waha.start_typing("acme-1", CHAT)
    await waha.stop_typing("acme-1", CHAT)

    assert [(request.method, request.path, request.body) for request in asked] == [
        ("POST", "/api/startTyping", {"session": "acme-1", "chatId": CHAT}),
        ("POST", "/api/stopTyping", {"session": "acme-1", "chatId": CHAT}),
    ]


@pytest.mark.parametrize(
    ("told", "share", "is_told"),
    [
        ({"cappingStatus": "FIRST_WARNING", "totalQuota": 1000, "usedQuota": 640, "cycleEnd": 1784477333}, 0.64, True),
        ({"cappingStatus": "NONE", "totalQuota": -1, "usedQuota": 5}, 0.0, True),
        ({"cappingStatus": "NONE", "totalQuota": "many", "usedQuota": None, "cycleEnd": "soon"}, 0.0, True),
        ({"totalQuota": 5}, 0.0, False),
        (None, 0.0, False),
    ],
)
def test_a_quota_of_new_chats_is_read_and_written_as_waha_has_it(told: Any, share: float, *, is_told: bool) -> None:
    quota = Capping.parse(told)

    assert (quota is not None) == is_told
    if quota is not None:
        assert quota.share == share
        assert Capping.parse(quota.as_told()) == quota


@pytest.mark.parametrize(
    ("body", "exists", "chat_id"),
    [
        ({"numberExists": True, "chatId": CHAT, "pn": CHAT}, True, CHAT),
        ({"numberExists": False}, False, None),
        ({"numberExists": False, "chatId": None}, False, None),
    ],
)
async def test_a_number_is_or_is_not_on_whatsapp(
    waha: WahaClient, answer: Answer, asked: list[Any], body: Any, *, exists: bool, chat_id: str | None
) -> None:
    answer(200, body)

    check = await waha.check_exists("acme-1", "4915123456789")

    assert (check.exists, check.chat_id) == (exists, chat_id)
    assert asked[-1].query == {"phone": "4915123456789", "session": "acme-1"}


async def test_the_last_message_of_each_chat_is_told(waha: WahaClient, answer: Answer) -> None:
    last = {"id": "false_9@lid_A", "timestamp": 1795356716}
    answer(200, [{"id": "9@lid", "name": "Alice", "lastMessage": last}, {"id": "8@c.us", "lastMessage": None}])

    overview = await waha.chats_overview("acme-1")

    assert [(chat.chat_id, chat.last_message_id and chat.last_message_id.bare) for chat in overview] == [
        ("9@lid", "A"),
        ("8@c.us", None),
    ]
    assert overview[0].last_message_at == datetime(2026, 11, 22, 14, 11, 56, tzinfo=UTC)


@pytest.mark.parametrize("body", ["", "null", "7", "[]", '"text"', "{}"])
async def test_an_answer_that_lacks_what_was_asked_is_unreadable(waha: WahaClient, answer: Answer, body: str) -> None:
    answer(200, body)

    for call in (waha.version, waha.server_status):
        with pytest.raises(WahaUnreadable):
            await call()
    with pytest.raises(WahaUnreadable):
        await waha.get_session("acme-1")
    with pytest.raises(WahaUnreadable):
        await waha.check_exists("acme-1", "1")


async def test_a_server_below_a_path_is_reached_there(server: Any, answer: Answer, asked: list[Any]) -> None:
    answer(200, [])

    async with WahaClient(f"{server.url}waha/", "key") as waha:
        await waha.list_sessions()

    assert asked[-1].path == "/waha/api/sessions"


def test_all_times_can_be_stretched_at_once() -> None:
    stretched = Timeouts().times(2)

    assert (stretched.connect, stretched.listing, stretched.send) == (4.0, 30.0, 60.0)
    assert (stretched.control, stretched.media) == (90.0, 240.0)


async def test_a_sessions_secrets_are_not_in_its_repr(waha: WahaClient, answer: Answer) -> None:
    config = {"webhooks": [{"hmac": {"key": "hmac-secret"}}], "metadata": {"tenant": "acme", "odd": 5}}
    answer(200, {"name": "acme-1", "status": "WORKING", "config": config})

    session = await waha.get_session("acme-1")

    assert "hmac-secret" not in repr(session)
    assert session.metadata == {"tenant": "acme"}
