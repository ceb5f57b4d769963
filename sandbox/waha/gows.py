"""GOWS (whatsmeow)."""

from __future__ import annotations

from typing import Any

from sandbox.waha.engine import ack_fields, reaction_payload, reply_to
from sandbox.waha.environment import Environment, Json
from sandbox.waha.identifiers import jid
from sandbox.waha.mailbox import Row
from sandbox.whatsapp import Ack, Phone, Reacted


class Gows:
    name = "GOWS"
    stop_seconds = 0.01
    restarts_after_scan = False
    restarts_after_failure = False
    first_ack = Ack.SERVER
    without_history: str | None = None
    heeds_ids = True
    knows_all_chats = True
    knows_bare_ids = True
    reads_newest_first = False
    forgets_what_it_sent = False

    def __init__(self, environment: Environment) -> None:
        self._fills_alternatives = environment.at_least("2026.8.1")

    def state(self, *, running: bool) -> Json:
        if not running:
            return {}
        grpc = {"client": "READY", "stream": "READY"}
        return {"engine": self.name, "grpc": grpc, "gows": {"found": True, "connected": True}}

    def me(self, account: Phone, device: int) -> Json:
        return {
            "id": f"{account.number}@c.us",
            "lid": f"{account.lid}@lid",
            "jid": f"{account.number}:{device}@s.whatsapp.net",
            "pushName": account.name,
        }

    def sent(self, row: Row) -> Json:
        """Nothing but the id and the raw message: no timestamp, no ack."""
        return {"id": row.serialized, "_data": self._raw(row)}

    def message(self, row: Row, *, live: bool, media: Json | None) -> Json:
        """In the history a foreign message has no ack: the store keeps none for it."""
        ack = row.ack if live or row.from_me else None
        payload: Json = {
            "id": row.serialized,
            "timestamp": row.seconds,
            "from": row.chat,
            "fromMe": row.from_me,
            "source": row.source,
            "body": row.text,
            "to": row.participant,
            "participant": row.participant,
            "hasMedia": row.file is not None,
            "media": media,
            "mediaUrl": (media or {}).get("url"),
        }
        payload |= ack_fields(ack)
        payload |= {"location": None, "vCards": None, "replyTo": reply_to(row.quoted)}
        return payload | {"_data": self._raw(row)}

    def receipt(self, row: Row, ack: Ack, by: str, *, from_me: bool, restricted: bool) -> Json:  # noqa: ARG002 - GOWS refuses the send instead
        payload: Json = {
            "id": row.serialized,
            "from": row.chat,
            "to": by if row.is_group else None,
            "participant": by if row.is_group else None,
            "fromMe": from_me,
        }
        raw = {
            "Chat": jid(row.chat),
            "Sender": jid(by),
            "IsFromMe": not from_me,
            "IsGroup": row.is_group,
            "MessageIDs": [row.id],
            "Type": "read" if ack is Ack.READ else "",
        }
        return payload | ack_fields(ack) | {"_data": raw}

    def reaction(self, row: Row, happening: Reacted, target: Row) -> Json:
        return reaction_payload(row, happening, target) | {"_data": self._raw(row)}

    def chat(self, row: Row, name: str | None) -> Json:  # noqa: ARG002 - told by the overview only
        return {"id": jid(row.chat), "conversationTimestamp": row.seconds}

    def tells_group_receipts(self, config: Json) -> bool:  # noqa: ARG002 - always
        return True

    def keeps_messages(self, config: Json) -> bool:
        storage = (config.get("gows") or {}).get("storage") or {}
        return bool(storage.get("messages", True))

    def _raw(self, row: Row) -> Json:
        info: dict[str, Any] = {
            "Chat": jid(row.chat),
            "Sender": jid(row.author),
            "IsFromMe": row.from_me,
            "IsGroup": row.is_group,
            "AddressingMode": "lid" if row.author.endswith("@lid") else "pn",
            "SenderAlt": self._alternative(None if row.from_me else row.author_alt),
            "RecipientAlt": self._alternative(row.chat_alt if row.from_me else None),
            "ID": row.id,
            "ServerID": 0,
            "Type": "media" if row.file else "text",
            "PushName": row.author_name,
            "Timestamp": row.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        return {"Info": info, "Message": self._content(row)}

    def _alternative(self, chat_id: str | None) -> str:
        return jid(chat_id) if chat_id and self._fills_alternatives else ""

    def _content(self, row: Row) -> Json:
        if row.quoted is None:
            return {"conversation": row.text}
        context = {
            "stanzaID": row.quoted.id,
            "participant": jid(row.quoted.author),
            "quotedMessage": {"conversation": row.quoted.text},
        }
        return {"extendedTextMessage": {"text": row.text, "contextInfo": context}}
