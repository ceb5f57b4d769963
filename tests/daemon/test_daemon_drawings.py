"""Pictures are drawn by a program of their own; one that fails, or hangs, keeps nothing from being posted."""

from __future__ import annotations

import asyncio
import io
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from PIL import Image

from daemon.drawings import Drawings, NotDrawn
from models import uuid7
from operations.report_facts import ReportFacts, Responses, SessionFacts, Traffic, Volume, portions
from operations.report_pictures import MOST_SESSIONS, Picture, pictures
from operations.uptime import share_working, spans

UNTIL = datetime(2026, 11, 23, 8, tzinfo=UTC)
STATUSES = ("working", "starting", "scan_qr", "failed", "stopped", "PASSKEY", "working")


def facts(*, sessions: int = 3, days: int = 1, name: str = "sales") -> ReportFacts:
    since = UNTIL - timedelta(days=days)
    part = (UNTIL - since) / len(STATUSES)
    changes = [(since + number * part, status) for number, status in enumerate(STATUSES)]
    seen = spans(changes, [(since + part / 4, since + part / 2)], since, UNTIL)
    made = (
        SessionFacts(
            f"{name}-{number}", "working", uptime=share_working(seen), spans=tuple(seen), traffic=Traffic(5, 9, 9)
        )
        for number in range(sessions)
    )
    begins = tuple(portions(since, UNTIL, timedelta(hours=1)))
    counts = tuple(range(len(begins)))
    volume = Volume(timedelta(hours=1), begins, counts, counts)
    return ReportFacts(
        "Acme", since, UNTIL, "Europe/Berlin", sessions=tuple(made), volume=volume, responses=Responses((30.0, 4000.0))
    )


async def drawn(drawings: Drawings, picture: Picture) -> bytes:
    post_id = uuid7()
    await until_there(drawings, post_id, picture)
    return drawings.take(post_id)


async def until_there(drawings: Drawings, post_id: UUID, picture: Picture) -> None:
    async with asyncio.timeout(60):
        while drawings.wait_for(post_id, picture.figures):  # noqa: ASYNC110 - another process draws
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("shown", [facts(), facts(sessions=40, days=7, name="a-long-name-of-a-branch-$x_{1}$-<&>")])
async def test_a_picture_is_a_png_that_a_phone_can_show(shown: ReportFacts) -> None:
    drawings = Drawings()

    made = {picture.filename: await drawn(drawings, picture) for picture in pictures(shown)}

    assert len(made) == 3
    for content in made.values():
        image = Image.open(io.BytesIO(content))
        assert (image.format, image.width) == ("PNG", 900)
        assert 300 < image.height < 1200
        assert len(content) < 200_000


def test_the_alternative_text_says_in_figures_what_is_drawn() -> None:
    status, volume, answers = pictures(facts(sessions=40))

    assert status.alt_text.startswith(f"Status of {MOST_SESSIONS} sessions over 24 h 0 min. 0 worked all the time.")
    assert status.alt_text.endswith("Not shown: 25 that worked more.")
    assert "The least: sales-0, 25.0 % of the time." in status.alt_text
    assert volume.alt_text == (
        "Messages by hour: 276 received and 276 sent in all; the busiest hour had 23 received and 23 sent."
    )
    assert answers.alt_text == (
        "How long 2 customers waited for the first answer: half at most 30 s, nine of ten at most 66 min. "
        "Up to 1 min: 1, 5 min: 0, 15 min: 0, 1 h: 0, 4 h: 1, 24 h: 0, later: 0."
    )


def test_the_status_begins_where_the_first_session_was_known() -> None:
    born = UNTIL - timedelta(minutes=30)
    young = SessionFacts("sales", "working", uptime=1.0, spans=tuple(spans([(born, "working")], [], born, UNTIL)))

    [status] = pictures(ReportFacts("Acme", UNTIL - timedelta(days=1), UNTIL, sessions=(young,)))

    assert status.figures["since"] == born.timestamp()


def test_what_there_is_nothing_to_see_of_is_not_drawn() -> None:
    assert pictures(ReportFacts("Acme", UNTIL - timedelta(days=1), UNTIL)) == []


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import time; time.sleep(60)", "It took longer than 0 s."),
        ("raise SystemExit('No fonts.')", "The program ended with 1: No fonts."),
        ("pass", "The program ended with 0: no word"),
    ],
)
async def test_a_program_that_fails_or_hangs_is_ended_and_said(program: str, reason: str) -> None:
    drawings, post_id = Drawings((sys.executable, "-c", program), longest_seconds=0.3), uuid7()
    [picture, *_] = pictures(facts())

    await until_there(drawings, post_id, picture)

    assert drawings.failure_of(post_id) == reason
    with pytest.raises(NotDrawn):
        drawings.take(post_id)


async def test_the_program_is_told_nothing_but_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_SLACK__BOT_TOKEN", "xoxb-secret")
    tell = "import os, sys; sys.stdout.write(' '.join(sorted(os.environ)))"
    [picture, *_] = pictures(facts())

    told = (await drawn(Drawings((sys.executable, "-c", tell)), picture)).decode().split()

    assert set(told) <= {"HOME", "LC_ALL", "LC_CTYPE", "MPLCONFIGDIR", "PATH"}


async def test_they_are_drawn_one_at_a_time() -> None:
    hold = "import sys; sys.stdin.read(); sys.stdout.write('x')"
    drawings, ids = Drawings((sys.executable, "-c", hold)), [uuid7() for _ in range(3)]

    waits = [drawings.wait_for(post_id, {}) for post_id in ids]

    assert waits == [timedelta(seconds=3), timedelta(seconds=6), timedelta(seconds=9)]
    for post_id in ids:
        await until_there(drawings, post_id, Picture("", "", {}))
        assert drawings.take(post_id) == b"x"
