"""How close a number is to being restricted, and what is done and said about it; the time is handed in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import Conversation, HealthLevel, MessageStatus, WahaSession, now_utc
from operations import number_health, sending
from operations.number_health import LimitsTold
from operations.number_verdict import Figures, verdict_on
from settings import NumberSettings
from tests.operations.builders import LEASE, World, ids
from waha.payloads import Capping

NOW = datetime(2027, 1, 12, 12, tzinfo=UTC)
NUMBERS = NumberSettings(new_contacts_per_day=50)
LATER = NOW + timedelta(days=3)


def quota(used: int, status: str = "NONE", *, total: int | None = 1000, ends: datetime = LATER) -> Capping:
    return Capping(status, total, used, ends)


@pytest.mark.parametrize(
    ("figures", "level", "slow_factor", "said"),
    [
        (Figures(), HealthLevel.UNKNOWN, 1, ""),
        (Figures(begun=40, unanswered=20, sent=100), HealthLevel.GOOD, 1, ""),
        (Figures(begun=9, unanswered=9), HealthLevel.GOOD, 1, ""),
        (Figures(begun=10, unanswered=6), HealthLevel.WATCH, 1, "60 % of the 10 people"),
        (Figures(begun=10, unanswered=7), HealthLevel.WATCH, 1, "70 %"),
        (Figures(begun=40, unanswered=29), HealthLevel.SLOW, 2, "72 % of the 40 people"),
        (Figures(new_contacts=39, most_new_contacts=50), HealthLevel.GOOD, 1, ""),
        (Figures(new_contacts=40, most_new_contacts=50), HealthLevel.WATCH, 1, "40 of 50 new chats"),
        (Figures(sent=100, failed=6, sent_before=700, failed_before=21), HealthLevel.SLOW, 2, "6 of the 100 messages"),
        (Figures(sent=100, failed=5, sent_before=700, failed_before=21), HealthLevel.GOOD, 1, ""),
        (Figures(sent=19, failed=19, sent_before=700), HealthLevel.GOOD, 1, ""),
        (Figures(sent=100, failed=2, sent_before=700), HealthLevel.GOOD, 1, ""),
        (Figures(sent=100, failed=10), HealthLevel.SLOW, 2, "no week to compare"),
        (Figures(capping=quota(799)), HealthLevel.GOOD, 1, ""),
        (Figures(capping=quota(640, "FIRST_WARNING")), HealthLevel.WATCH, 1, "640 of 1000"),
        (Figures(capping=quota(800)), HealthLevel.SLOW, 2, "800 of 1000"),
        (Figures(capping=quota(100, "SECOND_WARNING")), HealthLevel.SLOW, 2, "nearly used up"),
        (Figures(capping=quota(1000, "CAPPED")), HealthLevel.STOPPED, 4, "used up: 1000 of 1000"),
        (Figures(capping=quota(1000, "CAPPED", ends=NOW)), HealthLevel.GOOD, 1, ""),
        (Figures(capping=quota(99_999, total=None)), HealthLevel.GOOD, 1, ""),
        (Figures(restricted_until=LATER), HealthLevel.STOPPED, 4, "no new chats until"),
        (Figures(restricted_until=NOW), HealthLevel.UNKNOWN, 1, ""),
        (Figures(begun=10, unanswered=10, sent=100, failed=50, capping=quota(900)), HealthLevel.SLOW, 4, "900 of 1000"),
    ],
)
def test_a_number_is_judged_by_its_figures(figures: Figures, level: HealthLevel, slow_factor: float, said: str) -> None:
    verdict = verdict_on(figures, now=NOW)

    assert (verdict.level, verdict.slow_factor) == (level, slow_factor)
    assert said in " ".join(verdict.reasons)
    assert bool(verdict.reasons) == (level not in {HealthLevel.GOOD, HealthLevel.UNKNOWN})


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100), st.integers(0, 1200))
def test_worse_figures_never_make_a_better_number(
    begun: int, unanswered: int, sent: int, failed: int, used: int
) -> None:
    order = list(HealthLevel)

    def verdict(more: int) -> Any:
        worse = min(unanswered + more, begun), min(failed + more, sent)
        capping = quota(used + more)
        return verdict_on(
            Figures(begun=begun, unanswered=worse[0], sent=sent, failed=worse[1], capping=capping), now=NOW
        )

    before, after = verdict(0), verdict(5)

    assert order.index(after.level) >= order.index(before.level)
    assert 1 <= before.slow_factor <= after.slow_factor <= 4


def begin_chats(world: World, session: WahaSession, *, answered: int, silent: int, at: datetime) -> None:
    for number in range(answered + silent):
        conversation = world.conversation(session)
        heard = at if number < answered else None
        world.sql(
            "UPDATE conversations SET begun_at = %s, last_inbound_at = %s WHERE id = %s", at, heard, conversation.id
        )


def send(world: World, conversation: Conversation, at: datetime, *, times: int, failed: int = 0) -> None:
    for number in range(times):
        status = MessageStatus.FAILED if number < failed else MessageStatus.DELIVERED
        message = world.message(conversation, status=status)
        world.sql("UPDATE messages SET sent_at = %s WHERE id = %s", at, message.id)


def measure_all(now: datetime) -> int:
    found = number_health.to_measure(now=now)
    for number in found:
        number_health.measure(number, NUMBERS, now=now)
    return len(found)


def measured(world: World, now: datetime = NOW) -> tuple[Any, ...]:
    world.sql("UPDATE waha_sessions SET last_activity_at = %s", now)
    measure_all(now)
    [row] = world.sql("SELECT level, slow_factor, new_contacts, unanswered_share FROM number_healths")
    return row


def incident(world: World) -> Any:
    rows = world.sql("SELECT cause, done, ended_at FROM incidents WHERE kind = 'number' ORDER BY began_at DESC LIMIT 1")
    return rows[0] if rows else None


@pytest.mark.timeline("complaint/20")
def test_sending_slows_down_by_itself_says_so_once_and_ends_when_people_answer(
    world: World, session: WahaSession
) -> None:
    begin_chats(world, session, answered=2, silent=8, at=NOW - timedelta(days=2))

    level, slow_factor, _, share = measured(world)
    measured(world, NOW + timedelta(minutes=2))

    assert (level, slow_factor, round(share, 2)) == ("slow", 2.0, 0.8)
    cause, done, ended_at = incident(world)
    assert "80 % of the 10 people" in cause
    assert "let customers write first" in cause
    assert [one["what"] for one in done] == ["Pauses between messages are 2 times as long."]
    assert ended_at is None
    assert world.value("SELECT count(*) FROM incidents") == 1

    world.sql("UPDATE conversations SET last_inbound_at = %s", NOW)
    after = NOW + timedelta(minutes=10)
    assert measured(world, after)[:2] == ("good", 1.0)
    assert incident(world)[2] == after


def test_whoever_was_just_written_to_has_not_declined_to_answer(world: World, session: WahaSession) -> None:
    begin_chats(world, session, answered=0, silent=20, at=NOW - timedelta(hours=3))

    assert measured(world) == ("good", 1.0, 20, None)


def test_a_pause_is_as_much_longer_as_the_number_is_slowed(world: World, session: WahaSession) -> None:
    begin_chats(world, session, answered=0, silent=10, at=NOW - timedelta(days=1))
    measured(world)
    world.message(world.conversation(session))

    [leased] = sending.lease(1, LEASE)

    assert leased.slow_factor == 2.0


def test_messages_that_whatsapp_does_not_take_any_more_slow_a_number_down(
    world: World, conversation: Conversation
) -> None:
    send(world, conversation, NOW - timedelta(days=3), times=40, failed=1)
    send(world, conversation, NOW - timedelta(hours=3), times=20, failed=4)

    assert measured(world)[0] == "slow"
    [row] = world.sql("SELECT ack_failure_share, ack_failure_share_before FROM number_healths")
    assert [round(share, 3) for share in row] == [0.2, 0.025]


@pytest.mark.timeline("complaint/13")
@pytest.mark.parametrize("capping", [None, quota(1000, "CAPPED", ends=now_utc() + timedelta(hours=5))])
def test_what_whatsapp_tells_stops_new_contacts_before_a_message_meets_it(
    world: World, session: WahaSession, capping: Capping | None
) -> None:
    now = now_utc()
    stranger, known = world.conversation(session), world.conversation(session)
    world.sql("UPDATE conversations SET last_inbound_at = now() WHERE id = %s", known.id)
    waits, reply = world.message(stranger), world.message(known)
    until = None if capping else now + timedelta(hours=5)

    number_health.record_told("main", [LimitsTold(session.external_session_id, until, capping)], now=now)

    assert measured(world, now)[0] == "stopped"
    assert ids(sending.lease(10, LEASE)) == [reply.id]
    cause, done, _ = incident(world)
    assert "write to nobody new before it ends" in cause
    assert [one["what"] for one in done] == ["Messages to people who never wrote wait; replies leave as always."]
    assert world.reload(waits).status is MessageStatus.QUEUED
    world.end_leases()
    world.sql("UPDATE waha_sessions SET restricted_until = now() - interval '1 s'")
    over = now + timedelta(hours=6)
    assert measured(world, over)[0] in {"good", "unknown"}
    assert incident(world)[2] == over


def test_a_quota_without_an_end_stops_new_contacts_for_as_long_as_it_is_told(
    world: World, session: WahaSession
) -> None:
    now = now_utc()
    capped = Capping("CAPPED", 1000, 1000, None)
    number_health.record_told("main", [LimitsTold(session.external_session_id, None, capped)], now=now)
    left = "SELECT restricted_until - now() > interval '23 hours 59 minutes' FROM waha_sessions"

    measured(world, now)
    assert world.value(left)
    world.sql("UPDATE waha_sessions SET restricted_until = now() + interval '59 minutes'")
    measured(world, now + timedelta(minutes=2))

    assert world.value(left)
    world.message(world.conversation(session))
    number_health.record_told("main", [LimitsTold(session.external_session_id, None, None)], now=now)
    world.sql("UPDATE waha_sessions SET restricted_until = now() - interval '1 s'")
    assert measured(world, now + timedelta(minutes=4))[0] == "unknown"
    assert len(sending.lease(10, LEASE)) == 1


def test_what_is_told_of_another_servers_session_is_not_taken(world: World, session: WahaSession) -> None:
    told = LimitsTold(session.external_session_id, NOW, None)

    assert number_health.record_told("other", [told], now=NOW) == 0
    assert number_health.record_told("main", [told], now=NOW) == 1
    assert number_health.told_before("main") == [told]


def test_a_number_in_which_nothing_happened_is_not_measured_again(world: World, session: WahaSession) -> None:
    assert measure_all(NOW) == 0
    world.sql("UPDATE waha_sessions SET last_activity_at = %s", NOW - timedelta(minutes=1))

    assert measure_all(NOW) == 1
    assert measure_all(NOW + timedelta(minutes=10)) == 0
    assert measure_all(NOW + timedelta(hours=7)) == 1
