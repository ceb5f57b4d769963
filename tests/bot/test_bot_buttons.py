"""Buttons below messages that did not simply leave: who clicks is checked, each decides once, and everybody sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from bot.buttons import BUTTONS, Button
from bot.buttons.button import of_messages
from bot.running import serving
from bot.sockets import Sockets
from database import connection, in_database
from models import Message as Row
from models import MessageStatus, UserRole, now_utc
from operations import slack_inbox
from operations.buttons import RETRY_ALL, Act, with_buttons
from operations.hold_reasons import UNKNOWN
from operations.permissions import Permission
from operations.slack_events import incoming
from operations.standing import Person
from sandbox.slack import Answer, Message, SandboxSlack, Wait, payloads
from slack.blocks import button, section
from slack.client import SlackClient
from tests.bot.conftest import BotSettings, Rows, becomes, both_modes
from tests.conftest import MigratedDatabase
from tests.operations.builders import World

pytestmark = pytest.mark.database_role("switchboard_bot")

ANSWERED = Wait(seconds=15, until=lambda answer: any(one.visible_to for one in answer.messages))
FAILED = "❌ Not delivered: “It leaves today.” No such chat."


@dataclass
class Scene:
    """A conversation of Acme in #support, where ana is an agent, ben an auditor, and olga of Globex."""

    slack: SandboxSlack
    world: World
    client: SlackClient
    root_ts: str

    async def __call__(self, work: Callable[[], Any]) -> Any:
        def inside() -> Any:
            with connection():
                return work()

        return await in_database(inside)

    async def message(self, body: str = "It leaves today.", **more: Any) -> Row:
        fields = {"status": MessageStatus.FAILED, "error_message": "No such chat.", "slack_channel_id": self.channel_id}
        row: Row = await self(partial(self.world.message, self.conversation, body, **(fields | more)))
        return row

    async def offered(self, row: Row, *acts: Act, value: str = "") -> Message:
        """What stands in the thread about a message, with its buttons."""
        blocks = with_buttons(FAILED, row.id, *acts)
        if value:
            blocks = [section(FAILED), {"type": "actions", "elements": [button("Retry", acts[0].value, value=value)]}]
        ts = await self.client.post(self.channel_id, FAILED, blocks=blocks, thread_ts=self.root_ts)
        return next(one for one in self.slack.messages("support") if one.ts == ts)

    async def click(self, user: str, offered: Message, label: str) -> str:
        answer = await self.slack.click(user, offered, label, wait=ANSWERED)
        return answer.texts[-1]

    async def arrange(self) -> None:
        world, slack = self.world, self.slack
        tenant = await self(world.tenant)
        for name, role in (("ana", UserRole.AGENT), ("ben", UserRole.AUDITOR)):
            person = Person(slack.team_id, slack.person(name).id)
            await self(partial(world.user, tenant, person, role, first_name=name.capitalize()))
        other = await self(partial(world.tenant, "Globex"))
        olga = Person(slack.team_id, slack.person("olga").id)
        await self(partial(world.user, other, olga, UserRole.TENANT_ADMIN))
        session = await self(partial(world.session, tenant))
        self.conversation = await self(partial(world.conversation, session))
        self.channel_id = slack.channel("support").id
        await self(
            partial(
                world.sql,
                "UPDATE conversations SET slack_team_id = %s, slack_channel_id = %s, slack_thread_ts = %s",
                slack.team_id,
                self.channel_id,
                self.root_ts,
            )
        )


@pytest.fixture
async def scene(slack: SandboxSlack, bot: Sockets, migrated_database: MigratedDatabase) -> AsyncIterator[Scene]:
    async with SlackClient(slack.bot_token, slack.api_url) as client:
        root_ts = await client.post(slack.channel("support").id, "*Berta*")
        scene = Scene(slack, World(migrated_database), client, root_ts)
        await scene.arrange()
        yield scene


def has_view(answer: Answer) -> bool:
    return answer.view is not None


QUEUED_NOW = "SELECT body, status FROM messages WHERE status = 'queued' AND parked_at IS NULL"
UPDATES = "SELECT payload FROM slack_posts WHERE kind = 'update'"


