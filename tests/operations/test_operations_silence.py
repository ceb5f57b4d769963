"""Which sessions are taken for silent, in which order they are checked, and what is done; time is handed in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from database import tenant_transaction
from models import Conversation, DesiredState, Direction, IncidentKind, SessionStatus, Tenant, WahaSession
from operations import (
    canaries,
    catching_up,
    hearing,
    incidents,
    learning,
    missed_messages,
    silence,
    silence_recovered,
    silence_words,
    silent_sending,
    telling,
)
from operations.missed_messages import Missed
from operations.unacknowledged import UNCONFIRMED
from tests.operations.builders import World, said, take, together, webhook
from tests.operations.session_catch_ups import complete, lease_one
from waha.message_ids import SerializedId
from waha.payloads import ChatOverview

pytestmark = pytest.mark.usefixtures("server")

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
NOW = datetime.now(UTC)
REFUSED = "WhatsApp refused the message (400)."
DONE = "SELECT entry->>'what' FROM incidents, jsonb_array_elements(done) entry"
WATCH = "SELECT suspicion, named_at IS NOT NULL, restarted_at IS NOT NULL FROM session_watches"


@pytest.fixture
def session(world: World, tenant: Tenant) -> WahaSession:
    """A WhatsApp account that has worked for an hour."""
    return world.session(tenant, status_changed_at=NOW - HOUR)


def chat(chat_id: str, at: datetime) -> ChatOverview:
    return ChatOverview(chat_id, None, SerializedId(False, chat_id, f"3A{chat_id[:12]}"), at)


def check(at: datetime, *chats: ChatOverview) -> list[str]:
    """One turn at everything that is due, with what WAHA tells of each."""
    return [silence.record_chats(one, chats) for one in silence.lease("main", 10, now=at)]


def check_all(since: datetime, until: datetime, *chats: ChatOverview) -> None:
    at = since
    while at <= until:
        check(at, *chats)
        at += 10 * SECOND


def restarts(world: World) -> int:
    return int(world.value("SELECT count(*) FROM waha_actions WHERE kind = 'restart'"))


def done(world: World) -> list[str]:
    return [what for (what,) in world.sql(DONE)]


def sent(world: World, session: WahaSession, at: datetime, **more: Any) -> Conversation:
    """A reply in a conversation of its own that left at that time."""
    conversation = world.conversation(session)
    message = world.message(conversation, status="sent", sent_at=at, waha_message_id=f"3EB0{conversation.id.hex[:18]}")
    for column, found in more.items():
        world.sql(f"UPDATE messages SET {column} = %s WHERE id = %s", found, message.id)  # noqa: S608 - names of ours
    return conversation


# What is checked, and when.


@pytest.mark.usefixtures("session")
def test_a_session_is_checked_when_it_was_not_heard_for_two_minutes_and_then_every_four(world: World) -> None:
    check(NOW)
    world.sql("UPDATE session_watches SET heard_at = %s, next_check_at = %s", NOW, NOW)

    turns = [second for second in range(0, 900, 10) if check(NOW + second * SECOND)]

    assert turns == [120, 360, 600, 840]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": SessionStatus.FAILED},
        {"status": SessionStatus.STARTING},
        {"desired_state": DesiredState.STOPPED},
        {"deleted_at": NOW},
        {"server": "other"},
        {"status_changed_at": NOW - MINUTE},
    ],
)
def test_only_what_should_be_telling_is_checked(world: World, tenant: Tenant, changes: dict[str, Any]) -> None:
    world.session(tenant, **({"status_changed_at": NOW - HOUR} | changes))

    assert check(NOW) == []


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("state", ["down", "key_refused", "unknown"])
def test_a_server_that_does_not_answer_is_not_asked(world: World, state: str) -> None:
    world.sql("UPDATE waha_servers SET state = %s", state)

    assert check(NOW) == []


def test_a_server_is_asked_no_more_often_than_its_budget_allows(world: World, tenant: Tenant) -> None:
    for number in range(40):
        world.session(tenant, f"s{number}", status_changed_at=NOW - HOUR)

    turns = [len(silence.lease("main", 100, now=NOW + second * SECOND)) for second in range(12)]

    assert turns == [8, *([2] * 11)]


def test_two_daemons_spend_no_more_than_one(world: World, tenant: Tenant) -> None:
    for number in range(40):
        world.session(tenant, f"s{number}", status_changed_at=NOW - HOUR)
    silence.lease("main", 0, now=NOW)

    leased = together(*[lambda: silence.lease("main", 100, now=NOW)] * 4)

    sessions = [one.session_id for part in leased for one in part]
    assert len(sessions) == len(set(sessions)) == 8


def test_every_silent_session_that_the_budget_covers_comes_up_every_four_minutes(world: World, tenant: Tenant) -> None:
    names = [f"s{number}" for number in range(silence.sessions_within_promise())]
    for name in names:
        world.session(tenant, name, status_changed_at=NOW - HOUR)
    last: dict[str, datetime] = {}
    longest = timedelta(0)

    for second in range(0, 490, 2):
        at = NOW + second * SECOND
        for one in silence.lease("main", 10, now=at):
            name = one.external_session_id
            longest = max(longest, at - last.get(name, at))
            last[name] = at
            silence.record_chats(one, [])

    assert len(last) == len(names)
    assert longest <= silence.CHECK_EVERY + 10 * SECOND


def test_beyond_the_budget_the_most_unusual_silence_goes_first(world: World, tenant: Tenant) -> None:
    for name, usual in (("chatty", 180), ("quiet", 24 * 3600), ("middling", 3600)):
        session = world.session(tenant, name, status_changed_at=NOW - HOUR)
        silence.lease("main", 0, now=NOW)
        rhythm = "(SELECT jsonb_object_agg(hour, %s::int) FROM generate_series(0, 167) hour)"
        world.sql(f"UPDATE session_watches SET rhythm = {rhythm} WHERE session_id = %s", usual, session.id)  # noqa: S608

    leased = [silence.lease("main", 1, now=NOW + second * SECOND) for second in range(3)]

    assert [one.external_session_id.split("-")[0] for [one] in leased] == ["chatty", "middling", "quiet"]


@pytest.mark.usefixtures("session")
def test_a_check_that_was_lost_is_made_by_the_next_daemon_and_has_no_last_word(world: World) -> None:
    [lost] = silence.lease("main", 10, now=NOW)
    assert silence.lease("main", 10, now=NOW + 30 * SECOND) == []

    [taken] = silence.lease("main", 10, now=NOW + 61 * SECOND)
    silence.record_chats(taken, [])
    silence.record_chats(lost, [chat("49151@c.us", NOW - MINUTE)])

    assert world.sql(WATCH) == [(None, False, False)]


# What is heard.


def test_a_message_that_a_webhook_brings_is_heard_and_one_of_the_history_is_not(
    world: World, session: WahaSession
) -> None:
    silence.lease("main", 0, now=NOW)
    take(webhook(session, "message.any", said("Hello"), id="history_false_3A00"))
    assert world.value("SELECT heard_at FROM session_watches") is None

    take(webhook(session, "message.any", said("Hello again")))

    assert world.value("SELECT heard_at FROM session_watches") is not None


def test_the_echo_of_what_we_sent_does_not_prove_that_customers_are_heard(world: World, session: WahaSession) -> None:
    silence.lease("main", 0, now=NOW)
    conversation = sent(world, session, NOW)
    [(message_id, chat_id)] = world.sql(
        "SELECT waha_message_id, chat_id FROM messages WHERE conversation_id = %s", conversation.id
    )

    take(webhook(session, "message.any", said("It leaves today.", message_id, chat_id, from_me=True)))

    assert world.value("SELECT heard_at FROM session_watches") is None


def test_a_canary_that_is_told_is_heard_and_becomes_nobodys_message(world: World, session: WahaSession) -> None:
    silence.lease("main", 0, now=NOW)
    world.sql("UPDATE session_watches SET canary_id = '3EB0AB', canary_sent_at = %s", NOW)
    text, itself = hearing.canary_text("3EB0AB"), "4930901820@c.us"

    take(webhook(session, "message.any", said(text, "WAHAS-OWN-ID", itself, from_me=True)))

    assert world.sql("SELECT canary_id, canary_seen_at IS NOT NULL FROM session_watches") == [(None, True)]
    assert world.value("SELECT count(*) FROM messages") == 0
    assert world.value("SELECT count(*) FROM slack_posts") == 0
    assert world.value("SELECT count(*) FROM webhook_events WHERE parked_at IS NOT NULL") == 0


@pytest.mark.parametrize(("is_taken", "incidents_begun"), [(True, 1), (False, 0)])
def test_a_canary_that_waha_may_not_have_proves_nothing(
    world: World, session: WahaSession, *, is_taken: bool, incidents_begun: int
) -> None:
    world.sql("UPDATE waha_sessions SET limits = '{\"canary_minutes\": 30}' WHERE id = %s", session.id)
    [watched] = silence.lease("main", 1, now=NOW)
    canary_id = canaries.begin(watched)
    if is_taken:
        canaries.taken(watched, canary_id)

    # As after a crash: the lease ends, and whoever is next looks.
    [watched] = silence.lease("main", 1, now=NOW + 61 * SECOND)
    canaries.look(watched)

    assert world.value("SELECT count(*) FROM incidents") == incidents_begun
    assert world.value("SELECT canary_id FROM session_watches") is None


@pytest.mark.usefixtures("session")
def test_a_canary_in_the_history_was_not_missed() -> None:
    itself = said(hearing.canary_text("3EB0AB"), "3EB0AB", "4930901820@c.us", from_me=True)

    assert [one.text for one in missed_messages.unknown(lease_one(), [itself, said("Hello")])] == ["Hello"]


def test_what_waits_in_the_inbox_was_told(world: World, session: WahaSession) -> None:
    event = webhook(session, "message.any", said("Hello", "3A49151", "49151@c.us"))
    world.sql(
        "INSERT INTO webhook_events (id, server, session, event_id, event_name, lane, body) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s)",
        *(event.id, event.server, event.session, event.event_id, event.event_name, event.lane, event.body),
    )

    assert check(NOW, chat("49151@c.us", NOW - MINUTE)) == [""]


@pytest.mark.parametrize(("parked_days_ago", "word"), [(20, "suspected"), (0, "")])
def test_what_was_parked_since_it_was_written_was_told(
    world: World, session: WahaSession, parked_days_ago: int, word: str
) -> None:
    world.sql(
        "INSERT INTO webhook_events (id, server, session, event_id, event_name, lane, body, parked_at, created_at) "
        "VALUES (gen_random_uuid(), 'main', %s, 'e1', 'message.any', %s, '', now(), now() - %s)",
        *(session.external_session_id, f"{session.external_session_id}/49151@c.us", timedelta(days=parked_days_ago)),
    )

    assert check(NOW, chat("49151@c.us", NOW - MINUTE)) == [word]


def test_what_customers_wrote_while_we_were_away_is_nobodys_silence(world: World, session: WahaSession) -> None:
    as_before_a_stop_of_ours(world, session)
    catching_up.request(servers=["main"])
    back_at: datetime = world.value("SELECT requested_at FROM catch_ups")

    words = check(back_at + SECOND, chat("49151@c.us", back_at - MINUTE))
    leased = lease_one()
    named = silence_recovered.note(leased, [missed(back_at - MINUTE)], 1, now=back_at + 2 * SECOND)

    assert (words, leased.cause, named) == ([""], "switchboard", False)
    assert world.sql(WATCH) == [(None, False, False)]


@pytest.mark.parametrize(("written_seconds_ago", "word"), [(120, ""), (40, "suspected")])
def test_what_customers_wrote_while_their_server_was_away_is_nobodys_silence(
    world: World, session: WahaSession, written_seconds_ago: int, word: str
) -> None:
    as_before_a_stop_of_ours(world, session)
    world.sql("UPDATE waha_servers SET state_changed_at = %s", NOW - MINUTE)

    assert check(NOW, chat("49151@c.us", NOW - written_seconds_ago * SECOND)) == [word]


@pytest.mark.parametrize("is_read", [True, False])
def test_a_session_that_is_silent_after_we_came_back_is_named(
    world: World, session: WahaSession, *, is_read: bool
) -> None:
    as_before_a_stop_of_ours(world, session)
    catching_up.request(servers=["main"])
    back_at: datetime = world.value("SELECT requested_at FROM catch_ups")
    unread = chat("49151@c.us", back_at + SECOND)

    assert check(back_at + 40 * SECOND, unread) == ["suspected"]
    leased = lease_one()
    found = [missed(back_at - MINUTE), missed(back_at + SECOND)]
    named = is_read and silence_recovered.note(leased, found, 2, now=back_at + 41 * SECOND)
    check(back_at + 81 * SECOND, unread)

    assert (leased.cause, named) == ("switchboard", is_read)
    assert world.value("SELECT count(*) FROM incidents WHERE kind = 'silent'") == 1


def test_a_catch_up_that_fails_is_tried_no_sooner_because_a_check_finds_the_same_again(
    world: World, session: WahaSession
) -> None:
    as_before_a_stop_of_ours(world, session)
    unread = chat("49151@c.us", NOW - MINUTE)
    assert check(NOW, unread) == ["suspected"]
    catching_up.postpone(lease_one(), "WAHA failed inside.")
    pause = world.value("SELECT next_attempt_at FROM catch_ups")

    check(NOW + 10 * SECOND, unread)

    assert world.value("SELECT next_attempt_at FROM catch_ups") == pause


@pytest.mark.usefixtures("session")
def test_a_message_of_this_moment_is_looked_for_again_soon(world: World) -> None:
    fresh = chat("49151@c.us", NOW - 5 * SECOND)

    assert check(NOW, fresh) == [""]
    assert check(NOW + 36 * SECOND, fresh) == ["suspected"]


# What is done.


def test_where_no_webhook_of_a_server_arrives_the_way_is_named_and_nothing_restarted(
    world: World, tenant: Tenant
) -> None:
    for name in ("sales", "support", "returns"):
        world.session(tenant, name, status_changed_at=NOW - HOUR)
    unread = chat("49151@c.us", NOW - MINUTE)

    check_all(NOW, NOW + 4 * MINUTE, unread)

    causes = {cause for (cause,) in world.sql("SELECT cause FROM incidents WHERE kind = 'silent'")}
    assert [cause[:56] for cause in causes] == ["No webhook of server main has arrived since, though WAHA"]
    assert world.value("SELECT count(*) FROM incidents") == 3
    assert restarts(world) == 0


def test_where_another_session_tells_the_silent_ones_are_restarted(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    for name in ("support", "returns"):
        world.session(tenant, name, status_changed_at=NOW - HOUR)
    silence.lease("main", 0, now=NOW)
    take(webhook(session, "message.any", said("Hello")))
    world.sql("UPDATE session_watches SET heard_at = %s WHERE session_id = %s", NOW + HOUR, session.id)

    check_all(NOW, NOW + 4 * MINUTE, chat("49151@c.us", NOW - MINUTE))

    assert restarts(world) == 2


@pytest.mark.parametrize(("silent", "before_any_helps", "in_the_end"), [(2, 2, 2), (4, 1, 4)])
def test_silent_sessions_of_a_server_are_restarted_one_after_another(
    world: World, tenant: Tenant, session: WahaSession, silent: int, before_any_helps: int, in_the_end: int
) -> None:
    for number in range(silent):
        world.session(tenant, f"s{number}", status_changed_at=NOW - HOUR)
    silence.lease("main", 0, now=NOW)
    take(webhook(session, "message.any", said("Hello")))
    world.sql("UPDATE session_watches SET heard_at = %s WHERE session_id = %s", NOW + HOUR, session.id)
    asked: dict[int, int] = {}

    for second in range(0, 400, 5):
        check(NOW + second * SECOND, chat("49151@c.us", NOW - MINUTE))
        asked.setdefault(restarts(world), second)
        if second == 200:
            before_it_helps = restarts(world)
        if second >= 200:
            world.sql("UPDATE session_watches SET heard_at = restarted_at + interval '1 s' WHERE heard_at IS NULL")

    turns = [asked[number] for number in sorted(asked) if number]
    assert (before_it_helps, len(turns)) == (before_any_helps, in_the_end)
    assert all(later - earlier >= 30 for earlier, later in pairwise(turns))


def test_canaries_that_nobody_hears_restart_nothing_while_no_webhook_of_the_server_arrives(
    world: World, tenant: Tenant
) -> None:
    for name in ("sales", "support"):
        world.session(tenant, name, status_changed_at=NOW - HOUR, limits={"canary_minutes": 30})

    for second in range(0, 300, 5):
        for watched in silence.lease("main", 10, now=NOW + second * SECOND):
            if watched.is_canary_due and not canaries.look(watched) and (canary_id := canaries.begin(watched)):
                canaries.taken(watched, canary_id)
            silence.record_chats(watched, []) if watched.is_check_due else silence.give_back(watched)

    assert world.value("SELECT count(*) FROM incidents WHERE cause LIKE 'No webhook of server main%%'") == 2
    assert restarts(world) == 0


@pytest.mark.usefixtures("session")
def test_a_restart_that_was_never_made_proves_nothing_and_is_asked_for_again(world: World) -> None:
    check_all(NOW, NOW + 150 * SECOND, chat("49151@c.us", NOW - MINUTE))
    world.sql("UPDATE waha_actions SET parked_at = now(), error = 'Session `sales` could not be restarted.'")

    check_all(NOW + 160 * SECOND, NOW + 9 * MINUTE)
    world.sql("UPDATE waha_actions SET parked_at = now() WHERE parked_at IS NULL")
    check_all(NOW + 9 * MINUTE, NOW + 11 * MINUTE)

    assert restarts(world) >= 2
    assert done(world)[-2:] == ["A restart is asked for.", silence_words.NOT_MADE]
    assert world.value("SELECT count(*) FROM incidents WHERE ended_at IS NULL") == 1


@pytest.mark.usefixtures("session")
def test_a_restart_that_no_poll_saw_is_over_when_five_minutes_miss_nothing(world: World) -> None:
    check_all(NOW, NOW + 150 * SECOND, chat("49151@c.us", NOW - MINUTE))
    world.sql("UPDATE waha_actions SET done_at = now()")

    check_all(NOW + 160 * SECOND, NOW + 9 * MINUTE)

    assert restarts(world) == 1
    assert world.value("SELECT count(*) FROM incidents WHERE ended_at IS NULL") == 0


def test_what_a_person_stops_and_starts_and_stays_silent_is_named_again(world: World, session: WahaSession) -> None:
    check_all(NOW, NOW + 150 * SECOND, chat("49151@c.us", NOW - MINUTE))
    world.sql("UPDATE waha_sessions SET desired_state = 'stopped', status = 'stopped'")
    telling.look_after(session.tenant_id, operators=(), now=NOW + 160 * SECOND)
    assert world.value("SELECT count(*) FROM incidents WHERE ended_at IS NULL") == 0
    started = NOW + 170 * SECOND
    world.sql("UPDATE waha_sessions SET desired_state = 'running', status = 'working', status_changed_at = %s", started)

    check_all(NOW + 200 * SECOND, NOW + 9 * MINUTE, chat("49152@c.us", NOW + 3 * MINUTE))

    assert world.value("SELECT count(*) FROM incidents WHERE ended_at IS NULL") == 1
    assert restarts(world) == 1
    assert silence_words.NOT_AGAIN in done(world)


@pytest.mark.usefixtures("session")
def test_a_session_that_works_again_is_over_when_five_minutes_miss_nothing(world: World) -> None:
    check_all(NOW, NOW + 150 * SECOND, chat("49151@c.us", NOW - MINUTE))
    assert restarts(world) == 1
    world.sql("UPDATE waha_sessions SET status_changed_at = %s", NOW + 200 * SECOND)

    check_all(NOW + 160 * SECOND, NOW + 9 * MINUTE)

    assert world.value("SELECT count(*) FROM incidents WHERE ended_at IS NULL") == 0
    assert done(world)[-2:] == ["A restart is asked for.", "Nothing points to it any more since the restart."]


@pytest.mark.usefixtures("session")
def test_what_a_person_restarted_is_not_restarted_again(world: World) -> None:
    check_all(NOW, NOW + 50 * SECOND, chat("49151@c.us", NOW - MINUTE))
    world.sql("UPDATE waha_sessions SET status_changed_at = %s", NOW + 55 * SECOND)

    check_all(NOW + 60 * SECOND, NOW + 10 * MINUTE)

    assert restarts(world) == 0
    assert done(world)[-2:] == [
        "It was restarted by somebody else.",
        "Nothing points to it any more since the restart.",
    ]


@pytest.mark.usefixtures("session")
def test_what_was_given_up_is_over_when_a_person_has_mended_it(world: World) -> None:
    check_all(NOW, NOW + 150 * SECOND, chat("49151@c.us", NOW - MINUTE))
    world.sql("UPDATE waha_sessions SET status_changed_at = %s", NOW + 155 * SECOND)
    check_all(NOW + 160 * SECOND, NOW + 6 * MINUTE, chat("49152@c.us", NOW + 170 * SECOND))
    assert world.value("SELECT given_up_at IS NOT NULL FROM session_watches")
    world.sql("UPDATE waha_sessions SET status_changed_at = %s", NOW + 7 * MINUTE)

    check_all(NOW + 7 * MINUTE, NOW + 16 * MINUTE)

    assert restarts(world) == 1
    assert world.value("SELECT count(*) FROM incidents WHERE ended_at IS NULL") == 0


@pytest.mark.timeline("complaint/10")
def test_a_session_whose_messages_nobody_confirms_is_restarted_once_and_sends_again(
    world: World, session: WahaSession
) -> None:
    silence.lease("main", 0, now=NOW)
    for place in range(2):
        sent(world, session, NOW - (5 + place) * MINUTE, awaits_ack_since=NOW - MINUTE)
    assert silent_sending.look(["main"], now=NOW) == []
    sent(world, session, NOW - 4 * MINUTE, status="failed", error_message=UNCONFIRMED)

    assert silent_sending.look(["main"], now=NOW) == [session.id]
    assert silent_sending.look(["main"], now=NOW + 30 * SECOND) == []
    check_all(NOW, NOW + 2 * MINUTE)
    sent(world, session, NOW + 3 * MINUTE)
    check_all(NOW + 2 * MINUTE, NOW + 6 * MINUTE)

    assert world.sql("SELECT kind, cause FROM incidents") == [
        ("silent", "WhatsApp confirms nothing of what the session sends, in several chats.")
    ]
    assert done(world) == ["A restart is asked for.", "It sends again since the restart."]
    assert restarts(world) == 1
    assert world.value("SELECT count(*) FROM incidents WHERE ended_at IS NULL") == 0
    assert silent_sending.look(["main"], now=NOW + 7 * MINUTE) == []


def test_one_confirmed_message_proves_that_a_session_sends(world: World, session: WahaSession) -> None:
    silence.lease("main", 0, now=NOW)
    for place in range(4):
        sent(world, session, NOW - (5 + place) * MINUTE, awaits_ack_since=NOW - MINUTE)
    sent(world, session, NOW - 3 * MINUTE)

    assert silent_sending.look(["main"], now=NOW) == []


def test_where_no_session_of_a_server_is_confirmed_none_is_restarted(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    silence.lease("main", 0, now=NOW)
    for one in (session, world.session(tenant, "support", status_changed_at=NOW - HOUR)):
        silence.lease("main", 0, now=NOW)
        for place in range(3):
            sent(world, one, NOW - (5 + place) * MINUTE, awaits_ack_since=NOW - MINUTE)

    assert len(silent_sending.look(["main"], now=NOW)) == 2
    check_all(NOW, NOW + 5 * MINUTE)

    assert restarts(world) == 0
    assert world.value("SELECT count(*) FROM incidents WHERE cause LIKE '%%several sessions of server main%%'") == 2


@pytest.mark.timeline("complaint/14")
def test_a_session_whose_every_send_is_refused_is_restarted_once(world: World, session: WahaSession) -> None:
    silence.lease("main", 0, now=NOW)
    for place in range(3):
        conversation = world.conversation(session)
        world.message(conversation, attempts=2, error_message=REFUSED)
        tried = NOW - (1 + place) * MINUTE
        world.sql("UPDATE messages SET updated_at = %s WHERE conversation_id = %s", tried, conversation.id)

    assert silent_sending.look(["main"], now=NOW) == [session.id]
    check_all(NOW, NOW + 2 * MINUTE)
    world.sql("UPDATE waha_sessions SET status_changed_at = %s", NOW + 2 * MINUTE)
    assert restarts(world) == 1
    world.sql("UPDATE messages SET updated_at = %s", NOW + 3 * MINUTE)
    check_all(NOW + 3 * MINUTE, NOW + 20 * MINUTE)

    assert restarts(world) == 1
    assert "with the same error" in world.value("SELECT cause FROM incidents")
    assert [what[:23] for what in done(world)] == ["A restart is asked for.", "The restart has not hel"]


@pytest.mark.parametrize(
    "errors",
    [
        [REFUSED, REFUSED],
        [REFUSED, REFUSED, "WhatsApp refused the message (500)."],
        ["WAHA is not available (HTTP 502)."] * 3,
    ],
)
def test_other_errors_are_not_the_sessions_fault(world: World, session: WahaSession, errors: list[str]) -> None:
    silence.lease("main", 0, now=NOW)
    for error in errors:
        world.message(world.conversation(session), attempts=1, error_message=error)

    assert silent_sending.look(["main"], now=NOW + MINUTE) == []


# What is remembered.


@pytest.mark.parametrize(("ended", "recovered", "is_noted"), [(None, 3, True), (5, 0, True), (20, 3, False)])
def test_a_gap_that_had_an_incident_says_since_when_nobody_was_heard(
    world: World, session: WahaSession, ended: int | None, recovered: int, *, is_noted: bool
) -> None:
    silence.lease("main", 0, now=NOW)
    world.sql("UPDATE session_watches SET heard_at = %s", NOW - 50 * MINUTE)
    began, ended_at = NOW - 30 * MINUTE, NOW - (ended or 0) * MINUTE
    with tenant_transaction(session.tenant_id):
        incidents.begin(session.tenant_id, session.id, IncidentKind.FAILED, at=began)
    if ended is not None:
        world.sql("UPDATE incidents SET ended_at = %s", ended_at)
    leased = replace(lease_one(), cause="waha")

    named = silence_recovered.note(leased, [missed(NOW - 25 * MINUTE)] * bool(recovered), recovered, now=NOW)

    assert not named
    found = world.sql("SELECT blind_from, blind_to, recovered FROM incidents")
    until = leased.until if ended is None else ended_at
    assert found == [(began, until, recovered) if is_noted else (None, None, 0)]


def test_what_was_missed_while_a_server_was_away_stands_in_its_incident(world: World, session: WahaSession) -> None:
    began, ended = NOW - 30 * MINUTE, NOW - MINUTE
    world.sql(
        "INSERT INTO incidents (id, tenant_id, server, kind, began_at, ended_at) "
        "VALUES (gen_random_uuid(), %s, 'main', 'server_away', %s, %s)",
        *(session.tenant_id, began, ended),
    )
    leased = replace(lease_one(), cause="waha")

    silence_recovered.note(leased, [missed(NOW - 31 * MINUTE)], 1, now=NOW)
    silence_recovered.note(leased, [missed(NOW - 25 * MINUTE)], 2, now=NOW)

    assert world.sql("SELECT blind_from, blind_to, recovered FROM incidents") == [(NOW - 31 * MINUTE, ended, 3)]


@pytest.mark.parametrize(("heard_minutes_ago", "is_named"), [(30, True), (20, False)])
def test_what_a_quiet_look_recovers_names_a_session_that_has_told_nothing_since(
    world: World, session: WahaSession, heard_minutes_ago: int, *, is_named: bool
) -> None:
    silence.lease("main", 0, now=NOW)
    world.sql("UPDATE session_watches SET heard_at = %s", NOW - heard_minutes_ago * MINUTE)
    leased = replace(lease_one(), cause="quiet")

    assert silence_recovered.note(leased, [missed(NOW - 25 * MINUTE)], 1, now=NOW) is is_named

    assert world.value("SELECT count(*) FROM incidents WHERE kind = 'silent' AND recovered = 1") == is_named


def test_the_rhythm_is_learned_from_when_messages_were_written(world: World, session: WahaSession) -> None:
    silence.lease("main", 0, now=NOW)
    conversation, monday = world.conversation(session), datetime(2026, 11, 2, 9, tzinfo=UTC)
    for place in range(41):
        at = monday + place * 90 * SECOND
        written = world.message(
            conversation, direction=Direction.INBOUND, slack_ts=None, metadata={"timestamp": f"{at:%FT%T}Z"}
        )
        world.sql("UPDATE messages SET created_at = %s WHERE id = %s", monday + HOUR, written.id)
    world.sql("UPDATE waha_sessions SET created_at = %s", monday - 40 * HOUR)

    assert learning.learn_some(now=monday + 2 * HOUR) == 1
    assert learning.learn_some(now=monday + 25 * HOUR) == 0
    assert learning.learn_some(now=monday + 27 * HOUR) == 1

    rhythm = world.value("SELECT rhythm FROM session_watches")
    assert (rhythm["9"], len(rhythm)) == (180, 168)


def test_times_that_nothing_can_be_learned_from_keep_no_others_rhythm_back(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    silence.lease("main", 0, now=NOW)
    for times in ("2026-11-02T09:00:00Z", "20000-11-02T09:00:00Z"):
        world.message(world.conversation(session), direction=Direction.INBOUND, metadata={"timestamp": times})
    world.session(tenant, "other", status_changed_at=NOW - HOUR)
    silence.lease("main", 0, now=NOW)

    learned = learning.learn_some(now=NOW + HOUR)

    assert (learned, learning.learn_some(now=NOW + 2 * HOUR)) == (2, 0)
    rhythms = world.sql("SELECT rhythm <> '{}' FROM session_watches ORDER BY session_id = %s", session.id)
    assert rhythms == [(True,), (False,)]


def as_before_a_stop_of_ours(world: World, session: WahaSession) -> None:
    """All was read eight minutes ago, and nothing was heard since."""
    world.sql("UPDATE waha_servers SET state_changed_at = %s", NOW - HOUR)
    silence.lease("main", 0, now=NOW)
    complete(lease_one())
    before = NOW - 8 * MINUTE
    world.sql("UPDATE catch_ups SET caught_up_to = %s, requested_at = NULL, next_attempt_at = %s", before, before)
    world.sql("UPDATE waha_sessions SET caught_up_to = %s WHERE id = %s", before, session.id)
    world.sql("UPDATE session_watches SET heard_at = %s", before)


def missed(at: datetime) -> Missed:
    return Missed("3A01", False, ("49151@c.us",), at, "Hello", {})
