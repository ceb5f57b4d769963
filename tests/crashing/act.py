"""One playing of a journey: what people do in it, and what they see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sandbox.slack import Message, Wait
from sandbox.slack.controls import find
from sandbox.whatsapp import Phone
from tests.acceptance.acting import Scene, Team
from tests.crashing.supervised import Theatre

DELIVERED, READ, FAILED = "white_check_mark", "eyes", "x"
# A form comes at once, or Slack has not taken it in time.
_FORM_SECONDS = 4.0
# The longest lease is 75 s: of an action, when the answer to its COMMIT was lost and nobody knows that it is leased.
_PATIENCE_SECONDS = 90.0
# Whoever clicks sees no answer in Slack's own window: what comes of it is looked for elsewhere.
_AT_ONCE = Wait(seconds=0)


@dataclass
class Cast:
    """Who is there from the beginning: two tenants, and in the first a session that nobody ever scans."""

    acme: Team
    later: Team
    unpaired: str


@dataclass
class Act:
    """One playing of a journey. `number` makes what is written in it different from all else."""

    theatre: Theatre
    scene: Scene
    cast: Cast
    number: int
    begin: Callable[[], None]
    over: Callable[[], Awaitable[None]]

    def customer(self) -> Phone:
        return self.scene.stage.whatsapp.phone(f"+49170{self.number:07}", name=f"C{self.number}")

    def text(self, words: str) -> str:
        return f"{words} ({self.number})"

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        await self.scene.stage.until(condition, what, _PATIENCE_SECONDS)

    async def until_row(self, sql: str, what: str) -> None:
        await self.until(lambda: any(row[0] for row in self.scene.rows(sql)), what)

    async def until_kept(self, table: str, words: str) -> None:
        """What was written is in an inbox, so that what is written next comes after it."""
        # The words as they stand in JSON, which no backslash is part of.
        await self.until_row(
            f"SELECT count(*) FROM {table} WHERE position(convert_to('{words}', 'UTF8') IN body) > 0",  # noqa: S608
            f"{words!r} in {table}",
        )

    async def ask(self, user: str, line: str, expect: str, *, channel: str = "support") -> None:
        """Type a command in the journey, and see it answered; or see that it was not taken, and type it again."""
        before, kept = self.told(user, expect), self.commands_kept()
        is_enough = Wait(20, until=lambda answer: self.told(user, expect) > before or answer.error is not None)
        answer = await self.scene.stage.slack.command(user, channel, f"/wa {line}", is_enough)
        if answer.error is not None:
            await self.over()
            if self.commands_kept() == kept:
                await self.scene.ask(user, line, channel=channel, expect=expect)
        await self.until(lambda: self.told(user, expect) > before, f"the answer to {line!r}, not {answer.text!r}")

    async def type(self, user: str, line: str, *, channel: str = "support") -> None:
        """Type a command without waiting for what comes of it; again if it was not taken."""
        slack, kept = self.scene.stage.slack, self.commands_kept()
        answer = await slack.command(user, channel, f"/wa {line}", _AT_ONCE)
        if answer.error is not None:
            await self.theatre.ready()
            if self.commands_kept() == kept:
                again = await slack.command(user, channel, f"/wa {line}", _AT_ONCE)
                assert again.error is None, again.error

    async def click(self, user: str, shown: Message, label: str) -> None:
        """Click a button, and once more if Slack says that it was not taken and it is still there."""
        answer = await self.scene.stage.slack.click(user, shown, label, wait=_AT_ONCE)
        if answer.error is not None:
            await self.over()
            if find(shown.blocks, label) is not None:
                again = await self.scene.stage.slack.click(user, shown, label, wait=_AT_ONCE)
                assert again.error is None, again.error

    async def open_form(self, user: str, shown: Message, label: str) -> None:
        """Click a button that opens a form, and once more if none came."""
        slack = self.scene.stage.slack
        await slack.click(user, shown, label, wait=_AT_ONCE)
        with suppress(AssertionError):
            await self.scene.stage.until(lambda: slack.modal(user), "the form", _FORM_SECONDS)
        if slack.modal(user) is None:
            await self.over()
        if slack.modal(user) is None:
            await slack.click(user, shown, label, wait=_AT_ONCE)
            await self.until(lambda: slack.modal(user), "the form")

    async def open_form_of(self, user: str, line: str, *, channel: str = "support") -> None:
        """Type a command that opens a form, and once more if none came."""
        slack = self.scene.stage.slack
        await self.type(user, line, channel=channel)
        with suppress(AssertionError):
            await self.scene.stage.until(lambda: slack.modal(user), "the form", _FORM_SECONDS)
        if slack.modal(user) is None:
            await self.over()
        if slack.modal(user) is None:
            await self.type(user, line, channel=channel)
            await self.until(lambda: slack.modal(user), "the form")

    async def submit(self, user: str, **entries: str) -> None:
        """Fill in the form that is open, and once more if Slack says that it was not taken: then it stays open."""
        slack = self.scene.stage.slack
        answer = await slack.submit(user, entries, wait=_AT_ONCE)
        if answer.error is not None:
            await self.over()
            again = await slack.submit(user, entries, wait=_AT_ONCE)
            assert again.error is None, again.error

    def see_answered(self, user: str, expect: str, before: int) -> None:
        # A response leaves nothing to look it up by: interrupted, it is given twice rather than not at all.
        assert 1 <= self.told(user, expect) - before <= 2

    def told(self, user: str, words: str) -> int:
        slack = self.scene.stage.slack
        return sum(words in slack.read(one) for one in [*slack.ephemerals(user), *slack.direct_messages(user)])

    def commands_kept(self) -> int:
        count: int = self.scene.rows("SELECT count(*) FROM slack_events WHERE kind = 'command'")[0][0]
        return count

    def texts_in(self, channel: str, words: str) -> list[str]:
        return [shown.text.rpartition(": ")[2] for shown in self.scene.in_channel(channel, words)]

    def received(self, phone: Phone, of: Team) -> list[str]:
        """What a phone got from a team, a message that came twice twice."""
        return [one.text for one in phone.chat_with(of.phone) if one.direction == "in"]

    @staticmethod
    def not_ready() -> dict[str, Any]:
        """What WAHA says of a session that cannot send now."""
        return {
            "statusCode": 422,
            "error": "Session status is not as expected",
            "status": "STARTING",
            "expected": ["WORKING"],
        }

    async def until_shown(self, receipt: str, *said: Message) -> None:
        """That receipt stands on each of these messages, and no other."""
        await self.until(lambda: all(list(one.reactions) == [receipt] for one in said), f"{receipt} on what was said")

    async def until_status(self, session: str, status: str) -> None:
        await self.until_row(f"SELECT status = '{status}' FROM waha_sessions WHERE name = '{session}'", status)  # noqa: S608

    async def until_told(self, session: str, status: str) -> None:
        """Nothing is left to be said of a session's state; that a change has to last for 10 s is left out."""
        await self.until_status(session, status)
        changed = "status_changed_at = status_changed_at - interval '1 min'"
        self.scene.rows(f"UPDATE waha_sessions SET {changed} WHERE name = '{session}'")  # noqa: S608
        await self.until_row("SELECT count(*) = 0 FROM incidents WHERE ended_at IS NULL", "no trouble")

    async def at_rest(self, session: str) -> None:
        """It is stopped, whatever an earlier row left of it."""
        if not self.scene.rows(f"SELECT 1 FROM waha_sessions WHERE name = '{session}' AND status = 'stopped'"):  # noqa: S608
            await self.scene.ask("ana", f"session stop {session}")
        await self.until_told(session, "stopped")

    def on_waha(self, session: str) -> list[str]:
        """What a session of ours is called there."""
        return [one.name for one in self.scene.stage.waha.sessions.all() if f"-{session}-" in one.name]

    def status_on_waha(self, session: str) -> str:
        return self.scene.stage.waha.sessions.known(self.on_waha(session)[0]).status.value


Journey = Callable[[Act], Awaitable[None]]
