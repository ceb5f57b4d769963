"""What stands in angle brackets in Slack's texts: `<@U…>`, `<#C…|name>`, `<!here>`, `<https://…|label>`.

A `<` that a person typed arrives as `&lt;`, so brackets are always Slack's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["user", "channel", "group", "broadcast", "date", "link"]

PATTERN = r"<[^<>\n]*>"

_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
_ENTITY = re.compile("&(?:amp|lt|gt);")
_KINDS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"@([UW][A-Z0-9]+)"), "user"),
    (re.compile(r"#([CGD][A-Z0-9]+)"), "channel"),
    (re.compile(r"!subteam\^(S[A-Z0-9]+)"), "group"),
    (re.compile(r"!(here|channel|everyone)"), "broadcast"),
    (re.compile(r"!(.*)", re.DOTALL), "date"),
)
_NOT_DIGITS = re.compile(r"[^0-9]")


@dataclass(frozen=True, slots=True)
class Reference:
    """`target` is the id, the broadcast's word or the whole address; `label` is "" when Slack gave none."""

    kind: Kind
    target: str
    label: str

    @property
    def address(self) -> str:
        """A link's address as people write it: without `mailto:` and `tel:`."""
        return self.target.removeprefix("mailto:").removeprefix("tel:")

    @property
    def repeats_itself(self) -> bool:
        """Whether Slack made the link from the typed label: `example.com`, `+49 151 23`."""
        if self.target.startswith("tel:"):
            return _NOT_DIGITS.sub("", self.target) == _NOT_DIGITS.sub("", self.label)
        return self.target.rstrip("/") in {f"http://{self.label}", f"https://{self.label}", f"mailto:{self.label}"}


def parse(text: str) -> Reference:
    """`<#C123|support>` -> Reference("channel", "C123", "support"). Whatever has no mark in front is a link."""
    target, _, label = text[1:-1].partition("|")
    for pattern, kind in _KINDS:
        if found := pattern.fullmatch(target):
            return Reference(kind, found[1], unescape(label))
    return Reference("link", unescape(target), unescape(label))


def unescape(text: str) -> str:
    """The typed characters behind `&amp;`, `&lt;` and `&gt;`, each once: `&amp;lt;` is a typed `&lt;`."""
    return _ENTITY.sub(lambda entity: _ENTITIES[entity[0]], text)
