"""Secrets in what was typed: a command stays in Slack's own logs, where nobody can take it back."""

from __future__ import annotations

import re

from operations.errors import BadInput

# What each looks like, and where it is made worthless.
_SECRETS = (
    (re.compile(r"\b(?:xox[a-z]|xapp|xwfp)[-.][\w.-]{6,}"), "a Slack token", "the page of the Slack app"),
    (re.compile(r"\b(?:Bearer|Basic)\s+[\w.~+/=-]{16,}", re.IGNORECASE), "a key of an API", "the system it belongs to"),
    (re.compile(r"(?:--|[\u2014\u2013])password[ =]\s*\S", re.IGNORECASE), "a password", "the system it belongs to"),
    (re.compile(r"(?<=://)[^\s:/@]+:[^\s/@]+@"), "an address with a password", "the system it belongs to"),
    # Without a scheme only before a host with a port: people write times and addresses of all kinds to customers.
    (re.compile(r"[^\s:/@]+:\S+@[\w.-]+:\d+"), "an address with a password", "the system it belongs to"),
)


def refuse_secrets(typed: str) -> None:
    """Raises: BadInput: there is a secret in the command. It is not repeated, and nothing is done with it."""
    for shape, what, where in _SECRETS:
        if shape.search(typed):
            raise BadInput(
                f"Nothing was done: this holds {what}, and what is typed as a command stays in Slack's logs. "
                f"Take it back at {where} and make a new one. A secret is entered in a form or in the environment of "
                "the bot, never in a command."
            )
