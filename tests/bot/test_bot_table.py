"""The table of commands agrees with itself."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings, strategies

from bot.buttons import BUTTONS, BY_ACTION, BY_FORM, Button
from bot.buttons.button import of_messages
from bot.commands import COMMANDS, Asked, Command, Installation
from bot.commands.command import Turn
from bot.commands.parsing import parse
from bot.commands.reference import reference
from operations.errors import BadInput
from operations.permissions import ROLES_OF, Permission
from operations.slack_inbox import Answer
from operations.standing import Person
from operations.wording import MENTIONED, with_root
from settings import ReportSettings
from slack.command_text import CommandText, Word
from slack.mrkdwn import escape, foreign, label

WORDS = (
    *(word for command in COMMANDS for word in command.usage.split()),
    *("—for", "--", "--tenant=x", '"', "\u201c", "<@U1>", "<#C1|>", "<", "&lt;", "+49 151"),
)

by_name = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)


def asked() -> Asked:
    return Asked(uuid4(), Person("T1", "U1"), "C1")


def test_names_are_used_once() -> None:
    names = [command.name for command in COMMANDS]

    assert len(names) == len(set(names))


def test_every_permission_has_a_command() -> None:
    assert {command.permission for command in COMMANDS} == set(Permission)


@pytest.mark.parametrize("permission", [None, "", "everything", "oneself "], ids=str)
def test_a_command_or_button_without_a_permission_of_the_table_does_not_start(permission: Any) -> None:
    with pytest.raises(ValueError, match="its permission is not in the table"):
        Command("thing", "do", "do it", "thing do", lambda _turn: Answer("Done."), permission=permission)
    with pytest.raises(ValueError, match="needs a permission that some role has"):
        Button("thing.do", permission, of_messages, lambda _press: Answer("Done."))


def test_everything_that_can_be_asked_for_has_a_permission_of_the_table() -> None:
    registered: list[Command | Button[Any]] = [*COMMANDS, *BUTTONS]

    assert [one for one in registered if one.permission not in ROLES_OF] == []
    assert {button.action_id for button in BUTTONS} == set(BY_ACTION)
    assert {button.form.callback_id for button in BUTTONS if button.form is not None} == set(BY_FORM)


def test_no_button_has_the_name_of_one_below_a_command() -> None:
    assert not [action_id for action_id in BY_ACTION if action_id.startswith("command.")]


def test_what_changes_something_has_no_pages_to_turn() -> None:
    with pytest.raises(ValueError, match="so its answer has no pages"):
        Command(
            "thing",
            "delete",
            "delete it",
            "thing delete",
            lambda _turn: Answer("Done."),
            permission=Permission.ONESELF,
            confirm=lambda _turn: "Sure?",
            pages=True,
        )


@by_name
def test_the_example_of_a_command_is_read_as_that_command(command: Command) -> None:
    example = command.example.replace("@ana", "<@U2>").replace("#support", "<#C2|support>")

    found, words = parse(example, asked(), COMMANDS)

    assert found is command
    assert len(words.words) >= len(command.needs)


@by_name
def test_a_command_takes_the_tenant_by_name(command: Command) -> None:
    name, _, rest = command.example.partition(command.name)[2].partition(" ")
    typed = f"{command.name} --tenant Acme {name}{rest}"

    _, words = parse(typed, asked(), COMMANDS)

    assert words.option("tenant") == "Acme"


def test_the_text_to_a_customer_is_taken_as_it_was_typed() -> None:
    typed = 'send --session=sales —tenant Acme <tel:+4915123456789|+49 151 23456789> it\'s  "ready" --really\nBye'

    _, words = parse(typed, asked(), COMMANDS)

    assert words.word(0).replace(" ", "") == "+4915123456789"
    assert words.text == 'it\'s  "ready" --really\nBye'
    assert {name: word.text for name, word in words.options.items()} == {"session": "sales", "tenant": "Acme"}


@settings(deadline=None)
@given(strategies.text(max_size=60) | strategies.lists(strategies.sampled_from(WORDS), max_size=7).map(" ".join))
def test_whatever_is_typed_is_a_command_or_is_answered(typed: str) -> None:
    try:
        found = parse(typed, asked(), COMMANDS)[0]
    except BadInput:
        return  # with a sentence: any other exception fails

    assert found in COMMANDS


def test_nothing_typed_is_a_call_for_help() -> None:
    assert parse("  ", asked(), COMMANDS)[0].name == "help"


def test_ids_of_new_rows_are_the_same_however_often_a_command_is_carried_out() -> None:
    first = asked()

    assert first.new_id("user") == first.new_id("user")
    assert first.new_id("user") != first.new_id("identity")
    assert first.new_id("user") != asked().new_id("user")


def test_the_daemon_knows_every_command_by_its_name() -> None:
    assert set(MENTIONED) == {command.name for command in COMMANDS}


def test_commands_in_sentences_are_shown_as_they_are_typed() -> None:
    names = [command.name for command in COMMANDS]

    shown = with_root("`user add <@U1>`, `help`, `send NUMBER TEXT`; `config.toml`, `session listing`", "/hook", names)

    assert shown == "`/hook user add <@U1>`, `/hook help`, `/hook send NUMBER TEXT`; `config.toml`, `session listing`"


@pytest.mark.parametrize("theirs", ["{}", "`{}`", "say `{}` and `{} a b`", "{} a `", "```{}```"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_words_of_others_are_no_commands_of_ours(command: Command, theirs: str) -> None:
    text, names = theirs.replace("{}", command.name), [one.name for one in COMMANDS]

    for shown in (escape(text), foreign(text), label(text)):
        assert "/hook" not in with_root(f"Session `{shown}`, *{shown}* {shown}", "/hook", names)


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.takes_secrets], ids=lambda command: command.name)
def test_nobody_is_shown_how_to_type_a_secret(command: Command) -> None:
    with pytest.raises(BadInput) as refusal:
        parse(command.noun, asked(), COMMANDS)
    shown = [refusal.value.sentence, reference(COMMANDS, "/wa"), _help_about(command)]

    typed = re.compile(rf"(?:[`/]|/wa ){command.name}[^`\n]")
    assert typed.search(f"`{command.example}`")
    assert not [text for text in shown if "BOT_TOKEN" in text or "xoxb" in text or "signing-secret" in text]
    assert not [text for text in shown if "PASSWORD" in text or "--password" in text or typed.search(text)]
    assert all(command.name in text for text in shown)


def test_two_commands_take_secrets() -> None:
    assert [one.name for one in COMMANDS if one.takes_secrets] == ["session proxy", "workspace add"]


def _help_about(command: Command) -> str:
    [shows_help] = [one for one in COMMANDS if one.name == "help"]
    about = replace(asked(), words=tuple(map(Word, command.name.split())))
    return shows_help.run(Turn(shows_help, about, Installation("/wa", (), (), ReportSettings()))).text


def test_usage_reads_back_as_words() -> None:
    for command in COMMANDS:
        words = CommandText(command.usage).arguments().words

        assert words[0].text == command.noun
