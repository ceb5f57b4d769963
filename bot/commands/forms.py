"""A form made from a command's fields, and what was entered in it as the words of the command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel, ValidationError

from bot.commands.command import Asked, Command
from bot.commands.parsing import parse
from models.requests import explain
from operations.errors import BadInput
from operations.standing import Person
from slack.blocks import Block, plain, section
from slack.command_text import ChannelMention, UserMention, Word
from slack.mrkdwn import as_sent, entities, unescape, visible

FORM = "command "
"""How the callback id of a command's form begins; its name follows."""

TENANT = "--tenant"
TEXT = "text"

_TITLE = 24
_LABEL = 75
_MOST_OPTIONS = 100
_LONGEST_WORD = 255
_LONGEST_TEXT = 3000

Tenants = Sequence[tuple[UUID, str]]


@dataclass(frozen=True)
class Field:
    """One field of a form. `name` is what the fields of a request are called, `word` is how the usage writes it."""

    block_id: str
    name: str
    word: str
    label: str
    such_as: str
    is_needed: bool

    @property
    def is_person(self) -> bool:
        return self.word.startswith("@")

    @property
    def is_channel(self) -> bool:
        return self.word.startswith("#")

    @property
    def choices(self) -> list[str]:
        return self.word.split("|") if "|" in self.word else []


def fields_of(command: Command) -> list[Field]:
    """What the form asks for, in the order of the usage."""
    examples = _examples(command)
    words = [*command.needs, *command.takes]
    found = [
        _field(
            command, f"word {number}", word, examples.get(f"word {number}", ""), is_needed=number < len(command.needs)
        )
        for number, word in enumerate(words)
    ]
    if command.text:
        found.append(_field(command, TEXT, command.text, examples.get(TEXT, ""), is_needed=True))
    return found + [
        replace(
            _field(command, f"--{option.name}", option.value, option.such_as.strip('"'), is_needed=False),
            label=command.labels.get(option.name) or option.name.replace("-", " ").capitalize(),
            name=option.name.replace("-", "_"),
        )
        for option in command.options
    ]


def view(command: Command, event_id: UUID, tenants: Tenants = ()) -> Block:
    """The form; with `tenants` it asks for which one."""
    return {
        "type": "modal",
        "callback_id": f"{FORM}{command.name}",
        "private_metadata": str(event_id),
        "title": plain(command.name.capitalize()[:_TITLE]),
        "submit": plain(command.deed[:_TITLE]),
        "close": plain("Cancel"),
        "blocks": [
            section(f"{command.summary[0].upper()}{command.summary[1:]}."),
            *([_tenant_block(tenants)] if tenants else []),
            *(_block(one, is_first=number == 0) for number, one in enumerate(fields_of(command))),
        ],
    }


def errors(command: Command, values: Mapping[str, str]) -> dict[str, str]:
    """By block id, what is wrong with what was entered, as far as it can be seen without looking anything up."""
    fields = fields_of(command)
    found = {
        one.block_id: _missing(one) for one in fields if one.is_needed and not values.get(one.block_id, "").strip()
    }
    return found | _gaps(command, values) | _broken_rules(command, fields, values) | _refused(command, fields, values)


def filled_in(command: Command, asked: Asked, values: Mapping[str, str]) -> Asked:
    """`asked` as if it had been typed."""
    entered = {block_id: value for block_id, value in values.items() if value.strip()}
    fields = {one.block_id: one for one in fields_of(command)}
    words = [_word(one, entered[block_id]) for block_id, one in fields.items() if block_id in entered]
    named = dict(zip([block_id for block_id in fields if block_id in entered], words, strict=True))
    return replace(
        asked,
        words=tuple(word for block_id, word in named.items() if block_id.startswith("word ")),
        options={block_id[2:]: word for block_id, word in named.items() if block_id.startswith("--")}
        | _tenant(entered),
        # A form's text is plain: what is typed after a command has Slack's entities.
        text=entities(entered.get(TEXT, "")),
        tenant_id=_uuid(entered.get(TENANT, "")) or asked.tenant_id,
    )


def _tenant(entered: Mapping[str, str]) -> dict[str, Word]:
    """What was written where the tenants were too many for a menu."""
    written = entered.get(TENANT, "").strip()
    return {} if not written or _uuid(written) else {TENANT[2:]: Word(written)}


