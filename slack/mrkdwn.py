"""Between WhatsApp's text and Slack's mrkdwn. Bold, italics, strike and code are written alike in both and pass."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from slack import emoji, references
from slack.references import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

_HALF = re.compile("[\ud800-\udfff]")  # half of a character, which JSON may carry and nothing else accepts
_LINE_ENDS = re.compile("\r\n|[\r\u2028\u2029\x0b\x0c\x85]")
# Controls, bidi controls, zero-width marks and invisible tags can hide or reorder what a person believes to read.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
# Scotland's flag is a black one with tags behind it; anywhere else tags are text that nobody sees.
_TAGS = re.compile("(\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f)|[\U000e0000-\U000e007f]")
# Joiners belong inside emoji, and inside words of Persian, Hindi and their kin; between Latin letters they only hide.
_JOINED = "\u0600-\u1fff\u2190-\u2bff\ufe0f\U00010000-\U0001ffff"
_LOOSE_JOINER = re.compile(f"(?<![{_JOINED}])[\u200c\u200d]|[\u200c\u200d](?![{_JOINED}])")
_FENCE = re.compile("`{3,}")
_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
_EMOJI = re.compile(r":([a-z0-9_+'-]+):(?::(skin-tone-[2-6]):)?")

NOUNS = (
    "audit",
    "channel",
    "contact",
    "doctor",
    "help",
    "login",
    "logout",
    "message",
    "report",
    "send",
    "server",
    "session",
    "tenant",
    "user",
    "whoami",
    "workspace",
)
"""How our commands begin. In backticks they are given their slash command; in others' words they stay as they are."""

# Stands before others' words that read like a command of ours, and is taken out again by whatever goes to Slack.
_OTHERS = "\u2060"
_LIKE_A_COMMAND = re.compile(rf"(?:^|(?<=`))(?=(?:{'|'.join(NOUNS)})(?:[ `]|$))")


def escape(text: str) -> str:
    """Make `&`, `<` and `>` plain characters, for a sentence of ours in which `text` is never taken for a command.

    Exactly once: escaping twice shows `&amp;` to people.
    """
    return _LIKE_A_COMMAND.sub(_OTHERS, entities(text))


def entities(text: str) -> str:
    """`text` as Slack gives it to us, for what is made of that; `unescape` undoes it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def as_sent(found: Any) -> Any:
    """What goes to Slack, to any depth, without the mark that `escape` leaves."""
    if isinstance(found, str):
        return found.replace(_OTHERS, "")
    if isinstance(found, dict):
        return {key: as_sent(inner) for key, inner in found.items()}
    return [as_sent(inner) for inner in found] if isinstance(found, list | tuple) else found


def unescape(text: str) -> str:
    return references.unescape(text)


def foreign(text: str) -> str:
    """A stranger's words as mrkdwn that can mention nobody, link nowhere by a false name and hide nothing.

    Every text that did not come from Slack or from us goes through here: WhatsApp texts, names, file names, errors.
    A code fence is weakened to quotes, since it could end or open one of ours.
    """
    return escape(_FENCE.sub(lambda fence: "'" * len(fence[0]), visible(text)))


def label(text: str) -> str:
    """A stranger's name on one line, fit for the inside of a `<url|label>`, where `|` would end it."""
    return " ".join(foreign(text).replace("|", "\u00a6").split())


def link(url: str, text: str) -> str:
    """A link of ours. `url` is percent-encoded where it would end the link early."""
    safe = url.replace("<", "%3C").replace(">", "%3E").replace("|", "%7C").replace(" ", "%20")
    return f"<{safe.replace('&', '&amp;')}|{label(text)}>"


def local_time(at: datetime) -> str:
    """`at` in each reader's own time zone; where Slack cannot show that, in UTC."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{at:%Y-%m-%d %H:%M} UTC>"


def to_whatsapp(mrkdwn: str, names: Mapping[str, str] | None = None) -> str:
    """What a team member wrote in Slack, as the customer should read it. `names` is user id -> name to show.

    Nothing of Slack's inside is left: an id without a name becomes "@someone".
    """
    # Slack leaves `:tada:` alone inside code, though it makes links there.
    return "".join(
        _rendered(part, names or {}, unescape if index % 2 else _with_emoji)
        for index, part in enumerate(_CODE.split(mrkdwn))
    )


def visible(text: str) -> str:
    """`text` without what nobody sees: controls, marks that turn the direction, joiners where nothing is joined."""
    text = _INVISIBLE.sub("", _LINE_ENDS.sub("\n", _HALF.sub("\ufffd", text)))
    return _LOOSE_JOINER.sub("", _TAGS.sub(r"\1", text))


def _rendered(text: str, names: Mapping[str, str], words: Callable[[str], str]) -> str:
    """`text` with each reference shown to a customer, and what stands between them put through `words`."""
    pieces = re.split(f"({references.PATTERN})", text)
    return "".join(
        _shown(references.parse(piece), names) if index % 2 else words(piece) for index, piece in enumerate(pieces)
    )


def _with_emoji(text: str) -> str:
    shown, at = [], 0
    while found := _EMOJI.search(text, at):
        character = emoji.character_of(found[1], found[2])
        # The colon behind an unknown name may open the next one: `10:30:tada:`.
        end = found.end() if character else found.end(1)
        shown += [unescape(text[at : found.start()]), character or unescape(text[found.start() : end])]
        at = end
    return "".join((*shown, unescape(text[at:])))


def _shown(reference: Reference, names: Mapping[str, str]) -> str:
    match reference.kind:
        case "user":
            return f"@{names.get(reference.target) or reference.label.removeprefix('@') or 'someone'}"
        case "group":
            return f"@{reference.label.removeprefix('@') or 'team'}"
        case "channel":
            return f"#{reference.label or 'channel'}"
        case "broadcast":
            return f"@{reference.target}"
        case "link":
            return _shown_link(reference)
        case _:
            return reference.label


def _shown_link(reference: Reference) -> str:
    """The address alone when the label says the same, else both: WhatsApp has no links with labels."""
    if reference.label in {"", reference.address, reference.target}:
        return reference.address
    if reference.repeats_itself:
        return reference.label
    return f"{reference.label} ({reference.address})"
