"""A Slack that answers what a test tells it to, on a real socket."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from slack.client import SlackClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

TOKEN = "xoxb-test"


@dataclass
class Call:
    path: str
    arguments: dict[str, Any]
    headers: dict[str, str]
    body: bytes


@dataclass
class ScriptedSlack:
    """Answers are taken in the order in which they were given; the last one stays."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    _answers: list[Callable[[web.Request], Awaitable[web.StreamResponse]]] = field(default_factory=list)

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/"

    def answer(self, body: dict[str, Any] | None = None, *, status: int = 200, **options: Any) -> None:
        content = {"ok": True} if body is None else body

        async def reply(_: web.Request) -> web.Response:
            return web.json_response(content, status=status, **options)

        self._answers.append(reply)

    def answer_text(self, text: str, *, status: int = 200, content_type: str = "text/plain") -> None:
        async def reply(_: web.Request) -> web.Response:
            return web.Response(text=text, status=status, content_type=content_type)

        self._answers.append(reply)

    def close_after_reading(self) -> None:
        self._answers.append(self._close)

    def reset_after_reading(self) -> None:
        self._answers.append(self._reset)

    def break_off_inside_the_answer(self) -> None:
        self._answers.append(self._break_off)

    def hang(self) -> None:
        self._answers.append(self._hang)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        arguments = await _arguments(request, body)
        self.calls.append(Call(request.path, arguments, dict(request.headers), body))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return await answer(request)

    async def _close(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def _reset(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _break_off(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"ok": tr')
        return await self._close(request)

    async def _hang(self, request: web.Request) -> web.Response:
        while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
        return web.Response()


async def _arguments(request: web.Request, body: bytes) -> dict[str, Any]:
    if request.content_type == "application/json" and body:
        return dict(json.loads(body))
    return {**request.query, **await request.post()}


@asynccontextmanager
async def served(scripted: ScriptedSlack) -> AsyncIterator[ScriptedSlack]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", scripted.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        scripted.url = f"http://{host}:{port}"
        yield scripted
    finally:
        await runner.cleanup()


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedSlack]:
    async with served(ScriptedSlack()) as slack:
        yield slack


@pytest.fixture
async def slack(scripted: ScriptedSlack) -> AsyncIterator[SlackClient]:
    async with SlackClient(TOKEN, scripted.api_url, timeout=timedelta(seconds=2)) as client:
        yield client