def _field(command: Command, block_id: str, word: str, such_as: str, *, is_needed: bool) -> Field:
    label = command.labels.get(word) or word.strip("@#").replace("_", " ").capitalize()
    if "|" in label:
        label = "Choose one"
    return Field(block_id, label.lower().replace(" ", "_"), word, label[:_LABEL], such_as, is_needed)


def _examples(command: Command) -> Mapping[str, str]:
    """The words of the command's example by block id."""
    asked = parse(command.example, Asked(uuid4(), Person("", ""), ""), [command])[1]
    words = {f"word {number}": word.text for number, word in enumerate(asked.words)}
    return words | ({TEXT: asked.text} if asked.text else {})


def _block(one: Field, *, is_first: bool) -> Block:
    block: Block = {
        "type": "input",
        "block_id": one.block_id,
        "label": plain(one.label),
        "element": _element(one) | ({"focus_on_load": True} if is_first else {}),
        "optional": not one.is_needed,
    }
    return block | ({"hint": plain(f"For example: {one.such_as}")} if one.such_as else {})


def _element(one: Field) -> dict[str, Any]:
    if one.is_person:
        return {"type": "users_select", "action_id": "entered"}
    if one.is_channel:
        return {"type": "conversations_select", "action_id": "entered", "default_to_current_conversation": True}
    if one.choices:
        options = [{"text": plain(choice[:_LABEL]), "value": choice} for choice in one.choices[:_MOST_OPTIONS]]
        return {"type": "static_select", "action_id": "entered", "options": options}
    is_text = one.block_id == TEXT
    longest = _LONGEST_TEXT if is_text else _LONGEST_WORD
    return {"type": "plain_text_input", "action_id": "entered", "multiline": is_text, "max_length": longest}


def _tenant_block(tenants: Tenants) -> Block:
    """A menu, or where that would be too long a field for the name."""
    options = [{"text": plain(name[:_LABEL]), "value": str(tenant_id)} for tenant_id, name in tenants]
    element = (
        {"type": "static_select", "action_id": "entered", "options": options}
        if len(tenants) <= _MOST_OPTIONS
        else {"type": "plain_text_input", "action_id": "entered", "max_length": _LONGEST_WORD}
    )
    return {
        "type": "input",
        "block_id": TENANT,
        "label": plain("Tenant"),
        "hint": plain("Several could be meant: this is done in the one that you choose."),
        "element": element,
    }


def _missing(one: Field) -> str:
    return f"Fill this in, such as {one.such_as}." if one.such_as else "Fill this in."


def _gaps(command: Command, values: Mapping[str, str]) -> dict[str, str]:
    """Words have their places: one that is left out would move up those behind it."""
    numbers = range(len(command.needs), len(command.needs) + len(command.takes))
    empty = [number for number in numbers if not values.get(f"word {number}", "").strip()]
    filled = [number for number in numbers if number not in empty]
    return {f"word {number}": "Fill this in too, or neither." for number in empty if filled and number < filled[-1]}


def _broken_rules(command: Command, fields: Sequence[Field], values: Mapping[str, str]) -> dict[str, str]:
    if command.request is None:
        return {}
    entered = {one.name: one for one in fields if values.get(one.block_id, "").strip()}
    known = {
        name: values[one.block_id].strip() for name, one in entered.items() if name in command.request.model_fields
    }
    labels = {name: one.label for name, one in entered.items()}
    return {
        entered[name].block_id: rule for name, rule in _rules_broken_by(command.request, known, labels) if name in known
    }


def _rules_broken_by(
    request: type[BaseModel], known: Mapping[str, str], labels: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """The name of a field and a sentence; what the request needs besides is not known yet, and no matter here."""
    try:
        request(**known)
    except ValidationError as error:
        broken = error.errors(include_input=False, include_url=False)
        yield from zip(
            (str(one["loc"][0]) if one["loc"] else "" for one in broken), explain(error, labels), strict=True
        )


def _refused(command: Command, fields: Sequence[Field], values: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for one in fields:
        entered = values.get(one.block_id, "").strip()
        if entered and one.name in command.checks:
            try:
                command.checks[one.name](entered)
            except BadInput as refused:
                # Shown as it is written, without markup.
                found[one.block_id] = unescape(as_sent(refused.sentence)).replace("`", "")
    return found


def _word(one: Field, value: str) -> Word:
    if one.is_person:
        return UserMention(f"@{value}", value)
    if one.is_channel:
        return ChannelMention(f"#{value}", value)
    return Word(visible(value).strip())


def _uuid(value: str) -> UUID | None:
    try:
        return UUID(value)
    except ValueError:
        return None
