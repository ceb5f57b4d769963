"""A crash at every step that the journeys were seen to take, and a COMMIT whose answer was lost at every write.

A sample in the normal run; all of it with CRASHES=all, as `make crashes` does. CRASHES="words" plays the rows that have
these words, and only the journey if its name is among them.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, closing
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
import pytest_asyncio

from tests.acceptance.acting import Query, Scene
from tests.conftest import Server
from tests.crashing import everyday
from tests.crashing.act import Cast
from tests.crashing.journeys import JOURNEYS
from tests.crashing.matrix import Passed, Play, Result, Row
from tests.crashing.supervised import Theatre, theatre
from tests.crashing.unplayed import unplayed

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(7200)]

WANTED = os.environ.get("CRASHES", "")
_SAMPLE_JOURNEYS = (everyday.nothing_happens, everyday.a_customer_writes, everyday.an_agent_replies)
_SAMPLE_ROWS = 12
_STAGES = 5
# Of all rows: those by the clock, such as a receipt that only sometimes is found by reading and not told.
_MOST_ALIVE = 0.03


@pytest.fixture(scope="module")
def open_rows(postgres: Server) -> Iterator[Callable[[str], Query]]:
    """One connection a database, as the superuser: what is asked for is asked fifty times a second."""
    with ExitStack() as stack:

        def open_one(url: str) -> Query:
            address = urlsplit(postgres.admin)._replace(path=urlsplit(url).path).geturl()
            admin = stack.enter_context(closing(psycopg2.connect(address)))
            admin.autocommit = True
            return partial(_run, admin)

        yield open_one


def _run(admin: psycopg2.extensions.connection, sql: str) -> list[tuple[Any, ...]]:
    with admin.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def plays(
    tmp_path_factory: pytest.TempPathFactory,
    new_database: Callable[..., str],
    template_database: str,
    open_rows: Callable[[str], Query],
) -> AsyncIterator[list[Play]]:
    """Stages of their own, since most of a crash is waiting; what was passed on one is known on all."""
    known: Passed = {}
    async with AsyncExitStack() as stack:
        opened: list[Play] = []
        for _ in range(_STAGES if WANTED else 1):
            url = new_database(template_database)
            stage = theatre(tmp_path_factory.mktemp("crashing"), url, open_rows(url))
            opened.append(await _set(await stack.enter_async_context(stage), known))
        yield opened


async def _set(opened: Theatre, known: Passed) -> Play:
    scene = Scene(opened.stage, opened.rows)
    acme = await scene.found("Acme", "ana", "support", "+4930901820")
    await scene.ask("ana", "channel link --for reports", channel="reports", expect="reports")
    await scene.ask("ana", "session add codes", expect="codes")
    await scene.ask("ana", "session stop codes", expect="codes")
    opened.stage.slack.add_person("hanna")
    opened.stage.slack.add_channel("later", members=("olga", "hanna"))
    later = await scene.found("Later", "hanna", "later", "+4930901821")
    await scene.ask("ana", "channel link --for alerts", channel="alerts", expect="alerts")
    # Nothing of the beginning is told in the middle of a journey.
    await scene.until_rows("SELECT status FROM waha_sessions WHERE name = 'codes'", [("stopped",)])
    for table, state in (("sessions", "status"), ("servers", "state")):
        opened.rows(f"UPDATE waha_{table} SET {state}_changed_at = clock_timestamp() - interval '1 min'")  # noqa: S608
    await scene.until_rows("SELECT count(*) FROM incidents WHERE ended_at IS NULL", [(0,)])
    return Play(opened, scene, Cast(acme, later, "codes"), known)


@pytest.mark.skipif(bool(WANTED), reason="CRASHES asks for more")
async def test_the_far_ends_are_the_same_wherever_in_a_sample_a_process_dies(plays: list[Play]) -> None:
    [play] = plays
    every = await play.derived(_SAMPLE_JOURNEYS)

    results = [await play.died(row) for row in every[:: len(every) // _SAMPLE_ROWS]]

    assert not [result for result in results if result.wrong], _table(results)


@pytest.mark.skipif(not WANTED, reason="takes half an hour: make crashes")
async def test_the_far_ends_are_the_same_wherever_a_process_dies(plays: list[Play]) -> None:
    named = [journey for journey in JOURNEYS if f"{journey.__name__}:" in f"{WANTED}:"]
    journeys = [everyday.nothing_happens, *named] if named else JOURNEYS
    every = await plays[0].derived(journeys)
    _say(f"{len(every)} crash points in {len(journeys)} journeys")

    results = await _played(plays, every if WANTED == "all" else [row for row in every if WANTED in str(row)])

    # Where nobody died, nothing was shown: of such a row nothing is said but that.
    alive = [result for result in results if result.is_alive]
    wrong = [result for result in results if result.wrong and not result.is_alive]
    _say(f"no journey comes to: {', '.join(unplayed(name for _, name in plays[0].passed))}")
    _say(f"crashes: {len(results) - len(alive)} points, {len(wrong)} wrong, {len(alive)} not passed a second time")
    assert not wrong, _table(wrong)
    assert len(alive) <= len(results) * _MOST_ALIVE, _table(alive)


async def _played(plays: list[Play], rows: list[Row]) -> list[Result]:
    """Also what was passed for the first time while a crash was mended: that is a crash point too."""
    waiting, results = deque(random.Random(0).sample(rows, len(rows))), list[Result]()  # noqa: S311 - no secret

    async def work(play: Play) -> None:
        while waiting:
            row, began = waiting.popleft(), play.traced()
            results.append(await play.died(row))
            _say(str(results[-1]))
            if WANTED == "all":
                waiting.extend(play.met_first(row, began))

    await asyncio.gather(*map(work, plays))
    return results


def _table(results: list[Result]) -> str:
    return "\n".join(str(result) for result in results)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - half an hour is long without a word
