"""Types of single values. A refusal never repeats the value, since it may be a secret."""

from __future__ import annotations

import base64
import binascii
import re
from ipaddress import ip_network
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr

EMBEDDED = "embedded"
KEY_BYTES = 32  # AES-256
CRON_FIELD = r"[0-9A-Za-z*/,#-]+"


def _starts_like(text: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(text)
        port_is_sound = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.netloc) and port_is_sound


def _web_address(text: str) -> str:
    if not _starts_like(text, "http", "https"):
        raise ValueError("must be an address that starts with http:// or https://")
    return text.rstrip("/")


def _public_address(text: str) -> str:
    """Passwords are entered there, and cookies told."""
    if not text:
        return text
    address = _web_address(text)
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
        raise ValueError("must start with https://, since people enter passwords there; http:// is for 127.0.0.1 only")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("must be an address alone, such as https://switchboard.example.com")
    return address


def _network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError as error:
        raise ValueError("must be an address or a network, such as 10.0.0.7 or 10.0.0.0/24") from error
    return text


def _with_slash(text: str) -> str:
    return f"{_web_address(text)}/"


def _postgres_address(secret: SecretStr) -> SecretStr:
    if not _starts_like(secret.get_secret_value(), "postgresql", "postgres"):
        raise ValueError("must be postgresql://user:password@host:5432/name")
    return secret


def _secret_web_address(secret: SecretStr) -> SecretStr:
    if secret.get_secret_value():
        _web_address(secret.get_secret_value())
    return secret


def _database_address(secret: SecretStr) -> SecretStr:
    return secret if secret.get_secret_value() == EMBEDDED else _postgres_address(secret)


def _owner_address(secret: SecretStr) -> SecretStr:
    return _postgres_address(secret) if secret.get_secret_value() else secret


def _encryption_key(secret: SecretStr) -> SecretStr:
    try:
        size = len(base64.b64decode(secret.get_secret_value(), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if size != KEY_BYTES:
        raise ValueError(f"must be {KEY_BYTES} random bytes in base64: `openssl rand -base64 {KEY_BYTES}` makes one")
    return secret


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError("must be the name of a time zone such as Europe/Berlin") from error
    return name


def _like(pattern: str, sentence: str) -> AfterValidator:
    """Check the whole text, and refuse in words where pydantic would print the bare pattern."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(sentence)
        return text

    return AfterValidator(check)


WebAddress = Annotated[str, AfterValidator(_web_address)]
# Whoever knows the address of a chat's webhook may write there.
SecretAddress = Annotated[SecretStr, AfterValidator(_secret_web_address)]
PublicAddress = Annotated[str, AfterValidator(_public_address)]
ProxyNetwork = Annotated[str, AfterValidator(_network)]
# slack_sdk joins the method's name to its base address without adding the slash.
ApiAddress = Annotated[str, AfterValidator(_with_slash)]
DatabaseAddress = Annotated[SecretStr, AfterValidator(_database_address)]
OwnerAddress = Annotated[SecretStr, AfterValidator(_owner_address)]
EncryptionKey = Annotated[SecretStr, AfterValidator(_encryption_key)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
CronSchedule = Annotated[
    str, _like(rf"{CRON_FIELD}( {CRON_FIELD}){{4}}", 'must be five cron fields such as "0 9 * * 1-5"')
]
SlashCommand = Annotated[str, _like(r"/[a-z0-9_-]{1,31}", "must be / and up to 31 small letters, digits, - or _")]
TeamId = Annotated[str, _like(r"[TE][A-Z0-9]+", "must be a Slack team id such as T024BE7LD")]
OperatorId = Annotated[
    str, _like(r"[TE][A-Z0-9]+/[UW][A-Z0-9]+", "must be a team id and a user id such as T024BE7LD/U2147483697")
]
ServerName = Annotated[str, _like(r"[a-z0-9-]+", "the name of a server is made of small letters, digits and -")]
# Zero would spin or never wait; whoever wants it short writes a fraction.
Duration = Annotated[float, Field(gt=0, allow_inf_nan=False)]
