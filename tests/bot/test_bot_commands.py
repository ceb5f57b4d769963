"""What people type, and what they read."""

from __future__ import annotations

import pytest

from sandbox.slack import SandboxSlack
from tests.bot.conftest import Ask, Rows

pytestmark = pytest.mark.database_role("switchboard_bot")


async def test_an_organisation_is_set_up_from_nothing(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    created = await ask("olga", "tenant create Acme --description Shoes")
    added = await ask("olga", "user add @ana TENANT_ADMIN --tenant Acme")
    session = await ask("ana", "session add sales --engine noweb")
    linked = await ask("ana", "channel link #support --session sales")
    qr = await ask("ana", "session qr sales")
    report = await ask("ana", "report now")

    assert created.startswith("Tenant *Acme* was created.")
    assert "`/wa user add @person TENANT_ADMIN --tenant Acme`" in created
    assert added.startswith("@ana is TENANT_ADMIN in *Acme* now.")
    assert "Session `sales` was added and is being started" in session
    assert "#support shows the conversations of session `sales` from now on" in linked
    assert "comes to you by direct message" in qr
    assert report == "The health report of *Acme* is on its way to #support."
    assert await rows("SELECT name, description FROM tenants") == [("Acme", "Shoes")]
    assert await rows("SELECT email, first_name, role FROM users") == [("ana@example.com", "Ana", "TENANT_ADMIN")]
    assert await rows("SELECT engine, server, desired_state FROM waha_sessions") == [("NOWEB", "main", "running")]
    assert await rows("SELECT kind, slack_user_id FROM waha_actions") == [("qr", slack.person("ana").id)]
    assert await rows("SELECT slack_channel_id FROM slack_posts") == [(slack.channel("support").id,)]
    assert await rows("SELECT count(*) FROM slack_events WHERE answered_at IS NULL") == [(0,)]
