"""The real processes where Slack posts to the bot: a customer's way in, a reply's way out, and a death between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.stage import Stage
from tests.acceptance.acting import Query, Scene


@pytest.fixture
async def scene(tmp_path: Path, database_url: str, rows: Query) -> AsyncIterator[Scene]:
    async with Stage(tmp_path, database_url=database_url, slack_mode="http") as stage:
        await stage.start()
        yield Scene(stage, rows)


async def test_a_conversation_goes_both_ways_and_survives_the_bot(scene: Scene) -> None:
    slack = scene.stage.slack
    carla = scene.stage.whatsapp.phone("+4915123456789", name="Carla")
    acme = await scene.found("Acme", "ana", "support", "+4930901820")
    root = await scene.written(acme, carla, "Where is my order?")
    scene.reply(acme, root, "It leaves today.")
    await scene.arrives_once(acme, carla, "It leaves today.")

    await scene.stage.bot.kill()
    scene.reply(acme, root, "It left.")
    await scene.stage.bot.start()
    await scene.arrives_once(acme, carla, "It left.", 60)

    assert slack.state.socket_mode.connections == []
    assert "It leaves today." not in scene.stage.bot.last_words()
