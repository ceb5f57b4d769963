"""Why an outbound message waits, as its `hold_reason` says. The first three wait for a person, and are parked."""

from __future__ import annotations

from typing import Final

ASIDE: Final = "set aside"  # it failed for so long that the later ones of its chat went on
STALE: Final = "not sent unasked"  # it waited for so long that the customer may wonder
UNKNOWN: Final = "outcome unknown"  # it may have left; only the phone shows
NO_NEW_CHATS: Final = "no new chats"  # WhatsApp lets the account write only to people who wrote to it
QUIET_HOURS: Final = "quiet hours"  # of its account, by its tenant's clock
DAY_IS_FULL: Final = "new contacts of the day"  # so many people who never wrote were written to
UNANSWERED: Final = "unanswered so far"  # somebody who never wrote had as many messages as one may have in an hour
