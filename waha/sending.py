from __future__ import annotations

from typing import Any

from waha.calls import WahaCalls, expected, in_path
from waha.chat_ids import checked
from waha.errors import WahaUnreadable
from waha.loose_json import mapping, text
from waha.payloads import NumberCheck, SentMessage


class SendingCalls(WahaCalls):
    """Whatever is done in a chat. Each call needs a session that is WORKING and raises `SessionNotReady` otherwise."""

    async def send_text(
        self,
        session: str,
        chat_id: str,
        text: str,
        *,
        message_id: str | None = None,
        reply_to: str | None = None,
        link_preview: bool = False,
    ) -> SentMessage:
        """Send `text`; with `message_id` (see `new_message_id`) it can be looked up when the outcome is unknown.

        GOWS and NOWEB heed `message_id` since 2026.4.3, others answer with an id of their own. `link_preview` makes
        WAHA fetch the first link before it answers.

        Raises:
            BadRecipient: `chat_id` is none.
            WahaUnreadable: what answered may be something before WAHA, so that nobody knows what became of it.
        """
        body: dict[str, Any] = {
            "session": session,
            "chatId": checked(chat_id),
            "text": text,
            "linkPreview": link_preview,
        }
        if message_id is not None:
            body["id"] = message_id
        if reply_to is not None:
            body["reply_to"] = reply_to
        answer = await self.call("POST", "/api/sendText", body=body, seconds=self.timeouts.send)
        if isinstance(answer, str):
            raise WahaUnreadable("Something that is not WAHA answered.")
        return SentMessage.parse(answer)

    async def send_seen(self, session: str, chat_id: str, *, message_ids: list[str] | None = None) -> None:
        """Mark written-out `message_ids` as read; without them, what is unread of the last 7 days."""
        body: dict[str, Any] = {"session": session, "chatId": checked(chat_id)}
        if message_ids:
            body["messageIds"] = message_ids
        await self.call("POST", "/api/sendSeen", body=body, seconds=self.timeouts.send)

    async def start_typing(self, session: str, chat_id: str) -> None:
        """Show “typing…” in the chat. It does not end by itself, only by `stop_typing` or a message."""
        body = {"session": session, "chatId": checked(chat_id)}
        await self.call("POST", "/api/startTyping", body=body, seconds=self.timeouts.send)

    async def stop_typing(self, session: str, chat_id: str) -> None:
        body = {"session": session, "chatId": checked(chat_id)}
        await self.call("POST", "/api/stopTyping", body=body, seconds=self.timeouts.send)

    async def edit_message(
        self, session: str, chat_id: str, serialized_id: str, text: str, *, link_preview: bool = False
    ) -> None:
        body = {"text": text, "linkPreview": link_preview}
        await self.call("PUT", _message(session, chat_id, serialized_id), body=body, seconds=self.timeouts.send)

    async def delete_message(self, session: str, chat_id: str, serialized_id: str) -> None:
        """Take the message back for everybody in the chat."""
        await self.call("DELETE", _message(session, chat_id, serialized_id), seconds=self.timeouts.send)

    async def react(self, session: str, serialized_id: str, emoji: str) -> None:
        """Put `emoji` on a message, in the place of ours on it; an empty one takes it away."""
        body = {"session": session, "messageId": serialized_id, "reaction": emoji}
        await self.call("PUT", "/api/reaction", body=body, seconds=self.timeouts.send)

    async def check_exists(self, session: str, digits: str) -> NumberCheck:
        """Whether a phone number is on WhatsApp, and under which chat id.

        Brazil, Mexico and Argentina have two ways to write a number, of which a message reaches one. Asking for many
        numbers is itself a reason for WhatsApp to block an account: remember the answers.
        """
        query = {"phone": digits, "session": session}
        answer = await self.call("GET", "/api/contacts/check-exists", query=query, seconds=self.timeouts.send)
        return expected(NumberCheck.parse(answer))

    async def phone_of_lid(self, session: str, lid: str) -> str | None:
        """The `@c.us` chat id behind a `@lid`; None is normal, WhatsApp hides it."""
        path = f"/api/{in_path(session)}/lids/{in_path(lid)}"
        return text(mapping(await self.call("GET", path, seconds=self.timeouts.send)), "pn")


def _message(session: str, chat_id: str, serialized_id: str) -> str:
    return f"/api/{in_path(session)}/chats/{in_path(chat_id)}/messages/{in_path(serialized_id)}"
