from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime

from models import uuid7


def milliseconds_of(made: uuid.UUID) -> int:
    return made.int >> 80


def made_later_than(earlier: uuid.UUID) -> uuid.UUID:
    """The first id of a later millisecond."""
    deadline = time.monotonic() + 5
    while milliseconds_of(later := uuid7()) <= milliseconds_of(earlier):
        assert time.monotonic() < deadline
    return later


def test_an_id_says_that_it_is_version_7_of_the_common_variant() -> None:
    made = [uuid7() for _ in range(1000)]

    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {uuid.RFC_4122}


def test_an_id_holds_the_millisecond_of_its_making() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000

    assert before <= milliseconds_of(made) <= after
    assert datetime.fromtimestamp(milliseconds_of(made) / 1000, UTC).year >= 2026


def test_ids_of_later_milliseconds_sort_later_also_as_text() -> None:
    made = [uuid7()]
    for _ in range(5):
        made.append(made_later_than(made[-1]))

    assert sorted(made) == made
    assert sorted(map(str, made)) == list(map(str, made))


def test_no_id_is_made_twice() -> None:
    made = [uuid7() for _ in range(20_000)]

    assert len(set(made)) == len(made)


def test_all_other_bits_are_random() -> None:
    made = [uuid7().int for _ in range(1000)]
    fixed = 0xF << 76 | 0x3 << 62

    random = ((1 << 80) - 1) & ~fixed
    ever_set, always_set = 0, random
    for one in made:
        ever_set |= one & random
        always_set &= one

    assert (ever_set, always_set) == (random, 0)
