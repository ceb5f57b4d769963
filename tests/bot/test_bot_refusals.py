"""What cannot be done is answered with the reason and the next step."""

from __future__ import annotations

import pytest

from bot.running import serving
from sandbox.slack import SandboxSlack, Wait
from tests.bot.conftest import Ask, BotSettings, Rows

pytestmark = pytest.mark.database_role("switchboard_bot")


async def test_an_unknown_noun_is_answered_with_the_nearest_one(ask: Ask) -> None:
    answer = await ask("ana", "sesion list")

    assert answer == "There is no `sesion`. Did you mean `session`? `/wa help` shows what there is."


async def test_an_unknown_verb_is_answered_with_the_nearest_one_and_the_usage(ask: Ask) -> None:
    answer = await ask("ana", "session strat sales")

    assert answer.startswith("There is no `session strat`. Did you mean `/wa session start`?")
    assert "`/wa session qr NAME`" in answer


async def test_a_noun_alone_is_answered_with_its_verbs(ask: Ask) -> None:
    answer = await ask("ana", "channel")

    assert answer.startswith("What should be done with the channel?")
    assert "`/wa channel link [#channel] [--for conversations|alerts|reports] [--session NAME]`" in answer


async def test_a_missing_argument_is_answered_with_usage_and_an_example(ask: Ask) -> None:
    answer = await ask("ana", "session add --engine GOWS")

    assert answer.splitlines() == [
        "NAME is missing.",
        "Usage: `/wa session add NAME [--engine WEBJS|NOWEB|GOWS] [--server NAME]`",
        "For example: `/wa session add sales-berlin`",
    ]


async def test_a_name_of_two_words_without_quotation_marks_is_explained(ask: Ask, rows: Rows) -> None:
    answer = await ask("olga", "tenant create Acme Ltd")

    assert answer.startswith("`Ltd` is more than `/wa tenant create` takes. Put quotation marks around")
    assert await rows("SELECT count(*) FROM tenants") == [(0,)]


async def test_an_option_without_its_value_is_answered_with_one(ask: Ask) -> None:
    at_the_end = await ask("ana", "session add sales --engine")
    before_the_text = await ask("ana", "send --session")

    assert at_the_end.startswith("`--engine` needs a value, such as `GOWS`.\nUsage: ")
    assert before_the_text.startswith("`--session` needs a value, such as `sales-berlin`.\nUsage: ")


@pytest.mark.parametrize("typed", ["session add --help", "session add sales --engine GOWS --help", "session add —help"])
async def test_a_call_for_help_after_a_command_is_answered_with_its_usage(ask: Ask, rows: Rows, typed: str) -> None:
    assert (await ask("ana", typed)).splitlines() == [
        "Add a WhatsApp account.",
        "Usage: `/wa session add NAME [--engine WEBJS|NOWEB|GOWS] [--server NAME]`",
        "For example: `/wa session add sales-berlin`",
    ]
    assert await rows("SELECT count(*) FROM waha_sessions") == [(0,)]


async def test_a_call_for_help_in_the_place_of_a_verb_is_answered_with_the_verbs(ask: Ask) -> None:
    answer = await ask("ana", "session --help")

    assert answer.startswith("What should be done with the session?\n")
    assert "`/wa session qr NAME`" in answer
    assert (await ask("olga", "--help")).startswith("*WhatsApp from Slack.*")
    assert "Usage: `/wa send " in await ask("ana", "send --help")


async def test_an_unknown_option_is_answered_with_the_nearest_one(ask: Ask) -> None:
    answer = await ask("ana", "session add sales --engin GOWS")

    assert answer.startswith("`/wa session add` has no `--engin`. Did you mean `--engine`?")


async def test_an_open_quotation_mark_is_explained(ask: Ask) -> None:
    answer = await ask("olga", 'tenant create "Acme')

    assert "is not closed" in answer
    assert "Usage: `/wa tenant create NAME" in answer


async def test_without_any_operator_the_line_to_set_is_told(slack: SandboxSlack, bot_settings: BotSettings) -> None:
    async with serving(bot_settings(operators=())):
        await slack.connected(2)
        wait = Wait(until=lambda answer: bool(answer.messages))
        answer = await slack.command("ana", "general", "/wa tenant create Acme", wait)

    key = f"{slack.team_id}/{slack.person('ana').id}"
    assert f"SWITCHBOARD_SLACK__OPERATORS='[\"{key}\"]'" in answer.text


