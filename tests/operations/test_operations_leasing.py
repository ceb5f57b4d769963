from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from database import database, tenant_transaction, transaction
from models import Conversation, Message, MessageStatus, Tenant, WahaSession, uuid7
from operations import sending
from operations.queueing import SlackOrigin, queue
from operations.sending import Leased
from tests.operations.builders import CALL, CUSTOMER, LEASE, SUPPORT, TEAM, World, beside, ids, lease_one, together


def reply(session: WahaSession, conversation: Conversation, number: int) -> None:
    origin = SlackOrigin(TEAM, SUPPORT, f"{1_800_000_000 + number}.000000", "UANA")
    with tenant_transaction(session.tenant_id):
        queue(conversation, session, chat_id=CUSTOMER, body=str(number), message_id=uuid7(), origin=origin)


def test_one_message_of_a_conversation_is_in_flight_at_a_time(world: World, conversation: Conversation) -> None:
    first, second = world.message(conversation, "1"), world.message(conversation, "2")

    leased = lease_one()
    meanwhile = sending.lease(10, LEASE)
    sending.record_sent(leased, waha_message_id=leased.waha_message_id)

    assert leased.message_id == first.id
    assert meanwhile == []
    assert lease_one().message_id == second.id


def test_a_lease_gives_all_that_the_call_needs(world: World, session: WahaSession, conversation: Conversation) -> None:
    message = world.message(conversation, "It leaves today.")

    leased = lease_one()

    assert (leased.message_id, leased.body, leased.chat_id) == (message.id, "It leaves today.", CUSTOMER)
    assert leased.external_session_id == session.external_session_id
    assert leased.waha_message_id.startswith("3EB0")
    assert len(leased.waha_message_id) == 22
    assert leased.send_started_at is None


def test_the_whatsapp_id_stays_the_same_however_often_a_message_is_leased(
    world: World, conversation: Conversation
) -> None:
    world.message(conversation)

    first = lease_one()
    world.end_leases()
    second = lease_one()

    assert second.waha_message_id == first.waha_message_id
    assert second.lease_token != first.lease_token


def test_a_head_that_waits_holds_up_its_own_conversation_only(world: World, session: WahaSession) -> None:
    slow, quick = world.conversation(session), world.conversation(session)
    world.message(slow, "1")
    world.message(slow, "2")
    other = world.message(quick, "3")
    world.sql("UPDATE messages SET next_attempt_at = now() + interval '1 hour' WHERE body = '1'")

    leased = sending.lease(10, LEASE)

    assert ids(leased) == [other.id]


def test_an_account_has_only_so_many_in_flight(world: World, session: WahaSession) -> None:
    for _ in range(sending.PER_SESSION + 2):
        world.message(world.conversation(session))

    first, second = sending.lease(50, LEASE), sending.lease(50, LEASE)

    assert (len(first), len(second)) == (sending.PER_SESSION, 0)


def test_a_busy_session_does_not_keep_a_quiet_one_waiting(world: World, tenant: Tenant) -> None:
    sessions = [world.session(tenant, name) for name in ("one", "two", "three")]
    for session in sessions:
        for _ in range(3):
            world.message(world.conversation(session))
    longest = world.message(world.conversation(sessions[1]))
    world.sql("UPDATE messages SET next_attempt_at = now() - interval '1 minute' WHERE id = %s", longest.id)

    leased = sending.lease(1, LEASE)

    assert ids(leased) == [longest.id]


@pytest.mark.parametrize(
    "not_now",
    [
        "UPDATE waha_sessions SET status = 'scan_qr'",
        "UPDATE waha_sessions SET deleted_at = now()",
        "UPDATE waha_sessions SET hold_until = now() + interval '1 minute'",
        "UPDATE tenants SET status = 'inactive'",
        "UPDATE tenants SET deleted_at = now()",
        "UPDATE messages SET parked_at = now()",
        "UPDATE messages SET next_attempt_at = now() + interval '1 minute'",
        "UPDATE messages SET direction = 'inbound', status = 'queued'",
        "UPDATE messages SET status = 'failed'",
    ],
)
def test_what_may_not_leave_now_is_not_leased(world: World, conversation: Conversation, not_now: str) -> None:
    world.message(conversation)
    world.sql(not_now)

    assert sending.lease(10, LEASE) == []


def test_a_lease_that_ran_out_is_leased_again_and_says_that_the_call_had_begun(
    world: World, conversation: Conversation
) -> None:
    world.message(conversation)
    leased = lease_one()
    assert sending.begin(leased, CALL)
    world.end_leases()

    again = lease_one()

    assert again.message_id == leased.message_id
    assert again.send_started_at is not None


