"""What row-level security costs, and what the index of the search does: the same work with and without, in turns.

    .venv/bin/python -m benchmarks.row_security

A PostgreSQL of its own that waits for no disk, and one thread: what is measured is work, so that the ratios are at
their worst. Each pair is the same work right after each other, the order changing from pair to pair; a ratio of 1.10 is
a tenth slower with it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta

import click
import psycopg2
import structlog

from benchmarks.inbox import BATCH, CHANNEL, EACH_ROUND, HOUSE, TEAM, arrange, postgres, store_all, told, webhook
from database import connection, tenant_transaction
from models import Conversation, ConversationChat, Message, WahaSession, uuid7
from operations import queueing, searching, sending, webhook_inbox
from operations.queueing import SlackOrigin
from operations.webhook_inbox import NewWebhook

_LEASE, _CALL = timedelta(seconds=60), timedelta(seconds=30)
_MESSAGES, _READS, _SEARCHES = 100, 200, 20
# What other tenants wrote before: without it there is nothing that a policy could hide.
_OTHERS = """
INSERT INTO tenants (id, name) SELECT md5('t' || n)::uuid, 'Tenant ' || n FROM generate_series(1, 4) n;
INSERT INTO waha_sessions (id, tenant_id, external_session_id, name, server)
    SELECT md5('t' || n)::uuid, md5('t' || n)::uuid, 'other-' || n, 'sales', 'main' FROM generate_series(1, 4) n;
INSERT INTO messages (id, tenant_id, session_id, direction, status, body)
    SELECT gen_random_uuid(), md5('t' || (n % 4 + 1))::uuid, md5('t' || (n % 4 + 1))::uuid, 'inbound', 'delivered',
        'Where is order ' || n || '? It is for ' || md5(n::text) FROM generate_series(1, %s) n;
