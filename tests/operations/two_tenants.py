"""Two tenants of one installation; whatever the second one's rows say is a word that nobody else writes."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import GeneratorType
from typing import Any
from uuid import UUID, uuid5

from database import as_owner, database
from models import (
    Contact,
    Message,
    Model,
    ReportSchedule,
    RoutePurpose,
    Template,
    Tenant,
    TenantStatus,
    UserRole,
    WahaSession,
)
from operations.standing import Person, Standing
from tests.operations.builders import ANA, TEAM, World

BEN = Person(TEAM, "UBERTRAM")
THEIR_CHANNEL, THEIR_THREAD, THEIR_CHAT = "CBETELGEUSE", "1700009999.000001", "4915199999999@c.us"
# In the order of their foreign keys; `{}` is the tenant, `[]` its user, `<>` its session.
THEIRS_BY_HAND = """
INSERT INTO invitations (id, tenant_id, slack_team_id, slack_user_id, email, role, invited_by, expires_at)
    VALUES (gen_random_uuid(), {}, 'T1', 'UBARNABY', 'barnaby@beta.example', 'AGENT', 'T1/UBERTRAM', now() + '1 day');
INSERT INTO page_links (id, tenant_id, user_id, slack_team_id, slack_user_id, purpose, token_hash, expires_at)
    VALUES (gen_random_uuid(), {}, [], 'T1', 'UBERTRAM', 'log_in', 'beetroot', now() + '1 day');
INSERT INTO logins (id, tenant_id, user_id, slack_team_id, slack_user_id, expires_at)
    VALUES (gen_random_uuid(), {}, [], 'T1', 'UBERTRAM', now() + '1 day');
INSERT INTO audit_entries (id, tenant_id, actor, action, subject_table, subject_id)
    VALUES (gen_random_uuid(), {}, 'T1/UBERTRAM', 'user.bewitched', 'users', []);
INSERT INTO incidents (id, tenant_id, session_id, kind, cause, began_at)
    VALUES (gen_random_uuid(), {}, <>, 'failed', 'bedlam', now() - interval '2 hours');
INSERT INTO incidents (id, tenant_id, session_id, kind, cause, began_at, ended_at, said)
    VALUES (gen_random_uuid(), {}, <>, 'silent', 'blackout', now() - interval '9 hours', now(), 'blustery');
INSERT INTO number_healths (id, tenant_id, session_id, level, reasons)
    VALUES (gen_random_uuid(), {}, <>, 'slow', '["bruised"]');
INSERT INTO session_watches (id, tenant_id, session_id, canary_id, suspicion)
    VALUES (gen_random_uuid(), {}, <>, 'bullfinch', 'canary');
INSERT INTO session_checks (id, tenant_id, session_id, status, raw_status, source, observed_at)
    VALUES (gen_random_uuid(), {}, <>, 'failed', 'BROKEN', 'poll', now() - interval '2 hours');
INSERT INTO waha_actions (id, tenant_id, session_id, kind, payload, slack_team_id, slack_user_id)
    VALUES (gen_random_uuid(), {}, <>, 'restart', '{"why": "boredom"}', 'T1', 'UBERTRAM');
"""


@dataclass(frozen=True)
class Ours:
    """The tenant whose administrator tries everything."""

    tenant: Tenant
    session: WahaSession
    standing: Standing


@dataclass(frozen=True)
class Theirs:
    """The tenant that must not notice."""

    tenant: Tenant
    session: WahaSession
    messages: tuple[Message, ...]
    ids: Mapping[str, tuple[UUID, ...]]
    words: frozenset[str]

    @property
    def names(self) -> tuple[str, ...]:
        """What a person could type to name something of theirs, and what would name everything."""
        chosen = ("bellatrix", "Betelgeuse", "bertram@beta.example", THEIR_CHANNEL, THEIR_THREAD, THEIR_CHAT, "bicycle")
        return (*chosen, BEN.user_id, f"<@{BEN.user_id}>", str(self.messages[0].id), "%", "' OR true --")


def ours(world: World) -> Ours:
    tenant = world.tenant("Acme")
    session = world.session(tenant, "sales")
    user = world.user(tenant, ANA, UserRole.TENANT_ADMIN)
    world.route(tenant)
    world.message(world.conversation(session), "It leaves today.")
    standing = Standing(ANA, tenant.id, tenant.name, TenantStatus.ACTIVE, UserRole.TENANT_ADMIN, user.id, False)
    return Ours(tenant, session, standing)


def theirs(world: World) -> Theirs:
    """One row at least in every table that a person's words could reach."""
    tenant = world.tenant("Betelgeuse")
    session = world.session(tenant, "bellatrix")
    user = world.user(tenant, BEN, UserRole.TENANT_ADMIN, first_name="Bertram")
    world.sql("UPDATE users SET email = 'bertram@beta.example' WHERE id = %s", user.id)
    world.route(tenant, THEIR_CHANNEL)
    world.route(tenant, "CBOLTON", RoutePurpose.ALERTS)
    conversation = world.conversation(session, THEIR_CHAT, THEIR_THREAD)
    waiting = {"parked_at": session.created_at, "hold_reason": "bewildered"}
    messages = (
        world.message(conversation, "bicycle", waha_message_id="BABYLON1"),
        world.message(conversation, "bicycle parked", **waiting),
        world.message(conversation, "bicycle failed", status="failed", error_message="berserk"),
    )
    _beside(world, tenant, user.id, session.id)
    ids = _ids(world, tenant)
    words = {word for row in dump(world, tenant.id) for word in _words(json.loads(row))}
    known = {"Betelgeuse", "bellatrix", "bewildered", "berserk", "barnaby@beta.example", "beetroot", "Bathilda"}
    known |= {"bedlam", "blustery", "bruised", "bullfinch", "BROKEN", "boredom"}
    assert known <= words
    return Theirs(tenant, session, messages, ids, frozenset(word for word in words if word[:1].lower() == "b"))


