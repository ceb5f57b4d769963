"""From what was typed to a command with its words; what cannot be meant is answered with what could."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.commands.command import TENANT, Asked, Command
from operations.errors import BadInput
from slack.command_text import Arguments, CommandText, CommandTextError, Word
from slack.mrkdwn import escape

# Phones and Macs turn `--` into a dash.
_OPTION = re.compile(r"(?:--|[\u2014\u2013])([A-Za-z][A-Za-z-]*)(?:=(.*))?")

Table = Sequence[Command]


def parse(typed: str, asked: Asked, table: Table) -> tuple[Command, Asked]:
    """The command that was typed, and `asked` with its words, options and text.

    Raises:
        BadInput: with the usage and the nearest match.
    """
    text = CommandText(typed)
    try:
        command = _command(text, table)
        try:
            arguments, free = _arguments(command, text)
        except CommandTextError as error:
            raise _wrong(command, escape(str(error))) from error
    except CommandTextError as error:
        raise BadInput(f"{escape(str(error))} `help` shows what there is.") from error
    _check_options(command, arguments.options)
    _check_words(command, arguments.words, free)
    return command, replace(asked, words=arguments.words, options=arguments.options, text=free)


def _command(text: CommandText, table: Table) -> Command:
    nouns = {command.noun for command in table}
    noun = _lower(text.word()) or "help"
    if noun not in nouns:
        raise BadInput(f"There is no `{escape(noun)}`. {_did_you_mean(noun, nouns)}`help` shows what there is.")
    verbs = {command.verb: command for command in table if command.noun == noun}
    if "" in verbs:
        return verbs[""]
    verb = _lower(text.word())
    if verb not in verbs:
        begin = f"`{noun}` cannot `{escape(verb)}`. " if verb else f"What should be done with the {noun}? "
        shown = "\n".join(f"• `{command.usage}`: {command.summary}" for command in verbs.values())
        raise BadInput(f"{begin}{_did_you_mean(verb, verbs, before=f'{noun} ')}\n{shown}")
    return verbs[verb]


def _arguments(command: Command, text: CommandText) -> tuple[Arguments, str]:
    if not command.text:
        return text.arguments(), ""
    options: dict[str, Word] = {}
    words: list[Word] = []
    while len(words) < len(command.needs) and (word := text.word()) is not None:
        option = _OPTION.fullmatch(word.text)
        if option is None:
            words.append(word)
            continue
        value = Word(option[2]) if option[2] is not None else text.word()
        if value is None:
            raise CommandTextError(f"`--{option[1]}` needs a value after it.")
        options[option[1].lower()] = value
    return Arguments(tuple(words), options), text.rest()


def _check_options(command: Command, options: Mapping[str, Word]) -> None:
    known = {option.name for option in (*command.options, TENANT)}
    for name in options:
        if name not in known:
            raise _wrong(
                command, f"`{command.name}` has no `--{escape(name)}`. {_did_you_mean(name, known, before='--')}"
            )


def _check_words(command: Command, words: Sequence[Word], free: str) -> None:
    missing = [*command.needs[len(words) :], *([command.text] if command.text and not free.strip() else [])]
    if missing:
        raise _wrong(command, f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.")
    most = len(command.needs) + len(command.takes)
    if len(words) > most:
        extra = escape(" ".join(word.text for word in words[most:]))
        hint = ' Put quotation marks around a name of several words, such as `"Acme Ltd"`.' if most else ""
        raise _wrong(command, f"`{extra}` is more than `{command.name}` takes.{hint}")


def _wrong(command: Command, sentence: str) -> BadInput:
    return BadInput(f"{sentence.strip()}\nUsage: `{command.usage}`\nFor example: `{command.example}`")


def _did_you_mean(typed: str, known: Sequence[str] | Mapping[str, object] | set[str], *, before: str = "") -> str:
    near = difflib.get_close_matches(typed, list(known), n=1)
    return f"Did you mean `{before}{near[0]}`? " if near else ""


def _lower(word: Word | None) -> str:
    return word.text.lower() if word is not None else ""
