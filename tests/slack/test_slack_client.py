"""What the client puts on the wire, and what it makes of the answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from slack.answers import Share
from slack.client import MOST_PAGES, SlackClient
from slack.errors import SlackRateLimited, SlackRefused, SlackUncertain

if TYPE_CHECKING:
    from tests.slack.conftest import ScriptedSlack

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OUTBOX_ID = "0193c0de-0000-7000-8000-000000000001"


def posted(ts: str, outbox_id: str, event_type: str = "switchboard_post") -> dict[str, Any]:
    return {"ts": ts, "metadata": {"event_type": event_type, "event_payload": {"id": outbox_id}}}


async def test_a_post_carries_our_id_and_unfurls_nothing(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer({"ok": True, "channel": "C1", "ts": "1700000000.000100"})

    ts = await slack.post("C1", "hello", thread_ts="1.1", outbox_id=OUTBOX_ID)

    assert ts == "1700000000.000100"
    [call] = scripted.calls
    assert call.path == "/api/chat.postMessage"
    assert call.headers["Authorization"] == "Bearer xoxb-test"
    assert call.arguments == {
        "channel": "C1",
        "text": "hello",
        "thread_ts": "1.1",
        "unfurl_links": False,
        "unfurl_media": False,
        "metadata": {"event_type": "switchboard_post", "event_payload": {"id": OUTBOX_ID}},
    }


async def test_an_update_without_blocks_takes_the_old_ones_away(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer()

    await slack.update("C1", "1.1", "hello again")

    assert scripted.calls[0].arguments == {"channel": "C1", "ts": "1.1", "text": "hello again", "blocks": []}


async def test_an_ephemeral_goes_to_one_person(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer()

    await slack.post_ephemeral("C1", "U1", "only you", thread_ts="1.1")

    assert scripted.calls[0].path == "/api/chat.postEphemeral"
    assert scripted.calls[0].arguments["user"] == "U1"


@pytest.mark.parametrize(
    ("method", "arguments", "settled"),
    [
        ("add_reaction", ("C1", "1.1", "eyes"), "already_reacted"),
        ("remove_reaction", ("C1", "1.1", "eyes"), "no_reaction"),
        ("delete", ("C1", "1.1"), "message_not_found"),
    ],
)
async def test_what_is_already_so_counts_as_done(
    scripted: ScriptedSlack, slack: SlackClient, method: str, arguments: tuple[str, ...], settled: str
) -> None:
    scripted.answer({"ok": False, "error": settled})

    await getattr(slack, method)(*arguments)

    assert len(scripted.calls) == 1


async def test_another_refusal_of_a_reaction_is_raised(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer({"ok": False, "error": "message_not_found"})

    with pytest.raises(SlackRefused, match="message_not_found"):
        await slack.add_reaction("C1", "1.1", "eyes")


async def test_a_direct_conversation_is_opened_by_the_persons_id(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer({"ok": True, "channel": {"id": "D1"}})

    assert await slack.open_direct("U1") == "D1"


async def test_a_post_is_found_by_our_id_on_a_later_page(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer({"ok": True, "messages": [posted("3.3", "other")], "response_metadata": {"next_cursor": "more"}})
    scripted.answer({"ok": True, "messages": [posted("2.2", OUTBOX_ID)], "response_metadata": {"next_cursor": ""}})

    found = await slack.find_post("C1", OUTBOX_ID, oldest=NOON)

    assert found == "2.2"
    first, second = (call.arguments for call in scripted.calls)
    assert first["oldest"] == f"{NOON.timestamp():.6f}"
    assert first["include_all_metadata"] == "1"
    assert second["cursor"] == "more"


async def test_a_post_in_a_thread_is_looked_up_there(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer({"ok": True, "messages": [{"ts": "1.1"}, posted("1.2", OUTBOX_ID)], "has_more": False})

    found = await slack.find_post("C1", OUTBOX_ID, thread_ts="1.1", oldest=NOON)

    assert found == "1.2"
    assert scripted.calls[0].path == "/api/conversations.replies"
    assert scripted.calls[0].arguments["ts"] == "1.1"


@pytest.mark.parametrize(
    "message",
    [
        {"ts": "1.1"},
        {"ts": "1.1", "metadata": None},
        {"ts": "1.1", "metadata": "odd"},
        {"ts": "1.1", "metadata": {"event_type": "switchboard_post", "event_payload": [OUTBOX_ID]}},
        posted("1.1", OUTBOX_ID, event_type="another_apps"),
        posted("1.1", "another row"),
    ],
)
async def test_a_strange_message_is_not_taken_for_ours(
    scripted: ScriptedSlack, slack: SlackClient, message: dict[str, Any]
) -> None:
    scripted.answer({"ok": True, "messages": [message]})

    assert await slack.find_post("C1", OUTBOX_ID, oldest=NOON) is None


async def test_a_search_that_never_ends_proves_nothing(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer({"ok": True, "messages": [], "response_metadata": {"next_cursor": "again"}})

    with pytest.raises(SlackUncertain):
        await slack.find_post("C1", OUTBOX_ID, oldest=NOON)

    assert len(scripted.calls) == MOST_PAGES


async def test_a_person_is_read_with_their_standing(scripted: ScriptedSlack, slack: SlackClient) -> None:
    profile = {"display_name": "", "real_name": "Ana Lima", "email": "ana@example.com"}
    scripted.answer(
        {"ok": True, "user": {"id": "U1", "team_id": "T1", "name": "ana", "is_restricted": True, "profile": profile}}
    )

    person = await slack.user_info("U1")

    assert (person.id, person.team_id, person.name, person.email) == ("U1", "T1", "Ana Lima", "ana@example.com")
    assert person.is_restricted
    assert not any((person.is_bot, person.deleted, person.is_ultra_restricted, person.is_stranger))


async def test_a_person_without_a_profile_still_has_a_name(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer({"ok": True, "user": {"id": "U1", "name": "ana"}})

    person = await slack.user_info("U1")

    assert person.name == "ana"
    assert person.email is None


async def test_a_channel_says_whether_the_bot_is_there(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer({"ok": True, "channel": {"id": "C1", "name": "support", "is_member": True, "is_archived": False}})

    channel = await slack.channel_info("C1")

    assert (channel.name, channel.is_member, channel.is_archived, channel.is_ext_shared) == (
        "support",
        True,
        False,
        False,
    )


async def test_the_token_says_whose_it_is(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer({"ok": True, "team": "Acme", "team_id": "T1", "user_id": "U9", "bot_id": "B9", "url": "https://x/"})

    identity = await slack.auth_test()

    assert (identity.team_id, identity.user_id, identity.bot_id) == ("T1", "U9", "B9")


async def test_the_home_tab_is_published_for_one_person(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer()

    await slack.publish_home("U1", [{"type": "divider"}])

    assert scripted.calls[0].arguments["view"] == {"type": "home", "blocks": [{"type": "divider"}]}


async def test_a_session_that_was_handed_in_is_left_open(scripted: ScriptedSlack) -> None:
    scripted.answer({"ok": True, "ts": "1.1"})

    async with aiohttp.ClientSession() as session:
        async with SlackClient("t", scripted.api_url, session) as slack:
            await slack.post("C1", "hello")

        assert not session.closed


async def test_a_proxy_of_the_environment_is_not_asked_about_loopback(
    scripted: ScriptedSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    scripted.answer({"ok": True, "ts": "1.1"})

    async with SlackClient("t", scripted.api_url) as slack:
        assert await slack.post("C1", "hello") == "1.1"


async def test_a_file_goes_up_in_three_steps(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer({"ok": True, "file_id": "F1", "upload_url": f"{scripted.url}/upload/1?a=%2F"})
    scripted.answer_text("OK - 5")
    scripted.answer({"ok": True, "files": [{"id": "F1"}]})

    slot = await slack.reserve_upload("photo.png", 5, alt_text="A photo from Ana")
    await slack.put_bytes(slot.upload_url, b"bytes")
    await slack.complete_upload(slot.file_id, "C1", title="Photo", thread_ts="1.1")

    reserve, put, complete = scripted.calls
    assert reserve.arguments == {"filename": "photo.png", "length": "5", "alt_txt": "A photo from Ana"}
    assert put.body == b"bytes"
    assert "Authorization" not in put.headers
    assert complete.arguments == {
        "files": '[{"id": "F1", "title": "Photo"}]',
        "channel_id": "C1",
        "thread_ts": "1.1",
    }


async def test_the_shares_of_a_file_prove_that_it_was_posted(scripted: ScriptedSlack, slack: SlackClient) -> None:
    shares = {"private": {"C1": [{"ts": "1.2", "thread_ts": "1.1", "reply_users": []}]}, "public": {}}
    scripted.answer({"ok": True, "file": {"id": "F1", "shares": shares}})
    scripted.answer({"ok": True, "file": {"id": "F1"}})

    assert await slack.file_shares("F1") == [Share(channel="C1", ts="1.2", thread_ts="1.1")]
    assert await slack.file_shares("F1") == []


async def test_a_file_is_fetched_with_the_token(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer_text("content", content_type="image/png")

    content = await slack.download(f"{scripted.url}/files/1")

    assert content == b"content"
    assert scripted.calls[0].headers["Authorization"] == "Bearer xoxb-test"


async def test_a_login_page_is_not_taken_for_the_file(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer_text("<html>sign in</html>", content_type="text/html")

    with pytest.raises(SlackRefused, match="login_page"):
        await slack.download(f"{scripted.url}/files/1")


async def test_a_file_that_is_too_large_is_not_read_to_the_end(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer_text("x" * 1000, content_type="image/png")

    with pytest.raises(SlackRefused, match="file_too_large"):
        await slack.download(f"{scripted.url}/files/1", largest=999)


async def test_a_response_is_private_unless_told_otherwise(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer_text("ok")

    await slack.respond(f"{scripted.url}/commands/1", "done", replace_original=True)

    [call] = scripted.calls
    assert call.arguments["response_type"] == "ephemeral"
    assert call.arguments["replace_original"] is True
    assert "Authorization" not in call.headers


async def test_a_response_is_sent_once_when_the_connection_is_lost(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.reset_after_reading()

    with pytest.raises(SlackUncertain):
        await slack.respond(f"{scripted.url}/commands/1", "done")

    assert len(scripted.calls) == 1


@pytest.mark.parametrize("body", ["used_url", '{"ok": false, "error": "used_url"}'])
async def test_a_spent_response_url_is_a_refusal(scripted: ScriptedSlack, slack: SlackClient, body: str) -> None:
    scripted.answer_text(body, status=404)

    with pytest.raises(SlackRefused, match="used_url"):
        await slack.respond(f"{scripted.url}/commands/1", "done")


async def test_a_response_may_be_rate_limited(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "2"})

    with pytest.raises(SlackRateLimited):
        await slack.respond(f"{scripted.url}/commands/1", "done")


async def test_a_redirect_is_not_followed(scripted: ScriptedSlack, slack: SlackClient) -> None:
    scripted.answer(status=302, headers={"Location": f"{scripted.url}/elsewhere"})

    with pytest.raises(SlackRefused, match="http_302"):
        await slack.respond(f"{scripted.url}/commands/1", "done")
    with pytest.raises(SlackRefused, match="http_302"):
        await slack.download(f"{scripted.url}/files/1")

    assert [call.path for call in scripted.calls] == ["/commands/1", "/files/1"]


FOREIGN_URLS = [
    "https://example.com/commands/1",
    "http://hooks.slack.com/commands/1",
    "https://hooks.slack.com.example.com/1",
    "https://hooks.slack.com@example.com/1",
    "https://user@hooks.slack.com/1",
    "https://hooks.slack.com:8443/1",
    "file:///etc/passwd",
    "//hooks.slack.com/1",
    "https://[",
    "",
]


@pytest.mark.parametrize("url", [*FOREIGN_URLS, "http://127.0.0.1:1/x"])
async def test_an_address_that_is_not_slacks_is_never_called(url: str) -> None:
    async with SlackClient("t") as slack:
        with pytest.raises(SlackRefused, match="foreign_response_url"):
            await slack.respond(url, "done")
        with pytest.raises(SlackRefused, match="foreign_file_url"):
            await slack.download(url.replace("hooks", "files"))


@pytest.mark.parametrize("url", FOREIGN_URLS)
async def test_a_simulated_slack_on_loopback_opens_no_other_address(url: str) -> None:
    async with SlackClient("t", "http://127.0.0.1:1/api/") as slack:
        with pytest.raises(SlackRefused, match="foreign_response_url"):
            await slack.respond(url, "done")
