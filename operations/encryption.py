"""Secrets in rows: AES-GCM, bound to their table, column and row, under a list of keys that can be changed.

A value moved to another row or column does not decrypt. The first key encrypts, all decrypt; the envelope
`v1.<key id>.<base64 of nonce and ciphertext>` says which.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = "v1."
_NONCE_BYTES = 12


class CannotDecrypt(Exception):
    """None of the keys opens it: the key was removed from the settings, or the value was moved or changed."""


class KeyRing:
    """The keys of an installation, 32 bytes each."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("At least one encryption key is needed.")
        self._ciphers = ciphers_of(keys)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.current())} keys)"

    def current(self) -> Mapping[str, AESGCM]:
        """The keys by their ids, the one that encrypts first."""
        return self._ciphers

    @property
    def key_ids(self) -> tuple[str, ...]:
        """What envelopes and people call the keys; nothing of a key shows in its id."""
        return tuple(self.current())

    def encrypt(self, secret: bytes, *, table: str, column: str, row: UUID) -> str:
        key_id, cipher = next(iter(self.current().items()))
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + cipher.encrypt(nonce, secret, _bound_to(table, column, row))
        return f"{VERSION}{key_id}.{base64.b64encode(sealed).decode()}"

    def decrypt(self, envelope: str, *, table: str, column: str, row: UUID) -> bytes:
        """The secret in an envelope.

        Raises:
            CannotDecrypt: no key fits, or it was not encrypted for this place.
        """
        version, _, rest = envelope.partition(".")
        key_id, _, sealed = rest.partition(".")
        cipher = self.current().get(key_id)
        if f"{version}." != VERSION or cipher is None:
            raise CannotDecrypt(f"No encryption key of the settings opens {table}.{column} of row {row}.")
        try:
            raw = base64.b64decode(sealed, validate=True)
            return cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound_to(table, column, row))
        except (InvalidTag, ValueError) as error:
            raise CannotDecrypt(f"{table}.{column} of row {row} was changed, or moved from another row.") from error


_ring: KeyRing | None = None


def use_keys(ring: KeyRing | None) -> None:
    """From here on this process seals and opens with these keys; None: with none any more."""
    global _ring  # noqa: PLW0603 - one a process, like `database`
    _ring = ring


def keys() -> KeyRing:
    """The keys of this process.

    Raises:
        RuntimeError: the process has not said which they are.
    """
    if _ring is None:
        raise RuntimeError("No encryption keys are open: a process calls operations.keys.open_keys when it starts.")
    return _ring


def seal(secret: str, *, table: str, column: str, row: UUID) -> str:
    """The envelope of a secret, for the column of this row alone.

    `operations.sealed_columns` names every column that holds one, so that a change of keys finds it.
    """
    return keys().encrypt(secret.encode(), table=table, column=column, row=row)


def unseal(envelope: str, *, table: str, column: str, row: UUID) -> str:
    """What `seal` was given.

    Raises:
        CannotDecrypt: no key of this process fits, or the envelope was sealed for another place.
    """
    return keys().decrypt(envelope, table=table, column=column, row=row).decode()


def ciphers_of(keys: Sequence[bytes]) -> dict[str, AESGCM]:
    return {key_id_of(key): AESGCM(key) for key in keys}


def key_id_of(key: bytes) -> str:
    return hashlib.sha256(b"switchboard key id" + key).hexdigest()[:8]


def _bound_to(table: str, column: str, row: UUID) -> bytes:
    return f"{table}/{column}/{row}".encode()
