"""The sandbox's own HTTP interface, for a command line or a page in another process: JSON under `/sandbox/`."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.slack import screen
from sandbox.slack.asking import Wait
from sandbox.slack.refusal import Json, SandboxError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sandbox.slack.messages import Message
    from sandbox.slack.simulator import SandboxSlack

LAST = "LAST"
LONGEST_POLL = 20.0
# A person at a terminal waits longer for a second answer than a test does.
AT_A_TERMINAL = Wait(seconds=10.0, quiet=0.7)
AFTER_A_FORM = Wait(seconds=1.0, quiet=0.3)


class Control:
    """Lets somebody outside act as a person of the workspace, and look."""

    def __init__(self, slack: SandboxSlack) -> None:
        self._slack = slack

    def routes(self) -> list[web.RouteDef]:
        """The addresses."""
        posts = {
            "command": self._command, "say": self._say, "click": self._click, "submit": self._submit,
            "close": self._close,
            "edit": self._edit, "delete": self._delete, "react": self._react, "faults": self._fail, "heal": self._heal,
            "events": self._disturb, "sockets": self._sockets, "limits": self._limit,
        }  # fmt: skip
        return [
            *(web.post(f"/sandbox/{name}", _posted(act)) for name, act in posts.items()),
            web.get("/sandbox/users", self._users),
            web.get("/sandbox/channels", self._channels),
            web.get("/sandbox/channels/{name}", self._channel),
            web.get("/sandbox/dms/{user}", self._direct),
            web.get("/sandbox/homes/{user}", self._home),
            web.get("/sandbox/forms/{user}", self._form),
            web.get("/sandbox/files/{id}", self._file),
            web.get("/sandbox/faults", self._faults),
            web.get("/sandbox/changes", self._changes),
            web.get("/sandbox/journal", self._journal),
        ]

    async def _command(self, body: Json) -> Json:
        answer = await self._slack.command(body["user"], body["channel"], body["text"], AT_A_TERMINAL)
        return screen.answer(answer, self._slack)

    async def _say(self, body: Json) -> Json:
        thread = body.get("thread_ts")
        if thread == LAST:
            thread = self._last_root(body["channel"])
        said = self._slack.say(body["user"], body["channel"], body["text"], thread, **_when(body))
        return screen.message(said, self._slack)

    async def _click(self, body: Json) -> Json:
        user, channel, wanted = body["user"], body["channel"], body["button"]
        target = self._slack.modal(user) or (
            self._message(body) if body.get("ts") else self._slack.newest_with(user, channel, wanted)
        )
        answer = await self._slack.click(user, target, wanted, body.get("value", ""), AT_A_TERMINAL)
        return screen.answer(answer, self._slack)

    async def _submit(self, body: Json) -> Json:
        user = body["user"]
        before = {one.ts for one in self._seen_by(user)}
        answer = await self._slack.submit(user, body.get("entries", {}), AFTER_A_FORM)
        shown = screen.answer(answer, self._slack)
        if not (answer.messages or answer.view or answer.errors or answer.error):
            # A form has no answer of its own: what it does is told where the person asked for it, or directly.
            with contextlib.suppress(TimeoutError):
                await self._slack.until(
                    lambda: [one for one in self._seen_by(user) if one.ts not in before], AT_A_TERMINAL.seconds
                )
            new = [one for one in self._seen_by(user) if one.ts not in before]
            shown["messages"] = [screen.message(one, self._slack) for one in new]
        return shown

    async def _close(self, body: Json) -> Json:
        await self._slack.close(body["user"])
        return {"ok": True}

    def _seen_by(self, user: str) -> list[Message]:
        return [*self._slack.ephemerals(user), *self._slack.direct_messages(user)]

    async def _edit(self, body: Json) -> Json:
        edited = self._slack.edit(body["user"], self._message(body), body["text"], **_when(body))
        return screen.message(edited, self._slack)

    async def _delete(self, body: Json) -> Json:
        self._slack.delete(body["user"], self._message(body), heard=body.get("heard", True))
        return {"ok": True}

    async def _react(self, body: Json) -> Json:
        self._slack.react(body["user"], self._message(body), body["emoji"])
        return {"ok": True}

    async def _fail(self, body: Json) -> Json:
        """The arguments of `fail`; with `seed` the draws begin anew. Returns the fault's number."""
        self._seed(body)
        fault = self._slack.fail(body.pop("method"), **_spans(body))
        return {"ok": True, "fault": fault.number}

    async def _heal(self, body: Json) -> Json:
        """One `fault` by its number, or everything."""
        if "fault" in body:
            self._slack.faults.heal(int(body["fault"]))
        else:
            self._slack.heal()
        return {"ok": True}

    async def _disturb(self, body: Json) -> Json:
        """The arguments of `disturb_events`; none of them: nothing goes wrong with events any more."""
        self._seed(body)
        self._slack.disturb_events(**_spans(body))
        return {"ok": True}

    async def _sockets(self, body: Json) -> Json:
        """`{"cut": 1}` or `{"cut": null}` for all, `{"disconnect": "warning"}`, `{"mute_pongs": true}`."""
        if "mute_pongs" in body:
            self._slack.mute_pongs(bool(body["mute_pongs"]))
        if "disconnect" in body:
            await self._slack.disconnect(body["disconnect"])
        cut = self._slack.cut_connections(body["cut"]) if "cut" in body else 0
        return {"ok": True, "cut": cut}

    async def _limit(self, body: Json) -> Json:
        """`enforced`, `burst` and `posts_a_minute` of Slack's rate limits."""
        limits = self._slack.rate_limits
        limits.enforced = bool(body.get("enforced", True))
        limits.burst = int(body.get("burst", limits.burst))
        limits.posts_a_minute = int(body.get("posts_a_minute", limits.posts_a_minute))
        return {"ok": True}

    async def _faults(self, _request: web.Request) -> web.Response:
        shown = [
            {"fault": fault.number, "method": fault.method, "hits": fault.hits}
            for fault in self._slack.faults.switched_on()
        ]
        return web.json_response(shown)

    def _seed(self, body: Json) -> None:
        if "seed" in body:
            self._slack.seed(int(body.pop("seed")))

    async def _users(self, _request: web.Request) -> web.Response:
        return web.json_response(screen.people(self._slack))

    async def _channels(self, _request: web.Request) -> web.Response:
        return web.json_response(screen.channels(self._slack))

    async def _channel(self, request: web.Request) -> web.Response:
        return _shown(lambda: screen.channel(self._slack, request.match_info["name"], request.query.get("user")))

    async def _direct(self, request: web.Request) -> web.Response:
        user = request.match_info["user"]
        return _shown(lambda: screen.channel(self._slack, f"@{user}", user))

    async def _home(self, request: web.Request) -> web.Response:
        return _shown(lambda: screen.view(self._slack.home(request.match_info["user"]), self._slack) or {})

    async def _form(self, request: web.Request) -> web.Response:
        return _shown(lambda: screen.view(self._slack.modal(request.match_info["user"]), self._slack) or {})

    async def _changes(self, request: web.Request) -> web.Response:
        """Wait until something changed since the count in `since`, or 20 s; a page asks again and again."""
        changes, since = self._slack.state.changes, int(request.query.get("since", -1))
        with contextlib.suppress(TimeoutError):
            await changes.until(lambda: changes.count != since, LONGEST_POLL)
        return web.json_response({"count": changes.count})

    async def _file(self, request: web.Request) -> web.Response:
        try:
            file = self._slack.file(request.match_info["id"])
        except SandboxError as error:
            return _complaint(error)
        return web.Response(body=file.content or b"", content_type=file.mimetype or "application/octet-stream")

    async def _journal(self, _request: web.Request) -> web.Response:
        return web.json_response([vars(call) for call in self._slack.journal])

    def _last_root(self, channel: str) -> str:
        roots = self._slack.roots(channel)
        if not roots:
            raise SandboxError(f"Nothing stands in #{channel} yet, so there is no thread to answer.")
        return roots[-1].ts

    def _message(self, body: Json) -> Message:
        whispers = [shown for shown in self._slack.ephemerals(body["user"]) if shown.ts == body["ts"]]
        return whispers[0] if whispers else self._slack.thread(body["channel"], body["ts"])[0]


def _when(body: Json) -> Json:
    return {name: body[name] for name in ("seconds_ago", "heard") if name in body}


def _spans(body: Json) -> Json:
    """JSON knows no tuples: `[0.1, 2]` is any number between the two."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in body.items()}


def _posted(act: Callable[[Json], Awaitable[Json]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            return web.json_response(await act(json.loads(await request.text())))
        except SandboxError as error:
            return _complaint(error)
        except (KeyError, ValueError, TypeError) as error:
            return web.json_response({"error": f"The request is not understood: {error!r}."}, status=400)

    return handle


def _shown(look: Callable[[], Json]) -> web.Response:
    try:
        return web.json_response(look())
    except SandboxError as error:
        return _complaint(error)


def _complaint(error: SandboxError) -> web.Response:
    return web.json_response({"error": str(error)}, status=422)
