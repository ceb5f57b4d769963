"""What a health report says, of facts that are handed in."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models import uuid7
from operations.report_facts import (
    DeadLetters,
    IncidentFacts,
    Late,
    NumberFacts,
    Queue,
    ReportFacts,
    Responses,
    SessionFacts,
    Traffic,
    Unanswered,
    Waiting,
)
from operations.report_steps import steps
from operations.report_text import MOST_SESSIONS, written
from operations.wording import MENTIONED, with_root
from slack.blocks import SECTION_TEXT

UNTIL = datetime(2026, 11, 23, 8, tzinfo=UTC)
SINCE = UNTIL - timedelta(hours=24)
HOUR = timedelta(hours=1)
THREAD = "https://slack.com/archives/C1/p1700000000000001"
WORKING = SessionFacts("sales", "working", uptime=1.0, traffic=Traffic(5, 10, 9, 6, 1))
NOTHING = ReportFacts("Acme", SINCE, UNTIL)


def report(**facts: Any) -> str:
    return written(replace(NOTHING, **facts)).text


def lines(**facts: Any) -> list[str]:
    return report(**facts).splitlines()


def test_nothing_to_do_is_said_and_nothing_else() -> None:
    told = lines(sessions=(WORKING,))

    assert told[0].startswith("*Health report for Acme* · <!date^")
    assert told[1] == "_The last 24 h_"
    assert told[3] == "Nothing needs to be done."
    assert told[5] == "*1 session*: 1 working"
    assert told[6] == "🟢 `sales` working · up 100%"
    assert told[7] == "      5 in, 10 out (90.0% delivered, 60.0% read), 1 failed · queue empty"
    assert len(told) == 8


def test_a_tenant_without_sessions_is_told_how_to_begin() -> None:
    assert "No sessions yet: add one with `session add NAME`." in report()


def test_a_report_that_comes_late_says_when_it_was_due_by_the_clock_of_its_schedule() -> None:
    late = Late(UNTIL, UNTIL + timedelta(hours=2, minutes=20))
    told = lines(late=late, time_zone="Europe/Berlin", is_since_last=True)

    assert told[1] == "_Since the last report (Sun 22 Nov 09:00): 24 h_"
    assert told[2] == "⏰ Due Mon 23 Nov 09:00, posted Mon 23 Nov 11:20: it could not be made then."


@pytest.mark.parametrize(
    ("session", "line", "step"),
    [
        ({"status": "starting"}, "🟡 `sales` starting · up 100%", None),
        ({"status": "failed"}, "🔴 `sales` failed", "Restart `sales`, which failed: `session restart sales`."),
        (
            {"status": "failed", "is_linked": False},
            "🔴 `sales` failed",
            "Link the phone of `sales`: `session qr sales`.",
        ),
        ({"status": "stopped"}, "⚪ `sales` stopped", "Start `sales`, which stopped: `session restart sales`."),
        ({"status": "scan_qr"}, "🟠 `sales` waits for its QR code", "Link the phone of `sales`: `session qr sales`."),
        ({"status": "stopped", "is_wanted": False}, "⚪ `sales` stopped", None),
        (
            {"server_state": "down"},
            "🟢 `sales` working · up 100% · server `main` is away",
            "Bring WAHA server `main` back; messages wait in the queue until then.",
        ),
        (
            {"server_state": "key_refused", "status": "failed"},
            "🔴 `sales` failed · up 100% · server `main` refuses our key",
            "Set the API key of server `main`: WAHA refuses ours.",
        ),
        ({"server_state": "unknown"}, "🟢 `sales` working · up 100%", None),
        (
            {"number": NumberFacts("slow", "Half did not answer.")},
            "• `sales` sends slower: Half did not answer.",
            "See what keeps `sales` from sending freely: `session health sales`.",
        ),
        ({"number": NumberFacts("watch", "")}, "• `sales` watched", None),
        ({"number": NumberFacts("good", "")}, "*Number health*: good (1 number)", None),
        (
            {"queue": Queue(3, UNTIL - 2 * HOUR)},
            "queue 3, oldest from <!date^",
            "See why messages of `sales` wait for over half an hour: `session show sales`.",
        ),
        ({"queue": Queue(3, UNTIL - timedelta(minutes=5))}, "queue 3, oldest from <!date^", None),
    ],
)
def test_each_state_has_its_line_and_its_step(session: dict[str, Any], line: str, step: str | None) -> None:
    facts = replace(NOTHING, sessions=(replace(WORKING, **session),))

    assert line in written(facts).text
    assert steps(facts) == ([step] if step else [])


def test_what_is_to_be_done_stands_first_and_the_most_urgent_above() -> None:
    facts = replace(
        NOTHING,
        sessions=(
            replace(WORKING, name="slow", number=NumberFacts("stopped", "No new chats.")),
            replace(WORKING, name="lost", status="scan_qr"),
            replace(WORKING, name="broken", status="failed"),
            replace(WORKING, name="away", server="far", server_state="down", status="failed"),
            replace(WORKING, name="shut", server="locked", server_state="key_refused"),
        ),
        letters=DeadLetters(3, (uuid7(), uuid7())),
        unanswered=Unanswered(4, 2, (Waiting("slow", 9 * HOUR, "C1", THREAD),)),
        held=7,
    )

    assert steps(facts) == [
        "Set the API key of server `locked`: WAHA refuses ours.",
        "Bring WAHA server `far` back; messages wait in the queue until then.",
        "Restart `broken`, which failed: `session restart broken`.",
        "Link the phone of `lost`: `session qr lost`.",
        "See what keeps `slow` from sending freely: `session health slow`.",
        "Decide about 3 messages that did not arrive: `message failed`.",
        f"Answer 2 customers who wait for over 4 h, the longest for 9 h 0 min. <{THREAD}|It is here.>",
        "Link a channel for 7 messages that wait for one: `channel link`.",
    ]
    text = written(facts).text
    assert text.index("*To do now*\n1. Set the API key") < text.index("*5 sessions*")


def test_every_command_that_is_named_gets_its_slash_command() -> None:
    facts = replace(
        NOTHING,
        sessions=tuple(
            replace(WORKING, name=name, status=name, number=NumberFacts("slow"), queue=Queue(1, SINCE))
            for name in ("failed", "stopped", "scan_qr", "working")
        ),
        letters=DeadLetters(1, (uuid7(),)),
        held=1,
    )

    told = with_root(written(facts).text + report(), "/wa", MENTIONED)

    assert re.findall(r"`((?:session|message|channel) [a-z]+)", told) == []
    assert "`/wa session add NAME`" in told


def test_what_did_not_arrive_can_be_replayed_by_a_button_that_names_it() -> None:
    ids = (uuid7(), uuid7())
    post = written(replace(NOTHING, sessions=(WORKING,), letters=DeadLetters(3, ids)))

    [row] = [block for block in post.blocks or () if block["type"] == "actions"]
    [button] = row["elements"]
    assert button["action_id"] == "messages.retry"
    assert button["value"] == ",".join(map(str, ids))
    assert button["text"]["text"] == "Replay the newest 2 messages"
    assert "*Not delivered*: 3 messages for you to decide about: `message failed`. 2 can be sent again" in post.text


def test_incidents_are_told_with_their_length() -> None:
    told = report(
        incidents=(
            IncidentFacts("failed", "sales", UNTIL - HOUR),
            IncidentFacts("server_away", "", SINCE, SINCE + timedelta(minutes=12), "It was restarted.", "main"),
            IncidentFacts("several_sessions", "", SINCE, UNTIL),
        )
    )

    assert "*3 incidents*\n• `sales` failed, <!date^" in told
    assert "for 60 min, *not over*\n" in told
    assert "• server `main` did not answer, " in told
    assert "for 12 min, over: It was restarted." in told
    assert "• several sessions failed together, " in told


def test_answers_are_told_by_the_middle_the_ninetieth_and_the_slowest() -> None:
    seconds = tuple(float(minute * 60) for minute in range(1, 11))
    slowest = (Waiting("sales", 10 * HOUR, "C1", THREAD), Waiting("sales", HOUR))

    told = report(responses=Responses(seconds, slowest))

    assert "*First answers*: 10, half within 5 min, nine of ten within 9 min. The slowest:\n" in told
    assert f"• 10 h 0 min, `sales`, <{THREAD}|thread> in <#C1>\n• 60 min, `sales`, no thread yet" in told


def test_who_waits_is_told_with_the_rest_counted() -> None:
    told = report(unanswered=Unanswered(4, 3, (Waiting("sales", 5 * HOUR, "C1", THREAD),)))

    assert "*Unanswered for over 4 h*: 3 conversations\n• 5 h 0 min, `sales`, <" in told
    assert told.endswith("and 2 more.")


def test_of_many_sessions_the_troubled_are_shown_and_the_rest_counted() -> None:
    many = tuple(replace(WORKING, name=f"session-{number}") for number in range(500))
    troubled = tuple(replace(WORKING, name=f"broken-{number}", status="failed") for number in range(3))

    post = written(replace(NOTHING, sessions=many + troubled))

    shown = re.findall(r"^[🟢🔴] `([a-z-]+)-\d+`", post.text, re.MULTILINE)
    assert shown == ["broken"] * 3 + ["session"] * (MOST_SESSIONS - 3)
    assert f"and {503 - MOST_SESSIONS} more: {503 - MOST_SESSIONS} working. See `session list`." in post.text
    assert "*503 sessions*: 500 working, 3 failed · up 100%" in post.text


def test_the_worst_report_fits_into_slack() -> None:
    many = tuple(
        replace(WORKING, name=f"{'x' * 36}{number}", status="failed", number=NumberFacts("stopped", "y" * 300))
        for number in range(300)
    )
    waiting = tuple(Waiting("x" * 40, HOUR, "C1", THREAD) for _ in range(5))
    post = written(
        replace(
            NOTHING,
            sessions=many,
            incidents=tuple(IncidentFacts("failed", "x" * 40, SINCE, UNTIL, "z" * 300) for _ in range(300)),
            letters=DeadLetters(500, tuple(uuid7() for _ in range(50))),
            unanswered=Unanswered(4, 900, waiting),
            responses=Responses((60.0,) * 1000, waiting),
        )
    )

    blocks = post.blocks or ()
    assert len(post.text) < 40_000
    assert len(blocks) <= 50
    assert max(len(block["text"]["text"]) for block in blocks if block["type"] == "section") <= SECTION_TEXT
    assert [len(one["value"]) <= 2000 for block in blocks for one in block.get("elements", ())] == [True]


def test_blocks_and_text_say_the_same() -> None:
    post = written(replace(NOTHING, sessions=(WORKING,), letters=DeadLetters(1, (uuid7(),)), held=2))

    said = "\n\n".join(block["text"]["text"] for block in post.blocks or () if block["type"] == "section")
    assert said == post.text


def test_others_words_can_forge_nothing() -> None:
    evil = "<!channel> `session add x`"
    told = report(
        tenant_name=evil,
        sessions=(replace(WORKING, number=NumberFacts("slow", evil)),),
        incidents=(IncidentFacts("failed", "sales", SINCE, None, evil),),
    )

    assert "<!channel>" not in told
    assert told.count("&lt;!channel&gt;") == 3
    assert with_root(told, "/wa").count("`/wa session add") == 0


@pytest.mark.parametrize(("share", "shown"), [(1.0, "100%"), (0.9999, "99.9%"), (0.0001, "0.1%"), (0.0, "0%")])
def test_all_is_said_only_of_all(share: float, shown: str) -> None:
    assert f"up {shown}" in report(sessions=(replace(WORKING, uptime=share),))
