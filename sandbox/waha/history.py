"""Chats and messages that a session remembers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from aiohttp import web

from sandbox.waha import errors
from sandbox.waha.answers import answer, body_of, boolean, number
from sandbox.waha.environment import Json
from sandbox.waha.identifiers import bare_id, chat_id
from sandbox.waha.mailbox import Row
from sandbox.waha.runtime import Runtime
from sandbox.waha.session import Session
from sandbox.waha.sessions import Sessions
from sandbox.whatsapp import Ack

_SORTABLE = {"timestamp", "messageTimestamp"}
_CHATS_SORTABLE = ("conversationTimestamp", "id", "name")


class HistoryApi:
    def __init__(self, runtime: Runtime, sessions: Sessions) -> None:
        self._runtime = runtime
        self._sessions = sessions

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/{session}/chats", self.chats),
            web.get("/api/{session}/chats/overview", self.overview),
            web.post("/api/{session}/chats/overview", self.overview),
            web.get("/api/{session}/chats/{chat}/messages", self.messages),
            web.get("/api/{session}/chats/{chat}/messages/{message}", self.message),
        ]

    async def chats(self, request: web.Request) -> web.Response:
        session = await self._session(request)
        newest = _sorted_chats(request, self._newest(session))
        page = _slice(request, newest, default_limit=len(newest))
        return answer([self._runtime.engine.chat(row, self._name(session, row)) for row in page])

    async def overview(self, request: web.Request) -> web.Response:
        session = await self._session(request)
        wanted = set(request.query.getall("ids", []))
        page: Json = {}
        if request.method == "POST":
            body = await body_of(request)
            page = body.get("pagination") or {}
            wanted = set((body.get("filter") or {}).get("ids") or [])
        newest = [row for row in self._newest(session) if not wanted or row.chat in wanted]
        rows = _slice(request, newest, default_limit=page.get("limit", 20), default_offset=page.get("offset", 0))
        return answer([self._overview(session, row) for row in rows])

    async def messages(self, request: web.Request) -> web.Response:
        session = await self._session(request)
        if request.query.get("sortBy", "timestamp") not in _SORTABLE:
            raise errors.bad_request(["sortBy must be one of the following values: timestamp, messageTimestamp"])
        matches = _filter(request)
        rows = [row for row in session.mailbox.in_chats(self._chats(request, session)) if matches(row)]
        newest_first = _is_descending(request)
        if self._runtime.engine.reads_newest_first:
            rows, newest_first = [row for row in rows if not row.hidden], True
        rows.sort(key=lambda row: row.seconds, reverse=newest_first)
        page = _slice(request, rows, default_limit=10)
        download = boolean(request, "downloadMedia", default=True)
        # What is not a message is left out after the page was cut: a short page need not be the last.
        return answer([self._shown(session, row, download=download) for row in page if not row.hidden])

    async def message(self, request: web.Request) -> web.Response:
        session = await self._session(request)
        asked = request.match_info["message"]
        row = session.mailbox.find(bare_id(asked))
        if not self._runtime.engine.knows_bare_ids:
            self._check_whole_id(row, asked)
        elif row is not None and (chats := self._chats(request, session)) is not None and row.chat not in chats:
            row = None
        if row is None or not self._keeps(session):
            raise errors.not_found("Message not found")
        return answer(self._shown(session, row, download=boolean(request, "downloadMedia", default=True)))

    def _check_whole_id(self, row: Row | None, asked: str) -> None:
        """The browser wants the written-out id, and does not care for the chat of the request."""
        if bare_id(asked) == asked:
            raise RuntimeError("Evaluation failed: Error: Invalid serialized message id specified")
        if row is not None and row.serialized != asked:
            raise errors.not_found("Message not found")

    async def _session(self, request: web.Request) -> Session:
        session = await self._sessions.working(request.match_info["session"])
        sentence = self._runtime.engine.without_history
        if sentence is not None and not self._keeps(session):
            raise errors.bad_request(sentence)
        return session

    def _keeps(self, session: Session) -> bool:
        return self._runtime.engine.keeps_messages(session.config or {})

    def _chats(self, request: web.Request, session: Session) -> set[str] | None:
        """The ids under which the asked chat is stored, None for all chats; none at all if nothing is stored."""
        if not self._keeps(session):
            return set()
        chat = request.match_info["chat"]
        if chat == "all":
            if not self._runtime.engine.knows_all_chats:
                raise errors.not_implemented(self._runtime.engine.name)
            return None
        chat = chat_id(chat)
        return session.mailbox.both_ids(chat) if boolean(request, "merge", default=True) else {chat}

    def _newest(self, session: Session) -> list[Row]:
        """The last message of each chat, the chat that changed last first."""
        if not self._keeps(session):
            return []
        return sorted(session.mailbox.newest(), key=lambda row: row.at, reverse=True)

    def _overview(self, session: Session, row: Row) -> Json:
        return {
            "id": row.chat,
            "name": self._name(session, row),
            "picture": None,
            "lastMessage": self._shown(session, row, download=False),
            "_chat": self._runtime.engine.chat(row, self._name(session, row)),
        }

    def _name(self, session: Session, row: Row) -> str | None:
        group = self._runtime.whatsapp.groups.get(row.chat)
        if group is not None:
            return group.subject
        return row.message.chat_for(session.account).name if session.account else None  # type: ignore[union-attr]

    def _shown(self, session: Session, row: Row, *, download: bool) -> Json:
        media = self._runtime.files.publish(session.name, row) if download else None
        if row.source == "api" and self._runtime.engine.forgets_what_it_sent and not session.recalls_sending(row.id):
            row = replace(row, source="app")
        return self._runtime.engine.message(row, live=False, media=media)


def _sorted_chats(request: web.Request, newest: list[Row]) -> list[Row]:
    """Raises Refusal 400, another order."""
    by = request.query.get("sortBy") or "conversationTimestamp"
    if by not in _CHATS_SORTABLE:
        raise errors.bad_request([f"sortBy must be one of the following values: {', '.join(_CHATS_SORTABLE)}"])
    descending = _is_descending(request)
    if by == "conversationTimestamp":
        return newest if descending else newest[::-1]
    return sorted(newest, key=lambda row: row.chat, reverse=descending)


def _is_descending(request: web.Request) -> bool:
    order = request.query.get("sortOrder") or "desc"
    if order not in {"asc", "desc"}:
        raise errors.bad_request(["sortOrder must be one of the following values: desc, asc"])
    return order == "desc"


def _slice(request: web.Request, rows: list[Row], *, default_limit: int, default_offset: int = 0) -> list[Row]:
    offset = number(request, "offset", default=default_offset)
    return rows[offset : offset + number(request, "limit", default=default_limit)]


def _filter(request: web.Request) -> Callable[[Row], bool]:
    """The `filter.…` parameters of the query; times are seconds and inclusive."""
    earliest = number(request, "filter.timestamp.gte", default=0)
    latest = number(request, "filter.timestamp.lte", default=2**62)
    from_me = boolean(request, "filter.fromMe", default=False) if "filter.fromMe" in request.query else None
    ack = request.query.get("filter.ack")
    if ack is not None and ack not in Ack.__members__:
        names = ", ".join(Ack.__members__)
        raise errors.bad_request([f"filter.ack must be one of the following values: {names}"])
    return lambda row: (
        earliest <= row.seconds <= latest
        and (from_me is None or row.from_me == from_me)
        and (ack is None or row.ack.name == ack)
    )
