"""What is made of a WAHA server's answers by a check-up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from operations.doctor import spoken
from operations.findings import Finding, bad, ok, warn
from operations.observing import Wanted
from operations.wording import counted
from settings.keys import variable_of
from waha.loose_json import Object, mapping, rows, text
from waha.payloads import Disk, ServerVersion, SessionInfo
from waha.versions import FIRST_WITH_IDS, parse_version
from waha.webhooks import SUBSCRIBED_EVENTS

_GIGABYTE = 1024**3
# Core of before had one session, no HMAC and no health check.
_FIRST_WITH_ALL = (2026, 6, 1)
# By engine: the versions that are known to be broken, and what of them.
_TROUBLED: Mapping[str, Mapping[tuple[int, ...], str]] = {
    "NOWEB": {(2026, 7, 1): "since 28 July 2026 its sessions start and fail at once"},
}
_MENDED_WEBJS = (2026, 7, 1)
# A webhook is tried again for a while, and a poll is not a webhook: only what is older tells something.
_ON_ITS_WAY = timedelta(minutes=2)
_NAMED = 3
_WORKING = "WORKING"


def variable(server: str, key: str) -> str:
    return f"waha.servers.{server}.{key} ({variable_of(('waha', 'servers', server, key))})"


def version(server: str, told: ServerVersion) -> Finding:
    check, engine = f"waha.{server}.version", told.engine or "an unknown engine"
    said = f"WAHA {told.version} with {engine}."
    numbers = parse_version(told.version)
    update = "update WAHA: pull a newer image and start its container again; sessions and pairings stay"
    if numbers is None:
        return warn(check, f"{said} The version cannot be read.", "see what `GET /api/server/version` answers there")
    if numbers < _FIRST_WITH_ALL:
        return bad(check, f"{said} Before 2026.6.1 there is one session, and webhooks are not signed.", update)
    if trouble := _TROUBLED.get(engine, {}).get(numbers):
        return bad(check, f"{said} Known trouble: {trouble}.", update)
    if engine == "WEBJS" and numbers < _MENDED_WEBJS:
        return warn(check, f"{said} Before 2026.7.1 it reads ids of messages that WhatsApp renamed.", update)
    if engine not in {"GOWS", "NOWEB"} or numbers < FIRST_WITH_IDS:
        fix = "use GOWS (WHATSAPP_DEFAULT_ENGINE=GOWS there) where that matters; accounts have to be linked again then"
        return warn(check, f"{said} It takes no id for a message: what ends unknown is put to a person.", fix)
    return ok(check, said)


def key_scope(server: str, *, is_administrator: bool | None) -> Finding:
    check = f"waha.{server}.key"
    if is_administrator is False:
        return bad(
            check,
            "The key is bound to a session: sessions cannot be added or removed with it, nor all be listed.",
            f"set {variable(server, 'api_key')} to the key that WAHA was started with (WAHA_API_KEY)",
        )
    if is_administrator is None:
        return ok(check, "WAHA takes our key; this version has one key for everything.")
    return ok(check, "WAHA takes our key, which may do everything.")


def disks(server: str, found: Sequence[Disk] | None) -> Finding:
    check = f"waha.{server}.disk"
    if not found:
        return ok(check, "WAHA tells nothing of its disks.")
    said = ", ".join(f"{one.name} {(one.free or 0) / _GIGABYTE:.1f} GB free" for one in found)
    if any(not one.is_up for one in found):
        fix = "make room on WAHA's disk: media lie in /tmp/whatsapp-files, sessions in /app/.sessions"
        return bad(check, f"WAHA calls itself ill: {said}.", fix)
    if any(one.free is not None and one.threshold and one.free < 2 * one.threshold for one in found):
        fix = "make room on WAHA's disk soon; below its threshold it calls itself ill"
        return warn(check, f"{said}.", fix)
    return ok(check, f"{said}.")


def sessions(server: str, seen: Mapping[str, SessionInfo], wanted: Collection[Wanted]) -> Finding:
    """Rows of ours against WAHA's list."""
    check = f"waha.{server}.sessions"
    live = [one for one in wanted if not one.is_deleted]
    missing = [
        one.external_session_id
        for one in live
        if one.desired_state == "running" and one.external_session_id not in seen
    ]
    others = sorted(set(seen) - {one.external_session_id for one in wanted})
    working = sum(info.waha_status == _WORKING for info in seen.values())
    said = f"{counted(len(seen), 'session')} there, {working} of them working; {len(live)} of ours."
    if missing:
        fix = "they are made again within a poll, and their phones have to scan; see `session list`, then `session qr`"
        return warn(check, f"{said} WAHA does not know {_names(missing)}.", fix)
    foreign = f" Not ours: {_names(others)}; `session adopt WAHA_NAME` takes one over." if others else ""
    return ok(check, said + foreign)


@dataclass(frozen=True)
class Expected:
    """How the webhook of every session of ours has to be. Without a key, that is not compared.

    `key_is_set` is whether the key is one of the settings, or was made for a server whose settings have none.
    """

    url: str
    key: str = field(repr=False)
    key_is_set: bool


def webhooks(
    server: str, expected: Expected, seen: Mapping[str, SessionInfo], wanted: Collection[Wanted]
) -> Iterator[Finding]:
    """Whether each session of ours posts to us, with our key, all that we need."""
    check = f"waha.{server}.webhook"
    ours = [seen[one.external_session_id] for one in wanted if _is_expected(one, seen)]
    by_fault: dict[str, list[str]] = {}
    for info in ours:
        if fault := _fault(info.config, expected):
            by_fault.setdefault(fault, []).append(info.name)
    for fault, names in by_fault.items():
        yield bad(check, f"{_names(names)}: {fault}", _mend(server, expected))
    if not by_fault:
        yield ok(check, f"{counted(len(ours), 'session')} of ours post to {expected.url}, signed with our key.")


