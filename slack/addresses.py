"""Which addresses may be called. Those that arrive in a payload are somebody else's word for where to send things."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from yarl import URL

from slack.errors import refused

if TYPE_CHECKING:
    from collections.abc import Callable

HOOK_HOSTS = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
FILE_DOMAINS = (".slack.com", ".slack-gov.com", ".slack-files.com")


def is_loopback(url: URL) -> bool:
    """Whether `url` stays on this machine, as a simulated Slack does."""
    host = url.host or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hook_url(text: str, *, api_url: URL) -> URL:
    """The `response_url` of a command or click, if it is Slack's (or on loopback when the whole Slack is).

    Raises:
        SlackRefused: it leads anywhere else.
    """
    return _checked("respond", text, api_url, lambda host: host in HOOK_HOSTS, "foreign_response_url")


def file_url(text: str, *, api_url: URL) -> URL:
    """The `url_private_download` of a file, if the token may be shown to its host.

    Raises:
        SlackRefused: it leads anywhere else.
    """
    return _checked("download", text, api_url, lambda host: host.endswith(FILE_DOMAINS), "foreign_file_url")


def _checked(method: str, text: str, api_url: URL, is_allowed: Callable[[str], bool], reason: str) -> URL:
    try:
        url = URL(text)
        is_https = url.scheme == "https" and url.port == 443 and url.user is None  # noqa: PLR2004 - https has one port
    except ValueError as error:
        raise refused(method, reason) from error
    if is_https and is_allowed(url.host or ""):
        return url
    if is_loopback(api_url) and is_loopback(url) and url.scheme in {"http", "https"}:
        return url
    raise refused(method, reason)