@both_modes
async def test_a_click_is_carried_out_answered_privately_and_written_over_what_was_clicked(
    scene: Scene, rows: Rows
) -> None:
    row = await scene.message()
    offered = await scene.offered(row, Act.RETRY, Act.EDIT)

    told = await scene.click("ana", offered, "Retry")

    assert told == "It is sent again."
    assert await rows(QUEUED_NOW) == [("It leaves today.", "queued")]
    [[payload]] = await rows(UPDATES)
    ana = scene.slack.person("ana").id
    assert payload["ts"] == offered.ts
    assert payload["text"] == f"{FAILED}\n<@{ana}> chose *Retry*."
    assert not payload.get("blocks")
    whisper = scene.slack.ephemerals("ana")[-1]
    assert (whisper.visible_to, whisper.thread_ts) == (ana, scene.root_ts)
    await becomes(rows, "SELECT tenant_id IS NOT NULL, answered_at IS NOT NULL FROM slack_events", [(True, True)])


@pytest.mark.parametrize(
    ("act", "message", "becomes_"),
    [
        (Act.SEND_NOW, {"status": "queued", "parked_at": now_utc(), "hold_reason": "set aside"}, ("queued", None)),
        (Act.DISCARD, {"status": "queued", "parked_at": now_utc(), "hold_reason": "set aside"}, ("failed", None)),
        (Act.WAS_SENT, {"status": "queued", "parked_at": now_utc(), "hold_reason": UNKNOWN}, ("sent", None)),
        (Act.SEND_AGAIN, {"status": "queued", "parked_at": now_utc(), "hold_reason": UNKNOWN}, ("failed", None)),
    ],
    ids=lambda value: value.value if isinstance(value, Act) else None,
)
async def test_every_button_does_what_it_says(
    scene: Scene, rows: Rows, act: Act, message: dict[str, Any], becomes_: tuple[Any, ...]
) -> None:
    row = await scene.message(**message)
    offered = await scene.offered(row, act)

    await scene.click("ana", offered, act.value)

    assert await rows("SELECT status, parked_at FROM messages WHERE id = %s", row.id) == [becomes_]


async def test_who_clicks_is_checked_and_not_who_wrote(scene: Scene, rows: Rows) -> None:
    offered = await scene.offered(await scene.message(), Act.RETRY)

    auditor = await scene.click("ben", offered, "Retry")
    of_another_tenant = await scene.click("olga", offered, "Retry")
    nobody = await scene.click("olga", offered, "Retry")

    assert auditor.startswith("That needs TENANT_ADMIN, MANAGER or AGENT in *Acme*; you are AUDITOR there.")
    assert of_another_tenant.startswith("Nothing was changed. This message is not there any more, or you have no role")
    assert nobody == of_another_tenant
    assert await rows(QUEUED_NOW) == []
    assert await rows(UPDATES) == []


@pytest.mark.parametrize("value", ["", "nonsense", "0198c2a4-7d1e-7c3a-9a51-3f2b8c6d1e00", "'; DROP TABLE messages"])
async def test_what_a_button_carries_is_not_believed(scene: Scene, rows: Rows, value: str) -> None:
    offered = await scene.offered(await scene.message(), Act.RETRY, value=value or " ")

    told = await scene.click("ana", offered, "Retry")

    assert told.startswith("Nothing was changed")
    assert await rows(QUEUED_NOW) == []


async def test_a_message_of_a_deactivated_tenant_is_not_sent(scene: Scene, rows: Rows) -> None:
    offered = await scene.offered(await scene.message(), Act.RETRY)
    await rows("UPDATE tenants SET status = 'inactive' RETURNING 1")

    assert "is deactivated" in await scene.click("ana", offered, "Retry")
    assert await rows(QUEUED_NOW) == []


async def test_a_message_that_was_deleted_is_not_there(scene: Scene, rows: Rows) -> None:
    offered = await scene.offered(await scene.message(), Act.RETRY)
    await rows("UPDATE messages SET deleted_at = now() RETURNING 1")

    assert (await scene.click("ana", offered, "Retry")).startswith("Nothing was changed. This message is not there")


async def test_a_button_that_nobody_knows_does_nothing(scene: Scene) -> None:
    row = await scene.message()
    ts = await scene.client.post(scene.channel_id, "Old", blocks=[section("Old", accessory=button("Go", "gone"))])
    old = next(one for one in scene.slack.messages("support") if one.ts == ts)

    assert (await scene.click("ana", old, "Go")).startswith("This button does nothing any more.")
    assert row.status == "failed"


