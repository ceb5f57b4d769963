"""A relay at work beside a simulated Slack, and what the tests of it queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from daemon.loops import repeat
from daemon.posts import Poster
from daemon.relay import Relay
from daemon.workspaces import Outlet, Outlets
from database import in_database, tenant_transaction, transaction
from database.notifications import Wakeup
from models import Conversation, Tenant, WahaSession, uuid7
from operations import posting
from operations.encryption import KeyRing
from sandbox.slack import SandboxSlack
from settings import DeliverySettings
from slack.client import SlackClient
from slack.pacing import Pacing

CALL_SECONDS, MARGIN_SECONDS = 0.4, 0.4
LEASE_SECONDS = 3 * CALL_SECONDS + MARGIN_SECONDS
RING = KeyRing([b"k" * 32])


@asynccontextmanager
async def a_relay_with(
    slack: SandboxSlack, pacing: Pacing, *, call_seconds: float = CALL_SECONDS
) -> AsyncIterator[Outlets]:
    delivery = DeliverySettings(slack_timeout_seconds=call_seconds, lease_margin_seconds=MARGIN_SECONDS)
    stopping, wakeup = asyncio.Event(), Wakeup()
    operators = (f"{slack.team_id}/{slack.person('olga').id}",)
    async with SlackClient(slack.bot_token, slack.api_url, timeout=timedelta(seconds=call_seconds)) as client:
        outlets = Outlets(Outlet(Poster(client, RING, "/wa"), pacing))
        relays = [
            Relay(outlets, delivery, wakeup, operators=operators, of_receipts=of_receipts)
            for of_receipts in (False, True)
        ]
        working = [
            asyncio.create_task(repeat("relay", relay.step, wakeup=wakeup, stopping=stopping, every_seconds=0.02))
            for relay in relays
        ]
        try:
            yield outlets
        finally:
            stopping.set()
            slack.heal()
            await asyncio.gather(*working)
            for relay in relays:
                await relay.crew.finish()


async def tell(slack: SandboxSlack, *texts: str, channel: str = "support") -> None:
    """Queue texts in the lane of a channel."""

    def queue() -> None:
        with transaction():
            for text in texts:
                posting.tell(slack.team_id, slack.channel(channel).id, text, tenant_id=None)

    await in_database(queue)


def texts(slack: SandboxSlack, channel: str = "support") -> list[str]:
    return [message.text for message in slack.messages(channel)]


def a_conversation(slack: SandboxSlack) -> Conversation:
    tenant_id = uuid7()
    with tenant_transaction(tenant_id):
        Tenant.create(id=tenant_id, name="Acme")
        session = WahaSession.create(tenant_id=tenant_id, name="sales", external_session_id="s1", server="main")
        made: Conversation = Conversation.create(
            tenant_id=tenant_id,
            session_id=session.id,
            title="Carla",
            slack_team_id=slack.team_id,
            slack_channel_id=slack.channel("support").id,
        )
    return made
