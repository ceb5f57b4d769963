"""Real processes before simulated Slack and WAHA; a stage is shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

import pytest

from tests.acceptance.acting import Query
from tests.conftest import Server


@pytest.fixture(scope="module")
def database_url(new_database: Callable[..., str], template_database: str) -> str:
    return new_database(template_database)


@pytest.fixture(scope="module")
def rows(postgres: Server, database_url: str) -> Query:
    """The result of a statement, run as the superuser, who sees every tenant's rows."""
    return partial(postgres.run, name=urlsplit(database_url).path.removeprefix("/"))
