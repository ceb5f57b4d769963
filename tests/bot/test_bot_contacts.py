"""`contact export` and `contact erase`: what is said before, done after, and by whom alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from database import connection, in_database
from models import Conversation, Direction, MessageStatus, Tenant
from operations.standing import Person
from sandbox.slack import SandboxSlack, Wait
from slack.block_limits import check
from tests.bot.conftest import Ask, Rows
from tests.conftest import MigratedDatabase
from tests.operations.builders import CUSTOMER, World

pytestmark = [pytest.mark.database_role("switchboard_bot"), pytest.mark.usefixtures("acme")]

NUMBER = "+4915123456789"
UNTIL_ANSWERED = Wait(until=lambda answer: bool(answer.messages))
MESSAGES = "SELECT t.name, m.body FROM messages m JOIN tenants t ON t.id = m.tenant_id ORDER BY t.name, m.seq"


async def outside(work: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    def inside() -> Any:
        with connection():
            return work(*arguments, **more)

    return await in_database(inside)


@pytest.fixture
async def customer(migrated_database: MigratedDatabase, rows: Rows) -> Conversation:
    """A customer of Acme, and of Globex under the same number: both wrote and are waiting for an answer."""
    world = World(migrated_database)
    [(tenant_id,)] = await rows("SELECT id FROM tenants")
    globex = await outside(world.tenant, "Globex")
    made: list[Conversation] = []
    for tenant, name in ((Tenant(id=tenant_id), "sales"), (globex, "globex")):
        conversation = await outside(world.conversation, await outside(world.session, tenant, name), CUSTOMER)
        await outside(
            world.message, conversation, "I am ill.", direction=Direction.INBOUND, status=MessageStatus.DELIVERED
        )
        made.append(conversation)
    await outside(world.message, made[0], "Get well")
    return made[0]


async def test_before_anything_is_erased_it_is_said_what_goes_and_what_remains(
    slack: SandboxSlack, ask: Ask, rows: Rows, customer: Conversation
) -> None:
    await ask("ana", f"contact erase {NUMBER}")

    asked = slack.ephemerals("ana")[-1]
    for words in (
        "cannot be undone",
        "in *Acme* alone",
        "1 conversation, 2 messages",
        "1 message* that wait",
        "1 Slack thread",
        "replies of your team",
        "on the customer's phone",
    ):
        assert words in asked.text
    assert check(asked.blocks) == []
    assert len(await rows(MESSAGES)) == 3


async def test_after_a_yes_it_is_gone_once(slack: SandboxSlack, ask: Ask, rows: Rows, customer: Conversation) -> None:
    await ask("ana", f"contact erase {NUMBER}")
    answer = await slack.click("ana", slack.ephemerals("ana")[-1], "Erase", wait=UNTIL_ANSWERED)

    assert slack.read(answer.messages[-1]).startswith("Erased: 0 contacts, 1 conversation, 2 messages.")
    assert await rows(MESSAGES) == [("Globex", "I am ill.")]
    assert await rows("SELECT payload->>'ts' FROM slack_posts WHERE kind = 'delete'") == [(customer.slack_thread_ts,)]
    [(actor, source, after)] = await rows(
        "SELECT actor, source, after FROM audit_entries WHERE action = 'contact.erase'"
    )
    assert (actor, source.split(":")[0]) == (Person(slack.team_id, slack.person("ana").id).key, "button")
    assert after == {"contacts": 0, "conversations": 1, "messages": 2, "unsent": 1, "threads": 1}
    assert "Nothing is kept here about" in await ask("ana", f"contact erase {NUMBER}")


async def test_an_export_is_promised_without_a_number_in_the_row(
    slack: SandboxSlack, ask: Ask, rows: Rows, customer: Conversation
) -> None:
    told = await ask("ana", f"contact export {NUMBER}")

    assert "by direct message: 0 contacts, 1 conversation, 2 messages." in told
    [(person, payload)] = await rows("SELECT slack_channel_id, payload::text FROM slack_posts WHERE kind = 'direct'")
    assert person == slack.person("ana").id
    assert "4915123456789" not in payload
    assert await rows("SELECT after FROM audit_entries WHERE action = 'contact.export'") == [({"messages": 2},)]


@pytest.mark.parametrize("verb", ["export", "erase"])
async def test_only_an_administrator_may(verb: str, ask: Ask, rows: Rows, customer: Conversation) -> None:
    await ask("olga", "user add @ben MANAGER --tenant Acme")

    assert (await ask("ben", f"contact {verb} {NUMBER}")).startswith("That needs TENANT_ADMIN in *Acme*")
    assert "That needs TENANT_ADMIN" in await ask("olga", f"contact {verb} {NUMBER} --tenant Acme")
    assert len(await rows(MESSAGES)) == 3


async def test_a_dry_run_of_the_retention_says_what_would_go(ask: Ask, rows: Rows, customer: Conversation) -> None:
    assert "*Acme* keeps everything" in await ask("ana", "tenant retention")
    await rows("UPDATE tenants SET settings = '{\"keep_messages_days\": 30}' WHERE name = 'Acme' RETURNING id")
    await rows("UPDATE messages SET created_at = now() - interval '31 days' RETURNING id")

    told = await ask("ana", "tenant retention")

    assert "• Messages: 1 older than 30 days, with their texts, the oldest of" in told
    assert "1 more are not settled yet and stay" in told
    assert "• Audit: none, it is kept" in told
    assert len(await rows(MESSAGES)) == 3
