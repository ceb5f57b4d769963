"""Reading a session's history as the daemon does, without its network."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from operations import catching_up, missed_messages
from operations.catching_up import LeasedSession
from tests.operations.builders import handle_webhooks

EVERY = timedelta(minutes=10)


def lease() -> list[LeasedSession]:
    return catching_up.lease_sessions(10, servers=["main"], every=EVERY)


def lease_one() -> LeasedSession:
    [leased] = lease()
    return leased


def recover(leased: LeasedSession, *history: Any) -> int:
    """Store what is missing of this; how many messages that were."""
    missed = missed_messages.unknown(leased, history)
    return sum(missed_messages.store(leased, group) for group in missed_messages.by_conversation(leased, missed))


def complete(leased: LeasedSession, account: str | None = None) -> bool:
    return catching_up.complete_session(leased, since=leased.since_of(account), account=account)


def catch_up(*history: Any) -> int:
    leased = lease_one()
    found = recover(leased, *history)
    complete(leased)
    handle_webhooks()
    return found
