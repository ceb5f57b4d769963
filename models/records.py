from __future__ import annotations

import peewee

from models.base import Json, Model, OwnedByTenant, Timestamp, owned_by_tenant


class ReportSchedule(OwnedByTenant):
    """When a tenant's health report is posted: five-field cron in the schedule's own time zone.

    `said_as` is how a person put it; `last_slot` is the newest time that was posted for, or passed over;
    `last_until` is up to when the last report tells.
    """

    name = peewee.CharField(max_length=40)
    cron = peewee.TextField()
    time_zone = peewee.TextField(default="UTC")
    is_paused = peewee.BooleanField(default=False)
    last_slot = Timestamp(null=True)
    last_until = Timestamp(null=True)
    unanswered_hours = peewee.IntegerField(default=4)
    said_as = peewee.TextField(default="")

    class Meta:
        table_name = "report_schedules"
        constraints = (owned_by_tenant(),)


class AuditEntry(Model):
    """Who did what to which row; never changed, and without secrets."""

    tenant_id = peewee.UUIDField(null=True)
    actor = peewee.TextField()
    action = peewee.TextField()
    subject_table = peewee.TextField()
    subject_id = peewee.UUIDField(null=True)
    subject_name = peewee.TextField(default="")
    before = Json(null=True)
    after = Json(null=True)
    source = peewee.TextField(default="")

    class Meta:
        table_name = "audit_entries"


class Template(OwnedByTenant):
    """A text that agents send often."""

    name = peewee.CharField(max_length=40)
    body = peewee.TextField()

    class Meta:
        table_name = "templates"
        constraints = (owned_by_tenant(),)
