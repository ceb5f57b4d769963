"""The page on which people set and enter passwords, behind a link that works once.

Looking at it changes nothing: Slack, mail scanners and browsers open links that nobody clicked. Only a form that was
sent from the page, with the right password, uses the link up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from aiohttp import web

from daemon import page_html
from daemon.page_guard import HEADERS, Addresses, Forms, Limit
from daemon.page_html import AGAIN, NEW, PRESENT, PROOF, Problem, strong
from database import DatabaseUnavailable, in_database
from models import uuid7
from operations import login_tries, logins, page_links, passwords
from operations.audit import coming_from
from operations.page_links import Link
from settings.logs import get_logger

log = get_logger(__name__)

T = TypeVar("T")

_LONGEST_FORM = 4096
# Anybody may begin to send one, and WAHA is served by the same process.
_ARRIVES_WITHIN_SECONDS = 5.0
# Two cores' worth of hashing at once; whoever finds as many waiting before them had better come back.
_HASHING = 2
MOST_WAITING = 16

DEAD = 404
REFUSED = 403
UNFIT = 422
TOO_MANY = 429
BUSY = 503


@dataclass(frozen=True)
class Limits:
    """How much one address may ask, and how often one form may be sent."""

    looks: Limit = field(default_factory=lambda: Limit(300, 600))
    forms: Limit = field(default_factory=lambda: Limit(60, 600))
    of_link: Limit = field(default_factory=lambda: Limit(20, 600))


class _Stopped(Exception):
    """The form ends here, with this page."""

    def __init__(self, response: web.Response) -> None:
        super().__init__()
        self.response = response


class PasswordPage:
    """Serves `/pages/{token}`.

    Args:
        address: where people reach it; "" and a loopback address are good on this machine only.
        command: the slash command, for the sentence that says how to get a link.
        addresses: tells whose address a request comes from.
        cost: of hashing, as the exponent that bcrypt takes.
    """

    def __init__(
        self,
        *,
        address: str,
        command: str,
        addresses: Addresses,
        limits: Limits | None = None,
        cost: int = passwords.COST,
    ) -> None:
        self._command = command
        self._forms = Forms(address)
        self._addresses = addresses
        self._limits = limits or Limits()
        self._cost = cost
        # Its own threads: hashing takes a quarter of a second, in which a thread of the database serves fifty others.
        self._threads = ThreadPoolExecutor(max_workers=_HASHING, thread_name_prefix="passwords")
        self._waiting = 0

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/pages/{token}", self._guarded(self._show))
        app.router.add_post("/pages/{token}", self._guarded(self._take))
        app.on_cleanup.append(self._close)

    async def _close(self, _: web.Application) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def guarded(request: web.Request) -> web.Response:
            try:
                with coming_from(f"page:{self._addresses.of(request)}"):
                    return await handler(request)
            except _Stopped as stopped:
                return stopped.response
            except DatabaseUnavailable as error:
                log.warning("page waits for the database", reason=str(error))
                return _say(BUSY, "Not just now", "The database does not answer. Nothing was changed; try again soon.")
            except Exception:  # the edge: whatever it was, nothing of it is shown
                log.exception("page failed")
                return _say(500, "That went wrong", "The fault is on our side, and nothing was changed. Try again.")

        return guarded

    async def _show(self, request: web.Request) -> web.Response:
        self._within(self._limits.looks, self._addresses.of(request))
        return self._form(request, await self._link(request))

    async def _take(self, request: web.Request) -> web.Response:
        self._within(self._limits.forms, self._addresses.of(request))
        # Before anybody is counted: a browser that sends slowly keeps no place.
        fields = await _fields(request)
        with self._place():
            return await self._answer(request, fields)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the places of those who wait, from here to the end of their form: a burst finds them taken.

        Raises:
            _Stopped: there is none left.
        """
        if self._waiting >= MOST_WAITING:
            raise _Stopped(_say(BUSY, "Not just now", "Too many people log in at this moment. Try again in a minute."))
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _answer(self, request: web.Request, fields: Mapping[str, str]) -> web.Response:
        link = await self._link(request)
        self._within(self._limits.of_link, str(link.link_id))
        if not self._forms.are_ours(request, fields.get(PROOF, ""), request.match_info["token"]):
            log.warning("form refused: it was not sent from our page", user_id=link.user_id)
            problem = Problem("The form was not sent from this page as it stands here. Enter it once more.")
            return self._form(request, link, problem, status=REFUSED)
        return await (self._set(request, link, fields) if link.sets_password else self._log_in(request, link, fields))

    async def _log_in(self, request: web.Request, link: Link, fields: Mapping[str, str]) -> web.Response:
        await self._check_present(request, link, fields)
        await self._let_in(link, None)
        return _say(200, "You are logged in", f"Go back to Slack and work for {strong(link.tenant_name)}.", _CLOSE)

    async def _set(self, request: web.Request, link: Link, fields: Mapping[str, str]) -> web.Response:
        new, again = (passwords.normal(fields.get(name, "")) for name in (NEW, AGAIN))
        if refusal := passwords.refusal_of(new, about=link.known_words):
            return self._form(request, link, Problem(refusal, NEW), status=UNFIT)
        if new != again:
            problem = Problem("The two passwords differ. Enter the new one twice, the same each time.", AGAIN)
            return self._form(request, link, problem, status=UNFIT)
        if link.asks_for_present_password:
            await self._check_present(request, link, fields)
        await self._let_in(link, await self._hashing(passwords.hashed, new, cost=self._cost))
        paragraph = f"You are logged in: go back to Slack and work for {strong(link.tenant_name)}."
        return _say(200, "Your password is set", paragraph, _CLOSE)

    async def _check_present(self, request: web.Request, link: Link, fields: Mapping[str, str]) -> None:
        """Look at the password that the person has.

        Raises:
            _Stopped: it is wrong, or must not be looked at now.
        """
        present = passwords.normal(fields.get(PRESENT, ""))
        this = await in_database(login_tries.begin_try, link)
        if this.locked_until is not None:
            raise _Stopped(self._locked(this.locked_until))
        if await self._hashing(passwords.fits, present, link.password_hash or ""):
            return
        locked_until = await in_database(login_tries.fail, link, this)
        if locked_until is not None:
            raise _Stopped(self._locked(locked_until))
        problem = Problem("This is not your password. Capital and small letters count.", PRESENT)
        raise _Stopped(self._form(request, link, problem, status=REFUSED))

    async def _let_in(self, link: Link, new_hash: str | None) -> datetime:
        until = await in_database(logins.succeed, link, login_id=uuid7(), new_hash=new_hash)
        if until is None:
            raise _Stopped(self._dead())
        return until

    async def _link(self, request: web.Request) -> Link:
        link = await in_database(page_links.find, request.match_info["token"])
        if link is None:
            raise _Stopped(self._dead())
        return link

    async def _hashing(self, call: Callable[..., T], *args: str, **more: int) -> T:
        """Run what takes a quarter of a second on its own threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: call(*args, **more))

    def _within(self, limit: Limit, key: str) -> None:
        if not limit.take(key):
            response = _say(TOO_MANY, "Too many tries", "Wait a few minutes, then try again.")
            response.headers["Retry-After"] = "300"
            raise _Stopped(response)

    def _form(
        self, request: web.Request, link: Link, problem: Problem | None = None, *, status: int = 200
    ) -> web.Response:
        cookie = self._forms.cookie_of(request)
        proof = self._forms.proof(cookie, request.match_info["token"])
        response = _html(status, page_html.form(link, proof, problem))
        self._forms.give(response, request, cookie)
        return response

    def _dead(self) -> web.Response:
        """The same for a link that never was, was used, is over or was withdrawn: nobody learns which."""
        how = f"Ask for a new one in Slack: <code>{self._command} login</code>"
        return _say(DEAD, "This link does not work", "A link works once, and for ten minutes.", how)

    def _locked(self, until: datetime) -> web.Response:
        minutes = max(1, round((until - datetime.now(UTC)).total_seconds() / 60))
        when = f"{minutes} minutes" if minutes > 1 else "a minute"
        response = _say(
            TOO_MANY,
            "Locked for a while",
            f"Too many wrong passwords. The next can be tried in {when}, at {until.astimezone(UTC):%H:%M} UTC.",
            f"Forgotten? Ask an administrator or an operator for <code>{self._command} user forget-password</code>",
        )
        response.headers["Retry-After"] = str(minutes * 60)
        return response


_CLOSE = "This page can be closed."


async def _fields(request: web.Request) -> dict[str, str]:
    """What was entered.

    Raises:
        _Stopped: it is too long or too slow, or no form of ours.
    """
    if request.content_type != "application/x-www-form-urlencoded" or request.content_length is None:
        raise _Stopped(_say(400, "That was no form", "Open the link from Slack again."))
    if request.content_length > _LONGEST_FORM:
        raise _Stopped(_say(413, "That was too long", "Open the link from Slack again."))
    try:
        async with asyncio.timeout(_ARRIVES_WITHIN_SECONDS):
            entered = await request.post()
    except TimeoutError:
        raise _Stopped(_say(408, "That took too long", "Open the link from Slack again.")) from None
    except (ValueError, LookupError):
        raise _Stopped(_say(400, "That was no form", "Open the link from Slack again.")) from None
    return {name: value for name, value in entered.items() if isinstance(value, str)}


def _say(status: int, title: str, *paragraphs: str) -> web.Response:
    return _html(status, page_html.said(title, *paragraphs, is_good=status == 200))  # noqa: PLR2004 - as HTTP has it


def _html(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/html", charset="utf-8", headers=HEADERS)
