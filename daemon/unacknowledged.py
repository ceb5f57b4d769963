"""Looks after what has left without a word from WhatsApp, and says of what cannot leave for long that it waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from daemon.loops import Crew
from daemon.servers import Server, may_trust_ids
from database import in_database
from database.notifications import Wakeup
from operations import outdated, restrictions, unacknowledged
from operations.unacknowledged import Unacknowledged
from settings import DeliverySettings
from settings.logs import get_logger
from waha.acks import receipt_of
from waha.errors import WahaError

log = get_logger(__name__)

_AT_ONCE = 4
# WAHA's maintainers tell their users to wait for as long, and then to send once more.
CONFIRMED_WITHIN = timedelta(seconds=60)


class Unconfirmed:
    """Messages that WAHA took and WhatsApp has not confirmed, of each server some; and what cannot leave for long."""

    def __init__(
        self,
        servers: Mapping[str, Server],
        delivery: DeliverySettings,
        wakeup: Wakeup,
        *,
        confirmed_within: timedelta = CONFIRMED_WITHIN,
    ) -> None:
        self._servers = servers
        self._call = timedelta(seconds=delivery.send_timeout_seconds)
        # It is asked for before it is sent again.
        self._lease = 2 * self._call + timedelta(seconds=delivery.lease_margin_seconds)
        self._give_up_after = timedelta(hours=delivery.give_up_after_hours)
        self._wait = confirmed_within
        self.wakeup = wakeup
        self._busy: Counter[str] = Counter()
        self.crew = Crew(_AT_ONCE * len(servers), wakeup)

    async def step(self) -> bool:
        told = await in_database(restrictions.tell_held)
        given_up = await in_database(outdated.give_up, self._give_up_after)
        found = [await self._begin(server) for server in self._servers]
        return bool(told or given_up or any(found))

    async def _begin(self, server: str) -> bool:
        free = _AT_ONCE - self._busy[server]
        if free <= 0:
            return False
        leased = await in_database(unacknowledged.lease, free, wait=self._wait, lease=self._lease, servers=[server])
        for message in leased:
            self._busy[server] += 1
            self.crew.start(self._work_on(message), message_id=str(message.message_id))
        return bool(leased)

    async def _work_on(self, message: Unacknowledged) -> None:
        try:
            await self._look_after(message)
        finally:
            self._busy[message.server] -= 1

    async def _look_after(self, message: Unacknowledged) -> None:
        server = self._servers[message.server]
        trusted = await may_trust_ids(message)
        if trusted is None:
            await in_database(unacknowledged.record_waiting, message)
            return
        try:
            found = await server.client.find_message(
                message.external_session_id, message.waha_message_id, own_in=None if trusted else message.chat_id
            )
        except WahaError as error:
            log.warning("unconfirmed message not looked up", message_id=message.message_id, reason=error.sentence)
            await in_database(unacknowledged.record_waiting, message)
            return
        receipt = receipt_of(found.ack) if found is not None else None
        if receipt in {"sent", "delivered", "read"}:
            await in_database(unacknowledged.record_reached, message, receipt)
        elif trusted and not message.is_resent and receipt != "failed":
            await self._send_again(message, server)
        else:
            log.error("message not confirmed by WhatsApp", message_id=message.message_id)
            await in_database(unacknowledged.record_unconfirmed, message)

    async def _send_again(self, message: Unacknowledged, server: Server) -> None:
        """Under the same id, by which phones know that it is the same; whatever comes of it, it was the last time."""
        if not await in_database(unacknowledged.begin_again, message, self._call):
            return
        log.warning("message not confirmed, sent once more under its id", message_id=message.message_id)
        try:
            sent = await server.client.send_text(
                message.external_session_id, message.chat_id, message.body, message_id=message.waha_message_id
            )
        except WahaError as error:
            log.warning("message not sent once more", message_id=message.message_id, reason=error.sentence)
            await in_database(unacknowledged.record_waiting, message)
            return
        receipt = receipt_of(sent.ack)
        if receipt in {"sent", "delivered", "read"}:
            await in_database(unacknowledged.record_reached, message, receipt)
        else:
            await in_database(unacknowledged.record_waiting, message)
