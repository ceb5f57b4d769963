"""Which status a session had when, of what was observed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.uptime import AWAY, share_working, spans

BEGIN = datetime(2026, 11, 22, 9, tzinfo=UTC)
END = BEGIN + timedelta(hours=10)


def at(hours: float) -> datetime:
    return BEGIN + timedelta(hours=hours)


def shown(
    *changes: tuple[float, str], away: tuple[tuple[float, float], ...] = (), wanted: float | None = None
) -> list[tuple[float, float, str]]:
    found = spans(
        [(at(hours), status) for hours, status in changes],
        [(at(begin), at(end)) for begin, end in away],
        BEGIN,
        END,
        wanted_since=at(wanted) if wanted is not None else None,
    )
    hour = timedelta(hours=1)
    return [((span.begin - BEGIN) / hour, (span.end - BEGIN) / hour, span.status) for span in found]


def test_what_was_so_before_is_so_until_it_changes() -> None:
    assert shown((-5, "working"), (2, "failed"), (3, "working")) == [
        (0, 2, "working"),
        (2, 3, "failed"),
        (3, 10, "working"),
    ]


def test_before_the_first_change_nothing_is_known() -> None:
    assert shown((4, "working")) == [(4, 10, "working")]
    assert shown() == []


def test_a_server_that_was_away_lays_over_what_its_sessions_last_said() -> None:
    away = ((1.0, 3.0), (2.0, 4.0), (9.0, 12.0))

    assert shown((-1, "working"), (5, "failed"), away=away) == [
        (0, 1, "working"),
        (1, 4, AWAY),
        (4, 5, "working"),
        (5, 9, "failed"),
        (9, 10, AWAY),
    ]


def test_only_that_it_was_stopped_is_left_out_of_the_time_before_it_was_wanted() -> None:
    changes = ((0, "working"), (1, "failed"), (3, "stopped"), (6, "starting"), (7, "working"))

    assert shown(*changes, away=((4.0, 4.5),), wanted=5) == [
        (0, 1, "working"),
        (1, 3, "failed"),
        (5, 6, "stopped"),
        (6, 7, "starting"),
        (7, 10, "working"),
    ]


def test_the_share_is_of_the_time_that_is_known() -> None:
    found = spans([(at(5), "working"), (at(9), "failed")], [], BEGIN, END)

    assert share_working(found) == 0.8
    assert share_working([]) is None


times = st.floats(-5, 15, allow_nan=False)


@given(
    st.lists(st.tuples(times, st.sampled_from(["working", "failed", "starting"]))),
    st.lists(st.tuples(times, times).map(lambda one: (min(one), max(one)))),
)
def test_spans_follow_each_other_and_count_each_moment_once(
    changes: list[tuple[float, str]], away: list[tuple[float, float]]
) -> None:
    found = shown(*sorted(changes), away=tuple(away))

    assert all(begin < end for begin, end, _ in found)
    assert [end for _, end, _ in found[:-1]] == [begin for begin, _, _ in found[1:]]
    known = min((hours for hours, _ in changes), default=10.0)
    assert sum(end - begin for begin, end, _ in found) == pytest.approx(max(0.0, 10 - max(0.0, known)), abs=1e-6)
