"""Sends what is queued: lease, call, record. An unknown outcome is looked up after its lease, never just repeated."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from daemon.loops import Crew
from daemon.servers import Server, ids_are_trusted
from database import in_database
from database.notifications import Wakeup
from operations import sending
from operations import servers as server_rows
from operations.sending import Leased
from settings import DeliverySettings
from settings.logs import get_logger
from waha.chat_ids import BadRecipient
from waha.errors import AccountRestricted, WahaError, WahaNotSent

log = get_logger(__name__)

_AT_ONCE = 32
_HOLD = timedelta(seconds=5)
_RESTRICTED = (
    "WhatsApp lets this account start no new chats for now; replies to people who wrote first still go. "
    "Try again tomorrow, or write from the phone."
)
_LOOK_AGAIN_AFTER = timedelta(seconds=5)


class Sender:
    """Messages on their way out, `_AT_ONCE` conversations at a time."""

    def __init__(self, servers: Mapping[str, Server], delivery: DeliverySettings, wakeup: Wakeup) -> None:
        self._servers = servers
        self._call = timedelta(seconds=delivery.send_timeout_seconds)
        self._lease = self._call + timedelta(seconds=delivery.lease_margin_seconds)
        self._give_up_after = timedelta(hours=delivery.give_up_after_hours)
        self._ask_after = timedelta(minutes=delivery.ask_before_sending_after_minutes)
        self._blocks_for = timedelta(minutes=delivery.head_blocks_for_minutes)
        self.wakeup = wakeup
        self.crew = Crew(_AT_ONCE, wakeup)

    async def step(self) -> bool:
        if self.crew.free <= 0:
            return False
        leased = await in_database(sending.lease, self.crew.free, self._lease, servers=list(self._servers))
        for message in leased:
            self.crew.start(self._deliver(message), message_id=str(message.message_id))
        return bool(leased)

    async def _deliver(self, message: Leased) -> None:
        server = self._servers[message.server]
        if message.send_started_at is not None:
            await self._settle(message, server)
        elif message.age > self._ask_after:
            await in_database(sending.record_stale, message)
            log.warning("message waited too long to be sent unasked", message_id=message.message_id)
        else:
            await self._send(message, server)

    async def _settle(self, message: Leased, server: Server) -> None:
        """An earlier call was interrupted: find out what became of it."""
        if not await self._trusts_ids(message):
            await in_database(sending.record_unknowable, message)
            log.error("whether a message was sent is not known", message_id=message.message_id)
            return
        try:
            found = await server.client.find_message(message.external_session_id, message.waha_message_id)
        except WahaError as error:
            await in_database(sending.record_postponed, message, error.sentence, pause=_LOOK_AGAIN_AFTER)
            return
        log.info("unknown outcome looked up", message_id=message.message_id, was_sent=found is not None)
        if found is not None:
            await in_database(sending.record_sent, message, waha_message_id=message.waha_message_id)
        else:
            # A try that failed, like any other: without a pause and an end it would be repeated for ever.
            await self._try_later(message, "WAHA took the message and does not know it.")

    async def _send(self, message: Leased, server: Server) -> None:
        if not await in_database(sending.begin, message, self._call):
            return  # what is left of the lease is too short for the call
        try:
            sent = await server.client.send_text(
                message.external_session_id, message.chat_id, message.body, message_id=message.waha_message_id
            )
        except BadRecipient as error:
            await in_database(sending.record_refused, message, str(error))
        except WahaError as error:
            await self._record_failure(message, error)
        else:
            mine = await in_database(
                sending.record_sent, message, waha_message_id=sent.waha_message_id, is_pending=sent.ack == 0
            )
            log.info("message sent", message_id=message.message_id, attempts=message.attempts, was_mine=mine)

    async def _record_failure(self, message: Leased, error: WahaError) -> None:
        facts = {"message_id": message.message_id, "reason": error.sentence, "status": error.http_status}
        if isinstance(error, AccountRestricted):
            # Each further try makes it worse, and replies in known chats must not wait for it.
            log.error("account may start no new chats for now", **facts)
            await in_database(sending.record_refused, message, _RESTRICTED)
            return
        if isinstance(error, WahaNotSent):
            # Nothing is wrong with the message: the server is away, and with it every session on it.
            log.warning("WAHA cannot be reached, the session's queue waits", **facts)
            await self._hold(message, error.sentence)
            return
        match error.may_send_again:
            case "yes":
                log.warning("message not sent, trying again", **facts)
                await self._try_later(message, error.sentence)
            case "wait":
                log.warning("session cannot send, its queue waits", **facts)
                await self._hold(message, error.sentence)
            case "no":
                log.error("message refused", **facts)
                await in_database(sending.record_refused, message, error.sentence)
            case "look_up":
                # The lease stays: until it ends, "not found" could also mean "still on its way".
                log.warning("outcome unknown, looked up when the lease ends", **facts)

    async def _try_later(self, message: Leased, reason: str) -> None:
        await in_database(
            sending.record_not_sent,
            message,
            reason,
            give_up_after=self._give_up_after,
            blocks_for=self._blocks_for,
        )

    async def _hold(self, message: Leased, reason: str) -> None:
        await in_database(sending.record_held, message, reason, pause=_HOLD, give_up_after=self._give_up_after)

    async def _trusts_ids(self, message: Leased) -> bool:
        known = (await in_database(server_rows.views, [message.server])).get(message.server)
        if message.ids_refused or known is None:
            return False
        return ids_are_trusted(known.engine or message.engine, known.version)
