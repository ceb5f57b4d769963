"""WhatsApp itself: accounts with a phone each, and the devices that are linked to them.

What happens is carried at once and in memory. A linked device that is not connected misses nothing: what is
addressed to it waits, as on WhatsApp's own servers, until it connects again.
"""

from sandbox.whatsapp.linked import LinkedDevice
from sandbox.whatsapp.messages import (
    Ack,
    Acknowledged,
    Edited,
    Group,
    Happening,
    Media,
    Message,
    PhoneError,
    Quota,
    Reacted,
    RestrictionChanged,
    Revoked,
    Shown,
    Unlinked,
    Written,
)
from sandbox.whatsapp.network import WhatsApp
from sandbox.whatsapp.phone import Phone

__all__ = [
    "Ack",
    "Acknowledged",
    "Edited",
    "Group",
    "Happening",
    "LinkedDevice",
    "Media",
    "Message",
    "Phone",
    "PhoneError",
    "Quota",
    "Reacted",
    "RestrictionChanged",
    "Revoked",
    "Shown",
    "Unlinked",
    "WhatsApp",
    "Written",
]
