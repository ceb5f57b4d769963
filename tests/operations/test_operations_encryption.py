from __future__ import annotations

import base64
import os
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import uuid7
from operations import servers
from operations.encryption import CannotDecrypt, KeyRing
from operations.keys import keys_beside
from tests.operations.builders import World, together

ROW = UUID("0198c2a4-7d1e-7c3a-9a51-3f2b8c6d1e00")
HERE: dict[str, Any] = {"table": "waha_servers", "column": "webhook_hmac_key", "row": ROW}
OLD, NEW = os.urandom(32), os.urandom(32)


@given(st.binary(max_size=300))
def test_a_secret_comes_back_as_it_was(secret: bytes) -> None:
    ring = KeyRing([OLD])

    assert ring.decrypt(ring.encrypt(secret, **HERE), **HERE) == secret


def test_the_same_secret_never_looks_the_same() -> None:
    ring = KeyRing([OLD])

    assert ring.encrypt(b"secret", **HERE) != ring.encrypt(b"secret", **HERE)


@pytest.mark.parametrize("elsewhere", [{"table": "slack_posts"}, {"column": "payload"}, {"row": uuid7()}])
def test_a_secret_opens_in_its_own_place_only(elsewhere: dict[str, Any]) -> None:
    ring = KeyRing([OLD])
    envelope = ring.encrypt(b"secret", **HERE)

    with pytest.raises(CannotDecrypt, match="was changed, or moved"):
        ring.decrypt(envelope, **HERE | elsewhere)


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    before = KeyRing([OLD]).encrypt(b"secret", **HERE)
    both = KeyRing([NEW, OLD])

    assert both.decrypt(before, **HERE) == b"secret"
    assert KeyRing([NEW]).decrypt(both.encrypt(b"secret", **HERE), **HERE) == b"secret"


def test_a_key_that_was_taken_away_is_missed() -> None:
    envelope = KeyRing([OLD]).encrypt(b"secret", **HERE)

    with pytest.raises(CannotDecrypt, match=r"No encryption key of the settings opens waha_servers\.webhook_hmac_key"):
        KeyRing([NEW]).decrypt(envelope, **HERE)


def damaged(envelope: str) -> list[str]:
    head, _, sealed = envelope.rpartition(".")
    raw = base64.b64decode(sealed)
    return [
        f"{head}.{base64.b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode()}",
        f"{head}.{base64.b64encode(raw[:5]).decode()}",
        f"{head}.{sealed[:-3]}",
        f"{head}.not base64!",
        f"{head}.",
        envelope.replace("v1.", "v2.", 1),
        "",
        "secret",
    ]


@pytest.mark.parametrize("which", range(8))
def test_a_damaged_envelope_is_refused_with_its_place(which: int) -> None:
    ring = KeyRing([OLD])

    with pytest.raises(CannotDecrypt, match=r"waha_servers\.webhook_hmac_key"):
        ring.decrypt(damaged(ring.encrypt(b"secret", **HERE))[which], **HERE)


def test_a_ring_shows_no_key() -> None:
    assert repr(KeyRing([OLD, NEW])) == "KeyRing(2 keys)"


def test_a_ring_without_keys_is_refused() -> None:
    with pytest.raises(ValueError, match="At least one"):
        KeyRing([])


def test_the_key_beside_the_data_is_made_once_and_for_its_owner_alone(world: World, tmp_path: Path) -> None:
    made = together(*[partial(keys_beside, tmp_path / "var" / "postgres")] * 4)

    [path] = (tmp_path / "var").iterdir()
    assert all(keys == made[0] for keys in made)
    assert [len(key) for key in made[0]] == [32]
    assert (path.name, path.stat().st_mode & 0o777) == ("postgres.key", 0o600)


def test_the_key_of_a_servers_webhooks_is_made_once_and_kept_sealed(world: World) -> None:
    ring = KeyRing([OLD])

    made = together(*[partial(servers.webhook_key, "main", ring)] * 4)

    [(sealed,)] = world.sql("SELECT webhook_hmac_key FROM waha_servers")
    assert set(made) == {servers.webhook_key("main", KeyRing([NEW, OLD]))}
    assert made[0] not in sealed
    assert servers.webhook_key("other", ring) != made[0]
