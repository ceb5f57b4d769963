"""WEBJS (whatsapp-web.js): a browser. No id of the caller's is heeded, and there is no history across chats."""

from __future__ import annotations

from sandbox.waha.engine import ack_fields, reply_to
from sandbox.waha.environment import Environment, Json
from sandbox.waha.mailbox import Row
from sandbox.whatsapp import Ack, Phone, Reacted


class Webjs:
    name = "WEBJS"
    # The browser takes its time to end.
    stop_seconds = 3.0
    restarts_after_scan = False
    restarts_after_failure = True
    first_ack = Ack.PENDING
    without_history: str | None = None
    heeds_ids = False
    knows_all_chats = False
    knows_bare_ids = False
    reads_newest_first = True
    forgets_what_it_sent = True

    def __init__(self, environment: Environment) -> None:
        self._knows_own_lid = environment.at_least("2026.7.1")

    def state(self, *, running: bool) -> Json:
        return {"engine": self.name, "WWebVersion": "2.3000.1023", "state": "CONNECTED"} if running else {}

    def me(self, account: Phone, device: int) -> Json:  # noqa: ARG002 - the browser is not told its number
        me = {"id": f"{account.number}@c.us", "pushName": account.name}
        return me | {"lid": f"{account.lid}@lid"} if self._knows_own_lid else me

    def sent(self, row: Row) -> Json:
        return self._stored(row) | {"ack": int(self.first_ack)}

    def message(self, row: Row, *, live: bool, media: Json | None) -> Json:  # noqa: ARG002 - the same in the history
        writer, reader = _sides(row)
        payload: Json = {
            "id": row.serialized,
            "timestamp": row.seconds,
            "from": writer,
            "fromMe": row.from_me,
            "participant": row.participant,
            "source": row.source,
            "to": reader,
            "body": row.text,
            "hasMedia": row.file is not None,
            "media": media,
        }
        payload |= ack_fields(row.ack)
        payload |= {"location": None, "vCards": [], "replyTo": reply_to(row.quoted)}
        return payload | {"_data": self._raw(row)}

    def receipt(self, row: Row, ack: Ack, by: str, *, from_me: bool, restricted: bool) -> Json:  # noqa: ARG002 - no reason is told
        writer, reader = _sides(row)
        sides: Json = {"from": writer, "to": reader, "participant": by if row.is_group else None}
        return {"id": row.serialized} | sides | {"fromMe": from_me} | ack_fields(ack) | {"_data": {}}

    def reaction(self, row: Row, happening: Reacted, target: Row) -> Json:
        writer, reader = _sides(row)
        payload: Json = {
            "id": row.serialized,
            "from": writer,
            "fromMe": row.from_me,
            "source": row.source,
            "participant": row.author,
            "to": reader,
            "timestamp": row.seconds,
        }
        return payload | {"reaction": {"text": happening.emoji, "messageId": target.serialized}}

    def chat(self, row: Row, name: str | None) -> Json:
        return {
            "id": _wid(row.chat),
            "name": name,
            "isGroup": row.is_group,
            "isReadOnly": False,
            "unreadCount": 0,
            "timestamp": row.seconds,
            "archived": False,
            "pinned": False,
            "isMuted": False,
            "lastMessage": self._stored(row),
        }

    def keeps_messages(self, config: Json) -> bool:  # noqa: ARG002 - the browser does, whatever the configuration
        return True

    def tells_group_receipts(self, config: Json) -> bool:
        return bool((config.get("webjs") or {}).get("tagsEventsOn"))

    def _stored(self, row: Row) -> Json:
        """A `Message` of whatsapp-web.js: its id is an object."""
        writer, reader = _sides(row)
        return {
            "_data": self._raw(row),
            "id": _key(row),
            "ack": int(row.ack),
            "hasMedia": row.file is not None,
            "body": row.text,
            "type": "chat",
            "timestamp": row.seconds,
            "from": writer,
            "to": reader,
            "deviceType": "web",
            "hasQuotedMsg": row.quoted is not None,
            "vCards": [],
        }

    def _raw(self, row: Row) -> Json:
        writer, reader = _sides(row)
        raw: Json = {
            "id": _key(row),
            "body": row.text,
            "type": "chat",
            "t": row.seconds,
            "notifyName": row.author_name,
            "from": _wid(writer),
            "to": _wid(reader),
            "ack": int(row.ack),
        }
        return raw | {"author": _wid(row.author)} if row.is_group else raw


def _sides(row: Row) -> tuple[str, str]:
    """Who wrote and who was written to: of an own message `from` is me, not the chat as on the other engines."""
    return (row.me, row.chat) if row.from_me else (row.chat, row.me)


def _key(row: Row) -> Json:
    key: Json = {"fromMe": row.from_me, "remote": row.chat, "id": row.id}
    if row.participant:
        key["participant"] = _wid(row.participant)
    return key | {"_serialized": row.serialized}


def _wid(chat_id: str) -> Json:
    user, _, server = chat_id.partition("@")
    return {"server": server, "user": user, "_serialized": chat_id}
