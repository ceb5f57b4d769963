"""The WAHA servers of the settings: a client for each, and what a session on them is configured with."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from daemon.session_setup import our_metadata, our_webhook
from database import in_database
from operations import servers as server_rows
from operations.session_config import opened_config
from settings import DeliverySettings, WahaServer
from waha.calls import Observe
from waha.client import Timeouts, WahaClient
from waha.versions import store_is_on, trusts_ids

# What a session keeps, so that a message whose sending ended unknown can be looked up.
_STORES: dict[str, Any] = {
    "noweb": {"store": {"enabled": True, "fullSync": False}},
    "gows": {"storage": {"messages": True, "groups": True, "chats": True, "labels": True}},
}


@dataclass(frozen=True)
class Server:
    """A WAHA server and our way to it."""

    name: str
    client: WahaClient
    webhook_url: str
    webhook_key: str = field(repr=False)


async def open_servers(
    settings: Mapping[str, WahaServer],
    keys: Mapping[str, str],
    delivery: DeliverySettings,
    stack: AsyncExitStack,
    *,
    observe: Observe | None = None,
) -> dict[str, Server]:
    """A client for every server, closed with `stack`; `observe` is told of each of their calls."""
    timeouts = Timeouts(send=delivery.send_timeout_seconds)
    servers = {}
    for name, server in settings.items():
        client = WahaClient(server.url, server.api_key.get_secret_value(), timeouts=timeouts, observe=observe)
        servers[name] = Server(name, await stack.enter_async_context(client), server.webhook_url, keys[name])
    return servers


class Configured(Protocol):
    """A session, as far as its configuration is concerned."""

    @property
    def session_id(self) -> UUID: ...
    @property
    def config(self) -> dict[str, Any]: ...


def session_config(session: Configured, server: Server) -> dict[str, Any]:
    """How a session of ours is created on WAHA.

    Raises:
        CannotDecrypt: none of the keys opens the password of its proxy.
    """
    own = opened_config(session.config, session.session_id)
    return {
        "metadata": our_metadata(session.session_id),
        "webhooks": [our_webhook(server)],
        # Stories, channels and broadcasts are nobody's conversation, and their media fills disks.
        "ignore": {"status": True, "channels": True, "broadcast": True},
        # Without it the browser's engine tells no receipts of groups.
        "webjs": {"tagsEventsOn": True},
        **_STORES,
        **({"proxy": own["proxy"]} if "proxy" in own else {}),
    }


def ids_are_trusted(engine: str | None, version: str | None) -> bool:
    """Whether a message of a session that we created may be looked up by its id and sent again if it is unknown."""
    return trusts_ids(engine, version, store_on=store_is_on(engine, _STORES))


class _OfSession(Protocol):
    """A message on its way, as far as its session is concerned."""

    @property
    def server(self) -> str: ...
    @property
    def engine(self) -> str: ...
    @property
    def ids_refused(self) -> bool: ...


async def may_trust_ids(message: _OfSession) -> bool | None:
    """Whether this message may be looked up by its id and sent again; None before WAHA has told its version."""
    if message.ids_refused:
        return False
    known = (await in_database(server_rows.views, [message.server])).get(message.server)
    if known is None or known.version is None:
        return None
    return ids_are_trusted(known.engine or message.engine, known.version)
