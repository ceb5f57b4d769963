"""The specification of the schema, one row for each of its points, and where we departed from it.

A row holds what its point claims, to the letter. A claim that does not hold stands in DEPARTURES, with the decision
that explains it and with what holds instead. To see the table: `python -m pytest tests/models -k specification -s`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.models.claims import (
    Claim,
    absent,
    accepts,
    admits,
    bounded,
    follows_by_index,
    has,
    indexed,
    native,
    needed,
    needs,
    optional,
    pool,
    primary,
    refers,
    refuses,
    rolls_back,
    sealable,
    undeletable,
    unique,
)

Row = tuple[Claim, ...]

ENTITIES = ("tenants", "users", "waha_sessions", "messages")
OWNED = ENTITIES[1:]
# A timestamp; the specification leaves open whether it has a zone, and ours have one.
TIME = "timestamp with time zone"
ID = "01890a5d-ac96-774b-bcce-b302099a8057"
JSONB = (("tenants", "settings"), ("users", "preferences"), ("waha_sessions", "metadata"), ("waha_sessions", "config"),
         ("messages", "raw_payload"), ("messages", "metadata"))  # fmt: skip


def varchar(length: int) -> str:
    return f"character varying({length})"


def required(table: str, column: str, type_: str) -> Row:
    return has(table, column, type_), needed(table, column)


def id_of(table: str) -> Row:
    return *required(table, "id", "uuid"), primary(table, "id")


def tenant_of(table: str) -> Row:
    return *required(table, "tenant_id", "uuid"), refers(table, "tenant_id", to="tenants")


def created(table: str) -> Row:
    return required(table, "created_at", TIME)


def updated(table: str) -> Row:
    return required(table, "updated_at", TIME)


def deleted(table: str) -> Row:
    return has(table, "deleted_at", TIME), optional(table, "deleted_at")


def times_of(table: str) -> Row:
    return *created(table), *updated(table), *deleted(table)


def of_all(row_of: Callable[[str], Row], tables: tuple[str, ...] = ENTITIES) -> Row:
    return tuple(claim for table in tables for claim in row_of(table))


NAME_IS_UNIQUE = unique("tenants", "name")
EMAIL_IS_UNIQUE = unique("users", "email", "tenant_id")
EXTERNAL_ID_IS_UNIQUE = unique("waha_sessions", "external_session_id")
WHATSAPP_ID_IS_UNIQUE = unique("messages", "waha_message_id", where="waha_message_id IS NOT NULL")
MESSAGE_HAS_SESSION = refers("messages", "session_id", to="waha_sessions")
TENANT_STATUS = native("tenants", "status", "active", "inactive")
USER_ROLE = native("users", "role", "TENANT_ADMIN", "MANAGER", "AGENT", "AUDITOR")
SESSION_STATUS = native("waha_sessions", "status", "starting", "scan_qr", "working", "failed", "stopped")
ENGINE = native("waha_sessions", "engine", "WEBJS", "NOWEB")
DIRECTION = native("messages", "direction", "inbound", "outbound")
MESSAGE_STATUS = native("messages", "status", "queued", "sent", "delivered", "failed")
PASSWORD_IS_NEEDED = needed("users", "password_hash")
INDEXES = (
    indexed("users", "tenant_id"),
    indexed("waha_sessions", "tenant_id"),
    indexed("waha_sessions", "status"),
    *(
        indexed("messages", column)
        for column in ("tenant_id", "session_id", "to_msisdn", "from_msisdn", "status", "created_at")
    ),
)
USER = {"tenant_id": ID, "email": "ana@example.org", "role": "AGENT"}
SESSION = {"tenant_id": ID, "name": "sales", "server": "main", "engine": "NOWEB", "config": {}, "metadata": {}}
MESSAGE = {"tenant_id": ID, "session_id": ID, "direction": "outbound", "chat_id": "49151@c.us", "body": "Hello"}

SPECIFICATION: dict[str, list[Row]] = {
    "base of all entities": [
        of_all(id_of),
        of_all(created),
        of_all(updated),
        of_all(deleted),
    ],
    "tenants": [
        id_of("tenants"),
        (*required("tenants", "name", varchar(100)), NAME_IS_UNIQUE),
        (needed("tenants", "status"), TENANT_STATUS),
        (has("tenants", "description", "text"), optional("tenants", "description")),
        (has("tenants", "settings", "jsonb"),),
        times_of("tenants"),
        (refers("users", "tenant_id", to="tenants"),),
        (refers("waha_sessions", "tenant_id", to="tenants"),),
        (refers("messages", "tenant_id", to="tenants"),),
        (NAME_IS_UNIQUE,),
    ],
    "users": [
        id_of("users"),
        required("users", "email", varchar(255)),
        (has("users", "password_hash", varchar(255)), PASSWORD_IS_NEEDED),
        required("users", "first_name", varchar(50)),
        required("users", "last_name", varchar(50)),
        (needed("users", "role"), USER_ROLE),
        required("users", "is_active", "boolean"),
        (has("users", "last_login_at", TIME),),
        (has("users", "preferences", "jsonb"),),
        tenant_of("users"),
        times_of("users"),
        (refers("users", "tenant_id", to="tenants"),),
        (EMAIL_IS_UNIQUE,),
        (indexed("users", "tenant_id"),),
    ],
    "waha_sessions": [
        id_of("waha_sessions"),
        required("waha_sessions", "external_session_id", varchar(255)),
        (needed("waha_sessions", "status"), SESSION_STATUS),
        (needed("waha_sessions", "engine"), ENGINE),
        (has("waha_sessions", "metadata", "jsonb"),),
        (has("waha_sessions", "config", "jsonb"),),
        (has("waha_sessions", "last_activity_at", TIME),),
        (has("waha_sessions", "error_message", "text"), optional("waha_sessions", "error_message")),
        tenant_of("waha_sessions"),
        times_of("waha_sessions"),
        (refers("waha_sessions", "tenant_id", to="tenants"),),
        (MESSAGE_HAS_SESSION,),
        (EXTERNAL_ID_IS_UNIQUE,),
        (indexed("waha_sessions", "tenant_id"),),
        (indexed("waha_sessions", "status"),),
    ],
    "messages": [
        id_of("messages"),
        (needed("messages", "direction"), DIRECTION),
        (has("messages", "to_msisdn", varchar(20)),),
        (has("messages", "from_msisdn", varchar(20)),),
        required("messages", "body", "text"),
        (needed("messages", "status"), MESSAGE_STATUS),
        (has("messages", "waha_message_id", varchar(255)),),
        (has("messages", "raw_payload", "jsonb"),),
        required("messages", "message_type", varchar(50)),
        (has("messages", "media_url", varchar(500)),),
        (has("messages", "metadata", "jsonb"),),
        (has("messages", "error_message", "text"), optional("messages", "error_message")),
        (has("messages", "delivered_at", TIME), optional("messages", "delivered_at")),
        tenant_of("messages"),
        (*required("messages", "session_id", "uuid"), MESSAGE_HAS_SESSION),
        times_of("messages"),
        (refers("messages", "tenant_id", to="tenants"),),
        (MESSAGE_HAS_SESSION,),
        (indexed("messages", "tenant_id"),),
        (indexed("messages", "session_id"),),
        (indexed("messages", "to_msisdn"),),
        (indexed("messages", "from_msisdn"),),
        (indexed("messages", "status"),),
        (indexed("messages", "created_at"),),
        (WHATSAPP_ID_IS_UNIQUE,),
    ],
    "pool": [
        (pool("max_size", 20),),
        (pool("min_size", 5),),
        (pool("acquire_seconds", 30),),
        (pool("idle_seconds", 30),),
        (pool("connect_seconds", 2),),
    ],
    "performance": [
        tuple(follows_by_index(table) for table in OWNED),
        of_all(deleted),
        tuple(has(table, column, "jsonb") for table, column in JSONB),
        (*(refers(table, "tenant_id", to="tenants") for table in OWNED), MESSAGE_HAS_SESSION),
    ],
    "first migration": [
        of_all(id_of),
        (*of_all(tenant_of, OWNED), MESSAGE_HAS_SESSION),
        INDEXES,
        (rolls_back(),),
    ],
    "validation": [
        (
            needs("CreateTenant", "name"),
            needs("CreateUser", "tenant_id", "email", "role"),
            needs("CreateWahaSession", "tenant_id", "name", "server"),
            needs("CreateMessage", "tenant_id", "session_id", "direction", "chat_id"),
            refuses("CreateTenant", "name", ""),
        ),
        (
            bounded("CreateTenant", "name", 100),
            bounded("CreateUser", "first_name", 50),
            bounded("CreateUser", "last_name", 50),
            bounded("CreateUser", "password_hash", 255),
            bounded("CreateMessage", "to_msisdn", 20),
            bounded("CreateMessage", "from_msisdn", 20),
            bounded("CreateMessage", "waha_message_id", 255),
            bounded("CreateMessage", "message_type", 50),
            bounded("CreateMessage", "media_url", 500),
        ),
        (
            refuses("CreateTenant", "status", "paused"),
            refuses("CreateUser", "role", "ADMIN"),
            refuses("CreateWahaSession", "engine", "VENOM"),
            refuses("CreateMessage", "direction", "sideways"),
            refuses("UpdateMessage", "status", "read"),
        ),
        (refuses("CreateUser", "email", "ana"), refuses("UpdateUser", "email", "ana@")),
        (refuses("CreateUser", "tenant_id", "acme"), refuses("CreateMessage", "session_id", "sales")),
    ],
    "data classes": [
        (accepts("CreateTenant", name="Acme"), accepts("UpdateTenant", status="inactive")),
        (accepts("CreateUser", **USER), accepts("UpdateUser", role="MANAGER")),
        (accepts("CreateWahaSession", **SESSION), accepts("UpdateWahaSession", status="working")),
        (accepts("CreateMessage", **MESSAGE), accepts("UpdateMessage", status="delivered")),
    ],
    "isolation": [
        tuple(needed(table, "tenant_id") for table in OWNED),
        (*of_all(tenant_of, OWNED), MESSAGE_HAS_SESSION),
        (*of_all(deleted), *(undeletable(table) for table in ENTITIES)),
    ],
    "data protection": [
        (
            has("users", "password_hash", varchar(255)),
            absent("users", "password"),
            refuses("CreateUser", "password", "x"),
        ),
        (sealable("waha_sessions", "metadata"), sealable("waha_sessions", "config")),
        (*of_all(created), *of_all(updated), *of_all(deleted)),
    ],
    "indexes for scale": [
        (indexed("messages", "tenant_id", "conversation_id"), indexed("conversations", "tenant_id", "session_id")),
        (WHATSAPP_ID_IS_UNIQUE,),
        (indexed("messages", "created_at"),),
    ],
    "use of jsonb": [
        (has("tenants", "settings", "jsonb"), accepts("CreateTenant", name="Acme", settings={"colour": "red"})),
        (has("waha_sessions", "metadata", "jsonb"), has("messages", "metadata", "jsonb")),
        (
            *(has(table, column, "jsonb") for table, column in JSONB),
            accepts("UpdateTenant", settings={"hours": [{"from": 9, "to": 17.5, "days": ["mon", None]}]}),
        ),
    ],
    "ready for": [
        (has("users", "password_hash", varchar(255)), has("users", "last_login_at", TIME)),
        (needed("users", "role"), USER_ROLE),
        (EXTERNAL_ID_IS_UNIQUE, SESSION_STATUS),
        (DIRECTION, MESSAGE_STATUS),
        (has("messages", "raw_payload", "jsonb"), has("webhook_events", "body", "bytea")),
    ],
}


@dataclass(frozen=True)
class Departure:
    """Why a claim does not hold, in `docs/decisions/`, and what holds instead."""

    decisions: tuple[str, ...]
    instead: Row


ENUMERATIONS = "0001-text-and-check-for-enums.md"
LIVE_NAMES = "0002-unique-while-not-deleted.md"
DEPARTURES: dict[Claim, Departure] = {
    NAME_IS_UNIQUE: Departure((LIVE_NAMES,), (unique("tenants", "name", where="deleted_at IS NULL"),)),
    EMAIL_IS_UNIQUE: Departure((LIVE_NAMES,), (unique("users", "email", "tenant_id", where="deleted_at IS NULL"),)),
    WHATSAPP_ID_IS_UNIQUE: Departure(
        ("0004-whatsapp-ids-are-unique-per-session-and-direction.md",),
        (unique("messages", "session_id", "direction", "waha_message_id", where="waha_message_id IS NOT NULL"),),
    ),
    MESSAGE_HAS_SESSION: Departure(
        ("0006-composite-foreign-keys.md",), (refers("messages", "tenant_id", "session_id", to="waha_sessions"),)
    ),
    PASSWORD_IS_NEEDED: Departure(("0008-password-hash-may-be-absent.md",), (optional("users", "password_hash"),)),
    TENANT_STATUS: Departure((ENUMERATIONS,), (admits("tenants", "status", "active", "inactive"),)),
    USER_ROLE: Departure((ENUMERATIONS,), (admits("users", "role", "TENANT_ADMIN", "MANAGER", "AGENT", "AUDITOR"),)),
    SESSION_STATUS: Departure(
        (ENUMERATIONS,),
        (admits("waha_sessions", "status", "starting", "scan_qr", "working", "failed", "stopped"),),
    ),
    ENGINE: Departure(
        (ENUMERATIONS, "0005-gows-is-an-engine.md"), (admits("waha_sessions", "engine", "WEBJS", "NOWEB", "GOWS"),)
    ),
    DIRECTION: Departure((ENUMERATIONS,), (admits("messages", "direction", "inbound", "outbound"),)),
    MESSAGE_STATUS: Departure(
        (ENUMERATIONS,), (admits("messages", "status", "queued", "sent", "delivered", "failed"),)
    ),
}
