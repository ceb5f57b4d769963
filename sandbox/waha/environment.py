"""Which WAHA this is, and how fast its time runs."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Environment:
    """`pace` multiplies every wait of the server: 1.0 is real, 0.01 is what a test has patience for."""

    engine: str
    version: str
    pace: float
    worker_id: str | None
    random: random.Random

    def at_least(self, version: str) -> bool:
        return _parts(self.version) >= _parts(version)

    def seconds(self, real: float) -> float:
        return real * self.pace

    async def wait(self, real_seconds: float) -> None:
        await asyncio.sleep(self.seconds(real_seconds))

    def as_json(self) -> Json:
        return {
            "version": self.version,
            "engine": self.engine,
            "tier": "CORE",
            "browser": "/usr/bin/chromium" if self.engine == "WEBJS" else None,
            "platform": "linux/x64",
            "worker": {"id": self.worker_id},
        }


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
