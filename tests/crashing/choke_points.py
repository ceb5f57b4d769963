"""The few places that everything passes which may be interrupted, wrapped before the rooms are imported.

Names are made of where it is: an operation's qualified name, or an HTTP method and its route. A transaction that wrote
nothing leaves nothing behind, so only those that wrote have passages around their COMMIT.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import re
import threading
from typing import Any

import aiohttp
import peewee
from aiohttp import client_reqrep, web_protocol

from tests.crashing.passages import Passages

BEFORE_WORK, BEFORE_COMMIT, AFTER_COMMIT = "before the work", "before COMMIT", "after COMMIT"
BEFORE_BYTES, AFTER_BYTES, AFTER_ANSWER = "before the first byte", "after the bytes left", "after the answer"
_WROTE = "SELECT pg_current_xact_id_if_assigned() IS NOT NULL"
# What differs from call to call: ids have digits, chat ids and addresses an @.
_VARIES = re.compile(r"[^/]*(\d|@|%40)[^/]*")


class _Running(threading.local):
    operation: str | None = None


_running = _Running()


def wrap(passages: Passages) -> None:
    """Put passages around operations and HTTP; before any room of the program is imported."""
    _wrap_operations(passages)
    _wrap_commit(passages)
    _wrap_requests(passages)
    _wrap_answers(passages)
    _wrap_socket(passages)


def _wrap_operations(passages: Passages) -> None:
    threads = importlib.import_module("database.threads")
    once = threads._run_once

    def run_once(operation: functools.partial[Any]) -> Any:
        _running.operation = _name_of(operation)
        passages.passed(f"{_running.operation} · {BEFORE_WORK}")
        try:
            return once(operation)
        finally:
            _running.operation = None

    threads._run_once = run_once  # type: ignore[attr-defined]


def _name_of(operation: Any) -> str:
    while isinstance(operation, functools.partial):
        operation = operation.func
    return f"{operation.__module__}.{operation.__qualname__}".replace(".<locals>", "")


def _wrap_commit(passages: Passages) -> None:
    postgres = importlib.import_module("database.postgres").PooledPostgres
    commit = postgres.commit

    def commit_through(self: Any) -> None:
        operation = _running.operation
        if operation is None or not _wrote(self):
            commit(self)
            return
        passages.passed(f"{operation} · {BEFORE_COMMIT}")
        commit(self)
        if passages.passed(f"{operation} · {AFTER_COMMIT}"):
            self._state.conn.close()
            raise peewee.OperationalError("server closed the connection unexpectedly")

    postgres.commit = commit_through


def _wrote(database: Any) -> bool:
    try:
        with database._state.conn.cursor() as cursor:
            cursor.execute(_WROTE)
            return bool(cursor.fetchone()[0])
    except Exception:  # noqa: BLE001 - the COMMIT itself says what is wrong
        return False


def _wrap_requests(passages: Passages) -> None:
    send, start = client_reqrep.ClientRequest.send, client_reqrep.ClientResponse.start

    async def send_through(self: Any, connection: Any) -> Any:
        passages.passed(f"{_route_of(self.method, self.url.path)} · {BEFORE_BYTES}")
        return await send(self, connection)

    async def start_through(self: Any, connection: Any) -> Any:
        await _until_written(self, connection)
        name = _route_of(self.method, self.url.path)
        passages.passed(f"{name} · {AFTER_BYTES}")
        response = await start(self, connection)
        passages.passed(f"{name} · {AFTER_ANSWER}")
        return response

    client_reqrep.ClientRequest.send = send_through  # type: ignore[method-assign, assignment]
    client_reqrep.ClientResponse.start = start_through  # type: ignore[method-assign]


async def _until_written(response: Any, connection: aiohttp.connector.Connection) -> None:
    """The whole request is in the kernel, which delivers it whatever becomes of this process."""
    if (writer := getattr(response, "_writer", None)) is not None:
        await asyncio.wait({writer})
    while connection.transport is not None and connection.transport.get_write_buffer_size():  # noqa: ASYNC110 - the transport has no event for it
        await asyncio.sleep(0)


def _route_of(method: str, path: str) -> str:
    segments = ["{}" if _VARIES.fullmatch(segment) else segment for segment in path.split("/")]
    return f"{method} {'/'.join(segments)}"


def _wrap_answers(passages: Passages) -> None:
    finish = web_protocol.RequestHandler.finish_response

    async def finish_through(self: Any, request: Any, response: Any, *rest: Any) -> Any:
        resource = request.match_info.route.resource
        name = f"answer {response.status} to {request.method} {resource.canonical if resource else 'nothing'}"
        passages.passed(f"{name} · {BEFORE_BYTES}")
        finished = await finish(self, request, response, *rest)
        passages.passed(f"{name} · {AFTER_BYTES}")
        return finished

    web_protocol.RequestHandler.finish_response = finish_through  # type: ignore[method-assign, assignment]


def _wrap_socket(passages: Passages) -> None:
    """Bolt's adapter takes the function by its name when it is imported, which must not have happened yet."""
    internals = importlib.import_module("slack_bolt.adapter.socket_mode.async_internals")
    respond = internals.send_async_response

    async def respond_through(client: Any, request: Any, *rest: Any) -> None:
        name = f"acknowledge {request.type}"
        passages.passed(f"{name} · {BEFORE_BYTES}")
        await respond(client, request, *rest)
        passages.passed(f"{name} · {AFTER_BYTES}")

    internals.send_async_response = respond_through  # type: ignore[attr-defined]
