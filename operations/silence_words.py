"""What people are told of a silent session: the likely cause, and what was done."""

from __future__ import annotations

from typing import Final

from models import Suspicion
from operations.wording import counted

CAUSES: Final = {
    Suspicion.UNHEARD: "WAHA says that the session works, and has not told of messages that it knows.",
    Suspicion.CANARY: "The session has not heard what it wrote to itself within a minute.",
    Suspicion.UNACKNOWLEDGED: "WhatsApp confirms nothing of what the session sends, in several chats.",
    Suspicion.REFUSED: "WhatsApp refuses everything that the session sends, in several chats, with the same error.",
}
WAY_IS_CUT: Final = (
    "No webhook of server {server} has arrived since, though WAHA knows newer messages of several of its sessions: "
    "the way from WAHA to us is cut, not the sessions. Nothing is restarted. Compare the webhook address: `doctor`."
)
EVERYWHERE: Final = (
    "WhatsApp confirms nothing of what several sessions of server {server} send: its connection to WhatsApp is the "
    "likely cause, not this session. Nothing is restarted. Look at that server: `doctor`."
)
NOT_MADE: Final = "WAHA did not carry out the restart within two minutes; it is asked for again."
GIVEN_UP: Final = (
    "The restart has not helped, and there is no other for 24 hours. A person must look: compare the webhook address "
    "with `doctor`; the session may need `session logout` and then `session qr`."
)
NOT_AGAIN: Final = (
    "It was restarted for this in the last 24 hours and is not restarted again. A person must look: compare the "
    "webhook address with `doctor`; the session may need `session logout` and then `session qr`."
)


def cause(suspicion: Suspicion, usual_seconds: int | None) -> str:
    """What is the matter as far as it is known, with how long a silence is usual now."""
    said = CAUSES[suspicion]
    if usual_seconds is None or suspicion is not Suspicion.UNHEARD:
        return said
    return f"{said} At this hour it is usually silent for {_span(usual_seconds)} at most."


def again(suspicion: Suspicion) -> str:
    """That it does again what it did not."""
    return "is heard again" if suspicion in {Suspicion.UNHEARD, Suspicion.CANARY} else "sends again"


def _span(seconds: int) -> str:
    minutes = round(seconds / 60)
    return counted(minutes, "minute") if minutes < 2 * 60 else counted(round(minutes / 60), "hour")
