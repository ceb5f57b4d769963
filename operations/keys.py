"""Where the keys for secrets come from: the settings, or a file beside the embedded data."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from database import connection, transaction
from models import uuid7
from operations.encryption import KeyRing, ciphers_of, key_id_of, use_keys
from operations.sql import changed, value
from settings import Settings, SettingsError

KEY_BYTES = 32


class KeyFile(KeyRing):
    """The keys in a file, one a line; what another process puts in front counts here from then on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_at = (-1, -1)
        super().__init__(_read(path))

    def current(self) -> Mapping[str, AESGCM]:
        """Read again when the file was replaced. Without the file, with what was read last."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return self._ciphers
        # Replaced twice within a tick of the clock it is another file all the same.
        changed_at = (found.st_mtime_ns, found.st_ino)
        if changed_at != self._read_at:
            self._ciphers, self._read_at = ciphers_of(_read(self.path)), changed_at
        return self._ciphers


def first_key_of(settings: Settings) -> str:
    """The id of the key that a process with these settings encrypts with; "" where they share a file."""
    keys = settings.security.raw_keys
    return key_id_of(keys[0]) if keys else ""


def ring_of(settings: Settings) -> KeyRing:
    """The keys that this installation uses.

    Raises:
        SettingsError: the file of keys cannot be read.
    """
    if settings.security.encryption_keys:
        return KeyRing(settings.security.raw_keys)
    path = key_file_beside(settings.database.data_dir)
    try:
        make_first_key(path)
        return KeyFile(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SettingsError([f"the encryption keys cannot be read from {path}: {reason}"]) from None


def open_keys(settings: Settings) -> KeyRing:
    """Let this process seal and open secrets; the database is open.

    Raises:
        SettingsError: a key is missing that secrets are encrypted under.
    """
    ring = ring_of(settings)
    with connection(), transaction():
        put_in_use(ring.key_ids[0])
        missing = value(
            "SELECT string_agg(key_id, ', ' ORDER BY key_id) FROM keys_in_use "
            "WHERE retired_at IS NULL AND key_id <> ALL (%s)",
            (list(ring.key_ids),),
        )
    if missing:
        sentence = f"security.encryption_keys lacks a key that was used: {missing}. Put it back behind the others; "
        raise SettingsError([f"{sentence}`make rotate-keys` says when it is no longer needed"])
    use_keys(ring)
    return ring


def put_in_use(key_id: str) -> None:
    """Remember, before anything is encrypted under a key, that the key is needed."""
    changed(
        "INSERT INTO keys_in_use (id, key_id) VALUES (%s, %s) "
        "ON CONFLICT (key_id) DO UPDATE SET retired_at = NULL WHERE keys_in_use.retired_at IS NOT NULL",
        (uuid7(), key_id),
    )


def key_file_beside(data_dir: Path) -> Path:
    """The file of an installation with the embedded PostgreSQL, for its owner's eyes."""
    return data_dir.parent / f"{data_dir.name}.key"


def keys_beside(data_dir: Path) -> list[bytes]:
    """The keys beside the embedded data; the first is made when there is none."""
    path = key_file_beside(data_dir)
    make_first_key(path)
    return _read(path)


def make_first_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(path, [os.urandom(KEY_BYTES)])
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def put_new_key_in_front(path: Path) -> None:
    """Encrypt under a new key from now on; those that were there go on decrypting.

    It is known to be needed before it encrypts, and is in the file before it is needed: whoever starts in between, or
    after a crash there, has it.
    """
    key, others = os.urandom(KEY_BYTES), _read(path)
    _draft(path, [*others, key]).replace(path)
    with transaction():
        put_in_use(key_id_of(key))
    _draft(path, [key, *others]).replace(path)


def _draft(path: Path, keys: Sequence[bytes]) -> Path:
    """A file of keys, made whole under another name first: nobody may read half a key."""
    draft = path.with_suffix(f".{os.getpid()}.{os.urandom(4).hex()}")
    draft.touch(mode=0o600)
    with draft.open("wb") as file:
        file.write(b"".join(base64.b64encode(key) + b"\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())  # what it encrypts is in the database, which survives a power cut
    return draft


def _read(path: Path) -> list[bytes]:
    try:
        found = [base64.b64decode(line, validate=True) for line in path.read_bytes().split()]
    except binascii.Error:
        found = []
    if not found or any(len(key) != KEY_BYTES for key in found):
        raise ValueError(f"it must hold {KEY_BYTES} random bytes in base64 on each line")
    return found
