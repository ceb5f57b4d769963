"""What of a session's configuration on WAHA is ours, and how it is put right without touching anything else.

A configuration holds secrets, so none is ever logged or shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from yarl import URL

from operations.inbound import SESSION_METADATA
from waha.webhooks import SUBSCRIBED_EVENTS

if TYPE_CHECKING:
    from daemon.servers import Server

Config = Mapping[str, Any]

_EVENTS = frozenset(SUBSCRIBED_EVENTS)
# Fifteen tries from 2 s on, each after twice the time of the last: 36 hours in all.
RETRIES: Mapping[str, Any] = {"policy": "exponential", "delaySeconds": 2, "attempts": 15}


def our_webhook(server: Server) -> dict[str, Any]:
    """How a server tells us what happens."""
    return {
        "url": server.webhook_url,
        "events": list(SUBSCRIBED_EVENTS),
        "hmac": {"key": server.webhook_key},
        "retries": dict(RETRIES),
    }


def our_metadata(session_id: UUID) -> dict[str, str]:
    """By which an event is known to be of this session, and not of one that had its name before."""
    return {SESSION_METADATA: str(session_id)}


def drift(config: Config, session_id: UUID, server: Server) -> bool:
    """Whether something of ours is missing or another in a configuration as WAHA lists it."""
    # Of thousands of sessions at each poll, so nothing is built to be compared.
    mine = [one for one in _webhooks(config) if _is_ours(one, server)]
    metadata = config.get("metadata")
    is_marked = isinstance(metadata, Mapping) and metadata.get(SESSION_METADATA) == str(session_id)
    return not (is_marked and len(mine) == 1 and _is_right(mine[0], server))


def with_ours(config: Config, session_id: UUID, server: Server) -> dict[str, Any]:
    """The configuration with our webhook and metadata, and with everything else as it was.

    A webhook is ours by its address or by its key: so one follows when either is changed in the settings.
    """
    webhooks = _webhooks(config)
    mine = [one for one in webhooks if _is_ours(one, server)]
    if not (len(mine) == 1 and _is_right(mine[0], server)):
        kept = {name: value for one in mine[:1] for name, value in one.items() if name == "customHeaders"}
        webhooks = [*(one for one in webhooks if not _is_ours(one, server)), our_webhook(server) | kept]
    metadata = _mapping(config.get("metadata")) | our_metadata(session_id)
    return {**config, "metadata": metadata, "webhooks": webhooks}


def with_proxy(config: Config, proxy: Config | None) -> dict[str, Any]:
    """The configuration with this proxy, or without any."""
    without = {name: value for name, value in config.items() if name != "proxy"}
    return without if proxy is None else {**without, "proxy": dict(proxy)}


def is_lost(config: Config, server: Server) -> bool:
    """Whether WAHA tells us nothing, rather than something in another way than it should."""
    return not any(_is_ours(one, server) for one in _webhooks(config))


def foreign_hosts(config: Config, server: Server) -> list[str]:
    """Whom else WAHA tells what happens, as hosts: the rest of an address may be a secret."""
    others = (one for one in _webhooks(config) if not _is_ours(one, server))
    return sorted({_host(str(one.get("url"))) for one in others})


def is_of_another(config: Config, session_id: UUID) -> bool:
    """Whether it carries the mark of another session of a Switchboard."""
    return mark_of(config) not in {"", str(session_id)}


def mark_of(config: Config) -> str:
    """The id of the session of a Switchboard that it was configured for; "" where there is none."""
    return str(_mapping(config.get("metadata")).get(SESSION_METADATA) or "")


def _is_ours(webhook: Config, server: Server) -> bool:
    return webhook.get("url") == server.webhook_url or _mapping(webhook.get("hmac")).get("key") == server.webhook_key


def _is_right(webhook: Config, server: Server) -> bool:
    """Further events do no harm; WAHA adds what we do not know to what it was told."""
    retries = _mapping(webhook.get("retries"))
    return (
        webhook.get("url") == server.webhook_url
        and _mapping(webhook.get("hmac")).get("key") == server.webhook_key
        and _EVENTS.issubset(_words(webhook.get("events")))
        and all(retries.get(name) == value for name, value in RETRIES.items())
    )


def _webhooks(config: Config) -> list[Config]:
    found = config.get("webhooks")
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _words(found: Any) -> Iterable[str]:
    return (str(one) for one in found) if isinstance(found, list) else ()


def _mapping(found: Any) -> dict[str, Any]:
    return dict(found) if isinstance(found, Mapping) else {}


def _host(url: str) -> str:
    try:
        return URL(url).host or "an address without a host"
    except ValueError:
        return "an address that cannot be read"
