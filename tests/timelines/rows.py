"""What can happen to a session over time, and what its users complain of: each row has a test that hands in the time.

A test says which rows it shows: `@pytest.mark.timeline("complaint/5", "status/unscanned")`.
"""

from __future__ import annotations

STATUS = {
    "started": "stopped, then starting: somebody asked for it, and nobody is told",
    "needs-scan": "starting, then a code that waits to be scanned, and again at each new code",
    "paired": "a code that is scanned: working, on one engine by way of starting",
    "unscanned": "six codes that nobody scans: failed",
    "passkey": "the phone or a browser asks for a passkey in between",
    "reconnect": "working, starting, working within seconds: nothing",
    "start-fails": "starting, then failed",
    "dropped": "working, then failed: logged out on the phone, or crashed",
    "recovers-itself": "failed, then starting by itself, as one engine does",
    "stays-failed": "failed, and stays so until somebody restarts it",
    "stopped-elsewhere": "stopped by somebody else though it should run",
    "server-restarts": "all stopped at the server's end, starting at its beginning",
    "told-again": "working told again with news about the account; or not told at all, and found by the poll",
}

COMPLAINTS = {
    1: "starts for ever, or starts and works in turns",
    2: "all sessions fail at once after a change of WhatsApp's protocol",
    3: "not started after a reboot",
    4: "lock errors of control calls",
    5: "codes change and expire, nobody scans",
    6: "webhooks come twice",
    7: "working, and silent",
    8: "webhooks do not arrive",
    9: "taken, and never sent",
    10: "no acknowledgement, or only of the first step",
    11: "no receipts in groups on one engine",
    12: "hidden ids in place of numbers",
    13: "no new chats allowed (463)",
    14: "every send refused until a restart",
    15: "sends that time out",
    16: "numbers that are written in two ways",
    17: "files that are gone or cannot be had",
    18: "a server out of memory, or behind a bad gateway",
    19: "a new random key after a restart",
    20: "banned accounts",
    21: "webhooks lost by a change of the configuration",
    22: "slow lists of chats",
}

# What no client can act on, or what another part of the plan is about.
NOT_OURS: dict[int, str] = {}

ROWS = frozenset(
    {f"status/{name}" for name in STATUS} | {f"complaint/{number}" for number in COMPLAINTS if number not in NOT_OURS}
)
