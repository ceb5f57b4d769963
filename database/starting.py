"""How a long-running process begins with its database: wait for it, bring it up to date, open it."""

from __future__ import annotations

from database import connections
from database.connections import Target
from database.embedded import EmbeddedPostgres
from database.migrations import migrate
from database.opening import Role, open_database, wait_for_postgres
from settings import DatabaseSettings


def open_migrated_database(settings: DatabaseSettings, role: Role, process: str, *, first_key: str = "") -> None:
    """Run what was not migrated yet, as the owner, then open the pool as `role`.

    Several processes may start at once: one migrates, the others wait for it.

    Raises:
        ConnectionRefused: PostgreSQL is there and refuses us.
        EmbeddedPostgresFailed: it cannot be started.
        MigrationRefused: the database is ahead of this code, or a migration was edited.
    """
    connections.install()
    embedded = EmbeddedPostgres(settings.data_dir) if settings.is_embedded else None
    if embedded is not None:
        embedded.attach()
    try:
        url = embedded.url if embedded else settings.owner_url.get_secret_value() or settings.url.get_secret_value()
        wait_for_postgres(Target(url=url, application_name=f"switchboard-start/{process}"), None)
        migrate(url)
        open_database(settings, role, process, first_key=first_key)
    finally:
        if embedded is not None:
            embedded.release()  # the open database holds its own claim by now
