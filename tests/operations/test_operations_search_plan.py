"""A search reads what its own tenant wrote, among many rows of several; the plan is PostgreSQL's own word for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import urlsplit
from uuid import UUID, uuid5

import psycopg2
import pytest
from psycopg2.extensions import cursor

from tests.conftest import Server

TENANTS = [UUID(int=number) for number in range(1, 6)]
EACH = 10_000
FILL = """
INSERT INTO tenants (id, name) VALUES (%(tenant)s, %(tenant)s);
INSERT INTO waha_sessions (id, tenant_id, external_session_id, name, server)
    VALUES (%(tenant)s, %(tenant)s, %(tenant)s, 'sales', 'main');
INSERT INTO messages (id, tenant_id, session_id, direction, status, body)
SELECT gen_random_uuid(), %(tenant)s, %(tenant)s, 'inbound', 'delivered',
    'Where is order ' || number || '? It is for ' || md5(number::text) FROM generate_series(1, %(each)s) number;
INSERT INTO messages (id, tenant_id, session_id, direction, status, body)
    VALUES (%(planted)s, %(tenant)s, %(tenant)s, 'inbound', 'delivered', 'the only zebra of ' || %(tenant)s)
"""
EXPLAINED = """
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_nested_statements = on;
SET auto_explain.log_analyze = on;
SET auto_explain.log_timing = off;
SET client_min_messages = log;
"""
# What the search would be without its function: the very words of the index, for the same tenant.
WORDS = "SELECT pg_get_expr(indexprs, indrelid) FROM pg_index WHERE indexrelid = 'messages_words_idx'::regclass"
PLAIN = """
SELECT id FROM messages WHERE tenant_id = '{tenant}' AND deleted_at IS NULL
    AND {words} @@ ('zebra'::tsquery && $$' {tenant}'$$::tsquery)
"""


def planted(tenant: UUID) -> UUID:
    return uuid5(tenant, "zebra")


@pytest.fixture(scope="module")
def filled(new_database: Callable[..., str], template_database: str) -> str:
    url = new_database(template_database)
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as writer:
        for tenant in TENANTS:
            writer.execute(FILL, {"tenant": str(tenant), "each": EACH, "planted": str(planted(tenant))})
        writer.execute("ANALYZE messages")
    return url


@pytest.fixture
def bot(filled: str, postgres: Server) -> Iterator[cursor]:
    """The bot's role in a transaction of the first tenant, where PostgreSQL tells each plan."""
    administrator = urlsplit(postgres.admin)._replace(path=urlsplit(filled).path).geturl()
    with closing(psycopg2.connect(administrator)) as connection, connection.cursor() as asking:
        asking.execute(EXPLAINED + "SET ROLE switchboard_bot")
        asking.execute("SELECT set_config('switchboard.tenant_id', %s, false)", (str(TENANTS[0]),))
        yield asking


def plan_of(asking: cursor, statement: str, parameters: tuple[str, ...]) -> str:
    asking.connection.notices.clear()
    asking.execute(statement, parameters or None)
    return "".join(notice for notice in asking.connection.notices if "Query Text" in notice and "messages" in notice)


SEARCH = "SELECT message_id::text FROM search_messages(%s, %s, NULL, NULL, NULL, NULL, 20)"


@pytest.mark.parametrize("words", ["zebra", "order", "order 77", "zebra or giraffe"])
def test_a_search_among_many_tenants_uses_its_index(words: str, bot: cursor) -> None:
    plan = plan_of(bot, SEARCH, (str(TENANTS[0]), words))

    title = f"search for {words!r} among {len(TENANTS) * EACH} messages of {len(TENANTS)} tenants"
    print(f"\n{title}\n{plan}")  # noqa: T201 - the plan is what this shows
    assert "Bitmap Index Scan on messages_words_idx" in plan
    assert "Seq Scan on messages" not in plan


@pytest.mark.parametrize(("role", "uses_index"), [("switchboard_bot", False), ("NONE", True)])
def test_without_its_function_only_the_owner_could_use_the_index(role: str, uses_index: bool, bot: cursor) -> None:  # noqa: FBT001
    """Row security asks whose a row is before anything else is looked at."""
    bot.execute(WORDS)
    [words] = bot.fetchone() or [""]
    bot.execute(f"SET ROLE {role}")

    plan = plan_of(bot, PLAIN.format(tenant=TENANTS[0], words=words), ())

    print(f"\nthe same statement as {role}, without the function\n{plan}")  # noqa: T201 - to be compared
    assert ("messages_words_idx" in plan) is uses_index


def test_of_the_words_that_everybody_wrote_a_tenant_finds_its_own(bot: cursor) -> None:
    bot.execute(SEARCH, (str(TENANTS[0]), "zebra"))
    assert bot.fetchall() == [(str(planted(TENANTS[0])),)]

    bot.execute(SEARCH.replace("20", "1000000"), (str(TENANTS[0]), "order or zebra"))
    ours = {row for (row,) in bot.fetchall()}
    bot.execute("SELECT id::text FROM messages")

    assert ours == {row for (row,) in bot.fetchall()}
    assert len(ours) == EACH + 1
