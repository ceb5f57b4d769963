"""`python -m sandbox up` and `python -m sandbox tour`."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, get_args

import click

from sandbox import roles as asked_by_roles
from sandbox import tour as story
from sandbox.commands import main
from sandbox.processes import ProcessFailed
from sandbox.running import STATE_FILE
from sandbox.tour_scene import TourFailed
from sandbox.waha import EngineName

with_engine = click.option(
    "--engine",
    type=click.Choice(get_args(EngineName)),
    default="GOWS",
    show_default=True,
    help="The WhatsApp engine of the simulated WAHA.",
)


@main.command()
@with_engine
def up(engine: EngineName) -> None:
    """Start everything on free ports, play the tour, and stay up until Ctrl-C."""
    directory = STATE_FILE.parent
    if STATE_FILE.exists():
        raise click.ClickException(
            f"A sandbox runs already, or one was killed: end it, or remove {STATE_FILE} if there is none."
        )
    shutil.rmtree(directory, ignore_errors=True)  # the story begins with an empty database
    _play(story.stay(directory, engine=engine))


@main.command()
@with_engine
@click.option("--database-url", default="embedded", help="An empty PostgreSQL of yours instead of the embedded one.")
@click.option("--keep", is_flag=True, help="Keep the logs and the database, and say where.")
def tour(engine: EngineName, database_url: str, *, keep: bool) -> None:
    """Play the story from an empty database; exits 0 only if each step was seen in Slack or on a phone."""
    directory = Path(tempfile.mkdtemp(prefix="switchboard-tour-"))
    try:
        _play(story.run(directory, engine=engine, database_url=database_url))
    finally:
        if keep:
            click.echo(f"Kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


@main.command()
@with_engine
@click.option("--database-url", default="embedded", help="An empty PostgreSQL of yours instead of the embedded one.")
def roles(engine: EngineName, database_url: str) -> None:
    """Ask the same as operator, administrator, agent, auditor, guest and stranger, and print what each saw."""
    with tempfile.TemporaryDirectory(prefix="switchboard-roles-") as directory:
        _play(asked_by_roles.run(Path(directory), engine=engine, database_url=database_url))


def _play(story_of: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(story_of)
    except (TourFailed, ProcessFailed) as failure:
        click.echo(f"  ✗ {failure}", err=True)
        sys.exit(1)
