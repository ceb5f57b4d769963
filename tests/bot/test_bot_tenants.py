"""An operator's life with tenants, and what a tenant's people are told of it."""

from __future__ import annotations

import pytest

from sandbox.slack import SandboxSlack, Wait
from tests.bot.conftest import Ask, Rows

pytestmark = [pytest.mark.database_role("switchboard_bot"), pytest.mark.usefixtures("acme")]


async def confirm(slack: SandboxSlack, user: str, label: str) -> str:
    """Answer the last question that somebody was asked."""
    asked = slack.ephemerals(user)[-1]
    answer = await slack.click(user, asked, label, wait=Wait(until=lambda answer: bool(answer.messages)))
    return slack.read(answer.messages[-1])


@pytest.fixture
async def inactive(acme: None, ask: Ask, slack: SandboxSlack) -> None:
    """Acme, deactivated."""
    await ask("olga", "tenant deactivate acme")
    await confirm(slack, "olga", "Deactivate")


async def test_deactivating_is_asked_back_with_what_stops_and_what_is_kept(
    ask: Ask, slack: SandboxSlack, rows: Rows
) -> None:
    asked = await ask("olga", "tenant deactivate acme")
    before = await rows("SELECT status FROM tenants")
    told = await confirm(slack, "olga", "Deactivate")

    assert asked.startswith("Deactivate *Acme*? From then on nothing is sent to its customers")
    assert "What they write is kept, its sessions stay linked" in asked
    assert told.startswith("*Acme* is deactivated: nothing is sent and nothing is shown.")
    assert "`/wa tenant activate Acme`" in told
    assert before == [("active",)]
    assert await rows("SELECT status FROM tenants") == [("inactive",)]


