"""How a WhatsApp message reads in Slack."""

from __future__ import annotations

from models import Conversation, Message
from operations.posting import queue_in_thread
from slack.blocks import split_text
from slack.mrkdwn import foreign

# Slack recommends 4,000 characters a message; the name before the text needs a few of them.
_PART = 3800

_WITHOUT_TEXT = {
    "image": "a picture",
    "video": "a video",
    "audio": "a voice message",
    "document": "a file",
    "location": "a location",
    "contact": "a contact",
}


def relay_inbound(conversation: Conversation, message: Message) -> None:
    """Queue what a customer wrote for the conversation's thread: several posts when it is long."""
    for part in parts_of(message):
        queue_in_thread(conversation, part, message_id=message.id)


def parts_of(message: Message) -> list[str]:
    """The posts of a message: complete texts, since a screen reader reads nothing else."""
    name = foreign(str(message.metadata.get("sender_name") or "Customer"))
    who = f"*{name}*" if message.direction == "inbound" else "_Sent from the phone_"
    return [f"{who}: {part}" for part in split_text(_words(message), _PART)]


def _words(message: Message) -> str:
    what = _WITHOUT_TEXT.get(message.message_type)
    if what is None:
        return foreign(message.body) if message.body.strip() else "_a message that can only be read on the phone_"
    note = f"_{what}; open it on the phone_"
    return f"{note}\n{foreign(message.body)}" if message.body.strip() else note
