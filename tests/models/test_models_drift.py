"""Three accounts of the same tables, the migrations', the models' and the enumerations', held against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import cursor
from pydantic import SecretStr

import models
from database import as_owner, close_database, connection, open_database
from models.base import Words
from settings import DatabaseSettings
from tests.models.catalog import Catalog, Column, read_catalog

# The migration admits two words here that no operation chooses between.
WITHOUT_ENUMERATION = {("session_checks", "source")}


@pytest.fixture(scope="module")
def of_the_models(new_database: Callable[..., str]) -> Iterator[Catalog]:
    """The catalog of a database that Peewee made from the models."""
    url = new_database()
    open_database(DatabaseSettings(url=SecretStr(url)), process="tests")
    with connection(), as_owner():
        for model in models.ALL:
            model.create_table()
    close_database()
    with closing(psycopg2.connect(url)) as made, made.cursor() as reader:
        yield read_catalog(reader)


def shapes(catalog: Catalog) -> dict[tuple[str, str], Column]:
    """The columns without their defaults, which the models set in Python."""
    return {place: Column(column.type, column.nullable) for place, column in catalog.columns.items()}


def keys(catalog: Catalog) -> set[tuple[str, str]]:
    """The foreign keys without their names, of which Peewee writes none."""
    return {(key.table, key.definition) for key in catalog.foreign_keys}


def drift(one: Catalog, other: Catalog) -> set[object]:
    """What only one of them says."""
    return {*(shapes(one).items() ^ shapes(other).items()), *(keys(one) ^ keys(other))}


def enumerations() -> dict[tuple[str, str], frozenset[str]]:
    return {
        (model._meta.table_name, field.column_name): frozenset(field.words)
        for model in models.ALL
        for field in model._meta.sorted_fields
        if isinstance(field, Words)
    }


def test_the_models_have_the_columns_and_foreign_keys_of_the_migrations(of_the_models: Catalog, owner: cursor) -> None:
    assert drift(of_the_models, read_catalog(owner)) == set()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE messages ALTER media_url TYPE varchar(499)",
        "ALTER TABLE messages ALTER media_url TYPE text",
        "ALTER TABLE messages ALTER body DROP NOT NULL",
        "ALTER TABLE messages ALTER chat_id SET NOT NULL",
        "ALTER TABLE users DROP COLUMN last_login_at",
        "ALTER TABLE users RENAME first_name TO given_name",
        "ALTER TABLE tenants ADD COLUMN colour text",
        "ALTER TABLE users ALTER last_login_at TYPE timestamp",
        "CREATE TABLE forgotten (id uuid PRIMARY KEY)",
        "DROP TABLE templates",
        "ALTER TABLE messages DROP CONSTRAINT messages_session_fkey",
        "ALTER TABLE users DROP CONSTRAINT users_tenant_id_fkey, ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id)",
        "ALTER TABLE slack_identities ADD FOREIGN KEY (user_id) REFERENCES tenants (id)",
    ],
)
def test_a_drift_is_noticed(change: str, of_the_models: Catalog, owner: cursor) -> None:
    owner.execute(change)

    assert drift(of_the_models, read_catalog(owner)) != set()


def test_the_enumerations_have_the_words_of_the_checks(owner: cursor) -> None:
    words = read_catalog(owner).words

    assert enumerations() == {place: words[place] for place in words.keys() - WITHOUT_ENUMERATION}
    assert words.keys() >= WITHOUT_ENUMERATION


@pytest.mark.parametrize(
    "words", ["'queued', 'sent', 'delivered'", "'queued', 'sent', 'delivered', 'failed', 'read'"], ids=["fewer", "more"]
)
def test_a_word_too_many_or_too_few_is_noticed(words: str, owner: cursor) -> None:
    owner.execute(
        "ALTER TABLE messages DROP CONSTRAINT messages_status_check, "
        f"ADD CONSTRAINT messages_status_check CHECK (status IN ({words}))"
    )

    assert read_catalog(owner).words["messages", "status"] != enumerations()["messages", "status"]
