"""The bot says when it did not listen, so that the daemon reads what people wrote meanwhile."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from bot.running import serving
from bot.sockets import Sockets
from sandbox.slack import SandboxSlack
from tests.bot.conftest import BotSettings, Rows, becomes

pytestmark = pytest.mark.database_role("switchboard_bot")

ASKED = "SELECT place, requested_for FROM catch_ups"


@pytest.fixture
async def channel(slack: SandboxSlack, rows: Rows) -> str:
    """A channel of conversations, by the name that a catch-up has for it."""
    tenant, support = str(uuid4()), slack.channel("support").id
    await rows("INSERT INTO tenants (id, name) VALUES (%s, 'Acme') RETURNING 1", tenant)
    await rows(
        "INSERT INTO channel_routes (id, tenant_id, slack_team_id, slack_channel_id, purpose) "
        "VALUES (%s, %s, %s, %s, 'conversations') RETURNING 1",
        *(str(uuid4()), tenant, slack.team_id, support),
    )
    return f"{slack.team_id}/{support}"


async def test_a_bot_that_starts_did_not_listen_before(
    bot_settings: BotSettings, channel: str, rows: Rows, slack: SandboxSlack
) -> None:
    async with serving(bot_settings()):
        await slack.connected(2)

        await becomes(rows, ASKED, [(channel, "switchboard")])


# A sequence counts what is taken back too.
GOES_DOWN_FOR_A_WHILE = """
    CREATE SEQUENCE failures;
    GRANT USAGE ON SEQUENCE failures TO PUBLIC;
    CREATE FUNCTION go_down() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF nextval('failures') = 1 THEN
            RAISE EXCEPTION 'the database system is shutting down' USING ERRCODE = '57P03';
        END IF;
        RETURN NEW;
    END
    $$;
    CREATE TRIGGER goes_down BEFORE INSERT ON catch_ups FOR EACH ROW EXECUTE FUNCTION go_down();
    SELECT 1
"""


async def test_a_gap_is_told_also_when_postgresql_is_away_at_that_moment(
    bot_settings: BotSettings, channel: str, rows: Rows, slack: SandboxSlack
) -> None:
    await rows(GOES_DOWN_FOR_A_WHILE)

    async with serving(bot_settings()):
        await slack.connected(2)

        await becomes(rows, ASKED, [(channel, "switchboard")])


async def test_a_bot_without_a_socket_for_a_while_says_so_when_one_is_back(
    slack: SandboxSlack, bot: Sockets, channel: str, rows: Rows
) -> None:
    watching = asyncio.create_task(bot.watch(replace_after=0.2, gap_after=0.5))
    await slack.go_down()
    await asyncio.wait({watching}, timeout=1)

    await slack.come_back()

    await becomes(rows, ASKED, [(channel, "switchboard")])
    watching.cancel()
