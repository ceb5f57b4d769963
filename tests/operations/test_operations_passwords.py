"""What a password must be, and that only the right one fits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.passwords import MOST_BYTES, fits, hashed, normal, refusal_of

CHEAP = 4
GOOD = "umbrella kettle Tuesday"


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "has 0 characters; at least 12"),
        ("x", "has 1 character; at least 12"),
        ("umbrella ke", "has 11 characters; at least 12"),
        ("u" * 60 + "mbrella kettl", "has 73 bytes; at most 72"),
        ("ä" * 30 + "ö" * 7, "has 74 bytes; at most 72"),
        ("umbrella\0kettle", "no keyboard types"),
        ("umbrella\ud800kettle", "no keyboard types"),
        ("abababababababab", "repeats too few characters"),
        ("Password 1234", "among the first that others would try"),
        ("Ana@Example.ORG", "among the first that others would try"),
        ("anabergstrom", "among the first that others would try"),
    ],
)
def test_what_is_no_password_is_refused_with_what_would_be(password: str, why: str) -> None:
    assert why in refusal_of(password, about=("ana@example.org", "Ana Bergstrom", "Acme"))


@pytest.mark.parametrize("password", [GOOD, "x" * 66 + "abcdef", "Zwölf Löffel", "пароль из слов"])
def test_what_is_long_enough_and_not_obvious_is_taken(password: str) -> None:
    assert refusal_of(password, about=("ana@example.org", "Ana", "")) == ""


def test_an_accent_is_the_same_however_a_keyboard_writes_it() -> None:
    assert normal("Zwo\u0308lf Lo\u0308ffel") == normal("Zwölf Löffel")


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=90), st.text(max_size=90))
def test_only_the_same_password_fits_and_nothing_raises(entered: str, chosen: str) -> None:
    entered, chosen = normal(entered), normal(chosen)
    is_taken = refusal_of(chosen, about=()) == ""
    known = chosen if is_taken else GOOD

    assert fits(entered, hashed(known, cost=CHEAP)) is (entered == known)
    assert fits(known, hashed(known, cost=CHEAP))


def test_what_goes_on_behind_72_bytes_does_not_fit() -> None:
    longest = "abcdefgh" * (MOST_BYTES // 8)

    assert fits(longest, hashed(longest, cost=CHEAP))
    assert not fits(longest + "x", hashed(longest, cost=CHEAP))


def test_a_hash_says_what_it_costs() -> None:
    assert hashed(GOOD).startswith("$2b$12$")
