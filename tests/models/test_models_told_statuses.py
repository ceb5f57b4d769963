"""What rolling back the migration 019 leaves to those who tell of statuses one by one again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg2

from database import migrations

TENANT = "01890a5d-ac96-774b-bcce-b302099a8057"


def test_after_a_rollback_nobody_is_told_anew_of_statuses_that_are_known(new_database: Callable[..., str]) -> None:
    fresh = new_database()
    names = migrations.migrate(fresh)
    with closing(psycopg2.connect(fresh)) as owner, owner, owner.cursor() as rows:
        rows.execute("INSERT INTO tenants (id, name) VALUES (%s, 'Acme')", (TENANT,))
        for name, status, announced in (("sales", "working", None), ("support", "failed", "working")):
            rows.execute(
                "INSERT INTO waha_sessions "
                "(id, tenant_id, name, external_session_id, server, status, announced_status) "
                "VALUES (gen_random_uuid(), %s, %s, %s, 'main', %s, %s)",
                (TENANT, name, name, status, announced),
            )

    for _ in names[names.index("019_incidents") :]:
        migrations.rollback(fresh)

    with closing(psycopg2.connect(fresh)) as owner, owner.cursor() as rows:
        rows.execute("SELECT status, announced_status FROM waha_sessions ORDER BY name")
        assert rows.fetchall() == [("working", "working"), ("failed", "failed")]
