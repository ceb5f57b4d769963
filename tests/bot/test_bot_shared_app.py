"""Two added workspaces that have one app, whose sockets bring what happens in both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from pydantic import SecretStr
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot.workspaces import Workspaces
from database import in_database, transaction
from models import uuid7
from operations import workspaces
from operations.workspaces import Place, Tokens
from sandbox.slack import SandboxSlack
from slack.client import SlackClient
from tests.bot.conftest import BotSettings, eventually

pytestmark = pytest.mark.database_role("switchboard_bot")

ALPHA, BETA = "T0ALPHA", "T0BETA"
BOTH = "xoxb-of-both"
OWN = Place("T0OWN", "Own", "U0OWN", "B0OWN")


@dataclass
class Shared:
    """What the bot listens to, where `slack` is the app of both workspaces and not that of the settings."""

    slack: SandboxSlack
    served: Workspaces
    app: AsyncApp

    async def add(self, team_id: str, token: str = BOTH) -> None:
        await in_database(_connect, team_id, Tokens(token, self.slack.app_token))
        await self.served.refresh(self.app)

    async def remove(self, team_id: str) -> None:
        await in_database(_disconnect, team_id)
        await self.served.refresh(self.app)

    async def listens(self) -> None:
        """Wait until somebody comes back after all sockets are gone."""
        self.slack.cut_connections()
        await self.slack.connected(2)


def _connect(team_id: str, tokens: Tokens) -> None:
    with transaction():
        place = Place(team_id, team_id, "U0BOT", "B0BOT")
        workspaces.connect(place, tokens, workspace_id=uuid7(), actor="T/U")


def _disconnect(team_id: str) -> None:
    with transaction():
        workspaces.disconnect(team_id, actor="T/U")


@pytest.fixture
async def shared(slack: SandboxSlack, bot_settings: BotSettings) -> AsyncIterator[Shared]:
    table = bot_settings().slack.model_copy(update={"app_token": SecretStr("xapp-of-own")})
    async with SlackClient("xoxb-of-own", slack.api_url) as client:
        served = Workspaces(OWN, client, table, teams=(OWN.team_id,), ask_for_missed=lambda _team_id: None)

        async def authorize(team_id: str | None) -> AuthorizeResult:
            return served.authorization_of(team_id)

        web = AsyncWebClient(base_url=slack.api_url)
        web.proxy = None
        yield Shared(slack, served, AsyncApp(client=web, authorize=authorize, request_verification_enabled=False))
        await served.close()


async def test_an_app_of_two_workspaces_is_listened_to_once(shared: Shared) -> None:
    await shared.add(ALPHA)
    await shared.add(BETA)

    await shared.listens()

    assert len(shared.slack.state.socket_mode.connections) == 2


async def test_the_app_is_listened_to_until_the_last_of_its_workspaces_is_removed(shared: Shared) -> None:
    await shared.add(ALPHA)
    await shared.add(BETA)
    await shared.slack.connected(2)

    await shared.remove(ALPHA)
    await shared.listens()
    await shared.remove(BETA)

    await eventually(lambda: not shared.slack.state.socket_mode.connections)


async def test_the_app_is_listened_to_when_one_of_its_workspaces_gets_another_bot_token(shared: Shared) -> None:
    await shared.add(ALPHA)
    await shared.add(BETA)
    await shared.slack.connected(2)

    await shared.add(ALPHA, "xoxb-another")

    await shared.listens()
