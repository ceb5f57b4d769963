"""Whatever arrives, each parser understands it or says that it does not: no other exception, and no endless work.

The parsers of webhooks, command lines, mrkdwn and settings have theirs beside their own tests.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.buttons.button import id_in
from bot.call import Call, click_of, submission_of
from bot.commands import COMMANDS, Asked
from bot.commands.forms import errors, fields_of, filled_in
from daemon.cron import trigger
from operations.editions import edition_of, reply_of
from operations.errors import Refused
from operations.message_ids import find
from operations.slack_events import incoming
from operations.standing import Person
from settings.errors import SettingsError
from slack import references
from slack.mrkdwn import foreign, label, link, to_whatsapp, visible
from waha import loose_json
from waha.chat_ids import BadRecipient, chat_id_of, digits_of, from_jid, kind_of
from waha.webhooks import envelope_of, verify

KEYS = (
    *("type", "event", "command", "text", "trigger_id", "team_id", "team", "user", "user_id", "channel", "channel_id"),
    *(
        "actions",
        "action_id",
        "value",
        "selected_option",
        "container",
        "message",
        "message_ts",
        "thread_ts",
        "ts",
        "view",
    ),
    *(
        "state",
        "values",
        "private_metadata",
        "callback_id",
        "subtype",
        "previous_message",
        "deleted_ts",
        "edited",
        "id",
    ),
    *("response_url", "event_id", "files", "payload", "blocks"),
)
SAID = st.sampled_from(
    ["message", "block_actions", "view_submission", "message_changed", "message_deleted", "1.5", "", "U1", "T1", "C1"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | SAID
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
BODIES = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8)
FORMS = [command for command in COMMANDS if command.has_form]


@given(BODIES)
def test_any_call_of_slack_is_taken_or_left(body: dict[str, Any]) -> None:
    row = incoming(body)

    if row is not None:
        call = Call.of(row, body, timedelta(seconds=1))
        assert call.event_id == row.id
        assert [call.typed, call.click, call.submission].count(None) >= 1


@given(BODIES)
def test_any_click_or_form_is_text_at_last(body: dict[str, Any]) -> None:
    click, submission = click_of(body), submission_of(body)

    assert all(isinstance(one, str) for one in (*submission.values.values(), submission.origin, submission.callback_id))
    assert click is None or isinstance(click.value, str)


@given(BODIES)
def test_any_event_is_a_reply_or_none(event: dict[str, Any]) -> None:
    edition = edition_of(event)
    reply = reply_of({"team_id": "T1", "event": event | {"type": "message"}})

    assert edition is None or isinstance(edition, str)
    assert reply is None or isinstance(reply.text, str)


@pytest.mark.parametrize("command", FORMS, ids=lambda command: command.name)
@settings(max_examples=30)
@given(st.data())
def test_whatever_is_entered_in_a_form_is_a_command_or_is_told_at_the_field(command: Any, data: st.DataObject) -> None:
    blocks = [field.block_id for field in fields_of(command)]
    entered = data.draw(st.dictionaries(st.sampled_from([*blocks, "tenant", "other"]), st.text(max_size=30)))
    told = errors(command, entered)

    assert told.keys() <= {*blocks, "tenant"}
    assert all(told.values())
    if not told:
        asked = filled_in(command, Asked(uuid4(), Person("T1", "U1"), "C1"), entered)
        assert all(isinstance(word.text, str) for word in (*asked.words, *asked.options.values()))


@given(st.text(max_size=60))
def test_any_value_of_a_button_is_an_id_or_refused(value: str) -> None:
    try:
        found = id_in(value)
    except Refused as refusal:
        assert refusal.sentence.endswith(".")  # noqa: PT017 - both outcomes are right
    else:
        assert found.hex in value.lower().replace("-", "")


@given(st.text("0123456789abcdef-`… xyz'%", max_size=40).filter(lambda typed: len(typed.replace("-", "")) < 8))
def test_what_is_no_beginning_of_an_id_is_refused_before_a_row_is_looked_for(typed: str) -> None:
    with pytest.raises((Refused, RuntimeError)):
        find(uuid4(), typed)


@given(st.text(max_size=30))
def test_any_recipient_is_digits_or_none(chat_id: str) -> None:
    try:
        made = chat_id_of(chat_id)
    except BadRecipient:
        made = from_jid(chat_id)

    digits = digits_of(made)
    assert kind_of(made)
    assert digits is None or digits.isdecimal()


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_a_value_error(raw: bytes) -> None:
    try:
        loose_json.parse(raw)
    except ValueError:
        assert envelope_of(raw) is None


@given(st.binary(max_size=50), st.none() | st.text(max_size=130), st.none() | st.text(max_size=10))
def test_no_signature_is_made_by_chance(raw: bytes, signature: str | None, algorithm: str | None) -> None:
    assert verify(raw, signature, algorithm, "key") is False


@given(st.text("0123456789*/,-LW# ?MONSUN", max_size=20) | st.text(max_size=20), st.text(max_size=10) | st.just("UTC"))
def test_any_schedule_is_one_or_is_refused_by_name(cron: str, time_zone: str) -> None:
    try:
        trigger(cron, time_zone)
    except (ValueError, SettingsError) as error:
        assert str(error)  # noqa: PT017 - both outcomes are right


@given(st.text("<>|@#!&;ltgamp:/.CU1\n`* ", max_size=60) | st.text(max_size=60))
def test_any_text_passes_between_slack_and_whatsapp(text: str) -> None:
    shown = (foreign(text), label(text), link(text, text), to_whatsapp(text), visible(text))

    assert all(isinstance(one, str) for one in shown)
    assert references.parse(f"<{text}>").kind
