"""`python -m daemon`: the daemon with the roles of the settings; `… doctor` looks whether all is well."""

from __future__ import annotations

import asyncio
import signal
import sys

import click

from daemon.doctor.command import doctor
from daemon.program import Daemon
from database import ConnectionRefused, EmbeddedPostgresFailed, MigrationRefused, close_database
from database.starting import open_migrated_database
from operations.keys import first_key_of, open_keys
from settings import CONFIGURATION_ERROR, Settings, SettingsError, check_for_daemon, load_or_exit
from settings.logs import configure, get_logger

log = get_logger(__name__)


@click.group(
    invoke_without_command=True,
    help="Run the WhatsApp sessions: take webhooks, send, relay and report, as the settings' roles say.",
)
@click.pass_context
def main(context: click.Context) -> None:
    """Ends with 78 when starting again would not help, with 1 when it may."""
    if context.invoked_subcommand is not None:
        return
    # Until the loop takes over: who is told to stop while PostgreSQL is waited for has nothing to finish.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.exit(_run(load_or_exit(check_for_daemon)))


main.add_command(doctor)


def _run(settings: Settings) -> int:
    configure(settings.log, "daemon")
    try:
        open_migrated_database(settings.database, "switchboard_daemon", "daemon", first_key=first_key_of(settings))
    except (ConnectionRefused, EmbeddedPostgresFailed, MigrationRefused) as error:
        log.critical("cannot start", reason=str(error))
        return CONFIGURATION_ERROR
    try:
        open_keys(settings)
        asyncio.run(Daemon(settings).run())
    except SettingsError as error:
        log.critical("cannot start", reason=str(error))
        return CONFIGURATION_ERROR
    except OSError as error:
        # Whoever has the address may be the daemon before this one, which is ending: a new start has better chances.
        log.critical("cannot listen for webhooks", reason=str(error))
        return 1
    finally:
        close_database()
    return 0


if __name__ == "__main__":
    main()
