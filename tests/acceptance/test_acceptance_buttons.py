"""What people do about a message that did not simply leave, through the real processes and down to the phone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sandbox.slack import Answer, Message, Wait
from sandbox.stage import Stage
from sandbox.whatsapp import Phone
from tests.acceptance.acting import Query, Scene, Team

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOLD = Wait(seconds=30, until=lambda answer: bool(answer.messages))
OPENED = Wait(seconds=30, until=lambda answer: answer.view is not None)
STATE = "SELECT state FROM waha_servers"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, database_url: str, rows: Query) -> AsyncIterator[Scene]:
    async with Stage(tmp_path_factory.mktemp("buttons"), database_url=database_url) as stage:
        await stage.start()
        yield Scene(stage, rows)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def acme(scene: Scene) -> Team:
    return await scene.found("Acme", "ana", "support", "+4930901820")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def root(scene: Scene, acme: Team) -> Message:
    return await scene.written(acme, customer_of(scene), "Where is my order?")


def customer_of(scene: Scene) -> Phone:
    return scene.stage.whatsapp.phone("+4915123456789", name="Carla")


def texts_on_phone(scene: Scene, acme: Team) -> list[str]:
    return [one.text for one in customer_of(scene).chat_with(acme.phone) if one.direction == "in"]


async def refused(scene: Scene, acme: Team, root: Message, text: str) -> Message:
    """A reply that WAHA refuses for good; the post that says so and offers what can be done."""
    scene.stage.waha.faults.fail("/api/sendText", status=400, body={"message": "No such chat."}, times=1)
    scene.reply(acme, root, text)
    return await scene.stage.until(lambda: offered(scene, root, text), f"that {text!r} failed")


def offered(scene: Scene, root: Message, text: str) -> Message | None:
    thread = scene.stage.slack.thread("support", root.ts)
    return next((one for one in thread if one.by_bot and text in one.text and one.blocks), None)


async def until_written_over(scene: Scene, post: Message, words: str) -> None:
    await scene.stage.until(lambda: words in post.text, f"{words!r} on the post")
    assert not [block for block in post.blocks if block["type"] == "actions"]


async def click(scene: Scene, user: str, post: Message, label: str, wait: Wait = TOLD) -> Answer:
    return await scene.stage.slack.click(user, post, label, wait=wait)


async def test_a_message_that_failed_is_sent_again_by_a_click(scene: Scene, acme: Team, root: Message) -> None:
    post = await refused(scene, acme, root, "It leaves today.")

    refusal = await click(scene, "ben", post, "Retry")
    told = await click(scene, "ana", post, "Retry")

    assert "no role" in refusal.texts[-1]
    assert told.texts[-1] == "It is sent again."
    assert all(one.visible_to for one in (refusal.messages[-1], told.messages[-1]))
    await scene.arrives_once(acme, customer_of(scene), "It leaves today.")
    await until_written_over(scene, post, "chose *Retry*.")


async def test_a_message_that_failed_is_sent_in_another_wording(scene: Scene, acme: Team, root: Message) -> None:
    post = await refused(scene, acme, root, "It leaves tody.")

    await click(scene, "ana", post, "Edit", OPENED)
    empty = await scene.stage.slack.submit("ana", {"Text": " "})
    await scene.stage.slack.submit("ana", {"Text": "It left."}, wait=Wait(seconds=0))

    assert list(empty.errors) == ["Text"]
    await scene.arrives_once(acme, customer_of(scene), "It left.")
    await until_written_over(scene, post, "chose *Edit*.")
    assert "It leaves tody." not in texts_on_phone(scene, acme)


async def test_a_click_during_which_the_bot_dies_is_carried_out_once(scene: Scene, acme: Team, root: Message) -> None:
    post = await refused(scene, acme, root, "After the crash.")

    clicked = await click(scene, "ana", post, "Retry", Wait(seconds=0))
    await scene.stage.bot.kill()
    await scene.stage.bot.start()

    assert clicked.error is None
    await scene.arrives_once(acme, customer_of(scene), "After the crash.")
    await until_written_over(scene, post, "chose *Retry*.")
    await scene.until_rows("SELECT count(*) FROM slack_events WHERE kind <> 'event' AND answered_at IS NULL", [(0,)])


async def test_what_did_not_arrive_is_listed_and_sent_again_together(scene: Scene, acme: Team, root: Message) -> None:
    for text in ("First of two.", "Second of two."):
        await refused(scene, acme, root, text)

    listed = await scene.ask("ana", "message failed --since 1h", expect="Second of two.")
    told = await click(scene, "ana", listed.messages[0], "Retry all 2 shown")

    assert told.texts[-1] == "2 messages are sent again."
    await scene.arrives_once(acme, customer_of(scene), "Second of two.")
    arrived = [text for text in texts_on_phone(scene, acme) if text.endswith("of two.")]
    assert arrived == ["First of two.", "Second of two."]


async def test_a_reply_that_waits_is_changed_and_taken_back_in_slack(scene: Scene, acme: Team, root: Message) -> None:
    slack, waha = scene.stage.slack, scene.stage.waha
    await waha.go_down()
    await scene.until_rows(STATE, [("down",)])
    edited, deleted, internal = (scene.reply(acme, root, text) for text in ("One", "Two", "Three"))
    await scene.until_rows("SELECT count(*) FROM messages WHERE body IN ('One', 'Two', 'Three')", [(3,)])

    slack.edit("ana", edited, "One, corrected")
    slack.delete("ana", deleted)
    slack.edit("ana", internal, "// Three")
    waiting = "SELECT body FROM messages WHERE status = 'queued' AND direction = 'outbound'"
    await scene.until_rows(waiting, [("One, corrected",)])
    await waha.come_back()

    await scene.arrives_once(acme, customer_of(scene), "One, corrected", seconds=60)
    assert not {"One", "Two", "Three", "// Three"} & set(texts_on_phone(scene, acme))


async def test_a_reply_that_was_sent_is_not_changed_and_its_writer_is_told_once(
    scene: Scene, acme: Team, root: Message
) -> None:
    slack = scene.stage.slack
    reply = scene.reply(acme, root, "It costs 10.")
    await scene.arrives_once(acme, customer_of(scene), "It costs 10.")
    await scene.until_rows("SELECT count(*) FROM messages WHERE body = 'It costs 10.' AND sent_at IS NOT NULL", [(1,)])

    slack.edit("ana", reply, "It costs 12.")
    slack.edit("ana", reply, "It costs 13.")

    def told() -> list[Message]:
        return [one for one in slack.ephemerals("ana") if "The customer has the text from before" in one.text]

    await scene.stage.until(told, "that the customer has the old text")
    await scene.until_idle()
    assert len(told()) == 1
    assert [text for text in texts_on_phone(scene, acme) if text.startswith("It costs")] == ["It costs 10."]
