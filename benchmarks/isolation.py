"""One channel that Slack limits, one session whose WAHA is silent: how much longer everybody else waits meanwhile.

    .venv/bin/python -m benchmarks.isolation [--what together|limited|silent]

The processes are real; the simulated Slack and WAHA and the load share the machine with them, and pacing is off. Each
pair is a time without trouble and one with it, right after each other. Measured is from where a message was written to
where it stands, as the simulators saw it, over all conversations that are not struck. The exit code is 1 if the median
pair is slower by more than a tenth and by more than 10 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from sandbox.qr_image import qr_value
from sandbox.slack import Wait
from sandbox.stage import OPERATOR, Stage
from sandbox.waha.session import Status
from sandbox.whatsapp import Phone

SESSIONS = ("north", "east", "south", "west")
LIMITED, SILENT = SESSIONS[:2]
TOLERATED_SECONDS, TOLERATED_PART = 0.010, 0.10


@dataclass
class Talk:
    """A customer and a session, with a thread in the session's channel."""

    session: str
    customer: Phone
    shop: Phone
    thread_ts: str = ""


@dataclass(frozen=True)
class Offer:
    talk: Talk
    tag: str
    at: float


@dataclass(frozen=True)
class Pair:
    """Seconds that messages took without trouble and with it."""

    before: list[float]
    during: list[float]

    @property
    def slower_by(self) -> float:
        return p99(self.during) - p99(self.before)


class Load:
    """Customers and agents write in turns, so many messages a second in all, each with a tag of its own."""

    def __init__(self, stage: Stage, talks: list[Talk], rate: float) -> None:
        self._stage = stage
        self._talks = talks
        self._rate = rate
        self._number = 0

    async def run(self, seconds: float) -> list[Offer]:
        offers = []
        due = time.time()
        for _ in range(int(seconds * self._rate)):
            offers.append(await self._write())
            due += 1 / self._rate
            await asyncio.sleep(max(0.0, due - time.time()))
        return offers

    async def _write(self) -> Offer:
        self._number += 1
        turn, is_reply = divmod(self._number, 2)
        talk = self._talks[turn % len(self._talks)]
        offer = Offer(talk, f"{'out' if is_reply else 'in'}-{self._number:06}", time.time())
        if is_reply:
            self._stage.slack.say("ana", talk.session, offer.tag, talk.thread_ts)
        else:
            await talk.customer.write(offer.tag, to=talk.shop)
        return offer

    async def arrived(self, offers: list[Offer]) -> dict[str, float]:
        """When each of them came to stand where it belongs, by its tag.

        Raises:
            ProcessFailed: some did not come within five minutes.
        """
        found: dict[str, float] = {}

        def everything() -> bool:
            found.update(self._standing())
            return all(offer.tag in found for offer in offers)

        await self._stage.until(everything, "all messages to arrive", 300)
        return found

    def _standing(self) -> dict[str, float]:
        app = self._stage.slack.state.workspace.installation.bot_user
        found = {}
        for session in SESSIONS:
            for message in self._stage.slack.messages(session):
                if message.user == app:
                    found[message.text.split()[-1]] = float(message.ts)
        for talk in self._talks:
            for shown in talk.customer.chat_with(talk.shop):
                if shown.direction == "in":
                    found[shown.text] = shown.message.at.timestamp()
        return found


@contextlib.contextmanager
def channel_limited(stage: Stage) -> Iterator[None]:
    fault = stage.slack.fail("chat.postMessage", status=429, retry_after=5, channel=LIMITED, times=None)
    try:
        yield
    finally:
        stage.slack.faults.heal(fault.number)


@contextlib.contextmanager
def session_silent(stage: Stage) -> Iterator[None]:
    session = stage.waha.sessions.all()[SESSIONS.index(SILENT)]
    fault = stage.waha.faults.hang(session=session.name)
    try:
        yield
    finally:
        fault.heal()


@contextlib.contextmanager
def both(stage: Stage) -> Iterator[None]:
    with channel_limited(stage), session_silent(stage):
        yield


@dataclass(frozen=True)
class Trouble:
    """What is switched on, and the sessions that it strikes."""

    begin: Callable[[Stage], contextlib.AbstractContextManager[None]]
    struck: frozenset[str]


TROUBLES = {
    "together": Trouble(both, frozenset({LIMITED, SILENT})),
    "limited": Trouble(channel_limited, frozenset({LIMITED})),
    "silent": Trouble(session_silent, frozenset({SILENT})),
}


async def measured(stage: Stage, load: Load, what: str, *, pairs: int, seconds: float) -> list[Pair]:
    done = []
    trouble = TROUBLES[what]
    for number in range(pairs):
        before = await load.run(seconds)
        with trouble.begin(stage):
            during = await load.run(seconds)
        arrived = await load.arrived([*before, *during])
        done.append(Pair(_waits(before, arrived, trouble.struck), _waits(during, arrived, trouble.struck)))
        click.echo(f"{what:8} {number + 1:>4}  {_figures(done[-1].before)}  {_figures(done[-1].during)}")
    return done


