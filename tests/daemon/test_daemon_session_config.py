"""What WAHA is told of a session of ours, and what our row holds of it."""

from __future__ import annotations

import json

import pytest

from daemon.servers import Server, session_config
from database import connection, tenant_transaction
from models import uuid7
from models.requests import CreateWahaSession
from operations import controlling, observing, sessions
from tests.conftest import MigratedDatabase
from tests.operations.builders import World
from waha.client import WahaClient

PASSWORD = "correct horse battery"
PROXY = {"server": "proxy.example.org:3128", "username": "acme", "password": PASSWORD}


@pytest.mark.parametrize("config", [{"proxy": PROXY}, {"proxy": {"server": "proxy.example.org:3128"}}, {}])
def test_a_proxys_password_is_told_to_waha_and_kept_encrypted(
    config: dict[str, dict[str, str]], migrated_database: MigratedDatabase
) -> None:
    with connection():
        world = World(migrated_database)
        tenant = world.tenant()
        request = CreateWahaSession(tenant_id=tenant.id, name="sales", server="main", config=config)
        with tenant_transaction(tenant.id):
            sessions.add(request, session_id=uuid7(), external_session_id="sales-1", actor="T1/UANA")
        kept = json.dumps(world.value("SELECT config FROM waha_sessions"))
        [wanted] = observing.sessions_of("main")
        creation = controlling.creation_of(wanted.tenant_id, wanted.session_id)

    waha = WahaClient("http://127.0.0.1:1", "")
    assert creation is not None
    told = session_config(creation, Server("main", waha, "http://127.0.0.1:2", "key"))

    assert told.get("proxy") == config.get("proxy")
    assert PASSWORD not in kept
