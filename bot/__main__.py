"""`python -m bot` runs the bot; `… manifest`, `… commands` and `… permissions` print what is made of its tables."""

from __future__ import annotations

import asyncio
import signal
import sys

import click

import settings
from bot.actions import page
from bot.commands import COMMANDS
from bot.commands.reference import reference
from bot.http_mode import PATH
from bot.manifest import manifest_text
from bot.running import run
from bot.sockets import NoSocket
from database import ConnectionRefused, EmbeddedPostgresFailed, MigrationRefused, close_database
from database.starting import open_migrated_database
from operations.keys import first_key_of, open_keys
from settings import CONFIGURATION_ERROR, Settings, SettingsError, logs
from settings.keys import variable_of

log = logs.get_logger("bot")


@click.group(invoke_without_command=True, help="Answer slash commands, and keep what is written in threads.")
@click.pass_context
def main(context: click.Context) -> None:
    """Ends with 78 when starting again would not help, with 1 when it may."""
    if context.invoked_subcommand is None:
        sys.exit(_run(settings.load_or_exit(settings.check_for_bot)))


@main.command(help="Print the manifest of the Slack app, for api.slack.com/apps.")
def manifest() -> None:
    """The settings say the name of the slash command, and in http mode where Slack posts."""
    loaded = settings.load_or_exit(_check_manifest)
    url = loaded.security.public_url.rstrip("/") + PATH if loaded.slack.mode == "http" else ""
    click.echo(manifest_text(loaded.slack.command, request_url=url), nl=False)


@main.command(help="Print who may do what as a page of Markdown.")
def permissions() -> None:
    """From the table that the checks read."""
    click.echo(page(settings.load_or_exit().slack.command), nl=False)


@main.command(help="Print the commands as a page of Markdown.")
def commands() -> None:
    """For the documentation, so that it cannot say anything else than the help does."""
    click.echo(reference(COMMANDS, settings.load_or_exit().slack.command), nl=False)


def _check_manifest(loaded: Settings) -> None:
    if loaded.slack.mode == "http" and not loaded.security.public_url:
        variable = variable_of(("security", "public_url"))
        raise SettingsError([f"security.public_url is empty, and Slack posts there: set {variable}=https://…"])


def _run(loaded: Settings) -> int:
    logs.configure(loaded.log, "bot")
    try:
        open_migrated_database(loaded.database, "switchboard_bot", "bot", first_key=first_key_of(loaded))
        open_keys(loaded)
        asyncio.run(_until_told(loaded))
    except (SettingsError, EmbeddedPostgresFailed, MigrationRefused, ConnectionRefused) as error:
        log.error("the bot cannot start", reason=str(error))  # noqa: TRY400 - the sentence says all
        return CONFIGURATION_ERROR
    except NoSocket as error:
        log.error("the bot gives up for a new start", reason=str(error))  # noqa: TRY400
        return 1
    except OSError as error:
        # Whoever has the address may be the bot before this one, which is ending: a new start has better chances.
        log.error("the bot cannot listen for Slack", reason=str(error))  # noqa: TRY400
        return 1
    finally:
        close_database()
    return 0


async def _until_told(loaded: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(loaded, stop)


if __name__ == "__main__":
    main()