def _is_expected(session: Wanted, seen: Mapping[str, SessionInfo]) -> bool:
    return not session.is_deleted and session.desired_state == "running" and session.external_session_id in seen


def _fault(config: Object, expected: Expected) -> str:
    registered = [mapping(one) for one in rows(config.get("webhooks"))]
    if not registered:
        return "no webhook is registered, so nothing that happens there is told."
    ours = next((one for one in registered if text(one, "url") == expected.url), None)
    if ours is None:
        where = _host(text(registered[0], "url") or "")
        return f"the webhook goes to another address, at {where}, not to {expected.url}."
    key = text(mapping(ours, "hmac"), "key")
    if key is None:
        return "the webhook is not signed (no hmac.key), so each is refused with 401."
    if expected.key and key != expected.key:
        return "the webhook is signed with another HMAC key, so each is refused with 401."
    events = ours.get("events")
    told = set(events) if isinstance(events, list) else set()
    if "*" not in told and (missing := [name for name in SUBSCRIBED_EVENTS if name not in told]):
        return f"the webhook leaves out {', '.join(missing)}."
    return ""


def _host(url: str) -> str:
    """Whose it is, and no more: a path or a query may be a secret of theirs."""
    try:
        return urlsplit(url).hostname or "no host"
    except ValueError:
        return "no host"


def _mend(server: str, expected: Expected) -> str:
    key = (
        f"hmac.key that of {variable(server, 'webhook_hmac_key')}"
        if expected.key_is_set
        else f"hmac.key that of {variable(server, 'webhook_hmac_key')}, which you set first: the one that was made for "
        "it is shown to nobody"
    )
    return (
        "a daemon with role `reconciler` puts it right at its next poll, three times a day; if it comes back, find who "
        f"else writes this configuration. By hand, in WAHA's dashboard: {expected.url}, events "
        f"{', '.join(SUBSCRIBED_EVENTS)}, {key}"
    )


@dataclass(frozen=True)
class Arrival:
    """What speaks for or against webhooks of a server arriving.

    Args:
        heard_at: when one last arrived.
        active_at: when WAHA last saw something happen in a session that works; None where none works.
        probe: what became of our own webhook, `taken`, `unreachable`, `key refused` or `not ours`.
        is_registered: whether a session that works posts to just this address.
    """

    url: str
    works: int
    heard_at: datetime | None
    active_at: datetime | None
    probe: str
    why: str = ""
    is_registered: bool = False


def posts_to(config: Object, url: str) -> bool:
    return any(text(mapping(one), "url") == url for one in rows(config.get("webhooks")))


def arrival(server: str, arrived: Arrival, *, now: datetime) -> Finding:
    """Whether webhooks are seen to arrive; our probe proves the address from this machine, what arrives from WAHA's."""
    check = f"waha.{server}.arrival"
    last = "No webhook ever arrived."
    if arrived.heard_at is not None:
        last = f"The last webhook arrived {spoken(now - arrived.heard_at)} ago."
    if arrived.probe == "key refused":
        fix = f"set the same {variable(server, 'webhook_hmac_key')} for all daemons, or empty for all, and restart them"
        whose = "another installation, or a daemon of ours with another key, answers there"
        return bad(check, f"{arrived.url} refuses what is signed with our key: {whose}.", fix)
    if arrived.probe == "not ours":
        fix = (
            f"set {variable(server, 'webhook_url')} to http://THIS-MACHINE:PORT/webhooks/waha/{server}, as WAHA sees it"
        )
        return bad(check, f"No ingress of ours answers at {arrived.url} ({arrived.why}). {last}", fix)
    if _was_missed(arrived, now):
        seen = f", though WAHA saw something happen {spoken(now - arrived.active_at)} ago" if arrived.active_at else ""
        return bad(
            check,
            f"{last[:-1]}{seen}; {arrived.works} of its sessions work. {_proved(arrived)}",
            _reach(server, arrived),
        )
    if arrived.probe == "unreachable":
        fix = f"start a daemon with role `ingress`, or correct {variable(server, 'webhook_url')}"
        # From WAHA's network it can be reached, from here not; what arrived may have come to a former address though.
        is_heard = arrived.heard_at is not None and now - arrived.heard_at < timedelta(minutes=10)
        if is_heard and arrived.is_registered:
            return ok(
                check, f"{last} From this machine {arrived.url} cannot be reached, and sessions that work post to it."
            )
        return warn(check, f"From this machine {arrived.url} cannot be reached ({arrived.why}). {last}", fix)
    return ok(check, f"{last} {_proved(arrived)}")


def _was_missed(arrived: Arrival, now: datetime) -> bool:
    """Something happened long enough ago, and nothing arrived since."""
    if not arrived.works:
        return False
    if arrived.heard_at is None:
        return arrived.active_at is None or now - arrived.active_at > _ON_ITS_WAY
    happened = arrived.active_at
    return happened is not None and happened - arrived.heard_at > _ON_ITS_WAY and now - happened > _ON_ITS_WAY


def _proved(arrived: Arrival) -> str:
    if arrived.probe == "taken":
        return "A signed probe from this machine was taken: address, key and ingress are right."
    return f"From this machine {arrived.url} cannot be reached either ({arrived.why})."


def _reach(server: str, arrived: Arrival) -> str:
    return (
        f"on WAHA's machine (in its container) run `curl -si -X POST {arrived.url}`: 401 means that it gets here; "
        f"anything else means that {variable(server, 'webhook_url')} is no address that WAHA reaches, or that a "
        "firewall is between"
    )


def _names(names: Sequence[str]) -> str:
    left = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + left
