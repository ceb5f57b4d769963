"""A gap of twenty minutes on both sides: how long from the reconnect until nothing is missing, and what people read.

    .venv/bin/python -m benchmarks.gap [THREADS ...]

WAHA was away, and so was the bot: in each thread the customer wrote twice and the team answered once, with back-dated
stamps and without a webhook or an event. A message that is already back arrives before the reading begins. The
processes are real, and the simulated Slack enforces its limits. Counted is from the moment when both are back. At the
end the phones and the threads are compared with what was written; the exit code is 1 if anything is missing, there
twice, or in another order.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import psycopg2

from sandbox.slack import Message
from sandbox.stage import Stage
from sandbox.tour import (
    channels_linked,
    code_scanned,
    session_added,
    session_works,
    tenant_created,
    user_added,
)
from sandbox.tour_scene import CUSTOMER, SHOP, Scene
from sandbox.whatsapp import Phone

THREADS = (20, 200)
TARGET_THREADS, TARGET_SECONDS = 20, 60.0
OPENING = (tenant_created, user_added, channels_linked, session_added, code_scanned, session_works)
CHANNEL = "support"
GAP = timedelta(minutes=20)
LIMIT_SECONDS = 1_800.0

# As if all had been there for an hour, and had last been read when the gap began; what is being read just now, before
# anything back-dated stands there, has no last word.
AGE = """
    UPDATE session_checks SET observed_at = observed_at - interval '1 hour';
    UPDATE channel_routes SET created_at = created_at - interval '1 hour';
    UPDATE catch_ups SET begins_at = begins_at - interval '1 hour', requested_at = NULL, caught_up_to = now() - %s,
        lease_token = NULL, lease_expires_at = NULL;
