from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any, Literal
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from settings import LogSettings
from settings.logs import configure, get_logger
from settings.redaction import redacted_text


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def written_to(level: Literal["DEBUG", "INFO"] = "INFO", kind: Literal["json", "console"] = "json") -> io.StringIO:
    stream = io.StringIO()
    configure(LogSettings(level=level, format=kind), "daemon", stream=stream)
    return stream


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_a_constant_sentence_with_the_facts_beside_it() -> None:
    stream = written_to()

    get_logger("daemon.sender").info("message sent", message_id="m1", attempts=2)

    [line] = lines_of(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "message sent",
        "level": "info",
        "logger": "daemon.sender",
        "process": "daemon",
        "message_id": "m1",
        "attempts": 2,
    }


def test_a_library_writes_through_the_same_pipeline() -> None:
    stream = written_to()

    logging.getLogger("slack_bolt.App").warning("token %s refused", "xoxb-1-2-abc")

    [line] = lines_of(stream)
    assert line["event"] == "token [hidden] refused"
    assert line["process"] == "daemon"


def test_people_get_a_readable_line() -> None:
    stream = written_to(kind="console")

    get_logger("bot").warning("command refused", reason="no tenant")

    assert "command refused" in stream.getvalue()
    assert "reason='no tenant'" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_what_is_below_the_level_is_not_written() -> None:
    stream = written_to()

    get_logger("bot").debug("a detail")

    assert not stream.getvalue()


@pytest.mark.parametrize("name", ["slack_sdk.web.async_client", "slack_bolt.App", "httpx", "peewee"])
def test_libraries_that_print_payloads_stay_quiet_at_debug(name: str) -> None:
    stream = written_to("DEBUG")

    logging.getLogger(name).debug("what a person wrote")

    assert not stream.getvalue()


@pytest.mark.parametrize("key", ["bot_token", "password_hash", "waha_api_key", "signing_secret", "qr", "body"])
def test_a_key_that_names_a_secret_or_a_text_hides_its_value(key: str) -> None:
    stream = written_to()

    get_logger("bot").info("something happened", **{key: "hunter2"}, nested={key: ["hunter2"]})

    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("[hidden]") == 2


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("to_msisdn", "4915123456789", "…789"),
        ("to_msisdn", 4915123456789, "…789"),
        ("chat_id", "4915123456789@c.us", "…789@c.us"),
        ("recipients", ["+49 15123456789"], ["+49 …789"]),
        ("lease_token", "0190-77", "0190-77"),
        ("attempts", 12345678, 12345678),
        ("message_id", "12345678-0000-7000-8000-000000000000", "12345678-0000-7000-8000-000000000000"),
        ("attempt_number", 2, 2),
        ("sender", UUID(int=12345678), str(UUID(int=12345678))),
        ("session", None, None),
        ("raw", b"what a person wrote", "<19 bytes>"),
    ],
)
def test_a_number_is_cut_to_its_end_where_the_key_says_that_it_is_one(key: str, value: object, shown: object) -> None:
    stream = written_to()

    get_logger("daemon").info("something happened", **{key: value})

    assert lines_of(stream)[0][key] == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def-1", "Authorization: Bearer [hidden]"),
        ("app xapp-1-A0-1-abc!", "app [hidden]!"),
        ("at postgresql://ana:p:w@d@db:5432/x", "at postgresql://ana:[hidden]@db:5432/x"),
        ("GET http://w/api/a/chats/4915123456789%40c.us/messages", "GET http://w/api/a/chats/…789%40c.us/messages"),
        ("to 4915123456789:12@s.whatsapp.net", "to …789:12@s.whatsapp.net"),
        ("call +4915123456789 now", "call +…789 now"),
        ("POST https://hooks.slack.com/commands/T1/2/3", "POST https://hooks.slack.com/[hidden]"),
        ("thread 1712345678.123456 of 2026-11-22", "thread 1712345678.123456 of 2026-11-22"),
    ],
)
def test_what_shows_by_its_shape_is_hidden_anywhere(text: str, shown: str) -> None:
    assert redacted_text(text) == shown


@given(st.text())
def test_hiding_twice_is_hiding_once(text: str) -> None:
    assert redacted_text(redacted_text(text)) == redacted_text(text)


class DuplicateRow(Exception):
    """Worded like psycopg2's."""


# Not a literal in a function: a traceback quotes the lines of the source.
DIARY = "dear diary,\n\nno one may know"


def insert(wrote: str) -> None:
    reversed_in_a_local = wrote[::-1]
    raise DuplicateRow(f"duplicate key\nDETAIL:  Failing row contains (1, {wrote}).\n") from KeyError(
        len(reversed_in_a_local)
    )


@pytest.mark.parametrize("kind", ["json", "console"])
def test_an_exception_shows_neither_its_locals_nor_the_row(kind: Literal["json", "console"]) -> None:
    stream = written_to(kind=kind)

    try:
        insert(DIARY)
    except DuplicateRow:
        get_logger("daemon").exception("webhook not stored")

    assert "DuplicateRow" in stream.getvalue()
    assert "duplicate key" in stream.getvalue()
    assert "dear diary" not in stream.getvalue()
    assert "no one may know" not in stream.getvalue()
    assert "yraid raed" not in stream.getvalue()


@pytest.mark.parametrize("kind", ["json", "console"])
def test_hiding_a_row_keeps_the_rest_of_a_chain_of_exceptions(kind: Literal["json", "console"]) -> None:
    stream = written_to(kind=kind)

    try:
        try:
            insert(DIARY)
        except DuplicateRow as error:
            raise LookupError("the webhook is here already") from error
    except LookupError:
        get_logger("daemon").exception("webhook not stored")

    assert "the webhook is here already" in stream.getvalue()
    assert "dear diary" not in stream.getvalue()