async def test_who_is_no_operator_is_told_whom_to_ask(ask: Ask, slack: SandboxSlack) -> None:
    assert await ask("ana", "tenant create Acme") == (
        "`/wa tenant create` is for operators of this installation. Ask @olga."
    )


@pytest.mark.usefixtures("acme")
async def test_a_taken_tenant_name_is_refused(ask: Ask) -> None:
    assert (await ask("olga", "tenant create Acme")).startswith("There is a tenant called `Acme` already")


@pytest.mark.usefixtures("acme")
async def test_a_stranger_to_all_tenants_is_told_how_to_become_somebody(ask: Ask) -> None:
    answer = await ask("ben", "session list")

    assert answer.startswith("You have no role in any tenant here")
    assert "`/wa user invite @ben AGENT`" in answer


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("typed", ["session list", "help"])
async def test_a_guest_is_told_to_get_a_full_account(ask: Ask, typed: str) -> None:
    assert await ask("gina", typed) == (
        "You have no role in any tenant here, and none can be given to you: @gina is a guest. "
        "Ask an administrator of this Slack workspace for a full account."
    )


@pytest.mark.usefixtures("acme")
async def test_nobody_is_let_in_of_whom_slack_does_not_say_who_they_are(ask: Ask, slack: SandboxSlack) -> None:
    slack.fail("users.info", status=500)

    assert await ask("gina", "session list") == "Slack did not say who you are, so nothing was done. Try again."
    assert (await ask("gina", "whoami")).startswith("You are @gina")


@pytest.mark.usefixtures("acme")
async def test_a_role_that_is_too_low_is_told_who_may(ask: Ask) -> None:
    await ask("ana", "user add @ben AGENT")

    answer = await ask("ben", "session add sales")

    assert answer.startswith("That needs TENANT_ADMIN or MANAGER in *Acme*; you are AGENT there.")


@pytest.mark.usefixtures("acme")
async def test_another_tenants_session_does_not_exist(ask: Ask) -> None:
    await ask("olga", "tenant create Other")
    await ask("olga", "user add @ben TENANT_ADMIN --tenant Other")
    await ask("ana", "session add sales")

    for command in ("show", "start", "stop", "qr"):
        assert await ask("ben", f"session {command} sales") == (
            "This tenant has no session called `sales`. Add one: `/wa session add NAME`."
        )
    assert await ask("ben", "session list --tenant Acme") == "You have no tenant called `Acme`. Yours: `Other`."


@pytest.mark.usefixtures("acme")
async def test_who_has_two_tenants_is_asked_which(ask: Ask) -> None:
    await ask("olga", "tenant create Other")
    await ask("olga", "user add @ana AGENT --tenant Other")

    assert await ask("ana", "session list") == (
        "Which tenant? Add `--tenant NAME`, with one of: `Acme`, `Other`.\n[Acme] [Other]"
    )
    assert (await ask("ana", "session list --tenant Other")).startswith("*Other* has no session yet.")


@pytest.mark.usefixtures("acme")
async def test_in_a_tenants_channel_that_tenant_is_meant(ask: Ask) -> None:
    await ask("olga", "tenant create Other")
    await ask("olga", "user add @ana AGENT --tenant Other")
    await ask("ana", "channel link #support --tenant Acme")

    assert (await ask("ana", "session list", channel="support")).startswith("*Acme* has no session yet.")


@pytest.mark.usefixtures("acme")
async def test_guests_strangers_bots_and_the_deactivated_become_nobody(ask: Ask, slack: SandboxSlack) -> None:
    slack.person("ben").deleted = True

    assert (await ask("ana", "user add @gina AGENT")).startswith("@gina is a guest, and was not added.")
    assert (await ask("ana", "user add @eve AGENT")).startswith("@eve belongs to another company")
    assert (await ask("ana", "user add @switchboard AGENT")).startswith("@switchboard is a bot")
    assert (await ask("ana", "user add @ben AGENT")).startswith("@ben has a deactivated Slack account")