def _waits(offers: list[Offer], arrived: dict[str, float], struck: frozenset[str]) -> list[float]:
    return [arrived[offer.tag] - offer.at for offer in offers if offer.talk.session not in struck]


def p99(waits: list[float]) -> float:
    return statistics.quantiles(waits, n=100)[98]


def _figures(waits: list[float]) -> str:
    return f"p50 {statistics.median(waits) * 1000:6.0f} ms  p99 {p99(waits) * 1000:6.0f} ms"


def is_isolated(what: str, pairs: list[Pair]) -> bool:
    slower = statistics.median(pair.slower_by for pair in pairs)
    usual = statistics.median(p99(pair.before) for pair in pairs)
    tolerated = max(TOLERATED_SECONDS, TOLERATED_PART * usual)
    verdict = "holds" if slower <= tolerated else "does not hold"
    click.echo(f"{what:8} p99 of the others: median {slower * 1000:+.0f} ms, {tolerated * 1000:.0f} allowed: {verdict}")
    return slower <= tolerated


async def furnished(stage: Stage, customers: int) -> list[Talk]:
    """A tenant, a session with a channel each, and a thread for every conversation."""
    await _ask(stage, OPERATOR, "/wa tenant create Acme", "Acme")
    await _ask(stage, OPERATOR, "/wa user add @ana TENANT_ADMIN --tenant Acme", "TENANT_ADMIN")
    await _ask(stage, "ana", "/wa channel link --for alerts", "alerts", channel="alerts")
    shops = {session: await _opened(stage, session, number) for number, session in enumerate(SESSIONS)}
    talks = []
    for number in range(customers * len(SESSIONS)):
        session = SESSIONS[number % len(SESSIONS)]
        customer = stage.whatsapp.phone(f"+49151{10_000_000 + number}", name=f"Customer {number:03}")
        talks.append(Talk(session, customer, shops[session]))
        await customer.write("hello", to=shops[session])
    for talk in talks:
        talk.thread_ts = await stage.until(lambda talk=talk: _thread(stage, talk), "the threads", 60)  # type: ignore[misc]
    return talks


async def _opened(stage: Stage, session: str, number: int) -> Phone:
    shop = stage.whatsapp.phone(f"+4930{900_000 + number}", name=f"Shop {session}")
    stage.slack.add_channel(session)
    await _ask(stage, "ana", f"/wa session add {session}", session, channel=session)
    await _ask(stage, "ana", f"/wa channel link --session {session}", "conversations", channel=session)
    await stage.until(lambda: len(stage.waha.sessions.all()) == number + 1, "the session on WAHA")
    before = _pictures(stage)
    await _ask(stage, "ana", f"/wa session qr {session}", "direct message", channel=session)
    await stage.until(lambda: [one for one in _pictures(stage) if one not in before], "the QR code")
    with tempfile.NamedTemporaryFile(suffix=".png") as picture:
        picture.write(_pictures(stage)[-1])
        picture.flush()
        await shop.scan(qr_value(picture.name))
    paired = stage.waha.sessions.all()[-1]
    await stage.until(lambda: paired.status is Status.WORKING, "the session to work", 40)
    return shop


async def _ask(stage: Stage, user: str, line: str, expect: str, *, channel: str = "support") -> None:
    wait = Wait(seconds=15, until=lambda answer: expect in answer.text or answer.error is not None)
    await stage.slack.command(user, channel, line, wait=wait)


def _pictures(stage: Stage) -> list[bytes]:
    return stage.slack.pictures("ana")


def _thread(stage: Stage, talk: Talk) -> str:
    for root in stage.slack.roots(talk.session):
        if str(talk.customer.name) in root.text and stage.slack.thread(talk.session, root.ts)[1:]:
            return root.ts
    return ""


async def main(directory: Path, what: str, *, pairs: int, seconds: float, rate: float, customers: int) -> bool:
    async with Stage(directory) as stage:
        config = directory / "config.toml"
        config.write_text(config.read_text().replace("[slack]", "[slack]\npacing = false"))
        await stage.start()
        load = Load(stage, await furnished(stage, customers), rate)
        await load.arrived(await load.run(5))
        click.echo(f"{'':8} pair  {'without trouble':29}  with it, all others")
        done = await measured(stage, load, what, pairs=pairs, seconds=seconds)
    return is_isolated(what, done)


@click.command(help=__doc__)
@click.option("--what", type=click.Choice([*TROUBLES]), default="together", show_default=True)
@click.option("--pairs", default=5, show_default=True)
@click.option("--seconds", default=60.0, show_default=True, help="How long each half of a pair lasts.")
@click.option("--rate", default=20.0, show_default=True, help="Messages a second, both ways together.")
@click.option("--customers", default=10, show_default=True, help="Of each of four sessions.")
def command(what: str, pairs: int, seconds: float, rate: float, customers: int) -> None:
    with tempfile.TemporaryDirectory(prefix="switchboard-isolation-") as directory:
        Path(directory).chmod(0o711)
        run = main(Path(directory), what, pairs=pairs, seconds=seconds, rate=rate, customers=customers)
        sys.exit(0 if asyncio.run(run) else 1)


if __name__ == "__main__":
    command()
