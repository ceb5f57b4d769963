"""The few kinds of rule that the table of Block Kit limits is written in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Node(Protocol):
    """One rule: it yields what is wrong with a value, each reason with the path where it is."""

    def problems(self, value: object, path: str) -> Iterator[str]:
        """Slack's sentences, without the `[ERROR]` in front."""
        ...


class Anything:
    """No limit is known, or none matters here."""

    def problems(self, value: object, path: str) -> Iterator[str]:  # noqa: ARG002
        """Nothing."""
        return iter(())


anything = Anything()


@dataclass(frozen=True)
class Chars:
    """A string of limited length."""

    most: int
    least: int = 1

    def problems(self, value: object, path: str) -> Iterator[str]:
        """Too long, too short, or not a string at all."""
        if not isinstance(value, str):
            yield f"must be a string [json-pointer:{path}]"
        elif len(value) > self.most:
            yield f"must be less than {self.most + 1} characters [json-pointer:{path}]"
        elif len(value) < self.least:
            yield f"must be more than {self.least - 1} characters [json-pointer:{path}]"


@dataclass(frozen=True)
class Number:
    """A whole number between two others."""

    least: int
    most: int

    def problems(self, value: object, path: str) -> Iterator[str]:
        """Outside, or not a number."""
        if not isinstance(value, int) or not self.least <= value <= self.most:
            yield f"must be a number from {self.least} to {self.most} [json-pointer:{path}]"


class Choice:
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def problems(self, value: object, path: str) -> Iterator[str]:
        """Any other word."""
        if value not in self.words:
            yield f"must be one of: {', '.join(self.words)} [json-pointer:{path}]"


@dataclass(frozen=True)
class Items:
    """A list, not empty and not too long."""

    most: int
    item: Node

    def problems(self, value: object, path: str) -> Iterator[str]:
        """The list's own length, then its items."""
        if not isinstance(value, list):
            yield f"must be an array [json-pointer:{path}]"
            return
        if not value:
            yield f"no less than 1 items allowed [json-pointer:{path}]"
        if len(value) > self.most:
            yield f"no more than {self.most} items allowed [json-pointer:{path}]"
        for index, item in enumerate(value):
            yield from self.item.problems(item, f"{path}/{index}")


@dataclass(frozen=True)
class Shape:
    """An object with known fields: Slack refuses unknown ones. Of `one_of` at least one must be there."""

    fields: Mapping[str, Node]
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()

    def problems(self, value: object, path: str, also: Mapping[str, Node] | None = None) -> Iterator[str]:
        """Missing, unknown and wrong fields; `also` are fields that the surroundings allow."""
        if not isinstance(value, dict):
            yield f"must be an object [json-pointer:{path}]"
            return
        known = {**self.fields, **(also or {})}
        for name in self.required:
            if value.get(name) is None:
                yield f"missing required field: {name} [json-pointer:{path}]"
        if self.one_of and not any(value.get(name) for name in self.one_of):
            yield f"must provide one of: {', '.join(self.one_of)} [json-pointer:{path}]"
        for name, content in value.items():
            if name not in known:
                yield f"invalid additional property: {name} [json-pointer:{path}]"
            elif content is not None:
                yield from known[name].problems(content, f"{path}/{name}")


@dataclass(frozen=True)
class Kinds:
    """An object whose `type` decides which rule holds."""

    rules: Mapping[str, Node]
    also: Mapping[str, Node] = field(default_factory=dict)

    def problems(self, value: object, path: str) -> Iterator[str]:
        """An unsupported type, or whatever the rule of that type finds."""
        if not isinstance(value, dict):
            yield f"must be an object [json-pointer:{path}]"
            return
        rule = self.rules.get(str(value.get("type")))
        if rule is None:
            yield f"unsupported type: {value.get('type')} [json-pointer:{path}/type]"
        elif isinstance(rule, Shape):
            yield from rule.problems(value, path, also={"type": anything, **self.also})
        else:
            yield from rule.problems(value, path)
