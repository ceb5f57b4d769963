"""Somebody is invited, works, is kept out by Slack and let in again, through the real processes down to the phone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sandbox.slack import Message, Wait
from sandbox.stage import Stage
from tests.acceptance.acting import Query, Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOLD = Wait(seconds=30, until=lambda answer: bool(answer.messages))
GUEST = "Not sent to the customer: You are a guest in this Slack workspace, and guests are not let in."
STRANGER = "Not sent to the customer: You belong to another company's Slack workspace, and are not let in here."


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, database_url: str, rows: Query) -> AsyncIterator[Scene]:
    async with Stage(tmp_path_factory.mktemp("people"), database_url=database_url) as stage:
        await stage.start()
        yield Scene(stage, rows)


async def invited(scene: Scene, user: str) -> Message:
    """The direct message with the buttons of an invitation."""

    def found() -> Message | None:
        return next((one for one in scene.stage.slack.direct_messages(user) if "invites you" in one.text), None)

    return await scene.stage.until(found, "the invitation")


async def refused(scene: Scene, user: str, sentence: str) -> None:
    def found() -> bool:
        return any(one.text.startswith(sentence) for one in scene.stage.slack.ephemerals(user))

    await scene.stage.until(found, f"that {user} is refused")


async def test_who_was_invited_writes_to_customers_until_slack_keeps_them_out(scene: Scene) -> None:
    slack, acme = scene.stage.slack, await scene.found("Acme", "ana", "support", "+4930901820")
    customer = scene.stage.whatsapp.phone("+4915123456789", name="Carla")
    root = await scene.written(acme, customer, "Where is my order?")
    slack.channel("support").members.append(slack.person("eve").id)

    def on_the_phone() -> list[str]:
        return [one.text for one in customer.chat_with(acme.phone) if one.direction == "in"]

    def say(user: str, text: str) -> None:
        slack.say(user, "support", text, root.ts)

    await scene.ask("ana", "user invite @ben AGENT", expect="is invited")
    offered = await invited(scene, "ben")
    said = await slack.click("ben", offered, "Accept", wait=TOLD)
    assert "You are AGENT in *Acme* now." in said.text
    assert "Accept" not in slack.read(offered)
    await scene.stage.until(
        lambda: any("accepted your invitation" in one.text for one in slack.direct_messages("ana")), "that ana is told"
    )

    say("ben", "It leaves today.")
    await scene.stage.until(lambda: on_the_phone() == ["It leaves today."], "ben's reply on the phone")

    slack.change_person("ben", guest=True)
    await scene.until_rows("SELECT outside FROM slack_people WHERE outside IS NOT NULL", [("guest",)])
    say("ben", "It left yesterday.")
    say("eve", "Give me the number.")
    await refused(scene, "ben", GUEST)
    await refused(scene, "eve", STRANGER)

    slack.change_person("ben", guest=False)
    await scene.until_rows("SELECT count(*) FROM slack_people WHERE outside IS NOT NULL", [(0,)])
    say("ben", "It arrives tomorrow.")
    await scene.stage.until(lambda: len(on_the_phone()) > 1, "ben's next reply on the phone")
    assert on_the_phone() == ["It leaves today.", "It arrives tomorrow."]
