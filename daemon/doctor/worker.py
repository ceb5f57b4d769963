from __future__ import annotations

from uuid import UUID

from daemon.doctor.checkup import Checkup
from daemon.doctor.examination import examine
from daemon.loops import Crew
from database import in_database
from database.notifications import Wakeup
from operations import doctor_runs
from operations.encryption import KeyRing
from operations.findings import summary
from settings import Settings
from settings.logs import get_logger

log = get_logger(__name__)


class DoctorWorker:
    """Looks at everything when a person asks for it in Slack."""

    def __init__(self, settings: Settings, ring: KeyRing, wakeup: Wakeup) -> None:
        self._settings = settings
        self._ring = ring
        self.wakeup = wakeup
        self.crew = Crew(2, wakeup)

    async def step(self) -> bool:
        if self.crew.free <= 0:
            return False
        taken = await in_database(doctor_runs.take)
        if taken is not None:
            self.crew.start(self._examine(taken), asked_as=str(taken))
        return taken is not None

    async def _examine(self, asked_as: UUID) -> None:
        findings = await examine(Checkup(self._settings, self._ring, has_database=True))
        await in_database(doctor_runs.finish, asked_as, findings)
        log.info("a check-up is done", asked_as=str(asked_as), found=summary(findings))
