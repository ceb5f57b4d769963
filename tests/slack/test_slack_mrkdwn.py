from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slack.mrkdwn import (
    NOUNS,
    as_sent,
    entities,
    escape,
    foreign,
    label,
    link,
    local_time,
    to_whatsapp,
    unescape,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()))
# Random text seldom has what is dangerous in it.
HOSTILE = st.lists(
    st.sampled_from(
        [
            "<!channel>",
            "<@U1>",
            "&lt;",
            "&",
            "<",
            ">",
            "|",
            "```",
            "`",
            "\u202e",
            "\u200b",
            "\u200d",
            "\n",
            "\r",
            "a",
            "👩",
        ]
    )
).map("".join)
# Chance seldom begins like a command of ours.
LIKE_A_COMMAND = st.tuples(st.sampled_from(NOUNS), st.sampled_from(["", " it", "ful"])).map("".join)
UNSAFE = re.compile(r"[<>]|&(?!(?:amp|lt|gt);)")


@given(ANY_TEXT | HOSTILE)
def test_nothing_live_ever_leaves_a_foreign_text(text: str) -> None:
    shown = foreign(text)

    assert not UNSAFE.search(shown)
    assert "```" not in shown


@given(ANY_TEXT | HOSTILE)
def test_a_label_stays_on_one_line_inside_its_link(text: str) -> None:
    shown = label(text)

    assert not re.search(r"[<>|\n\r]", shown)


@given(ANY_TEXT | HOSTILE)
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    assert unescape(entities(text)) == text


@pytest.mark.parametrize("text", ["help", "send it", "Say `login` or ```user add```", "helpful"])
def test_what_reads_like_a_command_of_ours_reaches_slack_as_it_was_written(text: str) -> None:
    assert as_sent({"text": escape(text), "blocks": [{"text": escape(text)}]}) == {
        "text": text,
        "blocks": [{"text": text}],
    }


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"], exclude_characters="`\u00ad")) | LIKE_A_COMMAND)
def test_a_foreign_text_of_plain_words_reaches_slack_with_nothing_lost(text: str) -> None:
    assert unescape(as_sent(foreign(text))) == text


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"], exclude_characters=":`\u00ad")) | LIKE_A_COMMAND)
def test_a_foreign_text_quoted_from_slack_back_to_whatsapp_is_the_same(text: str) -> None:
    assert to_whatsapp(as_sent(foreign(text))) == text


@given(HOSTILE)
def test_no_id_of_slacks_reaches_a_customer(text: str) -> None:
    assert "U1" not in to_whatsapp(text)


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("pay\u200bpal\u2066.com\u2069", "paypal.com"),
        ("pay\u200dpal", "paypal"),
        ("a\u200d\u200db", "ab"),
        ("nul\x00 bell\x07", "nul bell"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("half \ud83d", "half \ufffd"),
        ("smuggled\U000e0041\U000e0042", "smuggled"),
    ],
)
def test_what_hides_or_reorders_is_taken_out(hidden: str, shown: str) -> None:
    assert foreign(hidden) == shown


@pytest.mark.parametrize(
    "text",
    [
        "👨\u200d👩\u200d👧 and ❤\ufe0f\u200d🔥",
        "می\u200cخواهم",  # noqa: RUF001 - Persian for "I want"
        "क्\u200dष",
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "*bold* _italic_ ~gone~ `code`",
        "tab\there",
    ],
)
def test_what_belongs_to_the_text_stays(text: str) -> None:
    assert foreign(text) == text


def test_a_fence_cannot_end_ours() -> None:
    assert foreign("a ``` b ```` c") == "a ''' b '''' c"


def test_a_link_of_ours_cannot_be_ended_by_its_parts() -> None:
    assert link("https://x.example/?a=1&b=2|3>", "Ana | <Co>\nLtd") == (
        "<https://x.example/?a=1&amp;b=2%7C3%3E|Ana \u00a6 &lt;Co&gt; Ltd>"
    )


def test_a_time_is_shown_to_each_reader_in_their_own_zone() -> None:
    at = datetime(2026, 11, 22, 13, 49, tzinfo=UTC)

    assert local_time(at) == "<!date^1795355340^{date_short_pretty} {time}|2026-11-22 13:49 UTC>"


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("thanks <@U1>", "thanks @Ana"),
        ("thanks <@U2|ben>", "thanks @ben"),
        ("thanks <@U2>", "thanks @someone"),
        ("see <#C1|support> or <#C2|>", "see #support or #channel"),
        ("<!here> <!channel> <!subteam^S1|@agents> <!subteam^S1>", "@here @channel @agents @team"),
        ("<!date^1^{date}|22 Nov>", "22 Nov"),
        ("<https://x.example/a?b=1&amp;c=2>", "https://x.example/a?b=1&c=2"),
        ("<https://x.example/a|our page>", "our page (https://x.example/a)"),
        ("<http://x.example|x.example>", "x.example"),
        ("<mailto:ana@x.example|ana@x.example>", "ana@x.example"),
        ("<mailto:ana@x.example|Ana>", "Ana (ana@x.example)"),
        ("<tel:+4915123456789|+49 151 23456789>", "+49 151 23456789"),
        ("<tel:+4915123456789|our line>", "our line (+4915123456789)"),
        ("5 &lt; 6 &amp;&amp; 7 &gt; 6", "5 < 6 && 7 > 6"),
        ("&amp;lt;", "&lt;"),
        ("*b* _i_ ~s~ `c`\n&gt; quote\n• item", "*b* _i_ ~s~ `c`\n> quote\n• item"),
    ],
)
def test_slacks_markup_becomes_what_a_customer_can_read(typed: str, sent: str) -> None:
    assert to_whatsapp(typed, {"U1": "Ana"}) == sent


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("done :tada:", "done 🎉"),
        (":+1::wave::skin-tone-3:", "👍👋🏼"),
        (":flag-de: :our-logo:", "🇩🇪 :our-logo:"),
        ("at 10:30:tada: sharp", "at 10:30🎉 sharp"),
        (":our-logo::skin-tone-2:", ":our-logo:🏻"),
        ("`:tada:` ```:tada:\n<http://x.example|x.example>``` :tada:", "`:tada:` ```:tada:\nx.example``` 🎉"),
        ("12:30", "12:30"),
    ],
)
def test_names_of_emoji_become_emoji_except_in_code(typed: str, sent: str) -> None:
    assert to_whatsapp(typed) == sent