def test_a_daemon_leases_only_for_servers_that_it_knows(world: World, conversation: Conversation) -> None:
    world.message(conversation)

    assert sending.lease(10, LEASE, servers=["another"]) == []
    assert len(sending.lease(10, LEASE, servers=["main"])) == 1


def test_what_two_write_and_three_send_leaves_once_and_in_the_order_of_the_commits(
    world: World, session: WahaSession
) -> None:
    conversations = [world.conversation(session) for _ in range(8)]
    total = 2 * 160
    left: list[Leased] = []

    def write(writer: int) -> None:
        for number in range(160):
            reply(session, conversations[number % 8], 1000 * writer + number)

    def send() -> None:
        while len(left) < total:
            for leased in sending.lease(4, LEASE):
                assert sending.begin(leased, CALL)
                left.append(leased)
                assert sending.record_sent(leased, waha_message_id=leased.waha_message_id)

    together(partial(write, 1), partial(write, 2), send, send, send)

    seq_of = dict(world.sql("SELECT id, seq FROM messages"))
    assert len(left) == len(set(ids(left))) == total
    for conversation in conversations:
        order = [seq_of[leased.message_id] for leased in left if leased.conversation_id == conversation.id]
        assert order == sorted(order) == list(range(1, 41))


def test_two_daemons_never_lease_the_same_message(world: World, tenant: Tenant) -> None:
    for name in ("one", "two", "three"):
        session = world.session(tenant, name)
        for _ in range(4):
            world.message(world.conversation(session))

    leased = together(*[partial(sending.lease, 12, LEASE) for _ in range(4)])

    found = [message_id for some in leased for message_id in ids(some)]
    assert len(found) == len(set(found)) == 12


