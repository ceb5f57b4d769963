"""What each fault of the schedule does to a simulator. A trouble begins, and returns what ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from sandbox.chaos.schedule import Fault
from sandbox.slack import SandboxSlack
from sandbox.waha import SandboxWaha

End: TypeAlias = Callable[[], Awaitable[None] | None]

# Of the calls and events meanwhile so many are struck.
_SOME = 0.4
_POST = "chat.postMessage"
_SEND = "/api/send*"
# Longer than our processes wait for an answer: see `HASTY_DELIVERY`.
_SLACK_HANG = 4.0
_WAHA_HANG = 5.0


def _nothing() -> None:
    """It ends by itself."""


async def begin_at_slack(slack: SandboxSlack, fault: Fault, channels: list[str]) -> End:
    """Switch a trouble of Slack's on."""
    meanwhile: dict[str, Any] = {"times": None, "seconds": fault.seconds}
    some = meanwhile | {"probability": _SOME}
    channel = channels[int(fault.draw * len(channels))]
    calls: dict[str, Callable[[], object]] = {
        "slack latency": lambda: slack.fail("*", latency=(0.05, 1.0), **meanwhile),
        "slack slow to store": lambda: slack.fail(_POST, latency=(1.5, 2.8), **meanwhile),
        "slack 429": lambda: slack.fail(_POST, status=429, retry_after=1, **some),
        "slack 500": lambda: slack.fail("*", status=500, **some),
        "slack hangs": lambda: slack.fail(_POST, hang=_SLACK_HANG, **some),
        "slack cut before": lambda: slack.fail("*", drop=True, **some),
        "slack cut after storing": lambda: slack.fail("*", drop_after_storing=True, **some),
        "slack hangs after storing": lambda: slack.fail(_POST, hang=_SLACK_HANG, after_storing=True, **some),
        "slack channel limited": lambda: slack.fail(_POST, status=429, retry_after=2, channel=channel, **meanwhile),
        "slack sockets cut": lambda: slack.cut_connections(1 + round(fault.draw)),
    }
    events: dict[str, dict[str, Any]] = {
        "slack events doubled": {"copies": 2, "same_event_id": True},
        "slack events doubled under new ids": {"copies": 2},
        "slack events swapped": {"share": _SOME, "swap_within": 0.5},
        "slack events late": {"share": _SOME, "late": (0.1, 3.0)},
        "slack acknowledgements lost": {"lose_acks": _SOME},
    }
    if fault.name in events:
        slack.disturb_events(**events[fault.name])
        return slack.state.events.heal
    if fault.name in calls:
        calls[fault.name]()
        return _nothing
    match fault.name:
        case "slack reconnect asked":
            await slack.disconnect()
        case "slack pongs muted":
            slack.mute_pongs()
            return lambda: slack.mute_pongs(muted=False)
        case "slack away":
            await slack.go_down()
            return slack.come_back
        case _:
            raise KeyError(fault.name)
    return _nothing


async def begin_at_waha(waha: SandboxWaha, fault: Fault) -> End:
    """Switch a trouble of WAHA's on."""
    some: dict[str, Any] = {"probability": _SOME, "seed": int(fault.draw * 1e6)}
    requests, webhooks = waha.faults, waha.webhook_faults
    switches: dict[str, Callable[[], Any]] = {
        "waha latency": lambda: requests.delay("*", (0.05, 1.0)),
        "waha slow to carry out": lambda: requests.delay(_SEND, (1.5, 3.5)),
        "waha slow to answer": lambda: requests.delay(_SEND, (0.1, 2.0), carried_out=True),
        "waha 500": lambda: requests.fail("*", **some),
        "waha 503": lambda: requests.unavailable("*", **some),
        "waha hangs": lambda: requests.hang(_SEND, _WAHA_HANG, **some),
        "waha hangs after carrying out": lambda: requests.hang(_SEND, _WAHA_HANG, carried_out=True, **some),
        "waha cut before": lambda: requests.refuse("*", **some),
        "waha cut after carrying out": lambda: requests.lose_answer(_SEND, **some),
        "waha webhooks doubled": webhooks.duplicate,
        "waha webhooks overtaken": lambda: webhooks.overtaken(**some),
        "waha webhooks late": lambda: webhooks.late((0.1, 3.0), **some),
        "waha messages told twice": webhooks.message_too,
        "waha twins": lambda: webhooks.twin(**some),
        "waha receipts repeated": waha.receipts.repeated,
        "waha receipts backwards": waha.receipts.backwards,
    }
    if fault.name in switches:
        heal: End = switches[fault.name]().heal
        return heal
    match fault.name:
        case "waha connections cut":
            waha.cut_connections()
        case "waha session reconnects":
            sessions = waha.sessions.all()
            waha.lose_connection(sessions[int(fault.draw * len(sessions))].name)
        case "waha away":
            await waha.go_down()
            return waha.come_back
        case _:
            raise KeyError(fault.name)
    return _nothing
