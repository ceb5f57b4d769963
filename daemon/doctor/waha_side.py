"""Each WAHA server: whether it answers, what it is, and whether what happens there is told to us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from daemon.doctor.checkup import Check, Checkup, set_to
from daemon.doctor.probe import probe
from database import in_database
from operations import doctor, doctor_waha, observing
from operations.doctor_waha import Arrival, Expected
from operations.encryption import CannotDecrypt
from operations.findings import Finding, bad, ok, warn
from settings import WahaServer
from waha.client import Timeouts, WahaClient
from waha.errors import NotWaha, WahaError, WahaKeyRefused
from waha.payloads import SessionInfo

_TIMEOUTS = Timeouts(listing=5.0)
_SLOW = timedelta(seconds=2)


def checks(checkup: Checkup) -> dict[str, Check]:
    """One for each server of the settings."""
    servers = checkup.settings.waha.servers
    return {f"waha.{name}": partial(_server, name, table) for name, table in servers.items()}


async def _server(name: str, table: WahaServer, checkup: Checkup) -> AsyncIterator[Finding]:
    async with WahaClient(table.url, table.api_key.get_secret_value(), timeouts=_TIMEOUTS) as waha:
        try:
            told = await waha.introduce()
            yield _reached(name, table, told.seconds)
            yield doctor_waha.version(name, told.version)
            if told.clock is not None:
                yield doctor.clock_of(f"waha.{name}.clock", f"WAHA server {name}", checkup.now(), told.clock)
            is_administrator, disks, listed = await asyncio.gather(
                waha.is_administrator(), waha.disks(), waha.list_sessions()
            )
        except WahaError as error:
            yield _refused(name, table, error)
            return
    yield doctor_waha.key_scope(name, is_administrator=is_administrator)
    yield doctor_waha.disks(name, disks)
    if checkup.has_database:
        async for finding in _told(name, table, {info.name: info for info in listed}, checkup):
            yield finding


def _reached(name: str, table: WahaServer, seconds: float) -> Finding:
    said = f"WAHA answers at {table.url} in {seconds * 1000:.0f} ms."
    if seconds > _SLOW.total_seconds():
        return warn(
            f"waha.{name}.reached", said, "see how loaded its machine is: memory first, then the number of sessions"
        )
    return ok(f"waha.{name}.reached", said)


def _refused(name: str, table: WahaServer, error: WahaError) -> Finding:
    key = set_to("waha", "servers", name, "api_key")
    if isinstance(error, WahaKeyRefused):
        return bad(
            f"waha.{name}.key",
            f"WAHA at {table.url} refuses our key (HTTP {error.http_status}).",
            f"{key} to WAHA's WAHA_API_KEY; while that is empty or weak, WAHA makes another at each start: set one",
        )
    address = set_to("waha", "servers", name, "url")
    if isinstance(error, NotWaha):
        return bad(f"waha.{name}.reached", f"What answers at {table.url} is not WAHA.", f"{address} to that of WAHA")
    fix = f"start WAHA (`docker ps` on its machine shows whether it runs), or {address}"
    return bad(f"waha.{name}.reached", f"WAHA does not answer at {table.url}: {error.sentence}", fix)


async def _told(
    name: str, table: WahaServer, seen: Mapping[str, SessionInfo], checkup: Checkup
) -> AsyncIterator[Finding]:
    """Whether what happens in the sessions is told to us."""
    wanted = await in_database(observing.sessions_of, name)
    kept = await in_database(doctor.known_server, name)
    key = table.webhook_hmac_key.get_secret_value()
    is_set = bool(key)
    if not key and checkup.ring is not None:
        try:
            key = doctor.kept_webhook_key(kept, checkup.ring)
        except CannotDecrypt:
            yield bad(
                f"waha.{name}.webhook", "The HMAC key that was made cannot be read.", "mend `security.keys` first"
            )
    yield doctor_waha.sessions(name, seen, wanted)
    for finding in doctor_waha.webhooks(name, Expected(table.webhook_url, key, is_set), seen, wanted):
        yield finding
    probed = await probe(table.webhook_url, key or "-")
    working = _working(seen, {one.external_session_id for one in wanted if not one.is_deleted}, table.webhook_url)
    arrived = Arrival(
        url=table.webhook_url,
        works=working.count,
        heard_at=kept.heard_at if kept is not None else None,
        active_at=working.active_at,
        probe=probed.outcome,
        why=probed.why,
        is_registered=working.is_registered,
    )
    yield doctor_waha.arrival(name, arrived, now=checkup.now())


@dataclass(frozen=True)
class _Working:
    count: int
    active_at: datetime | None
    is_registered: bool


def _working(seen: Mapping[str, SessionInfo], ours: set[str], url: str) -> _Working:
    found = [info for name, info in seen.items() if name in ours and info.waha_status == "WORKING"]
    times = [info.last_activity_at for info in found if info.last_activity_at is not None]
    is_registered = any(doctor_waha.posts_to(info.config, url) for info in found)
    return _Working(len(found), max(times, default=None), is_registered)
