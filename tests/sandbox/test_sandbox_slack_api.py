"""The Web API, asked by the real slack_sdk and by hand."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.client import WebClient

from sandbox.slack import SandboxSlack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack() as running:
        yield running


@pytest.fixture
def client(slack: SandboxSlack) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])


async def refused(call: Any) -> Any:
    with pytest.raises(SlackApiError) as caught:
        await call
    return caught.value.response


async def test_the_token_decides_who_may_ask(slack: SandboxSlack) -> None:
    async def error(token: str | None, method: str = "auth_test") -> str:
        client = AsyncWebClient(token=token, base_url=slack.api_url, retry_handlers=[])
        return str((await refused(getattr(client, method)()))["error"])

    assert await error(None) == "not_authed"
    assert await error("xoxb-other") == "invalid_auth"
    assert await error(slack.app_token) == "not_allowed_token_type"
    assert "auth.test" in [call.method for call in slack.journal]
    assert slack.app_token not in json.dumps([call.arguments for call in slack.journal])


async def test_an_unknown_method_is_named(client: AsyncWebClient) -> None:
    assert (await refused(client.api_call("chat.shout")))["error"] == "unknown_method"


async def test_the_synchronous_client_is_understood_too(slack: SandboxSlack) -> None:
    def act() -> tuple[Any, Any, Any]:
        client = WebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
        posted = client.chat_postMessage(channel=slack.channel("support").id, text="hello")
        history = client.conversations_history(channel=slack.channel("support").id, limit=5)
        return client.auth_test(), posted, history

    identity, posted, history = await asyncio.to_thread(act)

    assert identity["team_id"] == slack.team_id
    assert identity["bot_id"]
    assert posted["message"]["text"] == "hello"
    assert [message["ts"] for message in history["messages"]] == [posted["ts"]]


@pytest.mark.parametrize("form", ["json", "data", "params"])
async def test_every_wire_form_carries_blocks_and_metadata(slack: SandboxSlack, form: str) -> None:
    blocks: Any = [{"type": "divider"}]
    metadata: Any = {"event_type": "post", "event_payload": {"id": "7"}}
    values = {"channel": slack.channel("support").id, "text": "hello", "blocks": blocks, "metadata": metadata}
    if form != "json":
        values |= {"blocks": json.dumps(blocks), "metadata": json.dumps(metadata)}
    headers = {"Authorization": f"Bearer {slack.bot_token}"}

    async with aiohttp.ClientSession(headers=headers) as session:
        sent: Any = {form: values}
        async with session.post(slack.api_url + "chat.postMessage", **sent) as response:
            answer = await response.json()

    assert answer["ok"], answer
    [message] = slack.messages("support")
    assert message.blocks[0]["type"] == "divider"
    assert message.metadata == metadata


async def test_json_with_an_empty_body_is_a_call_without_arguments(slack: SandboxSlack) -> None:
    headers = {"Authorization": f"Bearer {slack.bot_token}", "Content-Type": "application/json"}

    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(slack.api_url + "auth.test", data=b"") as response,
    ):
        assert (await response.json())["ok"]


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("chat_postMessage", {"channel": "C0NOWHERE", "text": "x"}, "channel_not_found"),
        ("chat_postMessage", {"channel": "general", "text": "x"}, "not_in_channel"),
        ("chat_postMessage", {"channel": "support", "text": "x" * 40_001}, "msg_too_long"),
        ("chat_postMessage", {"channel": "support", "text": "x", "thread_ts": "1.000001"}, "cannot_reply_to_message"),
        ("chat_update", {"channel": "support", "text": "x", "ts": "1.000001"}, "message_not_found"),
        ("chat_delete", {"channel": "support", "ts": "1.000001"}, "message_not_found"),
        ("chat_postEphemeral", {"channel": "support", "user": "U0NOBODY", "text": "x"}, "user_not_in_channel"),
        ("conversations_history", {"channel": "general"}, "not_in_channel"),
        ("conversations_replies", {"channel": "support", "ts": "1.000001"}, "thread_not_found"),
        ("conversations_open", {"users": "U0NOBODY"}, "user_not_found"),
        ("reactions_add", {"channel": "support", "name": "x", "timestamp": "1.000001"}, "message_not_found"),
        ("users_info", {"user": "U0NOBODY"}, "user_not_found"),
        ("users_lookupByEmail", {"email": "nobody@example.com"}, "users_not_found"),
        ("views_open", {"trigger_id": "1.2.3", "view": {"type": "modal"}}, "invalid_arguments"),
        ("files_info", {"file": "F0NOTHING"}, "file_not_found"),
    ],
)
async def test_what_is_refused_has_slacks_name_for_it(
    slack: SandboxSlack, client: AsyncWebClient, method: str, arguments: dict[str, Any], error: str
) -> None:
    if arguments.get("channel") in {"support", "general"}:
        arguments = {**arguments, "channel": slack.channel(arguments["channel"]).id}

    answer = await refused(getattr(client, method)(**arguments))

    assert answer["error"] == error


async def test_a_message_needs_something_to_say(slack: SandboxSlack, client: AsyncWebClient) -> None:
    silent = client.api_call("chat.postMessage", json={"channel": slack.channel("support").id, "text": "  "})

    assert (await refused(silent))["error"] == "no_text"


async def test_an_archived_channel_takes_no_posts(slack: SandboxSlack, client: AsyncWebClient) -> None:
    slack.archive("ana", "support")

    answer = await refused(client.chat_postMessage(channel=slack.channel("support").id, text="x"))

    assert answer["error"] == "is_archived"


async def test_a_private_channel_without_the_app_does_not_exist_for_it(
    slack: SandboxSlack, client: AsyncWebClient
) -> None:
    secret = slack.add_channel("secret", with_app=False, is_private=True)

    assert (await refused(client.conversations_info(channel=secret.id)))["error"] == "channel_not_found"


async def test_metadata_is_returned_only_on_request(slack: SandboxSlack, client: AsyncWebClient) -> None:
    support = slack.channel("support").id
    metadata = {"event_type": "switchboard_post", "event_payload": {"id": "42"}}
    posted = await client.chat_postMessage(channel=support, text="root")
    await client.chat_postMessage(channel=support, text="reply", thread_ts=posted["ts"], metadata=metadata)

    plain = await client.conversations_replies(channel=support, ts=posted["ts"])
    full = await client.conversations_replies(channel=support, ts=posted["ts"], include_all_metadata=True)

    assert "metadata" not in plain["messages"][1]
    assert full["messages"][1]["metadata"] == metadata
    assert full["messages"][0]["reply_count"] == 1
    assert full["messages"][1]["parent_user_id"] == full["messages"][0]["user"]


async def test_metadata_has_a_form_and_a_size(slack: SandboxSlack, client: AsyncWebClient) -> None:
    async def error(metadata: Any) -> str:
        call = client.chat_postMessage(channel=slack.channel("support").id, text="x", metadata=metadata)
        return str((await refused(call))["error"])

    assert await error({"event_type": "x"}) == "invalid_metadata_schema"
    assert await error({"event_type": "x", "event_payload": {"a": "b" * 9000}}) == "metadata_too_large"
    assert await error('["x"]') == "invalid_metadata_format"


async def test_history_is_paged_newest_first_and_leaves_replies_out(
    slack: SandboxSlack, client: AsyncWebClient
) -> None:
    roots = [slack.say("ana", "support", f"message {number}") for number in range(5)]
    slack.say("ben", "support", "a reply", roots[0].ts)
    slack.say("ben", "support", "an announcement", roots[0].ts, broadcast=True)

    texts: list[str] = []
    cursor: str | None = None
    while cursor != "":
        page = await client.conversations_history(channel=slack.channel("support").id, limit=2, cursor=cursor)
        texts += [message["text"] for message in page["messages"]]
        cursor = page["response_metadata"]["next_cursor"] if page["has_more"] else ""

    assert texts == ["an announcement", "message 4", "message 3", "message 2", "message 1", "message 0"]


async def test_oldest_and_latest_are_exclusive_unless_told_otherwise(
    slack: SandboxSlack, client: AsyncWebClient
) -> None:
    first, second, third = [slack.say("ana", "support", text) for text in ("one", "two", "three")]
    span: Any = {"channel": slack.channel("support").id, "oldest": first.ts, "latest": third.ts}

    between = await client.conversations_history(**span)
    including = await client.conversations_history(**span, inclusive=True)

    assert [message["ts"] for message in between["messages"]] == [second.ts]
    assert len(including["messages"]) == 3


async def test_the_first_page_of_a_thread_begins_with_its_root_whatever_is_asked_for(
    slack: SandboxSlack, client: AsyncWebClient
) -> None:
    root = slack.say("ana", "support", "root")
    replies = [slack.say("ben", "support", f"reply {number}", root.ts) for number in range(3)]
    thread: Any = {"channel": slack.channel("support").id, "ts": root.ts, "oldest": replies[0].ts, "limit": 1}

    first = await client.conversations_replies(**thread)
    second = await client.conversations_replies(**thread, cursor=first["response_metadata"]["next_cursor"])

    assert [message["text"] for message in first["messages"]] == ["root", "reply 1"]
    assert [message["text"] for message in second["messages"]] == ["reply 2"]
    assert second["has_more"] is False


async def test_an_update_takes_fewer_bytes_than_a_post(slack: SandboxSlack, client: AsyncWebClient) -> None:
    support = slack.channel("support").id
    posted = await client.chat_postMessage(channel=support, text="x" * 4001)

    answer = await refused(client.chat_update(channel=support, ts=posted["ts"], text="ä" * 2001))
    updated = await client.chat_update(channel=support, ts=posted["ts"], text="ä" * 2000)

    assert answer["error"] == "msg_too_long"
    assert updated["message"]["edited"]["user"] == slack.state.workspace.installation.bot_user


async def test_only_the_apps_own_messages_are_its_to_change(slack: SandboxSlack, client: AsyncWebClient) -> None:
    support = slack.channel("support").id
    said = slack.say("ana", "support", "mine")
    renamed = await client.chat_postMessage(channel=support, text="as Carla", username="Carla")

    update = await refused(client.chat_update(channel=support, ts=said.ts, text="x"))
    delete = await refused(client.chat_delete(channel=support, ts=said.ts))
    renamed_delete = await refused(client.chat_delete(channel=support, ts=renamed["ts"]))

    assert (update["error"], delete["error"]) == ("cant_update_message", "cant_delete_message")
    assert renamed_delete["error"] == "cant_delete_message"


async def test_a_deleted_root_with_replies_stays_as_a_tombstone(slack: SandboxSlack, client: AsyncWebClient) -> None:
    support = slack.channel("support").id
    posted = await client.chat_postMessage(channel=support, text="root")
    slack.say("ana", "support", "reply", posted["ts"])

    await client.chat_delete(channel=support, ts=posted["ts"])

    thread = await client.conversations_replies(channel=support, ts=posted["ts"])
    assert [message.get("subtype") for message in thread["messages"]] == ["tombstone", None]
    late = client.chat_postMessage(channel=support, text="x", thread_ts=posted["ts"])
    assert (await refused(late))["error"] == "cannot_reply_to_message"


async def test_an_ephemeral_message_is_seen_by_one_person_and_by_no_api(
    slack: SandboxSlack, client: AsyncWebClient
) -> None:
    support = slack.channel("support").id

    await client.chat_postEphemeral(channel=support, user=slack.person("ana").id, text="only you")

    assert [message.text for message in slack.ephemerals("ana")] == ["only you"]
    assert slack.ephemerals("ben") == []
    assert (await client.conversations_history(channel=support))["messages"] == []


async def test_reactions_are_counted_once_a_person(slack: SandboxSlack, client: AsyncWebClient) -> None:
    said = slack.say("ana", "support", "hello")
    item: Any = {"channel": slack.channel("support").id, "timestamp": said.ts, "name": "white_check_mark"}
    slack.react("ben", said, ":white_check_mark:")

    await client.reactions_add(**item)
    again = await refused(client.reactions_add(**item))
    shown = await client.reactions_get(channel=item["channel"], timestamp=said.ts)
    await client.reactions_remove(**item)
    gone = await refused(client.reactions_remove(**item))
    odd = await refused(client.reactions_add(**{**item, "name": "Not An Emoji"}))

    assert shown["message"]["reactions"][0]["count"] == 2
    assert [again["error"], gone["error"], odd["error"]] == ["already_reacted", "no_reaction", "invalid_name"]
    assert said.reactions == {"white_check_mark": [slack.person("ben").id]}


async def test_direct_messages_are_reached_by_channel_or_by_user(slack: SandboxSlack, client: AsyncWebClient) -> None:
    ana = slack.person("ana").id

    opened = await client.conversations_open(users=ana)
    await client.chat_postMessage(channel=opened["channel"]["id"], text="one")
    posted = await client.chat_postMessage(channel=ana, text="two")

    assert posted["channel"] == opened["channel"]["id"]
    assert [message.text for message in slack.direct_messages("ana")] == ["one", "two"]


async def test_people_are_described_by_what_they_are(slack: SandboxSlack, client: AsyncWebClient) -> None:
    guest = (await client.users_info(user=slack.person("gina").id))["user"]
    stranger = (await client.users_info(user=slack.person("eve").id))["user"]
    found = (await client.users_lookupByEmail(email="Ana@example.com"))["user"]

    assert guest["is_restricted"] is True
    assert stranger["is_stranger"] is True
    assert stranger["team_id"] != slack.team_id
    assert "email" not in stranger["profile"]
    assert found["profile"] == {
        "real_name": "Ana Castro",
        "display_name": "ana",
        "team": slack.team_id,
        "email": "ana@example.com",
    }


async def test_what_somebody_of_another_company_writes_names_their_team(
    slack: SandboxSlack, client: AsyncWebClient
) -> None:
    eve, support = slack.person("eve"), slack.channel("support")
    support.members.append(eve.id)

    slack.say("ana", "support", "one")
    slack.say("eve", "support", "two")

    by_eve, by_ana = (await client.conversations_history(channel=support.id))["messages"]
    assert {by_eve[name] for name in ("team", "user_team", "source_team")} == {eve.team_id}
    assert by_ana["team"] == slack.team_id
    assert "user_team" not in by_ana


async def test_a_person_who_is_changed_is_described_and_told_as_they_are_now(
    slack: SandboxSlack, client: AsyncWebClient
) -> None:
    slack.change_person("ana", guest=True)
    slack.change_person("ben", deleted=True, heard=False)

    [told] = slack.state.events.deliveries
    ana = (await client.users_info(user=slack.person("ana").id))["user"]
    ben = (await client.users_info(user=slack.person("ben").id))["user"]
    assert (told.event["type"], told.event["user"]) == ("user_change", ana)
    assert (ana["is_restricted"], ana["deleted"]) == (True, False)
    assert (ben["is_restricted"], ben["deleted"]) == (False, True)


async def test_a_missing_scope_is_named() -> None:
    async with SandboxSlack(scopes=frozenset({"chat:write", "users:read"})) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])

        answer = await refused(client.conversations_list())
        person = await client.users_info(user=slack.person("ana").id)

    assert (answer["error"], answer["needed"]) == ("missing_scope", "channels:read")
    assert "email" not in person["user"]["profile"]


async def test_channels_are_listed_and_joined(slack: SandboxSlack, client: AsyncWebClient) -> None:
    shared = slack.add_channel("partners", members=("ana", "eve"), is_ext_shared=True)
    general = slack.channel("general").id

    listed = await client.conversations_list(types="public_channel,private_channel", limit=2)
    joined = await client.conversations_join(channel=general)
    info = await client.conversations_info(channel=shared.id, include_num_members=True)
    members = await client.conversations_members(channel=general)

    assert [channel["name"] for channel in listed["channels"]] == ["support", "alerts"]
    assert listed["response_metadata"]["next_cursor"]
    assert joined["channel"]["is_member"] is True
    assert (info["channel"]["is_ext_shared"], info["channel"]["num_members"]) == (True, 3)
    assert slack.state.workspace.installation.bot_user in members["members"]


async def test_the_app_lists_its_own_channels_and_people_come_and_go(
    slack: SandboxSlack, client: AsyncWebClient
) -> None:
    slack.remove_app("alerts")
    slack.leave("ben", "support")
    slack.join("gina", "support")

    own = await client.users_conversations(types="public_channel,private_channel")
    members = (await client.conversations_members(channel=slack.channel("support").id))["members"]

    joined = [one.event for one in slack.state.events.deliveries if one.event["type"] == "member_joined_channel"]
    names = [channel["name"] for channel in own["channels"]]
    assert "support" in names
    assert "alerts" not in names
    assert (slack.person("ben").id in members, slack.person("gina").id in members) == (False, True)
    assert [event["user"] for event in joined] == [slack.person("gina").id]


async def test_reading_direct_messages_needs_a_scope_of_its_own() -> None:
    async with SandboxSlack(scopes=frozenset({"chat:write", "im:write", "channels:history"})) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
        direct = (await client.conversations_open(users=slack.person("ana").id))["channel"]["id"]

        answer = await refused(client.conversations_history(channel=direct))
        history = await client.conversations_history(channel=slack.channel("support").id)

    assert (answer["error"], answer["needed"]) == ("missing_scope", "im:history")
    assert history["ok"]


async def test_only_posting_takes_the_name_of_a_channel(slack: SandboxSlack, client: AsyncWebClient) -> None:
    posted = await client.chat_postMessage(channel="#support", text="hello")

    update = await refused(client.chat_update(channel="#support", ts=posted["ts"], text="x"))

    assert posted["channel"] == slack.channel("support").id
    assert update["error"] == "channel_not_found"
