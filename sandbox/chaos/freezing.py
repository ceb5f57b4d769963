"""A daemon stands still for longer than its leases, at the moment that asks most of them.

It is stopped with refusals on their way to it, so that it still has outcomes to record when it goes on. By then another
daemon has taken over and has sent the same messages, and does not know it: the answers were lost. Whoever believes the
late outcome sends once more.
"""

from __future__ import annotations

import asyncio
import signal

from sandbox.processes import Process
from sandbox.waha import SandboxWaha
from sandbox.waha.faults import Fault

_SEND = "/api/send*"
_THROTTLED = 429
# Seconds from the first refusal; a lease of these daemons lasts ten.
_STOPPED, _NO_MORE_REFUSALS, _ANSWERS_LOST, _GOES_ON, _OVER = 0.7, 2.5, 11.0, 15.2, 25.0


async def freeze(process: Process, waha: SandboxWaha) -> None:
    """Stop the process for about fifteen seconds, and let it go on where it was."""
    refusals = [
        waha.faults.delay(_SEND, (0.8, 1.2)),
        waha.faults.add(Fault(kind="answer", path=_SEND, status=_THROTTLED)),
    ]
    await asyncio.sleep(_STOPPED)
    process.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(_NO_MORE_REFUSALS - _STOPPED)
        for refusal in refusals:
            refusal.heal()
        await asyncio.sleep(_ANSWERS_LOST - _NO_MORE_REFUSALS)
        lost = [waha.faults.lose_answer(_SEND), waha.webhook_faults.late(_OVER - _ANSWERS_LOST)]
        await asyncio.sleep(_GOES_ON - _ANSWERS_LOST)
    finally:
        process.send(signal.SIGCONT)
    lost[0].heal()
    await asyncio.sleep(_OVER - _GOES_ON)
    lost[1].heal()