"""
CAUGHT_UP = "SELECT bool_and(coalesce(caught_up_to >= coalesce(requested_at, caught_up_to), false)) FROM catch_ups"


@dataclass
class Thread:
    """A customer, and the thread in which they are seen."""

    customer: Phone
    root: Message

    def texts(self, stage: Stage) -> list[str]:
        return [reply.text for reply in stage.slack.thread(CHANNEL, self.root.ts)[1:]]

    def on_phone(self, shop: Phone) -> list[str]:
        return [shown.text for shown in self.customer.chat_with(shop) if shown.direction == "in"]


@dataclass
class Closed:
    """Seconds from the reconnect until everything was there, on each side."""

    replies: float = 0.0
    messages: float = 0.0
    settled: float = 0.0


async def measure(directory: Path, count: int) -> tuple[Closed, list[str], list[str]]:
    """The times, what was wrong, and one thread as people see it."""
    async with Stage(directory) as stage:
        _pace(stage, is_on=False)
        await stage.start()
        threads = await _opened(stage, count)
        await stage.bot.stop()
        await stage.daemon.stop()
        _pace(stage, is_on=True)
        await stage.daemon.start()
        await stage.bot.start()
        await stage.until_ready()
        await stage.until(lambda: _ask(stage, CAUGHT_UP) == (True,), "the first reading", 120)
        stage.slack.rate_limits.enforced = True
        await _away(stage, threads)
        closed = await _back(stage, threads)
        return closed, _wrong(stage, threads), threads[0].texts(stage)


async def _opened(stage: Stage, count: int) -> list[Thread]:
    scene = Scene(stage, stage.whatsapp.phone(SHOP, name="Acme"), stage.whatsapp.phone(CUSTOMER))
    for step in OPENING:
        await step(scene)
    customers = [stage.whatsapp.phone(f"+4915220{number:06}", name=f"Customer {number}") for number in range(count)]
    for customer in customers:
        await customer.write(f"before the gap, {customer.number}", to=SHOP)
    await stage.until(lambda: len(stage.slack.roots(CHANNEL)) >= count, "all threads", 120)

    def found() -> dict[str, Message]:
        threads = [(root, stage.slack.thread(CHANNEL, root.ts)[1:]) for root in stage.slack.roots(CHANNEL)]
        return {replies[0].text.rpartition(" ")[2]: root for root, replies in threads if replies}

    roots = await stage.until(lambda: found() if len(found()) >= count else None, "all first messages", 120)
    return [Thread(customer, roots[customer.number]) for customer in customers]


async def _away(stage: Stage, threads: list[Thread]) -> None:
    """What nobody took: webhooks are lost, and the bot is not there."""
    await stage.bot.kill()
    stage.waha.webhook_faults.lose("message*")
    now = datetime.now(UTC)
    for index, thread in enumerate(threads):
        first = now - GAP + timedelta(seconds=30 + index)
        await thread.customer.write("missed 1", to=SHOP, at=first)
        ago = (GAP / 2).total_seconds() - index
        stage.slack.say("ana", CHANNEL, "answer nobody heard", thread.root.ts, seconds_ago=ago, heard=False)
        await thread.customer.write("missed 2", to=SHOP, at=now - timedelta(minutes=3))
    await stage.waha.go_down()
    await stage.until(lambda: _ask(stage, "SELECT state FROM waha_servers") == ("down",), "WAHA to be missed", 30)
    _ask(stage, AGE, GAP)


async def _back(stage: Stage, threads: list[Thread]) -> Closed:
    stage.waha.webhook_faults.heal()
    await stage.waha.come_back()
    await stage.bot.start()
    began = time.monotonic()
    shop = stage.whatsapp.phone(SHOP)
    await stage.until(lambda: stage.waha.sessions.all()[0].status.value == "WORKING", "the session", 30)
    await threads[0].customer.write("already back", to=SHOP)
    closed = Closed()
    while not (closed.replies and closed.messages):
        passed = time.monotonic() - began
        if not closed.replies and all("answer nobody heard" in thread.on_phone(shop) for thread in threads):
            closed.replies = passed
        if not closed.messages and all(any("missed 2" in text for text in one.texts(stage)) for one in threads):
            closed.messages = passed
        if passed > LIMIT_SECONDS:
            break
        await asyncio.sleep(0.25)
    await stage.until(lambda: _ask(stage, CAUGHT_UP) == (True,), "the reading to end", LIMIT_SECONDS)
    await stage.until(lambda: _ask(stage, WAITING) == (0,), "the last post", LIMIT_SECONDS)
    closed.settled = time.monotonic() - began
    return closed


WAITING = (
    "SELECT (SELECT count(*) FROM webhook_events WHERE processed_at IS NULL) + (SELECT count(*) FROM slack_events "
    "WHERE processed_at IS NULL) + (SELECT count(*) FROM slack_posts WHERE posted_at IS NULL AND kind <> 'react')"
)


def _wrong(stage: Stage, threads: list[Thread]) -> list[str]:
    shop, wrong = stage.whatsapp.phone(SHOP), []
    for thread in threads:
        texts, phone = thread.texts(stage), thread.on_phone(shop)
        places = [place for place, text in enumerate(texts) if text.endswith(("missed 1", "missed 2"))]
        shown = [texts[place].rpartition(": ")[2] for place in places]
        dividers = [place for place, text in enumerate(texts) if "2 messages recovered" in text]
        if shown != ["missed 1", "missed 2"] or len(dividers) != 1 or dividers[0] != places[0]:
            wrong.append(f"{thread.customer.number} in Slack: {texts}")
        if phone != ["answer nobody heard"]:
            wrong.append(f"{thread.customer.number} on the phone: {phone}")
    return wrong


def _ask(stage: Stage, statement: str, *parameters: object) -> tuple[object, ...] | None:
    with closing(
        psycopg2.connect(host=str(stage.directory / "postgres"), dbname="switchboard", user="postgres")
    ) as asked:
        asked.autocommit = True
        with asked.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchone() if cursor.description else None


def _pace(stage: Stage, *, is_on: bool) -> None:
    """Opening two hundred threads at Slack's pace would take minutes of nothing."""
    config = stage.directory / "config.toml"
    text = re.sub(r"^pacing = .*\n", "", config.read_text(), flags=re.MULTILINE)
    text = re.sub(r"^catch_up_minutes = .*\n", "", text, flags=re.MULTILINE)
    text = text.replace("[slack]\n", f"[slack]\npacing = {str(is_on).lower()}\n")
    config.write_text(text.replace("[daemon]\n", "[daemon]\ncatch_up_minutes = 600\n"))


@click.command()
@click.argument("threads", type=int, nargs=-1)
def main(threads: tuple[int, ...]) -> None:
    """Measure gaps with so many changed threads."""
    failed = False
    for count in threads or THREADS:
        with tempfile.TemporaryDirectory(prefix="switchboard-gap-") as directory:
            closed, wrong, thread = asyncio.run(measure(Path(directory), count))
        seconds = max(closed.replies, closed.messages)
        click.echo(
            f"{count} threads: closed after {seconds:.1f} s (replies on the phones {closed.replies:.1f} s, messages in "
            f"Slack {closed.messages:.1f} s), last post and reading {closed.settled:.1f} s; wrong: {len(wrong)}"
        )
        click.echo("\n".join(f"    {text}" for text in [*thread, *wrong[:3]]))
        failed |= bool(wrong) or (count <= TARGET_THREADS and seconds > TARGET_SECONDS)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
