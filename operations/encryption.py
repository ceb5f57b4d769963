"""Secrets in rows: AES-GCM, bound to their table, column and row, under a list of keys that can be changed.

A value moved to another row or column does not decrypt. The first key encrypts, all decrypt; the envelope
`v1.<key id>.<base64 of nonce and ciphertext>` says which.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class CannotDecrypt(Exception):
    """None of the keys opens it: the key was removed from the settings, or the value was moved or changed."""


class KeyRing:
    """The keys of an installation, 32 bytes each."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("At least one encryption key is needed.")
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}

    def __repr__(self) -> str:
        return f"KeyRing({len(self._ciphers)} keys)"

    def encrypt(self, secret: bytes, *, table: str, column: str, row: UUID) -> str:
        key_id, cipher = next(iter(self._ciphers.items()))
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + cipher.encrypt(nonce, secret, _bound_to(table, column, row))
        return f"v1.{key_id}.{base64.b64encode(sealed).decode()}"

    def decrypt(self, envelope: str, *, table: str, column: str, row: UUID) -> bytes:
        """The secret in an envelope.

        Raises:
            CannotDecrypt: no key fits, or it was not encrypted for this place.
        """
        version, _, rest = envelope.partition(".")
        key_id, _, sealed = rest.partition(".")
        cipher = self._ciphers.get(key_id)
        if version != "v1" or cipher is None:
            raise CannotDecrypt(f"No encryption key of the settings opens {table}.{column}.")
        try:
            raw = base64.b64decode(sealed, validate=True)
            return cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound_to(table, column, row))
        except (InvalidTag, ValueError) as error:
            raise CannotDecrypt(f"{table}.{column} was changed, or moved from another row.") from error


def keys_beside(data_dir: Path) -> list[bytes]:
    """The key of an installation with the embedded PostgreSQL: made once, beside its data, for its owner's eyes."""
    path = data_dir.parent / f"{data_dir.name}.key"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Made whole under another name first: two processes may start at once, and neither may read half a key.
    draft = path.with_suffix(f".{os.getpid()}.{os.urandom(4).hex()}")
    draft.touch(mode=0o600)
    with draft.open("wb") as file:
        file.write(base64.b64encode(os.urandom(32)))
        file.flush()
        os.fsync(file.fileno())  # what it encrypts is in the database, which survives a power cut
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return [base64.b64decode(path.read_bytes())]


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"switchboard key id" + key).hexdigest()[:8]


def _bound_to(table: str, column: str, row: UUID) -> bytes:
    return f"{table}/{column}/{row}".encode()
