"""What stands between a page and who asks for it: its headers, where a form comes from, how often, which address."""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network

from aiohttp import web
from yarl import URL

from daemon.page_html import STYLE_HASH

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
    "Server": "Switchboard",
}

_COOKIE_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")
_COOKIE_SECONDS = 900
# The part of an IPv6 address that one subscriber has.
_SUBSCRIBER_BITS = 64


class Forms:
    """Tells a form that was sent from our page from one that another page sent.

    The page brings a cookie that no script reads and no other site's form carries along, and in its form a value made
    from that cookie and the link's token. Only who was shown the page has both.
    """

    def __init__(self, address: str) -> None:
        self._address = URL(address) if address else None
        self._is_secure = self._address is not None and self._address.scheme == "https"
        self._cookie = "__Secure-switchboard-page" if self._is_secure else "switchboard-page"

    def cookie_of(self, request: web.Request) -> str:
        """The cookie that the browser has for this link, or a new one."""
        known = request.cookies.get(self._cookie, "")
        return known if _COOKIE_VALUE.fullmatch(known) else secrets.token_urlsafe(32)

    def give(self, response: web.Response, request: web.Request, cookie: str) -> None:
        path = (self._address.path.rstrip("/") if self._address is not None else "") + request.path
        response.set_cookie(
            self._cookie,
            cookie,
            path=path,
            max_age=_COOKIE_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=self._is_secure,
        )

    @staticmethod
    def proof(cookie: str, token: str) -> str:
        return hmac.new(cookie.encode(), token.encode(), "sha256").hexdigest()

    def are_ours(self, request: web.Request, proof: str, token: str) -> bool:
        cookie = request.cookies.get(self._cookie, "")
        return (
            self._is_from_here(request)
            and _COOKIE_VALUE.fullmatch(cookie) is not None
            and hmac.compare_digest(self.proof(cookie, token).encode(), proof.encode("utf-8", "replace"))
        )

    def _is_from_here(self, request: web.Request) -> bool:
        """What the browser itself says of the page that sent the form; an old one says nothing."""
        site = request.headers.get("Sec-Fetch-Site")
        origin = request.headers.get("Origin")
        if site is not None and site != "same-origin":
            return False
        if origin in {None, "null"}:
            # Without a referrer the Origin is null, also from our own page; then the other header has to be there.
            return origin is None or site == "same-origin"
        return origin == self._origin(request)

    def _origin(self, request: web.Request) -> str:
        if self._address is not None and not _is_loopback(self._address.host or ""):
            return str(self._address.origin())
        host = request.url.host or ""
        return f"http://{request.host}" if _is_loopback(host) else ""


class Limit:
    """So many at once, and again so many in a while, for each of a bounded number of keys."""

    def __init__(self, most: int, seconds: float, *, keys: int = 10_000) -> None:
        self._most = most
        self._per_second = most / seconds
        self._keys = keys
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, *, now: float | None = None) -> bool:
        """Whether one more is within the limit; then it is counted."""
        now = time.monotonic() if now is None else now
        left, since = self._left.pop(key, (float(self._most), now))
        left = min(self._most, left + (now - since) * self._per_second)
        is_within = left >= 1
        self._left[key] = (left - 1 if is_within else left, now)
        # Whoever was silent for longest has most of it back.
        while len(self._left) > self._keys:
            self._left.popitem(last=False)
        return is_within


class Addresses:
    """Whose address a request comes from. A proxy's word for it counts only from the proxies of the settings."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._trusted = [ip_network(one) for one in trusted_proxies]

    def of(self, request: web.Request) -> str:
        """The nearest address that is no proxy of ours; of IPv6 the part that one subscriber has."""
        hops = [hop.strip() for line in request.headers.getall("X-Forwarded-For", []) for hop in line.split(",")]
        nearest = request.remote or ""
        while hops and self._is_proxy(nearest):
            nearest = hops.pop()
        return _subscriber(nearest)

    def _is_proxy(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)


def _subscriber(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ip_network((address, _SUBSCRIBER_BITS), strict=False))
    return str(address)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
