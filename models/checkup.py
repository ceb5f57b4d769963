"""Who runs, and what a person asked to have looked at."""

from __future__ import annotations

import peewee

from models.base import Json, Model, Stamp, Timestamp, Words
from models.enums import ProcessKind


class Process(Model):
    """A bot or a daemon that runs, as long as `seen_at` is fresh; `facts` is what it alone knows."""

    kind = Words(ProcessKind)
    name = peewee.TextField()
    version = peewee.TextField()
    roles = Json(default=list)
    facts = Json(default=dict)
    started_at = Stamp()
    seen_at = Stamp()

    class Meta:
        table_name = "processes"


class DoctorRun(Model):
    """The last check-up that a person asked for in Slack; a daemon takes it and writes what it found."""

    slack_team_id = peewee.TextField()
    slack_user_id = peewee.TextField()
    asked_as = peewee.UUIDField()
    asked_at = Stamp()
    taken_at = Timestamp(null=True)
    done_at = Timestamp(null=True)
    findings = Json(default=list)

    class Meta:
        table_name = "doctor_runs"
