"""Whatever a command changes is in the audit: every command either only shows something, or leaves an entry."""

from __future__ import annotations

import pytest

from bot.commands import COMMANDS
from database import connection, in_database
from models import Direction, MessageStatus, Tenant
from sandbox.slack import SandboxSlack, Wait, controls
from tests.bot.conftest import Ask, Rows
from tests.conftest import MigratedDatabase
from tests.operations.builders import CUSTOMER, World

pytestmark = [pytest.mark.database_role("switchboard_bot"), pytest.mark.usefixtures("acme")]

SHOWS = {
    "audit",
    "audit installation",
    "channel list",
    "help",
    "message failed",
    "message list",
    "message search",
    "message show",
    "report list",
    "report show",
    "server list",
    "server show",
    "session health",
    "session history",
    "session list",
    "session show",
    "tenant list",
    "tenant retention",
    "tenant show",
    "user list",
    "user show",
    "whoami",
    "workspace list",
    "workspace show",
}
# Of whoever types it alone: which tenant their commands are about.
ONES_OWN = {"tenant use"}
# By the tests of pages, of workspaces and of the doctor, which have what these need.
ELSEWHERE = {"doctor", "login", "logout", "user forget-password", "workspace add", "workspace remove", "workspace bind"}

BEN = "user add @ben AGENT --tenant Acme"
STOPPED = "session stop sales"
# What is typed before, and the command itself; by olga, who is an operator, or by ana, who administers Acme.
LINES = {
    "audit export": ("ana", (), "audit export"),
    "channel link": ("ana", (), "channel link #alerts --for alerts"),
    "channel unlink": ("ana", (), "channel unlink #support"),
    "contact erase": ("ana", (), "contact erase +4915123456789"),
    "contact export": ("ana", (), "contact export +4915123456789"),
    "message cancel": ("ana", (), "message cancel {queued}"),
    "message retry": ("ana", (), "message retry {failed}"),
    "report now": ("ana", (), "report now"),
    "report pause": ("ana", (), "report pause health"),
    "report remove": ("ana", (), "report remove health"),
    "report resume": ("ana", ("report pause health",), "report resume health"),
    "report schedule": ("ana", (), 'report schedule "every monday 08:00"'),
    "send": ("ana", (), "send +4915123456780 Hello"),
    "server drain": ("olga", (), "server drain main"),
    "server undrain": ("olga", ("server drain main",), "server undrain main"),
    "session add": ("ana", (), "session add other"),
    "session adopt": ("olga", (), "session adopt default --tenant Acme"),
    "session logout": ("ana", (), "session logout sales"),
    "session pair": ("ana", (), "session pair sales +4930901820"),
    "session limits": ("ana", (), "session limits sales --quiet 22:00-07:00"),
    "session proxy": ("ana", (), "session proxy sales proxy.example.org:3128"),
    "session qr": ("ana", (), "session qr sales"),
    "session remove": ("ana", (), "session remove sales"),
    "session restart": ("ana", (), "session restart sales"),
    "session start": ("ana", (STOPPED,), "session start sales"),
    "session stop": ("ana", (), STOPPED),
    "tenant activate": ("olga", ("tenant deactivate Acme",), "tenant activate Acme"),
    "tenant create": ("olga", (), "tenant create Globex"),
    "tenant deactivate": ("olga", (), "tenant deactivate Acme"),
    "tenant delete": ("olga", (), "tenant delete Acme"),
    "tenant restore": ("olga", ("tenant delete Acme",), "tenant restore Acme"),
    "tenant settings": ("ana", (), "tenant settings keep_messages_days 30"),
    "tenant update": ("ana", (), "tenant update --description Coffee"),
    "user activate": ("ana", (BEN, "user deactivate @ben"), "user activate @ben"),
    "user add": ("ana", (), BEN),
    "user deactivate": ("ana", (BEN,), "user deactivate @ben"),
    "user invite": ("ana", (), "user invite @ben AGENT"),
    "user remove": ("ana", (BEN,), "user remove @ben"),
    "user role": ("ana", (BEN,), "user role @ben MANAGER"),
    "user update": ("ana", (BEN,), "user update @ben --first-name Benjamin"),
}
ENTRIES = "SELECT actor, source FROM audit_entries ORDER BY created_at, id"


@pytest.fixture
async def names(migrated_database: MigratedDatabase, slack: SandboxSlack, ask: Ask, rows: Rows) -> dict[str, str]:
    """Acme with session `sales`, shown in #support, and a customer whom a message did not reach; ids of messages."""
    world = World(migrated_database)
    await ask("ana", "session add sales")
    await ask("ana", "channel link #support")
    [(tenant_id,)] = await rows("SELECT id FROM tenants")

    def arrange() -> dict[str, str]:
        with connection():
            tenant = Tenant(id=tenant_id)
            session = world.session(tenant, "second")
            conversation = world.conversation(session, CUSTOMER)
            world.message(conversation, direction=Direction.INBOUND, status=MessageStatus.DELIVERED, slack_ts=None)
            made = {"queued": {}, "failed": {"status": MessageStatus.FAILED}}
            found = {name: str(world.message(conversation, **more).id) for name, more in made.items()}
            world.sql("UPDATE waha_sessions SET deleted_at = now() WHERE name = 'second'")
            world.sql("INSERT INTO waha_servers (id, name) VALUES (gen_random_uuid(), 'main')")
            return found

    return await in_database(arrange)


async def carry_out(slack: SandboxSlack, user: str, line: str) -> str:
    """Type it, and say yes where it asks back."""
    until_answered = Wait(until=lambda answer: bool(answer.messages))
    answer = await slack.command(user, "support", f"/wa {line}", until_answered)
    asked = slack.ephemerals(user)[-1]
    labels = [label for label in controls.labels(asked.blocks) if label != "Cancel"]
    if "Cancel" in controls.labels(asked.blocks):
        answer = await slack.click(user, asked, labels[0], wait=until_answered)
    return slack.read(answer.messages[-1])


def test_every_command_is_here() -> None:
    assert {command.name for command in COMMANDS} == SHOWS | ONES_OWN | ELSEWHERE | LINES.keys()


@pytest.mark.parametrize("name", LINES)
async def test_what_changes_something_leaves_an_entry(
    name: str, slack: SandboxSlack, rows: Rows, names: dict[str, str]
) -> None:
    user, before, line = LINES[name]
    for earlier in before:
        await carry_out(slack, user, earlier)
    count = len(await rows(ENTRIES))

    told = await carry_out(slack, user, line.format(**names))

    written = (await rows(ENTRIES))[count:]
    assert written, told
    for actor, source in written:
        assert actor == f"{slack.team_id}/{slack.person(user).id}"
        assert source.endswith(f":{slack.team_id}/{slack.channel('support').id}")
