"""How a session comes to its account: by a code that is scanned, and sometimes by a passkey after it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.waha import qr
from sandbox.waha.environment import Json
from sandbox.waha.status import Status

if TYPE_CHECKING:
    from sandbox.waha.session import Session
    from sandbox.whatsapp import Phone

# How long the browser's challenge can be answered.
CHALLENGE_SECONDS = 60.0
KNOWS_PASSKEYS = "2026.7.1"


@dataclass
class Passkey:
    """A pairing that waits for the passkey of the account, and perhaps for a code to be compared with the phone's."""

    phone: Phone
    challenge: Json
    code: str
    is_asserted: bool = False
    is_confirmed: bool = False


async def pair(session: Session) -> bool:
    """Shows one code after the other until one is scanned; returns whether the session has an account now."""
    for lifetime in qr.LIFETIMES:
        value = session.qr_value = qr.new_value(session.runtime.whatsapp.random)
        session.runtime.whatsapp.offer(value, session.pair_with)
        session.become(Status.SCAN_QR_CODE)
        try:
            if await session.until(lambda: session.device is not None or session.passkey is not None, lifetime):
                break
        finally:
            session.runtime.whatsapp.withdraw(value)
            if session.qr_value == value:  # and not another one that a test has put in its place
                session.qr_value = None
    if session.passkey is not None:
        return await _ask_for_passkey(session, session.passkey)
    return session.device is not None


def wants_passkey(session: Session, phone: Phone) -> bool:
    """Only one engine can ask for it; on others such a phone is linked without."""
    environment = session.runtime.environment
    return phone.passkey is not None and environment.engine == "GOWS" and environment.at_least(KNOWS_PASSKEYS)


def passkey_for(session: Session, phone: Phone) -> Passkey:
    source = session.runtime.whatsapp.random
    challenge: Json = {
        "challenge": base64.urlsafe_b64encode(source.randbytes(32)).decode().rstrip("="),
        "timeout": int(CHALLENGE_SECONDS * 1000),
        "rpId": "web.whatsapp.com",
        "allowCredentials": [{"id": base64.urlsafe_b64encode(source.randbytes(16)).decode(), "type": "public-key"}],
        "userVerification": "required",
        "extensions": {},
    }
    return Passkey(phone, challenge, f"{source.randrange(10_000):04d}", is_confirmed=phone.passkey != "code")


async def _ask_for_passkey(session: Session, passkey: Passkey) -> bool:
    try:
        session.become(Status.PASSKEY_REQUIRED, passkey.challenge)
        if not await session.until(lambda: passkey.is_asserted, CHALLENGE_SECONDS):
            return False
        if not passkey.is_confirmed:
            session.become(Status.PASSKEY_CONFIRMATION_REQUIRED, {"code": passkey.code})
            if not await session.until(lambda: passkey.is_confirmed, CHALLENGE_SECONDS):
                return False
        session.link(passkey.phone)
    finally:
        session.passkey = None
    return True
