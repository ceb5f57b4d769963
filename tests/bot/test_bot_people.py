"""Inviting, managing and naming people over Slack; and who Slack itself keeps out, at each of the three doors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from bot.outsiders import LOOK_SECONDS, NOT_SAID
from bot.roll_call import RollCall
from bot.running import serving
from database import in_database
from sandbox.slack import Answer, Message, SandboxSlack, Wait
from slack.blocks import actions, button, section
from slack.client import SlackClient
from tests.bot.conftest import Ask, BotSettings, Rows, becomes, eventually
from tests.conftest import MigratedDatabase
from tests.operations.builders import handle_slack_events

pytestmark = [pytest.mark.database_role("switchboard_bot"), pytest.mark.usefixtures("acme")]

PEOPLE = "SELECT u.email, u.role, u.is_active FROM users u WHERE u.deleted_at IS NULL ORDER BY u.email"
ONLY_ANA = [("ana@example.com", "TENANT_ADMIN", True)]
NOT_YOURS = "Nothing was changed. This invitation is not there any more, or it is for somebody else."
KEPT_OUT = "Ask an administrator of this Slack workspace for a full account."


def changed(answer: Answer) -> bool:
    return bool(answer.messages) or answer.error is not None


@pytest.fixture
async def client(slack: SandboxSlack) -> AsyncIterator[SlackClient]:
    async with SlackClient(slack.bot_token, slack.api_url) as client:
        yield client


async def delivered(slack: SandboxSlack, client: SlackClient, rows: Rows, user: str) -> Message:
    """The newest direct message that waits for somebody, posted as the daemon posts it."""
    user_id = slack.person(user).id
    [[payload]] = await rows(
        "SELECT payload FROM slack_posts WHERE kind = 'direct' AND slack_channel_id = %s ORDER BY seq DESC LIMIT 1",
        user_id,
    )
    channel = await client.open_direct(user_id)
    ts = await client.post(channel, payload["text"], blocks=payload.get("blocks"))
    return next(one for one in slack.direct_messages(user) if one.ts == ts)


async def click(slack: SandboxSlack, user: str, target: Message, label: str) -> str:
    answer = await slack.click(user, target, label, wait=Wait(seconds=15, until=changed))
    assert answer.error is None
    return slack.read(answer.messages[-1])


async def confirmed(slack: SandboxSlack, user: str, typed: str, label: str) -> str:
    """Type a command that asks back, and answer yes."""
    asked = await slack.command(user, "general", f"/wa {typed}", Wait(until=changed))
    return await click(slack, user, asked.messages[-1], label)


async def test_who_is_invited_accepts_and_is_somebody(
    ask: Ask, slack: SandboxSlack, client: SlackClient, rows: Rows
) -> None:
    told = await ask("ana", "user invite @ben MANAGER")
    assert told.startswith("@ben is invited to *Acme* as MANAGER, by a direct message, and can accept until ")
    assert await rows(PEOPLE) == ONLY_ANA
    offered = await delivered(slack, client, rows, "ben")
    assert slack.read(offered).startswith("@ana invites you to *Acme* as MANAGER: you run its WhatsApp accounts")

    said = await click(slack, "ben", offered, "Accept")

    assert said.startswith("You are MANAGER in *Acme* now.")
    assert await rows(PEOPLE) == [*ONLY_ANA, ("ben@example.com", "MANAGER", True)]
    [shown] = [one for one in slack.direct_messages("ben") if one.ts == offered.ts]
    assert "Accept" not in slack.read(shown)
    assert (await ask("ben", "session list")).startswith("*Acme* has no session")
    ana = slack.person("ana").id
    [[to_ana]] = await rows("SELECT payload->>'text' FROM slack_posts WHERE slack_channel_id = %s", ana)
    assert to_ana == f"<@{slack.person('ben').id}> accepted your invitation to *Acme* as MANAGER."


async def test_who_declines_stays_outside_and_cannot_accept_any_more(
    ask: Ask, slack: SandboxSlack, client: SlackClient, rows: Rows
) -> None:
    await ask("ana", "user invite @ben AGENT")
    offered = await delivered(slack, client, rows, "ben")
    again = await delivered(slack, client, rows, "ben")

    assert await click(slack, "ben", offered, "Decline") == "You declined the invitation to *Acme*."

    assert "you declined this invitation. Ask @ana to invite you again" in await click(slack, "ben", again, "Accept")
    assert await rows(PEOPLE) == ONLY_ANA


@pytest.mark.parametrize("label", ["Accept", "Decline"])
@pytest.mark.parametrize("user", ["ana", "olga"])
async def test_a_forwarded_invitation_does_nothing_for_anybody_else(
    ask: Ask, slack: SandboxSlack, client: SlackClient, rows: Rows, user: str, label: str
) -> None:
    await ask("ana", "user invite @ben TENANT_ADMIN")
    offered = await delivered(slack, client, rows, "ben")
    support = slack.channel("support").id
    ts = await client.post(support, "forwarded", blocks=offered.blocks)
    forwarded = next(one for one in slack.messages("support") if one.ts == ts)

    assert await click(slack, user, forwarded, label) == NOT_YOURS

    assert (await click(slack, "ben", offered, "Accept")).startswith("You are TENANT_ADMIN")


@pytest.mark.parametrize(
    "value", ["", "x", "'; DROP TABLE users; --", str(uuid4()), "00000000-0000-0000-0000-000000000000"]
)
async def test_a_button_with_another_value_does_nothing(
    ask: Ask, slack: SandboxSlack, client: SlackClient, rows: Rows, value: str
) -> None:
    await ask("ana", "user invite @ben AGENT")
    channel = await client.open_direct(slack.person("ben").id)
    blocks = [section("made up"), actions(button("Accept", "invitation.accept", value=value or None))]
    ts = await client.post(channel, "made up", blocks=blocks)
    forged = next(one for one in slack.direct_messages("ben") if one.ts == ts)

    assert (await click(slack, "ben", forged, "Accept")).startswith("Nothing was changed")

    assert await rows(PEOPLE) == ONLY_ANA
    assert await rows("SELECT accepted_at FROM invitations") == [(None,)]


async def test_an_invitation_is_shown_and_taken_back(
    ask: Ask, slack: SandboxSlack, client: SlackClient, rows: Rows
) -> None:
    await ask("ana", "user invite @ben AUDITOR")
    offered = await delivered(slack, client, rows, "ben")
    assert "@ben: invited as AUDITOR by @ana, can accept until" in await ask("ana", "user list")
    assert (await ask("ana", "user show @ben")).startswith("@ben: invited as AUDITOR")

    gone = await confirmed(slack, "ana", "user remove @ben", "Remove")

    assert gone == "The invitation of @ben to *Acme* is withdrawn."
    assert "this invitation was withdrawn" in await click(slack, "ben", offered, "Accept")
    assert "invited" not in await ask("ana", "user list")


async def test_people_are_listed_with_role_and_state_and_shown_one_by_one(ask: Ask, slack: SandboxSlack) -> None:
    await ask("ana", "user add @ben AGENT")
    await confirmed(slack, "ana", "user deactivate @ben", "Deactivate")

    assert (await ask("ana", "user list")).splitlines() == [
        "*2 users of Acme*",
        "• @ana: TENANT_ADMIN, active, ana@example.com",
        "• @ben: AGENT, deactivated, ben@example.com",
    ]
    shown = await ask("ana", "user show @ben")
    assert shown.startswith("@ben: Ben Okafor, ben@example.com\nAGENT, deactivated. Here since ")
    assert shown.endswith("no password is set, never logged in.")


async def test_whoever_is_deactivated_is_refused_until_they_are_activated(ask: Ask, slack: SandboxSlack) -> None:
    await ask("ana", "user add @ben AGENT")

    said = await confirmed(slack, "ana", "user deactivate @ben", "Deactivate")

    assert said.startswith("@ben is deactivated in *Acme*")
    assert await ask("ben", "session list") == "Your account in *Acme* is deactivated. Ask one of its administrators."
    assert await ask("ana", "user activate @ben") == "@ben is AGENT in *Acme* again."
    assert (await ask("ben", "session list")).startswith("*Acme* has no session")


async def test_a_name_an_address_and_a_role_are_changed(ask: Ask, rows: Rows) -> None:
    await ask("ana", "user add @ben AGENT")

    assert (await ask("ana", 'user update @ben --first-name "Benjamin" --email b@example.org')).startswith(
        "@ben was ch"
    )
    assert await ask("ana", "user role b@example.org manager") == "`b@example.org` was AGENT in *Acme*, is MANAGER now."

    assert await rows("SELECT first_name, last_name, email, role FROM users WHERE role = 'MANAGER'") == [
        ("Benjamin", "Okafor", "b@example.org", "MANAGER")
    ]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("user role @ana AGENT", "@ana is the last active TENANT_ADMIN of this tenant"),
        ("user add @ana AGENT", "@ana is the last active TENANT_ADMIN of this tenant"),
        ("user remove @ana", "@ana is the last active TENANT_ADMIN of this tenant"),
        ("user deactivate @ana", "@ana is the last active TENANT_ADMIN of this tenant"),
        ("user invite @ana TENANT_ADMIN", "@ana is TENANT_ADMIN in this tenant already; nothing was changed."),
        ("user role @ben AGENT", "@ben is nobody in *Acme*. See `/wa user list` for who is."),
        ("user deactivate @ben", "@ben is nobody in *Acme*."),
        ("user remove @olga", "@olga is nobody in *Acme*."),
        ("user show nobody", "`nobody` names nobody. Type `@`"),
        ("user update @ana", "Nothing to change was given.\nUsage: `/wa user update @person"),
        ("user update @ana --email nothing", "`--email` is not an e-mail address"),
        ("user role @ana ADMINISTRATOR", "`ADMINISTRATOR` is no role."),
        ("user invite @ana AGENT", "@ana is TENANT_ADMIN in this tenant already. For another role: `/wa user role"),
        ("user invite @gina AGENT", "@gina is a guest, and was not added."),
        ("user invite @eve AGENT", "@eve belongs to another company, and was not added."),
        (
            "user forget-password @gina",
            "@gina is a guest, so no password lets them in, and nothing was changed.",
        ),
    ],
)
async def test_what_cannot_be_is_refused_with_the_reason(ask: Ask, rows: Rows, typed: str, said: str) -> None:
    before = await rows("SELECT count(*) FROM audit_entries")

    assert (await ask("ana", typed)).startswith(said)

    assert await rows(PEOPLE) == ONLY_ANA
    assert await rows("SELECT count(*) FROM audit_entries") == before
    assert await rows("SELECT count(*) FROM invitations") == [(0,)]


@pytest.mark.parametrize("role", ["MANAGER", "AGENT", "AUDITOR"])
@pytest.mark.parametrize("typed", ["user role @ben TENANT_ADMIN", "user add @ben TENANT_ADMIN", "user remove @ana"])
async def test_nobody_but_an_administrator_changes_roles_least_of_all_their_own(
    ask: Ask, rows: Rows, role: str, typed: str
) -> None:
    await ask("ana", f"user add @ben {role}")

    assert (await ask("ben", typed)).startswith(f"That needs TENANT_ADMIN or operator in *Acme*; you are {role} there.")

    assert await rows(PEOPLE) == [*ONLY_ANA, ("ben@example.com", role, True)]


async def test_whoami_says_what_one_is_and_what_one_may_do_next(ask: Ask, slack: SandboxSlack) -> None:
    await ask("olga", "tenant create Globex")
    await ask("olga", "user add @ana AGENT --tenant Globex")

    def you(name: str) -> str:
        return f"You are @{name}, `{slack.person(name).id}` in the Slack workspace `{slack.team_id}`."

    assert (await ask("ana", "whoami")).splitlines() == [
        you("ana"),
        "• TENANT_ADMIN in *Acme*.",
        "• AGENT in *Globex*.",
        "`/wa help` shows what you may do. `/wa tenant use NAME` chooses the tenant where a channel does not say it.",
    ]
    assert (await ask("olga", "whoami")).splitlines() == [
        you("olga"),
        "You are an operator of this installation.",
        "`/wa help` shows what you may do.",
    ]
    assert (await ask("ben", "whoami")).splitlines() == [
        you("ben"),
        "You have no role in any tenant here. Ask an administrator of your tenant to run `/wa user invite @ben AGENT`.",
    ]
    assert (await ask("gina", "whoami")).splitlines() == [
        you("gina"),
        f"You are a guest in this Slack workspace, and guests are not let in. {KEPT_OUT}",
    ]


async def test_whoami_says_that_a_password_is_asked_for_and_that_an_account_is_deactivated(
    ask: Ask, slack: SandboxSlack, migrated_database: MigratedDatabase, rows: Rows
) -> None:
    await ask("ana", "user add @ben AGENT")
    await confirmed(slack, "ana", "user deactivate @ben", "Deactivate")
    await rows('UPDATE tenants SET settings = \'{"login": "password"}\' RETURNING 1')

    assert "• TENANT_ADMIN in *Acme*: asks for your password, `/wa login --tenant Acme`." in await ask("ana", "whoami")
    assert "• AGENT in *Acme*: your account there is deactivated." in await ask("ben", "whoami")


async def make(slack: SandboxSlack, user: str, **change: Any) -> None:
    """Somebody is made a guest or is deactivated in Slack while nobody listens."""
    slack.change_person(user, heard=False, **change)


async def forget_when(rows: Rows, interval: str) -> None:
    await rows(f"UPDATE slack_people SET checked_at = now() - interval '{interval}' RETURNING 1")  # noqa: S608 - ours


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"guest": True}, "You are a guest in this Slack workspace"), ({"deleted": True}, "Your Slack account is deact")],
    ids=["guest", "deactivated"],
)
async def test_who_is_kept_out_by_slack_is_refused_at_a_command_and_at_a_click(
    ask: Ask, slack: SandboxSlack, rows: Rows, change: dict[str, Any], reason: str
) -> None:
    await ask("ana", "user add @ben TENANT_ADMIN")
    asked = await slack.command("ben", "general", "/wa user remove @ana", Wait(until=changed))
    await make(slack, "ben", **change)
    await forget_when(rows, "2 hours")

    at_the_click = await click(slack, "ben", asked.messages[-1], "Remove")
    at_the_command = await ask("ben", "session list")

    for refused in (at_the_click, at_the_command):
        assert refused.startswith(reason)
        assert refused.endswith(KEPT_OUT)
    assert len(await rows(PEOPLE)) == 2


async def test_who_is_kept_out_by_slack_is_refused_at_a_form_opened_before_and_gets_no_other(
    ask: Ask, slack: SandboxSlack, rows: Rows
) -> None:
    await ask("ana", "user add @ben TENANT_ADMIN")
    await slack.command("ben", "general", "/wa user invite", Wait(seconds=15, until=lambda answer: bool(answer.view)))
    await make(slack, "ben", guest=True)
    await forget_when(rows, "2 hours")

    await slack.submit("ben", {"Person": "olga", "Role": "AGENT"}, wait=Wait(seconds=0))

    await eventually(lambda: slack.ephemerals("ben"))
    assert slack.read(slack.ephemerals("ben")[-1]).startswith("You are a guest in this Slack workspace")
    assert await rows("SELECT count(*) FROM invitations") == [(0,)]
    assert (await ask("ben", "user invite")).startswith("You are a guest in this Slack workspace")
    assert slack.modal("ben") is None


async def test_a_stranger_is_refused_at_a_click_and_told_why(
    ask: Ask, slack: SandboxSlack, client: SlackClient, rows: Rows
) -> None:
    await ask("ana", "user invite @ben AGENT")
    offered = await delivered(slack, client, rows, "ben")
    slack.channel("support").members.append(slack.person("eve").id)
    ts = await client.post(slack.channel("support").id, "shared", blocks=offered.blocks)
    shared = next(one for one in slack.messages("support") if one.ts == ts)

    said = await click(slack, "eve", shared, "Accept")

    assert said.startswith("You belong to another company's Slack workspace, and are not let in here.")
    assert said.endswith(KEPT_OUT)
    assert await rows(PEOPLE) == ONLY_ANA


@pytest.mark.parametrize(
    ("user", "reason"),
    [("eve", "You belong to another company's Slack workspace"), ("gina", "You are a guest in this Slack workspace")],
)
async def test_who_is_kept_out_by_slack_is_refused_when_they_reply_in_a_thread(
    ask: Ask,
    slack: SandboxSlack,
    client: SlackClient,
    rows: Rows,
    migrated_database: MigratedDatabase,
    user: str,
    reason: str,
) -> None:
    support = slack.channel("support")
    support.members.append(slack.person(user).id)
    await ask("ana", "session add sales")
    root = await client.post(support.id, "*Berta*")
    # Whatever row there is of them: in this workspace, and in their own.
    for number, team in enumerate((slack.team_id, slack.person(user).team_id)):
        email = f"{user}{number}@example.org"
        await rows(
            "INSERT INTO users (id, tenant_id, email, role) SELECT %s, id, %s, 'AGENT' FROM tenants RETURNING 1",
            *(uuid4(), email),
        )
        await rows(
            "INSERT INTO slack_identities (id, tenant_id, user_id, slack_team_id, slack_user_id) "
            "SELECT %s, tenant_id, id, %s, %s FROM users WHERE email = %s ON CONFLICT DO NOTHING RETURNING 1",
            *(uuid4(), team, slack.person(user).id, email),
        )
    await rows(
        "INSERT INTO conversations (id, tenant_id, session_id, slack_team_id, slack_channel_id, slack_thread_ts) "
        "SELECT gen_random_uuid(), tenant_id, id, %s, %s, %s FROM waha_sessions RETURNING 1",
        *(slack.team_id, support.id, root),
    )
    await ask("gina", "whoami")

    slack.say(user, "support", "It leaves today.", root)
    await becomes(rows, "SELECT count(*) FROM slack_events WHERE kind = 'event'", [(1,)])

    def as_the_daemon_does() -> None:
        with migrated_database.owner():
            handle_slack_events()

    await in_database(as_the_daemon_does)
    [(text, told)] = await rows("SELECT payload->>'text', payload->>'user' FROM slack_posts WHERE kind = 'ephemeral'")
    assert text.startswith(f"Not sent to the customer: {reason}")
    assert text.endswith(KEPT_OUT)
    assert told == slack.person(user).id
    assert await rows("SELECT count(*) FROM messages") == [(0,)]


def looks(slack: SandboxSlack, user: str) -> int:
    """How often Slack was asked about somebody."""
    user_id = slack.person(user).id
    return sum(call.method == "users.info" and call.arguments.get("user") == user_id for call in slack.journal)


async def test_slack_is_asked_about_a_person_once_an_hour(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    for _ in range(3):
        await ask("ben", "whoami")
    assert looks(slack, "ben") == 1
    await forget_when(rows, "61 minutes")

    await ask("ben", "whoami")

    assert looks(slack, "ben") == 2


async def test_a_guest_who_becomes_a_full_member_waits_for_no_hour(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    await ask("gina", "whoami")
    slack.change_person("gina", guest=False, heard=False)
    await forget_when(rows, "61 seconds")

    assert "no role in any tenant" in await ask("gina", "whoami")


@pytest.mark.parametrize("fault", [{"status": 500}, {"hang": 5.0}, {"error": "ratelimited"}], ids=str)
async def test_while_slack_is_slow_or_away_what_it_said_before_counts(
    ask: Ask, slack: SandboxSlack, rows: Rows, fault: dict[str, Any]
) -> None:
    await ask("ana", "whoami")
    await forget_when(rows, "3 days")
    slack.fail("users.info", times=None, **fault)

    assert (await ask("ana", "user list")).startswith("*1 user of Acme*")
    # Of ben nothing was ever said, so that nothing is open to him but what is open to anybody.
    assert await ask("ben", "session list") == NOT_SAID
    assert (await ask("ben", "whoami")).startswith("You are @ben")


async def test_an_operator_is_let_in_while_slack_is_away(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    await rows("DELETE FROM slack_people RETURNING 1")
    slack.fail("users.info", status=500, times=None)

    assert (await ask("olga", "tenant list")).startswith("*1 tenant*")


def test_a_form_can_still_be_opened_after_the_look() -> None:
    assert LOOK_SECONDS < 3


async def test_whoever_only_replies_is_looked_up_again_after_nobody_listened(
    ask: Ask, slack: SandboxSlack, rows: Rows, bot_settings: BotSettings
) -> None:
    await ask("ana", "user add @ben AGENT")
    await ask("olga", "whoami")
    slack.change_person("ben", guest=True, heard=False)
    slack.change_person("olga", deleted=True, heard=False)
    await forget_when(rows, "61 seconds")
    # One of whom Slack says nothing keeps it from nobody else.
    await rows(
        "INSERT INTO slack_people (id, slack_team_id, slack_user_id, checked_at) "
        "VALUES (gen_random_uuid(), %s, 'UGONE', '2000-01-01'), (gen_random_uuid(), 'TELSEWHERE', 'UX', '2000-01-01') "
        "RETURNING 1",
        slack.team_id,
    )

    async with serving(bot_settings()):
        expected = [(slack.person("ben").id, "guest"), (slack.person("olga").id, "deactivated")]
        outside = "SELECT slack_user_id, outside FROM slack_people WHERE outside IS NOT NULL ORDER BY slack_user_id"
        await becomes(rows, outside, sorted(expected))
    assert "UX" not in [call.arguments.get("user") for call in slack.journal]


OUTSIDE = "SELECT slack_user_id, outside FROM slack_people WHERE outside IS NOT NULL ORDER BY slack_user_id"


@pytest.fixture
async def two_changed(ask: Ask, slack: SandboxSlack, rows: Rows) -> list[tuple[str, str]]:
    """Ben is a guest and olga deactivated, which nobody heard; ben waits longest to be looked up."""
    await ask("ana", "user add @ben AGENT")
    await ask("olga", "whoami")
    slack.change_person("ben", guest=True, heard=False)
    slack.change_person("olga", deleted=True, heard=False)
    await rows(
        "UPDATE slack_people SET checked_at = now() - interval '2 minutes' * (1 + (slack_user_id = %s)::int) "
        "RETURNING 1",
        slack.person("ben").id,
    )
    return [(slack.person("ben").id, "guest"), (slack.person("olga").id, "deactivated")]


@asynccontextmanager
async def a_roll_call(client_of: Callable[[str], SlackClient]) -> AsyncIterator[None]:
    roll_call = RollCall(client_of, lambda _team_id: True, retry_seconds=0.05)
    roll_call.after_gap()
    running = asyncio.create_task(roll_call.run())
    try:
        yield
    finally:
        running.cancel()


@pytest.mark.parametrize("fault", [{"status": 500}, {"hang": 5.0}, {"status": 429, "retry_after": 1}], ids=str)
async def test_one_of_whom_slack_says_nothing_holds_up_nobody_and_is_asked_about_again(
    slack: SandboxSlack, client: SlackClient, rows: Rows, two_changed: list[tuple[str, str]], fault: dict[str, Any]
) -> None:
    ben, olga = two_changed
    slack.fail("users.info", times=None, when=lambda arguments: arguments.get("user") == ben[0], **fault)

    async with a_roll_call(lambda _team_id: client):
        await becomes(rows, OUTSIDE, [olga])
        slack.heal()
        await becomes(rows, OUTSIDE, sorted([ben, olga]))

    # Who was answered for is not asked about again with the others.
    assert looks(slack, "olga") == 2


async def test_a_look_that_goes_wrong_is_not_the_last(
    client: SlackClient, rows: Rows, two_changed: list[tuple[str, str]]
) -> None:
    asked: list[str] = []

    def client_of(team_id: str) -> SlackClient:
        asked.append(team_id)
        if len(asked) == 1:
            raise KeyError(team_id)
        return client

    async with a_roll_call(client_of):
        await becomes(rows, OUTSIDE, sorted(two_changed))


@pytest.mark.parametrize("fault", [{"status": 500}, {"error": "user_not_found"}], ids=str)
async def test_whom_slack_says_nothing_of_is_not_asked_about_at_each_command(
    ask: Ask, slack: SandboxSlack, rows: Rows, capsys: pytest.CaptureFixture[str], fault: dict[str, Any]
) -> None:
    refused = "error" in fault
    await ask("ana", "whoami")
    before = looks(slack, "ana")
    await forget_when(rows, "2 hours")
    slack.fail("users.info", times=None, **fault)

    for _ in range(2):
        assert (await ask("ana", "user list")).startswith("*1 user of Acme*")

    assert looks(slack, "ana") == before + 1
    [said] = [line for line in capsys.readouterr().out.splitlines() if "who somebody is" in line]
    assert ("error " in said, "warning " in said, "next_step" in said) == (refused, not refused, refused)


async def test_what_slack_told_while_it_was_asked_is_not_taken_back(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    await ask("ana", "user add @ben AGENT")
    await forget_when(rows, "2 hours")
    before = looks(slack, "ben")
    slack.fail("users.info", latency=1.0)

    asking = asyncio.ensure_future(ask("ben", "whoami"))
    await eventually(lambda: looks(slack, "ben") > before)
    await rows(
        "UPDATE slack_people SET checked_at = clock_timestamp(), outside = 'guest' WHERE slack_user_id = %s "
        "RETURNING 1",
        slack.person("ben").id,
    )

    assert "You are a guest in this Slack workspace" in await asking


@pytest.mark.parametrize("typed", ["user add @ben MANAGER", "user role @ben MANAGER"])
async def test_another_role_lets_nobody_in_who_is_deactivated_and_that_is_said(
    ask: Ask, slack: SandboxSlack, typed: str
) -> None:
    await ask("ana", "user add @ben AGENT")
    await confirmed(slack, "ana", "user deactivate @ben", "Deactivate")

    assert await ask("ana", typed) == (
        "@ben was AGENT in *Acme*, is MANAGER now. They stay deactivated, so nothing lets them in: "
        "`/wa user activate @ben` does."
    )


async def test_a_change_that_slack_tells_is_kept_for_the_daemon(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    await ask("ana", "whoami")

    slack.change_person("ana", guest=True)

    await becomes(rows, "SELECT count(*) FROM slack_events WHERE kind = 'event'", [(1,)])
    await eventually(lambda: all(one.acknowledged for one in slack.state.events.deliveries))
