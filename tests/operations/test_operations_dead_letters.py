from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from database import tenant_transaction
from models import Conversation, Message, Tenant, WahaSession, now_utc, uuid7
from operations import dead_letters, deciding
from operations.buttons import Act
from operations.dead_letters import DeadLetter, Replayed
from operations.hold_reasons import ASIDE, STALE, UNKNOWN
from tests.operations.builders import ANA, World, together

HOUR = timedelta(hours=1)


def fail(world: World, *messages: Message) -> None:
    for message in messages:
        world.sql("UPDATE messages SET status = 'failed', error_message = 'No.' WHERE id = %s", message.id)


def park(world: World, message: Message, reason: str) -> None:
    world.sql("UPDATE messages SET parked_at = now(), hold_reason = %s WHERE id = %s", reason, message.id)


def failed(tenant: Tenant, **which: object) -> list[DeadLetter]:
    with tenant_transaction(tenant.id):
        return dead_letters.failed(tenant.id, **which)  # type: ignore[arg-type]


def replay(tenant: Tenant, *, most: int = 100, **which: object) -> Replayed:
    new_ids = [uuid7() for _ in range(most)]
    with tenant_transaction(tenant.id):
        return dead_letters.replay(tenant.id, user_id=ANA.key, new_ids=new_ids, **which)  # type: ignore[arg-type]


def bodies(found: Iterable[DeadLetter]) -> list[str]:
    return [letter.message.body for letter in found]


def replayed_ids(world: World) -> list[UUID]:
    return [one for (one,) in world.sql("SELECT replay_of FROM messages WHERE replay_of IS NOT NULL ORDER BY seq")]


def test_what_waits_for_a_person_is_listed_with_what_they_can_decide(
    world: World, tenant: Tenant, conversation: Conversation
) -> None:
    refused, aside, unknown = (world.message(conversation, body) for body in ("refused", "aside", "unknown"))
    world.message(conversation, "waits")
    world.message(conversation, "sent", status="sent")
    fail(world, refused)
    park(world, aside, ASIDE)
    park(world, unknown, UNKNOWN)

    found = {letter.message.body: letter for letter in failed(tenant)}

    assert set(found) == {"refused", "aside", "unknown"}
    assert found["refused"].acts == (Act.RETRY, Act.EDIT, Act.DISCARD)
    assert found["unknown"].acts == (Act.WAS_SENT, Act.SEND_AGAIN)
    assert found["refused"].why == "No."


def test_what_was_decided_is_listed_no_more(world: World, tenant: Tenant, conversation: Conversation) -> None:
    dropped, again, waits = (world.message(conversation, body) for body in ("dropped", "again", "waits"))
    fail(world, dropped, again, waits)
    with tenant_transaction(tenant.id):
        deciding.decide(Act.DISCARD, dropped.id, user_id=ANA.key, new_id=uuid7())
        deciding.decide(Act.RETRY, again.id, user_id=ANA.key, new_id=uuid7())

    assert bodies(failed(tenant)) == ["waits"]


def test_a_session_or_a_time_narrows_the_list(world: World, tenant: Tenant, session: WahaSession) -> None:
    other = world.session(tenant, "support")
    old, here, there = (
        world.message(world.conversation(one), body)
        for one, body in ((session, "old"), (session, "here"), (other, "there"))
    )
    fail(world, old, here, there)
    world.sql("UPDATE messages SET created_at = now() - interval '2 hours' WHERE id = %s", old.id)

    assert bodies(failed(tenant, session_id=session.id)) == ["here", "old"]
    assert bodies(failed(tenant, since=now_utc() - HOUR)) == ["there", "here"]
    assert bodies(failed(tenant, until=now_utc() - HOUR)) == ["old"]
    assert bodies(failed(tenant, limit=1)) == ["there"]


def test_all_are_sent_again_in_their_order_except_what_may_have_left(
    world: World, tenant: Tenant, conversation: Conversation
) -> None:
    first, second, unknown, stale = (world.message(conversation) for _ in range(4))
    fail(world, second, first)
    park(world, unknown, UNKNOWN)
    park(world, stale, STALE)

    assert replay(tenant) == Replayed(again=3, unknown=1)
    assert replayed_ids(world) == [first.id, second.id]
    assert world.reload(stale).parked_at is None
    assert world.reload(unknown).parked_at is not None


def test_what_whatsapp_never_confirmed_may_have_arrived_and_is_left_to_a_decision_of_its_own(
    world: World, tenant: Tenant, conversation: Conversation
) -> None:
    refused, unconfirmed = world.message(conversation), world.message(conversation, "unconfirmed")
    fail(world, refused, unconfirmed)
    world.sql("UPDATE messages SET awaits_ack_since = now() WHERE id = %s", unconfirmed.id)

    assert replay(tenant) == Replayed(again=1, unknown=1)

    assert replayed_ids(world) == [refused.id]
    [letter] = failed(tenant)
    assert (letter.message.id, letter.acts) == (unconfirmed.id, (Act.SEND_AGAIN, Act.EDIT, Act.DISCARD))


def test_only_the_conversations_of_what_is_sent_again_are_locked(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    conversations = sorted((world.conversation(session) for _ in range(3)), key=lambda one: one.id)
    fail(world, *(world.message(conversation) for conversation in conversations))
    new_ids = [uuid7()]

    with tenant_transaction(tenant.id):
        dead_letters.replay(tenant.id, user_id=ANA.key, new_ids=new_ids)
        [free] = together(lambda: world.sql("SELECT id FROM conversations ORDER BY id FOR UPDATE SKIP LOCKED"))

    assert free == [(conversation.id,) for conversation in conversations[1:]]


def test_each_is_sent_again_once_however_often_and_by_however_many_it_is_asked(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    messages = [world.message(world.conversation(session)) for _ in range(8)]
    fail(world, *messages)

    counted = together(*[lambda: replay(tenant, session_id=session.id)] * 3)

    assert sum(one.again for one in counted) == 8
    assert sorted(replayed_ids(world)) == sorted(message.id for message in messages)
    assert replay(tenant) == Replayed(again=0, unknown=0)


def test_no_more_are_sent_again_than_there_are_ids_for(
    world: World, tenant: Tenant, conversation: Conversation
) -> None:
    messages = [world.message(conversation) for _ in range(3)]
    fail(world, *messages)

    assert replay(tenant, most=2).again == 2
    assert bodies(failed(tenant)) == [messages[2].body]


def test_another_tenants_failures_are_neither_listed_nor_sent(world: World, conversation: Conversation) -> None:
    fail(world, world.message(conversation))
    other = world.tenant("Other")

    assert failed(other) == []
    assert replay(other) == Replayed(again=0, unknown=0)
