from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from waha.client import WahaClient

API_KEY = "the-right-key"


@dataclass
class AnsweringServer:
    """A web server that answers whatever is asked with what the test said last, and remembers what was asked."""

    asked: list[Any] = field(default_factory=list)
    url: str = ""
    next_answer: Callable[[], web.Response] = web.Response

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.asked.append(
            SimpleNamespace(
                method=request.method,
                path=request.rel_url.raw_path,
                query=dict(request.query),
                headers=request.headers.copy(),
                body=json.loads(raw) if raw else None,
            )
        )
        return self.next_answer()


@pytest.fixture
async def server() -> AsyncIterator[AnsweringServer]:
    answering = AnsweringServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answering.handle)
    async with TestServer(app) as running:
        answering.url = str(running.make_url("/"))
        yield answering


@pytest.fixture
def answer(server: AnsweringServer) -> Callable[..., None]:
    """`answer(status, body)`: what the server says from now on; a body of bytes or str goes out as it is."""

    def set_answer(
        status: int, body: Any = b"", *, content_type: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        server.next_answer = lambda: web.Response(status=status, body=raw, content_type=content_type, headers=headers)

    return set_answer


@pytest.fixture
def asked(server: AnsweringServer) -> list[Any]:
    """What the server was asked so far: `method path query headers body`."""
    return server.asked


@pytest.fixture
async def waha(server: AnsweringServer) -> AsyncIterator[WahaClient]:
    async with WahaClient(server.url, API_KEY) as client:
        yield client
