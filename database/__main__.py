"""`python -m database migrate` and `python -m database rollback`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click
import peewee
import psycopg2

import settings
from database import migrations
from database.embedded import EmbeddedPostgres
from database.errors import EmbeddedPostgresFailed, MigrationRefused

T = TypeVar("T")


@click.group(help="Bring the database to the state that this code expects.")
def main() -> None:
    """Each command prints a line for each migration, and ends with 1 after a sentence when it cannot do its work."""


@main.command(help="Run the migrations that were not run yet.")
@click.option("--url", help="The owner's postgresql:// address; left out, that of the settings.")
def migrate(url: str | None) -> None:
    """Also starts the embedded PostgreSQL, for as long as it takes."""
    done = _with_database(url, lambda address: migrations.migrate(address, say=click.echo))
    click.echo(f"{len(done)} migrations applied" if done else "Nothing to migrate, the database is up to date")


@main.command(help="Take the latest migration back.")
@click.option("--url", help="The owner's postgresql:// address; left out, that of the settings.")
def rollback(url: str | None) -> None:
    """One at a time: run it again for the one before."""
    if _with_database(url, lambda address: migrations.rollback(address, say=click.echo)) is None:
        click.echo("Nothing to roll back")


def _with_database(url: str | None, work: Callable[[str], T]) -> T:
    try:
        with _address(url) as address:
            return work(address)
    except (EmbeddedPostgresFailed, MigrationRefused) as refusal:
        raise click.ClickException(str(refusal)) from refusal
    except (psycopg2.Error, peewee.PeeweeException) as error:
        raise click.ClickException(f"PostgreSQL says: {str(error).strip()}") from error


@contextmanager
def _address(url: str | None) -> Iterator[str]:
    """As the owner of the tables; the embedded PostgreSQL runs at least until the work is done."""
    if url:
        yield url
        return
    table = settings.load_or_exit().database
    if not table.is_embedded:
        yield table.owner_url.get_secret_value() or table.url.get_secret_value()
        return
    postgres = EmbeddedPostgres(table.data_dir)
    try:
        yield postgres.attach()
    finally:
        postgres.release()


if __name__ == "__main__":
    main()
