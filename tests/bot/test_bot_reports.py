"""`/wa report …`: when the health report is posted, as people ask for it in Slack."""

from __future__ import annotations

import pytest

from sandbox.slack import SandboxSlack, Wait, controls
from tests.bot.conftest import Ask, Rows

pytestmark = [pytest.mark.database_role("switchboard_bot"), pytest.mark.usefixtures("acme")]

TOLD = Wait(until=lambda answer: bool(answer.messages))


async def test_a_report_is_scheduled_in_words_and_says_when_it_comes(ask: Ask, rows: Rows) -> None:
    await ask("ana", "channel link #support --for reports")

    answer = await ask("ana", 'report schedule "every weekday 09:00" --name daily --zone Europe/Berlin')

    said, times, place, step = answer.splitlines()
    assert said == "The report `daily` is scheduled: `every weekday 09:00` (Europe/Berlin)."
    assert times.startswith("Next: ")
    assert times.count(" 09:00") == 3
    assert place == "Reports appear in #support."
    assert step == (
        "It comes besides `health`; `--name` with one of them changes that instead. "
        "Take it back with `/wa report remove daily`."
    )
    found = await rows("SELECT cron, time_zone, unanswered_hours FROM report_schedules WHERE name = 'daily'")
    assert found == [("0 9 * * 1-5", "Europe/Berlin", 4)]


async def test_without_a_channel_the_next_step_is_said(ask: Ask) -> None:
    answer = await ask("ana", 'report schedule "0 8 * * 1-5"')

    assert "The report `report-1` is scheduled: `0 8 * * 1-5` (UTC)." in answer
    assert "run `/wa channel link --for reports` in one" in answer


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ('"every wekday 09:00"', "Did you mean `weekday`?"),
        ("every wekday 09:00", "Did you mean `weekday`?"),
        ('"every weekday 9:00"', "`health` does that already, at `0 9 * * 1-5` (UTC). Nothing was done."),
        ('"every weekday"', "such as `every weekday 09:00`"),
        ('"0 25 * * *"', "`25` is no hour: it is 0 to 23"),
        ('"every day 09:00" --zone Berlin', "Did you mean `Europe/Berlin`?"),
        ('"every day 09:00" --unanswered soon', "with `4` the report names"),
    ],
)
async def test_what_is_not_understood_is_answered_with_what_would_be_right(ask: Ask, typed: str, sentence: str) -> None:
    assert sentence in await ask("ana", f"report schedule {typed}")


async def test_a_time_of_several_words_needs_no_quotation_marks(ask: Ask, rows: Rows) -> None:
    await ask("ana", "report schedule every weekday at 08:30 --name health")

    assert await rows("SELECT name, cron FROM report_schedules") == [("health", "30 8 * * 1-5")]


async def test_typed_alone_it_opens_a_form(slack: SandboxSlack, ask: Ask, rows: Rows) -> None:
    await ask("ana", "channel link #support")
    answer = await slack.command("ana", "support", "/wa report schedule", Wait(until=lambda one: one.view is not None))
    assert answer.view is not None

    await slack.submit("ana", {"word 0": "first of the month 08:00"}, Wait(seconds=0))
    await slack.until(lambda: "is scheduled" in slack.ephemerals("ana")[-1].text)

    assert await rows("SELECT cron FROM report_schedules WHERE name <> 'health'") == [("0 8 1 * *",)]


async def test_what_is_wrong_is_said_at_its_field_and_the_form_stays_open(slack: SandboxSlack, ask: Ask) -> None:
    opened = Wait(until=lambda one: one.view is not None)
    await slack.command("ana", "support", "/wa report schedule", opened)

    wrong = {"When": "every <wekday> 9:00", "Time zone": "Berlin", "Hours without an answer": "soon", "Name": "a b"}
    answer = await slack.submit("ana", wrong)

    assert answer.errors["When"].startswith("<wekday> is no day. Did you mean weekday?")
    assert answer.errors["Time zone"] == "Berlin is no time zone. Did you mean Europe/Berlin?"
    assert answer.errors["Hours without an answer"].startswith("soon is no number of hours from 1 to 336")
    assert answer.errors["Name"].startswith("a b is no name for a schedule")
    assert slack.modal("ana") is not None


async def test_schedules_are_listed_shown_paused_and_resumed(ask: Ask) -> None:
    await ask("ana", 'report schedule "every hour" --name hourly')

    paused = await ask("ana", "report pause hourly")
    listed = await ask("ana", "report list")
    shown = await ask("ana", "report show hourly")
    resumed = await ask("ana", "report resume hourly")

    assert paused == "The report `hourly` is paused. Go on with `/wa report resume hourly`."
    assert listed.startswith("*2 scheduled reports of Acme*\n• `health`: `0 9 * * 1-5` (UTC), next ")
    assert "• `hourly`: `every hour` (UTC), paused" in listed
    assert "*Report `hourly`*: `every hour` (UTC) (`0 * * * *`).\nIt is paused." in shown
    assert "nobody answered for 4 hours" in shown
    assert resumed.startswith("The report `hourly` goes on. Next: ")


async def test_removing_is_asked_back(slack: SandboxSlack, ask: Ask, rows: Rows) -> None:
    await ask("ana", "report remove health")
    question = slack.ephemerals("ana")[-1]
    assert "Remove the report `health`" in question.text
    live = "SELECT count(*) FROM report_schedules WHERE deleted_at IS NULL"
    assert await rows(live) == [(1,)]

    answer = await slack.click("ana", question, controls.labels(question.blocks)[0], wait=TOLD)

    assert answer.text.startswith("The report `health` is removed.")
    assert await rows(live) == [(0,)]
    assert (await ask("ana", "report list")).startswith("No report is scheduled. Schedule one: `/wa report schedule")


async def test_who_only_reads_may_list_and_not_schedule(ask: Ask) -> None:
    await ask("ana", "user add @ben AGENT")

    assert "`health`" in await ask("ben", "report list", channel="general")
    assert "That needs" in await ask("ben", 'report schedule "every day 09:00"')
