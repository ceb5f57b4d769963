"""QR codes for pairing."""

from __future__ import annotations

import base64
import io
import random

import segno

# WhatsApp shows the first code for a minute and five more for 20 s each, then gives up.
LIFETIMES = (60.0, 20.0, 20.0, 20.0, 20.0, 20.0)


def new_value(source: random.Random) -> str:
    """`2@` and four parts, as long as the real ones: it decides how dense the picture is."""
    keys = ",".join(base64.b64encode(source.randbytes(32)).decode() for _ in range(3))
    return f"2@{base64.b64encode(source.randbytes(24)).decode()},{keys}"


def new_pairing_code(source: random.Random) -> str:
    letters = source.choices("ABCDEFGHJKLMNPQRSTVWXYZ123456789", k=8)
    return f"{''.join(letters[:4])}-{''.join(letters[4:])}"


def png(value: str) -> bytes:
    picture = io.BytesIO()
    segno.make(value, error="l", micro=False).save(picture, kind="png", scale=4, border=4)
    return picture.getvalue()
