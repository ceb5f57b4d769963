"""The bot's own page of metrics: beside Slack's requests in http mode, else on a port that the settings give it."""

from __future__ import annotations

import socket

import aiohttp
import pytest

from bot.http_mode import HttpMode
from bot.running import serving
from sandbox.slack import SandboxSlack
from tests.bot.conftest import BotSettings, Rows, becomes, reachable

pytestmark = pytest.mark.database_role("switchboard_bot")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def page_at(address: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(address) as response:
        assert response.status == 200
        return await response.text()


async def test_in_socket_mode_it_has_a_port_of_its_own(slack: SandboxSlack, bot_settings: BotSettings) -> None:
    settings, port = bot_settings(), free_port()
    settings = settings.model_copy(update={"slack": settings.slack.model_copy(update={"metrics_port": port})})

    async with serving(settings) as way_in:
        await reachable(slack, way_in)
        page = await page_at(f"http://127.0.0.1:{port}/metrics")

    assert "switchboard_slack_sockets 2.0" in page
    assert 'switchboard_slack_calls_total{method="auth.test",outcome="ok"} 1.0' in page
    assert "switchboard_pool_size_max 20.0" in page
    with pytest.raises(aiohttp.ClientConnectorError):
        await page_at(f"http://127.0.0.1:{port}/metrics")


async def test_in_http_mode_it_is_beside_what_slack_posts_to(bot_settings: BotSettings) -> None:
    async with serving(bot_settings(mode="http")) as way_in:
        assert isinstance(way_in, HttpMode)
        page = await page_at(way_in.address.replace("/slack/events", "/metrics"))

    assert 'switchboard_build_info{process="bot"' in page
    assert "switchboard_slack_sockets 2" not in page


RUNNING = "SELECT kind FROM processes WHERE seen_at > now() - interval '1 minute'"


async def test_it_says_that_it_runs_until_it_ends(slack: SandboxSlack, bot_settings: BotSettings, rows: Rows) -> None:
    async with serving(bot_settings()) as way_in:
        await reachable(slack, way_in)
        await becomes(rows, RUNNING, [("bot",)])

    assert await rows(RUNNING) == []
