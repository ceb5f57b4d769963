"""Journeys without trouble: customers and agents write, processes start and stop."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime

from tests.crashing.act import DELIVERED, READ, Act


async def nothing_happens(act: Act) -> None:
    """What both processes do all the time; afterwards they still do their work."""
    act.begin()
    await asyncio.sleep(3)
    await act.over()

    await act.scene.written(act.cast.acme, act.customer(), act.text("Anybody there?"))


async def the_daemon_starts(act: Act) -> None:
    act.begin()
    await act.theatre.lives["daemon"].end(signal.SIGKILL)
    await act.over()

    await act.scene.written(act.cast.acme, act.customer(), act.text("Back again?"))


async def the_bot_starts(act: Act) -> None:
    act.begin()
    await act.theatre.lives["bot"].end(signal.SIGKILL)
    await act.over()

    await act.scene.ask("ana", "session list", expect=act.cast.acme.session)


async def the_daemon_stops(act: Act) -> None:
    """Told to, while a reply is on its way."""
    team, customer, text = act.cast.acme, act.customer(), act.text("Until seven")
    root = await act.scene.written(team, customer, act.text("How long are you there?"))

    act.begin()
    said = act.scene.reply(team, root, text)
    await act.until_kept("slack_events", text)
    await act.theatre.lives["daemon"].end(signal.SIGTERM)
    await act.until_shown(DELIVERED, said)
    await act.over()

    assert act.received(customer, team) == [text]


async def the_daemon_catches_up(act: Act) -> None:
    """What a customer and an agent wrote, and what became of a reply, while nobody told us of it."""
    team, customer, stage = act.cast.acme, act.customer(), act.scene.stage
    root = await act.scene.written(team, customer, act.text("Are you open?"))
    told, missed, unheard = act.text("From eight"), act.text("Hello?"), act.text("We are")
    stage.waha.webhook_faults.lose("message.ack", session=team.waha_session)
    read = act.scene.reply(team, root, told)
    await act.until_row(f"SELECT status = 'sent' FROM messages WHERE body = '{told}'", "the reply to leave")  # noqa: S608
    await customer.read()
    await act.theatre.settled()

    act.begin()
    stage.waha.webhook_faults.lose("message*", session=team.waha_session)
    await customer.write(missed, to=team.phone)
    said = stage.slack.say(team.admin, team.channel, unheard, root.ts, heard=False)
    stage.waha.heal()
    await act.theatre.lives["daemon"].end(signal.SIGKILL)
    await act.until(lambda: act.texts_in("support", missed), "what the customer wrote")
    await act.until_shown(DELIVERED, said)
    await act.until_shown(READ, read)
    await act.over()

    assert len(act.texts_in("support", missed)) == 1
    assert act.received(customer, team) == [told, unheard]


async def a_report_is_due(act: Act) -> None:
    """Whoever begins to lead reads the schedules, and finds what came due while nobody led."""
    before = len(act.scene.in_channel("reports", "Health report"))

    act.begin()
    act.scene.rows(
        "INSERT INTO report_schedules (id, tenant_id, name, cron, time_zone, updated_at) "  # noqa: S608 - a number of ours
        f"SELECT gen_random_uuid(), id, 'due-{act.number}', '{datetime.now(UTC):%M %H} * * *', 'UTC', "
        "now() - interval '1 day' FROM tenants WHERE name = 'Acme'"
    )
    await act.theatre.lives["daemon"].end(signal.SIGKILL)
    await act.until(lambda: len(act.scene.in_channel("reports", "Health report")) > before, "the report")
    await act.over()

    assert len(act.scene.in_channel("reports", "Health report")) == before + 1
    act.scene.rows("DELETE FROM report_schedules")


async def a_customer_writes(act: Act) -> None:
    team, customer = act.cast.acme, act.customer()
    first, second = act.text("Hello"), act.text("Still there?")
    roots = len(act.scene.stage.slack.roots("support"))

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
    assert len(act.scene.stage.slack.roots("support")) == roots + 1


async def a_customer_changes_what_was_written(act: Act) -> None:
    team, customer = act.cast.acme, act.customer()
    await act.scene.written(team, customer, act.text("Two, please"))
    written = customer.chat_with(team.phone)[-1]

    act.begin()
    await customer.edit(written.id, act.text("Three, please"))
    await act.until(lambda: _said(act, "edited a message"), "the edition")
    await customer.react(written.id, "👍")
    await customer.revoke(written.id)
    await act.until(lambda: _said(act, "deleted a message"), "the deletion")
    await act.over()

    assert [_said(act, words) for words in ("edited a message", "👍", "deleted a message")] == [1, 1, 1]


def _said(act: Act, words: str) -> int:
    return sum(words in one.text for one in act.scene.in_channel("support", f"({act.number})"))


async def an_agent_replies(act: Act) -> None:
    team, customer = act.cast.acme, act.customer()
    root = await act.scene.written(team, customer, act.text("When do you close?"))
    first, second = act.text("At six"), act.text("On Sundays at four")

    act.begin()
    said = [act.scene.reply(team, root, first)]
    await act.until_kept("slack_events", first)
    said.append(act.scene.reply(team, root, second))
    await act.until_shown(DELIVERED, *said)
    await act.over()

    assert act.received(customer, team) == [first, second]
    assert [list(one.reactions) for one in said] == [[DELIVERED], [DELIVERED]]


async def an_agent_edits_a_reply_that_waits(act: Act) -> None:
    team, customer, stage = act.cast.acme, act.customer(), act.scene.stage
    root = await act.scene.written(team, customer, act.text("What does it cost?"))
    stage.waha.answer("/api/sendText", status=422, body=act.not_ready())
    said = act.scene.reply(team, root, act.text("Nine"))
    await act.until_row(
        f"SELECT hold_reason IS NOT NULL FROM messages WHERE body = '{act.text('Nine')}'",  # noqa: S608
        "the reply to wait",
    )

    act.begin()
    stage.slack.edit(team.admin, said, act.text("Ten"))
    await act.until_row(f"SELECT count(*) FROM messages WHERE body = '{act.text('Ten')}'", "the edition")  # noqa: S608
    stage.waha.answer_normally()
    await act.until_shown(DELIVERED, said)
    await act.over()

    assert act.received(customer, team) == [act.text("Ten")]


async def a_customer_reads(act: Act) -> None:
    team, customer = act.cast.acme, act.customer()
    root = await act.scene.written(team, customer, act.text("Is it ready?"))
    said = act.scene.reply(team, root, act.text("It is"))
    await act.until_shown(DELIVERED, said)

    act.begin()
    await customer.read()
    await act.until_shown(READ, said)
    await act.over()

    assert list(said.reactions) == [READ]
