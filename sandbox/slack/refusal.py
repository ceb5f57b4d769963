"""How the simulator says no: to a program as Slack does, to a person in a sentence."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


class Refusal(Exception):
    """Slack's `{"ok": false, "error": …}`, with whatever else belongs in the answer."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.more = more

    def as_json(self) -> Json:
        """The answer's body."""
        return {"ok": False, "error": self.error, **self.more}


class SandboxError(Exception):
    """What a person asked for cannot be done in Slack either; the message says why."""


def invalid_arguments(*reasons: str) -> Refusal:
    """Slack's answer to a missing or malformed argument."""
    return Refusal("invalid_arguments", response_metadata={"messages": [f"[ERROR] {reason}" for reason in reasons]})
