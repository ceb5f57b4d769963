"""Finding messages by their words."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from uuid import uuid4

import peewee
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from database import database, tenant_transaction, transaction
from models import Conversation, Message, Tenant, WahaSession, now_utc, uuid7
from operations.errors import BadInput
from operations.searching import PAGE, excerpt, search
from tests.operations.builders import World

pytestmark = pytest.mark.database_role("switchboard_bot")


def found(tenant: Tenant, typed: str, **more: object) -> list[str]:
    with tenant_transaction(tenant.id):
        return [one.message.body for one in search(tenant.id, typed, **more)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "typed"),
    [
        ("Where is order 4711?", "ORDER 4711"),
        ("Where is order 4711?", '"is order"'),
        ("Where is order 4711?", "„is order“"),
        ("Where is order 4711?", "invoice or order"),
        ("Where is order 4711?", "order -invoice"),
        ("Grüße aus Köln", "gruße koln"),
        ("Gru\u0308ße", "Grüße"),
        ("Grusse aus Koln", "KÖLN"),
        ("Danke🙏🙏", "danke"),
        ("„Danke“", "danke"),
        ("Когда придёт заказ?", "заказ"),
        ("我的 订单 在哪里", "订单"),
        ("write to ana@example.org", "ana@example.org"),
        ("l\u2019état", "etat"),
        ("x\u0000y order", "order\u0000"),
    ],
)
def test_a_message_is_found_by_its_words(
    body: str, typed: str, world: World, tenant: Tenant, conversation: Conversation
) -> None:
    world.message(conversation, body.replace("\x00", "\ufffd"))
    world.message(conversation, "It leaves today.")

    assert found(tenant, typed) == [body.replace("\x00", "\ufffd")]


@pytest.mark.parametrize("typed", ["order -4711", '"order is"', "ord", "order 4712"])
def test_what_lacks_the_words_is_not_found(
    typed: str, world: World, tenant: Tenant, conversation: Conversation
) -> None:
    world.message(conversation, "Where is order 4711?")

    assert found(tenant, typed) == []


@pytest.mark.parametrize("typed", ["", "🙏", "-order", "' & | ! ( : * \\", "x" * 301])
def test_where_no_word_can_be_looked_for_the_person_is_told(typed: str, tenant: Tenant) -> None:
    with pytest.raises(BadInput):
        found(tenant, typed)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # nothing is written
@given(typed=st.text(max_size=320))
@pytest.mark.usefixtures("world")
def test_whatever_is_typed_is_looked_for_or_explained(typed: str) -> None:
    with tenant_transaction(tenant_id := uuid7()):
        try:
            assert search(tenant_id, typed) == []
        except BadInput as refusal:
            assert refusal.sentence.endswith(".")  # noqa: PT017 - both outcomes are right


def test_the_same_words_of_another_tenant_are_never_found(
    world: World, tenant: Tenant, conversation: Conversation
) -> None:
    other = world.tenant("Globex")
    theirs = world.message(world.conversation(world.session(other)), "Where is order 4711?")
    world.message(conversation, "Where is order 4711?")

    with tenant_transaction(tenant.id):
        hits = [one.message for one in search(tenant.id, "order")]

    assert [hit.tenant_id for hit in hits] == [tenant.id]
    assert theirs.id not in {hit.id for hit in hits}


@pytest.mark.parametrize("current", ["", str(uuid4())])
def test_the_function_searches_the_tenant_of_the_transaction_alone(current: str, tenant: Tenant) -> None:
    def search_elsewhere() -> None:
        with transaction():
            database.execute_sql("SELECT set_config('switchboard.tenant_id', %s, true)", (current,))
            database.execute_sql("SELECT search_messages(%s, 'order', NULL, NULL, NULL, NULL, 20)", (tenant.id,))

    with pytest.raises(peewee.ProgrammingError, match="only the tenant of this transaction is searched"):
        search_elsewhere()


def test_what_is_deleted_is_not_found(world: World, tenant: Tenant, conversation: Conversation) -> None:
    message = world.message(conversation, "Where is order 4711?")
    with tenant_transaction(tenant.id):
        Message.update(deleted_at=now_utc()).where(Message.id == message.id).execute()

    assert found(tenant, "order") == []


def test_a_page_ends_where_the_next_one_begins(world: World, tenant: Tenant, conversation: Conversation) -> None:
    written = [world.message(conversation, f"order {number}") for number in range(PAGE + 5)]
    world.sql("UPDATE messages SET created_at = now()")  # the id decides between those of one moment

    with tenant_transaction(tenant.id):
        first = [one.message for one in search(tenant.id, "order")]
        second = [one.message for one in search(tenant.id, "order", before=first[-1])]

    assert [message.id for message in first + second] == sorted((message.id for message in written), reverse=True)
    assert len(first) == PAGE


def test_a_session_and_a_time_make_it_less(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    world.message(conversation, "order here")
    world.message(world.conversation(world.session(tenant, "support")), "order there")

    assert found(tenant, "order", session_id=session.id) == ["order here"]
    assert found(tenant, "order", since=now_utc() + timedelta(minutes=1)) == []


def test_a_long_text_is_shown_around_the_word() -> None:
    body = f"{'Hello ' * 30}my ÖRDER 4711 {'is late ' * 30}"

    assert excerpt(body, "order") == "…llo Hello Hello Hello my ÖRDER 4711 " + ("is late " * 30)[:79] + "…"
    assert excerpt("short order", "order") == "short order"
    assert excerpt("nothing of it", '"order"') == "nothing of it"


def test_a_text_of_any_length_is_kept(world: World, tenant: Tenant, conversation: Conversation) -> None:
    world.message(conversation, "first " + " ".join(f"{number:x}" for number in range(400_000)))

    assert len(found(tenant, "first")) == 1


# Those that become the most bytes, and what glues words to longer ones that count as wholes and as parts.
@given(
    st.lists(st.text(alphabet="㌖㌙㌫㌀㌕㍗\ufdfa\ufdfba-/.@_:'Ⱥİ𝅘𝅥𝅮", min_size=1, max_size=8), min_size=1, max_size=40),
    st.integers(1, 700),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_is_refused_for_its_words(
    world: World, tenant: Tenant, conversation: Conversation, parts: list[str], length: int
) -> None:
    world.message(conversation, worst_text(parts, length))


@pytest.mark.parametrize(
    "parts",
    [list("㌖㌙㌫㌀㌕"), ["㌖-㌙", "㌫", "㌀-㌕"], ["\ufdfaㇺ", "\ufdfa-ㇻ", "ㇼ\ufdfa"], ["㌖.㌙/㌫", "㌀/㌕"]],
)
@pytest.mark.parametrize("length", [1, 2, 5, 37, 110])
def test_the_signs_that_become_the_longest_words_are_kept(
    parts: list[str], length: int, world: World, tenant: Tenant, conversation: Conversation
) -> None:
    world.message(conversation, "first " + worst_text(parts, length))

    assert len(found(tenant, "first")) == 1


def worst_text(parts: list[str], length: int) -> str:
    """65,000 characters of words of the parts, no two alike as far as there are enough of them."""
    chosen = Random(1)  # noqa: S311 - the same each time
    words = ("".join(chosen.choices(parts, k=length)) for _ in range(65_000 // length))
    return " ".join(words)[:65_000]
