"""Makes what the tests of operations begin with, and looks at rows past the walls between tenants."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from database import connection, database, tenant_transaction
from models import (
    ChannelRoute,
    Conversation,
    ConversationChat,
    Direction,
    Message,
    RoutePurpose,
    SessionStatus,
    SlackIdentity,
    Tenant,
    User,
    UserRole,
    WahaSession,
    uuid7,
)
from operations import sending, slack_inbox, webhook_inbox
from operations.inbound import House
from operations.slack_events import incoming
from operations.sql import value
from operations.standing import Person
from operations.webhook_inbox import NewWebhook
from tests.conftest import MigratedDatabase
from waha.webhooks import envelope_of

TEAM = "T1"
SUPPORT, ALERTS, REPORTS = "CSUPPORT", "CALERTS", "CREPORTS"
ANA = Person(TEAM, "UANA")
OPERATOR = Person(TEAM, "UOLGA")
HOUSE = House(operators=(OPERATOR.key,))
CUSTOMER = "4915123456789@c.us"
HIDDEN = "7700011122@lid"
LEASE = timedelta(seconds=60)
CALL = timedelta(seconds=30)

R = TypeVar("R")


def together(*calls: Callable[[], R]) -> list[R]:
    """Run calls at the same moment, each in a thread with a connection of its own; what one raises is raised."""
    results: dict[int, R] = {}
    errors: list[BaseException] = []
    start = threading.Barrier(len(calls))

    def run(number: int, call: Callable[[], R]) -> None:
        try:
            with connection():
                start.wait(10)
                results[number] = call()
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number, call)) for number, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]
    return [results[number] for number in range(len(calls))]


def beside(call: Callable[[], R]) -> Future[R]:
    """Begin a call in another thread and wait until it is stopped by what this transaction holds."""
    running: Future[R] = Future()

    def run() -> None:
        try:
            with connection():
                running.set_result(call())
        except BaseException as error:  # noqa: BLE001 - `result()` raises it in the test's own thread
            running.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    deadline = time.monotonic() + 10
    while not value(
        "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
    ):
        if running.done() or time.monotonic() > deadline:
            raise AssertionError(f"It waited for nothing: {running}")
        time.sleep(0.005)
    return running


@dataclass
class World:
    """An installation's rows, made one by one."""

    migrated: MigratedDatabase

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run SQL as the tables' owner, who sees every tenant."""
        with self.migrated.owner():
            cursor = database.execute_sql(statement, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def value(self, statement: str, *parameters: Any) -> Any:
        found = self.sql(statement, *parameters)
        return found[0][0] if found else None

    def tenant(self, name: str = "Acme") -> Tenant:
        tenant_id = uuid7()
        with tenant_transaction(tenant_id):
            return Tenant.create(id=tenant_id, name=name)

    def session(self, tenant: Tenant, name: str = "sales", **more: Any) -> WahaSession:
        fields: dict[str, Any] = {"status": SessionStatus.WORKING, "server": "main", "announced_status": "working"}
        with tenant_transaction(tenant.id):
            return WahaSession.create(
                tenant_id=tenant.id,
                name=name,
                external_session_id=f"{name}-{next(self._numbers)}",
                metadata={"me_id": "4930901820@c.us"},
                **(fields | more),
            )

    def user(self, tenant: Tenant, person: Person = ANA, role: UserRole = UserRole.AGENT, **more: Any) -> User:
        with tenant_transaction(tenant.id):
            email = f"{person.user_id.lower()}@example.org"
            user = User.create(tenant_id=tenant.id, email=email, role=role, **({"first_name": "Ana"} | more))
            SlackIdentity.create(
                tenant_id=tenant.id, user_id=user.id, slack_team_id=person.team_id, slack_user_id=person.user_id
            )
        return user

    def route(
        self,
        tenant: Tenant,
        channel_id: str = SUPPORT,
        purpose: RoutePurpose = RoutePurpose.CONVERSATIONS,
        session: WahaSession | None = None,
    ) -> ChannelRoute:
        with tenant_transaction(tenant.id):
            return ChannelRoute.create(
                tenant_id=tenant.id,
                session_id=session.id if session is not None else None,
                slack_team_id=TEAM,
                slack_channel_id=channel_id,
                purpose=purpose,
            )

    def conversation(self, session: WahaSession, chat_id: str = "", thread_ts: str | None = "") -> Conversation:
        """A conversation with its thread in #support; an empty chat id or thread becomes a new one."""
        number = next(self._numbers)
        with tenant_transaction(session.tenant_id):
            conversation = Conversation.create(
                tenant_id=session.tenant_id,
                session_id=session.id,
                slack_team_id=TEAM,
                slack_channel_id=SUPPORT,
                slack_thread_ts=f"1700000000.{number:06}" if thread_ts == "" else thread_ts,
            )
            ConversationChat.create(
                tenant_id=session.tenant_id,
                session_id=session.id,
                conversation_id=conversation.id,
                chat_id=chat_id or f"49151{number:08}@c.us",
            )
        return conversation

    def message(self, conversation: Conversation, body: str = "It leaves today.", **more: Any) -> Message:
        """A queued reply, as an agent wrote it in the conversation's thread."""
        number = next(self._numbers)
        with tenant_transaction(conversation.tenant_id):
            chat = ConversationChat.get(ConversationChat.conversation_id == conversation.id)
            seq = database.execute_sql(
                "UPDATE conversations SET next_message_seq = next_message_seq + 1 WHERE id = %s "
                "RETURNING next_message_seq",
                (conversation.id,),
            ).fetchone()[0]
            fields: dict[str, Any] = {
                "direction": Direction.OUTBOUND,
                "chat_id": chat.chat_id,
                "slack_team_id": TEAM,
                "slack_channel_id": SUPPORT,
                "slack_ts": f"1700000001.{number:06}",
                "slack_part": 0,
            }
            return Message.create(
                tenant_id=conversation.tenant_id,
                session_id=conversation.session_id,
                conversation_id=conversation.id,
                seq=seq,
                body=body,
                **(fields | more),
            )

    def reload(self, message: Message) -> Message:
        with tenant_transaction(message.tenant_id):
            return Message.get_by_id(message.id)

    def texts(self, channel_id: str = SUPPORT) -> list[str]:
        """What is queued to be read in a channel or by a person, in the order in which it was queued."""
        rows = self.sql(
            "SELECT payload->>'text' FROM slack_posts WHERE kind <> 'react' AND slack_channel_id = %s ORDER BY seq",
            channel_id,
        )
        return [text for (text,) in rows]

    def privately(self, person: Person = ANA) -> list[str]:
        """What a person is told alone, in a channel or by direct message."""
        rows = self.sql(
            "SELECT payload->>'text' FROM slack_posts WHERE kind IN ('ephemeral', 'direct') "
            "AND (payload->>'user' = %s OR slack_channel_id = %s) ORDER BY seq",
            person.user_id,
            person.user_id,
        )
        return [text for (text,) in rows]

    def receipt(self, message: Message) -> str | None:
        """The receipt that is due or shown on the Slack message."""
        found: str | None = self.value(
            "SELECT payload->>'receipt' FROM slack_posts WHERE slot = %s", f"receipt:{message.id}"
        )
        return found

    def end_leases(self) -> None:
        """As if the time of every lease were over."""
        self.sql(
            "UPDATE conversations SET send_lease_expires_at = now() - interval '1 s' WHERE send_lease_token IS NOT NULL"
        )
        for table in ("messages", "post_lanes", "slack_posts", "waha_actions"):
            self.sql(f"UPDATE {table} SET lease_expires_at = now() - interval '1 s' WHERE lease_token IS NOT NULL")  # noqa: S608 - names of ours

    def make_all_due(self) -> None:
        """As if every pause were over."""
        for table in ("messages", "slack_posts", "webhook_events", "slack_events", "waha_actions"):
            self.sql(f"UPDATE {table} SET next_attempt_at = now() - interval '1 minute'")  # noqa: S608 - names of ours
        self.sql("UPDATE waha_sessions SET hold_until = NULL")


def lease_one() -> sending.Leased:
    [leased] = sending.lease(10, LEASE)
    return leased


def webhook(session: WahaSession, name: str, payload: dict[str, Any], **more: Any) -> NewWebhook:
    """An event of WAHA as the ingress keeps it."""
    body = {
        "id": f"evt_{uuid7()}",
        "timestamp": 1767000000000,
        "event": name,
        "session": session.external_session_id,
        "metadata": {"switchboard.session": str(session.id)},
        "payload": payload,
        "engine": "GOWS",
    } | more
    raw = json.dumps(body).encode()
    key = envelope_of(raw)
    if key is None:
        raise ValueError("The ingress could not read it.")
    lane = f"{key.session}/{key.chat_id or 'session'}"
    return NewWebhook(uuid7(), session.server, key.session, key.event_id, key.event_name, lane, raw)


def said(body: str, message_id: str = "", chat_id: str = CUSTOMER, *, from_me: bool = False, **more: Any) -> Any:
    """The payload of a message: what a customer wrote, or what left from the account's phone."""
    bare = message_id or f"3A{uuid7().hex[-16:].upper()}"
    return {
        "id": f"{'true' if from_me else 'false'}_{chat_id}_{bare}",
        "timestamp": 1767000000,
        "from": chat_id,
        "fromMe": from_me,
        "body": body,
    } | more


def also_known_as(chat_id: str, name: str = "Berta") -> dict[str, Any]:
    """What GOWS adds about a sender: the chat id by their other name."""
    jid = chat_id.replace("@c.us", "@s.whatsapp.net")
    return {"_data": {"Info": {"SenderAlt": jid, "RecipientAlt": jid, "PushName": name}}}


def acked(message: Message, ack: int, **more: Any) -> dict[str, Any]:
    return {"id": f"true_{message.chat_id}_{message.waha_message_id}", "fromMe": True, "ack": ack} | more


def take(*webhooks: NewWebhook) -> None:
    """Store webhooks and handle everything that is due."""
    webhook_inbox.store(webhooks)
    handle_webhooks()


def handle_webhooks() -> None:
    while lanes := webhook_inbox.due_lanes(50):
        for lane in lanes:
            webhook_inbox.process_head(lane, house=HOUSE)


def slack_reply(conversation: Conversation, text: str, *, ts: str = "", person: Person = ANA, **more: Any) -> Any:
    """The body of Slack's event for a reply in the conversation's thread."""
    event = {
        "type": "message",
        "user": person.user_id,
        "team": person.team_id,
        "channel": conversation.slack_channel_id,
        "thread_ts": conversation.slack_thread_ts,
        "ts": ts or f"1800000000.{uuid7().int % 1_000_000:06}",
        "text": text,
    } | more
    return {"type": "event_callback", "team_id": TEAM, "event_id": f"Ev{uuid7().hex}", "event": event}


def hear(*bodies: Any) -> None:
    """Store Slack events and handle everything that is due."""
    for body in bodies:
        row = incoming(body)
        if row is None:
            raise ValueError("The bot would not keep it.")
        slack_inbox.store(row)
    handle_slack_events()


def handle_slack_events() -> None:
    while lanes := slack_inbox.due_lanes(50):
        for lane in lanes:
            slack_inbox.process_head(lane)


def ids(found: list[Any]) -> list[UUID]:
    return [one.message_id for one in found]