async def test_two_who_click_at_once_decide_once(scene: Scene, rows: Rows) -> None:
    offered = await scene.offered(await scene.message(), Act.RETRY, Act.DISCARD)

    told = await asyncio.gather(*(scene.click("ana", offered, label) for label in ("Retry", "Discard", "Retry")))

    assert sum(not one.startswith("Nothing was changed.") for one in told) == 1
    assert await rows("SELECT count(*) FROM slack_posts WHERE kind = 'update'") == [(1,)]


async def test_a_click_that_is_delivered_twice_is_carried_out_and_answered_once(scene: Scene, rows: Rows) -> None:
    offered = await scene.offered(await scene.message(), Act.RETRY)
    send = scene.slack.state.socket_mode.send

    async def send_twice(*envelope: Any) -> Any:
        await send(*envelope)
        return await send(*envelope)

    scene.slack.state.socket_mode.send = send_twice  # type: ignore[method-assign,assignment]
    await scene.click("ana", offered, "Retry")
    scene.slack.state.socket_mode.send = send  # type: ignore[method-assign]
    await becomes(rows, "SELECT answered_at IS NOT NULL FROM slack_events", [(True,)])

    assert len(await rows(QUEUED_NOW)) == 1
    assert len(scene.slack.ephemerals("ana")) == 1


@both_modes
async def test_a_form_shows_the_text_and_sends_what_was_made_of_it(scene: Scene, rows: Rows) -> None:
    offered = await scene.offered(await scene.message("It *leaves* today & tomorrow"), Act.EDIT)

    opened = await scene.slack.click("ana", offered, "Edit", wait=Wait(until=has_view))
    sent = await scene.slack.submit("ana", {"Text": "It <leaves> today :tada: & tomorrow"}, wait=Wait(seconds=0))
    await scene.slack.until(lambda: scene.slack.ephemerals("ana"))

    assert opened.view is not None
    assert opened.view.blocks[0]["element"]["initial_value"] == "It *leaves* today & tomorrow"
    assert sent.error is None
    assert scene.slack.modal("ana") is None
    assert await rows(QUEUED_NOW) == [("It <leaves> today 🎉 & tomorrow", "queued")]
    assert [one.text for one in scene.slack.ephemerals("ana")] == ["The new text is sent."]
    [[payload]] = await rows(UPDATES)
    assert (payload["ts"], payload["text"].rpartition(" ")[2]) == (offered.ts, "*Edit*.")
    await becomes(rows, "SELECT count(*) FROM slack_events WHERE answered_at IS NULL", [(0,)])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("   ", "Write what the customer should get."),
        ("x" * 3001, "At most 3,000 characters fit here; these are 3,001."),
    ],
    ids=["empty", "too long"],
)
async def test_a_form_says_what_is_wrong_with_a_text_and_stays_open(
    scene: Scene, rows: Rows, text: str, complaint: str
) -> None:
    offered = await scene.offered(await scene.message(), Act.EDIT)
    await scene.slack.click("ana", offered, "Edit", wait=Wait(until=has_view))

    answer = await scene.slack.submit("ana", {"Text": text})

    assert answer.errors == {"Text": complaint}
    assert scene.slack.modal("ana") is not None
    assert await rows("SELECT count(*) FROM slack_events") == [(1,)]
    assert await rows(QUEUED_NOW) == []


async def test_who_lost_the_right_while_a_form_was_open_sends_nothing(scene: Scene, rows: Rows) -> None:
    offered = await scene.offered(await scene.message(), Act.EDIT)
    await scene.slack.click("ana", offered, "Edit", wait=Wait(until=has_view))
    await rows("UPDATE users SET role = 'AUDITOR' RETURNING 1")

    await scene.slack.submit("ana", {"Text": "Now"}, wait=Wait(seconds=0))
    await scene.slack.until(lambda: scene.slack.ephemerals("ana"))

    assert "you are AUDITOR" in scene.slack.ephemerals("ana")[-1].text
    assert await rows(QUEUED_NOW) == []


async def test_a_form_for_what_was_decided_meanwhile_is_refused(scene: Scene, rows: Rows) -> None:
    offered = await scene.offered(await scene.message(), Act.RETRY, Act.EDIT)
    await scene.slack.click("ana", offered, "Edit", wait=Wait(until=has_view))
    await scene.click("ana", offered, "Retry")

    await scene.slack.submit("ana", {"Text": "Now"}, wait=Wait(seconds=0))
    await scene.slack.until(lambda: len(scene.slack.ephemerals("ana")) == 2)

    assert scene.slack.ephemerals("ana")[-1].text.startswith("Nothing was changed.")
    assert await rows(QUEUED_NOW) == [("It leaves today.", "queued")]


