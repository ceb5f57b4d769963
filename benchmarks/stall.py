"""PostgreSQL stands still under load: how long Slack waits, what people are told, what becomes of what was written.

    .venv/bin/python -m benchmarks.stall [SECONDS ...]

The processes are real, the simulated Slack and WAHA and the load share the machine with them. Every process of
PostgreSQL is stopped with SIGSTOP, as by a disk that does not answer, and continued. At the end the phones and the
threads are compared with what was written; the exit code is 1 if anything is missing or there twice.
"""

from __future__ import annotations

import asyncio
import collections
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from sandbox.slack import Answer, Wait
from sandbox.slack.delivery import Ack, Envelope, Undelivered
from sandbox.stage import Stage
from sandbox.tour import (
    channels_linked,
    code_scanned,
    customer_writes,
    session_added,
    session_works,
    tenant_created,
    user_added,
)
from sandbox.tour_scene import CUSTOMER, SHOP, Scene

STALLS = (2.0, 10.0)
# What people and customers do meanwhile, a second.
REPLIES, INBOUND, COMMANDS = 5, 20, 1
BEFORE_SECONDS, AFTER_SECONDS = 3.0, 3.0
OPENING = (tenant_created, user_added, channels_linked, session_added, code_scanned, session_works, customer_writes)


@dataclass
class Measured:
    """What Slack saw: seconds until an acknowledgement, by kind, and what it had to send again."""

    acknowledged: dict[str, list[float]] = field(default_factory=lambda: collections.defaultdict(list))
    repeated: int = 0
    told: collections.Counter[str] = field(default_factory=collections.Counter)

    def watch(self, stage: Stage) -> None:
        app = stage.slack.state.app
        send = app.send

        async def watched(envelope: Envelope) -> Ack | Undelivered:
            outcome = await send(envelope)
            if isinstance(outcome, Ack):
                self.acknowledged[envelope.kind].append(outcome.after_seconds)
            else:
                self.repeated += 1
            return outcome

        app.send = watched  # type: ignore[method-assign]


async def stalled(directory: Path, seconds: float) -> bool:
    """One run; True when nothing was lost or doubled."""
    async with Stage(directory) as stage:
        # All of it goes to one channel, where Slack's limit of one post a second would hide what PostgreSQL costs.
        config = directory / "config.toml"
        config.write_text(config.read_text().replace("[slack]", "[slack]\npacing = false"))
        await stage.start()
        whatsapp = stage.whatsapp
        scene = Scene(stage, whatsapp.phone(SHOP, name="Acme"), whatsapp.phone(CUSTOMER, name="Carla"))
        for step in OPENING:
            await step(scene)
        measured = Measured()
        measured.watch(stage)
        sent, written, commands = await _load(scene, stage, seconds)
        for answer in commands:
            first = answer.texts[0].splitlines()[0][:70] if answer.texts else answer.error or "nothing"
            measured.told[first] += 1
        wrong = await _compare(scene, sent, written)
        _say(seconds, measured, len(sent), len(written), wrong)
        return not any(wrong.values())


async def _load(scene: Scene, stage: Stage, seconds: float) -> tuple[list[str], list[str], list[Answer]]:
    sent: list[str] = []
    written: list[str] = []
    asked: list[asyncio.Task[Answer]] = []
    whole = BEFORE_SECONDS + seconds + AFTER_SECONDS
    stall = asyncio.create_task(_stall(stage, seconds))

    async def every(rate: float, act: str) -> None:
        for number in range(int(whole * rate)):
            text = f"{act} {number:04}"
            if act == "reply":
                await scene.reply(text)
                sent.append(text)
            elif act == "inbound":
                await scene.customer.write(text, to=SHOP)
                written.append(text)
            else:
                wait = Wait(seconds=seconds + 20, until=_is_answered)
                asked.append(asyncio.create_task(stage.slack.command("ana", "support", "/wa session list", wait)))
            await asyncio.sleep(1 / rate)

    async with asyncio.TaskGroup() as group:
        for rate, act in ((REPLIES, "reply"), (INBOUND, "inbound"), (COMMANDS, "command")):
            group.create_task(every(rate, act))
    await stall
    return sent, written, [await one for one in asked]


def _is_answered(answer: Answer) -> bool:
    return answer.error is not None or bool(answer.messages)


async def _stall(stage: Stage, seconds: float) -> None:
    await asyncio.sleep(BEFORE_SECONDS)
    with _stopped(int((stage.directory / "postgres" / "postmaster.pid").read_text().split()[0])):
        await asyncio.sleep(seconds)


@contextmanager
def _stopped(postmaster: int) -> Iterator[None]:
    # The parent first, so that no child is born that would go on.
    pids = [postmaster]
    os.kill(postmaster, signal.SIGSTOP)
    try:
        for child in _children(postmaster):
            os.kill(child, signal.SIGSTOP)
            pids.append(child)
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


async def _compare(scene: Scene, sent: list[str], written: list[str]) -> dict[str, int]:
    """What is missing or doubled at the far ends, once everything that can arrive has."""
    try:
        await scene.stage.until(lambda: all(scene.on_phone(text) for text in sent), "every reply on the phone", 120)
        await scene.stage.until(lambda: _shown(scene, written) >= set(written), "every message in the thread", 240)
    except RuntimeError as error:
        click.echo(str(error).splitlines()[0])
    await asyncio.sleep(5)  # what is doubled comes after what was there once
    in_thread = collections.Counter(
        text for text in written for one in scene.stage.slack.thread("support", scene.thread) if text in one.text
    )
    return {
        "replies lost": sum(not scene.on_phone(text) for text in sent),
        "replies doubled": sum(len(scene.on_phone(text)) > 1 for text in sent),
        "inbound lost": sum(in_thread[text] == 0 for text in written),
        "inbound doubled": sum(in_thread[text] > 1 for text in written),
    }


def _shown(scene: Scene, written: list[str]) -> set[str]:
    shown = "\n".join(one.text for one in scene.stage.slack.thread("support", scene.thread))
    return {text for text in written if text in shown}


def _say(seconds: float, measured: Measured, sent: int, written: int, wrong: dict[str, int]) -> None:
    click.echo(
        f"PostgreSQL stood still for {seconds:g} s under {REPLIES} replies, {INBOUND} inbound, {COMMANDS} command/s:"
    )
    for kind, waits in sorted(measured.acknowledged.items()):
        click.echo(f"  {kind:15} {len(waits):4} acknowledged, the slowest after {max(waits):.2f} s")
    click.echo(f"  {measured.repeated} events were not acknowledged in time, and sent again by Slack")
    for words, times in measured.told.most_common():
        click.echo(f"  told {times} times: {words}")
    click.echo(
        f"  of {sent} replies and {written} inbound: {', '.join(f'{name} {count}' for name, count in wrong.items())}"
    )


@click.command()
@click.argument("stalls", metavar="[SECONDS]...", type=float, nargs=-1)
def main(stalls: tuple[float, ...]) -> None:
    """Let PostgreSQL stand still for so many seconds under load, 2 and then 10 unless told otherwise."""
    fine = True
    for seconds in stalls or STALLS:
        with tempfile.TemporaryDirectory() as directory:
            fine = asyncio.run(stalled(Path(directory), seconds)) and fine
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
