"""The story of one message that went wrong, from every side, in the order of the clock."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import psycopg2

from sandbox.chaos.havoc import Struck
from sandbox.chaos.ledger import Ledger
from sandbox.chaos.postgres import Postgres
from sandbox.chaos.rows import life_of
from sandbox.chaos.supervision import End

AROUND_SECONDS = 15.0


def timeline(tag: str, ledger: Ledger, postgres: Postgres, struck: Iterable[Struck], ends: Iterable[End]) -> str:
    """Lines of time and words; what struck elsewhere at that time stands among them."""
    offer = ledger.offers.get(tag)
    if offer is None:
        return f"{tag}: nobody wrote this."
    moments = [(offer.offered_at, "OFFERED"), *ledger.seen.get(tag, [])]
    if offer.acknowledged_at is not None:
        moments.append((offer.acknowledged_at, "ACKNOWLEDGED"))
    try:
        moments += life_of(postgres, tag)
    except psycopg2.Error as error:
        moments.append((offer.offered_at, f"the rows cannot be read: {error}"))
    first, last = min(at for at, _ in moments) - AROUND_SECONDS, max(at for at, _ in moments) + AROUND_SECONDS
    moments += [(one.at, f"    {one.words}") for one in struck if first <= one.at <= last]
    moments += [(one.at, f"    {one.process} ended with {one.code}") for one in ends if first <= one.at <= last]
    head = f"{tag} · {offer.conversation.name} · session {offer.conversation.session}"
    return "\n".join([head, *(f"  {_clock(at)}  {words}" for at, words in sorted(moments))])


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
