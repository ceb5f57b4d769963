"""From what was typed to a command with its words; what cannot be meant is answered with what could."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace

from bot.commands.command import TENANT, Asked, Command
from bot.commands.typed_secrets import refuse_secrets
from operations.errors import BadInput
from slack.command_text import Arguments, CommandText, CommandTextError, ValueMissing, Word
from slack.mrkdwn import escape, foreign, visible

# Phones and Macs turn `--` into a dash.
_OPTION = re.compile(r"(?:--|[\u2014\u2013])([A-Za-z][A-Za-z-]*)(?:=(.*))?")

HELP = "help"
"""A command or noun that is followed by `--help` is not carried out but explained."""

Table = Sequence[Command]


def parse(typed: str, asked: Asked, table: Table) -> tuple[Command, Asked]:
    """The command that was typed, and `asked` with its words, options and text.

    Raises:
        BadInput: with the usage and the nearest match, or since a secret was typed.
    """
    refuse_secrets(typed)
    text = CommandText(typed)
    try:
        command = _command(text, table)
    except CommandTextError as error:
        raise BadInput(f"{foreign(str(error))} `help` shows what there is.") from error
    try:
        arguments, free = _arguments(command, text)
    except ValueMissing as error:
        raise command.misused(_value_missing(command, error.option)) from error
    except CommandTextError as error:
        raise command.misused(foreign(str(error))) from error
    arguments = _joined(command, _visible(arguments))
    if HELP in arguments.flags:
        raise command.misused(f"{command.summary[0].upper()}{command.summary[1:]}.")
    _check_options(command, arguments.options)
    _check_words(command, arguments.words, free)
    return command, replace(asked, words=arguments.words, options=arguments.options, text=free)


def _visible(arguments: Arguments) -> Arguments:
    """Without what can stand in a name and is not seen there: it would turn the text in which others read the name."""
    words = tuple(replace(word, text=visible(word.text)) for word in arguments.words)
    options = {name: replace(word, text=visible(word.text)) for name, word in arguments.options.items()}
    return replace(arguments, words=words, options=options)


def _joined(command: Command, arguments: Arguments) -> Arguments:
    last = len(command.needs) + len(command.takes) - 1
    if not command.runs_on or len(arguments.words) <= last + 1:
        return arguments
    rest = " ".join(word.text for word in arguments.words[last:])
    return replace(arguments, words=(*arguments.words[:last], Word(rest)))


def command_of(typed: str, table: Table) -> Command | None:
    """The command that was typed with nothing after its name; None for anything else."""
    text = CommandText(typed)
    try:
        command = _command(text, table)
    except (BadInput, CommandTextError):
        return None
    return None if text.rest() else command


def _command(text: CommandText, table: Table) -> Command:
    nouns = {command.noun for command in table}
    noun = _name(text.word()) or HELP
    if noun not in nouns:
        raise BadInput(f"There is no `{foreign(noun)}`. {_did_you_mean(noun, nouns)}`help` shows what there is.")
    verbs = {command.verb: command for command in table if command.noun == noun}
    # What is asked for by its noun alone may have verbs besides: `audit`, `audit export`.
    if "" in verbs and (len(verbs) == 1 or (_name(copy(text).word()) or HELP) not in verbs):
        return verbs[""]
    verb = _name(text.word())
    if verb not in verbs:
        begin = f"There is no `{noun} {foreign(verb)}`. " if verb else f"What should be done with the {noun}? "
        shown = "\n".join(f"• `{command.usage}`: {command.summary}" for command in verbs.values())
        raise BadInput(f"{begin}{_did_you_mean(verb, verbs, before=f'{noun} ')}".rstrip() + f"\n{shown}")
    return verbs[verb]


def _arguments(command: Command, text: CommandText) -> tuple[Arguments, str]:
    if not command.text:
        return text.arguments(flags={HELP}), ""
    options: dict[str, Word] = {}
    words: list[Word] = []
    flags: set[str] = set()
    while (len(words) < len(command.needs) or (not words and text.is_at_option())) and (
        word := text.word()
    ) is not None:
        option = _OPTION.fullmatch(word.text)
        if option is None:
            words.append(word)
            continue
        if option[1].lower() == HELP:
            flags.add(HELP)
            continue
        value = Word(option[2]) if option[2] is not None else text.word()
        if value is None:
            raise ValueMissing(option[1].lower())
        options[option[1].lower()] = value
    return Arguments(tuple(words), options, frozenset(flags)), text.rest()


def _value_missing(command: Command, name: str) -> str:
    examples = {option.name: option.such_as for option in (*command.options, TENANT)}
    if name not in examples:
        return _no_option(command, name)
    return f"`--{name}` needs a value, such as `{examples[name]}`."


def _no_option(command: Command, name: str) -> str:
    known = {option.name for option in (*command.options, TENANT)}
    return f"`{command.name}` has no `--{escape(name)}`. {_did_you_mean(name, known, before='--')}"


def _check_options(command: Command, options: Mapping[str, Word]) -> None:
    known = {option.name for option in (*command.options, TENANT)}
    for name in options:
        if name not in known:
            raise command.misused(_no_option(command, name))


def _check_words(command: Command, words: Sequence[Word], free: str) -> None:
    missing = [*command.needs[len(words) :], *([command.text] if command.text and not free.strip() else [])]
    if missing:
        raise command.misused(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.")
    most = len(command.needs) + len(command.takes)
    if len(words) > most:
        extra = escape(" ".join(word.text for word in words[most:]))
        hint = ' Put quotation marks around a name of several words, such as `"Acme Ltd"`.' if most else ""
        raise command.misused(f"`{extra}` is more than `{command.name}` takes.{hint}")


def _did_you_mean(typed: str, known: Sequence[str] | Mapping[str, object] | set[str], *, before: str = "") -> str:
    near = difflib.get_close_matches(typed, list(known), n=1)
    return f"Did you mean `{before}{near[0]}`? " if near else ""


def _name(word: Word | None) -> str:
    """A noun or a verb; "" where there is none, or the call for help in its place."""
    if word is None or ((option := _OPTION.fullmatch(word.text)) and option[1].lower() == HELP):
        return ""
    return word.text.lower()
