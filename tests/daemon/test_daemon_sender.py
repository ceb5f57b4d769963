"""What becomes of a message for each thing that WAHA may do to it; the simulated WAHA is on a socket, with phones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from daemon.loops import repeat
from daemon.sender import Sender
from daemon.servers import Server
from database import in_database, tenant_transaction
from database.notifications import Wakeup
from models import (
    Conversation,
    Direction,
    Message,
    MessageStatus,
    ServerState,
    SessionStatus,
    Tenant,
    WahaSession,
    uuid7,
)
from operations import observing
from sandbox.waha import SandboxWaha
from sandbox.whatsapp import Phone, WhatsApp
from settings import DeliverySettings
from tests.daemon.conftest import Rows, becomes
from waha.client import Timeouts, WahaClient

SEND_SECONDS, MARGIN_SECONDS = 0.6, 0.4
LEASE_SECONDS = SEND_SECONDS + MARGIN_SECONDS
SEND = "/api/sendText"
STORES = {"noweb": {"store": {"enabled": True}}}
SHOP, CUSTOMER = "+4930901820", "+4915123456789"
OUTCOME = "SELECT status, attempts, parked_at IS NOT NULL FROM messages ORDER BY seq"
Talk = tuple[Conversation, Phone]


@pytest.fixture
async def waha() -> AsyncIterator[SandboxWaha]:
    async with SandboxWaha(WhatsApp(), pace=0.01) as running:
        session = running.sessions.create("s1", STORES)
        session.start()
        await running.pair("s1", running.whatsapp.phone(SHOP, name="Acme"))
        yield running


@pytest.fixture
async def talk(waha: SandboxWaha, rows: Rows) -> Talk:
    """A conversation with a customer through the session, on a server whose ids are trusted."""
    customer = waha.whatsapp.phone(CUSTOMER, name="Carla")
    await in_database(know_server, "2026.7.1")
    return await in_database(a_conversation), customer


def know_server(version: str) -> None:
    observing.lease_server("main", token=uuid4(), lease=timedelta(minutes=1))
    observing.record_server("main", ServerState.UP, version=version, engine="GOWS")


def a_conversation() -> Conversation:
    tenant_id = uuid7()
    with tenant_transaction(tenant_id):
        Tenant.create(id=tenant_id, name="Acme")
        session = WahaSession.create(
            tenant_id=tenant_id, name="sales", external_session_id="s1", server="main", status=SessionStatus.WORKING
        )
        conversation: Conversation = Conversation.create(tenant_id=tenant_id, session_id=session.id, title="Carla")
    return conversation


@pytest.fixture
async def sender(waha: SandboxWaha, rows: Rows) -> AsyncIterator[None]:
    """A sender at work."""
    delivery = DeliverySettings(send_timeout_seconds=SEND_SECONDS, lease_margin_seconds=MARGIN_SECONDS)
    stopping, wakeup = asyncio.Event(), Wakeup()
    async with WahaClient(waha.url, waha.api_key, timeouts=Timeouts(send=SEND_SECONDS)) as client:
        sender = Sender({"main": Server("main", client, "http://127.0.0.1:1", "key")}, delivery, wakeup)
        working = asyncio.create_task(
            repeat("sender", sender.step, wakeup=wakeup, stopping=stopping, every_seconds=0.02)
        )
        yield
        stopping.set()
        waha.release_answers()
        await working
        await sender.crew.finish()


async def queue(talk: Talk, *bodies: str) -> None:
    await in_database(insert, talk[0], bodies)


def insert(conversation: Conversation, bodies: tuple[str, ...]) -> None:
    with tenant_transaction(conversation.tenant_id):
        for seq, body in enumerate(bodies, 1):
            Message.create(
                tenant_id=conversation.tenant_id,
                session_id=conversation.session_id,
                conversation_id=conversation.id,
                seq=seq,
                direction=Direction.OUTBOUND,
                chat_id=f"{CUSTOMER.removeprefix('+')}@c.us",
                body=body,
                status=MessageStatus.QUEUED,
            )


def received(talk: Talk) -> list[tuple[str, int]]:
    return [(one.text, one.copies) for one in talk[1].chat_with(SHOP) if one.direction == "in"]


def sends(waha: SandboxWaha) -> int:
    return len([entry for entry in waha.journal.requests if entry.path == SEND])


async def test_a_conversation_is_sent_in_order(waha: SandboxWaha, talk: Talk, sender: None, rows: Rows) -> None:
    await queue(talk, "one", "two", "three")

    await becomes(rows, OUTCOME, [("sent", 0, False)] * 3)

    assert received(talk) == [("one", 1), ("two", 1), ("three", 1)]


async def test_what_waha_refuses_for_good_fails_and_the_next_goes_on(
    waha: SandboxWaha, talk: Talk, sender: None, rows: Rows
) -> None:
    waha.answer(SEND, status=400, body={"statusCode": 400, "message": ["text must be a string"]}, times=1)

    await queue(talk, "refused", "next")

    await becomes(rows, OUTCOME, [("failed", 1, False), ("sent", 0, False)])
    assert received(talk) == [("next", 1)]


async def test_a_waha_that_is_away_holds_the_queue_and_costs_no_attempt(
    waha: SandboxWaha, talk: Talk, sender: None, rows: Rows
) -> None:
    await waha.go_down()
    await queue(talk, "patient")
    await becomes(rows, "SELECT hold_until > now() FROM waha_sessions", [(True,)])
    assert await rows("SELECT attempts, send_started_at FROM messages") == [(0, None)]

    await waha.come_back()
    await waha.sessions.working("s1")
    await rows("UPDATE waha_sessions SET hold_until = NULL")

    await becomes(rows, "SELECT status FROM messages", [("sent",)])
    assert received(talk) == [("patient", 1)]


@pytest.mark.parametrize("status", [401, 302])
async def test_what_no_retry_mends_holds_the_session_and_costs_no_attempt(
    waha: SandboxWaha, talk: Talk, sender: None, rows: Rows, status: int
) -> None:
    waha.answer(SEND, status=status, headers={"Location": "http://127.0.0.1:1/"} if status == 302 else None)

    await queue(talk, "held", "behind")

    held = "SELECT hold_until > now(), (SELECT sum(attempts) FROM messages)::int FROM waha_sessions"
    await becomes(rows, held, [(True, 0)])
    waha.answer_normally()
    await rows("UPDATE waha_sessions SET hold_until = NULL")
    await becomes(rows, OUTCOME, [("sent", 0, False)] * 2)
    assert received(talk) == [("held", 1), ("behind", 1)]


@pytest.mark.timeline("complaint/15")
@pytest.mark.parametrize("is_carried_out", [True, False], ids=["WAHA sent it", "WAHA did not send it"])
@pytest.mark.parametrize("how", ["cut", "502"])
async def test_an_unknown_outcome_is_looked_up_after_the_lease_and_sent_once(
    waha: SandboxWaha, talk: Talk, sender: None, rows: Rows, how: str, *, is_carried_out: bool
) -> None:
    if how == "cut":
        waha.hang_up(SEND, times=1, carried_out=is_carried_out)
    else:
        waha.answer(SEND, status=502, times=1, carried_out=is_carried_out)

    await queue(talk, "once", "next")

    # What WAHA does not know is one more try, and waits as long as any.
    tries = 0 if is_carried_out else 1
    await becomes(rows, "SELECT status, attempts FROM messages ORDER BY seq", [("sent", tries), ("sent", 0)])
    assert received(talk) == [("once", 1), ("next", 1)]
    assert sends(waha) == 2 + tries
    [look_up] = [entry for entry in waha.journal.requests if "/chats/all/messages/" in entry.path]
    first = next(entry for entry in waha.journal.requests if entry.path == SEND)
    assert (look_up.at - first.at).total_seconds() >= LEASE_SECONDS - 0.2


async def test_a_silence_longer_than_the_call_is_looked_up_too(
    waha: SandboxWaha, talk: Talk, sender: None, rows: Rows
) -> None:
    with waha.hold_answers(SEND) as hold:
        await queue(talk, "once")
        await becomes(rows, "SELECT status FROM messages", [("sent",)])

    assert hold.held == 1
    assert received(talk) == [("once", 1)]


async def test_a_look_up_that_fails_sends_nothing(waha: SandboxWaha, talk: Talk, sender: None, rows: Rows) -> None:
    waha.hang_up(SEND, times=1, carried_out=True)
    waha.answer("/api/*/chats/all/messages/*", status=500, body={"message": "busy"}, times=1)

    await queue(talk, "once")
    await becomes(rows, "SELECT hold_reason IS NOT NULL AND lease_token IS NULL FROM messages", [(True,)])
    await rows("UPDATE messages SET next_attempt_at = now()")

    await becomes(rows, "SELECT status FROM messages", [("sent",)])
    assert sends(waha) == 1
    assert received(talk) == [("once", 1)]


@pytest.mark.timeline("complaint/15")
async def test_where_ids_are_not_trusted_a_person_decides_and_nothing_is_sent_again(
    waha: SandboxWaha, talk: Talk, sender: None, rows: Rows
) -> None:
    await in_database(know_server, "2026.2.1")
    waha.hang_up(SEND, times=1)

    await queue(talk, "perhaps", "next")

    await becomes(rows, OUTCOME, [("queued", 0, True), ("sent", 0, False)])
    assert received(talk) == [("next", 1)]


async def test_a_server_that_this_daemon_does_not_know_is_left_to_others(
    waha: SandboxWaha, talk: Talk, sender: None, rows: Rows
) -> None:
    await rows("UPDATE waha_sessions SET server = 'elsewhere' WHERE external_session_id = 's1'")
    await queue(talk, "for another daemon")

    await rows("UPDATE waha_sessions SET server = 'main'")

    await becomes(rows, "SELECT status, attempts FROM messages", [("sent", 0)])
    assert received(talk) == [("for another daemon", 1)]


async def test_an_account_that_may_start_no_chats_waits_and_goes_on_with_those_who_wrote(
    waha: SandboxWaha, talk: Talk, sender: None, rows: Rows
) -> None:
    waha.whatsapp.phone(SHOP).restrict()
    await queue(talk, "to somebody new")
    held = "SELECT status, hold_reason, attempts FROM messages"
    await becomes(rows, held, [("queued", "no new chats", 0)])
    assert await rows("SELECT hold_until, restricted_until > now() + interval '23 hours' FROM waha_sessions") == [
        (None, True)
    ]
    assert sends(waha) == 1

    await rows("UPDATE conversations SET last_inbound_at = now()")
    waha.whatsapp.phone(SHOP).lift_restriction()
    await rows("UPDATE messages SET next_attempt_at = now()")

    await becomes(rows, "SELECT status FROM messages", [("sent",)])
    assert received(talk) == [("to somebody new", 1)]


async def test_the_end_that_whatsapp_names_is_the_end_of_the_pause(
    waha: SandboxWaha, talk: Talk, sender: None, rows: Rows
) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
    waha.whatsapp.phone(SHOP).restrict()
    # As WAHA tells it since 2026.7.2.
    timelock = {"isActive": True, "timeEnforcementEnds": int(until.timestamp())}
    account = {"id": "4930901820@c.us", "reachoutTimelock": timelock}
    waha.answer("/api/sessions/s1", status=200, body={"name": "s1", "status": "WORKING", "me": account})

    await queue(talk, "to somebody new")

    await becomes(rows, "SELECT restricted_until FROM waha_sessions", [(until,)])


NOT_READY = {"error": "Session status is not as expected.", "session": "s1", "expected": ["WORKING"]}


def exception(said: str) -> dict[str, object]:
    """A 500 of WAHA: the engine's own exception."""
    return {"statusCode": 500, "exception": {"message": f"2 UNKNOWN: {said}", "code": 2, "details": said}}