@pytest.mark.parametrize("origin", ["", "nonsense", str(uuid4()), "somebody else's"])
async def test_what_is_hidden_in_a_form_is_not_believed(scene: Scene, rows: Rows, origin: str) -> None:
    offered = await scene.offered(await scene.message(), Act.EDIT)
    await scene.slack.click("ana", offered, "Edit", wait=Wait(until=has_view))
    view = scene.slack.modal("ana")
    assert view is not None
    user = "ana"
    if origin == "somebody else's":
        user = "ben"
        scene.slack.state.views.stacks[scene.slack.person("ben").id] = [view]
    else:
        view.content["private_metadata"] = origin

    await scene.slack.submit(user, {"Text": "Now"}, wait=Wait(seconds=0))

    await becomes(rows, "SELECT count(*) FROM slack_posts WHERE kind = 'direct'", [(1,)])
    [[payload]] = await rows("SELECT payload FROM slack_posts WHERE kind = 'direct'")
    assert "this form is not known any more" in payload["text"]
    assert await rows(QUEUED_NOW) == []


async def test_a_form_that_slack_does_not_open_any_more_is_said(slack: SandboxSlack, scene: Scene) -> None:
    slack.fail("views.open", error="expired_trigger_id")
    offered = await scene.offered(await scene.message(), Act.EDIT)

    assert await scene.click("ana", offered, "Edit") == "Slack did not open the form in time. Click again."


async def test_a_form_is_opened_for_nobody_who_may_not_send_it(scene: Scene) -> None:
    offered = await scene.offered(await scene.message(), Act.EDIT)

    assert "you are AUDITOR" in await scene.click("ben", offered, "Edit")
    assert scene.slack.modal("ben") is None


async def kept_click(scene: Scene, offered: Message, label: str) -> UUID:
    """A click that was kept by a bot that was killed right after."""
    ana, slack = scene.slack.person("ana"), scene.slack
    asked = slack.state.interactions.start("click", ana, slack.channel("support"), offered)
    element = next(one for block in offered.blocks for one in block.get("elements", []) if one["text"]["text"] == label)
    action = {"type": "button", "action_id": element["action_id"], "block_id": "b", "value": element["value"]}
    row = incoming(payloads.click_on_message(slack.state, asked, offered, action))
    assert row is not None
    await in_database(slack_inbox.store, row)
    return row.id


async def test_a_click_that_a_crash_left_is_carried_out_once_by_whichever_bot_finds_it(
    scene: Scene, bot_settings: BotSettings, rows: Rows
) -> None:
    offered = await scene.offered(await scene.message(), Act.RETRY)
    await kept_click(scene, offered, "Retry")

    async with serving(bot_settings()), serving(bot_settings()):
        await becomes(rows, "SELECT answered_at IS NOT NULL FROM slack_events", [(True,)])

    assert [one.text for one in scene.slack.ephemerals("ana")] == ["It is sent again."]
    assert len(await rows(QUEUED_NOW)) == 1
    assert len(await rows(UPDATES)) == 1


async def test_a_click_that_waited_half_an_hour_sends_nothing_out_of_the_blue(
    scene: Scene, bot_settings: BotSettings, rows: Rows
) -> None:
    offered = await scene.offered(await scene.message(), Act.RETRY)
    await kept_click(scene, offered, "Retry")
    await rows("UPDATE slack_events SET created_at = now() - interval '40 minutes' RETURNING 1")

    async with serving(bot_settings()):
        await becomes(rows, "SELECT kind FROM slack_posts WHERE kind = 'direct'", [("direct",)])

    [[payload]] = await rows("SELECT payload FROM slack_posts WHERE kind = 'direct'")
    assert "Nothing was done: it could not be done when you clicked" in payload["text"]
    assert await rows(QUEUED_NOW) == []


def test_every_act_has_its_button() -> None:
    assert {one.action_id for one in BUTTONS if one.stand is of_messages} == {*(act.value for act in Act), RETRY_ALL}


@pytest.mark.parametrize("permission", [Permission.TENANT_CREATE, None], ids=str)
def test_a_button_that_nobody_may_click_does_not_start(permission: Any) -> None:
    with pytest.raises(ValueError, match="Nobody may click"):
        Button("message.nothing", permission, of_messages, lambda _press: slack_inbox.Answer("Done."))
