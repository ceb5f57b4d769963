"""`python -m operations rotate-keys`: what an operator does with all rows at once, from the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

import settings
from database import (
    ConnectionRefused,
    DatabaseUnavailable,
    EmbeddedPostgresFailed,
    as_owner,
    close_database,
    open_database,
)
from operations import rotating_keys
from operations.encryption import KeyRing, use_keys
from operations.errors import Conflict
from operations.keys import KeyFile, put_new_key_in_front, ring_of
from operations.rotating_keys import Rotation
from settings import DatabaseSettings, Settings, SettingsError

CONNECTS_WITHIN_SECONDS = 30.0


@click.group(help="Work on all rows at once, while the bot and the daemons run.")
def main() -> None:
    """Ends with 1 after a sentence when it cannot do its work."""


@main.command("rotate-keys", help="Encrypt every secret under the first key, and say which keys are needed no longer.")
def rotate_keys() -> None:
    """Can be stopped at any time and run again: it goes on with what is left."""
    loaded = settings.load_or_exit(settings.check_for_daemon)
    try:
        with _owners_database(loaded.database), rotating_keys.alone():
            _rotate(loaded)
    except (Conflict, SettingsError, ConnectionRefused, DatabaseUnavailable, EmbeddedPostgresFailed) as refusal:
        raise click.ClickException(str(refusal)) from refusal


@contextmanager
def _owners_database(table: DatabaseSettings) -> Iterator[None]:
    """As the owner of the tables, whom row-level security lets through."""
    owner = table if table.is_embedded or not table.owner_url.get_secret_value() else _with_url(table)
    open_database(owner, None, "rotate-keys", deadline_seconds=CONNECTS_WITHIN_SECONDS)
    try:
        with as_owner():
            yield
    finally:
        close_database()


def _with_url(table: DatabaseSettings) -> DatabaseSettings:
    return table.model_copy(update={"url": table.owner_url})


def _rotate(loaded: Settings) -> None:
    ring = ring_of(loaded)
    left = sum(number for key_id, number in rotating_keys.counts().items() if key_id != ring.key_ids[0])
    if left:
        click.echo(f"{left} values are under other keys than {ring.key_ids[0]}, the first.")
    elif isinstance(ring, KeyFile):
        put_new_key_in_front(ring.path)
        click.echo(f"{ring.path} has a new key in front: {ring.key_ids[0]}.")
    others = [] if isinstance(ring, KeyFile) else rotating_keys.with_another_first(ring.key_ids[0])
    if others:
        raise Conflict(
            f"What runs was started without key {ring.key_ids[0]} in front: {', '.join(others)}. It may not be able "
            "to read what is encrypted under that key, and encrypts under another. Start it again with these "
            "settings, then run this again."
        )
    use_keys(ring)
    _report(rotating_keys.rotate(ring, click.echo), ring)


def _report(done: Rotation, ring: KeyRing) -> None:
    where = ring.path if isinstance(ring, KeyFile) else "security.encryption_keys"
    click.echo(f"{done.sealed_anew} values encrypted anew, {done.sealed_first} for the first time.")
    counted = rotating_keys.counts()
    click.echo(f"{counted[ring.key_ids[0]]} values under key {ring.key_ids[0]}, the first.")
    for key_id in ring.key_ids[1:]:
        advice = "" if counted[key_id] else f": it can be taken out of {where}"
        click.echo(f"{counted[key_id]} values under key {key_id}{advice}.")
    if done.unopened:
        for sentence in done.unopened:
            click.echo(sentence, err=True)
        raise Conflict(
            f"{len(done.unopened)} values are as they were, because no key opens them. Put the key that they were "
            "encrypted under at the end of the list and run this again."
        )


if __name__ == "__main__":
    main()
