"""People of several tenants on a stage: what they do, what they see, and what the rows say behind it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.processes import Process, ProcessFailed
from sandbox.slack import Answer, Message, Wait
from sandbox.stage import Stage
from sandbox.whatsapp import Phone, Shown

Query = Callable[[str], list[tuple[Any, ...]]]


@dataclass
class Team:
    """One tenant: an administrator, a channel, a session with its phone."""

    tenant: str
    admin: str
    channel: str
    session: str
    waha_session: str
    phone: Phone


class Scene:
    """A stage and its database; `rows` reads as the superuser."""

    def __init__(self, stage: Stage, rows: Query) -> None:
        self.stage = stage
        self.rows = rows

    async def ask(self, user: str, line: str, *, channel: str = "support", expect: str = "") -> Answer:
        """Type a command and see the expected words."""
        wait = Wait(seconds=15, until=lambda answer: bool(answer.messages) or answer.error is not None)
        answer = await self.stage.slack.command(user, channel, f"/wa {line}", wait)
        assert answer.error is None, f"{line}: {answer.error}"
        assert expect in answer.text, f"{line}: {answer.text}"
        return answer

    async def ask_for_passwords(self, user: str) -> None:
        """Have the person's tenant ask for passwords, which is asked back."""
        question = await self.ask(user, "tenant settings login password", expect="Ask for a password")
        wait = Wait(seconds=15, until=lambda answer: bool(answer.messages) or answer.error is not None)
        answer = await self.stage.slack.click(user, question.messages[-1], "Ask for passwords", wait=wait)
        assert "*login* is `password` now" in answer.text, answer.text

    async def found(self, tenant: str, admin: str, channel: str, number: str) -> Team:
        """A tenant whose session works, ready for customers."""
        stage, session = self.stage, f"sales-{tenant.lower()}"
        await self.ask("olga", f"tenant create {tenant}", expect=tenant)
        await self.ask("olga", f"user add @{admin} TENANT_ADMIN --tenant {tenant}", expect="TENANT_ADMIN")
        await self.ask(admin, f"channel link --tenant {tenant}", channel=channel, expect="conversations")
        await self.ask(admin, f"session add {session}", channel=channel, expect=session)
        [(waha_session,)] = self.rows(f"SELECT external_session_id FROM waha_sessions WHERE name = '{session}'")  # noqa: S608
        await stage.until(lambda: stage.waha.sessions.get(waha_session), "the session on WAHA")
        phone = stage.whatsapp.phone(number, name=tenant)
        await stage.waha.pair(waha_session, phone)
        await self.until_rows(f"SELECT status FROM waha_sessions WHERE name = '{session}'", [("working",)])  # noqa: S608
        return Team(tenant, admin, channel, session, waha_session, phone)

    async def written(self, team: Team, customer: Phone, text: str, seconds: float = 20.0) -> Message:
        """A customer writes; the root of the thread in which it appears."""
        await customer.write(text, to=team.phone)
        return await self.stage.until(lambda: self.root_of(team, text), f"{text!r} in #{team.channel}", seconds)

    def root_of(self, team: Team, text: str) -> Message | None:
        slack = self.stage.slack
        for root in slack.roots(team.channel):
            if any(text in reply.text for reply in slack.thread(team.channel, root.ts)):
                return root
        return None

    def in_channel(self, channel: str, text: str) -> list[Message]:
        return [message for message in self.stage.slack.messages(channel) if text in message.text]

    def reply(self, team: Team, root: Message, text: str) -> Message:
        return self.stage.slack.say(team.admin, team.channel, text, thread_ts=root.ts)

    def on_phone(self, team: Team, customer: Phone, text: str) -> list[Shown]:
        return [one for one in customer.chat_with(team.phone) if one.direction == "in" and one.text == text]

    async def arrives_once(self, team: Team, customer: Phone, text: str, seconds: float = 30.0) -> None:
        await self.stage.until(lambda: self.on_phone(team, customer, text), f"{text!r} on a phone", seconds)
        assert [one.copies for one in self.on_phone(team, customer, text)] == [1]

    async def until_rows(self, sql: str, expected: list[tuple[Any, ...]], seconds: float = 30.0) -> None:
        try:
            await self.stage.until(lambda: self.rows(sql) == expected, f"{sql} to be {expected}", seconds)
        except ProcessFailed as error:
            raise AssertionError(f"{sql} found {self.rows(sql)}, not {expected}\n{error}") from None

    async def until_idle(self, seconds: float = 60.0) -> None:
        """Nothing waits any more: no event, no message, no post."""
        waiting = (
            "SELECT (SELECT count(*) FROM webhook_events WHERE processed_at IS NULL AND parked_at IS NULL), "
            "(SELECT count(*) FROM slack_events WHERE processed_at IS NULL AND parked_at IS NULL), "
            "(SELECT count(*) FROM messages WHERE status = 'queued' AND parked_at IS NULL), "
            "(SELECT count(*) FROM slack_posts WHERE posted_at IS NULL AND parked_at IS NULL AND kind <> 'react')"
        )
        await self.until_rows(waiting, [(0, 0, 0, 0)], seconds)


def set_in(stage: Stage, table: str, **values: str | float | list[str]) -> None:
    """Set keys of a table in the processes' `config.toml`; before they are started."""
    config = stage.directory / "config.toml"
    heading = f"[{table}]"
    lines = config.read_text().splitlines()
    begin = lines.index(heading) + 1
    end = next((place for place in range(begin, len(lines)) if lines[place].startswith("[")), len(lines))
    kept = [line for line in lines[begin:end] if line.partition(" = ")[0] not in values]
    lines[begin:end] = [f"{key} = {json.dumps(value)}" for key, value in values.items()] + kept
    config.write_text("\n".join(lines) + "\n")


def another_daemon(stage: Stage, name: str = "second-daemon") -> Process:
    """A daemon with the stage's settings, on a port of its own; not started."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.upper().startswith("SWITCHBOARD_") and not key.upper().endswith("_PROXY")
    }
    environment |= {
        "SWITCHBOARD_CONFIG": str(stage.directory / "config.toml"),
        "SWITCHBOARD_DAEMON__PORT": "0",
        "PYTHONUNBUFFERED": "1",
    }
    return Process("daemon", environment, stage.directory / f"{name}.log")


async def until_logged(process: Process, words: str, seconds: float = 30.0) -> None:
    """Wait until a line of the process's log has these words."""
    async with asyncio.timeout(seconds):
        while words not in process.last_words(200):  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(0.02)
