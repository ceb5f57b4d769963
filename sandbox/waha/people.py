"""Who is behind a number or an id."""

from __future__ import annotations

import re

from aiohttp import web

from sandbox.waha import errors
from sandbox.waha.answers import answer, number
from sandbox.waha.environment import Json
from sandbox.waha.receiving import ids_of
from sandbox.waha.runtime import Runtime
from sandbox.waha.session import Session
from sandbox.waha.sessions import Sessions
from sandbox.whatsapp import Phone


class PeopleApi:
    def __init__(self, runtime: Runtime, sessions: Sessions) -> None:
        self._runtime = runtime
        self._sessions = sessions

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/contacts/check-exists", self.check_exists),
            web.get("/api/contacts/profile-picture", self.picture),
            web.get("/api/contacts/all", self.contacts),
            web.get("/api/contacts", self.contact),
            web.get("/api/{session}/lids", self.lids),
            web.get("/api/{session}/lids/count", self.count_lids),
            web.get("/api/{session}/lids/pn/{phone}", self.lid_of_phone),
            web.get("/api/{session}/lids/{lid}", self.phone_of_lid),
        ]

    async def check_exists(self, request: web.Request) -> web.Response:
        await self._sessions.working(request.query.get("session"))
        digits = request.query.get("phone", "").replace("+", "").split("@", maxsplit=1)[0].strip()
        phone = self._runtime.whatsapp.registered(digits)
        if phone is None:
            absent: Json = {"numberExists": False}
            return answer(absent | {"chatId": None} if self._runtime.engine.name == "GOWS" else absent)
        found: Json = {"numberExists": True, "chatId": ids_of(phone)[0]}
        if self._runtime.environment.at_least("2026.8.1"):
            found["pn"] = f"{phone.number}@c.us"
        return answer(found)

    async def picture(self, request: web.Request) -> web.Response:
        await self._sessions.working(request.query.get("session"))
        return answer({"profilePictureURL": None})

    async def contacts(self, request: web.Request) -> web.Response:
        session = await self._sessions.working(request.query.get("session"))
        return answer([{"id": ids_of(phone)[0], "pushname": phone.name} for phone in _met(session)])

    async def contact(self, request: web.Request) -> web.Response:
        session = await self._sessions.working(request.query.get("session"))
        asked = request.query.get("contactId", "")
        names = [phone.name for phone in _met(session) if asked in ids_of(phone)]
        return answer({"id": asked, "pushname": names[0]} if names else {"id": asked})

    async def lids(self, request: web.Request) -> web.Response:
        session = await self._sessions.working(request.match_info["session"])
        offset = number(request, "offset", default=0)
        met = _met(session)[offset : offset + number(request, "limit", default=100)]
        return answer([_pair(phone) for phone in met])

    async def count_lids(self, request: web.Request) -> web.Response:
        session = await self._sessions.working(request.match_info["session"])
        return answer({"count": len(_met(session))})

    async def phone_of_lid(self, request: web.Request) -> web.Response:
        session = await self._sessions.working(request.match_info["session"])
        digits, _, server = request.match_info["lid"].partition("@")
        if server not in {"", "lid"}:
            raise errors.unprocessable(f"{digits}@{server} is not a lid")
        known = [phone for phone in _met(session) if phone.lid == digits]
        return answer(_pair(known[0]) if known else {"lid": f"{digits}@lid", "pn": None})

    async def lid_of_phone(self, request: web.Request) -> web.Response:
        session = await self._sessions.working(request.match_info["session"])
        digits = re.sub(r"\D", "", request.match_info["phone"])
        known = [phone for phone in _met(session) if phone.number == digits]
        return answer(_pair(known[0]) if known else {"lid": None, "pn": f"{digits}@c.us"})


def _pair(phone: Phone) -> Json:
    return {"lid": f"{phone.lid}@lid", "pn": f"{phone.number}@c.us"}


def _met(session: Session) -> list[Phone]:
    """Everybody who wrote to the account or was written to: nothing is known about others."""
    met = {
        person: None
        for row in session.mailbox.in_chats(None)
        for person in (row.message.sender, row.message.to)
        if isinstance(person, Phone) and person is not session.account and person.registered
    }
    return list(met)
