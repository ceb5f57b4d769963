"""What a session is configured with besides what all are: so far a proxy, whose password is kept encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from operations.encryption import seal, unseal

_PLACE: dict[str, Any] = {"table": "waha_sessions", "column": "config"}


def sealed_config(config: Mapping[str, Any], session_id: UUID) -> dict[str, Any]:
    """A session's config as its row holds it."""
    return _with_password(config, lambda password: seal(password, row=session_id, **_PLACE))


def opened_config(kept: Mapping[str, Any], session_id: UUID) -> dict[str, Any]:
    """A session's config as WAHA is told it.

    Raises:
        CannotDecrypt: none of the keys opens the password.
    """
    return _with_password(kept, lambda envelope: unseal(envelope, row=session_id, **_PLACE))


def _with_password(config: Mapping[str, Any], changed: Any) -> dict[str, Any]:
    proxy = config.get("proxy")
    if not isinstance(proxy, Mapping) or not isinstance(proxy.get("password"), str):
        return dict(config)
    return {**config, "proxy": {**proxy, "password": changed(proxy["password"])}}
