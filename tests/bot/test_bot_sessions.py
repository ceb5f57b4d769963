"""What people do about a session, and what they read before it is done."""

from __future__ import annotations

import pytest

from sandbox.slack import SandboxSlack, Wait
from tests.bot.conftest import Ask, Rows

pytestmark = [pytest.mark.database_role("switchboard_bot"), pytest.mark.usefixtures("acme")]


async def click(slack: SandboxSlack, label: str) -> str:
    """Answer the newest question to ana."""
    shown = slack.ephemerals("ana")[-1]
    answer = await slack.click("ana", shown, label, wait=Wait(until=lambda answer: bool(answer.messages)))
    return slack.read(answer.messages[-1])


async def test_a_log_out_is_asked_back_with_what_is_lost(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    await ask("ana", "session add sales")

    question = await ask("ana", "session logout sales")
    asked = await rows("SELECT count(*) FROM waha_actions")
    done = await click(slack, "Log out")

    assert question.startswith("Log session `sales` out of its phone? Its pairing is lost:")
    assert "`/wa session restart sales` is enough." in question
    assert asked == [(0,)]
    assert done.startswith("Session `sales` is being logged out of its phone.")
    assert await rows("SELECT kind, slack_user_id FROM waha_actions") == [("logout", slack.person("ana").id)]


async def test_a_removal_is_asked_back_and_frees_the_name_and_the_channel(
    ask: Ask, slack: SandboxSlack, rows: Rows
) -> None:
    await ask("ana", "session add sales")
    await ask("ana", "channel link #support --session sales")

    question = await ask("ana", "session remove sales")
    done = await click(slack, "Remove")
    again = await ask("ana", "session add sales")

    assert question.startswith("Remove session `sales`? Its pairing is lost and WAHA forgets it;")
    assert "`/wa session stop sales` is enough." in question
    assert done.startswith("Session `sales` was removed. WAHA is told to forget it;")
    assert again.startswith("Session `sales` was added")
    assert await rows("SELECT deleted_at IS NULL, desired_state FROM waha_sessions ORDER BY created_at") == [
        (False, "stopped"),
        (True, "running"),
    ]
    assert await rows("SELECT count(*) FROM channel_routes WHERE deleted_at IS NULL") == [(0,)]
    assert await rows("SELECT kind FROM waha_actions") == [("remove",)]


async def test_only_an_operator_takes_a_session_over_and_is_asked_back(
    ask: Ask, slack: SandboxSlack, rows: Rows
) -> None:
    refused = await ask("ana", "session adopt shop-1")

    question = await ask("olga", "session adopt shop-1 --as shop --tenant Acme")
    shown = slack.ephemerals("olga")[-1]
    await slack.click("olga", shown, "Take over", wait=Wait(until=lambda answer: bool(answer.messages)))
    again = await ask("olga", "session adopt shop-1 --as other --tenant Acme")
    await slack.click("olga", slack.ephemerals("olga")[-1], "Take over", wait=Wait(until=lambda a: bool(a.messages)))

    assert refused.startswith("`/wa session adopt` is for operators of this installation.")
    assert question.startswith("Take over session `shop-1` of WAHA server `main` for *Acme*?")
    assert again.startswith("Take over session")
    assert slack.read(slack.ephemerals("olga")[-1]).startswith("WAHA's session `shop-1` is or was a session of this")
    not_due = "SELECT name, external_session_id, next_control_at > now() + interval '1 year' FROM waha_sessions"
    assert await rows(not_due) == [("shop", "shop-1", True)]
    assert await rows("SELECT kind FROM waha_actions") == [("adopt",)]


async def test_a_session_that_is_still_to_be_taken_over_can_only_be_given_up(
    ask: Ask, slack: SandboxSlack, rows: Rows
) -> None:
    await ask("olga", "session adopt shop-1 --as shop --tenant Acme")
    await slack.click("olga", slack.ephemerals("olga")[-1], "Take over", wait=Wait(until=lambda a: bool(a.messages)))

    refused = await ask("ana", "session logout shop")
    question = await ask("ana", "session remove shop")
    done = await click(slack, "Remove")

    assert refused.startswith("Session `shop` is still being taken over from WAHA server `main`;")
    assert refused.endswith("give it up: `/wa session remove shop`.")
    assert question.startswith("Give up taking over session `shop`? On its WAHA server nothing is done to it.")
    assert done.startswith("Session `shop` is not taken over any more;")
    assert await rows("SELECT kind, parked_at IS NOT NULL FROM waha_actions") == [("adopt", True)]


async def test_a_proxy_is_entered_in_a_form_and_its_password_is_never_shown(
    ask: Ask, slack: SandboxSlack, rows: Rows
) -> None:
    await ask("ana", "session add sales")
    await slack.command("ana", "general", "/wa session proxy", Wait(until=lambda _: slack.modal("ana") is not None))

    entered = {"Name": "sales", "Host and port, or none": "proxy.example.org:3128", "User": "acme", "Password": "Pq7x"}
    await slack.submit(
        "ana", entered, wait=Wait(until=lambda _: "is to go to" in slack.read(slack.ephemerals("ana")[-1]))
    )
    shown = await ask("ana", "session show sales")

    assert "Proxy: proxy.example.org:3128 as acme." in shown
    for table in ("waha_sessions", "waha_actions", "audit_entries", "slack_posts"):
        [(kept,)] = await rows(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t")  # noqa: S608
        assert "Pq7x" not in kept, table
    assert await rows("SELECT config -> 'proxy' ->> 'server' FROM waha_sessions") == [("proxy.example.org:3128",)]


async def test_a_password_in_the_address_of_a_proxy_is_not_repeated(ask: Ask, rows: Rows) -> None:
    await ask("ana", "session add sales")

    refused = await ask("ana", "session proxy sales acme:hunter2@proxy")

    assert "hunter2" not in refused
    assert "A user and a password have fields of their own" in refused
    assert await rows("SELECT count(*) FROM waha_actions") == [(0,)]


async def test_a_proxy_without_a_port_is_refused(ask: Ask, rows: Rows) -> None:
    await ask("ana", "session add sales")

    refused = await ask("ana", "session proxy sales proxy.example.org")

    assert "is not the address of a proxy. It is a host and a port, such as `proxy.example.org:3128`" in refused
    assert await rows("SELECT count(*) FROM waha_actions") == [(0,)]


async def test_a_list_has_pages_with_numbers_and_servers(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    await ask("ana", "session add s00")
    await rows(
        "INSERT INTO waha_sessions (id, tenant_id, external_session_id, name, server, metadata) "
        "SELECT gen_random_uuid(), tenant_id, 'x' || n, 's' || lpad(n::text, 2, '0'), 'main', "
        """'{"me_id": "4915123456789@c.us"}' FROM waha_sessions, generate_series(1, 44) n RETURNING 1"""
    )

    first = await ask("ana", "session list")
    second = await click(slack, "Next")
    back = await click(slack, "Back")

    assert first.startswith("*Sessions of Acme*, 1 to 40 of 45")
    assert "• `s01` ⚪ stopped" in first
    assert "queue empty, +4915••••••789 on `main`" in first
    assert "4915123456789" not in first
    assert second.startswith("*Sessions of Acme*, 41 to 45 of 45")
    assert back == first


async def test_a_history_tells_what_was_seen_who_asked_and_how_long_it_worked(
    ask: Ask, slack: SandboxSlack, rows: Rows
) -> None:
    await ask("ana", "session add sales")
    seen = (
        "INSERT INTO session_checks (id, tenant_id, session_id, status, raw_status, source, observed_at) "
        "SELECT gen_random_uuid(), tenant_id, id, %s, %s, 'webhook', now() - %s::interval FROM waha_sessions "
        "RETURNING 1"
    )
    await rows(seen, "working", "WORKING", "12 hours")
    await rows(seen, "failed", "FAILED", "3 hours")
    await rows(
        "INSERT INTO incidents (id, tenant_id, session_id, kind, cause, began_at, ended_at) SELECT gen_random_uuid(), "
        "tenant_id, id, 'failed', 'Logged out on the phone.', now() - interval '3 hours', now() - interval '1 hour' "
        "FROM waha_sessions RETURNING 1"
    )
    for _ in range(14):
        await rows(seen, "starting", "STARTING", "13 hours")

    page = await ask("ana", "session history sales")
    older = await click(slack, "Older")

    assert "In the last 24 hours: 9 h 0 min working, 4 h 0 min not (69.2%)." in page
    newest_first = [page.index(words) for words in ("added the session", "trouble ended", "🔴 failed", "🟢 works")]
    assert newest_first == sorted(newest_first)
    assert "❗ trouble began: it failed. Likely: Logged out on the phone." in page
    assert page.count("🟡 starts") + older.count("🟡 starts") == 14
    assert "🟢 works" not in older


LINKED = '{"me_id": "4915123456789@c.us"}'


@pytest.mark.parametrize(
    ("metadata", "restarts", "says"),
    [
        ("{}", 0, "No phone is linked to it, so no restart helps. Link its phone: `/wa session qr sales`."),
        (LINKED, 1, "It is restarted by itself. If that does not help: look whether WhatsApp"),
        (LINKED, 3, "Restarting it by itself did not help today: look whether WhatsApp is"),
    ],
)
async def test_what_helps_a_session_that_failed_is_said(
    ask: Ask, rows: Rows, metadata: str, restarts: int, says: str
) -> None:
    await ask("ana", "session add sales")
    await rows(
        "UPDATE waha_sessions SET status = 'failed', metadata = %s, restarts = %s, "
        "restarts_on = (now() AT TIME ZONE 'UTC')::date RETURNING 1",
        metadata,
        restarts,
    )

    shown = await ask("ana", "session show sales")

    assert shown.splitlines()[-1].startswith(says)
    assert shown.endswith("`/wa session restart sales`.") == (metadata == LINKED)


async def test_what_is_set_and_wrong_is_shown_a_line_each(ask: Ask, rows: Rows) -> None:
    await ask("ana", "session add sales")
    bare = await ask("ana", "session show sales")
    await rows(
        "UPDATE waha_sessions SET restarts = 2, restarts_on = (now() AT TIME ZONE 'UTC')::date, "
        """metadata = '{"me_id": "4915123456789@c.us"}', """
        """limits = '{"new_contacts_per_day": 20, "quiet_from": "22:00", "quiet_to": "07:00", "canary_minutes": 30}' """
        "RETURNING 1"
    )
    await rows(
        "INSERT INTO incidents (id, tenant_id, session_id, kind, cause, began_at) "
        "SELECT gen_random_uuid(), tenant_id, id, 'stuck', 'It starts and works in turns.', now() FROM waha_sessions "
        "RETURNING 1"
    )

    full = await ask("ana", "session show sales")

    assert bare.count("\n") == 2
    for line in (
        "`stuck`: It starts and works in turns.",
        "Restarted by itself 2 times today.",
        "Linked to +4915",
        "It writes to at most 20 new contacts a day.",
        "Quiet hours: 22:00 to 07:00.",
        "It writes to itself every 30 minutes",
    ):
        assert line in full
