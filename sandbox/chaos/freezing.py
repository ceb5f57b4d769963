"""A daemon's connections to PostgreSQL stand still for longer than its leases, with outcomes on their way over them.

Another daemon takes over meanwhile: it looks the messages up, finds nothing, sends them and does not know it, since the
answers were lost. Then the first one's outcomes arrive, which say that nothing was sent. Whoever believes them sends
once more.
"""

from __future__ import annotations

import asyncio

from sandbox.chaos.postgres import Postgres
from sandbox.processes import Process
from sandbox.waha import SandboxWaha
from sandbox.waha.faults import Fault

_SEND = "/api/send*"
_THROTTLED = 429
# Seconds from the first refusal. A lease of these daemons lasts ten; they wait twenty for PostgreSQL.
_STOPPED, _NO_MORE_REFUSALS, _ANSWERS_LOST, _GOES_ON, OVER = 0.7, 2.5, 9.5, 15.2, 32.0

_STALL_EVERY = 0.05


async def freeze(process: Process, postgres: Postgres, waha: SandboxWaha) -> None:
    """Stop what PostgreSQL does for the process for about fifteen seconds, and let it go on where it was."""
    refusals = [
        waha.faults.delay(_SEND, (0.8, 1.2)),
        waha.faults.add(Fault(kind="answer", path=_SEND, status=_THROTTLED)),
    ]
    await asyncio.sleep(_STOPPED)
    stopping = asyncio.create_task(_stall(postgres, process))
    try:
        await asyncio.sleep(_NO_MORE_REFUSALS - _STOPPED)
        for refusal in refusals:
            refusal.heal()
        await asyncio.sleep(_ANSWERS_LOST - _NO_MORE_REFUSALS)
        # Nor may WhatsApp's word of a message settle it before it is sent again.
        answers, echoes = waha.faults.lose_answer(_SEND), waha.webhook_faults.late(OVER - _ANSWERS_LOST)
        await asyncio.sleep(_GOES_ON - _ANSWERS_LOST)
    finally:
        stopping.cancel()
        postgres.go_on()
    answers.heal()
    await asyncio.sleep(OVER - _GOES_ON)
    echoes.heal()


async def _stall(postgres: Postgres, process: Process) -> None:
    while True:
        postgres.stall_idle(client=process.pid)
        await asyncio.sleep(_STALL_EVERY)
