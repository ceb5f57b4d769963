"""What the app reaches by HTTP: the Web API, response URLs and the addresses of files."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.slack import arguments, methods, response_urls
from sandbox.slack.faults import Fault
from sandbox.slack.journal import Call
from sandbox.slack.refusal import Json, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.slack.faults import Faults
    from sandbox.slack.rate_limits import RateLimits
    from sandbox.slack.state import State

LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Sandbox | Slack</title></head><body>Sign in to Sandbox</body></html>"


class WebApi:
    """Answers requests, after whatever fault is switched on, and writes them into the journal."""

    def __init__(self, state: State, faults: Faults, rate_limits: RateLimits, journal: list[Call]) -> None:
        self._state = state
        self._faults = faults
        self._rate_limits = rate_limits
        self._journal = journal

    def routes(self) -> list[web.RouteDef]:
        """The addresses."""
        return [
            web.route("*", "/api/{method}", self.call),
            web.post("/commands/{token:.+}", self.respond),
            web.post("/upload/v1/{ticket}", self.upload),
            web.get("/files-pri/{file}/{name:.*}", self.download),
        ]

    async def call(self, request: web.Request) -> web.StreamResponse:
        """A method of the Web API."""
        name = request.match_info["method"]
        try:
            given, token = await arguments.read(request)
        except Refusal as refusal:
            return web.json_response(refusal.as_json())
        call = Call(name, given.values)
        return await self._answer(request, call, lambda: methods.call(self._state, name, token, given), self._told)

    def _told(self, answer: Json) -> web.Response:
        """Slack says in a header what the token may do."""
        return web.json_response(answer, headers={"x-oauth-scopes": ",".join(sorted(self._state.scopes))})

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """A response URL. It answers in plain text, and with an HTTP status when it refuses."""
        try:
            body = json.loads(await request.text())
        except ValueError:
            return web.Response(status=400, text="invalid_payload")
        token = request.match_info["token"]

        def act() -> Json:
            response_urls.answer(self._state, token, body)
            return {"ok": True}

        return await self._answer(request, Call("response_url", body), act, _plain)

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """The bytes of a file, raw or as a form."""
        file = self._state.files.upload_tickets.get(request.match_info["ticket"])
        content = await _content(request)
        call = Call("upload", {"file": file.id if file else None, "bytes": len(content)})

        def act() -> Json:
            if file is None or len(content) != file.size:
                raise Refusal("invalid_upload")
            file.content = content
            return {"ok": True, "text": f"OK - {len(content)}"}

        return await self._answer(request, call, act, _plain)

    async def download(self, request: web.Request) -> web.StreamResponse:
        """The bytes of a file; without the token or the scope a login page, with status 200."""
        file_id = request.match_info["file"].rpartition("-")[2]
        file = self._state.files.by_id.get(file_id)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        right = token == self._state.workspace.installation.bot_token and "files:read" in self._state.scopes

        def show(answer: Json) -> web.Response:
            if not right:
                return web.Response(text=LOGIN_PAGE, content_type="text/html")
            if not answer["ok"] or file is None or file.content is None:
                return web.Response(status=404, text="file_not_found")
            return web.Response(body=file.content, content_type=file.mimetype or "application/octet-stream")

        return await self._answer(request, Call("download", {"file": file_id}), lambda: {"ok": file is not None}, show)

    async def _answer(
        self,
        request: web.Request,
        call: Call,
        act: Callable[[], Json],
        show: Callable[[Json], web.StreamResponse],
    ) -> web.StreamResponse:
        self._journal.append(call)
        trouble = self._faults.take(call.method, call.arguments)
        fault = trouble.end or self._limited(call)
        # The effect comes late as well, also for a caller who has given up meanwhile.
        if trouble.before:
            await asyncio.sleep(trouble.before)
        if fault and not fault.after_storing:
            call.status = fault.status
            return await fault.happen(request)
        call.answer = _outcome(act)
        call.stored = bool(call.answer["ok"])
        if trouble.after:
            await asyncio.sleep(trouble.after)
        if fault:
            call.answer, call.status = None, fault.status
            return await fault.happen(request)
        response = show(call.answer)
        call.status = response.status
        return response

    def _limited(self, call: Call) -> Fault | None:
        seconds = self._rate_limits.retry_after(call.method, call.arguments)
        return Fault(call.method, status=429, retry_after=seconds) if seconds else None


def _outcome(act: Callable[[], Json]) -> Json:
    try:
        return act()
    except Refusal as refusal:
        return refusal.as_json()


def _plain(answer: Json) -> web.Response:
    """Text, as hooks.slack.com and files.slack.com answer; a refused response URL is 404 or 400."""
    if answer["ok"]:
        return web.Response(text=answer.get("text", "ok"))
    gone = answer["error"] in {"used_url", "expired_url", "invalid_url"}
    return web.Response(status=404 if gone else 400, text=answer["error"])


async def _content(request: web.Request) -> bytes:
    if not request.content_type.startswith("multipart/"):
        return await request.read()
    for part in (await request.post()).values():
        if isinstance(part, web.FileField):
            return part.file.read()
    return b""
