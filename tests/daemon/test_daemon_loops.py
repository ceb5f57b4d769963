"""Workers go on whatever happens to one piece of work."""

from __future__ import annotations

import asyncio

from daemon.loops import Crew, repeat, until
from database.notifications import Wakeup

DEADLINE_SECONDS = 10


async def test_a_failing_step_does_not_end_its_worker() -> None:
    stopping, steps = asyncio.Event(), 0

    async def step() -> bool:
        nonlocal steps
        steps += 1
        if steps == 1:
            raise RuntimeError("the first step fails")
        stopping.set()
        return False

    async with asyncio.timeout(DEADLINE_SECONDS):
        await repeat("test", step, wakeup=Wakeup(), stopping=stopping, every_seconds=0.01)

    assert steps == 2


async def test_a_worker_that_finds_work_looks_again_at_once() -> None:
    stopping, found = asyncio.Event(), iter([True, True, False])

    async def step() -> bool:
        more = next(found)
        if not more:
            stopping.set()
        return more

    wakeup = Wakeup()
    wakeup.ring()  # else the last, empty look would be slept after
    async with asyncio.timeout(DEADLINE_SECONDS):
        await repeat("test", step, wakeup=wakeup, stopping=stopping, every_seconds=3600)

    assert next(found, None) is None


async def test_a_ring_ends_the_sleep() -> None:
    stopping, wakeup, slept = asyncio.Event(), Wakeup(), asyncio.Event()

    async def step() -> bool:
        if slept.is_set():
            stopping.set()
            wakeup.ring()
        slept.set()
        return False

    async with asyncio.timeout(DEADLINE_SECONDS):
        working = asyncio.create_task(repeat("test", step, wakeup=wakeup, stopping=stopping, every_seconds=3600))
        await slept.wait()
        wakeup.ring()
        await working

    assert stopping.is_set()


async def test_a_pause_is_cut_short_by_the_end() -> None:
    stopping = asyncio.Event()
    stopping.set()

    assert await until(stopping, 3600)
    assert not await until(asyncio.Event(), 0.001)


async def test_a_crew_waits_for_what_is_in_flight_and_rings_for_more() -> None:
    wakeup, go, done = Wakeup(), asyncio.Event(), []
    crew = Crew(2, wakeup)

    async def work(number: int) -> None:
        await go.wait()
        if number == 0:
            raise RuntimeError("one piece of work fails")
        done.append(number)

    crew.start(work(0))
    crew.start(work(1))
    assert crew.free == 0
    go.set()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await crew.finish()

    assert (crew.free, done) == (2, [1])
    assert await wakeup.wait(0)
