"""How many webhooks a second one daemon turns into messages, statuses and posts, against bare SQL in the same run.

    .venv/bin/python -m benchmarks.inbox

A PostgreSQL of its own, commits flushed to disk. The events are what an account with many customers tells: what they
write, what left the account, and how far that got.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import psycopg2
import structlog
from pydantic import SecretStr

from daemon.inbox import InboxWorker
from database import close_database, connection, database, migrations, open_database, tenant_transaction, transaction
from database.embedded import EmbeddedPostgres
from database.notifications import Wakeup
from models import (
    ChannelRoute,
    Conversation,
    ConversationChat,
    Direction,
    Message,
    MessageStatus,
    RoutePurpose,
    SessionStatus,
    Tenant,
    WahaSession,
    uuid7,
)
from operations import webhook_inbox
from operations.inbound import House
from operations.sql import value
from operations.webhook_inbox import NewWebhook
from settings import DatabaseSettings
from waha.webhooks import envelope_of

TEAM, CHANNEL = "T1", "CSUPPORT"
HOUSE = House(operators=("T1/UOLGA",))
BATCH = 200
EACH_ROUND = 5  # events of a chat and round: written by the customer twice, one reply's echo and two receipts
_RAW_EVENTS = 500


@click.command()
@click.option("--chats", default=200, show_default=True)
@click.option("--rounds", default=5, show_default=True, help=f"A round is {EACH_ROUND} events of each chat.")
@click.option("--backlog", default=50_000, show_default=True, help="Events of one chat that wait, for the search.")
@click.option("--most", default=webhook_inbox.AT_ONCE, show_default=True, help="Events of a chat in one transaction.")
def main(chats: int, rounds: int, backlog: int, most: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    with postgres() as url:
        session, replies = arrange(chats, rounds)
        raw = [_raw_limit(url, session)]
        stored = timed(lambda: store_all(_events(session, replies, chats, rounds)))
        click.echo(f"stored      {chats * rounds * EACH_ROUND / stored:8.0f} /s")
        cpu = time.process_time()
        worked = timed(lambda: asyncio.run(_work_off(most)))
        rate = chats * rounds * EACH_ROUND / worked
        raw.append(_raw_limit(url, session))  # before and after: whatever else the machine does, it does to both
        cpu_each = (time.process_time() - cpu) / (chats * rounds * EACH_ROUND)
        click.echo(f"worked off  {rate:8.0f} /s, {cpu_each * 1000:.2f} ms of this process' CPU an event")
        limit = sum(raw) / len(raw)
        click.echo(f"bare SQL    {limit:8.0f} /s, the ratio is {rate / limit:.2f}")
        _show_left()
        _store_backlog(session, backlog)
        search = min(timed(_search) for _ in range(3))
        click.echo(f"search      {search * 1000:8.1f} ms for lanes with work, {backlog} events waiting in one of them")


@contextmanager
def postgres(*, durable: bool = True) -> Iterator[str]:
    directory = Path(tempfile.mkdtemp(prefix="switchboard-benchmark-"))
    directory.chmod(0o711)
    embedded = EmbeddedPostgres(directory / "postgres", durable=durable)
    embedded.attach()
    try:
        migrations.migrate(embedded.url)
        open_database(DatabaseSettings(url=SecretStr(embedded.url)), "switchboard_daemon", "benchmark")
        yield embedded.url
        close_database()
    finally:
        embedded.release()
        embedded.wait_until_stopped()
        shutil.rmtree(directory)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _chat(number: int) -> str:
    return f"49151{number:08}@c.us"


def arrange(chats: int, rounds: int) -> tuple[WahaSession, dict[tuple[int, int], str]]:
    """A session whose customers have threads already, and the replies that WAHA took: (chat, round) -> WhatsApp id."""
    tenant_id = uuid7()
    replies = {}
    with connection(), tenant_transaction(tenant_id):
        Tenant.create(id=tenant_id, name="Acme")
        session: WahaSession = WahaSession.create(
            tenant_id=tenant_id,
            name="sales",
            external_session_id="sales-1",
            server="main",
            status=SessionStatus.WORKING,
            metadata={"me_id": "4930901820@c.us"},
        )
        ChannelRoute.create(
            tenant_id=tenant_id, slack_team_id=TEAM, slack_channel_id=CHANNEL, purpose=RoutePurpose.CONVERSATIONS
        )
        for number in range(chats):
            conversation_id = _conversation(session, number, replies=rounds)
            for turn in range(rounds):
                replies[number, turn] = _reply(session, conversation_id, number, turn)
    return session, replies


def _conversation(session: WahaSession, number: int, *, replies: int) -> UUID:
    conversation = Conversation.create(
        tenant_id=session.tenant_id,
        session_id=session.id,
        title="Berta",
        slack_team_id=TEAM,
        slack_channel_id=CHANNEL,
        slack_thread_ts=f"1700000000.{number:06}",
        next_message_seq=replies,
    )
    ConversationChat.create(
        tenant_id=session.tenant_id, session_id=session.id, conversation_id=conversation.id, chat_id=_chat(number)
    )
    made: UUID = conversation.id
    return made


def _reply(session: WahaSession, conversation_id: UUID, number: int, turn: int) -> str:
    waha_message_id = f"3EB0{uuid7().hex[-18:].upper()}"
    Message.create(
        tenant_id=session.tenant_id,
        session_id=session.id,
        conversation_id=conversation_id,
        seq=turn + 1,
        direction=Direction.OUTBOUND,
        status=MessageStatus.SENT,
        chat_id=_chat(number),
        body=f"Reply {turn}",
        waha_message_id=waha_message_id,
        slack_team_id=TEAM,
        slack_channel_id=CHANNEL,
        slack_ts=f"1700000{turn:03}.{number:06}",
        slack_part=0,
    )
    return waha_message_id


def _events(
    session: WahaSession, replies: dict[tuple[int, int], str], chats: int, rounds: int
) -> Iterator[list[NewWebhook]]:
    """Batches as the ingress stores them: the chats' events interleaved, each chat's in order."""
    event = partial(webhook, session)
    gathered: list[NewWebhook] = []
    for turn in range(rounds):
        for step in range(EACH_ROUND):
            gathered += [event(*told(step, number, turn, replies[number, turn])) for number in range(chats)]
    for start in range(0, len(gathered), BATCH):
        yield gathered[start : start + BATCH]


def told(step: int, number: int, turn: int, reply: str) -> tuple[str, dict[str, Any]]:
    chat = _chat(number)
    match step:
        case 0 | 4:
            return "message.any", _wrote(chat, f"3A{uuid7().hex[-18:].upper()}", f"Where is order {turn}?")
        case 1:
            return "message.any", _wrote(chat, reply, f"Reply {turn}", from_me=True)
        case _:
            return "message.ack", {"id": f"true_{chat}_{reply}", "fromMe": True, "ack": step, "from": chat}


def _wrote(chat: str, bare: str, body: str, *, from_me: bool = False) -> dict[str, Any]:
    """A message as GOWS tells it, with the engine's own copy of it, which is most of the bytes."""
    info = {"ID": bare, "Chat": chat, "PushName": "Berta", "Timestamp": "2026-11-01T12:00:00Z", "DeviceSentMeta": None}
    noise = {f"Context{number}": {"Value": "x" * 40, "IsKnown": False} for number in range(12)}
    return {
        "id": f"{'true' if from_me else 'false'}_{chat}_{bare}",
        "timestamp": 1767000000,
        "from": chat,
        "fromMe": from_me,
        "source": "api" if from_me else "app",
        "body": body,
        "hasMedia": False,
        "media": None,
        "ack": 1,
        "_data": {"Info": info, "Message": {"conversation": body, "messageContextInfo": noise}},
    }