# What is answered to a send, and what becomes of the message: `held` costs no attempt and stops the session's queue,
# `later` costs one, `failed` is a dead letter, `unknown` keeps the lease until it can be looked up.
OUTCOMES: dict[str, tuple[int, object, str]] = {
    "key refused": (401, {"message": "Unauthorized", "statusCode": 401}, "held"),
    "key has no right": (403, {"message": "Forbidden", "statusCode": 403}, "held"),
    "malformed": (400, {"message": ["text must be a string"], "error": "Bad Request", "statusCode": 400}, "failed"),
    "malformed, one sentence": (400, {"detail": "chatId is missing"}, "failed"),
    "no such thing": (404, {"message": "Chat not found", "error": "Not Found", "statusCode": 404}, "failed"),
    "not by this engine": (501, {"message": "not implemented by 'GOWS' engine", "statusCode": 501}, "failed"),
    "starting": (422, NOT_READY | {"status": "STARTING"}, "held"),
    "to be scanned": (422, NOT_READY | {"status": "SCAN_QR_CODE"}, "held"),
    "stopped": (422, NOT_READY | {"status": "STOPPED"}, "held"),
    "failed": (422, NOT_READY | {"status": "FAILED"}, "held"),
    "not running": (422, {"message": "We didn't find a session with name 's1'.", "statusCode": 422}, "held"),
    "not made there yet": (422, {"error": 'Session "s1" does not exist', "session": "s1"}, "held"),
    "not there": (404, {"message": "Session not found", "error": "Not Found", "statusCode": 404}, "held"),
    "not processable": (422, {"message": "No such number", "error": "Unprocessable Entity"}, "failed"),
    "too many": (429, "slow down", "held"),
    "WhatsApp's 400": (500, exception("server returned error 400"), "later"),
    "WhatsApp's 479": (500, exception("server returned error 479"), "later"),
    "no address": (500, exception("No LID for user"), "later"),
    "not acceptable": (500, exception("not-acceptable"), "later"),
    "TypeError": (500, exception("Cannot read properties of undefined (reading 'chatId')"), "unknown"),
    "bad gateway": (502, "", "unknown"),
    "unavailable": (503, "", "unknown"),
    "gateway time-out": (504, "", "unknown"),
    "a page": (200, "<html>", "unknown"),
}
STANDS = """
    SELECT CASE WHEN m.status = 'failed' THEN 'failed' WHEN s.hold_until > now() AND m.attempts = 0 THEN 'held'
        WHEN m.attempts = 1 THEN 'later'
        WHEN m.lease_token IS NOT NULL AND m.send_started_at IS NOT NULL THEN 'unknown' END
    FROM messages m JOIN waha_sessions s ON s.id = m.session_id
"""


@pytest.mark.parametrize("answer", OUTCOMES)
async def test_what_becomes_of_a_message_for_each_answer(
    waha: SandboxWaha, talk: Talk, sender: None, rows: Rows, answer: str
) -> None:
    status, body, outcome = OUTCOMES[answer]
    waha.answer(SEND, status=status, body=body)

    await queue(talk, "Hello")

    await becomes(rows, STANDS, [(outcome,)])
    assert received(talk) == []


async def test_what_waited_half_an_hour_is_not_sent_unasked(
    waha: SandboxWaha, talk: Talk, sender: None, rows: Rows
) -> None:
    await rows("UPDATE waha_sessions SET status = 'stopped'")
    await queue(talk, "good morning")
    await rows("UPDATE messages SET created_at = now() - interval '31 minutes'")

    await rows("UPDATE waha_sessions SET status = 'working'")

    await becomes(rows, "SELECT status, parked_at IS NOT NULL FROM messages", [("queued", True)])
    assert sends(waha) == 0