@pytest.mark.usefixtures("acme")
async def test_a_role_that_is_none_and_a_person_that_is_none_are_explained(ask: Ask) -> None:
    role = await ask("ana", "user add @ben MANAGR")
    nobody = await ask("ana", "user add ben AGENT")

    assert role == "`MANAGR` is no role. Did you mean MANAGER? There are TENANT_ADMIN, MANAGER, AGENT, AUDITOR."
    assert nobody.startswith("`ben` names nobody. Type `@`")


@pytest.mark.usefixtures("acme")
async def test_without_an_address_in_slack_one_has_to_be_given(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    slack.person("ben").email = ""

    refused = await ask("ana", "user add @ben AGENT")
    wrong = await ask("ana", "user add @ben AGENT --email nonsense")
    done = await ask("ana", "user add @ben AGENT --email Ben@Example.org")

    assert "Add `--email ana@example.org`" in refused
    assert wrong.splitlines() == [
        "`--email` is not an e-mail address, such as ana@example.org.",
        "Usage: `/wa user add @person TENANT_ADMIN|MANAGER|AGENT|AUDITOR [--email ADDRESS]`",
        "For example: `/wa user add @ana AGENT`",
    ]
    assert done.startswith("@ben is AGENT in *Acme* now.")
    assert ("ben@example.org",) in await rows("SELECT email FROM users")


@pytest.mark.usefixtures("acme")
async def test_who_is_somebody_already_stays_it(ask: Ask) -> None:
    assert (
        await ask("ana", "user add @ana TENANT_ADMIN")
        == "@ana is TENANT_ADMIN in this tenant already; nothing was changed."
    )


@pytest.mark.usefixtures("acme")
async def test_a_session_name_with_strange_characters_is_explained(ask: Ask) -> None:
    assert (await ask("ana", "session add Sales/Berlin")).startswith(
        "`NAME` may hold small letters, digits, `-` and `_`, such as `sales-berlin`.\nUsage: `/wa session add NAME "
    )


@pytest.mark.usefixtures("acme")
async def test_an_engine_and_a_server_that_there_are_not_are_explained(ask: Ask) -> None:
    assert (await ask("ana", "session add sales --engine CHROME")).startswith("`--engine` must be one of")
    assert (
        await ask("ana", "session add sales --server moon")
        == "There is no WAHA server called `moon`. There is `--server main`."
    )


@pytest.mark.usefixtures("acme")
async def test_another_engine_than_the_servers_is_refused(ask: Ask, rows: Rows) -> None:
    await rows("INSERT INTO waha_servers (id, name, engine) VALUES (gen_random_uuid(), 'main', 'NOWEB') RETURNING 1")

    refused = await ask("ana", "session add sales --engine WEBJS")
    await ask("ana", "session add sales")

    assert refused == (
        "No WAHA server may have a session with WEBJS: `main` runs NOWEB, not WEBJS. Leave `--engine` out."
    )
    assert await rows("SELECT name, engine FROM waha_sessions") == [("sales", "NOWEB")]


@pytest.mark.usefixtures("acme")
async def test_a_second_session_of_a_name_is_refused(ask: Ask) -> None:
    await ask("ana", "session add sales")

    assert (await ask("ana", "session add sales")).startswith("This tenant has a session called `sales` already")


@pytest.mark.usefixtures("acme")
async def test_a_misspelt_session_is_answered_with_the_nearest(ask: Ask) -> None:
    await ask("ana", "session add sales")

    assert await ask("ana", "session show slaes") == (
        "This tenant has no session called `slaes`. Did you mean `sales`?"
    )


@pytest.mark.usefixtures("acme")
async def test_a_channel_without_the_bot_is_refused_with_the_invitation(ask: Ask, slack: SandboxSlack) -> None:
    slack.add_channel("secret", with_app=False, is_private=True)

    assert await ask("ana", "channel link #general") == (
        "I am not in #general. Invite me there with `/invite @whatsapp`, then try again."
    )
    assert (await ask("ana", "channel link", channel="secret")).endswith(
        "Invite me there with `/invite @whatsapp`, then try again."
    )


@pytest.mark.usefixtures("acme")
async def test_channels_where_customers_must_not_appear_are_refused(ask: Ask, slack: SandboxSlack) -> None:
    slack.add_channel("with-partners", is_ext_shared=True)
    slack.archive("ana", "reports")

    assert (await ask("ana", "channel link #with-partners")).startswith("#with-partners is shared with another company")
    assert (await ask("ana", "channel link #reports")).startswith("#reports is archived.")
    assert (await ask("ana", "channel link", channel="@ana")).startswith("A direct message cannot be linked.")
    assert (await ask("ana", "channel link support")).startswith("`support` names no channel. Type `#`")
    assert (await ask("ana", "channel link #support --for fun")).startswith("`--for fun` is unknown.")


@pytest.mark.usefixtures("acme")
async def test_another_tenants_channel_is_refused(ask: Ask) -> None:
    await ask("olga", "tenant create Other")
    await ask("olga", "user add @ben TENANT_ADMIN --tenant Other")
    await ask("ana", "channel link #support")

    answer = await ask("ben", "channel link #support --tenant Other")
    unlinked = await ask("ben", "channel unlink #support --tenant Other")

    assert answer.startswith("#support belongs to another tenant")
    assert unlinked.startswith("#support is not linked to this tenant")


@pytest.mark.usefixtures("acme")
async def test_a_report_without_a_channel_is_refused_with_the_command(ask: Ask) -> None:
    assert (await ask("ana", "report now")).endswith("Run `/wa channel link --for reports` in one.")


@pytest.mark.usefixtures("acme")
async def test_numbers_that_are_none_are_refused(ask: Ask, rows: Rows) -> None:
    await ask("ana", "session add sales")
    await ask("ana", "channel link #support")

    assert "is neither a phone number with its country code nor a chat id" in await ask("ana", "send hello Hello")
    assert "Is the number longer than `+4915123`?" in await ask("ana", "send +4915123 456789 Hello")
    assert (await ask("ana", "send +4915123456789")).startswith("TEXT is missing.")
    assert await rows("SELECT count(*) FROM messages") == [(0,)]


@pytest.mark.usefixtures("acme")
async def test_sending_without_a_session_or_a_channel_names_the_next_step(ask: Ask) -> None:
    without_session = await ask("ana", "send +4915123456789 Hello")
    await ask("ana", "session add sales")
    without_channel = await ask("ana", "send +4915123456789 Hello")
    await ask("ana", "session add service")
    which = await ask("ana", "send +4915123456789 Hello")

    assert "`/wa session add NAME`" in without_session
    assert "Run `/wa channel link`" in without_channel
    assert which == "Through which session? Add one of `--session sales`, `--session service` before the number."


@pytest.mark.usefixtures("acme")
async def test_an_operator_does_not_speak_for_a_tenant(ask: Ask) -> None:
    answer = await ask("olga", "send --tenant Acme +4915123456789 Hello")

    assert answer == (
        "That needs TENANT_ADMIN, MANAGER or AGENT in *Acme*; you are operator there. "
        "Give yourself the role: `/wa user add @olga AGENT --tenant Acme`."
    )


@pytest.mark.usefixtures("acme")
async def test_messages_that_are_not_there_and_ids_that_are_none_are_explained(ask: Ask) -> None:
    none = await ask("ana", "message show 0198c2a4-7d1e-7c3a-9a51-3f2b8c6d1e00")

    assert none == "There is no such message in this tenant; `/wa message list` shows the newest."
    assert "`/wa message list` and `/wa message failed` show them" in await ask("ana", "message show 12")
    assert (await ask("ana", "message list --status lost")).startswith("`lost` is no status.")


@pytest.mark.usefixtures("acme")
async def test_what_was_typed_can_mention_nobody_in_the_answer(ask: Ask, slack: SandboxSlack) -> None:
    answer = await slack.command(
        "ana", "general", "/wa session show <!channel>", Wait(until=lambda answer: bool(answer.messages))
    )

    assert "<!channel>" not in str([answer.texts, answer.blocks])
    assert "`&lt;!channel&gt;`" in answer.texts[0]


async def test_help_about_nothing_lists_the_topics(ask: Ask) -> None:
    assert (await ask("ana", "help weather")).startswith("There is no help about `weather`.")
    assert (await ask("ana", "help session bogus")).startswith("There is no help about `session bogus`.")


@pytest.mark.usefixtures("acme")
async def test_what_slack_cannot_say_changes_nothing(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    slack.fail("users.info", status=500)

    answer = await ask("ana", "user add @ben AGENT")

    assert answer == "Slack did not say what is needed for this, so nothing was changed. Try again."
    assert await rows("SELECT count(*) FROM users") == [(1,)]
