"""Response URLs, triggers, forms and shortcuts, at their limits."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import SandboxError, SandboxSlack, Wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUICK = Wait(seconds=0.05, quiet=0.02)


def field(label: str, **element: Any) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": label.lower(),
        "label": {"type": "plain_text", "text": label},
        "element": {"type": "plain_text_input", "action_id": "value", **element},
    }


def option(name: str) -> dict[str, Any]:
    return {"text": {"type": "plain_text", "text": name}, "value": name.upper()}


def modal(*blocks: dict[str, Any], title: str = "Form", **more: Any) -> dict[str, Any]:
    text = {"type": "plain_text", "text": title}
    return {
        "type": "modal",
        "title": text,
        "submit": {"type": "plain_text", "text": "Save"},
        "blocks": list(blocks) or [field("Name")],
        **more,
    }


MENU = [
    {
        "type": "actions",
        "elements": [
            {"type": "static_select", "action_id": "role", "options": [option("Agent"), option("Manager")]},
            {"type": "users_select", "action_id": "assignee"},
        ],
    }
]


class App:
    """A bare app: it acknowledges every envelope with `reply`, and keeps the payloads."""

    def __init__(self, slack: SandboxSlack) -> None:
        self.client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
        self.payloads: list[dict[str, Any]] = []
        self.reply: Any = None
        self.on_payload: Any = None

    async def listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            envelope = frame.json()
            if "payload" not in envelope:
                continue
            self.payloads.append(envelope["payload"])
            if self.on_payload:
                await self.on_payload(envelope["payload"])
            answer = {"payload": self.reply} if self.reply else {}
            await socket.send_json({"envelope_id": envelope["envelope_id"], **answer})

    async def respond(self, body: dict[str, Any], payload: int = -1) -> tuple[int, str]:
        url = self.payloads[payload]["response_url"]
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
            return response.status, await response.text()


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack(pace=0.001) as running:
        yield running


@asynccontextmanager
async def connected(slack: SandboxSlack) -> AsyncIterator[App]:
    app = App(slack)
    opened = await app.client.apps_connections_open(app_token=slack.app_token)
    async with aiohttp.ClientSession() as session, session.ws_connect(opened["url"]) as socket:
        listening = asyncio.create_task(app.listen(socket))
        await slack.connected()
        yield app
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_a_response_url_works_five_times(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        await slack.command("ana", "support", "/wa", QUICK)

        answers = [await app.respond({"text": f"answer {number}"}) for number in range(6)]

    assert answers == [(200, "ok")] * 5 + [(404, "used_url")]
    assert len(slack.ephemerals("ana")) == 5


async def test_a_response_url_expires(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        await slack.command("ana", "support", "/wa", QUICK)
        slack.state.interactions.response_seconds = 0

        assert await app.respond({"text": "late"}) == (404, "expired_url")


async def test_a_response_url_refuses_what_slack_would(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        await slack.command("ana", "support", "/wa", QUICK)

        assert await app.respond({}) == (400, "no_text")
        assert await app.respond({"blocks": [{"type": "poem"}]}) == (400, "invalid_blocks")


async def test_a_commands_response_url_has_nothing_to_replace(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        await slack.command("ana", "support", "/wa", QUICK)
        await app.respond({"text": "working"})
        await app.respond({"text": "done", "replace_original": True})

    assert [message.text for message in slack.ephemerals("ana")] == ["working", "done"]


async def test_a_clicks_response_url_replaces_and_deletes_the_clicked_message(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        app.reply = {"text": "choose", "blocks": MENU}
        answer = await slack.command("ana", "support", "/wa", QUICK)
        app.reply = None
        await slack.click("ana", answer.messages[0], "Manager", wait=QUICK)
        await app.respond({"text": "chosen", "replace_original": True})
        replaced = [message.text for message in slack.ephemerals("ana")]
        await app.respond({"delete_original": True})

    assert app.payloads[1]["actions"][0]["selected_option"]["value"] == "MANAGER"
    assert replaced == ["chosen"]
    assert slack.ephemerals("ana") == []


async def test_an_answer_for_everybody_shows_the_command_line_too(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        app.reply = {"text": "all is well", "response_type": "in_channel"}
        answer = await slack.command("ana", "support", "/wa status --token secret", QUICK)

    assert answer.texts == ["all is well"]
    assert [message.text for message in slack.messages("support")] == ["/wa status --token secret", "all is well"]


async def test_an_acknowledgement_that_slack_cannot_show_is_reported(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        app.reply = {"text": "x", "blocks": [{"type": "header"}]}
        answer = await slack.command("ana", "support", "/wa", QUICK)

    assert answer.error == "invalid_blocks: [ERROR] missing required field: text [json-pointer:/blocks/0]"


async def test_a_private_channel_hides_its_name(slack: SandboxSlack) -> None:
    secret = slack.add_channel("secret", is_private=True)
    async with connected(slack) as app:
        await slack.command("ana", "secret", "/wa link #secret https://example.com?a=1&b=2", QUICK)

    assert app.payloads[0]["channel_name"] == "privategroup"
    assert app.payloads[0]["text"] == f"link <#{secret.id}|> <https://example.com?a=1&amp;b=2>"


async def test_a_choice_of_a_person_is_sent_as_their_id(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        posted = await app.client.chat_postMessage(channel=slack.channel("support").id, text="x", blocks=MENU)
        [message] = slack.thread("support", posted["ts"])
        await slack.click("ana", message, "assignee", "ben", wait=QUICK)

    click = next(payload for payload in app.payloads if payload["type"] == "block_actions")
    assert click["actions"][0]["selected_user"] == slack.person("ben").id
    assert click["message"]["ts"] == posted["ts"]
    assert click["container"]["is_ephemeral"] is False


async def trigger_error(app: App, trigger_id: str) -> str:
    with pytest.raises(SlackApiError) as refused:
        await app.client.views_open(trigger_id=trigger_id, view=modal())
    return str(refused.value.response["error"])


async def test_a_trigger_opens_one_modal(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        await slack.command("ana", "support", "/wa", QUICK)
        trigger_id = app.payloads[0]["trigger_id"]

        await app.client.views_open(trigger_id=trigger_id, view=modal())

        assert await trigger_error(app, trigger_id) == "exchanged_trigger_id"
        assert await trigger_error(app, "1.2.3") == "invalid_trigger_id"


async def test_a_trigger_expires() -> None:
    async with SandboxSlack(trigger_seconds=0) as slack, connected(slack) as app:
        await slack.command("ana", "support", "/wa", QUICK)

        assert await trigger_error(app, app.payloads[0]["trigger_id"]) == "expired_trigger_id"


async def opened(slack: SandboxSlack, app: App, view: dict[str, Any]) -> None:
    async def open_view(payload: dict[str, Any]) -> None:
        await app.client.views_open(trigger_id=payload["trigger_id"], view=view)

    app.on_payload = open_view
    await slack.command("ana", "support", "/wa", QUICK)
    app.on_payload = None


async def test_a_form_is_filled_in_by_its_labels(slack: SandboxSlack) -> None:
    role = field("Role", type="static_select", options=[option("Agent"), option("Manager")])
    note = {**field("Note"), "optional": True}
    async with connected(slack) as app:
        await opened(slack, app, modal(field("Name"), role, note))
        await slack.submit("ana", {"Name": "Acme", "Role": "Manager"}, QUICK)

    values = app.payloads[-1]["view"]["state"]["values"]
    assert values["name"]["value"] == {"type": "plain_text_input", "value": "Acme"}
    assert values["role"]["value"]["selected_option"]["value"] == "MANAGER"
    assert values["note"]["value"]["value"] is None


async def test_slack_itself_refuses_an_incomplete_form(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        await opened(slack, app, modal())

        with pytest.raises(SandboxError, match="'Name' has to be filled in"):
            await slack.submit("ana", {})
        with pytest.raises(SandboxError, match="no field Colour"):
            await slack.submit("ana", {"Name": "Acme", "Colour": "red"})

    assert [payload.get("type") for payload in app.payloads] == [None]


async def test_a_submission_can_show_another_form(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        await opened(slack, app, modal())
        app.reply = {"response_action": "push", "view": modal(title="Sure?")}
        pushed = await slack.submit("ana", {"Name": "Acme"}, QUICK)
        app.reply = {"response_action": "clear"}
        await slack.submit("ana", {"Name": "Acme"}, QUICK)

    assert pushed.view is not None
    assert pushed.view.content["title"]["text"] == "Sure?"
    assert slack.modal("ana") is None


async def test_errors_for_a_field_that_does_not_exist_are_reported(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        await opened(slack, app, modal())
        app.reply = {"response_action": "errors", "errors": {"colour": "no"}}
        answer = await slack.submit("ana", {"Name": "Acme"}, QUICK)

    assert (answer.error or "").startswith("invalid_errors")


async def test_a_view_is_updated_only_when_its_hash_fits(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        await opened(slack, app, modal(external_id="form"))
        view = slack.modal("ana")
        assert view is not None
        await app.client.views_update(external_id="form", hash=view.hash, view=modal(title="New"))

        with pytest.raises(SlackApiError) as refused:
            await app.client.views_update(view_id=view.id, hash="old", view=modal())

    assert view.content["title"]["text"] == "New"
    assert refused.value.response["error"] == "hash_conflict"


async def test_closing_a_form_is_told_when_it_asked_for_that(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        await opened(slack, app, modal(notify_on_close=True))
        await slack.close("ana")

    assert app.payloads[-1]["type"] == "view_closed"
    assert slack.modal("ana") is None


async def test_the_home_tab_is_published_and_its_buttons_work(slack: SandboxSlack) -> None:
    home = {"type": "home", "blocks": MENU}
    async with connected(slack) as app:
        slack.open_home("ana")
        await slack.until(lambda: app.payloads)
        user = app.payloads[0]["event"]["user"]
        await app.client.views_publish(user_id=user, view=home)
        view = slack.home("ana")
        assert view is not None
        await slack.click("ana", view, "Agent", wait=QUICK)

    assert app.payloads[-1]["container"] == {"type": "view", "view_id": view.id}
    assert "response_url" not in app.payloads[-1]


async def test_the_home_tab_takes_a_hundred_blocks_and_no_more(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": f"line {number}"}} for number in range(101)]
        ana = slack.person("ana").id

        await app.client.views_publish(user_id=ana, view={"type": "home", "blocks": blocks[:100]})
        with pytest.raises(SlackApiError) as refused:
            await app.client.views_publish(user_id=ana, view={"type": "home", "blocks": blocks})

    home = slack.home("ana")
    assert refused.value.response["error"] == "invalid_arguments"
    assert home is not None
    assert len(home.blocks) == 100


async def test_shortcuts_come_with_their_message(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        said = slack.say("ana", "support", "hello")
        await slack.shortcut("ana", "details", said, QUICK)
        await slack.shortcut("ana", "send", wait=QUICK)

    kinds = [(payload["type"], payload.get("message_ts")) for payload in app.payloads if "callback_id" in payload]
    assert kinds == [("message_action", said.ts), ("shortcut", None)]


async def test_people_cannot_do_what_slack_would_not_let_them(slack: SandboxSlack) -> None:
    async with connected(slack) as app:
        app.reply = {"text": "x", "blocks": MENU}
        answer = await slack.command("ana", "support", "/wa", QUICK)

        with pytest.raises(SandboxError, match="belongs to another company"):
            await slack.command("eve", "support", "/wa")
        with pytest.raises(SandboxError, match="does not see that message"):
            await slack.click("ben", answer.messages[0], "Agent")
        with pytest.raises(SandboxError, match="There is no 'Delete'"):
            await slack.click("ana", answer.messages[0], "Delete")
        with pytest.raises(SandboxError, match="gina is not in #alerts"):
            slack.say("gina", "alerts", "hello")
