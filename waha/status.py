"""WAHA's word for a session's state, and ours."""

from __future__ import annotations

from typing import Literal

SessionStatus = Literal["starting", "scan_qr", "working", "failed", "stopped"]

# WAHA's set is open: what is not here says nothing, and the last known status stands.
_STATUS_OF_WAHA: dict[str, SessionStatus] = {
    "STARTING": "starting",
    "SCAN_QR_CODE": "scan_qr",
    # A person has to act on the phone or in a browser, as with the QR code.
    "PASSKEY_REQUIRED": "scan_qr",
    "PASSKEY_CONFIRMATION_REQUIRED": "scan_qr",
    "WORKING": "working",
    "FAILED": "failed",
    "STOPPED": "stopped",
}


def status_of(waha_status: str | None) -> SessionStatus | None:
    """None for a word that is not known yet."""
    return _STATUS_OF_WAHA.get(waha_status) if waha_status else None
