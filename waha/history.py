from __future__ import annotations

from datetime import datetime

from waha.calls import WahaCalls, in_path
from waha.errors import MessageUnknown, WahaUnreadable
from waha.loose_json import Object, rows
from waha.messages import Message
from waha.payloads import ChatOverview


class HistoryCalls(WahaCalls):
    """What WAHA has kept: GOWS everything, NOWEB only with its store on.

    WEBJS and WPP cannot ask for `all` chats at once and raise `NotImplementedByEngine`.
    """

    async def find_message(self, session: str, message_id: str) -> Message | None:
        """The message with this bare id, in whichever chat.

        None means that WAHA does not know it *now*: also a message that is still on its way. Anything that leaves room
        for doubt raises, since None is read as "send it again".
        """
        path = f"/api/{in_path(session)}/chats/all/messages/{in_path(message_id)}"
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
        limit: int = 100,
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

    async def chats_overview(self, session: str, *, limit: int = 20, offset: int = 0) -> list[ChatOverview]:
        """Chats by their last message, newest first: which changed, in one call and on every engine."""
        path = f"/api/{in_path(session)}/chats/overview"
        answer = await self.call("GET", path, query={"limit": limit, "offset": offset}, seconds=self.timeouts.send)
        if not isinstance(answer, list):
            raise WahaUnreadable("WAHA's answer is not a list of chats.")
        return [chat for row in rows(answer) if (chat := ChatOverview.parse(row))]
