"""Socket Mode: envelopes over websockets, and the acknowledgements that come back."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from aiohttp import WSMsgType, web

from sandbox.slack.delivery import Ack, Envelope, Undelivered

if TYPE_CHECKING:
    from sandbox.slack.changes import Changes
    from sandbox.slack.refusal import Json

MOST_CONNECTIONS = 10  # of one app, over all its processes
Reason = Literal["warning", "refresh_requested", "link_disabled", "too_many_websockets"]


@dataclass(eq=False)
class Connection:
    """One websocket of the app, with the ids of the envelopes that were written to it."""

    number: int
    socket: web.WebSocketResponse
    request: web.Request
    envelopes: list[str] = field(default_factory=list)

    def cut(self) -> None:
        """Reset the TCP connection, as a broken network does."""
        if self.request.transport:
            self.request.transport.abort()


class SocketMode:
    """The app's connections. Any envelope may go to any one of them; here they take turns."""

    def __init__(self, app_id: str, changes: Changes, *, ack_seconds: float) -> None:
        self.connections: list[Connection] = []
        self.ack_seconds = ack_seconds
        self.mute_pongs = False
        self._app_id = app_id
        self._changes = changes
        self._tickets: set[str] = set()
        self._turn = itertools.count()
        self._waiting: dict[str, asyncio.Future[object]] = {}
        self._opened = itertools.count(1)

    def ticket(self) -> str:
        """What `apps.connections.open` puts into the address: it opens one connection."""
        ticket = uuid.uuid4().hex
        self._tickets.add(ticket)
        return ticket

    async def send(self, envelope: Envelope) -> Ack | Undelivered:
        """Write an envelope to one connection, and wait for the acknowledgement on any."""
        if not self.connections:
            return Undelivered("connection_failed")
        connection = self.connections[next(self._turn) % len(self.connections)]
        envelope_id = str(uuid.uuid4())
        connection.envelopes.append(envelope_id)
        self._waiting[envelope_id] = asyncio.get_running_loop().create_future()
        try:
            return await self._exchange(connection, _frame(envelope_id, envelope))
        finally:
            del self._waiting[envelope_id]

    async def _exchange(self, connection: Connection, envelope: Json) -> Ack | Undelivered:
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(self.ack_seconds):
                # A write to a socket that just died fails here; Slack then waits in vain all the same.
                with contextlib.suppress(ConnectionError):
                    await connection.socket.send_json(envelope)
                answer = await self._waiting[envelope["envelope_id"]]
        except TimeoutError:
            return Undelivered("timeout")
        return Ack(answer, clock() - started)

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Serve one websocket, from `hello` until either side leaves."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=401, text="the ticket is unknown or used")
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        connection = Connection(next(self._opened), socket, request)
        if len(self.connections) >= MOST_CONNECTIONS:
            await socket.send_json(self._goodbye("too_many_websockets"))
            await socket.close()
            return socket
        self.connections.append(connection)
        self._changes.announce()
        try:
            await self._converse(connection)
        finally:
            self._forget(connection)
        return socket

    async def _converse(self, connection: Connection) -> None:
        await connection.socket.send_json(self._hello())
        async for frame in connection.socket:
            if frame.type is WSMsgType.TEXT:
                self._take_ack(frame.data)
            elif frame.type is WSMsgType.PING and not self.mute_pongs:
                # The clients compare the payload with what they sent: a bare pong makes them reconnect.
                await connection.socket.pong(frame.data)

    def _take_ack(self, text: str) -> None:
        try:
            answer = json.loads(text)
            waiting = self._waiting.get(answer["envelope_id"])
        except (ValueError, KeyError, TypeError):
            return
        if waiting and not waiting.done():
            waiting.set_result(answer.get("payload"))

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self.connections),
            "connection_info": {"app_id": self._app_id},
            "debug_info": {"host": "sandbox", "build_number": 1, "approximate_connection_time": 18060},
        }

    @staticmethod
    def _goodbye(reason: Reason) -> Json:
        return {"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}}

    async def disconnect(self, reason: Reason = "refresh_requested") -> None:
        """Ask every connection to reconnect. `warning` leaves them open, the others are closed after the frame."""
        for connection in list(self.connections):
            with contextlib.suppress(ConnectionError):
                await connection.socket.send_json(self._goodbye(reason))
            if reason != "warning":
                self._forget(connection)
                await connection.socket.close()

    def cut(self, most: int | None = None) -> int:
        """Reset the oldest connections, or all, without a word, and say how many there were."""
        broken = self.connections[:most]
        self.connections = self.connections[len(broken) :]
        for connection in broken:
            connection.cut()
        return len(broken)

    def _forget(self, connection: Connection) -> None:
        if connection in self.connections:
            self.connections.remove(connection)
            self._changes.announce()


def _frame(envelope_id: str, envelope: Envelope) -> Json:
    frame = {"envelope_id": envelope_id, "type": envelope.kind, "payload": envelope.payload}
    if envelope.kind == "events_api":
        retries = {"retry_attempt": envelope.retry_attempt, "retry_reason": envelope.retry_reason}
        return {**frame, "accepts_response_payload": False, **retries}
    return {**frame, "accepts_response_payload": True}
