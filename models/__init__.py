"""Tables, constraints, and what is true of one row whoever touches it."""

from database import register_tenant_tables
from models.access import Invitation, Login, PageLink, SlackPerson, TenantChoice
from models.base import Model, now_utc
from models.catch_ups import CatchUp
from models.checkup import DoctorRun, Process
from models.conversations import ChannelRoute, Contact, Conversation, ConversationChat
from models.data_rights import Erasure, FingerprintKey
from models.enums import (
    ActionKind,
    Cause,
    ConversationState,
    DesiredState,
    Direction,
    Engine,
    HealthLevel,
    IncidentKind,
    LoginProof,
    MessageStatus,
    Outside,
    PagePurpose,
    PostKind,
    ProcessKind,
    RoutePurpose,
    ServerState,
    SessionStatus,
    Side,
    SlackEventKind,
    Suspicion,
    TenantStatus,
    UserRole,
    WorkspaceState,
)
from models.ids import uuid7
from models.inboxes import SlackEvent, WebhookEvent
from models.keys import KeyInUse
from models.messages import Message
from models.outbox import PostLane, SlackPost
from models.people import SlackIdentity, Tenant, User
from models.records import AuditEntry, ReportSchedule, Template
from models.sessions import SessionCheck, WahaAction, WahaServer, WahaSession
from models.watching import HomeView, Incident, NumberHealth, Outage, SessionWatch
from models.workspaces import SlackWorkspace

ALL: tuple[type[Model], ...] = (
    Tenant,
    User,
    SlackIdentity,
    SlackPerson,
    SlackWorkspace,
    Invitation,
    TenantChoice,
    PageLink,
    Login,
    WahaServer,
    WahaSession,
    Contact,
    Conversation,
    ConversationChat,
    ChannelRoute,
    Message,
    WebhookEvent,
    SlackEvent,
    CatchUp,
    PostLane,
    SlackPost,
    WahaAction,
    SessionCheck,
    Incident,
    Outage,
    SessionWatch,
    NumberHealth,
    HomeView,
    Process,
    DoctorRun,
    ReportSchedule,
    AuditEntry,
    Erasure,
    FingerprintKey,
    Template,
    KeyInUse,
)
"""Every table, parents before children."""

# Not the two inboxes, which have no tenant before they are processed, nor posts and audit entries, which may have none.
register_tenant_tables(
    {
        model._meta.table_name  # noqa: SLF001 - Peewee's documented place for it
        for model in (
            Tenant,
            User,
            SlackIdentity,
            Invitation,
            TenantChoice,
            PageLink,
            Login,
            WahaSession,
            Contact,
            Conversation,
            ConversationChat,
            ChannelRoute,
            Message,
            WahaAction,
            SessionCheck,
            SessionWatch,
            NumberHealth,
            ReportSchedule,
            Erasure,
            Template,
        )
    }
)

__all__ = [
    "ALL",
    "ActionKind",
    "AuditEntry",
    "CatchUp",
    "Cause",
    "ChannelRoute",
    "Contact",
    "Conversation",
    "ConversationChat",
    "ConversationState",
    "DesiredState",
    "Direction",
    "DoctorRun",
    "Engine",
    "Erasure",
    "FingerprintKey",
    "HealthLevel",
    "HomeView",
    "Incident",
    "IncidentKind",
    "Invitation",
    "KeyInUse",
    "Login",
    "LoginProof",
    "Message",
    "MessageStatus",
    "Model",
    "NumberHealth",
    "Outage",
    "Outside",
    "PageLink",
    "PagePurpose",
    "PostKind",
    "PostLane",
    "Process",
    "ProcessKind",
    "ReportSchedule",
    "RoutePurpose",
    "ServerState",
    "SessionCheck",
    "SessionStatus",
    "SessionWatch",
    "Side",
    "SlackEvent",
    "SlackEventKind",
    "SlackIdentity",
    "SlackPerson",
    "SlackPost",
    "SlackWorkspace",
    "Suspicion",
    "Template",
    "Tenant",
    "TenantChoice",
    "TenantStatus",
    "User",
    "UserRole",
    "WahaAction",
    "WahaServer",
    "WahaSession",
    "WebhookEvent",
    "WorkspaceState",
    "now_utc",
    "uuid7",
]