def test_a_message_that_is_being_queued_hides_no_other_from_the_sender(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    """An insert holds a share lock on its conversation, by the foreign key; claiming has to pass that."""
    message = world.message(conversation)

    with tenant_transaction(session.tenant_id):
        Message.create(
            tenant_id=session.tenant_id,
            session_id=session.id,
            conversation_id=conversation.id,
            direction="inbound",
            status=MessageStatus.DELIVERED,
        )
        [leased] = together(partial(sending.lease, 10, LEASE))

    assert ids(leased) == [message.id]


def fill(world: World, session: WahaSession, conversations: int, messages: int) -> None:
    """Many conversations, each with many messages that are due."""
    world.sql(
        "INSERT INTO conversations (id, tenant_id, session_id) SELECT gen_random_uuid(), %s, %s "
        "FROM generate_series(1, %s)",
        session.tenant_id,
        session.id,
        conversations,
    )
    world.sql(
        "INSERT INTO messages (id, tenant_id, session_id, conversation_id, seq, direction, chat_id, next_attempt_at) "
        "SELECT gen_random_uuid(), c.tenant_id, c.session_id, c.id, n, 'outbound', 'x@c.us', "
        "now() - interval '1 hour' + n * interval '1 ms' FROM conversations c, generate_series(1, %s) n",
        messages,
    )
    world.sql("ANALYZE messages, conversations")


@pytest.mark.parametrize(("conversations", "messages"), [(1, 3000), (30, 100), (3000, 1)])
def test_a_lease_reads_few_rows_however_many_wait(
    world: World, session: WahaSession, conversations: int, messages: int
) -> None:
    fill(world, session, conversations, messages)
    leasing = "SELECT count(*) FROM lease_messages(%s, %s, %s, NULL)"
    reading = (
        "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables "
        "WHERE relname IN ('messages', 'conversations')"
    )

    with world.migrated.owner(), transaction():
        before, leased, after = (
            database.execute_sql(*asked).fetchone()[0]
            for asked in ((reading,), (leasing, (10, sending.PER_SESSION, LEASE)), (reading,))
        )

    assert leased == min(conversations, sending.PER_SESSION)
    assert after - before < 200


def test_while_an_account_pauses_nothing_is_called_for_each_that_waits(world: World, session: WahaSession) -> None:
    fill(world, session, 3, 1)
    heard = world.conversation(session)
    reply = world.message(heard)
    world.sql("UPDATE conversations SET last_inbound_at = now() WHERE id = %s", heard.id)
    world.sql("UPDATE waha_sessions SET paced_until = now() + interval '1 minute'")

    with world.migrated.owner(), database.atomic() as changes:
        database.execute_sql(
            "CREATE OR REPLACE FUNCTION may_have_left(p_conversation conversations) RETURNS boolean LANGUAGE plpgsql "
            "AS $$ BEGIN RAISE EXCEPTION 'called for each that waits'; END $$"
        )
        asked = ("SELECT message_id FROM lease_messages(%s, %s, %s, NULL)", (10, sending.PER_SESSION, LEASE))
        leased = database.execute_sql(*asked).fetchall()
        changes.rollback()

    assert leased == [(reply.id,)]


@pytest.mark.parametrize("until", ["paced_until", "restricted_until"])
def test_what_may_have_left_is_looked_up_while_its_account_pauses(
    world: World, conversation: Conversation, until: str
) -> None:
    message = world.message(conversation)
    sending.begin(lease_one(), CALL)
    world.end_leases()

    world.sql(f"UPDATE waha_sessions SET {until} = now() + interval '1 minute'")  # noqa: S608 - words of this file

    assert lease_one().message_id == message.id


@pytest.mark.parametrize(("slow_factor", "at_once"), [(1, 4), (2, 4), (3, 2), (4, 2)])
def test_of_a_number_that_is_slowed_fewer_are_on_their_way(
    world: World, session: WahaSession, slow_factor: int, at_once: int
) -> None:
    fill(world, session, 10, 1)
    world.sql("UPDATE conversations SET last_inbound_at = now()")
    world.sql(
        "INSERT INTO number_healths (id, tenant_id, session_id, slow_factor) VALUES (gen_random_uuid(), %s, %s, %s)",
        session.tenant_id,
        session.id,
        slow_factor,
    )

    assert [len(sending.lease(10, LEASE)) for _ in range(2)] == [at_once, 0]


def test_a_conversation_whose_time_was_too_early_holds_up_none_behind_it(world: World, session: WahaSession) -> None:
    for _ in range(2 * sending.PER_SESSION):
        world.message(world.conversation(session))
    world.sql("UPDATE messages SET next_attempt_at = now() + interval '1 hour'")
    last = world.message(world.conversation(session))

    assert ids(sending.lease(10, LEASE)) == [last.id]
    assert world.value("SELECT count(*) FROM conversations WHERE sends_from <= now()") == 1


def test_a_conversation_that_has_nothing_to_send_is_not_looked_at(world: World, conversation: Conversation) -> None:
    world.message(conversation)
    leased = lease_one()
    assert world.value("SELECT sends_from IS NOT NULL FROM conversations")

    sending.record_sent(leased, waha_message_id=leased.waha_message_id)

    assert world.value("SELECT sends_from FROM conversations") is None


def test_what_is_queued_while_the_last_one_is_recorded_is_found(world: World, session: WahaSession) -> None:
    """Each record asks whether more waits; one that asked before the lock was its own would forget what came then."""
    for number in range(40):
        conversation = world.conversation(session)
        world.message(conversation)
        leased = lease_one()

        def record(leased: Leased = leased) -> object:
            return sending.record_sent(leased, waha_message_id=leased.waha_message_id)

        together(record, partial(reply, session, conversation, number))

        later = lease_one()
        assert later.conversation_id == conversation.id
        sending.record_sent(later, waha_message_id=later.waha_message_id)


def test_a_waiting_message_is_noted_however_late_the_conversation_is_emptied(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    """Noting it locks the conversation, so that whoever finds nothing waiting there cannot write so afterwards."""
    world.message(conversation)
    leased = lease_one()

    with tenant_transaction(session.tenant_id):
        database.execute_sql(
            "INSERT INTO messages (id, tenant_id, session_id, conversation_id, seq, direction, chat_id) "
            "VALUES (gen_random_uuid(), %s, %s, %s, 2, 'outbound', %s)",
            (session.tenant_id, session.id, conversation.id, CUSTOMER),
        )
        recorded = beside(partial(sending.record_sent, leased, waha_message_id=leased.waha_message_id))

    assert recorded.result(20)
    assert world.value("SELECT sends_from IS NOT NULL FROM conversations")
    assert lease_one().conversation_id == conversation.id


def test_a_call_that_has_ended_takes_no_place_of_its_session_until_it_is_looked_up(
    world: World, session: WahaSession
) -> None:
    for _ in range(sending.PER_SESSION):
        world.message(world.conversation(session))
    interrupted = sending.lease(10, LEASE)
    message = world.message(world.conversation(session))
    margin = timedelta(seconds=30)
    meanwhile = sending.lease(10, LEASE, margin=margin)

    world.sql(
        "UPDATE conversations SET send_lease_expires_at = now() + interval '29 s' WHERE send_lease_token IS NOT NULL"
    )

    assert (len(interrupted), meanwhile) == (sending.PER_SESSION, [])
    assert ids(sending.lease(10, LEASE, margin=margin)) == [message.id]
