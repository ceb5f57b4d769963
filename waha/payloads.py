"""WAHA's answers as values: the unknown is left out, the missing is None, words of an open set stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from waha.acks import ack_in
from waha.chat_ids import from_jid
from waha.loose_json import Object, flag, mapping, moment, text
from waha.message_ids import SerializedId, bare_id_of, id_of
from waha.status import SessionStatus, status_of


@dataclass(frozen=True, slots=True)
class Capping:
    """How many new chats of how many an account has begun in WhatsApp's present cycle; told since 2026.8.1.

    `status` is WhatsApp's word: NONE, FIRST_WARNING, SECOND_WARNING, CAPPED, or one of the future. A `total` of None
    has no end.
    """

    status: str
    total: int | None
    used: int
    cycle_ends_at: datetime | None

    @property
    def share(self) -> float:
        """Of the quota that is used up, 0 to 1 and above."""
        return self.used / self.total if self.total else 0.0

    @classmethod
    def parse(cls, source: Any) -> Self | None:
        quota = mapping(source)
        status = text(quota, "cappingStatus")
        if status is None:
            return None
        total, used = quota.get("totalQuota"), quota.get("usedQuota")
        # -1 is WhatsApp's way to write that there is no quota.
        most = total if isinstance(total, int) and total > 0 else None
        return cls(status, most, used if isinstance(used, int) else 0, moment(quota.get("cycleEnd")))

    def as_told(self) -> dict[str, Any]:
        """As WAHA writes it, to be parsed again."""
        ends = None if self.cycle_ends_at is None else int(self.cycle_ends_at.timestamp())
        quota = {"totalQuota": -1 if self.total is None else self.total, "usedQuota": self.used}
        return {"cappingStatus": self.status, **quota, "cycleEnd": ends}


@dataclass(frozen=True, slots=True)
class Me:
    """The WhatsApp account of a session; a stopped session still tells its last one."""

    chat_id: str
    lid: str | None
    push_name: str | None
    # WhatsApp lets the account start no new chats until then. Told since 2026.7.2, and not every time.
    restricted_until: datetime | None
    capping: Capping | None = None

    @classmethod
    def parse(cls, source: Any) -> Self | None:
        me = mapping(source)
        chat_id = text(me, "id")
        if chat_id is None:
            return None
        lock = mapping(me, "reachoutTimelock")
        restricted_until = moment(lock.get("timeEnforcementEnds")) if flag(lock, "isActive") else None
        capping = Capping.parse(me.get("messageCapping"))
        return cls(from_jid(chat_id), text(me, "lid"), text(me, "pushName"), restricted_until, capping)


@dataclass(frozen=True, slots=True)
class SessionInfo:
    name: str
    waha_status: str
    engine: str | None
    me: Me | None
    # Holds secrets (the HMAC key, a proxy's password): never for a log or a person.
    config: Object = field(repr=False)
    metadata: Mapping[str, str]
    # The WAHA process that runs it; others that share its database list the session as STOPPED.
    assigned_worker: str | None
    last_activity_at: datetime | None

    @property
    def status(self) -> SessionStatus | None:
        return status_of(self.waha_status)

    @classmethod
    def parse(cls, source: Any) -> Self | None:
        session = mapping(source)
        name, waha_status = text(session, "name"), text(session, "status")
        if name is None or waha_status is None:
            return None
        config = mapping(session, "config")
        return cls(
            name=name,
            waha_status=waha_status,
            engine=text(mapping(session, "engine"), "engine"),
            me=Me.parse(session.get("me")),
            config=config,
            metadata=metadata_in(config),
            assigned_worker=text(session, "assignedWorker"),
            last_activity_at=moment(mapping(session, "timestamps").get("activity")),
        )


@dataclass(frozen=True, slots=True)
class ServerVersion:
    version: str
    engine: str | None
    tier: str | None
    worker: str | None

    @classmethod
    def parse(cls, source: Any) -> Self | None:
        server = mapping(source)
        version = text(server, "version")
        if version is None:
            return None
        return cls(version, text(server, "engine"), text(server, "tier"), text(mapping(server, "worker"), "id"))


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a server says of itself, how long that took, and its clock (None where no header tells it)."""

    version: ServerVersion
    seconds: float
    clock: datetime | None


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk that WAHA watches: bytes that are free, and below how many it calls itself ill."""

    name: str
    is_up: bool
    free: int | None
    threshold: int | None


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A changed `started_at` means that WAHA restarted, and that webhooks it had yet to repeat are lost."""

    started_at: datetime

    @classmethod
    def parse(cls, source: Any) -> Self | None:
        started_at = moment(mapping(source).get("startTimestamp"))
        return cls(started_at) if started_at else None


@dataclass(frozen=True, slots=True)
class SentMessage:
    """What a send was answered with.

    `waha_message_id` is None when WAHA did not say it; `ack` when it did not say how far the message got.
    """

    waha_message_id: str | None
    ack: int | None
    chat_id: str | None = None

    @classmethod
    def parse(cls, source: Any) -> Self:
        whole = id_of(source)
        return cls(bare_id_of(source), _ack_of_a_send(mapping(source)), whole.chat_id if whole else None)


def _ack_of_a_send(answer: Object) -> int | None:
    ack = ack_in(answer)
    # GOWS tells no ack: it answers once WhatsApp's server has accepted the message, and never reports ack 1 afterwards.
    return 1 if ack is None and mapping(answer, "_data", "Info") else ack


@dataclass(frozen=True, slots=True)
class NumberCheck:
    """Whether a phone number is on WhatsApp, and the chat id to write to, which may be a `@lid`."""

    exists: bool
    chat_id: str | None
    phone_chat_id: str | None

    @classmethod
    def parse(cls, source: Any) -> Self | None:
        answer = mapping(source)
        exists = flag(answer, "numberExists")
        return None if exists is None else cls(exists, text(answer, "chatId"), text(answer, "pn"))


@dataclass(frozen=True, slots=True)
class ChatOverview:
    """The last message of a chat; `last_message_id` and `last_message_at` are None where it has none."""

    chat_id: str
    name: str | None
    last_message_id: SerializedId | None
    last_message_at: datetime | None

    @classmethod
    def parse(cls, source: Any) -> Self | None:
        chat = mapping(source)
        chat_id = text(chat, "id")
        if chat_id is None:
            return None
        last = mapping(chat, "lastMessage")
        return cls(from_jid(chat_id), text(chat, "name"), id_of(last), moment(last.get("timestamp")))


@dataclass(frozen=True, slots=True)
class ChatActivity:
    """When something last happened in a chat; WEBJS and WPP write its id as an object and call the time `timestamp`."""

    chat_id: str
    changed_at: datetime | None

    @classmethod
    def parse(cls, source: Any) -> Self | None:
        chat = mapping(source)
        chat_id = text(chat, "id") or text(mapping(chat, "id"), "_serialized")
        if chat_id is None and (user := text(mapping(chat, "id"), "user")):
            chat_id = f"{user}@{text(mapping(chat, 'id'), 'server') or 'c.us'}"
        if chat_id is None:
            return None
        at = chat.get("conversationTimestamp")
        return cls(from_jid(chat_id), moment(at if at is not None else chat.get("timestamp")))


def metadata_in(source: Any) -> Mapping[str, str]:
    """The `metadata` that we gave a session: strings only, WAHA refuses anything else."""
    return {key: value for key, value in mapping(source, "metadata").items() if isinstance(value, str)}
