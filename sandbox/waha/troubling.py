"""What happens to a WAHA and its sessions, switched on and off by whoever plays fate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sandbox.waha.faults import Fault, Hold
from sandbox.waha.status import Status

if TYPE_CHECKING:
    from sandbox.waha.environment import Json
    from sandbox.waha.faults import Faults
    from sandbox.waha.keys import Keys
    from sandbox.waha.receipt_faults import ReceiptFaults
    from sandbox.waha.sessions import Sessions
    from sandbox.waha.start_faults import StartFaults
    from sandbox.waha.webhook_faults import WebhookFaults
    from sandbox.waha.webhooks import Webhooks
    from sandbox.whatsapp import WhatsApp


class Troubling:
    """The switches. They combine."""

    whatsapp: WhatsApp
    sessions: Sessions
    webhooks: Webhooks
    keys: Keys
    faults: Faults
    receipts: ReceiptFaults
    starts: StartFaults

    def add_idle_sessions(
        self, sessions: int | Iterable[str] | Mapping[str, Json | None], *, status: str = "WORKING"
    ) -> list[str]:
        """Sessions that are there from one moment to the next, untold, paired unless they are to be stopped or shown.

        So many of them (`idle-0`, `idle-1`, …), or these names, or these with a configuration each. They are sessions
        as all others, cost no time while nothing happens to them, and a list of thousands is answered in milliseconds.
        """
        names = [f"idle-{number}" for number in range(sessions)] if isinstance(sessions, int) else list(sessions)
        configs = sessions if isinstance(sessions, Mapping) else {}
        for name in names:
            session = self.sessions.create(name, configs.get(name))
            session.pair_with(self.whatsapp.phone(f"+882{len(self.sessions.all()):010d}", name=name))
        self.set_status(names, status, told=False)
        return names

    def share_database_with(self, other: Troubling) -> None:
        """Two servers on one database: each lists the other's sessions, as STOPPED, with their `assignedWorker`."""
        self.sessions.share_database_with(other.sessions)

    def set_status(self, names: Iterable[str], status: str, *, told: bool = True) -> None:
        """These sessions are in this status now, and stay in it; unless it is `told`, only a list shows it."""
        for name in names:
            self.sessions.known(name).put(Status(status), told=told)

    def deafen(self, session: str) -> None:
        """No event of the session is posted any more though its history grows, until it is stopped or restarted."""
        self.webhook_faults.deaf(session)

    def lose_hearing(self, session: str) -> None:
        """The session says WORKING and is dead: nothing comes and nothing can be sent, until it is restarted."""
        self.sessions.known(session).lose_hearing()

    def lose_connection(self, session: str) -> None:
        """WORKING → STARTING → 2 s later WORKING, as happens every day."""
        self.sessions.known(session).lose_connection()

    def fail(self, session: str) -> None:
        """FAILED, until somebody restarts the session, or WEBJS does so itself. The pairing stays."""
        self.sessions.known(session).fail()

    def refuse_key(self) -> None:
        """401 to everybody, as after a restart that made a new random key."""
        self.keys.refused = True

    def accept_key(self) -> None:
        self.keys.refused = False

    @property
    def webhook_faults(self) -> WebhookFaults:
        return self.webhooks.faults

    async def forget_webhooks(self) -> None:
        """What waits to be posted, or to be posted again, is lost, though the server stays up."""
        await self.webhooks.forget()

    def heal(self) -> None:
        """Switches every fault off: of requests, webhooks, receipts and starts."""
        self.faults.heal()
        self.webhook_faults.heal()
        self.receipts.heal()
        self.starts.heal()

    def hold_answers(self, path: str) -> Hold:
        """Requests to `path` (`*` allowed) are carried out, and not answered until the hold is released."""
        return self.faults.hold(path)

    def release_answers(self) -> None:
        self.faults.release()

    def answer(
        self,
        path: str,
        *,
        status: int,
        body: Any = None,
        times: int | None = None,
        carried_out: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Requests to `path` get this answer, the next `times` of them (None: all) until `answer_normally`."""
        wanted = {"status": status, "body": body, "headers": headers or {}}
        self.faults.add(Fault(kind="answer", path=path, times=times, carried_out=carried_out, **wanted))

    def hang_up(self, path: str, *, times: int | None = None, carried_out: bool = False) -> None:
        """Requests to `path` are read and then the connection is cut without an answer."""
        self.faults.add(Fault(kind="cut", path=path, times=times, carried_out=carried_out))

    def answer_normally(self) -> None:
        self.faults.heal()
