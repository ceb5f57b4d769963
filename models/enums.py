"""The words that a column may hold; migration 001 repeats each as a CHECK, and a test holds both against each other."""

from __future__ import annotations

from enum import StrEnum


class TenantStatus(StrEnum):
    ACTIVE = "active"
    INACTIVE = "inactive"

    @property
    def word(self) -> str:
        """As people are told."""
        return "active" if self is TenantStatus.ACTIVE else "deactivated"


class UserRole(StrEnum):
    TENANT_ADMIN = "TENANT_ADMIN"
    MANAGER = "MANAGER"
    AGENT = "AGENT"
    AUDITOR = "AUDITOR"


class Outside(StrEnum):
    """Why Slack does not count somebody as one of the workspace's own people."""

    GUEST = "guest"
    STRANGER = "stranger"  # of another company, met in a shared channel
    DEACTIVATED = "deactivated"
    BOT = "bot"


class PagePurpose(StrEnum):
    SET_PASSWORD = "set_password"  # noqa: S105 - a purpose
    LOG_IN = "log_in"


class LoginProof(StrEnum):
    """What proves to a tenant who somebody is: Slack's own sign-in, or a password as well."""

    SLACK = "slack"
    PASSWORD = "password"  # noqa: S105 - a word


class Engine(StrEnum):
    """WAHA's WhatsApp engines that we know; GOWS is the one that WAHA recommends."""

    WEBJS = "WEBJS"
    NOWEB = "NOWEB"
    GOWS = "GOWS"


class SessionStatus(StrEnum):
    STARTING = "starting"
    SCAN_QR = "scan_qr"
    WORKING = "working"
    FAILED = "failed"
    STOPPED = "stopped"


class DesiredState(StrEnum):
    """What people asked for; the daemon makes it true."""

    RUNNING = "running"
    STOPPED = "stopped"


class ServerState(StrEnum):
    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"
    KEY_REFUSED = "key_refused"  # it answers, but not to our key: WAHA makes a random one when its own is weak or empty


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class MessageStatus(StrEnum):
    """Moves forward only: queued, sent, delivered; or failed. *Read* is `read_at` on a delivered message."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"


class ConversationState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class RoutePurpose(StrEnum):
    CONVERSATIONS = "conversations"
    ALERTS = "alerts"
    REPORTS = "reports"


class SlackEventKind(StrEnum):
    EVENT = "event"
    COMMAND = "command"
    INTERACTION = "interaction"


class Side(StrEnum):
    """Where something can be missed, and read later."""

    WAHA = "waha"
    SLACK = "slack"


class Cause(StrEnum):
    """Why a place is read again."""

    SWITCHBOARD = "switchboard"  # we were not there
    WAHA = "waha"  # the session, its server, or the way to it was not there
    QUIET = "quiet"  # nothing points to a gap


class PostKind(StrEnum):
    POST = "post"
    UPDATE = "update"
    DELETE = "delete"
    REACT = "react"
    UPLOAD = "upload"
    DIRECT = "direct"  # to a person, by direct message
    PUBLISH = "publish"
    EPHEMERAL = "ephemeral"  # Slack keeps no trace of it that could be looked up: at most once


class ActionKind(StrEnum):
    QR = "qr"
    RESTART = "restart"
    LOGOUT = "logout"
    PAIR = "pair"
    EDIT = "edit"
    DELETE = "delete"
    REACT = "react"
    SEEN = "seen"
    CHECK_EXISTS = "check_exists"
    REMOVE = "remove"
    ADOPT = "adopt"
    CONFIGURE = "configure"
    CANARY = "canary"


class IncidentKind(StrEnum):
    """What is the matter; of a session but for the last three."""

    FAILED = "failed"
    STOPPED = "stopped"  # though it should run
    STUCK = "stuck"  # in a state that should be a short one
    NEEDS_SCAN = "needs_scan"
    SILENT = "silent"  # it says that it works, and does not tell what WhatsApp has
    NUMBER = "number"  # WhatsApp restricts the account, or is about to
    SEVERAL_SESSIONS = "several_sessions"
    SERVER_AWAY = "server_away"
    KEY_REFUSED = "key_refused"


class ProcessKind(StrEnum):
    BOT = "bot"
    DAEMON = "daemon"


class Suspicion(StrEnum):
    """Why a session that says that it works is taken for silent."""

    UNHEARD = "unheard"  # WAHA knows messages that it did not tell
    CANARY = "canary"  # it did not hear what it wrote to itself
    UNACKNOWLEDGED = "unacknowledged"  # nothing that it sent is confirmed
    REFUSED = "refused"  # every send is refused, in all chats


class HealthLevel(StrEnum):
    """Of a phone number: whether sending is as usual, watched, slower, or stopped for new contacts."""

    UNKNOWN = "unknown"
    GOOD = "good"
    WATCH = "watch"
    SLOW = "slow"
    STOPPED = "stopped"


class WorkspaceState(StrEnum):
    """Whether the app is in a Slack workspace."""

    ACTIVE = "active"
    # Nothing is posted there, and nothing that waits is lost.
    REMOVED = "removed"
