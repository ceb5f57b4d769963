"""Sends what is queued: lease, call, record. An unknown outcome is looked up after its lease, never just repeated."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from daemon.loops import Crew
from daemon.manners import MOST, Manners
from daemon.servers import Server, may_trust_ids
from database import in_database
from database.notifications import Wakeup
from operations import admission, first_contacts, sending
from operations.sending import Leased
from settings import DeliverySettings, NumberSettings
from settings.logs import get_logger
from waha.chat_ids import BadRecipient
from waha.errors import AccountRestricted, SessionUnknown, WahaError, WahaNotSent, WahaThrottled
from waha.payloads import NumberCheck

log = get_logger(__name__)

_AT_ONCE = 32
# Most of them are only being typed, which keeps no call of another waiting.
_IN_HAND = 256
_LOOK_AGAIN_AFTER = timedelta(seconds=5)
_AWAY = "WAHA cannot be reached, the session's queue waits"
_UNASKED_YET = "What became of it is looked up as soon as WAHA has told its version."
# A `Retry-After` of hours is a mistake of whoever stands before WAHA.
_LONGEST_ASKED = timedelta(minutes=10)
# Nothing is wrong with the message: the server is away or asks for patience, or the session is made there only later.
_NOT_ABOUT_THE_MESSAGE = (WahaNotSent, WahaThrottled, SessionUnknown)


class Sender:
    """Messages on their way out, `_AT_ONCE` of a server, so that a WAHA that hangs keeps no other waiting.

    Without `numbers` whatever is due is sent, at once and to whomever: nobody restricts the numbers there.
    """

    def __init__(
        self,
        servers: Mapping[str, Server],
        delivery: DeliverySettings,
        wakeup: Wakeup,
        numbers: NumberSettings | None = None,
        manners: Manners | None = None,
    ) -> None:
        self._servers = servers
        self._numbers = numbers
        self._manners = manners or Manners()
        self._most = _IN_HAND if numbers is not None and numbers.human_like else _AT_ONCE
        self._calls = {name: asyncio.Semaphore(_AT_ONCE) for name in servers}
        self._call = timedelta(seconds=delivery.send_timeout_seconds)
        self._lease = self._call + timedelta(seconds=delivery.lease_margin_seconds)
        # Of the margin one half is what may come before the call, the other what a call may begin later than it said.
        self._slack = (self._lease - self._call) / 2
        self._give_up_after = timedelta(hours=delivery.give_up_after_hours)
        self._ask_after = timedelta(minutes=delivery.ask_before_sending_after_minutes)
        self._blocks_for = timedelta(minutes=delivery.head_blocks_for_minutes)
        self.wakeup = wakeup
        self._busy: Counter[str] = Counter()
        self.crew = Crew(self._most * len(servers), wakeup)

    async def step(self) -> bool:
        found = [await self._begin(server) for server in self._servers]
        return any(found)

    async def _begin(self, server: str) -> bool:
        free = self._most - self._busy[server]
        if free <= 0:
            return False
        asked_at = asyncio.get_running_loop().time()
        leased = await in_database(
            sending.lease,
            free,
            self._lease,
            servers=[server],
            margin=self._lease - self._call,
            manners=MOST if self._numbers is not None else timedelta(0),
            is_human_like=self._numbers is not None and self._numbers.human_like,
        )
        for message in leased:
            self._busy[server] += 1
            self.crew.start(self._work_on(message, asked_at), message_id=str(message.message_id))
        return bool(leased)

    async def _work_on(self, message: Leased, asked_at: float) -> None:
        try:
            await self._deliver(message, asked_at)
        finally:
            self._busy[message.server] -= 1

    async def _deliver(self, message: Leased, asked_at: float) -> None:
        server = self._servers[message.server]
        if message.send_started_at is not None:
            await self._settle(message, server)
        elif message.age > self._ask_after and not message.is_confirmed:
            await in_database(sending.record_stale, message)
            log.warning("message waited too long to be sent unasked", message_id=message.message_id)
        elif self._numbers is None:
            await self._send(message, server)
        elif admission.is_free(message) or await in_database(admission.admit, message, self._numbers):
            # What comes before the call takes what the lease has for it, and leaves time to wait for one of the calls.
            spare = MOST if message.is_human_like else self._slack / 2
            await self._send_with_care(message, server, until=asked_at + spare.total_seconds())
        else:
            log.info("message waits for its number's sake", message_id=message.message_id)

    async def _send_with_care(self, message: Leased, server: Server, *, until: float) -> None:
        chat_id = await self._chat_of(message, server, until=until)
        if chat_id is None:
            return
        if message.is_human_like:
            await self._manners.show(server.client, message, chat_id, until=until)
        await self._send(message, server, chat_id)

    async def _chat_of(self, message: Leased, server: Server, *, until: float) -> str | None:
        """The chat id that WhatsApp knows the customer by; None: there is none, or the message comes again."""
        digits = first_contacts.number_to_ask_for(message)
        if digits is None and first_contacts.is_known_to_be_nobody(message):
            await in_database(first_contacts.record_nobody, message)
            return None
        answer = await self._ask(message, server, digits, until=until) if digits is not None else None
        if answer is None:
            return message.known_as or message.chat_id
        chat_id = await in_database(first_contacts.record_answer, message, answer)
        log.info("number looked up", message_id=message.message_id, exists=answer.exists)
        return chat_id

    async def _ask(self, message: Leased, server: Server, digits: str, *, until: float) -> NumberCheck | None:
        """None where WAHA does not tell, as some engines do not: then the message goes as it was written."""
        try:
            async with asyncio.timeout_at(until):
                return await server.client.check_exists(message.external_session_id, digits)
        except (WahaError, TimeoutError) as error:
            log.info("number not looked up", message_id=message.message_id, reason=str(error))
            return None

    async def _settle(self, message: Leased, server: Server) -> None:
        """An earlier call was interrupted: find out what became of it."""
        if message.id_confirmed:
            # Its own echo was here before us.
            await in_database(sending.record_sent, message, waha_message_id=message.waha_message_id, is_pending=True)
            return
        trusted = await may_trust_ids(message)
        if trusted is None:
            await self._look_again(message, _UNASKED_YET)
        elif trusted:
            await self._look_up(message, server)
        else:
            await in_database(sending.record_unknowable, message)
            log.error("whether a message was sent is not known", message_id=message.message_id)

    async def _look_up(self, message: Leased, server: Server) -> None:
        try:
            found = await server.client.find_message(message.external_session_id, message.waha_message_id)
        except WahaError as error:
            if _is_not_about_the_message(error):
                await self._hold(message, error)
            else:
                # Without an answer the next look-up of the session would take as long.
                await self._look_again(message, error.sentence, pauses_session=error.http_status is None)
            return
        log.info("unknown outcome looked up", message_id=message.message_id, was_sent=found is not None)
        if found is not None:
            is_pending = found.ack is not None and found.ack < 1
            await in_database(
                sending.record_sent, message, waha_message_id=message.waha_message_id, is_pending=is_pending
            )
        else:
            # A try that failed, like any other: without a pause and an end it would be repeated for ever.
            await self._try_later(message, "WAHA took the message and does not know it.")

    async def _look_again(self, message: Leased, reason: str, *, pauses_session: bool = False) -> None:
        await in_database(
            sending.record_postponed,
            message,
            reason,
            pause=_LOOK_AGAIN_AFTER,
            blocks_for=self._blocks_for,
            pauses_session=pauses_session,
        )

    async def _send(self, message: Leased, server: Server, chat_id: str | None = None) -> None:
        async with self._calls[server.name]:
            await self._call_waha(message, server, chat_id or message.chat_id)

    async def _call_waha(self, message: Leased, server: Server, chat_id: str) -> None:
        asked_at = time.monotonic()
        if not await in_database(sending.begin, message, self._call + self._slack, chat_id=chat_id):
            return  # what is left of the lease is too short for the call
        if time.monotonic() - asked_at > self._slack.total_seconds():
            log.warning("this process stood still, a message is left to the look-up", message_id=message.message_id)
            return
        try:
            sent = await server.client.send_text(
                message.external_session_id, chat_id, message.body, message_id=message.waha_message_id
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
            await self._restrict(message)
            return
        if _is_not_about_the_message(error):
            is_away = isinstance(error, WahaNotSent)
            log.warning(_AWAY if is_away else "session cannot send, its queue waits", **facts)
            await self._hold(message, error)
            return
        match error.may_send_again:
            case "yes":
                log.warning("message not sent, trying again", **facts)
                await self._try_later(message, error.sentence)
            case "no":
                log.error("message refused", **facts)
                await in_database(sending.record_refused, message, error.sentence)
            case "look_up":
                # The lease stays: until it ends, "not found" could also mean "still on its way".
                log.warning("outcome unknown, looked up when the lease ends", **facts)

    async def _restrict(self, message: Leased) -> None:
        """The answer does not say for how long; the session does, if WhatsApp said it."""
        try:
            session = await self._servers[message.server].client.get_session(message.external_session_id)
            until = session.me.restricted_until if session.me is not None else None
        except WahaError:
            until = None
        await in_database(sending.record_restricted, message, until=until, give_up_after=self._give_up_after)

    async def _try_later(self, message: Leased, reason: str) -> None:
        await in_database(
            sending.record_not_sent,
            message,
            reason,
            give_up_after=self._give_up_after,
            blocks_for=self._blocks_for,
        )

    async def _hold(self, message: Leased, error: WahaError) -> None:
        asked = timedelta(seconds=getattr(error, "retry_after", None) or 0)
        pause = max(sending.hold_for(message.age), min(asked, _LONGEST_ASKED))
        await in_database(sending.record_held, message, error.sentence, pause=pause, give_up_after=self._give_up_after)


def _is_not_about_the_message(error: WahaError) -> bool:
    return isinstance(error, _NOT_ABOUT_THE_MESSAGE) or error.may_send_again == "wait"
