"""One session: its status, its pairing, its connection to WhatsApp."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from enum import StrEnum

from sandbox.waha import qr
from sandbox.waha.environment import Json
from sandbox.waha.identifiers import event_id, milliseconds
from sandbox.waha.mailbox import Mailbox
from sandbox.waha.receipt_faults import Kind
from sandbox.waha.runtime import Runtime
from sandbox.whatsapp import Happening, LinkedDevice, Phone, RestrictionChanged, Unlinked

# A start takes about as long as the handshake with WhatsApp's server.
HANDSHAKE_SECONDS = 0.3
RECONNECT_SECONDS = 2.0
UNPAIR_SECONDS = 1.0
STATUSES_REMEMBERED = 3
# How long an engine without a better way knows that it sent a message itself.
SENT_REMEMBERED_SECONDS = 600.0


class Status(StrEnum):
    STOPPED = "STOPPED"
    STARTING = "STARTING"
    SCAN_QR_CODE = "SCAN_QR_CODE"
    WORKING = "WORKING"
    FAILED = "FAILED"


class Session:
    """`receive` is told what happens on WhatsApp while the session is connected.

    Configuration, pairing and mailbox are on WAHA's disk: they outlive a crash of the server. Status does not.
    """

    def __init__(
        self, name: str, config: Json | None, runtime: Runtime, receive: Callable[[Session, Happening], None]
    ) -> None:
        self.name = name
        self.config = config
        self.runtime = runtime
        self.mailbox = Mailbox()
        self.status = Status.STOPPED
        self.device: LinkedDevice | None = None
        self.qr_value: str | None = None
        # Sessions that were started and not stopped since are started again with the server.
        self.assigned = False
        # Chat ids as the caller of the API wrote them, by message id: the answer and the event use the same form.
        self.addressed_as: dict[str, str] = {}
        # What a fault makes of the receipts of a message that was sent, by message id.
        self.receipt_fates: dict[str, frozenset[Kind]] = {}
        self.last_activity: int | None = None
        self._receive = receive
        self._statuses: list[Json] = []
        self._sent_until: dict[str, float] = {}
        self._life: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    @property
    def running(self) -> bool:
        return self.status is not Status.STOPPED

    @property
    def account(self) -> Phone | None:
        return self.device.account if self.device else None

    @property
    def me(self) -> Json | None:
        """The account, known only after the scan and kept while stopped."""
        if self.device is None:
            return None
        return self.runtime.engine.me(self.device.account, self.device.number)

    @property
    def me_with_limits(self) -> Json | None:
        """`me` as SessionInfo has it: newer servers add what WhatsApp told them of its limits, null if nothing."""
        me, environment = self.me, self.runtime.environment
        if me is None or not environment.at_least("2026.7.2"):
            return me
        capping: Json = {"messageCapping": None} if environment.at_least("2026.8.1") else {}
        return me | {"reachoutTimelock": self._timelock()} | capping

    def info(self, *, with_engine: bool) -> Json:
        """SessionInfo. Lists leave the engine out."""
        working = self.status is Status.WORKING
        info: Json = {
            "name": self.name,
            "status": self.status.value,
            "config": self.config,
            "me": self.me_with_limits,
            "presence": "online" if working else None,
            "timestamps": {"activity": self.last_activity},
            "assignedWorker": self.runtime.environment.worker_id,
            "apps": None,
        }
        if with_engine:
            info["engine"] = self.runtime.engine.state(running=self.running)
        return info

    def remember_sent(self, message_id: str) -> None:
        self._sent_until[message_id] = time.monotonic() + self.runtime.environment.seconds(SENT_REMEMBERED_SECONDS)

    def recalls_sending(self, message_id: str) -> bool:
        return self._sent_until.get(message_id, 0.0) > time.monotonic()

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Waits for a condition on this session; returns whether it came true in time."""
        try:
            async with asyncio.timeout(self.runtime.environment.seconds(seconds)):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def start(self) -> None:
        """Does nothing if the session runs already."""
        self.assigned = True
        if self.running:
            return
        self._statuses = []
        self._become(Status.STARTING)
        self._life = self.runtime.background.start(self._live())

    async def stop(self, *, for_good: bool = True) -> None:
        """Keeps the pairing. `for_good`: a restart of the server does not bring it back."""
        self.assigned = self.assigned and not for_good
        if not self.running:
            return
        self._end_life()
        self._become(Status.STOPPED)
        await self.runtime.environment.wait(self.runtime.engine.stop_seconds)

    async def restart(self) -> None:
        await self.stop(for_good=False)
        self.start()

    async def unpair(self) -> None:
        """Stops and forgets the account."""
        was_running = self.running
        await self.stop(for_good=False)
        if self.device is not None:
            self.device.unlink()
            self.device = None
        if was_running:
            await self.runtime.environment.wait(UNPAIR_SECONDS)

    def crash(self) -> None:
        """The process died: no event tells of it."""
        self._sent_until.clear()
        self._end_life()
        self.status = Status.STOPPED

    def lose_connection(self) -> None:
        """The socket to WhatsApp closes; a short while later it is open again."""
        if self.device is None or self.status is not Status.WORKING:
            return
        self.device.disconnect()
        self._become(Status.STARTING)
        self._life = self.runtime.background.start(self._reconnect())

    def fail(self) -> None:
        self._end_life()
        self._become(Status.FAILED)
        if self.runtime.engine.restarts_after_failure and self.device is not None:
            self._life = self.runtime.background.start(self._recover())

    def pair_with(self, phone: Phone) -> None:
        self.device = self.runtime.whatsapp.link(phone, self._hear)
        self._notify()

    def emit(self, event: str, payload: Json, *, shared_id: str | None = None) -> None:
        """Posts an event to the webhooks that want it. `message` and `message.any` of one message share an id."""
        envelope: Json = {
            "id": shared_id or event_id(self.runtime.environment.random),
            "timestamp": milliseconds(),
            "event": event,
            "session": self.name,
        }
        if metadata := (self.config or {}).get("metadata"):
            envelope["metadata"] = metadata
        envelope |= {
            "me": self.me,
            "payload": payload,
            "engine": self.runtime.engine.name,
            "environment": self.runtime.environment.as_json(),
        }
        self.runtime.webhooks.publish(self.config, envelope)

    async def _live(self) -> None:
        await self.runtime.environment.wait(HANDSHAKE_SECONDS)
        if self.device is None:
            if not await self._pair():
                self._become(Status.FAILED)
                return
            if self.runtime.engine.restarts_after_scan:
                self._become(Status.STARTING)
                await self.runtime.environment.wait(HANDSHAKE_SECONDS)
        self._connect()

    async def _pair(self) -> bool:
        for lifetime in qr.LIFETIMES:
            self.qr_value = qr.new_value(self.runtime.whatsapp.random)
            self.runtime.whatsapp.offer(self.qr_value, self.pair_with)
            self._become(Status.SCAN_QR_CODE)
            try:
                if await self.until(lambda: self.device is not None, lifetime):
                    return True
            finally:
                self.runtime.whatsapp.withdraw(self.qr_value)
                self.qr_value = None
        return False

    async def _recover(self) -> None:
        await self.runtime.environment.wait(RECONNECT_SECONDS)
        self._become(Status.STARTING)
        await self.runtime.environment.wait(HANDSHAKE_SECONDS)
        self._connect()

    async def _reconnect(self) -> None:
        await self.runtime.environment.wait(RECONNECT_SECONDS)
        self._connect()

    def _connect(self) -> None:
        self._become(Status.WORKING)
        if self.device is not None:
            self.device.connect()

    def _hear(self, happening: Happening) -> None:
        if isinstance(happening, Unlinked):
            self.device = None
            self.fail()
        elif isinstance(happening, RestrictionChanged):
            if self.status is Status.WORKING and self.runtime.environment.at_least("2026.7.2"):
                self._become(Status.WORKING, {"reachoutTimelock": self._timelock()})
        else:
            self._receive(self, happening)

    def _end_life(self) -> None:
        if self._life is not None:
            self._life.cancel()
            self._life = None
        if self.device is not None:
            self.device.disconnect()

    def _timelock(self) -> Json | None:
        if self.account is None or self.account.restricted_until is None:
            return None
        return {
            "enforcementType": "RESTRICT_ALL_COMPANIONS",
            "isActive": self.account.restricted,
            "timeEnforcementEnds": int(self.account.restricted_until.timestamp()),
        }

    def _become(self, status: Status, data: Json | None = None) -> None:
        self.status = status
        self._statuses.append({"status": status.value, "timestamp": milliseconds()})
        self._statuses = self._statuses[-STATUSES_REMEMBERED:]
        payload: Json = {"name": self.name, "status": status.value, "statuses": list(self._statuses)}
        if self.runtime.environment.at_least("2026.7.1"):
            payload["data"] = data
        self.emit("session.status", payload)
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed.clear()
