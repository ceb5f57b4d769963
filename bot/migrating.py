from __future__ import annotations

from database import close_database, migrations, open_database
from database.embedded import EmbeddedPostgres
from settings import DatabaseSettings
from settings.logs import get_logger

log = get_logger(__name__)


def open_migrated(table: DatabaseSettings, process: str) -> None:
    """Open the database as the bot, after whatever migrations were not run yet; waits for a PostgreSQL that is down.

    The first migration makes the role, so it has to be there before the pool is opened in that role.
    """
    embedded = EmbeddedPostgres(table.data_dir) if table.is_embedded else None
    try:
        if embedded is not None:
            url = embedded.attach()
        else:
            open_database(table, None, process)
            close_database()
            url = table.owner_url.get_secret_value() or table.url.get_secret_value()
        migrations.migrate(url, say=lambda line: log.info("migration", line=line))
        open_database(table, "switchboard_bot", process)
    finally:
        if embedded is not None:
            embedded.release()