ANALYZE
"""
# So that both begin alike, and nothing is tidied meanwhile.
_TIDY = "VACUUM (ANALYZE)"
_LEAVE_ALONE = "ALTER TABLE messages SET (autovacuum_enabled = false)"
_INDEX = "SELECT indexdef FROM pg_indexes WHERE indexname = 'messages_words_idx'"
_GUARDED = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relrowsecurity"


@dataclass
class House:
    """The tenant that is measured; every turn has events and replies of its own."""

    session: WahaSession
    replies: dict[tuple[int, int], str]
    chats: int
    turn: int = 0

    def inbound(self) -> float:
        """Events a second, from the inbox to messages, receipts and posts."""
        store_all(self._events())
        started = time.perf_counter()
        while lanes := webhook_inbox.due_lanes(50):
            for lane in lanes:
                webhook_inbox.process(lane, house=HOUSE)
        self.turn += 1
        return self.chats * EACH_ROUND / (time.perf_counter() - started)

    def outbound(self) -> float:
        """Replies a second: queued, leased, begun and recorded as sent."""
        conversations = self._conversations()
        started = time.perf_counter()
        for number in range(_MESSAGES):
            self._queue(*conversations[number % len(conversations)])
        sent = 0
        while leased := sending.lease(10, _LEASE):
            for one in leased:
                sending.begin(one, _CALL)
                sending.record_sent(one, waha_message_id=one.waha_message_id)
                sent += 1
        if sent < _MESSAGES:
            raise ValueError(f"Only {sent} of {_MESSAGES} left.")
        return sent / (time.perf_counter() - started)

    def reads(self) -> float:
        """Messages a second by their id, each in a transaction of its own."""
        with tenant_transaction(self.session.tenant_id):
            ids = [message.id for message in Message.select(Message.id).limit(_READS)]
        started = time.perf_counter()
        for message_id in ids:
            with tenant_transaction(self.session.tenant_id):
                Message.get_by_id(message_id)
        return len(ids) / (time.perf_counter() - started)

    def searches(self) -> float:
        started = time.perf_counter()
        for number in range(_SEARCHES):
            with tenant_transaction(self.session.tenant_id):
                searching.search(self.session.tenant_id, f"order {number}")
        return _SEARCHES / (time.perf_counter() - started)

    def _events(self) -> Iterator[list[NewWebhook]]:
        turn = self.turn
        made = [
            webhook(self.session, *told(step, number, turn, self.replies[number, turn]))
            for step in range(EACH_ROUND)
            for number in range(self.chats)
        ]
        for start in range(0, len(made), BATCH):
            yield made[start : start + BATCH]

    def _conversations(self) -> list[tuple[Conversation, str]]:
        with tenant_transaction(self.session.tenant_id):
            chats = {chat.conversation_id: chat.chat_id for chat in ConversationChat.select()}
            return [(one, chats[one.id]) for one in Conversation.select().order_by(Conversation.id)]

    def _queue(self, conversation: Conversation, chat_id: str) -> None:
        origin = SlackOrigin(TEAM, CHANNEL, f"{time.time():.6f}", "UANA", uuid7().int % 1_000_000)
        with tenant_transaction(self.session.tenant_id):
            queueing.queue(
                conversation, self.session, chat_id=chat_id, body="It left.", message_id=uuid7(), origin=origin
            )


@dataclass
class Compared:
    """Rates of one kind of work, with something and without it."""

    what: str
    work: Callable[[], float]
    pairs: list[tuple[float, float]] = field(default_factory=list)

    def line(self) -> str:
        ratios = sorted(without / given for given, without in self.pairs)
        given, without = (statistics.median(rates) for rates in zip(*self.pairs, strict=True))
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        return f"{self.what:22} {given:9.0f} {without:9.0f}   {statistics.median(ratios):5.2f}   {spread}"


def compare(title: str, compared: list[Compared], pairs: int, switch: Callable[[bool], None]) -> None:
    """Measure in pairs and print a table; the switch is on when this returns."""
    for pair in range(pairs):
        rates: dict[bool, list[float]] = {}
        for is_on in (True, False) if pair % 2 else (False, True):
            switch(is_on)
            rates[is_on] = [one.work() for one in compared]
        for one, given, without in zip(compared, rates[True], rates[False], strict=True):
            one.pairs.append((given, without))
    switch(True)
    click.echo(f"\n{title}, {pairs} pairs\n{'a second':22} {'with':>9} {'without':>9}   ratio   of the pairs")
    for one in compared:
        click.echo(one.line())


@click.command()
@click.option("--pairs", default=5, show_default=True)
@click.option("--chats", default=50, show_default=True, help=f"{EACH_ROUND} events of each in a turn.")
@click.option("--others", default=30_000, show_default=True, help="Messages that other tenants have already.")
def main(pairs: int, chats: int, others: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    with postgres(durable=False) as url, closing(psycopg2.connect(url)) as owner:
        owner.autocommit = True
        session, replies = arrange(chats, 4 * pairs + 1)
        house = House(session, replies, chats)
        cursor = owner.cursor()
        cursor.execute(_OTHERS.replace("%s", str(others)))
        cursor.execute(_LEAVE_ALONE)
        cursor.execute(_GUARDED)
        tables = [name for (name,) in cursor.fetchall()]

        def guard(is_on: bool) -> None:  # noqa: FBT001 - a switch
            for table in tables:
                cursor.execute(f"ALTER TABLE {table} {'ENABLE' if is_on else 'DISABLE'} ROW LEVEL SECURITY")
            cursor.execute(_TIDY)

        cursor.execute(_INDEX)
        [definition] = cursor.fetchone() or [""]

        def index(is_on: bool) -> None:  # noqa: FBT001 - a switch
            cursor.execute("DROP INDEX IF EXISTS messages_words_idx")
            if is_on:
                cursor.execute(definition)
            cursor.execute(_TIDY)

        with connection():
            house.inbound()  # what is done once, such as preparing, is paid here
            kinds = {"inbound events": house.inbound, "outbound messages": house.outbound}
            compare(
                f"Row-level security on {len(tables)} tables",
                [
                    Compared(what, work)
                    for what, work in (kinds | {"reads": house.reads, "searches": house.searches}).items()
                ],
                pairs,
                guard,
            )
            compare("The index of the search", [Compared(what, work) for what, work in kinds.items()], pairs, index)


if __name__ == "__main__":
    main()
