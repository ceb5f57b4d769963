from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from bot.commands.command import Asked, Command, Turn
from database import in_database
from models import DoctorRun
from operations import audit, doctor, doctor_runs, doctor_slack, processes
from operations.findings import Finding, Level, bad, in_slack
from operations.permissions import Permission
from operations.slack_inbox import Answer
from slack.client import SlackClient
from slack.errors import SlackError

# A daemon that runs takes it within a second; one that hangs is as good as none.
TAKEN_WITHIN_SECONDS = 10.0
# Longer than the longest of its checks.
DONE_WITHIN_SECONDS = 20.0
_LOOK_EVERY_SECONDS = 0.2


async def examined(
    asked: Asked,
    slack: SlackClient,
    *,
    taken_within: float = TAKEN_WITHIN_SECONDS,
    done_within: float = DONE_WITHIN_SECONDS,
) -> Asked:
    """Have a daemon look at everything; where none does, that is what is found, beside what the bot can see itself."""
    await in_database(doctor_runs.ask, asked.person, asked.event_id)
    findings = await _of_a_daemon(asked, taken_within, done_within)
    if isinstance(findings, Finding):
        findings = [findings, *await _seen_by_the_bot(slack)]
    return replace(asked, findings=tuple(findings))


async def _of_a_daemon(asked: Asked, taken_within: float, done_within: float) -> Sequence[Finding] | Finding:
    """What it found; or, where it did not end, that."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while True:
        found = await in_database(doctor_runs.progress, asked.event_id)
        if found is not None and found.is_done:
            return found.as_findings()
        is_taken = found is not None and found.is_taken
        if clock() - began > (done_within if is_taken else taken_within):
            return _not_done(done_within) if is_taken else _not_taken(taken_within)
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


def _not_taken(within: float) -> Finding:
    return bad(
        "daemon.runs",
        f"No daemon took the check-up within {within:g} s: nothing is sent, posted or taken in.",
        "start it: `.venv/bin/supervisorctl -c supervisord.conf start daemon`; then see its log, and the role "
        "`reconciler` in its daemon.roles",
    )


def _not_done(within: float) -> Finding:
    return bad(
        "daemon.checkup",
        f"A daemon took the check-up, and did not end it within {within:g} s: it was stopped, or stands still.",
        "ask again: `doctor`; or look on its machine, where what hangs is named: `python -m daemon doctor`",
    )


async def _seen_by_the_bot(slack: SlackClient) -> list[Finding]:
    found = [await in_database(check) for check in (doctor.postgres, doctor.connections, doctor_slack.arrivals)]
    running = await in_database(processes.running)
    found += [one for one in doctor.who_runs(running) if not one.check.startswith("daemon.")]
    try:
        found.append(doctor_slack.scopes((await slack.granted()).scopes))
    except SlackError as error:
        found.append(bad("slack.reached", f"Slack cannot be asked: {error.sentence}", "try again"))
    return found


def tell(turn: Turn) -> Answer:
    findings = turn.asked.findings
    counts = {level.value: sum(finding.level is level for finding in findings) for level in Level}
    audit.record(turn.actor, "installation.check", DoctorRun, tenant_id=None, after=counts)
    return Answer(in_slack(findings))


COMMANDS = (
    Command(
        noun="doctor",
        verb="",
        summary="look at everything that Switchboard needs, and say what is wrong and how to mend it",
        example="doctor",
        permission=Permission.INSTALLATION_CHECK,
        prepare=examined,
        run=tell,
    ),
)
