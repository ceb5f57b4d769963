"""A whole run: open, load, shake, heal, wait, compare, report."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import shutil
import time
from dataclasses import dataclass

import click
import psycopg2

from sandbox.chaos import logs, opening, persons, rows, schedule, seen
from sandbox.chaos.comparison import Tally, Verdict, compare
from sandbox.chaos.havoc import Havoc
from sandbox.chaos.house import LEASE_MARGIN_SECONDS, House
from sandbox.chaos.ledger import Ledger
from sandbox.chaos.load import Load
from sandbox.chaos.logs import Told
from sandbox.chaos.opening import Conversation
from sandbox.chaos.options import Options
from sandbox.chaos.pulse import Pulse
from sandbox.chaos.timeline import timeline

GREEN, RED, VOID = 0, 1, 2
TIMELINES = 3
_PROGRESS_EVERY = 10.0
# When nothing moved for so long although something is open, nothing will.
_STUCK_AFTER = 60.0
_LONGEST_WAIT = 600.0
_QUIET_FOR = 3.0


@dataclass
class Course:
    """What belongs to one run."""

    house: House
    conversations: list[Conversation]
    ledger: Ledger
    havoc: Havoc
    load: Load
    pulse: Pulse


async def run(options: Options) -> int:
    """Play a run; the code to exit with."""
    shutil.rmtree(options.directory, ignore_errors=True)
    started = time.monotonic()
    async with House(options) as house, Pulse() as pulse:
        await house.start()
        _say(f"processes are up after {time.monotonic() - started:.1f} s; logs in {house.directory}")
        conversations = await opening.furnish(house)
        _say(f"{len(conversations)} conversations stand after {time.monotonic() - started:.1f} s; the load begins")
        ledger = Ledger()
        course = Course(house, conversations, ledger, Havoc(house), Load(house, conversations, ledger), pulse)
        await _shake(course)
        await _settle(course)
        if clicks := await persons.decide(house, conversations):
            _say(f"a person was asked, looked at the phone and clicked, {clicks} times")
            await _settle(course)
        verdict, told = _judge(course)
        return _report(course, verdict, told)


async def _shake(course: Course) -> None:
    began, options = time.monotonic(), course.house.options
    planned = schedule.freezes() if options.freezes else schedule.faults(options.seed)
    faults = asyncio.create_task(course.havoc.run(planned))
    progress = asyncio.create_task(_show_progress(course))
    try:
        await course.load.run()
    finally:
        for task in (faults, progress):
            task.cancel()
        await asyncio.gather(faults, progress, return_exceptions=True)
        await course.havoc.heal()
        _say(f"healed after {time.monotonic() - began:.0f} s: {_state(course)}")
    seconds = time.monotonic() - began
    offered = len(course.ledger.acknowledged("in")) + len(course.ledger.acknowledged("out"))
    _say(f"{offered} messages were taken in {seconds:.0f} s: {offered / seconds:.1f} a second both ways together")


async def _show_progress(course: Course) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(_PROGRESS_EVERY)
        _say(f"{time.monotonic() - began:4.0f} s  {_state(course)}")


def _state(course: Course) -> str:
    course.load.look()
    arrived, ledger = course.load.progress, course.ledger
    try:
        waiting = "waiting: webhooks {} events {} messages {} posts {}".format(*rows.still_open(course.house.postgres))
    except psycopg2.Error:
        waiting = "PostgreSQL is away"
    return (
        f"in {arrived.inbound} of {len(ledger.of('in'))}  out {arrived.outbound} of {len(ledger.of('out'))}  "
        f"kills {course.havoc.kills} faults {len(course.havoc.struck) - course.havoc.kills}  {waiting}"
    )


async def _settle(course: Course) -> None:
    """Wait until nothing moves any more, within bounds."""
    house, began = course.house, time.monotonic()
    last, moved_at = None, time.monotonic()
    progress = asyncio.create_task(_show_progress(course))
    while time.monotonic() - began < _LONGEST_WAIT:
        await asyncio.sleep(0.5)
        house.check()
        course.ledger.gather(house)
        with contextlib.suppress(psycopg2.Error):
            waiting = rows.still_open(house.postgres)
            state = (waiting, course.ledger.webhooks, course.ledger.events)
            if state != last:
                last, moved_at = state, time.monotonic()
            if not any(waiting) and house.is_ready and _is_quiet(course):
                break
            if time.monotonic() - moved_at > _STUCK_AFTER:
                break
    progress.cancel()
    _say(f"settled after {time.monotonic() - began:.0f} s: {_state(course)}")


def _is_quiet(course: Course) -> bool:
    house = course.house
    posting = any(waha.journal.webhooks for waha in house.wahas.values())
    return not posting and not house.slack.state.events.deliveries


def _judge(course: Course) -> tuple[Verdict, Told]:
    house = course.house
    found = seen.look(house, course.conversations)
    kept = rows.read(house.postgres)
    evidence = {"inbound": found.inbound, "outbound": found.outbound, "positions": kept.positions}
    (house.directory / "evidence.json").write_text(json.dumps(evidence, indent=1))
    return compare(course.ledger.offers.values(), found, kept), logs.read(house.logs)


def _report(course: Course, verdict: Verdict, told: Told) -> int:
    options, havoc = course.house.options, course.havoc
    for way, tally in (("inbound", verdict.inbound), ("outbound", verdict.outbound)):
        _say_wrong(way, tally)
    ends = [end for one in course.house.processes.values() for end in one.ends]
    if verdict.second_threads:
        _say(f"customers with a second thread: {', '.join(verdict.second_threads)}")
    for tag in _worst(verdict)[:TIMELINES]:
        _say("\n" + timeline(tag, course.ledger, course.house.postgres, havoc.struck, ends))
    for end in (end for one in course.house.processes.values() for end in one.unasked):
        _say(f"{end.process} ended by itself with {end.code}")
    for event, count in told.errors.most_common(10):
        _say(f"logged as an error {count} times: {event}")
    _say(f"the simulators stood still for {course.pulse.longest:.1f} s at most; leases leave {LEASE_MARGIN_SECONDS} s")
    if not verdict.is_clean and course.pulse.longest > LEASE_MARGIN_SECONDS:
        _say("this machine is too busy: what a simulator does that late, no lease can exclude. Run it alone.")
    faults = len(havoc.struck) - havoc.kills
    is_void = havoc.kills < options.kills_needed or told.unknown < options.unknown_needed
    if verdict.is_clean and is_void:
        _say(f"void: at least {options.kills_needed} kills and {options.unknown_needed} unknown outcomes are needed")
    _say(
        f"chaos: inbound {verdict.inbound} late {verdict.late} · outbound {verdict.outbound} · "
        f"webjs asked {len(verdict.asked)} · kills {havoc.kills} faults {faults} unknown {told.unknown} "
        f"looked-up {told.looked_up}"
    )
    if not verdict.is_clean:
        return RED
    return VOID if is_void else GREEN


def _worst(verdict: Verdict) -> list[str]:
    """One message of every kind of wrong first."""
    kinds = [kind for tally in (verdict.inbound, verdict.outbound) for kind in tally.kinds.values()]
    mixed = itertools.chain.from_iterable(itertools.zip_longest(*kinds))
    return [tag for tag in dict.fromkeys(mixed) if tag is not None]


def _say_wrong(way: str, tally: Tally) -> None:
    for what, tags in tally.kinds.items():
        if tags:
            shown = ", ".join(tags[:12]) + (" …" if len(tags) > 12 else "")  # noqa: PLR2004 - as many as fit a line
            _say(f"{way} {what}: {shown}")


def _say(words: str) -> None:
    click.echo(words)
