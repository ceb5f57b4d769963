from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slack.command_text import (
    Arguments,
    ChannelMention,
    CommandText,
    CommandTextError,
    Link,
    UserMention,
    Word,
)
from slack.mrkdwn import escape


def words(text: str) -> list[Word]:
    return list(CommandText(text).arguments().words)


@given(st.text())
def test_the_rest_is_kept_letter_by_letter(text: str) -> None:
    reader = CommandText(f"send +4915123456789 {text}")

    assert reader.word() == Word("send")
    assert reader.word() == Word("+4915123456789")
    assert reader.rest() == text.lstrip()


@given(st.text(max_size=40))
def test_any_text_is_either_understood_or_explained(text: str) -> None:
    try:
        arguments = CommandText(text).arguments(flags={"quiet"})
    except CommandTextError as error:
        assert str(error).endswith(".")  # noqa: PT017 - both outcomes are right
    else:
        assert all(word.text is not None for word in arguments.words)


@given(st.lists(st.text(st.characters(exclude_characters='"\u201c\u201d\u201e\\'), min_size=1)))
def test_quoted_words_come_back_as_they_were(values: list[str]) -> None:
    typed = " ".join(f'"{escape(value)}"' for value in values)

    assert words(typed) == [Word(value) for value in values]


def test_an_unclosed_quotation_mark_in_free_text_is_no_error() -> None:
    reader = CommandText("send +4915123456789 \"it's ready\n  <@U1> &amp; co")

    reader.word()
    reader.word()

    assert reader.rest() == "\"it's ready\n  <@U1> &amp; co"


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("acme", Word("acme")),
        ("O'Brien", Word("O'Brien")),
        ('"Acme Ltd"', Word("Acme Ltd")),
        ("'Acme Ltd'", Word("Acme Ltd")),
        ("\u201cAcme Ltd\u201d", Word("Acme Ltd")),
        ("\u201eAcme Ltd\u201c", Word("Acme Ltd")),
        ("\u2018Acme Ltd\u2019", Word("Acme Ltd")),
        (r'"say \"hi\" \\ now"', Word(r'say "hi" \ now')),
        ('"R&amp;D &lt;1&gt;"', Word("R&D <1>")),
        ('""', Word("")),
        ("<@U123>", UserMention("@U123", "U123")),
        ("<@W123|ana>", UserMention("@ana", "W123")),
        ("<#C123|support>", ChannelMention("#support", "C123")),
        ("<#C123|>", ChannelMention("#C123", "C123")),
        ("<https://x.example/a?b=1&amp;c>", Link("https://x.example/a?b=1&c", "https://x.example/a?b=1&c")),
        ("<http://x.example|x.example>", Link("x.example", "http://x.example")),
        ("<mailto:ana@x.example|ana@x.example>", Link("ana@x.example", "mailto:ana@x.example")),
        ("<tel:+4915123456789|+49 151 23456789>", Link("+4915123456789", "tel:+4915123456789")),
        ("<!subteam^S1|@agents>", Word("@agents")),
        ("<!here>", Word("@here")),
        ("<@U123>,", Word("@U123,")),
        ('"see <http://x.example|x.example> today"', Word("see x.example today")),
    ],
)
def test_a_word_is_what_the_person_meant(typed: str, word: Word) -> None:
    assert words(typed) == [word]


@pytest.mark.parametrize("dashes", ["--", "\u2014", "\u2013"])
def test_options_may_stand_anywhere_and_begin_with_what_a_phone_makes_of_two_dashes(dashes: str) -> None:
    text = CommandText(f"acme {dashes}to <#C1|support> {dashes}quiet {dashes}Note='two words' end")

    arguments = text.arguments(flags={"quiet"})

    assert arguments == Arguments(
        words=(Word("acme"), Word("end")),
        options={"to": ChannelMention("#support", "C1"), "note": Word("two words")},
        flags=frozenset({"quiet"}),
    )


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ('"Acme Ltd', "The quotation mark before `Acme Ltd` is not closed"),
        ("\u201cAcme", "The quotation mark before `Acme` is not closed"),
        ("--to", "`--to` needs a value"),
        ("--to --note x", "`--to` needs a value"),
        ("--to a --to b", "`--to` is given twice"),
    ],
)
def test_what_cannot_be_understood_is_explained(typed: str, sentence: str) -> None:
    with pytest.raises(CommandTextError, match=sentence):
        CommandText(typed).arguments()


def test_an_empty_command_has_no_words() -> None:
    reader = CommandText("  ")

    assert reader.word() is None
    assert reader.rest() == ""
    assert reader.arguments() == Arguments()


@pytest.mark.parametrize("text", ['"' + "\\" * 20_000, '"' * 20_000, "<" * 20_000, "<a" * 10_000, " " * 20_000 + "x"])
def test_hostile_text_takes_no_time(text: str) -> None:
    started = time.process_time()

    with suppress(CommandTextError):
        CommandText(text).arguments()

    assert time.process_time() - started < 1
