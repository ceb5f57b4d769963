"""What goes from Slack when a customer is erased, and what arrives there of what was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from daemon.scheduler import delete_by_age
from database import in_database, tenant_transaction
from models import (
    Conversation,
    ConversationChat,
    Direction,
    Message,
    MessageStatus,
    SlackIdentity,
    User,
    UserRole,
)
from operations import audit, audit_export, customer_export, customers, erasing, made_files, posting
from operations.audit_export import Format
from operations.audit_pages import Filters
from operations.standing import Person
from sandbox.slack import SandboxSlack
from slack.client import SlackClient
from slack.pacing import Pacing
from tests.daemon.conftest import Rows, becomes
from tests.daemon.relays import a_conversation, a_relay_with

CUSTOMER = "4915123456789@c.us"
OPEN = "SELECT count(*) FROM slack_posts WHERE posted_at IS NULL AND parked_at IS NULL"


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack() as running:
        yield running


@pytest.fixture
async def conversation(slack: SandboxSlack, rows: Rows) -> Conversation:
    """A customer's words in a thread of #support, told to the relay and not posted yet."""
    made: Conversation = await in_database(a_conversation, slack)

    def write() -> None:
        with tenant_transaction(made.tenant_id):
            ConversationChat.create(
                tenant_id=made.tenant_id, session_id=made.session_id, conversation_id=made.id, chat_id=CUSTOMER
            )
            message = Message.create(
                tenant_id=made.tenant_id,
                session_id=made.session_id,
                conversation_id=made.id,
                seq=1,
                direction=Direction.INBOUND,
                status=MessageStatus.DELIVERED,
                body="I am ill.",
            )
            posting.queue_in_thread(made, "Carla", is_root=True)
            posting.queue_in_thread(made, "I am ill.", message_id=message.id)

    await in_database(write)
    return made


async def erase(slack: SandboxSlack, tenant_id: UUID) -> None:
    def inside() -> None:
        asker = Person(slack.team_id, slack.person("ana").id)
        with tenant_transaction(tenant_id):
            known = customers.find(tenant_id, CUSTOMER)
            erasing.erase(tenant_id, known, asker=asker, actor=asker.key, new_id=uuid4())

    await in_database(inside)


def said_in(slack: SandboxSlack) -> list[str]:
    return [message.text for message in slack.messages("support")]


async def test_all_that_we_said_goes_and_what_people_wrote_is_counted(
    slack: SandboxSlack, rows: Rows, conversation: Conversation
) -> None:
    async with a_relay_with(slack, Pacing(switched_on=False)):
        await becomes(rows, OPEN, [(0,)])
        root = slack.messages("support")[0]
        slack.say("ana", "support", "// Poor Carla", root.ts)
        async with SlackClient(slack.bot_token, slack.api_url) as client:
            # Of long ago: no row of ours knows it any more.
            await client.post(root.channel, "She has been here before.", thread_ts=root.ts)

        await erase(slack, conversation.tenant_id)
        await becomes(rows, OPEN, [(0,)])

    assert said_in(slack) == ["// Poor Carla"]
    [told] = slack.direct_messages("ana")
    assert told.text.startswith(
        "About the customer whom you erased: 1 reply of your team remains in <https://slack.com/"
    )


async def test_a_slack_that_fails_in_the_middle_is_asked_again(
    slack: SandboxSlack, rows: Rows, conversation: Conversation
) -> None:
    async with a_relay_with(slack, Pacing(switched_on=False)):
        await becomes(rows, OPEN, [(0,)])
        slack.fail("conversations.replies", status=500)
        slack.fail("chat.delete", drop=True)

        await erase(slack, conversation.tenant_id)
        await becomes(rows, OPEN, [(0,)])

    assert said_in(slack) == []
    assert slack.direct_messages("ana") == []


async def test_deletions_in_a_channel_without_the_bot_wait_and_somebody_is_told(
    slack: SandboxSlack, rows: Rows, conversation: Conversation
) -> None:
    async with a_relay_with(slack, Pacing(switched_on=False)):
        await becomes(rows, OPEN, [(0,)])
        slack.remove_app("support")
        await erase(slack, conversation.tenant_id)
        waits = "SELECT attempts > 0, parked_at IS NULL FROM slack_posts WHERE kind = 'delete'"
        await becomes(rows, waits, [(True, True)])
        await slack.until(lambda: bool(slack.direct_messages("olga")), 5)

        slack.invite_app("ana", "support")
        await rows("UPDATE slack_posts SET next_attempt_at = now()")
        await becomes(rows, OPEN, [(0,)])

    assert said_in(slack) == []
    [told] = slack.direct_messages("olga")
    assert "I can take nothing away" in told.text


