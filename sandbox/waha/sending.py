"""Everything that a session says on WhatsApp because it was asked to."""

from __future__ import annotations

import base64
from typing import Any

import aiohttp
from aiohttp import web

from sandbox.waha import errors
from sandbox.waha.answers import answer, body_of, empty
from sandbox.waha.environment import Json
from sandbox.waha.identifiers import bare_id, chat_id
from sandbox.waha.mailbox import Row
from sandbox.waha.runtime import Runtime
from sandbox.waha.session import Session
from sandbox.waha.sessions import Sessions
from sandbox.whatsapp import Ack, Group, LinkedDevice, Media, Message, Phone

# Baileys and whatsmeow both make ids of this prefix and 18 hex digits.
ID_PREFIX = "3EB0"
CALLERS_MAY_CHOOSE_IDS = "2026.4.3"


class SendingApi:
    def __init__(self, runtime: Runtime, sessions: Sessions) -> None:
        self._runtime = runtime
        self._sessions = sessions

    def routes(self) -> list[web.RouteDef]:
        routes = [
            web.post("/api/sendText", self.send_text),
            *(web.post(f"/api/{kind}", self.send_file) for kind in ("sendImage", "sendFile", "sendVoice", "sendVideo")),
            web.post("/api/forwardMessage", self.forward),
            web.put("/api/reaction", self.react),
            web.post("/api/sendSeen", self.send_seen),
            web.post("/api/startTyping", self.type),
            web.post("/api/stopTyping", self.type),
            web.post("/api/{session}/presence", self.presence),
            web.put("/api/{session}/chats/{chat}/messages/{message}", self.edit),
            web.delete("/api/{session}/chats/{chat}/messages/{message}", self.revoke),
        ]
        if self._runtime.environment.at_least(CALLERS_MAY_CHOOSE_IDS):
            routes.append(web.get("/api/{session}/new-message-id", self.new_id))
        return routes

    async def send_text(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        session = await self._sessions.working(body.get("session"))
        row = self._said(session, body, required(body, "text"), None)
        return answer(self._runtime.engine.sent(row), status=201)

    async def send_file(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        session = await self._sessions.working(body.get("session"))
        media = await _media(required(body, "file", of="mimetype"))
        row = self._said(session, body, body.get("caption") or "", media)
        return answer(self._runtime.engine.sent(row), status=201)

    async def forward(self, request: web.Request) -> web.Response:
        """Engines differ most here: GOWS lacks it, NOWEB answers with a WAMessage, WEBJS that it has sent."""
        body = await body_of(request)
        session = await self._sessions.working(body.get("session"))
        if self._runtime.engine.name == "GOWS":
            raise errors.not_implemented("GOWS")
        original = self._message(session, required(body, "messageId"))
        row = self._said(session, body, original.text, original.file)
        if self._runtime.engine.name == "WEBJS":
            return answer({"sent": True}, status=201)
        return answer(self._runtime.engine.message(row, live=True, media=None), status=201)

    async def react(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        session = await self._sessions.working(body.get("session"))
        target = self._message(session, required(body, "messageId"))
        device = _device(session)
        self._runtime.whatsapp.react(target.message, body.get("reaction") or "", by=device.account, origin=device)
        return answer(self._runtime.engine.sent(target))

    async def send_seen(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        session = await self._sessions.working(body.get("session"))
        ids = [bare_id(full) for full in body.get("messageIds") or []]
        device = _device(session)
        other = self._address(chat_id(required(body, "chatId"))).address
        read = device.account.mark_read(other, ids or None, origin=device)
        rows = [session.mailbox.find(message.id, from_me=False) for message in read]
        return answer({"ids": [row.serialized for row in rows if row is not None]}, status=201)

    async def type(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        await self._sessions.working(body.get("session"))
        required(body, "chatId")
        return answer({"result": True}, status=201)

    async def presence(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        await self._sessions.working(request.match_info["session"])
        about_me = body.get("presence") in {"online", "offline"}
        if about_me == bool(body.get("chatId")):
            detail = "'chatId' is not allowed for this presence" if about_me else "'chatId' is required"
            raise errors.Refusal(400, {"detail": detail})
        return empty(201)

    async def edit(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        session = await self._sessions.working(request.match_info["session"])
        target = self._message(session, request.match_info["message"])
        device = _device(session)
        self._runtime.whatsapp.edit(target.message, required(body, "text"), by=device.account, origin=device)
        return answer(self._runtime.engine.sent(target))

    async def revoke(self, request: web.Request) -> web.Response:
        session = await self._sessions.working(request.match_info["session"])
        target = self._message(session, request.match_info["message"])
        device = _device(session)
        self._runtime.whatsapp.revoke(target.message, by=device.account, origin=device)
        return answer(self._runtime.engine.sent(target))

    async def new_id(self, request: web.Request) -> web.Response:
        await self._sessions.working(request.match_info["session"])
        if not self._runtime.engine.heeds_ids:
            raise errors.not_implemented(self._runtime.engine.name)
        return answer({"id": self._runtime.whatsapp.new_id(ID_PREFIX)})

    def _said(self, session: Session, body: Json, text: str, media: Media | None) -> Row:
        chat = chat_id(required(body, "chatId"))
        recipient = self._address(chat)
        message_id = self._chosen_id(body) or self._runtime.whatsapp.new_id(ID_PREFIX)
        quoted = session.mailbox.find(bare_id(body.get("reply_to") or ""))
        device = _device(session)
        if not device.connected:
            raise errors.EngineFailure("websocket not connected")
        session.addressed_as[message_id] = chat
        session.remember_sent(message_id)
        original = quoted.message if quoted else None
        self._hand_over(
            session, device, device.compose(text, recipient, message_id=message_id, quoted=original, media=media)
        )
        row = session.mailbox.find(message_id, from_me=True)
        if row is None:
            raise errors.EngineFailure("the message was not stored")
        return row

    def _hand_over(self, session: Session, device: LinkedDevice, message: Message) -> None:
        fate = session.receipt_fates[message.id] = self._runtime.receipts.draw(session.name)
        if not device.may_send(message):
            self._refuse_new_chat(session, device, message)
        elif "error" in fate:
            device.reject(message)
        elif "unsent" in fate:
            device.keep_back(message)
        else:
            device.send(message)

    def _refuse_new_chat(self, session: Session, device: LinkedDevice, message: Message) -> None:
        """GOWS waits for WhatsApp's answer and fails; NOWEB has said 201 before it knows."""
        if self._runtime.engine.first_ack is not Ack.PENDING:
            session.addressed_as.pop(message.id, None)
            raise errors.EngineFailure("server returned error 463")
        device.reject(message)

    def _chosen_id(self, body: Json) -> str | None:
        chosen = body.get("id")
        heeded = self._runtime.engine.heeds_ids and self._runtime.environment.at_least(CALLERS_MAY_CHOOSE_IDS)
        return chosen if chosen and heeded else None

    def _address(self, chat: str) -> Phone | Group:
        name, _, server = chat.partition("@")
        if server == "lid":
            account = self._runtime.whatsapp.account_of_lid(name)
            if account is None:
                raise errors.EngineFailure(f"no LID found for {chat} from server")
            return account
        if server == "g.us":
            if chat not in self._runtime.whatsapp.groups:
                raise errors.EngineFailure("server returned error 404")
            return self._runtime.whatsapp.groups[chat]
        return self._runtime.whatsapp.account(name)

    def _message(self, session: Session, message_id: str) -> Row:
        row = session.mailbox.find(bare_id(message_id))
        if row is None:
            raise errors.not_found("Message not found")
        return row


def required(body: Json, field: str, *, of: str = "includes") -> Any:
    """A field of a send request. These have no validator: what is missing ends as a TypeError and a 500."""
    value = body.get(field)
    if value is None:
        raise TypeError(f"Cannot read properties of undefined (reading '{of}')")
    return value


def _device(session: Session) -> LinkedDevice:
    if session.device is None:
        raise RuntimeError(f"{session.name} is working without an account")
    return session.device


async def _media(file: Json) -> Media:
    """WAHA fetches a `url` itself; else the file comes as base64 in `data`."""
    mimetype = file.get("mimetype") or "application/octet-stream"
    if file.get("url"):
        async with aiohttp.ClientSession() as client, client.get(file["url"]) as response:
            if not response.ok:
                raise RuntimeError(f"Request failed with status code {response.status}")
            return Media(await response.read(), mimetype, file.get("filename"))
    return Media(base64.b64decode(required(file, "data")), mimetype, file.get("filename"))
