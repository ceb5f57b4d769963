"""The rows: every passage that a journey was seen to go through, once as the end of whoever goes through it."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tests.acceptance.acting import Scene
from tests.crashing.act import Act, Cast, Journey
from tests.crashing.choke_points import AFTER_COMMIT, BEFORE_WORK
from tests.crashing.everyday import nothing_happens
from tests.crashing.passages import Fate
from tests.crashing.supervised import NotPassed, Order, Theatre

# Of what the first journey to pass something passes several times, the first two: the same step of the next message.
_MOST_TIMES = 2
# A step that many journeys take, such as posting, is interrupted in the first of them.
_MOST_JOURNEYS = 2
# What goes by the clock is not passed each time.
_MOST_PLAYS = 3

# A room, and the name of what was passed in it.
Passage: TypeAlias = tuple[str, str]
# In which journeys.
Passed: TypeAlias = dict[Passage, list[Journey]]


@dataclass(frozen=True)
class Row:
    """What happens at a passage of `room` while `journey` is played; `then` happens to the successor."""

    journey: Journey
    room: str
    order: Order
    then: Order | None = None

    @property
    def orders(self) -> list[Order]:
        return [self.order, *([self.then] if self.then else [])]

    def __str__(self) -> str:
        return f"{self.room:6} {self.journey.__name__}: " + ", then ".join(_shown(order) for order in self.orders)


def _shown(order: Order) -> str:
    return f"{order.fate} {order.name}" + (f" ({order.number})" if order.number > 1 else "")


@dataclass
class Result:
    row: Row
    seconds: float
    wrong: str = ""
    is_alive: bool = False  # nothing came to the point where it should have died

    def __str__(self) -> str:
        verdict = f"{'FAILED' if self.wrong else 'ok':6} {self.seconds:5.1f} s  {self.row}"
        return "\n         ".join([verdict, *self.wrong.splitlines()])


@dataclass
class Play:
    """Plays journeys on one stage, undisturbed or with one fatal passage."""

    theatre: Theatre
    scene: Scene
    cast: Cast
    passed: Passed
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def derived(self, journeys: Iterable[Journey]) -> list[Row]:
        """Every row, from one undisturbed playing of each journey.

        What the processes pass all the time counts for the journey in which nothing happens, and for no other.
        """
        always: set[Passage] = set()
        rows: list[Row] = []
        for journey in journeys:
            for room, passed in (await self._traced(journey)).items():
                mine = {name: times for name, times in passed.items() if (room, name) not in always}
                if journey is nothing_happens:
                    always |= {(room, name) for name in mine}
                rows += _rows(journey, room, mine, self.passed)
                for name in passed:
                    self.passed.setdefault((room, name), []).append(journey)
        return rows

    async def died(self, row: Row) -> Result:
        """Play a row; where its journey does not pass it this time, another that did, or the same once more."""
        others = [one for one in self.passed.get((row.room, row.order.name), []) if one is not row.journey]
        for journey in [row.journey, *others, row.journey][:_MOST_PLAYS]:
            result = await self._died(replace(row, journey=journey))
            if not result.is_alive:
                break
        return result

    async def _died(self, row: Row) -> Result:
        """Say what was wrong at the far ends; nothing if all was as it would have been."""
        began, wrong, is_alive = time.monotonic(), list[str](), False

        def begin() -> None:
            self.theatre.order(row.room, *row.orders)

        async def over() -> None:
            await self.theatre.carried_out(row.room)
            await self.theatre.settled()

        try:
            await self.theatre.ready()
            self.theatre.forgive()
            await row.journey(self._act(begin, over))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other rows are played
            is_alive = isinstance(error, NotPassed)
            wrong.append(f"{type(error).__name__}: {error}")
            self.theatre.clear()
        for life in self.theatre.lives.values():
            wrong += life.unasked
            life.unasked.clear()
        return Result(row, time.monotonic() - began, "\n".join(wrong), is_alive=is_alive)

    def met_first(self, row: Row, began: Mapping[str, int]) -> list[Row]:
        """Rows for what no row had passed before this one: ways that are taken only to mend what a crash left."""
        met = Counter(self.theatre.lives[row.room].trace_from(began[row.room]))
        fresh = dict.fromkeys((name for name in met if (row.room, name) not in self.passed), 1)
        self.passed.update({(row.room, name): [row.journey] for name in fresh})
        found = _rows(row.journey, row.room, fresh, {})
        mends = row.order.fate is Fate.KILL and row.then is None
        return [replace(row, then=one.order) if mends else one for one in found]

    def traced(self) -> dict[str, int]:
        """How long the traces are."""
        return {room: life.traced for room, life in self.theatre.lives.items()}

    async def _traced(self, journey: Journey) -> dict[str, Counter[str]]:
        """What each room passed in a journey, in order of the first time."""
        began, passed = self.traced(), dict[str, Counter[str]]()

        def begin() -> None:
            began.update(self.traced())

        async def over() -> None:
            await self.theatre.settled()
            passed.update({room: Counter(life.trace_from(began[room])) for room, life in self.theatre.lives.items()})

        await self.theatre.settled()
        await self.theatre.caught_up()
        await journey(self._act(begin, over))
        return passed

    def _act(self, begin: Callable[[], None], over: Callable[[], Awaitable[None]]) -> Act:
        return Act(self.theatre, self.scene, self.cast, next(self._numbers), begin, over)


def _rows(journey: Journey, room: str, passed: Mapping[str, int], known: Mapping[Passage, list[Journey]]) -> list[Row]:
    """What no journey before this one passed, as often as it may; what another did too, where it left something behind.

    An operation that has not begun leaves nothing: dying there is dying after the step before it.
    """
    rows: list[Row] = []
    for name, times in passed.items():
        before = len(known.get((room, name), ()))
        if before == 0:
            most = 1 if journey is nothing_happens else min(times, _MOST_TIMES)
        else:
            most = 0 if before >= _MOST_JOURNEYS or name.endswith(BEFORE_WORK) else 1
        rows += [Row(journey, room, Order(Fate.KILL, number, name)) for number in range(1, most + 1)]
        if most and name.endswith(AFTER_COMMIT):
            rows.append(Row(journey, room, Order(Fate.LOSE, 1, name)))
    return rows
