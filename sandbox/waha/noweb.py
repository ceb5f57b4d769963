"""NOWEB (Baileys), as a real 2026.2.1 answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sandbox.waha.engine import ack_fields, reaction_payload, reply_to
from sandbox.waha.environment import Environment, Json
from sandbox.waha.identifiers import jid
from sandbox.waha.mailbox import Row
from sandbox.whatsapp import Ack, Phone, Reacted

_ERROR_FIELDS = ("code", "blocked", "reason", "until", "enforcementType")


class Noweb:
    name = "NOWEB"
    stop_seconds = 1.0
    restarts_after_scan = True
    restarts_after_failure = False
    first_ack = Ack.PENDING
    without_history: str | None = (
        'Enable NOWEB store "config.noweb.store.enabled=True" and "config.noweb.store.full_sync=True" '
        "when starting a new session. Read more: https://waha.devlike.pro/docs/engines/noweb#store"
    )
    heeds_ids = True
    knows_all_chats = True
    knows_bare_ids = True
    reads_newest_first = False
    forgets_what_it_sent = True

    def __init__(self, environment: Environment) -> None:
        self._tells_why = environment.at_least("2026.7.2")

    def state(self, *, running: bool) -> Json:
        return {"engine": self.name} if running else {}

    def me(self, account: Phone, device: int) -> Json:
        return {
            "id": f"{account.number}@c.us",
            "pushName": account.name,
            "lid": f"{account.lid}@lid",
            "jid": f"{account.number}:{device}@s.whatsapp.net",
        }

    def sent(self, row: Row) -> Json:
        return self._raw(row, live=True)

    def message(self, row: Row, *, live: bool, media: Json | None) -> Json:
        payload: Json = {
            "id": row.serialized,
            "timestamp": row.seconds,
            "from": row.chat,
            "fromMe": row.from_me,
            "source": row.source,
            "body": row.text,
        }
        if row.is_group:
            payload |= {"to": row.chat, "participant": row.participant}
        payload |= {"hasMedia": row.file is not None, "media": media}
        payload |= ack_fields(row.ack)
        payload |= {"location": None, "vCards": None, "replyTo": reply_to(row.quoted)}
        return payload | {"_data": self._raw(row, live=live)}

    def receipt(self, row: Row, ack: Ack, by: str, *, from_me: bool, restricted: bool) -> Json:
        sides: Json = {"from": row.chat}
        if row.is_group:
            sides |= {"to": row.chat, "participant": by}
        payload: Json = {"id": row.serialized} | sides | {"fromMe": from_me} | ack_fields(ack)
        if ack is Ack.ERROR and self._tells_why:
            payload["error"] = _restriction(row.message.sender) if restricted else dict.fromkeys(_ERROR_FIELDS)
        return payload

    def reaction(self, row: Row, happening: Reacted, target: Row) -> Json:
        return reaction_payload(row, happening, target)

    def chat(self, row: Row, name: str | None) -> Json:  # noqa: ARG002 - told by the overview only
        return {"id": jid(row.chat), "conversationTimestamp": row.seconds}

    def tells_group_receipts(self, config: Json) -> bool:  # noqa: ARG002 - always
        return True

    def keeps_messages(self, config: Json) -> bool:
        store = (config.get("noweb") or {}).get("store") or {}
        return bool(store.get("enabled"))

    def _raw(self, row: Row, *, live: bool) -> Json:
        """The message as Baileys has it. A live one of our own says PENDING and its time as a string."""
        if row.from_me:
            key: Json = {"remoteJid": jid(row.chat), "fromMe": True, "id": row.id}
            raw: Json = {"key": key, "message": {"extendedTextMessage": self._extended_text(row)}}
            if live:
                return raw | {"messageTimestamp": str(row.seconds), "status": "PENDING"}
            return raw | {"messageTimestamp": row.seconds, "status": int(row.ack) + 1}
        return {
            "key": self._incoming_key(row),
            "messageTimestamp": row.seconds,
            "pushName": row.author_name,
            "broadcast": False,
            "message": {"extendedTextMessage": self._extended_text(row)} if row.quoted else {"conversation": row.text},
            "status": int(row.ack) + 1,
        }

    def _incoming_key(self, row: Row) -> Json:
        by_lid = row.author.endswith("@lid")
        key: Json = {"remoteJid": jid(row.chat)}
        if by_lid and not row.is_group:
            key["remoteJidAlt"] = jid(row.chat_alt or "")
        key |= {"fromMe": False, "id": row.id, "participant": jid(row.participant or "")}
        if by_lid and row.is_group:
            key["participantAlt"] = jid(row.author_alt or "")
        return key | {"addressingMode": "lid" if by_lid else "pn"}

    def _extended_text(self, row: Row) -> Json:
        text: Json = {"text": row.text}
        if row.quoted is not None:
            text["contextInfo"] = {
                "stanzaId": row.quoted.id,
                "participant": jid(row.quoted.author),
                "quotedMessage": {"conversation": row.quoted.text},
            }
        return text


def _restriction(account: Phone) -> Json:
    until = account.restricted_until or datetime.now(UTC) + timedelta(days=1)
    ends = until.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    values = ("463", True, "account_restricted", ends, "RESTRICT_ALL_COMPANIONS")
    return dict(zip(_ERROR_FIELDS, values, strict=True))