def _beside(world: World, tenant: Tenant, user_id: UUID, session_id: UUID) -> None:
    fields = {"tenant_id": tenant.id}
    with world.migrated.owner():
        Contact.create(**fields, name="Bathilda", msisdn="4915199999999")
        Template.create(**fields, name="boilerplate", body="bonjour")
        ReportSchedule.create(**fields, name="bimonthly", cron="0 8 * * *")
    ids = {"{}": tenant.id, "[]": user_id, "<>": session_id}
    world.sql(functools.reduce(lambda sql, mark: sql.replace(mark, f"'{ids[mark]}'"), ids, THEIRS_BY_HAND))


def _ids(world: World, tenant: Tenant) -> dict[str, tuple[UUID, ...]]:
    found: dict[str, tuple[UUID, ...]] = {"tenants": (tenant.id,)}
    for table in _tables(world):
        found[table] = tuple(row for (row,) in world.sql(f"SELECT id FROM {table} WHERE tenant_id = %s", tenant.id))  # noqa: S608 - from the catalog
    return found


def _tables(world: World) -> list[str]:
    sql = (
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant_id'"
    )
    return sorted(name for (name,) in world.sql(sql))


def dump(world: World, tenant_id: UUID) -> list[str]:
    """Every row of a tenant as JSON."""
    return [row for (row,) in world.sql(dump_sql(world), *[tenant_id] * (len(_tables(world)) + 1))]


def dump_sql(world: World) -> str:
    parts = ["SELECT row_to_json(t)::text FROM tenants t WHERE id = %s"]
    parts += [f"SELECT row_to_json(t)::text FROM {name} t WHERE tenant_id = %s" for name in _tables(world)]  # noqa: S608 - from the catalog
    return " UNION ALL ".join(parts) + " ORDER BY 1"


@dataclass(frozen=True)
class Watch:
    """Tells, inside a transaction, whether a row of theirs is not what it was."""

    sql: str
    parameters: tuple[UUID, ...]
    before: list[str]

    @classmethod
    def over(cls, world: World, tenant_id: UUID) -> Watch:
        parameters = (tenant_id,) * (len(_tables(world)) + 1)
        return cls(dump_sql(world), parameters, dump(world, tenant_id))

    def changes(self) -> list[str]:
        """What is not there any more; the role is the owner's from here to the end of the transaction."""
        with as_owner():
            database.execute_sql("SET LOCAL ROLE NONE")
            now = [row for (row,) in database.execute_sql(self.sql, self.parameters).fetchall()]
        return sorted(set(now) ^ set(self.before))


def told(found: Any) -> str:
    """Everything that a value says, as one text."""
    if isinstance(found, Model):
        return told(found.__data__)
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        return told({field.name: getattr(found, field.name) for field in dataclasses.fields(found)})
    if isinstance(found, Mapping):
        return " ".join(f"{told(key)} {told(value)}" for key, value in found.items())
    if isinstance(found, list | tuple | set | frozenset | GeneratorType):
        return " ".join(told(one) for one in found)
    return found.decode(errors="replace") if isinstance(found, bytes) else str(found)


def leaks(said: str, given: str, theirs: Theirs) -> set[str]:
    """Words and ids of theirs in what was said, but for those that were given: an echo tells nobody anything."""
    ids = {str(one) for found in theirs.ids.values() for one in found}
    return {word for word in theirs.words | ids if word in said and word not in given}


def fresh(name: str) -> UUID:
    return uuid5(UUID(int=7), name)


def _words(found: Any) -> set[str]:
    if isinstance(found, Mapping):
        return {word for value in found.values() for word in _words(value)}
    if isinstance(found, list):
        return {word for value in found for word in _words(value)}
    return {found} if isinstance(found, str) and len(found) > 3 else set()