def webhook(session: WahaSession, name: str, payload: dict[str, Any]) -> NewWebhook:
    body = {
        "id": f"evt_{uuid7().hex}",
        "timestamp": 1767000000000,
        "event": name,
        "session": session.external_session_id,
        "metadata": {"switchboard.session": str(session.id)},
        "me": {"id": "4930901820@c.us", "lid": "9@lid", "pushName": "Acme"},
        "payload": payload,
        "engine": "GOWS",
        "environment": {"version": "2026.7.1", "engine": "GOWS", "tier": "CORE", "browser": None},
    }
    raw = json.dumps(body).encode()
    key = envelope_of(raw)
    if key is None:
        raise ValueError("The ingress could not read it.")
    lane = f"{key.session}/{key.chat_id}"
    return NewWebhook(uuid7(), session.server, key.session, key.event_id, key.event_name, lane, raw)


def store_all(batches: Iterator[list[NewWebhook]]) -> None:
    with connection():
        for batch in batches:
            webhook_inbox.store(batch)


async def _work_off(most: int) -> None:
    wakeup = Wakeup()
    worker = InboxWorker(webhook_inbox.due_lanes, partial(webhook_inbox.process, house=HOUSE, most=most), wakeup)
    working = True
    while working:
        await worker.step()
        await wakeup.wait(0.5)
        working = bool(worker.crew.size - worker.crew.free) or await asyncio.to_thread(_is_open)
    await worker.crew.finish()


def _is_open() -> bool:
    with connection(), transaction():
        return bool(value("SELECT EXISTS (SELECT 1 FROM webhook_events WHERE processed_at IS NULL)"))


def _show_left() -> None:
    with connection(), transaction():
        left = value("SELECT count(*) FROM webhook_events WHERE processed_at IS NULL OR parked_at IS NOT NULL")
    click.echo(f"left        {left:8}")


def _raw_limit(url: str, session: WahaSession) -> float:
    """Events a second by one connection with nothing but the least statements, one transaction an event."""
    owner = psycopg2.connect(url)
    cursor = owner.cursor()
    start = time.perf_counter()
    for _ in range(_RAW_EVENTS):
        _write_raw(cursor, session)
        owner.commit()
    rate = _RAW_EVENTS / (time.perf_counter() - start)
    owner.close()
    return rate


def _write_raw(cursor: Any, session: WahaSession) -> None:
    row_id, body = str(uuid7()), os.urandom(16).hex()
    cursor.execute("SELECT id FROM webhook_events WHERE lane = %s AND processed_at IS NULL LIMIT 1", (body,))
    cursor.execute(
        "INSERT INTO messages (id, tenant_id, session_id, direction, status, body, waha_message_id) "
        "VALUES (%s, %s, %s, 'inbound', 'delivered', %s, %s)",
        (row_id, str(session.tenant_id), str(session.id), body, body),
    )
    cursor.execute("UPDATE messages SET delivered_at = clock_timestamp() WHERE id = %s", (row_id,))


def _store_backlog(session: WahaSession, count: int) -> None:
    with connection():
        database.execute_sql(
            "INSERT INTO webhook_events (id, server, session, event_id, event_name, lane, body) "
            "SELECT gen_random_uuid(), 'main', %s, 'waiting' || n, 'message.any', 'one chat', '' "
            "FROM generate_series(1, %s) n",
            (session.external_session_id, count),
        )
        store_all(iter([[webhook(session, *told(0, number, 0, "")) for number in range(20)]]))


def _search() -> None:
    with connection(), transaction():
        found = webhook_inbox.due_lanes(50)
    if len(found) != 1 + 20:
        raise ValueError(found)


if __name__ == "__main__":
    main()
