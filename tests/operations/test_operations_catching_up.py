"""What was missed on WhatsApp's side: found once, shown under one divider, whatever comes in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from models import Conversation, Tenant, WahaSession, uuid7
from operations import catching_up, missed_messages, webhook_inbox
from operations.catching_up import LeasedSession
from tests.operations.builders import (
    CUSTOMER,
    HIDDEN,
    World,
    also_known_as,
    handle_webhooks,
    said,
    take,
    webhook,
)

EVERY = timedelta(minutes=10)


@pytest.fixture(autouse=True)
def server(world: World) -> None:
    """The session's server answers."""
    columns = "id, name, state, start_timestamp, state_changed_at"
    world.sql(f"INSERT INTO waha_servers ({columns}) VALUES (%s, 'main', 'up', 1, now())", uuid4())  # noqa: S608


@pytest.fixture
def channel(world: World, tenant: Tenant) -> None:
    world.route(tenant)


def written(body: str, minutes_ago: float, message_id: str = "", chat_id: str = CUSTOMER, **more: Any) -> Any:
    """A row of the history."""
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return said(body, message_id, chat_id, **({"timestamp": int(at.timestamp())} | more))


def lease() -> list[LeasedSession]:
    return catching_up.lease_sessions(10, servers=["main"], every=EVERY)


def lease_one() -> LeasedSession:
    [leased] = lease()
    return leased


def recover(leased: LeasedSession, *history: Any) -> int:
    """As the daemon does with what WAHA's history has, without its network."""
    missed = missed_messages.unknown(leased, history)
    return sum(missed_messages.store(leased, group) for group in missed_messages.by_conversation(leased, missed))


def complete(leased: LeasedSession, account: str | None = None) -> bool:
    return catching_up.complete_session(leased, since=leased.since_of(account), account=account)


def catch_up(*history: Any) -> int:
    leased = lease_one()
    found = recover(leased, *history)
    complete(leased)
    handle_webhooks()
    return found


def end_pauses(world: World) -> None:
    world.sql("UPDATE catch_ups SET next_attempt_at = now() - interval '1 s'")


@pytest.mark.usefixtures("session", "channel")
def test_what_was_missed_stands_below_one_divider_in_its_order(world: World) -> None:
    found = catch_up(written("First", 20), written("Third", 3), written("Second", 10))

    [card, first, *following] = world.texts()
    divider, _, message = first.partition("\n")
    messages = [message, *following]
    assert found == 3
    assert "Replies in this thread" in card
    assert divider.startswith("— 3 messages recovered, written <!date^")
    assert divider.endswith("while Switchboard was not running. —")
    assert [text.rpartition(" ")[2] for text in messages] == ["First", "Second", "Third"]


def test_nothing_is_said_where_nothing_is_new(world: World, session: WahaSession, conversation: Conversation) -> None:
    take(webhook(session, "message.any", written("Known", 5, "3A01")))

    found = catch_up(written("Known", 5, "3A01"))

    assert found == 0
    assert len(world.texts()) == 1


