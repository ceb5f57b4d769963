from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from database import connection
from models import Conversation, Tenant, WahaSession
from tests.conftest import MigratedDatabase
from tests.operations.builders import CUSTOMER, World


@pytest.fixture
def world(migrated_database: MigratedDatabase) -> Iterator[World]:
    """An empty installation, open as the daemon's role unless a test is marked with another."""
    with connection():
        yield World(migrated_database)


@pytest.fixture
def tenant(world: World) -> Tenant:
    return world.tenant()


@pytest.fixture
def session(world: World, tenant: Tenant) -> WahaSession:
    """A WhatsApp account that works."""
    return world.session(tenant)


@pytest.fixture
def conversation(world: World, session: WahaSession) -> Conversation:
    """A customer with a thread in #support."""
    return world.conversation(session, CUSTOMER)


@pytest.fixture
def server(world: World) -> None:
    """The session's server answers."""
    columns = "id, name, state, start_timestamp, state_changed_at"
    world.sql(f"INSERT INTO waha_servers ({columns}) VALUES (%s, 'main', 'up', 1, now())", uuid4())  # noqa: S608
