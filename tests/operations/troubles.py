"""What the tests of incidents begin with: times that are handed in, and what an alerts channel shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from database import tenant_transaction
from models import Tenant, WahaSession, now_utc
from operations import telling
from operations.observing import observe_status
from operations.telling_operators import look_after_installation
from tests.operations.builders import ALERTS, OPERATOR, World

START = now_utc() - timedelta(days=1)
OPERATORS = (OPERATOR.key,)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@dataclass
class Alerts:
    """What a place shows; Slack takes what is posted when it `settle`s."""

    world: World

    def settle(self) -> None:
        self.world.sql(
            "UPDATE slack_posts SET posted_at = now(), slack_ts = coalesce(slack_ts, payload->>'ts', "
            "'1700000000.' || lpad(seq::text, 6, '0')) WHERE posted_at IS NULL"
        )

    def posts(self, place: str = ALERTS) -> list[str]:
        return self._texts("kind IN ('post', 'direct')", place)

    def updates(self, place: str = ALERTS) -> list[str]:
        return self._texts("kind = 'update'", place)

    def buttons(self, place: str = ALERTS) -> list[str]:
        """Below what was said last."""
        [[payload]] = self.world.sql(
            "SELECT payload FROM slack_posts WHERE slack_channel_id = %s ORDER BY created_at DESC, seq DESC LIMIT 1",
            place,
        )
        blocks = payload.get("blocks", [])
        return [one["text"]["text"] for block in blocks for one in block.get("elements", []) if one["type"] == "button"]

    def _texts(self, which: str, place: str) -> list[str]:
        statement = f"SELECT payload->>'text' FROM slack_posts WHERE {which} AND slack_channel_id = %s"  # noqa: S608 - words of ours
        return [text for (text,) in self.world.sql(f"{statement} ORDER BY created_at, seq", place)]


def observe(session: WahaSession, word: str, seconds: float) -> None:
    with tenant_transaction(session.tenant_id):
        observe_status(WahaSession.get_by_id(session.id), word, at=after(seconds), source="poll")


def look(of: WahaSession | Tenant, seconds: float) -> int:
    tenant_id = of.tenant_id if isinstance(of, WahaSession) else of.id
    return telling.look_after(tenant_id, operators=OPERATORS, now=after(seconds))


def look_everywhere(seconds: float) -> int:
    """As the daemon's worker does it."""
    told = look_after_installation(operators=OPERATORS, now=after(seconds))
    return told + sum(
        telling.look_after(one.tenant_id, operators=OPERATORS, now=after(seconds))
        for one in telling.due(now=after(seconds))
    )


def server_is(world: World, state: str, seconds: float, **more: Any) -> None:
    world.sql(
        "INSERT INTO waha_servers (id, name) SELECT gen_random_uuid(), 'main' "
        "WHERE NOT EXISTS (SELECT 1 FROM waha_servers WHERE name = 'main')"
    )
    world.sql(
        "UPDATE waha_servers SET state = %s, state_changed_at = %s, error_message = %s, version = %s, "
        "start_timestamp = %s WHERE name = 'main'",
        state,
        after(seconds),
        more.get("error_message"),
        more.get("version"),
        more.get("start_timestamp"),
    )


def open_kinds(world: World) -> list[str]:
    return [kind for (kind,) in world.sql("SELECT kind FROM incidents WHERE ended_at IS NULL ORDER BY began_at, kind")]
