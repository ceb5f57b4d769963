"""`python -m daemon doctor`: works when nothing else does, and its exit code is for scripts."""

from __future__ import annotations

import asyncio
import json
import sys
import time

import click

from daemon.doctor.checkup import Checkup
from daemon.doctor.examination import examine
from database import ConnectionRefused, DatabaseUnavailable, EmbeddedPostgresFailed, close_database, open_database
from database.pool import PoolFigures
from operations.encryption import KeyRing, use_keys
from operations.findings import EXIT_CODES, Finding, bad, ok, on_console, verdict
from operations.keys import key_file_beside, ring_of
from settings import LogSettings, Settings, SettingsError, check_for_bot, load
from settings.keys import variable_of
from settings.logs import configure

# A doctor that hangs is of no use; a PostgreSQL that is embedded is started for it.
_DATABASE_SECONDS = 5.0
_FIGURES = PoolFigures(max_size=6, min_size=1, acquire_seconds=_DATABASE_SECONDS)


@click.command(help="Look at everything and say what is wrong, each with its fix: 0 well, 1 broken, 2 only warnings.")
@click.option("--json", "as_json", is_flag=True, help="For machines: a list of check, level, found and fix.")
def doctor(*, as_json: bool) -> None:
    findings = look_at_all()
    if as_json:
        click.echo(json.dumps([finding.as_json() for finding in findings], indent=2, ensure_ascii=False))
    else:
        click.echo(on_console(findings))
    sys.exit(EXIT_CODES[verdict(findings)])


def look_at_all() -> list[Finding]:
    """Everything that can be looked at with these settings; nothing is changed by it."""
    try:
        settings = load()
    except SettingsError as error:
        fix = "correct it there, and start the bot and the daemon again"
        return [bad("settings.read", problem, fix) for problem in error.problems]
    # Its own words are what people read; a line of the log is for what goes wrong inside.
    configure(LogSettings(level="ERROR"), "doctor")
    found = list(_of_missing(settings))
    opened = _open(settings)
    found.append(opened)
    has_database = opened.level == "ok"
    try:
        checkup = Checkup(settings, _ring(settings), has_database=has_database)
        return [*found, *asyncio.run(examine(checkup))]
    finally:
        use_keys(None)
        if has_database:
            close_database()


def _of_missing(settings: Settings) -> list[Finding]:
    """What would keep the processes from starting."""
    try:
        check_for_bot(settings)
    except SettingsError as error:
        return [
            bad("settings.needed", problem, "then start the bot and the daemon again") for problem in error.problems
        ]
    return [ok("settings.read", "The settings can be used.")]


def _open(settings: Settings) -> Finding:
    if settings.database.is_embedded and not (settings.database.data_dir / "PG_VERSION").exists():
        # A doctor makes none.
        said = f"There is no database yet in {settings.database.data_dir}."
        return bad("database.reached", said, "start Switchboard once: `make run`")
    began = time.monotonic()
    try:
        open_database(
            settings.database, "switchboard_daemon", "doctor", deadline_seconds=_DATABASE_SECONDS, figures=_FIGURES
        )
    except ConnectionRefused as error:
        fix = "run `make migrate` if it is new, or correct user, password and name in database.url "
        return bad("database.reached", str(error), f"{fix}({variable_of(('database', 'url'))})")
    except EmbeddedPostgresFailed as error:
        return bad("database.reached", str(error), "docs/runbook.md, PostgreSQL is away, says what it can be")
    except DatabaseUnavailable as error:
        url = f"database.url ({variable_of(('database', 'url'))})"
        unseen = "What needs it was not looked at: queues, processes, sessions, webhooks, channels."
        return bad("database.reached", f"{error}. {unseen}", f"start PostgreSQL, or correct host and port in {url}")
    return ok("database.reached", f"PostgreSQL was reached in {time.monotonic() - began:.1f} s.")


def _ring(settings: Settings) -> KeyRing | None:
    """The keys for secrets; none are made, as a process that starts would."""
    beside_data = settings.database.is_embedded and not settings.security.encryption_keys
    if beside_data and not key_file_beside(settings.database.data_dir).exists():
        return None
    if not beside_data and not settings.security.encryption_keys:
        return None
    try:
        ring = ring_of(settings)
    except SettingsError:
        return None
    use_keys(ring)
    return ring
