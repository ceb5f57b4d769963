"""The audit as people read it in Slack, and that whatever changes something leaves an entry."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from database import in_database, tenant_transaction
from models import AuditEntry, Tenant
from operations import audit
from sandbox.slack import SandboxSlack, Wait
from slack.block_limits import check
from tests.bot.conftest import Ask, Rows

pytestmark = [pytest.mark.database_role("switchboard_bot"), pytest.mark.usefixtures("acme")]


async def write_down(rows: Rows, count: int, *, name: str = "Numbered") -> None:
    """So many entries of Acme, numbered in the order in which they were written."""
    [(tenant_id,)] = await rows("SELECT id FROM tenants WHERE name = 'Acme'")

    def write(number: int) -> None:
        with tenant_transaction(tenant_id):
            subject = Tenant(id=tenant_id, name=name)
            audit.record("T1/UX", "report.now", subject, tenant_id=tenant_id, after={"number": f"no{number}."})

    for number in range(count):
        await in_database(write, number)


async def test_an_entry_says_who_did_what_to_whom_and_from_where(slack: SandboxSlack, ask: Ask) -> None:
    await ask("olga", "user add @ben AGENT --tenant Acme", channel="support")
    await ask("olga", "user role @ben MANAGER --tenant Acme", channel="support")

    await ask("ana", "audit --action user.role")

    told = slack.ephemerals("ana")[-1].text
    assert told.startswith("Audit of *Acme*, newest first\n")
    assert f"<@{slack.person('olga').id}> changed the role of *Ben" in told
    assert "`user.role`: role AGENT → MANAGER" in told
    assert f"by a command in <#{slack.channel('support').id}>" in told


async def test_pages_go_on_where_the_last_one_ended(slack: SandboxSlack, ask: Ask, rows: Rows) -> None:
    await write_down(rows, 45)
    until_answered = Wait(until=lambda answer: bool(answer.messages))

    await ask("ana", "audit --action report")
    first = slack.ephemerals("ana")[-1]
    shown = [first.text]
    await write_down(rows, 3, name="Later")
    for label in ("Older", "Older", "Newer", "Newer"):
        answer = await slack.click("ana", slack.ephemerals("ana")[-1], label, wait=until_answered)
        shown.append(slack.read(answer.messages[-1]))

    numbers = [[n for n in range(45) if f"number no{n}." in text] for text in shown]
    assert numbers == [[*range(25, 45)], [*range(5, 25)], [*range(5)], [*range(5, 25)], [*range(25, 45)]]
    assert "Later" not in "".join(shown)
    assert check(first.blocks) == []
    assert len(slack.ephemerals("ana")) == 1


async def test_entries_are_found_by_person_name_and_time(slack: SandboxSlack, ask: Ask, rows: Rows) -> None:
    await write_down(rows, 1, name="Berlin Sales")

    by_olga = await ask("ana", "audit --by @olga")
    on_name = await ask("ana", "audit --on berlin")
    of_ana = await ask("ana", "audit --on @ana")
    long_ago = await ask("ana", "audit --until 2020-01-01")

    assert ("tenant.create" in by_olga, "report.now" in by_olga) == (True, False)
    assert ("Berlin Sales" in on_name, "tenant.create" in on_name) == (True, False)
    assert ("user.add" in of_ana, "tenant.create" in of_ana) == (True, False)
    assert long_ago == "Audit of *Acme*: there are no such entries."


async def test_operators_read_who_deleted_a_tenant(ask: Ask, slack: SandboxSlack) -> None:
    await ask("olga", "tenant delete Acme")
    await slack.click("olga", slack.ephemerals("olga")[-1], "Delete", wait=Wait(until=lambda one: bool(one.messages)))

    told = await ask("olga", "audit installation --on acme")

    assert "@olga deleted the tenant *Acme* `tenant.delete`" in told


async def test_who_is_invited_is_named(ask: Ask, slack: SandboxSlack) -> None:
    await ask("ana", "user invite @ben AGENT")

    told = await ask("ana", "audit --on @ben --action user.invite")

    assert "@ana invited *Ben Okafor* `user.invite`: role AGENT, slack @ben" in told


async def test_nothing_that_was_typed_is_live_in_the_answer(slack: SandboxSlack, ask: Ask, rows: Rows) -> None:
    await write_down(rows, 1, name="<!channel> <https://evil.example|Acme> *bold*\u202e")

    await ask("ana", "audit --action report")

    told = slack.ephemerals("ana")[-1].text
    assert "&lt;!channel&gt; &lt;https://evil.example" in told
    assert "\u202e" not in told


async def test_what_cannot_be_meant_is_said(ask: Ask) -> None:
    assert "There is no day `2026-02-31`" in await ask("ana", "audit --since 2026-02-31")
    assert f", or a day, such as `{datetime.now(UTC):%Y-}" in await ask("ana", "audit --since yesterday")
    assert "Did you mean `user.role`?" in await ask("ana", "audit --action user.rol3")
    assert "they begin with audit, channel, contact" in await ask("ana", "audit export --action nothing")
    assert "`xml` is no format. There are csv, jsonl." in await ask("ana", "audit export --format xml")
    assert "names nobody" in await ask("ana", "audit --by somebody")
    assert "no file was made" in await ask("ana", "audit export --action session.qr")
    assert "must be before" in await ask("ana", "audit --since 1d --until 2d")


async def test_an_agent_reads_no_audit(ask: Ask) -> None:
    await ask("olga", "user add @ben AGENT --tenant Acme")

    assert (await ask("ben", "audit")).startswith("That needs TENANT_ADMIN, AUDITOR or operator")
    assert (await ask("ana", "audit installation")).startswith("`/wa audit installation` is for operators")


async def test_what_belongs_to_no_tenant_is_shown_to_operators_alone(ask: Ask, rows: Rows) -> None:
    await in_database(_write_of_the_installation)

    assert "retention.delete" in await ask("olga", "audit installation")
    assert "retention.delete" not in await ask("ana", "audit")


async def test_an_export_is_promised_as_a_file_and_written_down(slack: SandboxSlack, ask: Ask, rows: Rows) -> None:
    told = await ask("ana", "audit export --format jsonl --action user --since 2026-01-01")

    assert told.startswith("I send you the audit of *Acme* by direct message: 1 entry.")
    [(kind, person, payload)] = await rows(
        "SELECT kind, slack_channel_id, payload FROM slack_posts WHERE payload ? 'contents'"
    )
    assert (kind, person) == ("direct", slack.person("ana").id)
    assert payload["contents"]["filters"]["action"] == "user"
    assert payload["filename"].endswith(".jsonl")
    assert await rows("SELECT after FROM audit_entries WHERE action = 'audit.export'") == [
        ({"format": "jsonl", "entries": 1, "action": "user", "since": "2026-01-01"},)
    ]


def _write_of_the_installation() -> None:
    with tenant_transaction(uuid4()):
        audit.record("system: keys", "retention.delete", AuditEntry, tenant_id=None)