async def test_a_parked_deletion_is_taken_up_again_as_the_runbook_says(
    slack: SandboxSlack, rows: Rows, conversation: Conversation
) -> None:
    runbook = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()
    [statement] = [sql for sql in re.findall(r"```sql\n(.*?)```", runbook, re.DOTALL) if "kind = 'delete'" in sql]
    async with a_relay_with(slack, Pacing(switched_on=False)):
        await becomes(rows, OPEN, [(0,)])
        slack.fail("conversations.replies", error="nobody_knows")
        await erase(slack, conversation.tenant_id)
        await becomes(rows, "SELECT parked_at IS NOT NULL FROM slack_posts WHERE kind = 'delete'", [(True,)])

        await rows(statement)

        await becomes(rows, "SELECT bool_and(posted_at IS NOT NULL) FROM slack_posts WHERE kind = 'delete'", [(True,)])

    assert said_in(slack) == []


async def ask_for_file(
    slack: SandboxSlack, tenant_id: UUID, kind: str, role: UserRole | None = UserRole.TENANT_ADMIN, *, by: str = "ana"
) -> None:
    """Somebody, in that role, asks for the file."""

    def ask() -> None:
        asker = Person(slack.team_id, slack.person(by).id)
        with tenant_transaction(tenant_id):
            if role is not None:
                user = User.create(tenant_id=tenant_id, email="ana@example.org", role=role)
                SlackIdentity.create(
                    tenant_id=tenant_id, user_id=user.id, slack_team_id=asker.team_id, slack_user_id=asker.user_id
                )
            audit.record("T1/U1", "contact.asked", Conversation, tenant_id=tenant_id)
            known = customers.find(tenant_id, CUSTOMER)
            promise = customer_export.promised(known)
            if kind == "audit":
                promise = audit_export.promised(Filters(tenant_id), Format.JSONL)
            file = {"filename": "asked-for.json", "alt_text": "What was asked for"}
            made_files.send(asker, "Here it is.", promise, tenant_id=tenant_id, post_id=uuid4(), **file)

    await in_database(ask)


@pytest.mark.parametrize("kind", ["customer", "audit"])
async def test_a_promised_file_is_made_when_it_is_sent(
    kind: str, slack: SandboxSlack, rows: Rows, conversation: Conversation
) -> None:
    await ask_for_file(slack, conversation.tenant_id, kind)

    async with a_relay_with(slack, Pacing(switched_on=False)):
        await becomes(rows, OPEN, [(0,)])

    [message] = slack.direct_messages("ana")
    [file] = message.files
    assert message.text == "Here it is."
    if kind == "customer":
        assert json.loads(file.content or b"")["conversations"][0]["messages"][0]["body"] == "I am ill."
    else:
        assert json.loads(file.content or b"")["action"] == "contact.asked"


LOST = {
    "removed": "UPDATE slack_identities SET deleted_at = now()",
    "deactivated": "UPDATE users SET is_active = false",
    "an agent": "UPDATE users SET role = 'AGENT'",
    "a guest": "INSERT INTO slack_people (id, slack_team_id, slack_user_id, outside) "
    "SELECT gen_random_uuid(), slack_team_id, slack_user_id, 'guest' FROM slack_identities",
}


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("kind", ["customer", "audit"])
async def test_a_promised_file_goes_to_nobody_who_may_not_ask_for_it_any_more(
    kind: str, lost: str, slack: SandboxSlack, rows: Rows, conversation: Conversation
) -> None:
    await ask_for_file(slack, conversation.tenant_id, kind)
    await rows(LOST[lost])

    async with a_relay_with(slack, Pacing(switched_on=False)):
        await becomes(rows, OPEN, [(0,)])

    assert slack.direct_messages("ana") == []
    assert "files.getUploadURLExternal" not in [call.method for call in slack.journal]
    assert await rows("SELECT error FROM slack_posts WHERE parked_at IS NOT NULL") == [
        ("Whoever asked for the file may not have it any more.",)
    ]
    [(actor, source, after)] = await rows(
        "SELECT actor, source, after FROM audit_entries WHERE action = 'file.withhold'"
    )
    asker = f"{slack.team_id}/{slack.person('ana').id}"
    assert (actor, source) == ("system: relay", "job:relay")
    assert after == {"file": "contact" if kind == "customer" else "audit", "asked_by": asker}


@pytest.mark.parametrize(("kind", "files"), [("audit", 1), ("customer", 0)])
async def test_an_operator_without_a_role_gets_what_operators_may_ask_for(
    kind: str, files: int, slack: SandboxSlack, rows: Rows, conversation: Conversation
) -> None:
    await ask_for_file(slack, conversation.tenant_id, kind, None, by="olga")

    async with a_relay_with(slack, Pacing(switched_on=False)):
        await becomes(rows, OPEN, [(0,)])

    assert len(slack.direct_messages("olga")) == files


async def test_the_daily_run_deletes_by_age_and_says_from_where(
    slack: SandboxSlack, rows: Rows, conversation: Conversation
) -> None:
    await rows("UPDATE tenants SET settings = '{\"keep_messages_days\": 30}'")
    await rows("UPDATE messages SET created_at = now() - interval '31 days'")
    await rows("UPDATE slack_posts SET posted_at = now()")

    await delete_by_age()
    await delete_by_age()

    assert await rows("SELECT count(*) FROM messages") == [(0,)]
    assert await rows("SELECT actor, action, source, subject_name FROM audit_entries") == [
        ("system: retention", "retention.delete", "job:retention", "Acme")
    ]
