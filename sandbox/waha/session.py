"""One session: its status, its pairing, its connection to WhatsApp."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from sandbox.waha import limits, pairing
from sandbox.waha.answers import encoded
from sandbox.waha.environment import Json
from sandbox.waha.identifiers import event_id, milliseconds
from sandbox.waha.mailbox import Mailbox
from sandbox.waha.receipt_faults import Kind
from sandbox.waha.runtime import Runtime
from sandbox.waha.start_faults import StartFault
from sandbox.waha.status import Status
from sandbox.whatsapp import Happening, LinkedDevice, Phone, RestrictionChanged, Unlinked

__all__ = ["Session", "Status"]

# A start takes about as long as the handshake with WhatsApp's server.
HANDSHAKE_SECONDS = 0.3
RECONNECT_SECONDS = 2.0
UNPAIR_SECONDS = 1.0
STATUSES_REMEMBERED = 3
# How long an engine without a better way knows that it sent a message itself.
SENT_REMEMBERED_SECONDS = 600.0


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
        self.passkey: pairing.Passkey | None = None
        # Sessions that were started and not stopped since are started again with the server.
        self.assigned = False
        # The same session in the process of another server with the same database; None: it is this one's own.
        self.original: Session | None = None
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
        self._encoded: tuple[tuple[object, ...], bytes] | None = None

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
            return self.original.me if self.original else None
        return self.runtime.engine.me(self.device.account, self.device.number)

    @property
    def me_with_limits(self) -> Json | None:
        """`me` as SessionInfo has it: newer servers add what WhatsApp told them of its limits, null if nothing."""
        me = self.me
        return None if me is None else me | limits.told(self.account, self.runtime.environment)

    @property
    def listed(self) -> bytes:
        """The session's row of a list, as JSON; written anew only when something of it changed.

        A server with thousands of sessions answers a list in milliseconds, so should this one.
        """
        account = self.account
        limited = account and (account.restricted, account.restricted_until, account.capping, account.name)
        key = (self.status, self.assigned_worker, self.last_activity, self.config, self.device, limited)
        if self._encoded is None or self._encoded[0] != key:
            self._encoded = (key, encoded(self.info(with_engine=False)))
        return self._encoded[1]

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
            "assignedWorker": self.assigned_worker,
            "apps": None,
        }
        if with_engine:
            info["engine"] = self.runtime.engine.state(running=self.running)
        return info

    @property
    def assigned_worker(self) -> str | None:
        """The server that runs it, none once it was stopped."""
        if self.original is not None:
            return self.original.assigned_worker
        return self.runtime.environment.worker_id if self.assigned else None

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
        self._take_over()
        self._statuses = []
        self.become(Status.STARTING)
        self._life = self.runtime.background.start(self._live())

    async def stop(self, *, for_good: bool = True) -> None:
        """Keeps the pairing. `for_good`: a restart of the server does not bring it back."""
        self.assigned = self.assigned and not for_good
        if not self.running:
            return
        self._end_life()
        self.runtime.webhooks.faults.has_stopped(self.name)
        self.become(Status.STOPPED)
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
        self.become(Status.STARTING)
        self._life = self.runtime.background.start(self._reconnect())

    def put(self, status: Status, *, told: bool) -> None:
        """Into a status without a life that leads out of it."""
        self._end_life()
        self.assigned = status is not Status.STOPPED
        if told:
            self.become(status)
        else:
            self.status = status
            self.notify()
        if status is Status.WORKING and self.device is not None:
            self.device.connect()

    def lose_hearing(self) -> None:
        """The socket to WhatsApp is dead and nobody notices: still WORKING, nothing comes, nothing can be sent."""
        if self.device is not None:
            self.device.disconnect()

    def fail(self) -> None:
        self._end_life()
        self.become(Status.FAILED)
        if self.runtime.engine.restarts_after_failure and self.device is not None:
            self._life = self.runtime.background.start(self._reconnect(Status.STARTING))

    def pair_with(self, phone: Phone) -> None:
        """The phone has scanned what the session shows; it may ask for the account's passkey first."""
        if pairing.wants_passkey(self, phone):
            self.passkey = pairing.passkey_for(self, phone)
            self.notify()
        else:
            self.link(phone)

    def link(self, phone: Phone) -> None:
        self.device = self.runtime.whatsapp.link(phone, self._hear)
        self.notify()

    def _take_over(self) -> None:
        """Runs here what another server ran: of two connections of a device WhatsApp closes the older."""
        original, self.original = self.original, None
        if original is not None:
            device, original.device, original.original = original.device, None, self
            if device is not None:
                self.link(device.account)
                device.unlink()
            if original.running:
                original.fail()

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
        fault = await self._shake_hands()
        if self.device is None and not (fault and fault.kind == "fail"):
            if not await pairing.pair(self):
                self.become(Status.FAILED)
                return
            if self.runtime.engine.restarts_after_scan:
                self.become(Status.STARTING)
                await self.runtime.environment.wait(HANDSHAKE_SECONDS)
        await self._work(fault)

    async def _reconnect(self, then: Status | None = None) -> None:
        await self.runtime.environment.wait(RECONNECT_SECONDS)
        if then is not None:
            self.become(then)
        await self._work(await self._shake_hands())

    async def _shake_hands(self) -> StartFault | None:
        fault = self.runtime.starts.draw(self.name)
        await self.runtime.environment.wait(HANDSHAKE_SECONDS)
        if fault is not None and fault.kind == "hang":
            await fault.hang()
        return fault

    async def _work(self, fault: StartFault | None) -> None:
        # What follows may begin another life of the session, and this one is at its end.
        self._life = None
        if fault is not None and fault.kind == "fail":
            self.fail()
            return
        self.become(Status.WORKING)
        if self.device is not None:
            self.device.connect()
        if fault is not None and fault.kind == "drop":
            self._life = self.runtime.background.start(self._drop())

    async def _drop(self) -> None:
        await self.runtime.environment.wait(RECONNECT_SECONDS)
        self._life = None
        self.lose_connection()

    def _hear(self, happening: Happening) -> None:
        if isinstance(happening, Unlinked):
            self.device = None
            self.fail()
        elif isinstance(happening, RestrictionChanged):
            told = limits.told(self.account, self.runtime.environment)
            if self.status is Status.WORKING and told:
                self.become(Status.WORKING, {name: limit for name, limit in told.items() if limit is not None})
        else:
            self._receive(self, happening)

    def _end_life(self) -> None:
        if self._life is not None:
            self._life.cancel()
            self._life = None
        if self.device is not None:
            self.device.disconnect()

    def become(self, status: Status, data: Json | None = None) -> None:
        """Changes the status and tells of it; `data` belongs to the status."""
        self.status = status
        self._statuses.append({"status": status.value, "timestamp": milliseconds()})
        self._statuses = self._statuses[-STATUSES_REMEMBERED:]
        payload: Json = {"name": self.name, "status": status.value, "statuses": list(self._statuses)}
        if self.runtime.environment.at_least("2026.7.1"):
            payload["data"] = data
        self.emit("session.status", payload)
        self.notify()

    def notify(self) -> None:
        self._changed.set()
        self._changed.clear()