async def test_what_is_cancelled_is_not_done(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    await ask("olga", "tenant delete Acme")

    assert await confirm(slack, "olga", "Cancel") == "Nothing was done."
    assert await rows("SELECT status, deleted_at FROM tenants") == [("active", None)]


@pytest.mark.usefixtures("inactive")
async def test_in_a_deactivated_tenant_only_the_house_is_looked_after(ask: Ask) -> None:
    refused = [await ask("ana", line) for line in ("session add sales", "channel link", "message list", "report now")]
    shown = await ask("ana", "tenant show")
    setting = await ask("ana", "tenant settings login_hours 8")
    people = await ask("ana", "user list")

    assert all(
        text.startswith("*Acme* is deactivated: nothing is sent and nothing is shown")
        and "Ask an operator to run `/wa tenant activate Acme`." in text
        for text in refused
    )
    assert shown.startswith("*Acme*, deactivated")
    assert "0 messages to customers and 0 of theirs wait for `/wa tenant activate Acme`" in shown
    assert setting == "*login_hours* is `8` now; it was `12`."
    assert "ana" in people


@pytest.mark.usefixtures("inactive")
async def test_an_active_tenant_works_again(ask: Ask, rows: Rows) -> None:
    off_already = await ask("olga", "tenant deactivate Acme")
    told = await ask("olga", "tenant activate Acme")
    again = await ask("olga", "tenant activate Acme")
    session = await ask("ana", "session add sales")

    assert off_already == "*Acme* is deactivated already; nothing was changed."
    assert told == "*Acme* is active again."
    assert again == "*Acme* is active already; nothing was changed."
    assert session.startswith("Session `sales` was added")
    assert await rows("SELECT action FROM audit_entries WHERE action LIKE 'tenant.%%activate' ORDER BY created_at") == [
        ("tenant.deactivate",),
        ("tenant.activate",),
    ]


async def test_deleting_says_what_goes_and_restoring_brings_it_back(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    await ask("ana", "session add sales")
    asked = await ask("olga", "tenant delete Acme")
    told = await confirm(slack, "olga", "Delete")
    nobody = await ask("ana", "session list")
    listed = await ask("olga", "tenant list")
    deleted = await ask("olga", "tenant list deleted")
    back = await ask("olga", "tenant restore Acme")
    somebody = await ask("ana", "session list")

    assert asked.startswith(
        "Delete *Acme*? With it go 1 user, 1 session, 0 conversations and 0 messages. Its sessions are stopped on WAHA"
    )
    assert "`/wa tenant restore Acme` brings everything back" in asked
    assert told.startswith("*Acme* was deleted, and its sessions are being stopped")
    assert "no role in any tenant" in nobody
    assert listed.startswith("There is no tenant yet.")
    assert deleted.startswith("*1 deleted tenant*\n• *Acme*, deleted ")
    assert "with 1 session and 1 user" in deleted
    assert back.startswith("*Acme* is back, with 1 user and 1 session")
    assert "`sales`" in somebody
    assert await rows("SELECT count(*) FROM tenants WHERE deleted_at IS NULL") == [(1,)]


@pytest.mark.usefixtures("inactive")
async def test_a_tenant_that_was_silent_when_it_was_deleted_says_so_when_it_is_back(
    ask: Ask, slack: SandboxSlack
) -> None:
    await ask("olga", "tenant delete Acme")
    await confirm(slack, "olga", "Delete")

    assert (await ask("olga", "tenant restore Acme")).endswith("It is still deactivated: `/wa tenant activate Acme`.")


async def test_a_name_that_is_taken_meanwhile_is_not_restored(ask: Ask, slack: SandboxSlack) -> None:
    await ask("olga", "tenant delete Acme")
    await confirm(slack, "olga", "Delete")
    await ask("olga", "tenant create ACME")

    refused = await ask("olga", "tenant restore Acme")

    assert refused.startswith("The name `Acme` is used by another tenant now. Rename that one first with `/wa tenant")


async def test_a_tenant_is_renamed_and_described_by_its_administrator(ask: Ask) -> None:
    renamed = await ask("ana", 'tenant update --name "Acme GmbH" --description Shoes')
    again = await ask("ana", 'tenant update --name "Acme GmbH"')
    nothing = await ask("ana", "tenant update")
    await ask("olga", "tenant create Globex")
    taken = await ask("olga", 'tenant update --tenant Globex --name "acme gmbh"')
    untold = await ask("ana", "tenant update --name globex")

    assert renamed == "*Acme* is called *Acme GmbH* now and has another description now."
    assert again == "*Acme GmbH* was so already; nothing was changed."
    assert nothing.startswith("Nothing to change was given.\nUsage: `/wa tenant update [--name NAME]")
    assert taken.startswith("There is a tenant called `acme gmbh` already")
    assert untold == "That name cannot be used here; choose another, or ask an operator."


async def test_only_operators_deactivate_delete_and_restore(ask: Ask, rows: Rows) -> None:
    for line in ("tenant deactivate Acme", "tenant delete Acme", "tenant restore Acme", "tenant list deleted"):
        assert "is for operators of this installation" in await ask("ana", line)

    assert await rows("SELECT status, deleted_at FROM tenants") == [("active", None)]


async def test_a_tenant_is_chosen_shown_and_taken_back(ask: Ask) -> None:
    await ask("olga", "tenant create Globex")
    await ask("olga", "user add @ana TENANT_ADMIN --tenant Globex")
    none = await ask("ana", "tenant use")
    chosen = await ask("ana", "tenant use globex")
    meant = await ask("ana", "tenant show")
    shown = await ask("ana", "tenant use")
    other = await ask("ana", "tenant use Initech")
    back = await ask("ana", "tenant use none")
    stranger = await ask("ben", "tenant use Acme")

    assert none == "You have chosen no tenant. Choose one with `/wa tenant use NAME`."
    assert chosen.startswith("*Globex* is meant from now on")
    assert meant.startswith("*Globex*, active")
    assert shown.startswith("You have chosen *Globex*.")
    assert other == "You have no tenant called `Initech`. Yours: `Acme`, `Globex`."
    assert back.startswith("No tenant is chosen any more")
    assert "no role" in stranger


async def test_settings_are_shown_set_and_refused_in_sentences(ask: Ask, rows: Rows) -> None:
    table = await ask("ana", "tenant settings")
    kept = await ask("ana", "tenant settings keep_messages_days 365")
    one = await ask("ana", "tenant settings keep_messages_days")
    wrong = await ask("ana", "tenant settings keep_mesages_days 365")
    back = await ask("ana", "tenant settings keep_messages_days default")

    assert table.startswith("*Settings of Acme*\n• *login* is `slack` (the default): what proves who somebody is")
    assert "• *keep_messages_days* is `never` (the default)" in table
    assert kept == "*keep_messages_days* is `365` now; it was `never`."
    assert one.startswith("• *keep_messages_days* is `365` (default `never`): after how many days")
    assert wrong.startswith("There is no setting `keep_mesages_days`. Did you mean *keep_messages_days*?")
    assert back == "*keep_messages_days* is `never` now, the default; it was `365`."
    assert await rows("SELECT settings FROM tenants") == [({},)]


async def test_asking_for_passwords_is_asked_back_and_told_to_all_whom_it_shuts_out(
    ask: Ask, slack: SandboxSlack, rows: Rows
) -> None:
    await ask("ana", "user add @ben AGENT")
    asked = await ask("ana", "tenant settings login password")
    before = await rows("SELECT settings FROM tenants")
    told = await confirm(slack, "ana", "Ask for passwords")
    shut_out = await ask("ana", "session list")

    assert asked.startswith("Ask for a password in *Acme*? 2 people, you among them, can do nothing here any more")
    assert "Their links open only on the machine on which Switchboard runs" in asked
    assert before == [({},)]
    assert told.startswith("*login* is `password` now; it was `slack`.\n2 people have no password yet: you, @ben.")
    assert "`/wa login --tenant Acme` gives each a link to a page where they set one" in told
    assert "asks for your password" in shut_out
    ana, ben = slack.person("ana").id, slack.person("ben").id
    [[written]] = await rows("SELECT payload->>'text' FROM slack_posts WHERE slack_channel_id = %s", ben)
    assert written.startswith(f"*Acme* asks for a password from now on, as <@{ana}> decided. Run `login --tenant Acme`")
    assert await rows("SELECT 1 FROM slack_posts WHERE slack_channel_id = %s", ana) == []


async def test_who_alone_asks_for_a_password_is_told_what_they_do(ask: Ask, slack: SandboxSlack) -> None:
    await ask("ana", "tenant settings login password")

    told = await confirm(slack, "ana", "Ask for passwords")

    assert "You have no password yet. Run `/wa login --tenant Acme`, which gives you a link" in told
