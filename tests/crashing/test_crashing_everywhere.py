"""A crash at every step that the journeys were seen to take, and a COMMIT whose answer was lost at every write.

A sample in the normal run; all of it with CRASHES=all, as `make crashes` does. CRASHES="words" plays the rows that have
these words, with all journeys.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.acceptance.acting import Query, Scene
from tests.conftest import Server
from tests.crashing import journeys
from tests.crashing.journeys import JOURNEYS, Cast
from tests.crashing.matrix import Play, Result, Row
from tests.crashing.supervised import theatre

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(7200)]

WANTED = os.environ.get("CRASHES", "")
_SAMPLE_JOURNEYS = (journeys.nothing_happens, journeys.a_customer_writes, journeys.an_agent_replies)
_SAMPLE_ROWS = 12


@pytest.fixture(scope="module")
def database_url(new_database: Callable[..., str], template_database: str) -> str:
    return new_database(template_database)


@pytest.fixture(scope="module")
def rows(postgres: Server, database_url: str) -> Query:
    return partial(postgres.run, name=urlsplit(database_url).path.removeprefix("/"))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def play(tmp_path_factory: pytest.TempPathFactory, database_url: str, rows: Query) -> AsyncIterator[Play]:
    async with theatre(tmp_path_factory.mktemp("crashing"), database_url, rows) as opened:
        scene = Scene(opened.stage, rows)
        acme = await scene.found("Acme", "ana", "support", "+4930901820")
        await scene.ask("ana", "channel link --for reports", channel="reports", expect="reports")
        await scene.ask("ana", "session add codes", expect="codes")
        opened.stage.slack.add_person("hanna")
        opened.stage.slack.add_channel("later", members=("olga", "hanna"))
        later = await scene.found("Later", "hanna", "later", "+4930901821")
        yield Play(opened, scene, Cast(acme, later, "codes"))


@pytest.mark.skipif(bool(WANTED), reason="CRASHES asks for more")
async def test_the_far_ends_are_the_same_wherever_in_a_sample_a_process_dies(play: Play) -> None:
    every = await play.derived(_SAMPLE_JOURNEYS)

    results = [await play.died(row) for row in every[:: len(every) // _SAMPLE_ROWS]]

    assert not [result for result in results if result.wrong], _table(results)


@pytest.mark.skipif(not WANTED, reason="takes half an hour: make crashes")
async def test_the_far_ends_are_the_same_wherever_a_process_dies(play: Play) -> None:
    every = await play.derived(JOURNEYS)

    results = await _played(play, every if WANTED == "all" else [row for row in every if WANTED in str(row)])

    wrong = [result for result in results if result.wrong]
    print(f"{len(results)} crash points, {len(wrong)} wrong")  # noqa: T201 - what it is for
    assert not wrong, _table(wrong)


async def _played(play: Play, rows: list[Row]) -> list[Result]:
    """Also what was passed for the first time while a crash was mended: that is a crash point too."""
    results: list[Result] = []
    waiting = list(rows)
    while waiting:
        row, began = waiting.pop(0), play.traced()
        results.append(await play.died(row))
        print(results[-1], flush=True)  # noqa: T201 - half an hour is long without a word
        waiting += play.met_first(row, began)
    return results


def _table(results: list[Result]) -> str:
    return "\n".join(str(result) for result in results)
