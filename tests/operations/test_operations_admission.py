"""Whether a message may leave now: the time is handed in, nothing sleeps."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from database import tenant_transaction
from models import Conversation, MessageStatus, Tenant, WahaSession, now_utc
from operations import admission, sending
from operations.hold_reasons import DAY_IS_FULL, QUIET_HOURS, UNANSWERED
from operations.sending import Leased
from settings import NumberSettings
from tests.operations.builders import CALL, LEASE, World, ids, lease_one, together

NOON = datetime(2027, 1, 12, 12, tzinfo=UTC)
NIGHT = datetime(2027, 1, 12, 23, tzinfo=UTC)
MORNING = datetime(2027, 1, 13, 7, tzinfo=UTC)
NUMBERS = NumberSettings(new_contacts_per_day=2)
QUIET: dict[str, Any] = {"quiet_from": "22:00:00", "quiet_to": "07:00:00"}
CHANCE = random.Random(1)  # noqa: S311 - no secret


def lease() -> Leased:
    [leased] = sending.lease(1, LEASE, is_human_like=True)
    return leased


def admitted(leased: Leased, now: datetime = NOON) -> bool:
    return admission.admit(leased, NUMBERS, now=now, chance=CHANCE)


def limit(world: World, **limits: Any) -> None:
    world.sql("UPDATE waha_sessions SET limits = limits || %s::jsonb", json.dumps(limits))


def hear(world: World, conversation: Conversation, at: datetime) -> None:
    world.sql("UPDATE conversations SET last_inbound_at = %s WHERE id = %s", at, conversation.id)


def begun(world: World, session: WahaSession, at: datetime) -> Conversation:
    """A chat that we began then, and that nobody answered."""
    conversation = world.conversation(session)
    world.sql("UPDATE conversations SET begun_at = %s WHERE id = %s", at, conversation.id)
    return conversation


def sent(world: World, conversation: Conversation, at: datetime) -> None:
    message = world.message(conversation, status=MessageStatus.SENT)
    world.sql("UPDATE messages SET sent_at = %s WHERE id = %s", at, message.id)


def when_due(world: World) -> Any:
    return world.value("SELECT next_attempt_at FROM messages WHERE status = 'queued'")


def test_a_reply_without_quiet_hours_is_free(world: World, conversation: Conversation) -> None:
    hear(world, conversation, NOON - timedelta(days=3))
    world.message(conversation)

    leased = lease()

    assert admission.is_free(leased)
    assert admitted(leased)


@pytest.mark.timeline("complaint/20")
def test_the_first_message_too_many_of_a_day_waits_for_the_next_day_and_says_so(
    world: World, session: WahaSession
) -> None:
    for hour in (1, 2):
        begun(world, session, NOON - timedelta(hours=hour))
    message = world.message(world.conversation(session), "Hello {stranger}")

    assert not admitted(lease())

    held = world.reload(message)
    assert (held.status, held.hold_reason) == (MessageStatus.QUEUED, DAY_IS_FULL)
    assert when_due(world) == datetime(2027, 1, 13, 8, tzinfo=UTC)  # not at midnight
    [text] = world.texts()
    assert "Hello {stranger}" in text
    assert "2 new contacts today" in text
    assert "leaves by itself" in text
    assert "session limits" in text


def test_what_was_begun_yesterday_or_by_another_session_does_not_count(world: World, tenant: Tenant) -> None:
    session, other = world.session(tenant, "one"), world.session(tenant, "two")
    for _ in range(2):
        begun(world, session, NOON - timedelta(hours=13))
        begun(world, other, NOON)
    world.message(world.conversation(session))

    assert admitted(lease())


def test_the_day_is_that_of_the_tenant(world: World, session: WahaSession) -> None:
    world.sql("""UPDATE tenants SET settings = '{"time_zone": "Europe/Berlin"}'""")
    for _ in range(2):
        begun(world, session, NOON)
    world.message(world.conversation(session))

    assert not admitted(lease())
    assert when_due(world) == datetime(2027, 1, 13, 7, tzinfo=UTC)  # eight in Berlin


def test_a_session_may_have_a_limit_of_its_own(world: World, session: WahaSession) -> None:
    limit(world, new_contacts_per_day=0)
    world.message(world.conversation(session))

    assert not admitted(lease())


def test_a_second_message_to_the_same_person_is_no_new_contact(world: World, session: WahaSession) -> None:
    conversation = begun(world, session, NOON - timedelta(hours=2))
    begun(world, session, NOON - timedelta(hours=3))
    world.message(conversation)

    assert admitted(lease())


def test_after_a_message_to_somebody_new_the_next_one_waits_and_replies_do_not(
    world: World, session: WahaSession
) -> None:
    first, second, known = (world.conversation(session) for _ in range(3))
    world.message(first)
    assert admitted(lease())
    [paced] = world.sql("SELECT paced_until, paced_until - %s FROM waha_sessions", NOON)
    assert timedelta(seconds=30) <= paced[1] <= timedelta(seconds=60)
    world.sql("UPDATE waha_sessions SET paced_until = now() + interval '1 minute'")

    world.message(second)
    hear(world, known, NOON)
    reply = world.message(known)

    assert ids(sending.lease(10, LEASE)) == [reply.id]
    world.sql("UPDATE waha_sessions SET paced_until = now() - interval '1 s'")
    assert lease().conversation_id == second.id


def test_what_took_its_turn_among_new_contacts_is_not_asked_whether_it_is_still_wanted(
    world: World, session: WahaSession
) -> None:
    message = world.message(world.conversation(session))
    world.sql("UPDATE messages SET created_at = now() - interval '2 hours'")
    assert lease().age > timedelta(hours=1)
    world.end_leases()

    world.sql("UPDATE waha_sessions SET paced_until = now() - interval '1 minute'")

    leased = lease()
    assert (leased.message_id, leased.is_confirmed) == (message.id, False)
    assert timedelta(minutes=1) <= leased.age < timedelta(minutes=2)


def test_what_could_not_leave_in_its_turn_is_as_old_as_that(world: World, conversation: Conversation) -> None:
    world.message(conversation)
    world.sql("UPDATE messages SET created_at = now() - interval '9 hours'")

    world.sql("UPDATE waha_sessions SET paced_until = now() - interval '5 hours'")

    assert timedelta(hours=5) <= lease().age < timedelta(hours=5, minutes=1)


def test_what_was_held_for_days_is_not_given_up_when_it_fails_at_the_time_it_was_promised_for(
    world: World, conversation: Conversation
) -> None:
    message = world.message(conversation)
    leased = lease()
    with tenant_transaction(leased.tenant_id):
        sending.put_off(leased, until=now_utc(), reason=DAY_IS_FULL)
    world.sql("UPDATE messages SET created_at = now() - interval '80 hours'")

    away = lease()
    sending.record_held(away, "WAHA cannot be reached.", pause=timedelta(0), give_up_after=timedelta(hours=72))

    assert world.reload(message).status is MessageStatus.QUEUED
    world.sql("UPDATE waha_sessions SET hold_until = NULL")
    assert lease().age < timedelta(minutes=1)


def test_what_could_not_leave_when_it_was_promised_for_is_as_old_as_that(
    world: World, conversation: Conversation
) -> None:
    world.message(conversation, hold_reason=QUIET_HOURS)
    world.sql("UPDATE messages SET created_at = now() - interval '15 hours'")
    world.sql("UPDATE messages SET promised_for = now() - interval '11 hours'")

    leased = lease()

    assert timedelta(hours=11) <= leased.age < timedelta(hours=11, minutes=1)
    assert not leased.is_confirmed


def test_of_two_that_are_leased_together_one_takes_the_turn(world: World, session: WahaSession) -> None:
    for _ in range(2):
        world.message(world.conversation(session))
    leased = sending.lease(10, LEASE, is_human_like=True)

    outcomes = together(*(lambda one=one: admitted(one) for one in leased))

    assert sorted(outcomes) == [False, True]
    assert world.texts() == []
    assert world.value("SELECT count(*) FROM conversations WHERE begun_at IS NOT NULL") == 1


def test_of_two_at_once_for_the_last_place_of_the_day_one_gets_it(world: World, session: WahaSession) -> None:
    limit(world, new_contacts_per_day=1)
    for _ in range(2):
        world.message(world.conversation(session))
    leased = sending.lease(10, LEASE, is_human_like=False)

    outcomes = together(*(lambda one=one: admitted(one) for one in leased))

    assert sorted(outcomes) == [False, True]
    assert len(world.texts()) == 1


@pytest.mark.timeline("complaint/20")
def test_four_messages_an_hour_without_an_answer_are_enough(world: World, session: WahaSession) -> None:
    conversation = begun(world, session, NOON - timedelta(hours=1))
    for minutes in (50, 40, 30, 20):
        sent(world, conversation, NOON - timedelta(minutes=minutes))
    world.message(conversation, "A fifth")

    assert not admitted(lease())

    assert when_due(world) == NOON + timedelta(minutes=40)
    assert world.value("SELECT hold_reason FROM messages WHERE status = 'queued'") == UNANSWERED
    [text] = world.texts()
    assert "4 messages within an hour" in text


def test_three_messages_an_hour_are_not_too_many(world: World, session: WahaSession) -> None:
    conversation = begun(world, session, NOON - timedelta(hours=3))
    for minutes in (70, 50, 40, 30):
        sent(world, conversation, NOON - timedelta(minutes=minutes))
    world.message(conversation)

    assert admitted(lease())


def test_at_night_a_reply_waits_for_the_morning_and_is_said_once(world: World, conversation: Conversation) -> None:
    limit(world, **QUIET)
    hear(world, conversation, NIGHT - timedelta(hours=2))
    message = world.message(conversation, "Good night")

    assert not admitted(lease(), NIGHT)

    assert world.reload(message).hold_reason == QUIET_HOURS
    assert when_due(world) == MORNING
    world.sql("UPDATE messages SET next_attempt_at = now()")
    assert not admitted(lease(), NIGHT + timedelta(hours=1))
    [text] = world.texts()
    assert "Good night" in text
    assert "quiet hours" in text
    assert "in the last 30 minutes is answered at once" in text
    world.sql("UPDATE messages SET next_attempt_at = now(), created_at = now() - interval '9 hours'")
    leased = lease()
    assert leased.age < timedelta(minutes=1)
    assert admitted(leased, MORNING)


def test_whoever_has_just_written_is_answered_at_night(world: World, conversation: Conversation) -> None:
    limit(world, **QUIET)
    hear(world, conversation, NIGHT - timedelta(minutes=29))
    world.message(conversation)

    assert admitted(lease(), NIGHT)


def test_what_a_person_sends_now_at_night_goes_now(world: World, conversation: Conversation) -> None:
    limit(world, **QUIET)
    hear(world, conversation, NIGHT - timedelta(hours=5))
    world.message(conversation, confirmed_at=NIGHT - timedelta(minutes=1))

    assert admitted(lease(), NIGHT)


def test_a_first_message_at_night_waits_even_if_a_person_wants_it_now(world: World, conversation: Conversation) -> None:
    limit(world, **QUIET)
    world.message(conversation, confirmed_at=NIGHT)

    assert not admitted(lease(), NIGHT)


def test_a_day_that_is_full_ends_with_its_quiet_hours(world: World, session: WahaSession) -> None:
    limit(world, new_contacts_per_day=0, **QUIET)
    world.message(world.conversation(session))

    assert not admitted(lease())
    assert when_due(world) == MORNING


@pytest.mark.parametrize("reason", [DAY_IS_FULL, UNANSWERED, QUIET_HOURS])
def test_who_writes_meanwhile_is_looked_at_again_at_once(world: World, conversation: Conversation, reason: str) -> None:
    message = world.message(conversation, hold_reason=reason)
    world.sql("UPDATE messages SET next_attempt_at = now() + interval '9 hours'")
    world.sql("UPDATE conversations SET sends_from = now() + interval '9 hours'")
    assert sending.lease(1, LEASE) == []

    world.sql("UPDATE conversations SET last_inbound_at = now()")

    assert lease_one().message_id == message.id


@pytest.mark.parametrize("limits", [{"new_contacts_per_day": 0}, QUIET])
def test_who_writes_while_it_is_decided_does_not_wait_for_the_morning(
    world: World, conversation: Conversation, limits: dict[str, Any]
) -> None:
    limit(world, **limits)
    message = world.message(conversation)
    leased = lease()
    hear(world, conversation, NIGHT)

    assert not admitted(leased, NIGHT)

    again = lease()
    assert (again.message_id, again.hold_reason) == (message.id, None)
    assert admitted(again, NIGHT)
    assert world.texts() == []


def test_what_was_tried_and_failed_is_not_hurried_by_an_answer(world: World, conversation: Conversation) -> None:
    world.message(conversation, hold_reason="WAHA is away.")
    world.sql("UPDATE messages SET next_attempt_at = now() + interval '9 hours'")

    world.sql("UPDATE conversations SET last_inbound_at = now()")

    assert sending.lease(1, LEASE) == []


def test_whoever_lost_the_lease_says_nothing(world: World, conversation: Conversation) -> None:
    limit(world, new_contacts_per_day=0)
    world.message(conversation)
    leased = lease()

    assert not admitted(replace(leased, lease_token=conversation.id))
    assert world.texts() == []


def test_a_lease_is_longer_by_the_time_of_typing_where_a_session_types(world: World, tenant: Tenant) -> None:
    for name, limits in (("as-set", {}), ("never", {"human_like": False}), ("always", {"human_like": True})):
        world.message(world.conversation(world.session(tenant, name, limits=limits)))

    def lengths(*, is_human_like: bool) -> set[tuple[bool, int]]:
        world.end_leases()
        found = sending.lease(10, LEASE, manners=timedelta(seconds=12), is_human_like=is_human_like)
        now = world.value("SELECT clock_timestamp()")
        return {(one.is_human_like, round((one.lease_expires_at - now).total_seconds())) for one in found}

    assert lengths(is_human_like=True) == {(True, 72), (False, 60)}
    assert lengths(is_human_like=False) == {(True, 72), (False, 60)}


def test_a_call_goes_to_the_chat_that_whatsapp_named(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)

    assert sending.begin(lease(), CALL, chat_id="551187654321@c.us")

    assert world.reload(message).chat_id == "551187654321@c.us"
