"""A check-up that a person asked for in Slack: the bot calls no WAHA, so a daemon takes it and writes what it found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg2.extras import Json

from database import notify, transaction
from models import uuid7
from operations.findings import Finding
from operations.sql import changed, clean_json, first, value
from operations.standing import Person

CHANNEL = "doctor"
# Whoever asked has given up waiting by then.
_STILL_WANTED = timedelta(minutes=1)


def ask(person: Person, asked_as: UUID) -> None:
    """Ask for a check-up; `asked_as` is the command's id, and asking again for the same changes nothing."""
    row = {"id": uuid7(), "team": person.team_id, "user": person.user_id, "asked_as": asked_as}
    with transaction():
        asked = changed(
            "INSERT INTO doctor_runs (id, slack_team_id, slack_user_id, asked_as) "
            "VALUES (%(id)s, %(team)s, %(user)s, %(asked_as)s) ON CONFLICT (slack_team_id, slack_user_id) DO UPDATE "
            "SET asked_as = excluded.asked_as, asked_at = clock_timestamp(), taken_at = NULL, done_at = NULL, "
            "findings = '[]' WHERE doctor_runs.asked_as <> excluded.asked_as",
            row,
        )
        if asked:
            notify(CHANNEL)


@dataclass(frozen=True)
class Progress:
    """How far a check-up came; `findings` are complete once it is done."""

    is_taken: bool
    is_done: bool
    findings: list[dict[str, Any]]

    def as_findings(self) -> tuple[Finding, ...]:
        return tuple(Finding.of(kept) for kept in self.findings)


def progress(asked_as: UUID) -> Progress | None:
    with transaction():
        return first(
            Progress,
            "SELECT taken_at IS NOT NULL AS is_taken, done_at IS NOT NULL AS is_done, findings FROM doctor_runs "
            "WHERE asked_as = %s",
            (asked_as,),
        )


def take() -> UUID | None:
    """The oldest that nobody took, for one daemon alone; None where there is none."""
    with transaction():
        taken: UUID | None = value(
            "UPDATE doctor_runs SET taken_at = clock_timestamp() WHERE id = ("
            "SELECT id FROM doctor_runs WHERE taken_at IS NULL AND asked_at > clock_timestamp() - %s "
            "ORDER BY asked_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING asked_as",
            (_STILL_WANTED,),
        )
        return taken


def finish(asked_as: UUID, findings: Iterable[Finding]) -> bool:
    """Write what was found; False where something else was asked for meanwhile."""
    found = Json(clean_json([finding.as_json() for finding in findings]))
    with transaction():
        return bool(
            changed(
                "UPDATE doctor_runs SET findings = %s, done_at = clock_timestamp() WHERE asked_as = %s",
                (found, asked_as),
            )
        )
