"""A simulated WAHA, a receiver of its webhooks and a plain HTTP client: nothing of the product's own client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sandbox.waha import SandboxWaha
from sandbox.whatsapp import Phone, WhatsApp

HMAC_KEY = "my-hmac-key"
PACE = 0.01
Make = Callable[..., Awaitable["Rig"]]


@dataclass
class Post:
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


@dataclass
class Hooks:
    """Takes webhooks at `url`; `answers` are given first, then 200."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)
    silent: bool = False

    async def take(self, request: web.Request) -> web.Response:
        self.posts.append(Post(dict(request.headers), await request.read()))
        if self.silent:
            await asyncio.Event().wait()
        return self.answers.pop(0) if self.answers else web.Response(text="ok")

    def events(self, name: str) -> list[dict[str, Any]]:
        return [post.event for post in self.posts if post.event["event"] == name]

    def statuses(self) -> list[str]:
        """In the order of their making: posts may overtake each other."""
        events = sorted(self.events("session.status"), key=lambda event: event["timestamp"])
        return [event["payload"]["status"] for event in events]


@dataclass
class Answer:
    status: int
    body: Any
    headers: Any
    seconds: float


@dataclass
class Rig:
    whatsapp: WhatsApp
    waha: SandboxWaha
    hooks: Hooks
    http: aiohttp.ClientSession
    shop: Phone
    carla: Phone

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        options.setdefault("json", body)
        options.setdefault("headers", {"X-Api-Key": self.waha.api_key})
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with self.http.request(method, self.waha.url + path, **options) as response:
            raw = await response.read()
        is_json = response.content_type == "application/json"
        return Answer(response.status, json.loads(raw) if is_json else raw, response.headers, loop.time() - started)

    def config(self, *events: str, **more: Any) -> dict[str, Any]:
        webhook = {"url": self.hooks.url, "events": list(events or ("*",)), "hmac": {"key": HMAC_KEY}}
        return {"webhooks": [webhook | more], "noweb": {"store": {"enabled": True}}}

    async def create(self, name: str = "acme", **config: Any) -> Answer:
        return await self.call("POST", "/api/sessions", {"name": name, "start": True, "config": self.config() | config})

    async def pair(self, name: str = "acme", **config: Any) -> None:
        """Creates a session and scans its code with the shop's phone."""
        await self.create(name, **config)
        await self.waha.pair(name, self.shop)

    async def until(self, condition: Callable[[], Any], within: float = 10.0) -> Any:
        """Polls until `condition` returns something true, and returns that."""
        async with asyncio.timeout(within):
            while not (value := condition()):  # noqa: ASYNC110 - what is waited for are plain lists
                await asyncio.sleep(0.005)
            return value

    async def reaches(self, status: str, name: str = "acme") -> None:
        session = self.waha.sessions.known(name)
        await self.until(lambda: session.status.value == status)

    async def send(self, text: str, **more: Any) -> Answer:
        return await self.call(
            "POST", "/api/sendText", {"session": "acme", "chatId": "4915123456789@c.us", "text": text} | more
        )


@pytest.fixture
async def hooks() -> AsyncIterator[Hooks]:
    hooks = Hooks()
    app = web.Application()
    app.router.add_post("/hook", hooks.take)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hooks.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield hooks
    await runner.cleanup()


@pytest.fixture
async def make_rig(hooks: Hooks) -> AsyncIterator[Make]:
    async with AsyncExitStack() as stack:

        async def make(**options: Any) -> Rig:
            whatsapp = WhatsApp(seed=7)
            waha = await stack.enter_async_context(SandboxWaha(whatsapp, **({"pace": PACE} | options)))
            http = await stack.enter_async_context(aiohttp.ClientSession())
            shop = whatsapp.phone("+4930123456", name="Shop")
            carla = whatsapp.phone("+49 151 23456789", name="Carla")
            return Rig(whatsapp, waha, hooks, http, shop, carla)

        yield make


@pytest.fixture
async def rig(make_rig: Make) -> Rig:
    return await make_rig()
