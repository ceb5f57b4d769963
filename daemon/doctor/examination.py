from __future__ import annotations

from daemon.doctor import database_side, machine, slack_side, waha_side
from daemon.doctor.checkup import Check, Checkup, look, together
from operations.findings import Finding

_WITHOUT_DATABASE: dict[str, Check] = {
    "settings": machine.settings,
    "disk": machine.disk,
    "slack.token": slack_side.bot_token,
    "slack.app_token": slack_side.app_token,
}
_OF_DATABASE: dict[str, Check] = {
    "database": database_side.postgres,
    "database.clock": database_side.clock,
    "database.migrations": database_side.migrations,
    "security.keys": database_side.keys,
    "work": database_side.work,
    "slack.events": slack_side.events,
    "slack.channels": slack_side.channels,
}


async def examine(checkup: Checkup) -> list[Finding]:
    """Everything that can be looked at, in no order; it takes about as long as the slowest."""
    checks = _WITHOUT_DATABASE | waha_side.checks(checkup) | (_OF_DATABASE if checkup.has_database else {})
    return await together(*(look(name, check, checkup) for name, check in checks.items()))
