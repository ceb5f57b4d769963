"""The first migration as a whole: there and back, twice at once, and what it lets whom do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import cursor

from database import migrations
from tests.models.attempts import attempt
from tests.models.catalog import read_catalog

ROOT = Path(__file__).parents[2]
ROLES = ["switchboard_bot", "switchboard_daemon"]
BOTH_MAY_CALL = {
    "tenants_of",
    "route_of",
    "list_tenants",
    "deleted_tenants",
    "unchoose_tenant",
    "tenant_of_incident",
    "tenant_of_message",
    "request_catch_ups",
    "choose_tenant",
    "chosen_tenant",
    "tenant_of_invitation",
    "search_messages",
    "delete_messages",
    "delete_customer",
    "empty_webhooks",
    "empty_slack_events",
    "posts_waiting_for",
    "tenants_of_workspace",
    "hold_posts_of",
    "resume_posts_of",
    "sessions_by_server",
    "sessions_on_server",
}
# Whatever a migration can leave in a database, by its name; the table of what was migrated stays.
EVERYTHING = """
SELECT kind || ' ' || name FROM (
    SELECT 'relation', relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'function', proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'type', typname FROM pg_type WHERE typnamespace = 'public'::regnamespace
    UNION ALL SELECT 'policy', polname FROM pg_policy
    UNION ALL SELECT 'extension', extname FROM pg_extension
    UNION ALL SELECT 'schema', nspname FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'
    UNION ALL SELECT 'right of', a.grantee::regrole::text FROM pg_namespace n, aclexplode(n.nspacl) a
        WHERE n.nspname = 'public' AND a.grantee::regrole::text ~ '^switchboard_(bot|daemon)$'
) AS everything (kind, name)
WHERE name !~ 'migratehistory'
"""
FUNCTIONS = """
SELECT p.proname,
       p.prosecdef AND 'search_path=public, pg_temp' = ANY (p.proconfig)
           AND p.proowner = (SELECT relowner FROM pg_class WHERE oid = 'messages'::regclass),
       has_function_privilege('public', p.oid, 'EXECUTE'),
       has_function_privilege('switchboard_bot', p.oid, 'EXECUTE'),
       has_function_privilege('switchboard_daemon', p.oid, 'EXECUTE')
FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace
"""


@dataclass(frozen=True)
class Function:
    """Whether it runs as the owner of the tables with names that nobody can bend, and who may call it."""

    name: str
    is_safe: bool
    everybody: bool
    bot: bool
    daemon: bool


@pytest.fixture
def fresh(new_database: Callable[..., str]) -> str:
    return new_database()


@pytest.fixture(params=ROLES)
def acting(request: pytest.FixtureRequest, owner: cursor) -> Iterator[cursor]:
    """The owner's cursor, acting as a role."""
    owner.execute(f"SET LOCAL ROLE {request.param}")
    yield owner
    owner.connection.rollback()


def everything_in(url: str) -> set[str]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as reader:
        reader.execute(EVERYTHING)
        return {name for (name,) in reader.fetchall()}


def functions_of(reader: cursor) -> list[Function]:
    reader.execute(FUNCTIONS)
    return [Function(*facts) for facts in reader.fetchall()]


def columns_with(reader: cursor, role: str, privilege: str) -> set[tuple[str, str]]:
    """Where a role has a privilege, by its table or by its column."""
    reader.execute(
        """
        SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped
          AND has_column_privilege(%s, c.oid, a.attnum, %s)
        """,
        (role, privilege),
    )
    return set(reader.fetchall())


def is_allowed(acting: cursor, sql: str) -> bool:
    with attempt(acting):
        try:
            acting.execute(sql)
        except psycopg2.errors.InsufficientPrivilege:
            return False
    return True


def test_a_rollback_leaves_nothing_in_the_database_and_the_way_up_is_free_again(fresh: str) -> None:
    before = everything_in(fresh)
    names = migrations.migrate(fresh)
    migrated = everything_in(fresh)

    for _ in names:
        migrations.rollback(fresh)

    assert everything_in(fresh) == before
    assert migrations.migrate(fresh) == names
    assert everything_in(fresh) == migrated != before