def test_a_live_message_that_waits_in_the_inbox_is_not_counted(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    webhook_inbox.store([webhook(session, "message.any", written("On its way", 1, "3A01"))])

    found = catch_up(written("Missed", 15, "3A02"), written("On its way", 1, "3A01"))

    assert found == 1
    assert [text.rpartition(": ")[2] for text in world.texts()] == ["On its way", "Missed"]
    assert "1 message recovered" in world.texts()[1]


def test_a_webhook_that_comes_after_its_message_was_recovered_changes_nothing(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    row = written("Missed", 15, "3A02")
    catch_up(row)

    take(webhook(session, "message.any", row), webhook(session, "message", row))

    assert len(world.texts()) == 1


@pytest.mark.usefixtures("conversation", "channel")
def test_a_crash_in_the_middle_leaves_no_second_divider(world: World) -> None:
    history = [written("One", 20, "3A01"), written("Two", 19, "3A02"), written("Else", 18, "3A03", "4917@c.us")]
    first = lease_one()
    [group, _] = missed_messages.by_conversation(first, missed_messages.unknown(first, history))
    missed_messages.store(first, group)
    world.sql("UPDATE catch_ups SET lease_expires_at = now() - interval '1 s'")

    found = catch_up(*history)

    dividers = [text for text in world.texts() if "recovered" in text]
    assert found == 1
    assert [text.partition(" ")[2].partition(",")[0] for text in dividers] == [
        "2 messages recovered",
        "1 message recovered",
    ]
    assert len({text for text in world.texts() if text.endswith(("One", "Two", "Else"))}) == 3


@pytest.mark.usefixtures("conversation")
def test_storing_twice_is_storing_once(world: World) -> None:
    leased = lease_one()
    [group] = missed_messages.by_conversation(leased, missed_messages.unknown(leased, [written("One", 20)]))

    stored = [missed_messages.store(leased, group) for _ in range(2)]
    handle_webhooks()

    assert stored == [1, 0]
    assert len(world.texts()) == 1


@pytest.mark.usefixtures("session", "channel")
def test_a_customer_under_two_names_is_one_thread_with_one_divider(world: World) -> None:
    hidden = written("As a hidden id", 10, "3A01", HIDDEN)
    number = written("With a number", 9, "3A02", CUSTOMER, **also_known_as(HIDDEN))
    twin = written("As a hidden id", 10, "3A01", CUSTOMER)

    found = catch_up(hidden, number, twin)

    assert found == 2
    assert len([text for text in world.texts() if "2 messages recovered" in text]) == 1
    assert world.value("SELECT count(*) FROM conversations WHERE deleted_at IS NULL") == 1
    assert world.value("SELECT count(*) FROM messages") == 2


def test_what_is_older_than_a_day_is_kept_and_counted(world: World, conversation: Conversation) -> None:
    catch_up(written("Old", 25 * 60, "3A01"), written("Recent", 30, "3A02"))

    [shown] = world.texts()
    assert "2 messages recovered" in shown
    assert "1 older than a day is kept and not shown." in shown
    assert shown.endswith("Recent")
    assert world.sql("SELECT body FROM messages WHERE hold_reason LIKE 'older%%'") == [("Old",)]


@pytest.mark.usefixtures("conversation")
def test_stories_and_channels_are_nobodys_gap(world: World) -> None:
    found = catch_up(written("A story", 5, "3A01", "status@broadcast"), written("News", 5, "3A02", "1@newsletter"))

    assert (found, world.texts()) == (0, [])


def test_our_own_messages_are_known(world: World, conversation: Conversation) -> None:
    world.message(conversation, waha_message_id="3EB0AA", status="sent")

    assert catch_up(written("It leaves today.", 5, "3EB0AA", from_me=True)) == 0


def test_what_may_be_ours_under_an_id_of_wahas_is_not_called_recovered(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    world.sql("UPDATE waha_sessions SET engine = 'WEBJS'")
    message = world.message(conversation, waha_message_id="3EB0AA", send_started_at=datetime.now(UTC), body="Hello")

    found = catch_up(written("Hello", 5, "3EB0BB", from_me=True))

    assert (found, world.texts()) == (0, [])
    assert world.reload(message).status == "sent"


def test_what_was_written_on_the_phone_meanwhile_is_shown(world: World, conversation: Conversation) -> None:
    catch_up(written("From the phone", 5, "3EB0BB", from_me=True))

    assert world.texts()[-1].endswith("\n_Sent from the phone_: From the phone")


def test_receipts_that_were_missed_are_made_up_for(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    message = world.message(conversation, waha_message_id="3EB0AA", status="sent", sent_at=datetime.now(UTC))
    leased = lease_one()
    [waiting] = missed_messages.unacknowledged(leased)
    told = _told(written("It leaves today.", 5, waiting, from_me=True, ack=3))

    stored = [missed_messages.store_receipts(leased, [told]) for _ in range(2)]
    handle_webhooks()

    assert stored == [1, 0]
    assert world.reload(message).read_at is not None
    assert missed_messages.unacknowledged(leased) == []


def _told(row: Any) -> Any:
    from waha.messages import Message as WahaMessage  # noqa: PLC0415

    told = WahaMessage.parse(row)
    assert told is not None
    return told


@pytest.mark.usefixtures("session")
def test_one_daemon_at_a_time_reads_a_session() -> None:
    first = lease()

    assert (len(first), lease()) == (1, [])


@pytest.mark.usefixtures("session")
def test_a_lease_that_was_lost_has_no_last_word(world: World) -> None:
    lost = lease_one()
    world.sql("UPDATE catch_ups SET lease_expires_at = now() - interval '1 s'")
    lease_one()

    assert not complete(lost)
    assert not catching_up.renew(lost)
    assert world.value("SELECT caught_up_to FROM waha_sessions") is None


@pytest.mark.usefixtures("session")
def test_a_session_that_was_caught_up_with_rests_until_there_is_a_gap(world: World) -> None:
    complete(lease_one())
    earlier = "requested_at = requested_at - interval '11 s', caught_up_to = caught_up_to - interval '11 s'"
    world.sql(f"UPDATE catch_ups SET {earlier}")  # noqa: S608 - the pause
    end_pauses(world)
    complete(lease_one())
    end_pauses(world)

    assert lease() == []


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(
    ("gap", "cause"),
    [
        ("UPDATE waha_servers SET start_timestamp = 2", "waha"),
        ("UPDATE waha_servers SET state_changed_at = now()", "waha"),
        ("UPDATE waha_sessions SET status_changed_at = now()", "waha"),
        ("UPDATE catch_ups SET requested_at = now(), requested_for = 'switchboard'", "switchboard"),
        ("UPDATE catch_ups SET caught_up_to = now() - interval '11 minutes'", "quiet"),
    ],
)
def test_every_kind_of_gap_is_a_reason_to_read_again(world: World, gap: str, cause: str) -> None:
    complete(lease_one())
    world.sql("UPDATE catch_ups SET requested_at = NULL")
    end_pauses(world)
    assert lease() == []

    world.sql(gap)

    assert lease_one().cause == cause


@pytest.mark.usefixtures("session")
def test_after_a_gap_its_edge_is_read_once_more(world: World) -> None:
    first = lease_one()
    complete(first)
    assert lease() == []
    end_pauses(world)

    edge = lease_one()

    assert edge.cause == "waha"
    assert edge.until > first.until


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(
    "away",
    [
        "UPDATE waha_sessions SET status = 'starting'",
        "UPDATE waha_sessions SET deleted_at = now()",
        "UPDATE waha_servers SET state = 'down'",
        "UPDATE tenants SET deleted_at = now()",
    ],
)
def test_what_cannot_be_read_is_not_tried(world: World, away: str) -> None:
    world.sql(away)

    assert lease() == []


def test_the_history_before_the_pairing_is_nobodys_gap(world: World, session: WahaSession) -> None:
    paired = datetime.now(UTC) - timedelta(minutes=1)
    world.sql(
        "INSERT INTO session_checks (id, tenant_id, session_id, status, raw_status, source, observed_at) "
        "VALUES (%s, %s, %s, 'working', 'WORKING', 'poll', %s)",
        *(uuid7(), session.tenant_id, session.id, paired),
    )

    first = lease_one()
    complete(first, "4930901820@c.us")
    world.sql("UPDATE catch_ups SET next_attempt_at = now(), requested_at = now(), requested_for = 'switchboard'")
    second = lease_one()

    assert first.since_of("4930901820@c.us") == paired
    assert second.since_of("4930901820@c.us") == paired


def test_another_account_begins_anew(world: World, session: WahaSession) -> None:
    complete(lease_one(), "4930901820@c.us")
    world.sql("UPDATE waha_sessions SET status_changed_at = now()")
    end_pauses(world)

    again = lease_one()

    assert again.since_of("4930901820@c.us") < again.working_since
    assert again.since_of("4940555@c.us") == again.working_since


@pytest.mark.usefixtures("session")
def test_reading_begins_five_minutes_before_the_end_of_the_last(world: World) -> None:
    first = lease_one()
    complete(first)
    world.sql("UPDATE catch_ups SET begins_at = now() - interval '1 day'")
    end_pauses(world)

    assert lease_one().since == first.until - timedelta(minutes=5)


@pytest.mark.usefixtures("session")
def test_a_session_that_cannot_be_read_waits_longer_each_time(world: World) -> None:
    catching_up.postpone(lease_one(), "WAHA does not answer.")

    waits = "SELECT round(extract(epoch FROM next_attempt_at - now())) FROM catch_ups"
    assert (lease(), world.value(waits)) == ([], 5)
    end_pauses(world)
    catching_up.postpone(lease_one(), "WAHA does not answer.")

    assert world.value(waits) == 10


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(("minutes", "reads_again"), [(5, True), (20, False)])
def test_a_gap_soon_after_another_is_read_from_where_that_began(
    world: World, minutes: int, *, reads_again: bool
) -> None:
    complete(lease_one())
    hours_ago = datetime.now(UTC) - timedelta(hours=2)
    world.sql(
        "UPDATE catch_ups SET gap_since = %s, gap_read_at = now() - %s, begins_at = now() - interval '1 day', "
        "caught_up_to = now() - interval '2 min', requested_at = NULL",
        *(hours_ago, timedelta(minutes=minutes)),
    )

    world.sql("UPDATE waha_servers SET start_timestamp = 2")
    leased = lease_one()

    assert (leased.since == hours_ago) is reads_again
    complete(leased)
    assert (world.value("SELECT gap_since FROM catch_ups") == hours_ago) is reads_again


WAITS = "SELECT extract(epoch FROM next_attempt_at - now())::float FROM catch_ups"


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(
    ("is_asked", "least", "most"), [(False, 0, 3), (True, 200, 300)], ids=["ours ends", "Slack's stays"]
)
def test_a_gap_ends_a_pause_that_nobody_asked_for(world: World, *, is_asked: bool, least: int, most: int) -> None:
    leased = lease_one()
    world.sql("UPDATE catch_ups SET attempts = 6")
    catching_up.postpone(leased, "WAHA hangs.", pause=timedelta(minutes=5), is_asked=is_asked)

    catching_up.request(servers=["main"])

    assert least < world.value(WAITS) < most
    assert world.value("SELECT attempts FROM catch_ups") == 0


@pytest.mark.usefixtures("session")
def test_a_server_that_was_restarted_is_read_without_waiting_for_the_pause_before(world: World) -> None:
    catching_up.postpone(lease_one(), "WAHA hangs.", pause=timedelta(minutes=5))
    assert lease() == []

    world.sql("UPDATE waha_servers SET start_timestamp = 2")

    catching_up.postpone(lease_one(), "WAHA hangs.", pause=timedelta(minutes=5))
    assert lease() == []


@pytest.mark.usefixtures("session")
def test_a_daemon_that_starts_asks_for_its_servers_sessions(world: World) -> None:
    complete(lease_one())

    catching_up.request(servers=["main"])

    assert world.value("SELECT requested_at > caught_up_to FROM catch_ups")


def test_a_divider_is_shown_also_where_its_message_is_not(world: World, conversation: Conversation) -> None:
    catch_up(written("Old", 25 * 60, "3A01"), written("Older", 26 * 60, "3A02"))

    [divider] = world.texts()
    assert "2 messages recovered" in divider
    assert "2 older than a day are kept and not shown." in divider


def test_a_message_that_came_by_another_way_leaves_the_divider_to_the_others(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    leased = lease_one()
    history = [written("Came after all", 20, "3A01"), written("Missed", 19, "3A02")]
    [group] = missed_messages.by_conversation(leased, missed_messages.unknown(leased, history))
    missed_messages.store(leased, group)
    world.sql("UPDATE webhook_events SET next_attempt_at = now() + interval '1 minute'")
    take(webhook(session, "message.any", history[0] | {"id": f"false_{HIDDEN}_3A01"}))
    world.make_all_due()

    handle_webhooks()

    assert len([text for text in world.texts() if "Missed" in text]) == 1
    assert len([text for text in world.texts() if "2 messages recovered" in text]) == 1
