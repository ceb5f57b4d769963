from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import cursor


@pytest.fixture(scope="session")
def catalog_url(new_database: Callable[..., str], template_database: str) -> str:
    """A migrated database whose every change is taken back."""
    return new_database(template_database)


@pytest.fixture
def owner(catalog_url: str) -> Iterator[cursor]:
    """The owner of the tables, in a transaction that is never committed: a test may change tables as well as rows."""
    with closing(psycopg2.connect(catalog_url)) as connection, connection.cursor() as reader:
        yield reader
