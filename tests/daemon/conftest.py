from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from database import database, in_database
from tests.conftest import MigratedDatabase

DEADLINE_SECONDS = 15

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]


@pytest.fixture
def rows(migrated_database: MigratedDatabase) -> Rows:
    """All rows of a statement, run as the owner."""

    async def read(sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        def query() -> list[tuple[Any, ...]]:
            with migrated_database.owner():
                cursor = database.execute_sql(sql, parameters)
                return list(cursor.fetchall()) if cursor.description else []

        return await in_database(query)

    return read


async def becomes(rows: Rows, sql: str, expected: list[tuple[Any, ...]]) -> None:
    """Wait until a query finds this."""
    found: list[tuple[Any, ...]] = []
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (found := await rows(sql)) != expected:  # noqa: ASYNC110 - another connection writes
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"found {found}, not {expected}") from None
