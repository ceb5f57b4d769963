"""A bot as it runs, over a simulated Slack on a socket and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic import SecretStr

from bot.http_mode import HttpMode
from bot.running import WayIn, serving
from database import database, in_database
from sandbox.slack import Answer, SandboxSlack, Wait
from settings import Settings, SlackSettings, WahaServer, WahaSettings
from tests.conftest import MigratedDatabase

DEADLINE_SECONDS = 15
SIGNING_SECRET = "sandbox-signing-secret"

Mode = Literal["socket", "http"]
both_modes = pytest.mark.parametrize("mode", ["socket", "http"])
"""For what has to be the same however Slack reaches the bot."""
SERVER = WahaServer(url="http://127.0.0.1:1", webhook_url="http://127.0.0.1:2")


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack(pace=0.005) as running:
        yield running


@dataclass
class BotSettings:
    """Settings of a bot for this Slack; `operators` are names of people."""

    slack: SandboxSlack
    database: MigratedDatabase

    def __call__(
        self,
        *,
        operators: tuple[str, ...] = ("olga",),
        servers: tuple[str, ...] = ("main",),
        mode: Mode = "socket",
    ) -> Settings:
        return Settings(
            slack=SlackSettings(
                mode=mode,
                bot_token=SecretStr(self.slack.bot_token),
                app_token=SecretStr(self.slack.app_token),
                signing_secret=SecretStr(SIGNING_SECRET),
                port=0,
                api_url=self.slack.api_url,
                operators=tuple(f"{self.slack.team_id}/{self.slack.person(name).id}" for name in operators),
            ),
            database=self.database.settings,
            waha=WahaSettings(servers=dict.fromkeys(servers, SERVER)),
        )


@pytest.fixture
def bot_settings(slack: SandboxSlack, migrated_database: MigratedDatabase) -> BotSettings:
    return BotSettings(slack, migrated_database)


@pytest.fixture
def mode() -> Mode:
    return "socket"


@pytest.fixture
def servers() -> tuple[str, ...]:
    return ("main",)


@pytest.fixture
async def bot(
    bot_settings: BotSettings, slack: SandboxSlack, mode: Mode, servers: tuple[str, ...]
) -> AsyncIterator[WayIn]:
    async with serving(bot_settings(mode=mode, servers=servers)) as way_in:
        await reachable(slack, way_in)
        yield way_in


async def reachable(slack: SandboxSlack, way_in: WayIn) -> None:
    """Slack reaches the bot from now on."""
    if isinstance(way_in, HttpMode):
        slack.deliver_by_http(way_in.address, SIGNING_SECRET)
    else:
        await slack.connected(2)


Ask = Callable[..., Awaitable[str]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]


@pytest.fixture
def ask(slack: SandboxSlack, bot: WayIn) -> Ask:
    """Type a command and read the answer: `await ask("ana", "session list", channel="support")`."""

    async def typed(user: str, text: str, *, channel: str = "general") -> str:
        answer = await slack.command(user, channel, f"/wa {text}", Wait(until=_has_answer))
        assert answer.error is None
        return answer.text

    return typed


async def eventually(condition: Callable[[], object]) -> None:
    """Look until it is true, for what nobody announces."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def becomes(rows: Rows, sql: str, expected: list[tuple[Any, ...]]) -> None:
    """Wait until a query finds this."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (found := await rows(sql)) != expected:
            logging.getLogger(__name__).info("found %s", found)
            await asyncio.sleep(0.02)


def _has_answer(answer: Answer) -> bool:
    return bool(answer.messages) or answer.error is not None


@pytest.fixture
def rows(migrated_database: MigratedDatabase) -> Rows:
    """All rows of a query, read as the owner."""

    async def read(sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        def query() -> list[tuple[Any, ...]]:
            with migrated_database.owner():
                found: list[tuple[Any, ...]] = database.execute_sql(sql, parameters).fetchall()
                return found

        return await in_database(query)

    return read


@pytest.fixture
async def acme(ask: Ask) -> None:
    """Tenant Acme, whose administrator is ana."""
    await ask("olga", "tenant create Acme")
    await ask("olga", "user add @ana TENANT_ADMIN --tenant Acme")
