from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

from waha.calls import WahaCalls, in_path
from waha.chat_ids import IGNORED_KINDS, kind_of
from waha.errors import (
    MessageUnknown,
    NotImplementedByEngine,
    NotWaha,
    SessionNotReady,
    WahaError,
    WahaKeyRefused,
    WahaNotSent,
    WahaUnavailable,
    WahaUnreadable,
)
from waha.loose_json import Object, rows
from waha.message_ids import SerializedId
from waha.messages import Message
from waha.payloads import ChatActivity, ChatOverview

PAGE_SIZE = 100
# WAHA leaves out reactions and the like after it has cut a page, so an empty one may stand before a full one.
EMPTY_PAGES_AT_THE_END = 2
# What the next chat would be answered too.
_OF_EVERY_CHAT = (WahaNotSent, WahaUnavailable, WahaKeyRefused, NotWaha, SessionNotReady)

Turn = Callable[[], Awaitable[None]]


class HistoryCalls(WahaCalls):
    """What WAHA has kept: GOWS everything, NOWEB only with its store on.

    WEBJS and WPP cannot ask for `all` chats at once and raise `NotImplementedByEngine`.
    """

    async def find_message(self, session: str, message_id: str, *, own_in: str | None = None) -> Message | None:
        """The message with this bare id, in whichever chat; `own_in`: one of ours in this chat, as WEBJS can be asked.

        None means that WAHA does not know it *now*: also a message that is still on its way. Anything that leaves room
        for doubt raises, since None is read as "send it again".
        """
        chat_id = own_in or "all"
        written_id = str(SerializedId(True, own_in, message_id)) if own_in else message_id
        path = f"/api/{in_path(session)}/chats/{in_path(chat_id)}/messages/{in_path(written_id)}"
        try:
            answer = await self.call("GET", path, query={"downloadMedia": "false"}, seconds=self.timeouts.send)
        except MessageUnknown:
            return None
        if answer is None:
            return None
        message = Message.parse(answer)
        if message is None or message.message_id != message_id:
            raise WahaUnreadable("WAHA answered with another message than the one asked for.")
        return message

    async def messages(
        self,
        session: str,
        chat_id: str = "all",
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = PAGE_SIZE,
        offset: int = 0,
    ) -> list[Object]:
        """One page of message rows as events have them, oldest first; `webhooks.as_webhook` makes an event of one.

        Both ends are whole seconds and inclusive. WAHA filters *after* it has taken `limit` rows: a short page is not
        the last one, two empty pages are. Reactions, edits, deletions and receipts are not rows.
        """
        query: dict[str, str | int] = {
            "limit": limit,
            "offset": offset,
            "sortBy": "timestamp",
            "sortOrder": "asc",
            "downloadMedia": "false",
            # Merging the two chats of one customer (`@lid`, `@c.us`) costs WAHA much, and only orders the rows.
            "merge": "false",
        }
        if since is not None:
            query["filter.timestamp.gte"] = int(since.timestamp())
        if until is not None:
            query["filter.timestamp.lte"] = int(until.timestamp())
        path = f"/api/{in_path(session)}/chats/{in_path(chat_id)}/messages"
        answer = await self.call("GET", path, query=query, seconds=self.timeouts.send)
        if not isinstance(answer, list):
            raise WahaUnreadable("WAHA's answer is not a list of messages.")
        return rows(answer)

    async def all_messages(
        self, session: str, *, since: datetime, until: datetime, turn: Turn
    ) -> AsyncIterator[list[Object]]:
        """Everything between two times, a page at a time; each chat's messages oldest first.

        Where the engine cannot tell of all chats at once, those that changed are asked one by one. `turn` is awaited
        before each call.

        Raises:
            WahaError: not all could be read. Of each chat all that was yielded comes before what was not.
        """
        try:
            async for page in self._pages(session, "all", since, until, turn):
                yield page
        except NotImplementedByEngine:
            async for page in self._pages_by_chat(session, since, until, turn):
                yield page

    async def chats(self, session: str, *, limit: int = PAGE_SIZE, offset: int = 0) -> list[ChatActivity]:
        """Chats by their last message, newest first."""
        query: dict[str, str | int] = {
            "limit": limit,
            "offset": offset,
            "sortBy": "conversationTimestamp",
            "sortOrder": "desc",
        }
        answer = await self.call("GET", f"/api/{in_path(session)}/chats", query=query, seconds=self.timeouts.send)
        if not isinstance(answer, list):
            raise WahaUnreadable("WAHA's answer is not a list of chats.")
        return [chat for row in rows(answer) if (chat := ChatActivity.parse(row))]

    async def _pages(
        self, session: str, chat_id: str, since: datetime, until: datetime, turn: Turn
    ) -> AsyncIterator[list[Object]]:
        offset = empty = 0
        while empty < EMPTY_PAGES_AT_THE_END:
            await turn()
            page = await self.messages(session, chat_id, since=since, until=until, offset=offset)
            empty = 0 if page else empty + 1
            offset += PAGE_SIZE
            if page:
                yield page

    async def _pages_by_chat(
        self, session: str, since: datetime, until: datetime, turn: Turn
    ) -> AsyncIterator[list[Object]]:
        """A chat that cannot be read keeps no other from being read; it is what is raised at the end."""
        unreadable: WahaError | None = None
        async for chat_id in self._chats_since(session, since, turn):
            try:
                async for page in self._pages(session, chat_id, since, until, turn):
                    yield page
            except WahaError as error:
                if isinstance(error, _OF_EVERY_CHAT):
                    raise
                unreadable = error
        if unreadable is not None:
            raise unreadable

    async def _chats_since(self, session: str, since: datetime, turn: Turn) -> AsyncIterator[str]:
        offset = 0
        await turn()
        while chats := await self.chats(session, offset=offset):
            for chat in chats:
                # A chat that tells no time is asked: it costs a call, and leaving it out might cost a message.
                if chat.changed_at is not None and chat.changed_at < since:
                    return
                if kind_of(chat.chat_id) not in IGNORED_KINDS:
                    yield chat.chat_id
            offset += PAGE_SIZE
            await turn()

    async def chats_overview(self, session: str, *, limit: int = 20, offset: int = 0) -> list[ChatOverview]:
        """Chats by their last message, newest first: which changed, in one call and on every engine."""
        path = f"/api/{in_path(session)}/chats/overview"
        answer = await self.call("GET", path, query={"limit": limit, "offset": offset}, seconds=self.timeouts.send)
        if not isinstance(answer, list):
            raise WahaUnreadable("WAHA's answer is not a list of chats.")
        return [chat for row in rows(answer) if (chat := ChatOverview.parse(row))]
