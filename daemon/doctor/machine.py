"""What the settings leave open, and the disk that our data lies on."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from daemon.doctor.checkup import Checkup, set_to
from operations.findings import Finding, bad, ok, warn
from settings import Settings

_GIGABYTE = 1024**3
_LITTLE, _TOO_LITTLE = 2 * _GIGABYTE, _GIGABYTE // 4
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


async def settings(checkup: Checkup) -> AsyncIterator[Finding]:
    for finding in _of_settings(checkup.settings):
        yield finding


def _of_settings(settings: Settings) -> Iterator[Finding]:
    yield from _public_url(settings)
    if settings.slack.operators:
        yield ok("settings.operators", f"{len(settings.slack.operators)} in slack.operators.")
    else:
        fix = f'{set_to("slack", "operators")} to ["T…/U…"]; `tenant create` says the line with your own id'
        yield bad("settings.operators", "Nobody may create tenants, and nobody is told of a server that is away.", fix)
    if settings.alerts.webhook_url.get_secret_value():
        yield ok("settings.alerts", "Somebody is told when Slack itself is away (alerts.webhook_url).")
    else:
        fix = f"{set_to('alerts', 'webhook_url')} to the webhook of another chat or a pager"
        yield warn("settings.alerts", "Nobody is told when Slack itself cannot be reached.", fix)
    for name, server in settings.waha.servers.items():
        if _is_on_this_machine(server.webhook_url) and not _is_on_this_machine(server.url):
            yield bad(
                f"settings.webhook_url.{name}",
                f"Server {name} at {urlsplit(server.url).hostname} is told to post to itself: {server.webhook_url}.",
                f"{set_to('waha', 'servers', name, 'webhook_url')} to this machine's address as that one sees it",
            )


def _public_url(settings: Settings) -> Iterator[Finding]:
    if settings.security.public_url:
        yield ok("settings.public_url", f"People reach our pages at {settings.security.public_url}.")
        return
    fix = f"{set_to('security', 'public_url')} to https://… where a proxy hands /pages/ to daemon.host and daemon.port"
    said = "security.public_url is empty: links to the page for passwords open on this machine only."
    make = bad if settings.slack.mode == "http" else warn
    yield make("settings.public_url", said, fix)


def _is_on_this_machine(url: str) -> bool:
    return (urlsplit(url).hostname or "") in _LOOPBACK


async def disk(checkup: Checkup) -> AsyncIterator[Finding]:
    """Of the embedded data, or where the processes run; that of a PostgreSQL elsewhere is not ours to see."""
    data_dir = checkup.settings.database.data_dir
    place = data_dir if checkup.settings.database.is_embedded else Path.cwd()
    while not place.exists():
        place = place.parent
    usage = await asyncio.to_thread(shutil.disk_usage, place)
    said = f"{usage.free / _GIGABYTE:.1f} of {usage.total / _GIGABYTE:.0f} GB are free at {place}."
    if usage.free >= _LITTLE:
        yield ok("disk.free", said)
        return
    fix = "make room, or let less be kept: daemon.keep_days, `tenant settings keep_messages_days`"
    make = bad if usage.free < _TOO_LITTLE else warn
    yield make("disk.free", said, fix)
