"""What the migration 015 makes of people who were there before."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg2

from database import migrations

TENANT = "01890a5d-ac96-774b-bcce-b302099a8057"


def test_who_was_somebody_before_is_known_and_due_to_be_looked_up(new_database: Callable[..., str]) -> None:
    fresh = new_database()
    names = migrations.migrate(fresh)
    for _ in names[names.index("015_known_people") :]:
        migrations.rollback(fresh)
    with closing(psycopg2.connect(fresh)) as owner, owner, owner.cursor() as rows:
        rows.execute("INSERT INTO tenants (id, name) VALUES (%s, 'Acme')", (TENANT,))
        for name in ("UANA", "UBEN", "UGONE"):
            rows.execute(
                "WITH made AS (INSERT INTO users (id, tenant_id, email, role) "
                "VALUES (gen_random_uuid(), %s, %s, 'AGENT') RETURNING id) "
                "INSERT INTO slack_identities (id, tenant_id, user_id, slack_team_id, slack_user_id, deleted_at) "
                "SELECT gen_random_uuid(), %s, id, 'T1', %s, CASE WHEN %s THEN now() END FROM made",
                (TENANT, f"{name.lower()}@example.org", TENANT, name, name == "UGONE"),
            )
        rows.execute(
            "INSERT INTO slack_people (id, slack_team_id, slack_user_id, outside) "
            "VALUES (gen_random_uuid(), 'T1', 'UBEN', 'guest')"
        )

    migrations.migrate(fresh)

    with closing(psycopg2.connect(fresh)) as owner, owner.cursor() as rows:
        rows.execute(
            "SELECT slack_user_id, outside, checked_at < now() - interval '1 year' FROM slack_people ORDER BY 1"
        )
        assert rows.fetchall() == [("UANA", None, True), ("UBEN", "guest", False)]
