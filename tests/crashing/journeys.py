"""What people do while a process dies, and what has to stand at the far ends afterwards.

A journey prepares, calls `act.begin()`, does its one thing, waits for the far end, calls `act.over()` and looks again:
only then the process has died and its successor has done what it would do. A new function here is a new journey.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sandbox.slack import Message, Wait
from sandbox.whatsapp import Phone
from tests.acceptance.acting import Scene, Team
from tests.crashing.supervised import Theatre

DELIVERED, READ, FAILED = "white_check_mark", "eyes", "x"


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
        await self.scene.stage.until(condition, what, 30)

    async def until_row(self, sql: str, what: str) -> None:
        await self.until(lambda: self.scene.rows(sql)[0][0], what)

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
        is_enough = Wait(20, until=lambda answer: bool(answer.messages) or answer.error is not None)
        answer = await self.scene.stage.slack.command(user, channel, f"/wa {line}", is_enough)
        if answer.error is not None:
            await self.over()
            if self.commands_kept() == kept:
                await self.scene.ask(user, line, channel=channel, expect=expect)
        await self.until(lambda: self.told(user, expect) > before, f"the answer to {line!r}, not {answer.text!r}")

    async def see_answered(self, user: str, expect: str, before: int) -> None:
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


Journey = Callable[[Act], Awaitable[None]]


async def nothing_happens(act: Act) -> None:
    """What both processes do all the time; afterwards they still do their work."""
    act.begin()
    await asyncio.sleep(3)
    await act.over()

    await act.scene.written(act.cast.acme, act.customer(), act.text("Anybody there?"))


async def the_daemon_starts(act: Act) -> None:
    act.begin()
    act.theatre.lives["daemon"].kill()
    await act.over()

    await act.scene.written(act.cast.acme, act.customer(), act.text("Back again?"))


async def the_bot_starts(act: Act) -> None:
    act.begin()
    act.theatre.lives["bot"].kill()
    await act.over()

    await act.scene.ask("ana", "session list", expect=act.cast.acme.session)


async def a_customer_writes(act: Act) -> None:
    team, customer = act.cast.acme, act.customer()
    first, second = act.text("Hello"), act.text("Still there?")

    act.begin()
    await customer.write(first, to=team.phone)
    await act.until_kept("webhook_events", first)
    await customer.write(second, to=team.phone)
    await act.until(lambda: act.texts_in("support", second), "the second message")
    await act.over()

    assert act.texts_in("support", f"({act.number})") == [first, second]
    root = act.scene.root_of(team, first)
    assert root is not None
    assert root is act.scene.root_of(team, second)


async def an_agent_replies(act: Act) -> None:
    team, customer = act.cast.acme, act.customer()
    root = await act.scene.written(team, customer, act.text("When do you close?"))
    first, second = act.text("At six"), act.text("On Sundays at four")

    act.begin()
    said = [act.scene.reply(team, root, first)]
    await act.until_kept("slack_events", first)
    said.append(act.scene.reply(team, root, second))
    await _until_shown(act, said, DELIVERED)
    await act.over()

    assert act.received(customer, team) == [first, second]
    assert [list(one.reactions) for one in said] == [[DELIVERED], [DELIVERED]]


async def a_customer_reads(act: Act) -> None:
    team, customer = act.cast.acme, act.customer()
    root = await act.scene.written(team, customer, act.text("Is it ready?"))
    said = act.scene.reply(team, root, act.text("It is"))
    await _until_shown(act, [said], DELIVERED)

    act.begin()
    await customer.read()
    await _until_shown(act, [said], READ)
    await act.over()

    assert list(said.reactions) == [READ]


async def a_reply_is_refused(act: Act) -> None:
    team, customer = act.cast.acme, act.customer()
    root = await act.scene.written(team, customer, act.text("Can you hear me?"))
    waha = act.scene.stage.waha
    waha.answer(
        "/api/sendText", status=400, body={"statusCode": 400, "message": "no such chat", "error": "Bad Request"}
    )

    act.begin()
    said = act.scene.reply(team, root, act.text("Loud and clear"))
    await _until_shown(act, [said], FAILED)
    await act.over()
    waha.answer_normally()

    assert list(said.reactions) == [FAILED]
    assert act.received(customer, team) == []
    thread = act.scene.stage.slack.thread("support", root.ts)
    assert sum("no such chat" in one.text for one in thread) == 1


async def a_reply_whose_outcome_is_unknown(act: Act) -> None:
    team, customer = act.cast.acme, act.customer()
    root = await act.scene.written(team, customer, act.text("Where are you?"))
    text = act.text("In the yard")
    act.scene.stage.waha.hang_up("/api/sendText", times=1, carried_out=True)

    act.begin()
    said = act.scene.reply(team, root, text)
    await _until_shown(act, [said], DELIVERED)
    await act.over()
    act.scene.stage.waha.answer_normally()

    assert act.received(customer, team) == [text]
    assert list(said.reactions) == [DELIVERED]


async def a_post_whose_outcome_is_unknown(act: Act) -> None:
    team, customer, slack = act.cast.acme, act.customer(), act.scene.stage.slack
    await act.scene.written(team, customer, act.text("One"))
    lost, after = act.text("Two"), act.text("Three")
    slack.fail("chat.postMessage", drop_after_storing=True, when=lambda call: lost in str(call))

    act.begin()
    await customer.write(lost, to=team.phone)
    await act.until_kept("webhook_events", lost)
    await customer.write(after, to=team.phone)
    await act.until(lambda: act.texts_in("support", after), "the message after it")
    await act.over()
    slack.heal()

    assert act.texts_in("support", f"({act.number})") == [act.text("One"), lost, after]


async def a_command_writes_first(act: Act) -> None:
    team, customer = act.cast.acme, act.customer()
    text, before = act.text("Your order is ready"), act.told("ana", "Queued for")

    act.begin()
    await act.ask("ana", f"send --session {team.session} +{customer.number} {text}", "Queued for")
    await act.until(lambda: act.received(customer, team), "the message on the phone")
    await act.until(lambda: act.texts_in("support", text), "the message in Slack")
    await act.over()

    assert act.received(customer, team) == [text]
    [shown] = act.scene.in_channel("support", text)
    await _until_shown(act, [shown], DELIVERED)
    await act.see_answered("ana", "Queued for", before)


async def a_session_is_added(act: Act) -> None:
    name, waha = f"new-{act.number}", act.scene.stage.waha
    before = act.told("ana", f"`{name}`")

    act.begin()
    await act.ask("ana", f"session add {name}", f"`{name}`")
    await act.until(lambda: _on_waha(act, name), "the session on WAHA")
    await act.until_row(f"SELECT status = 'scan_qr' FROM waha_sessions WHERE name = '{name}'", "its code")  # noqa: S608
    await act.over()

    assert len(_on_waha(act, name)) == 1
    assert act.scene.rows(f"SELECT count(*) FROM waha_sessions WHERE name = '{name}'") == [(1,)]  # noqa: S608
    await act.see_answered("ana", f"`{name}`", before)
    await act.scene.ask("ana", f"session stop {name}")
    await act.until(lambda: waha.sessions.known(_on_waha(act, name)[0]).status == "STOPPED", "the session to stop")


async def a_session_is_stopped(act: Act) -> None:
    name = act.cast.unpaired
    await _started(act)
    before = act.told("ana", f"`{name}`")

    act.begin()
    await act.ask("ana", f"session stop {name}", f"`{name}`")
    await act.until_row(f"SELECT status = 'stopped' FROM waha_sessions WHERE name = '{name}'", "the stop")  # noqa: S608
    await act.over()

    assert act.scene.stage.waha.sessions.known(_on_waha(act, name)[0]).status == "STOPPED"
    await act.see_answered("ana", f"`{name}`", before)


async def a_code_is_asked_for(act: Act) -> None:
    slack = act.scene.stage.slack
    await _started(act)
    before, answered = _pictures(act), act.told("ana", "direct message")

    act.begin()
    await act.ask("ana", f"session qr {act.cast.unpaired}", "direct message")
    await act.until(lambda: _pictures(act) > before, "the code in a direct message")
    await act.over()

    assert _pictures(act) == before + 1
    assert not [one for one in slack.messages("support") if one.files]
    await act.see_answered("ana", "direct message", answered)
    await act.scene.ask("ana", f"session stop {act.cast.unpaired}")


async def a_report_is_asked_for(act: Act) -> None:
    before, answered = len(act.scene.in_channel("reports", "Health report")), act.told("ana", "report")

    act.begin()
    await act.ask("ana", "report now", "report")
    await act.until(lambda: len(act.scene.in_channel("reports", "Health report")) > before, "the report")
    await act.over()

    assert len(act.scene.in_channel("reports", "Health report")) == before + 1
    await act.see_answered("ana", "report", answered)


async def a_channel_is_linked_late(act: Act) -> None:
    team, customer = act.cast.later, act.customer()
    await act.scene.ask(team.admin, "channel unlink", channel=team.channel)
    texts = [act.text("First"), act.text("Second")]
    for text in texts:
        await customer.write(text, to=team.phone)
        await act.until_row(
            f"SELECT count(*) FROM messages WHERE body = '{text}' AND hold_reason = 'no channel'",  # noqa: S608
            "the message without a channel",
        )
    answered = act.told(team.admin, "waited for a channel")

    act.begin()
    await act.ask(team.admin, "channel link", "waited for a channel", channel=team.channel)
    await act.until(lambda: act.texts_in(team.channel, texts[-1]), "what was held")
    await act.over()

    assert act.texts_in(team.channel, f"({act.number})") == texts
    await act.see_answered(team.admin, "waited for a channel", answered)


JOURNEYS: tuple[Journey, ...] = (
    nothing_happens,
    the_daemon_starts,
    the_bot_starts,
    a_customer_writes,
    an_agent_replies,
    a_customer_reads,
    a_reply_is_refused,
    a_reply_whose_outcome_is_unknown,
    a_post_whose_outcome_is_unknown,
    a_command_writes_first,
    a_session_is_added,
    a_session_is_stopped,
    a_code_is_asked_for,
    a_report_is_asked_for,
    a_channel_is_linked_late,
)


async def _until_shown(act: Act, said: list[Message], receipt: str) -> None:
    await act.until(lambda: all(list(one.reactions) == [receipt] for one in said), f"{receipt} on what was said")


async def _started(act: Act) -> None:
    name = act.cast.unpaired
    await act.scene.ask("ana", f"session start {name}")
    await act.until_row(f"SELECT status = 'scan_qr' FROM waha_sessions WHERE name = '{name}'", "the code")  # noqa: S608
    await act.theatre.settled()


def _on_waha(act: Act, name: str) -> list[str]:
    return [one.name for one in act.scene.stage.waha.sessions.all() if f"-{name}-" in one.name]


def _pictures(act: Act) -> int:
    return sum(len(one.files) for one in act.scene.stage.slack.direct_messages("ana"))
