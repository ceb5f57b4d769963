"""Why an outbound message waits, as its `hold_reason` says. The first three wait for a person, and are parked."""

from __future__ import annotations

from typing import Final

ASIDE: Final = "set aside"  # it failed for so long that the later ones of its chat went on
STALE: Final = "not sent unasked"  # it waited for so long that the customer may wonder
UNKNOWN: Final = "outcome unknown"  # it may have left; only the phone shows
NO_NEW_CHATS: Final = "no new chats"  # WhatsApp lets the account write only to people who wrote to it
