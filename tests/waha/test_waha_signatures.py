from __future__ import annotations

import pytest

from waha.webhooks import verify

KEY = "my-secret-key"
# From WAHA's documentation.
SIGNED_BODY = b'{"event":"message","session":"default","engine":"WEBJS"}'
SIGNATURE = (
    "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8"
    "097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89"
)


@pytest.mark.parametrize("algorithm", ["sha512", None])
def test_the_documented_signature_verifies(algorithm: str | None) -> None:
    assert verify(SIGNED_BODY, SIGNATURE, algorithm, KEY)


@pytest.mark.parametrize(
    ("raw", "signature", "algorithm", "key"),
    [
        (SIGNED_BODY + b" ", SIGNATURE, "sha512", KEY),
        (SIGNED_BODY, SIGNATURE[:-1] + "8", "sha512", KEY),
        (SIGNED_BODY, SIGNATURE[:-1], "sha512", KEY),
        (SIGNED_BODY, SIGNATURE, "sha512", "another"),
        (SIGNED_BODY, SIGNATURE, "sha512", ""),
        (SIGNED_BODY, SIGNATURE, "sha256", KEY),
        (SIGNED_BODY, SIGNATURE, "none", KEY),
        (SIGNED_BODY, None, "sha512", KEY),
        (SIGNED_BODY, "", "sha512", KEY),
        (SIGNED_BODY, "schön\udc80", "sha512", KEY),
    ],
)
def test_anything_else_does_not_verify(raw: bytes, signature: str | None, algorithm: str | None, key: str) -> None:
    assert not verify(raw, signature, algorithm, key)
