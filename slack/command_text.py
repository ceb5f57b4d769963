r"""The text after a slash command, read word by word, so that the rest can be taken as it was typed at any point.

    text = CommandText('send +4915123456789 it\'s "ready"')
    text.word()  # Word("send")
    text.word()  # Word("+4915123456789")
    text.rest()  # it's "ready"

Phones and Macs type curly quotes, and turn `--` into a dash; both are read as what was meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slack import references

if TYPE_CHECKING:
    from collections.abc import Collection

    from slack.references import Reference

_BARE = re.compile(rf"(?:{references.PATTERN}|[^\s<]|<)+")
_OPTION = re.compile(r"(?:--|[\u2014\u2013])([A-Za-z][A-Za-z0-9-]*)(=)?")
_CLOSING = {'"': '"\u201c\u201d\u201e', "'": "'\u2018\u2019\u201a"}
_QUOTED = {
    opening: re.compile(rf"[{marks}]((?:\\.|[^{marks}\\])*)[{marks}](?=\s|$)", re.DOTALL)
    for marks in _CLOSING.values()
    for opening in marks
}
_ESCAPED = re.compile(r"""\\([\\"'\u201c\u201d\u201e\u2018\u2019\u201a])""")


class CommandTextError(ValueError):
    """The text of a command cannot be understood; the message is for the person who typed it."""


class ValueMissing(CommandTextError):
    """An option stands there without its value."""

    def __init__(self, option: str) -> None:
        super().__init__(f"`--{option}` needs a value after it, such as `--{option} something`.")
        self.option = option


@dataclass(frozen=True, slots=True)
class Word:
    """`text` is what the person meant to type: without quotes and brackets, entities resolved."""

    text: str


@dataclass(frozen=True, slots=True)
class UserMention(Word):
    user_id: str


@dataclass(frozen=True, slots=True)
class ChannelMention(Word):
    """`text` is "#" and the name; the name is missing for private channels."""

    channel_id: str


@dataclass(frozen=True, slots=True)
class Link(Word):
    """`url` is Slack's, also `mailto:` and `tel:`; `text` is the address or number without that."""

    url: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """`--to #support --quiet acme` -> words (acme), options {to: …}, flags {quiet}."""

    words: tuple[Word, ...] = ()
    options: dict[str, Word] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()


class CommandText:
    """A reader over the text; nothing is looked at before it is asked for, so free text may hold any quotes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def word(self) -> Word | None:
        """The next word, or None at the end.

        Raises:
            CommandTextError: a quotation mark is not closed.
        """
        self._skip_space()
        return self._value() if self._at < len(self._text) else None

    def is_at_option(self) -> bool:
        """Whether the next word is an option such as `--name`."""
        return _OPTION.match(self._text, self._skip_space()) is not None

    def rest(self) -> str:
        """Everything that is left, as Slack sent it: quotes, spaces, line breaks, markup and entities untouched.

        Only the white space that separates it from the last word is gone. It ends the reading.
        """
        self._skip_space()
        rest = self._text[self._at :]
        self._at = len(self._text)
        return rest

    def arguments(self, *, flags: Collection[str] = ()) -> Arguments:
        """All that is left, with `--name value` and `--name=value` sorted out. `flags` take no value.

        Raises:
            CommandTextError: a quotation mark is not closed, an option is repeated or lacks its value.
        """
        words: list[Word] = []
        options: dict[str, Word] = {}
        given: set[str] = set()
        while self._skip_space() < len(self._text):
            option = _OPTION.match(self._text, self._at)
            if option is None:
                words.append(self._value())
                continue
            name = option[1].lower()
            if name in options or name in given:
                raise CommandTextError(f"`--{name}` is given twice.")
            self._at = option.end()
            if name in flags:
                given.add(name)
            else:
                options[name] = self._option_value(name)
        return Arguments(tuple(words), options, frozenset(given))

    def _option_value(self, name: str) -> Word:
        if self._at == len(self._text) or _OPTION.match(self._text, self._skip_space()):
            raise ValueMissing(name)
        return self._value()

    def _value(self) -> Word:
        opening = self._text[self._at]
        if opening in _QUOTED:
            return self._quoted(opening)
        found = next(_BARE.finditer(self._text, self._at))
        self._at = found.end()
        return _word(found[0])

    def _quoted(self, opening: str) -> Word:
        found = _QUOTED[opening].match(self._text, self._at)
        if found is None:
            raise CommandTextError(
                f"The quotation mark before `{self._text[self._at + 1 :][:20]}` is not closed at the end of a word. "
                "Put the second one after the last word that belongs together."
            )
        self._at = found.end()
        return Word(plain(_ESCAPED.sub(r"\1", found[1])))

    def _skip_space(self) -> int:
        self._at = len(self._text) - len(self._text[self._at :].lstrip())
        return self._at


def _word(raw: str) -> Word:
    if not re.fullmatch(references.PATTERN, raw):
        return Word(plain(raw))
    reference = references.parse(raw)
    text = _typed(reference)
    match reference.kind:
        case "user":
            return UserMention(text, reference.target)
        case "channel":
            return ChannelMention(text, reference.target)
        case "link":
            return Link(text, reference.target)
        case _:
            return Word(text)


def plain(raw: str) -> str:
    """Text with brackets in it as it was typed: `see <http://example.com|example.com>` -> `see example.com`."""
    pieces = re.split(f"({references.PATTERN})", raw)
    return "".join(
        _typed(references.parse(piece)) if index % 2 else references.unescape(piece)
        for index, piece in enumerate(pieces)
    )


def _typed(reference: Reference) -> str:
    match reference.kind:
        case "user":
            return f"@{reference.label or reference.target}"
        case "channel":
            return f"#{reference.label or reference.target}"
        case "group":
            return f"@{reference.label.removeprefix('@') or reference.target}"
        case "broadcast":
            return f"@{reference.target}"
        case "link" if reference.repeats_itself and not reference.target.startswith("tel:"):
            return reference.label
        case "link":
            return reference.address
        case _:
            return reference.label
