"""What people type, and what they read."""

from __future__ import annotations

import pytest

from bot.commands import COMMANDS
from operations.permissions import FOR_ANYBODY
from sandbox.slack import SandboxSlack, Wait
from tests.bot.conftest import Ask, Rows, becomes

pytestmark = pytest.mark.database_role("switchboard_bot")


async def test_an_organisation_is_set_up_from_nothing(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    created = await ask("olga", "tenant create Acme --description Shoes")
    added = await ask("olga", "user add @ana TENANT_ADMIN --tenant Acme")
    session = await ask("ana", "session add sales --engine noweb")
    linked = await ask("ana", "channel link #support --session sales")
    qr = await ask("ana", "session qr sales")
    report = await ask("ana", "report now")

    assert created.startswith("Tenant *Acme* was created.")
    assert "`/wa user add @person TENANT_ADMIN --tenant Acme`" in created
    assert added.startswith("@ana is TENANT_ADMIN in *Acme* now.")
    assert "Session `sales` was added and is being started" in session
    assert "#support shows the conversations of session `sales` from now on" in linked
    assert "comes to you by direct message" in qr
    assert report == "The health report of *Acme* is on its way to #support."
    assert await rows("SELECT name, description FROM tenants") == [("Acme", "Shoes")]
    assert await rows("SELECT email, first_name, role FROM users") == [("ana@example.com", "Ana", "TENANT_ADMIN")]
    assert await rows("SELECT engine, server, desired_state FROM waha_sessions") == [("NOWEB", "main", "running")]
    assert await rows("SELECT kind, slack_user_id FROM waha_actions") == [("qr", slack.person("ana").id)]
    assert await rows("SELECT slack_channel_id FROM slack_posts") == [(slack.channel("support").id,)]
    await becomes(rows, "SELECT count(*) FROM slack_events WHERE answered_at IS NULL", [(0,)])


@pytest.mark.usefixtures("acme")
async def test_help_shows_every_command_and_one_topic_with_examples(ask: Ask) -> None:
    await ask("ana", "user add @olga TENANT_ADMIN")

    bare, full, topic = await ask("olga", ""), await ask("olga", "help"), await ask("ben", "help session")
    one = await ask("ben", "help session add")

    assert bare == full
    assert all(f"`/wa {command.usage}`" in full for command in COMMANDS if command.noun != "help")
    assert one.startswith("*Session add*\n• `/wa session add NAME ")
    assert "session qr" not in one
    assert "`/wa session qr NAME`: the code that links its phone" in topic
    assert "For example: `/wa session qr sales-berlin`" in topic
    assert "For TENANT_ADMIN or MANAGER." in topic
    assert "tenant create" not in topic


@pytest.mark.usefixtures("acme")
async def test_help_shows_what_the_person_may_ask_for(ask: Ask) -> None:
    await ask("ana", "user add @ben AGENT")

    operators, agents = await ask("olga", "help"), await ask("ben", "help")

    assert "`/wa tenant create NAME" in operators
    assert "`/wa send " not in operators
    assert "`/wa send " in agents
    assert "tenant create" not in agents
    assert "session add" not in agents


@pytest.mark.usefixtures("acme")
async def test_help_shows_somebody_without_a_role_how_to_get_one(ask: Ask) -> None:
    shown = await ask("ben", "help")

    assert shown.startswith(
        "*WhatsApp from Slack.* You have no role in any tenant here. Ask an administrator of your tenant to run "
        "`/wa user invite @ben AGENT`. Until then you can ask for:\n"
    )
    for_anybody = [command for command in COMMANDS if command.permission in FOR_ANYBODY and command.noun != "help"]
    assert shown.splitlines()[1:] == [f"• `/wa {command.usage}`: {command.summary}" for command in for_anybody]


@pytest.mark.usefixtures("acme")
async def test_help_says_why_somebody_with_a_role_is_kept_out(ask: Ask, rows: Rows) -> None:
    await ask("ana", "user add @ben AGENT")
    await rows("UPDATE users SET is_active = false WHERE email LIKE 'ben@%%' RETURNING 1")

    shown = await ask("ben", "help")

    assert shown.startswith("Your account in *Acme* is deactivated. Ask one of its administrators.\n")
    assert "session list" not in shown
    assert "`/wa whoami`" in shown


@pytest.mark.usefixtures("acme")
async def test_help_names_the_tenant_it_is_about_where_another_is_closed(ask: Ask, rows: Rows) -> None:
    await ask("ana", "user add @ben AGENT")
    await ask("olga", "tenant create Globex")
    await ask("olga", "user add @ben AGENT --tenant Globex")
    await rows("UPDATE tenants SET settings = '{\"login\": \"password\"}' WHERE name = 'Acme' RETURNING 1")

    shown = (await ask("ben", "help")).splitlines()

    assert shown[0] == "*Acme* asks for your password. Run `/wa login --tenant Acme`."
    assert shown[1] == "*WhatsApp from Slack.* In *Globex* you can ask for:"


@pytest.mark.usefixtures("acme")
async def test_another_role_for_somebody_who_has_one_is_written_down(ask: Ask, rows: Rows) -> None:
    await ask("ana", "user add @ben MANAGER")

    changed = await ask("ana", "user add @ben AGENT")
    again = await ask("ana", "user add @ben AGENT")

    assert changed == "@ben was MANAGER in *Acme*, is AGENT now."
    assert again == "@ben is AGENT in this tenant already; nothing was changed."
    assert await rows("SELECT role FROM users WHERE email LIKE 'ben@%%'") == [("AGENT",)]
    assert await rows("SELECT before->>'role', after->>'role' FROM audit_entries WHERE action = 'user.role'") == [
        ("MANAGER", "AGENT")
    ]


@pytest.mark.usefixtures("acme")
async def test_who_comes_back_under_the_same_address_gets_the_role_that_was_asked_for(ask: Ask, rows: Rows) -> None:
    await ask("ana", "user add @ben MANAGER")
    await rows("UPDATE slack_identities SET deleted_at = now() WHERE slack_user_id LIKE 'UBEN%%' RETURNING 1")

    changed = await ask("ana", "user add @ben AGENT")

    assert changed == "@ben was MANAGER in *Acme*, is AGENT now."
    assert (await ask("ben", "session add sales")).endswith("you are AGENT there. Ask one of its administrators.")


@pytest.mark.usefixtures("acme")
async def test_the_next_step_after_a_role_is_what_it_may_do_and_what_is_not_done(ask: Ask) -> None:
    agent = await ask("ana", "user add @ben AGENT")
    await ask("ana", "session add sales")
    manager = await ask("ana", "user add @olga MANAGER")

    assert agent == "@ben is AGENT in *Acme* now."
    assert manager == ("@olga is MANAGER in *Acme* now. Next: `/wa channel link` in the channel for its conversations.")


async def test_an_operator_is_sent_to_nothing_that_they_may_not_do(ask: Ask) -> None:
    await ask("olga", "tenant create Acme")

    added = await ask("olga", "user add @ana TENANT_ADMIN --tenant Acme")
    mine = await ask("olga", "user add @olga MANAGER --tenant Acme")

    steps = "`/wa session add NAME`, and `/wa channel link` in the channel for its conversations."
    assert added == f"@ana is TENANT_ADMIN in *Acme* now. They go on with: {steps}"
    assert mine == f"@olga is MANAGER in *Acme* now. Next: {steps}"


@pytest.mark.usefixtures("acme")
async def test_operators_see_all_tenants_and_members_their_own(ask: Ask) -> None:
    await ask("olga", 'tenant create "Other Ltd"')

    listed = await ask("olga", "tenant list")
    shown = await ask("ana", "tenant show")
    named, typed = await ask("olga", "tenant show acme"), await ask("olga", "tenant show --tenant Acme")
    missing = await ask("ana", "tenant show Other")

    assert shown == named == typed
    assert missing.startswith("You have no tenant called `Other`.")
    assert "• *Acme*, active: 0 sessions, 1 user" in listed
    assert "• *Other Ltd*, active: 0 sessions, 0 users" in listed
    assert shown.startswith("*Acme*, active\n1 user, 0 sessions. Health reports: `0 9 * * 1-5` (UTC).")


@pytest.mark.usefixtures("acme")
async def test_a_session_is_stopped_started_and_looked_at(ask: Ask, rows: Rows) -> None:
    await ask("ana", "session add sales")

    stopped = await ask("ana", "session stop sales")
    again = await ask("ana", "session stop Sales")
    listed = await ask("ana", "session list")
    shown = await ask("ana", "session show sales")
    started = await ask("ana", "session start sales")

    assert stopped.startswith("Session `sales` is being stopped.")
    assert again.startswith("Session `sales` was to be stopped already.")
    assert "• `sales` ⚪ stopped, queue empty" in listed
    assert "Engine GOWS on server `main`." in shown
    assert shown.endswith("Start it with `/wa session start sales`.")
    assert started.startswith("Session `sales` is being started.")
    assert await rows("SELECT desired_state FROM waha_sessions") == [("running",)]


@pytest.mark.usefixtures("acme")
async def test_a_session_is_started_for_a_code_that_is_asked_for(ask: Ask, rows: Rows) -> None:
    await ask("ana", "session add sales")
    await ask("ana", "session stop sales")

    scanned = await ask("ana", "session qr sales")
    await ask("ana", "session stop sales")
    typed = await ask("ana", "session pair sales +49(30)901820")

    assert scanned.startswith("Session `sales` is started for it. The code of session `sales` comes to you by direct")
    assert typed.startswith("Session `sales` is started for it. The code to be typed on the phone with +4930901820")
    assert await rows("SELECT desired_state FROM waha_sessions") == [("running",)]
    assert await rows("SELECT kind, payload ->> 'number' FROM waha_actions ORDER BY created_at") == [
        ("qr", None),
        ("pair", "4930901820"),
    ]


@pytest.mark.usefixtures("acme")
async def test_a_session_that_failed_is_restarted_for_a_code(ask: Ask, rows: Rows) -> None:
    await ask("ana", "session add sales")
    await rows("UPDATE waha_sessions SET status = 'failed' RETURNING 1")

    await ask("ana", "session qr sales")

    asked = "SELECT kind, slack_user_id <> '' FROM waha_actions ORDER BY kind"
    assert await rows(asked) == [("qr", True), ("restart", False)]


@pytest.mark.parametrize("number", ["12", "+49abc", "0151", "+0123456789", "+491234567890123456"])
@pytest.mark.usefixtures("acme")
async def test_what_is_no_number_is_refused_with_one_that_is(ask: Ask, rows: Rows, number: str) -> None:
    await ask("ana", "session add sales")

    refused = await ask("ana", f"session pair sales {number}")

    assert refused.startswith(f"`{number}` is not the number of a phone.")
    assert refused.endswith("such as `+4915123456789`.")
    assert await rows("SELECT count(*) FROM waha_actions") == [(0,)]


@pytest.mark.usefixtures("acme")
async def test_a_passkey_is_explained_wherever_a_code_is_asked_for(ask: Ask, rows: Rows) -> None:
    await ask("ana", "session add sales")
    word = """'{"raw_status": "PASSKEY_REQUIRED"}'"""
    await rows(f"UPDATE waha_sessions SET status = 'scan_qr', metadata = {word} RETURNING 1")  # noqa: S608

    answers = [await ask("ana", f"session {typed}") for typed in ("qr sales", "pair sales +4930901820", "show sales")]
    listed = await ask("ana", "session list")

    assert all("the dashboard of WAHA server `main`" in answer for answer in answers)
    assert "🟠 waits for a passkey" in listed
    assert await rows("SELECT count(*) FROM waha_actions") == [(0,)]


@pytest.mark.usefixtures("acme")
async def test_a_working_session_has_no_code(ask: Ask, rows: Rows) -> None:
    await ask("ana", "session add sales")
    await rows("UPDATE waha_sessions SET status = 'working' RETURNING 1")

    assert (await ask("ana", "session qr sales")).startswith("Session `sales` works: its phone is linked")
    assert await rows("SELECT count(*) FROM waha_actions") == [(0,)]


@pytest.mark.usefixtures("acme")
async def test_channels_are_linked_for_a_purpose_listed_and_unlinked(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    here = await ask("ana", "channel link", channel="support")
    alerts = await ask("ana", "channel link #alerts --for alerts")
    listed = await ask("ana", "channel list")
    unlinked = await ask("ana", "channel unlink", channel="support")

    assert here.startswith("#support shows the conversations of *Acme* from now on.")
    assert "begin with `//`" in here
    assert alerts.startswith("#alerts shows the alerts of *Acme* from now on.")
    assert "• #support: conversations of all sessions" in listed
    assert unlinked.startswith("#support no longer shows conversations of *Acme*.")
    assert await rows("SELECT slack_channel_id FROM channel_routes WHERE deleted_at IS NULL") == [
        (slack.channel("alerts").id,)
    ]


@pytest.mark.usefixtures("acme")
async def test_a_message_is_queued_as_it_was_typed_and_can_be_looked_at(
    ask: Ask, slack: SandboxSlack, rows: Rows
) -> None:
    await ask("ana", "session add sales")
    await ask("ana", "channel link #support")

    queued = await ask("ana", 'send +4915123456789 It\'s <b> & "ready", ask @ben in #support :tada:')
    listed = await ask("ana", "message list --status queued --session sales")
    [[message_id, body, to, writer]] = await rows(
        "SELECT id, body, to_msisdn, metadata->>'slack_user_id' FROM messages"
    )
    shown = await ask("ana", f"message show {message_id}")

    assert queued.startswith("Queued for +4915123456789 through session `sales`. It waits until session `sales` works.")
    assert "#support" in queued
    assert body == 'It\'s <b> & "ready", ask @Ben in #support 🎉'
    assert (to, writer) == ("4915123456789", slack.person("ana").id)
    assert "To +4915123456789, queued" in listed
    assert f"`{str(message_id)[:13]}`" in listed
    assert "It's <b> &" in shown


@pytest.mark.usefixtures("acme")
async def test_the_session_of_the_channel_sends_what_is_typed_there(ask: Ask, rows: Rows) -> None:
    await ask("ana", "session add sales")
    await ask("ana", "session add service")
    await ask("ana", "channel link #support --session service")

    queued = await ask("ana", "send +4915123456789 Hello", channel="support")

    assert "through session `service`" in queued
    assert await rows("SELECT count(*) FROM messages") == [(1,)]


@pytest.mark.usefixtures("acme")
async def test_a_message_is_found_by_words_that_its_writer_used(ask: Ask, rows: Rows, slack: SandboxSlack) -> None:
    await ask("ana", "session add sales")
    await ask("ana", "channel link #support")
    await ask("ana", "user add @ben AGENT")
    await ask("ben", "send +4915123456789 Your <!channel> *order* 4711 &amp; co is ready")
    await rows("UPDATE conversations SET slack_thread_ts = '1700000000.000001' RETURNING id")

    found = await ask("ben", 'message search --since 1h "ORDER 4711"')
    nothing = await ask("ben", "message search <!here> zebra")
    wrong = await ask("ben", "message search --sinc 1h order")

    channel = slack.channel("support").id
    address = f"https://app.slack.com/client/{slack.team_id}/{channel}/thread/{channel}-1700000000.000001"
    assert f"thread ({address})" in found
    # As it was typed: a live mention would read @channel.
    assert "Your <!channel> *order* 4711 &amp; co is ready" in found
    assert nothing == "No message has these words: <!here> zebra. Only whole words are found."
    assert "Did you mean `--since`?" in wrong


@pytest.mark.usefixtures("acme")
async def test_names_and_words_of_others_are_shown_as_they_are(ask: Ask, slack: SandboxSlack) -> None:
    added = await ask("ana", "session add help")
    await ask("ana", "channel link #support")
    await ask("ana", "send +4915123456789 Say `help` or `login`")

    listed, found = await ask("ana", "message list"), await ask("ana", "message search say")

    assert added.startswith("Session `help` was added")
    assert "Say `help` or `login`" in listed
    assert "Say `help` or `login`" in found
    assert "`/wa message show ID`" in listed
    assert "\u2060" not in "".join(message.text for message in slack.ephemerals("ana"))


@pytest.mark.usefixtures("acme")
async def test_older_messages_come_in_place_of_the_newer_ones(ask: Ask, rows: Rows, slack: SandboxSlack) -> None:
    await ask("ana", "session add sales")
    await ask("ana", "channel link #support")
    [[tenant_id, session_id]] = await rows("SELECT tenant_id, id FROM waha_sessions")
    await rows(
        "INSERT INTO messages (id, tenant_id, session_id, direction, status, body) SELECT gen_random_uuid(), %s, %s, "
        "'inbound', 'delivered', 'order ' || number FROM generate_series(1, 25) number RETURNING id",
        tenant_id,
        session_id,
    )

    newer = await ask("ana", "message search order")
    shown = slack.ephemerals("ana")[-1]
    older = await slack.click("ana", shown, "Older", wait=Wait(until=lambda answer: bool(answer.messages)))

    assert (newer.count("\u2022"), older.text.count("\u2022")) == (20, 5)
    assert slack.ephemerals("ana")[-1].text.count("\u2022") == 5