def test_a_rollback_leaves_the_roles_which_belong_to_the_cluster(fresh: str, owner: cursor) -> None:
    migrations.migrate(fresh)
    migrations.rollback(fresh)

    owner.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s) ORDER BY 1", (ROLES,))

    assert [name for (name,) in owner.fetchall()] == ROLES


def test_two_processes_that_migrate_at_once_do_it_once(fresh: str) -> None:
    command = [sys.executable, "-m", "database", "migrate", "--url", fresh]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    said = [process.communicate()[0] for process in processes]

    assert [process.returncode for process in processes] == [0, 0]
    assert sorted("Nothing to migrate" in text for text in said) == [False, True]
    assert migrations.pending(fresh) == []


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_neither_superuser_nor_owner_nor_past_row_security(role: str, owner: cursor) -> None:
    owner.execute(
        """
        SELECT rolsuper, rolbypassrls, rolcanlogin, rolcreaterole, rolcreatedb,
               EXISTS (SELECT 1 FROM pg_class WHERE relowner = r.oid), has_schema_privilege(r.oid, 'public', 'CREATE')
        FROM pg_roles r WHERE rolname = %s
        """,
        (role,),
    )

    assert owner.fetchone() == (False,) * 7


def test_no_role_may_delete_a_row_of_any_table(acting: cursor) -> None:
    tables = read_catalog(acting).tables

    deletable = {table for table in tables if is_allowed(acting, f"DELETE FROM {table}")}  # noqa: S608 -- from the catalog
    emptiable = {table for table in tables if is_allowed(acting, f"TRUNCATE {table} CASCADE")}

    assert (deletable, emptiable) == (set(), set())
    assert len(tables) > 15


def test_an_audit_entry_is_never_changed(acting: cursor) -> None:
    assert not is_allowed(acting, "UPDATE audit_entries SET actor = 'nobody'")
    assert is_allowed(acting, "SELECT 1 FROM audit_entries")


@pytest.mark.parametrize("role", ROLES)
def test_a_check_of_a_session_is_never_changed(role: str, owner: cursor) -> None:
    changeable = {table for table, _ in columns_with(owner, role, "UPDATE")}

    assert not changeable & {"session_checks", "audit_entries"}


def test_the_bot_reads_neither_webhooks_nor_the_keys_that_sign_them(owner: cursor) -> None:
    readable = columns_with(owner, "switchboard_bot", "SELECT")
    everything = set(read_catalog(owner).columns)

    hidden = {(table, column) for table, column in everything - readable}

    assert {column for table, column in hidden if table == "waha_servers"} >= {"webhook_hmac_key"}
    assert {column for table, column in readable if table == "webhook_events"} == set()
    assert {table for table, _ in hidden} == {"webhook_events", "waha_servers"}


def test_the_bot_writes_nothing_that_is_the_daemons(owner: cursor) -> None:
    owner.execute("SET LOCAL ROLE switchboard_bot")

    assert not is_allowed(owner, "SELECT webhook_hmac_key FROM waha_servers")
    assert not is_allowed(owner, "SELECT * FROM webhook_events")
    assert not is_allowed(owner, "UPDATE waha_servers SET state = 'up'")
    assert not is_allowed(owner, "UPDATE slack_events SET body = ''")
    assert is_allowed(owner, "SELECT name FROM waha_servers")


def test_every_function_runs_as_the_owner_and_is_safe_to_call(owner: cursor) -> None:
    functions = functions_of(owner)

    assert [function.name for function in functions if not function.is_safe or function.everybody] == []
    assert len(functions) > len(BOTH_MAY_CALL)


def test_the_bot_calls_what_finds_a_tenant_and_the_daemon_all(owner: cursor) -> None:
    functions = functions_of(owner)

    assert {function.name for function in functions if function.bot} == BOTH_MAY_CALL
    assert [function.name for function in functions if not function.daemon] == []


def test_only_tables_that_are_deleted_by_range_are_pruned(owner: cursor) -> None:
    owner.execute("SET LOCAL ROLE switchboard_daemon")

    for table in ("messages", "tenants", "users; DROP TABLE users"):
        refused = pytest.raises(psycopg2.errors.RaiseException, match="not a table that is deleted by range")
        with attempt(owner), refused:
            owner.execute("SELECT prune(%s, now(), 100)", (table,))
