"""How a WhatsApp message reads in Slack."""

from __future__ import annotations

from datetime import datetime

from models import Conversation, Message
from operations.posting import queue_in_thread
from slack.blocks import split_text
from slack.mrkdwn import foreign, local_time

# Slack recommends 4,000 characters a message; the name before the text needs a few of them.
_PART = 3800
_EXCERPT = 80

_WITHOUT_TEXT = {
    "image": "a picture",
    "video": "a video",
    "audio": "a voice message",
    "document": "a file",
    "location": "a location",
    "contact": "a contact",
}


def relay_inbound(conversation: Conversation, message: Message, *, below: str = "") -> None:
    """Queue what a customer wrote for the conversation's thread: several posts when it is long.

    It may stand `below` a line of ours, in one post, since a channel takes one a second. What was held may have been
    edited or deleted meanwhile, and that is told behind it.
    """
    first, *following = parts_of(message)
    for part in (f"{below}\n{first}" if below else first, *following):
        queue_in_thread(conversation, part, message_id=message.id)
    if isinstance(text := message.metadata.get("edited_body"), str):
        queue_in_thread(conversation, edited(str(message.metadata.get("sender_name") or ""), text))
    if message.metadata.get("revoked"):
        queue_in_thread(conversation, revoked(message))


def parts_of(message: Message) -> list[str]:
    """The posts of a message: complete texts, since a screen reader reads nothing else."""
    name = foreign(str(message.metadata.get("sender_name") or "Customer"))
    who = f"*{name}*" if message.direction == "inbound" else "_Sent from the phone_"
    first, *following = [f"{who}: {part}" for part in split_text(_words(message), _PART)]
    return [f"{_late(message)}{first}", *following]


def edited(who: str, text: str) -> str:
    return f"_{foreign(who or 'The customer')} edited a message; it reads now:_\n{foreign(text[:_PART])}"


def revoked(message: Message | None) -> str:
    about = f": {excerpt(message)}" if message is not None and message.body else ""
    return f"_The customer deleted a message on WhatsApp{about}_"


def excerpt(message: Message) -> str:
    return f"“{foreign(message.body[:_EXCERPT])}”"


def _late(message: Message) -> str:
    """It stands behind one that was written after it: whoever reads the thread has to know."""
    written_at = message.metadata.get("timestamp")
    if not message.metadata.get("late") or not isinstance(written_at, str):
        return ""
    return f"_⏱ written {local_time(datetime.fromisoformat(written_at))}, arrived late_\n"


def _words(message: Message) -> str:
    what = _WITHOUT_TEXT.get(message.message_type)
    if what is None:
        return foreign(message.body) if message.body.strip() else "_a message that can only be read on the phone_"
    note = f"_{what}; open it on the phone_"
    return f"{note}\n{foreign(message.body)}" if message.body.strip() else note
