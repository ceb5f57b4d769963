"""What WhatsApp lets an account do with people who never wrote to it, as WAHA tells it."""

from __future__ import annotations

from sandbox.waha.environment import Environment, Json
from sandbox.whatsapp import Phone

TELLS_TIMELOCK = "2026.7.2"
TELLS_CAPPING = "2026.8.1"


def timelock(account: Phone | None) -> Json | None:
    """`reachoutTimelock`: the end of a restriction (error 463), null while WhatsApp never spoke of one."""
    if account is None or account.restricted_until is None:
        return None
    return {
        "enforcementType": "RESTRICT_ALL_COMPANIONS",
        "isActive": account.restricted,
        "timeEnforcementEnds": int(account.restricted_until.timestamp()),
    }


def capping(account: Phone | None) -> Json | None:
    """`messageCapping`: how many new chats of how many are used up; null while WhatsApp never spoke of it."""
    if account is None or account.capping is None:
        return None
    quota = account.capping
    return {
        "cappingStatus": quota.status,
        "totalQuota": quota.total,
        "usedQuota": quota.used,
        "cycleStart": int(quota.begins.timestamp()),
        "cycleEnd": int(quota.ends.timestamp()),
        "mvStatus": "NOT_ELIGIBLE",
        "oteStatus": "NOT_ELIGIBLE",
    }


def told(account: Phone | None, environment: Environment) -> Json:
    """What a server of this age adds to `me`, and to the event of a change."""
    limits: Json = {}
    if environment.at_least(TELLS_TIMELOCK):
        limits["reachoutTimelock"] = timelock(account)
    if environment.at_least(TELLS_CAPPING):
        limits["messageCapping"] = capping(account)
    return limits
