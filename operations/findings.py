"""What a check-up finds, each with what to do about it; shown in full on the console and within a screen in Slack."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from operations.wording import counted
from settings.redaction import redacted_text
from slack.mrkdwn import entities, visible

# A section of Slack takes 3,000 characters, and a screen about as much.
_FITS_A_SCREEN = 2_800
_LONGEST_LINE = 420


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    BAD = "bad"


_GRAVEST_FIRST = (Level.BAD, Level.WARN, Level.OK)
_SIGNS = {Level.OK: "✔", Level.WARN: "▲", Level.BAD: "✖"}
_NOUNS = {Level.BAD: "broken", Level.WARN: "to look at", Level.OK: "well"}
# Told apart from a check that ran and found nothing wrong: for scripts.
EXIT_CODES = {Level.OK: 0, Level.BAD: 1, Level.WARN: 2}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        check: what, for scripts: `slack.scopes`, `waha.main.webhook`.
        found: what there is, with its figures, as a sentence.
        fix: what mends it, to be done as it stands here; "" where nothing needs to be.

    Addresses stand in both, and what others said: secrets that show by their shape are taken out before it is kept.
    """

    check: str
    level: Level
    found: str
    fix: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "found", redacted_text(self.found))
        object.__setattr__(self, "fix", redacted_text(self.fix))

    def as_json(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        return cls(str(kept["check"]), Level(kept["level"]), str(kept["found"]), str(kept.get("fix", "")))


def ok(check: str, found: str) -> Finding:
    return Finding(check, Level.OK, found)


def warn(check: str, found: str, fix: str) -> Finding:
    return Finding(check, Level.WARN, found, fix)


def bad(check: str, found: str, fix: str) -> Finding:
    return Finding(check, Level.BAD, found, fix)


def gravest_first(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: (_GRAVEST_FIRST.index(finding.level), finding.check))


def verdict(findings: Collection[Finding]) -> Level:
    """The gravest of them."""
    levels = {finding.level for finding in findings}
    return next((level for level in _GRAVEST_FIRST if level in levels), Level.OK)


def summary(findings: Collection[Finding]) -> str:
    """`2 broken, 1 to look at, 20 well`."""
    counts = {level: sum(finding.level is level for finding in findings) for level in _GRAVEST_FIRST}
    return ", ".join(f"{count} {_NOUNS[level]}" for level, count in counts.items() if count)


def on_console(findings: Collection[Finding]) -> str:
    """All of them, the gravest first."""
    lines = [f"Doctor: {summary(findings)}"]
    for finding in gravest_first(findings):
        lines.append(f"{_SIGNS[finding.level]} {finding.level:<4} {finding.check}: {finding.found}")
        lines += [f"       do: {finding.fix}"] if finding.fix else []
    return "\n".join(lines)


def in_slack(findings: Collection[Finding]) -> str:
    """What needs a person, and the names of what is well; complete on a screen or with the way to the rest."""
    troubles = [finding for finding in gravest_first(findings) if finding.level is not Level.OK]
    lines = [_line(finding) for finding in troubles]
    shown = _as_many_as_fit(lines)
    heading = f"*Doctor: {summary(findings)}*"
    left = [f"… and {counted(len(lines) - shown, 'more thing')}."] if shown < len(lines) else []
    well = ", ".join(sorted(finding.check for finding in findings if finding.level is Level.OK))
    rest = [f"{_SIGNS[Level.OK]} well: {_shown(well)}"] if well else []
    return "\n".join([heading, *lines[:shown], *left, *rest, _next_step(troubles)])


def _line(finding: Finding) -> str:
    fix = f"\n      _Do:_ {_shown(finding.fix)}" if finding.fix else ""
    found = _shown(finding.found)
    return f"{_SIGNS[finding.level]} *{entities(finding.check)}*: {found}{fix}"


def _as_many_as_fit(lines: Sequence[str]) -> int:
    length = 0
    for number, line in enumerate(lines):
        length += len(line) + 1
        if length > _FITS_A_SCREEN:
            return max(1, number)
    return len(lines)


def _next_step(troubles: Sequence[Finding]) -> str:
    if not troubles:
        return "Nothing needs to be done. Every figure: `python -m daemon doctor` on the machine."
    return "Mend the first one and ask again: `doctor`. Every figure: `python -m daemon doctor` on the machine."


def _shown(text: str) -> str:
    """What WAHA or PostgreSQL said may be among it."""
    short = text if len(text) <= _LONGEST_LINE else f"{text[: _LONGEST_LINE - 1]}…"
    return entities(visible(short))
