"""`message failed`, `message retry`, `message cancel`: what people type about messages that did not arrive."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from database import connection, in_database
from models import Conversation, Message, MessageStatus, Tenant, UserRole, WahaSession, now_utc
from operations.hold_reasons import UNKNOWN
from operations.message_ids import short
from operations.standing import Person
from sandbox.slack import Answer, SandboxSlack, Wait
from slack.block_limits import check
from tests.bot.conftest import Ask, Rows
from tests.conftest import MigratedDatabase
from tests.operations.builders import World

pytestmark = [pytest.mark.database_role("switchboard_bot"), pytest.mark.usefixtures("bot")]

QUEUED_NOW = "SELECT body FROM messages WHERE status = 'queued' AND parked_at IS NULL ORDER BY seq"


class Scene:
    """Acme with session `sales`, where ana is an agent and ben an auditor."""

    def __init__(self, slack: SandboxSlack, migrated: MigratedDatabase) -> None:
        self.slack, self.world = slack, World(migrated)

    async def __call__(self, work: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        def inside() -> Any:
            with connection():
                return work(*arguments, **more)

        return await in_database(inside)

    async def arrange(self) -> None:
        self.tenant: Tenant = await self(self.world.tenant)
        for name, role in (("ana", UserRole.AGENT), ("ben", UserRole.AUDITOR)):
            await self(self.world.user, self.tenant, Person(self.slack.team_id, self.slack.person(name).id), role)
        self.session: WahaSession = await self(self.world.session, self.tenant)
        self.conversation: Conversation = await self(self.world.conversation, self.session)

    async def failed(self, body: str, minutes: int = 0, **more: Any) -> Message:
        conversation = more.pop("conversation", self.conversation)
        fields = {"status": MessageStatus.FAILED, "error_message": "No such chat."} | more
        message: Message = await self(partial(self.world.message, conversation, body, **fields))
        sql = "UPDATE messages SET created_at = now() - %s * interval '1 minute' WHERE id = %s"
        await self(self.world.sql, sql, minutes, message.id)
        return message

    async def see(self, user: str, line: str) -> Answer:
        return await self.slack.command(
            user, "support", f"/wa {line}", Wait(until=lambda answer: bool(answer.messages))
        )


@pytest.fixture
async def scene(slack: SandboxSlack, migrated_database: MigratedDatabase) -> Scene:
    scene = Scene(slack, migrated_database)
    await scene.arrange()
    return scene


async def test_what_failed_is_listed_with_its_reason_and_buttons(scene: Scene) -> None:
    message = await scene.failed("It leaves today.")
    aside = await scene.failed("And this?", status=MessageStatus.QUEUED, parked_at=now_utc(), hold_reason="set aside")
    unknown = await scene.failed("Hm", status=MessageStatus.QUEUED, parked_at=now_utc(), hold_reason=UNKNOWN)
    await scene.failed("Fine", status=MessageStatus.SENT)

    answer = await scene.see("ana", "message failed")

    assert answer.texts[0].startswith("*3 messages did not reach the customer*\n")
    for one in (message, aside, unknown):
        assert f"`{short(one.id)}` {one.body}\n" in answer.texts[0]
    assert "Why: No such chat." in answer.texts[0]
    assert "Fine" not in answer.text
    assert "`/wa message retry ID`" in answer.text
    assert answer.labels.count("Retry") == 2
    assert "It was sent" in answer.labels
    assert "Retry all 2 shown" in answer.labels
    assert check(answer.blocks) == []


async def test_whoever_may_only_look_gets_no_buttons(scene: Scene) -> None:
    await scene.failed("It leaves today.")

    answer = await scene.see("ben", "message failed")

    assert "It leaves today." in answer.text
    assert answer.labels == []


async def test_the_list_is_of_a_session_and_a_time(scene: Scene, ask: Ask) -> None:
    other = await scene(scene.world.session, scene.tenant, "support")
    await scene.failed("Of support", conversation=await scene(scene.world.conversation, other))
    await scene.failed("An hour ago", minutes=60)
    await scene.failed("Long ago", minutes=3000)

    recent = await ask("ana", "message failed --session sales --since 2h")
    earlier = await ask("ana", "message failed --until 1d")
    none = await ask("ana", "message failed --since 1m --session sales")

    assert ("An hour ago" in recent, "Of support" in recent, "Long ago" in recent) == (True, False, False)
    assert ("An hour ago" in earlier, "Long ago" in earlier) == (False, True)
    assert none == "No message waits for a decision there. See `/wa message list` for all."


async def test_a_long_list_shows_the_newest_and_stays_within_what_slack_takes(scene: Scene) -> None:
    for number in range(23):
        await scene.failed("x" * 200, minutes=number)

    answer = await scene.see("ana", "message failed")

    assert answer.error is None
    assert answer.texts[0].startswith("*23 messages did not reach the customer*, of which these are the newest 20\n")
    assert "Retry all 20 shown" in answer.labels
    assert check(answer.blocks) == []


async def test_all_that_are_shown_are_sent_again_by_one_button(scene: Scene, slack: SandboxSlack, rows: Rows) -> None:
    for number in range(3):
        await scene.failed(str(number), minutes=9 - number)
    [shown] = (await scene.see("ana", "message failed")).messages
    await scene.failed("Came later")

    answered = Wait(until=lambda answer: len(answer.messages) == 1)
    first = await slack.click("ana", shown, "Retry all 3 shown", wait=answered)
    second = await slack.click("ana", shown, "Retry all 3 shown", wait=answered)

    assert first.texts == ["3 messages are sent again."]
    assert second.texts == ["0 messages are sent again. 3 messages had been decided before, or may have left."]
    assert await rows(QUEUED_NOW) == [("0",), ("1",), ("2",)]


async def test_one_is_sent_again_by_the_beginning_of_its_id(scene: Scene, ask: Ask, rows: Rows) -> None:
    message = await scene.failed("It leaves today.")

    first = await ask("ana", f"message retry {short(message.id)}")
    second = await ask("ana", f"message retry {message.id}")

    assert first == f"`{short(message.id)}` “It leaves today.”: It is sent again."
    assert second.startswith("Nothing was changed.")
    assert await rows(QUEUED_NOW) == [("It leaves today.",)]


async def test_those_of_a_session_and_time_are_sent_again_in_their_order(scene: Scene, ask: Ask, rows: Rows) -> None:
    for number in range(3):
        await scene.failed(str(number), minutes=9 - number)
    await scene.failed("Long ago", minutes=3000)
    await scene.failed("Hm", status=MessageStatus.QUEUED, parked_at=now_utc(), hold_reason=UNKNOWN)

    told = await ask("ana", "message retry --session sales --since 2h")
    again = await ask("ana", "message retry --since 2h")

    assert told.startswith("3 messages are sent again.\nOf 1 message nobody knows whether they left")
    assert again.startswith("0 messages are sent again.")
    assert await rows(QUEUED_NOW) == [("0",), ("1",), ("2",)]


async def test_a_message_that_waits_is_taken_back(scene: Scene, ask: Ask, rows: Rows) -> None:
    message = await scene.failed("It leaves today.", status=MessageStatus.QUEUED, error_message=None)
    sent = await scene.failed("Gone", status=MessageStatus.SENT)

    told = await ask("ana", f"message cancel {short(message.id)}")
    refused = await ask("ana", f"message cancel {sent.id}")

    assert told.endswith("It is cancelled; the customer does not get it.")
    assert refused == "Nothing was changed. It has been sent."
    assert await rows(QUEUED_NOW) == []


async def test_an_id_that_several_messages_begin_with_is_asked_back(scene: Scene, ask: Ask, rows: Rows) -> None:
    for last in "12":
        await scene.failed("Twin")
        await rows(
            "UPDATE messages SET id = %s WHERE id = (SELECT max(id::text)::uuid FROM messages) RETURNING 1",
            f"01989898-0000-7000-8000-00000000000{last}",
        )

    told = await ask("ana", "message show 01989898-0000")
    one = await ask("ana", "message show 01989898-0000-7000-8000-000000000002")

    assert told.startswith("Several messages begin so: `01989898-0000-7000-8000-000000000001`, `01989898-")
    assert one.startswith("To ")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("message retry", "Name one message by its id, or several by"),
        ("message retry 0198c2a4-7d1e --since 2h", "Name one message by its id, or several by"),
        ("message retry --since yesterday", "`yesterday` is not how long ago: write a number with `m`, `h` or `d`"),
        ("message retry --since 1h --until 2h", "Nothing lies between these"),
        ("message retry --session nope", "nope"),
        ("message retry 0198c2a4-7d1e", "There is no such message in this tenant"),
        ("message cancel", "ID is missing."),
        ("message cancel 12", "A message's id looks like `0198c2a4-7d1e`"),
        ("message failed --since 0x", "such as `--since 2h`"),
    ],
)
async def test_what_cannot_be_meant_is_answered_with_what_could(
    scene: Scene, ask: Ask, line: str, expected: str
) -> None:
    assert expected in await ask("ana", line)


@pytest.mark.parametrize("line", ["message retry {id}", "message retry --since 2h", "message cancel {id}"])
async def test_an_auditor_decides_nothing(scene: Scene, ask: Ask, rows: Rows, line: str) -> None:
    message = await scene.failed("It leaves today.")

    told = await ask("ben", line.format(id=message.id))

    assert "you are AUDITOR" in told
    assert await rows(QUEUED_NOW) == []


async def test_a_deactivated_tenant_sends_nothing_again(scene: Scene, ask: Ask, rows: Rows) -> None:
    message = await scene.failed("It leaves today.")
    await rows("UPDATE tenants SET status = 'inactive' RETURNING 1")

    assert "is deactivated" in await ask("ana", f"message retry {message.id}")
    assert await rows(QUEUED_NOW) == []
