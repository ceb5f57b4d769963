"""Links to our pages: for one person and tenant, once, for ten minutes. Nobody who reads the rows can use one.

The row has a fingerprint of the token alone. The token stands in the answer of the command, which is kept encrypted, so
that an answer that is told again after a crash tells the same link.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from database import set_tenant, tenant_transaction, transaction
from models import PagePurpose, User
from operations import audit
from operations.errors import Conflict, NotFound
from operations.sql import changed, entity, first, value
from operations.standing import Membership, Person, memberships
from settings import DaemonSettings, Settings
from slack.mrkdwn import local_time

LIVES = timedelta(minutes=10)
# A person types a few of these on a bad day; each asks nothing of anybody but the database.
MOST_AN_HOUR = 10

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def address_of(settings: Settings) -> str:
    """Where people reach our pages; "" where nobody but this machine could, and not even that is known."""
    return settings.security.public_url or _own_address(settings.daemon)


def _own_address(daemon: DaemonSettings) -> str:
    """Good enough to try Switchboard out on one machine."""
    return f"http://{daemon.host}:{daemon.port}" if daemon.host in {"127.0.0.1", "localhost"} and daemon.port else ""


def fingerprint(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True)
class Link:
    """A link that works, and what its page has to know. `password_hash`: what was true when it was opened."""

    link_id: UUID
    tenant_id: UUID
    tenant_name: str
    user_id: UUID
    person: Person
    purpose: PagePurpose
    first_name: str
    known_words: tuple[str, ...] = field(repr=False)
    password_hash: str | None = field(repr=False)

    @property
    def asks_for_present_password(self) -> bool:
        """Also before another one is chosen: who has taken over somebody's Slack does not get in by that."""
        return self.password_hash is not None

    @property
    def sets_password(self) -> bool:
        return self.purpose is PagePurpose.SET_PASSWORD


@dataclass(frozen=True)
class Issued:
    """A link that was made, and what its page will ask for."""

    purpose: PagePurpose
    token: str = field(repr=False)

    def url(self, address: str) -> str:
        return f"{address}/pages/{self.token}"


def issue(mine: Membership, person: Person, *, is_new_password: bool, link_id: UUID) -> Issued:
    """Make a link in place of earlier ones, in the running transaction.

    Raises:
        Conflict: too many were asked for.
        NotFound: the account was removed meanwhile.
    """
    set_tenant(mine.tenant_id)
    user = entity(User, "SELECT * FROM users WHERE tenant_id = %s AND id = %s FOR NO KEY UPDATE", _key(mine))
    if user is None:
        raise NotFound("Your account was removed meanwhile.")
    _refuse_many(mine)
    withdraw(mine.tenant_id, mine.user_id)
    purpose = PagePurpose.SET_PASSWORD if is_new_password or user.password_hash is None else PagePurpose.LOG_IN
    token = secrets.token_urlsafe(32)
    changed(
        "INSERT INTO page_links (id, tenant_id, user_id, slack_team_id, slack_user_id, purpose, token_hash, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, clock_timestamp() + %s)",
        (link_id, *_key(mine), person.team_id, person.user_id, purpose.value, fingerprint(token), LIVES),
    )
    audit.record(person.key, "login.link", user, tenant_id=mine.tenant_id, after={"purpose": purpose.value})
    return Issued(purpose, token)


def withdraw(tenant_id: UUID, user_id: UUID) -> None:
    """No link of a user's works any more, in the running transaction of the tenant."""
    changed(
        "UPDATE page_links SET expires_at = clock_timestamp() "
        "WHERE tenant_id = %s AND user_id = %s AND used_at IS NULL AND expires_at > clock_timestamp()",
        (tenant_id, user_id),
    )


def find(token: str) -> Link | None:
    """The link with this token; None when there is none, or it was used, is over, or its person is let in no more."""
    if not _TOKEN.fullmatch(token):
        return None
    with transaction():
        tenant_id = value("SELECT tenant_of_page_link(%s)", (fingerprint(token),))
    if tenant_id is None:
        return None
    with tenant_transaction(tenant_id):
        row = first(
            _Row,
            "SELECT l.id AS link_id, l.user_id, l.slack_team_id, l.slack_user_id, l.purpose, u.first_name, "
            "u.last_name, u.email, u.password_hash FROM page_links l JOIN users u ON u.id = l.user_id "
            "WHERE l.tenant_id = %s AND u.tenant_id = %s AND l.token_hash = %s AND l.used_at IS NULL "
            "AND l.expires_at > clock_timestamp() AND (u.password_hash IS NOT NULL OR l.purpose = 'set_password')",
            (tenant_id, tenant_id, fingerprint(token)),
        )
        return _link(row) if row is not None else None


@dataclass(frozen=True)
class _Row:
    link_id: UUID
    user_id: UUID
    slack_team_id: str
    slack_user_id: str
    purpose: str
    first_name: str
    last_name: str
    email: str
    password_hash: str | None = field(repr=False)


def _link(row: _Row) -> Link | None:
    person = Person(row.slack_team_id, row.slack_user_id)
    mine = next((one for one in memberships(person) if one.user_id == row.user_id), None)
    if mine is None or not mine.is_active or mine.outside:
        return None
    names = (row.first_name, row.last_name, f"{row.first_name} {row.last_name}", mine.tenant_name)
    return Link(
        link_id=row.link_id,
        tenant_id=mine.tenant_id,
        tenant_name=mine.tenant_name,
        user_id=row.user_id,
        person=person,
        purpose=PagePurpose(row.purpose),
        first_name=row.first_name,
        known_words=(*names, row.email, row.email.partition("@")[0]),
        password_hash=row.password_hash,
    )


def _key(mine: Membership) -> tuple[UUID, UUID]:
    return mine.tenant_id, mine.user_id


def _refuse_many(mine: Membership) -> None:
    oldest: datetime | None = value(
        "SELECT created_at FROM page_links WHERE tenant_id = %s AND user_id = %s "
        "AND created_at > clock_timestamp() - interval '1 hour' ORDER BY created_at DESC OFFSET %s LIMIT 1",
        (*_key(mine), MOST_AN_HOUR - 1),
    )
    if oldest is not None:
        again = local_time(oldest + timedelta(hours=1))
        raise Conflict(f"You asked for {MOST_AN_HOUR} links within an hour. Ask again after {again}.")
