"""Wrong passwords are counted, and after a few of them nobody can try for a while.

A try is counted before its password is looked at, and a right one takes the count back. So however many are made at the
same moment, and whatever crashes, no more than `TRIES` are looked at before a lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from database import tenant_transaction
from models import User, UserRole
from operations import audit
from operations.page_links import Link
from operations.posting import tell_person
from operations.sql import rows, value
from slack.mrkdwn import escape, local_time

TRIES = 5
LOCKED_FOR = timedelta(minutes=15)
LOCKED_AT_MOST = timedelta(days=1)


@dataclass(frozen=True)
class Try:
    """A password about to be looked at: the how many-th since the last right one. `locked_until`: it must not be."""

    number: int
    locked_until: datetime | None

    @property
    def is_last(self) -> bool:
        return self.number % TRIES == 0


def begin_try(link: Link) -> Try:
    """Count a try. Counted twice, because the answer to its COMMIT was lost, it locks earlier and never later."""
    with tenant_transaction(link.tenant_id):
        number = value(
            """
            UPDATE users SET failed_logins = failed_logins + 1, locked_until = CASE
                WHEN (failed_logins + 1) %% %(tries)s = 0 THEN clock_timestamp()
                    + least(%(lock)s * power(2, least((failed_logins + 1) / %(tries)s - 1, 10)), %(longest)s)
                ELSE locked_until END
            WHERE tenant_id = %(tenant_id)s AND id = %(user_id)s
                AND (locked_until IS NULL OR locked_until <= clock_timestamp())
            RETURNING failed_logins
            """,
            {"tries": TRIES, "lock": LOCKED_FOR, "longest": LOCKED_AT_MOST}
            | {"tenant_id": link.tenant_id, "user_id": link.user_id},
        )
        if number is not None:
            return Try(number, None)
        return Try(0, lock_of(link.tenant_id, link.user_id))


def fail(link: Link, failed: Try) -> datetime | None:
    """The password was wrong; until when nothing more can be tried, if this was the last try."""
    with tenant_transaction(link.tenant_id):
        _record(link, "login.failure", {"tries": failed.number})
        locked_until = lock_of(link.tenant_id, link.user_id)
        if not failed.is_last or locked_until is None:
            return None
        _record(link, "login.locked", {"until": locked_until.isoformat()})
        _tell(link, failed, locked_until)
        return locked_until


def _record(link: Link, action: str, after: dict[str, object]) -> None:
    user = User.get_by_id(link.user_id)
    audit.record(link.person.key, action, user, tenant_id=link.tenant_id, after=after)


def lock_of(tenant_id: UUID, user_id: UUID) -> datetime | None:
    """When a login takes a password again, in the running transaction of the tenant; None where it does now."""
    found: datetime | None = value(
        "SELECT locked_until FROM users WHERE tenant_id = %s AND id = %s AND locked_until > clock_timestamp()",
        (tenant_id, user_id),
    )
    return found


def _tell(link: Link, failed: Try, locked_until: datetime) -> None:
    """Whoever tried holds a link that only the person was told: either they forgot, or somebody reads their Slack."""
    tenant, until = escape(link.tenant_name), local_time(locked_until)
    slot = f"login-locked:{link.user_id}:{failed.number}:{locked_until.isoformat()}"
    who = f"<@{link.person.user_id}>"
    for one in _to_be_told(link):
        is_self = (one.slack_team_id, one.slack_user_id) == (link.person.team_id, link.person.user_id)
        text = (
            f"Your login to *{tenant}* is locked until {until}: {failed.number} wrong passwords. If that was not you, "
            "somebody may be using your Slack account: change its password, and tell an administrator."
            if is_self
            else f"The login of {who} to *{tenant}* is locked until {until}: {failed.number} wrong passwords. Ask "
            f"whether that was {who}. `user forget-password {who}` lets a new password be chosen at once."
        )
        tell_person(
            one.slack_team_id,
            one.slack_user_id,
            text,
            tenant_id=link.tenant_id,
            slot=f"{slot}:{one.slack_team_id}/{one.slack_user_id}",
        )


@dataclass(frozen=True)
class _Told:
    slack_team_id: str
    slack_user_id: str


def _to_be_told(link: Link) -> list[_Told]:
    """The person, and the administrators of the tenant."""
    return rows(
        _Told,
        "SELECT DISTINCT i.slack_team_id, i.slack_user_id FROM slack_identities i JOIN users u ON u.id = i.user_id "
        "WHERE i.tenant_id = %(tenant_id)s AND u.tenant_id = %(tenant_id)s AND i.deleted_at IS NULL "
        "AND u.deleted_at IS NULL AND u.is_active "
        "AND (u.role = %(admin)s OR (i.slack_team_id = %(team_id)s AND i.slack_user_id = %(user_id)s))",
        {
            "tenant_id": link.tenant_id,
            "admin": UserRole.TENANT_ADMIN.value,
            "team_id": link.person.team_id,
            "user_id": link.person.user_id,
        },
    )
