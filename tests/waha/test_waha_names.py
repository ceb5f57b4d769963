"""Chat ids, message ids, states, receipts and versions."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waha.acks import ack_in, receipt_of
from waha.chat_ids import BadRecipient, chat_id_of, digits_of, from_jid, kind_of
from waha.message_ids import (
    SerializedId,
    bare_id_in,
    bare_id_of,
    chat_id_in,
    id_of,
    new_message_id,
    parse_serialized,
)
from waha.status import status_of
from waha.versions import parse_version, store_is_on, trusts_ids


@pytest.mark.parametrize(
    ("recipient", "chat_id"),
    [
        ("+49 151 23456789", "4915123456789@c.us"),
        ("4915123456789", "4915123456789@c.us"),
        ("0049 (151) 234-567/89", "4915123456789@c.us"),
        (" +1.415.555.0100 ", "14155550100@c.us"),
        ("+49\u00a0151\u201023456789", "4915123456789@c.us"),
        ("\u202a+4915123456789\u202c", "4915123456789@c.us"),
        ("4915123456789@c.us", "4915123456789@c.us"),
        ("4915123456789:7@s.whatsapp.net", "4915123456789@c.us"),
        ("900079991234567@lid", "900079991234567@lid"),
        ("900079991234567:3@lid", "900079991234567@lid"),
        ("120363000000000001@g.us", "120363000000000001@g.us"),
        ("4915123456789-1600000000@g.us", "4915123456789-1600000000@g.us"),
        ("120363000000000001@newsletter", "120363000000000001@newsletter"),
        ("status@broadcast", "status@broadcast"),
    ],
)
def test_a_recipient_becomes_a_chat_id(recipient: str, chat_id: str) -> None:
    assert chat_id_of(recipient) == chat_id


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        " ",
        "Alice",
        "123456",
        "1234567890123456",
        "0151 23456789",
        "+49 151 2345678x",
        "++4915123456789",
        "alice@example.com",
        "@c.us",
        "٤٩١٥١٢٣٤٥٦٧٨٩",
        "49151@c.us@c.us",
        "a_b@c.us",
    ],
)
def test_what_is_neither_number_nor_chat_id_is_refused_by_name(recipient: str) -> None:
    with pytest.raises(BadRecipient, match=re.escape(f"`{recipient}`")):
        chat_id_of(recipient)


@settings(deadline=None)
@given(st.text())
def test_a_recipient_is_a_chat_id_or_refused(recipient: str) -> None:
    try:
        chat_id = chat_id_of(recipient)
    except BadRecipient:
        return
    assert chat_id_of(chat_id) == chat_id
    assert kind_of(chat_id) != "other"


@pytest.mark.parametrize(
    ("chat_id", "kind", "digits"),
    [
        ("4915123456789@c.us", "person", "4915123456789"),
        ("900079991234567@lid", "lid", None),
        ("120363000000000001@g.us", "group", None),
        ("1@newsletter", "newsletter", None),
        ("status@broadcast", "broadcast", None),
        ("1@hosted", "other", None),
        ("x@c.us", "person", None),
        ("", "other", None),
    ],
)
def test_only_a_persons_chat_id_is_a_number(chat_id: str, kind: str, digits: str | None) -> None:
    assert (kind_of(chat_id), digits_of(chat_id)) == (kind, digits)


def test_a_group_keeps_its_engine_name() -> None:
    assert from_jid("120363000000000001@g.us") == "120363000000000001@g.us"


def test_a_new_message_id_looks_like_whatsapps_and_is_new() -> None:
    ids = {new_message_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(re.fullmatch(r"3EB0[0-9A-F]{18}", message_id) for message_id in ids)


@pytest.mark.parametrize(
    ("written", "parsed"),
    [
        ("true_1555@c.us_3EB0AA", SerializedId(True, "1555@c.us", "3EB0AA")),
        ("false_1@g.us_3A_1555@c.us", SerializedId(False, "1@g.us", "3A", "1555@c.us")),
        ("false_1@g.us_3A_1555:4@s.whatsapp.net", SerializedId(False, "1@g.us", "3A", "1555@c.us")),
        ("true_1555@s.whatsapp.net_3EB0AA", SerializedId(True, "1555@c.us", "3EB0AA")),
        ("3EB0AA", None),
        ("maybe_1555@c.us_3EB0AA", None),
        ("true_1555_3EB0AA", None),
        ("true_1555@c.us_", None),
        ("", None),
    ],
)
def test_a_written_out_id_has_three_parts_or_four(written: str, parsed: SerializedId | None) -> None:
    assert parse_serialized(written) == parsed
    assert chat_id_in(written) == (parsed.chat_id if parsed else None)
    assert bare_id_in(written) == (parsed.bare if parsed else written)


def test_a_written_out_id_is_written_as_it_was_read() -> None:
    for written in ("true_1555@c.us_3EB0AA", "false_1@g.us_3A_1555@lid"):
        assert str(parse_serialized(written)) == written


@pytest.mark.parametrize(
    ("message", "bare"),
    [
        ({"id": "true_1@c.us_A"}, "A"),
        ({"id": "A"}, "A"),
        ({"id": {"id": "A", "fromMe": True, "remote": "1@c.us"}}, "A"),
        ({"id": {"id": "A"}}, "A"),
        ({"id": {"_new_name": "true_1@c.us_A"}}, "A"),
        ({"key": {"id": "A", "remoteJid": "1@s.whatsapp.net"}}, "A"),
        ({"key": {"id": "A"}}, "A"),
        ({"_data": {"Info": {"ID": "A"}}}, "A"),
        ({"_data": {"key": {"id": "A"}}}, "A"),
        ({"id": 5}, None),
        ({"id": {}}, None),
        ({}, None),
        ([], None),
        (None, None),
        ("A", None),
    ],
)
def test_the_bare_id_is_found_in_every_shape(message: Any, bare: str | None) -> None:
    assert bare_id_of(message) == bare


def test_a_message_of_a_group_tells_who_wrote_it() -> None:
    key = {"remoteJid": "1@g.us", "fromMe": False, "id": "A", "participant": "1555:2@s.whatsapp.net"}

    assert id_of({"key": key}) == SerializedId(False, "1@g.us", "A", "1555@c.us")


@pytest.mark.parametrize(
    ("waha_status", "status"),
    [
        ("STARTING", "starting"),
        ("SCAN_QR_CODE", "scan_qr"),
        ("PASSKEY_REQUIRED", "scan_qr"),
        ("PASSKEY_CONFIRMATION_REQUIRED", "scan_qr"),
        ("WORKING", "working"),
        ("FAILED", "failed"),
        ("STOPPED", "stopped"),
        ("HIBERNATING", None),
        ("", None),
        (None, None),
    ],
)
def test_a_state_is_ours_or_unknown(waha_status: str | None, status: str | None) -> None:
    assert status_of(waha_status) == status


@pytest.mark.parametrize(
    ("ack", "receipt"),
    [
        (-1, "failed"),
        (0, "accepted"),
        (1, "sent"),
        (2, "delivered"),
        (3, "read"),
        (4, "read"),
        (5, None),
        (-2, None),
        (None, None),
    ],
)
def test_an_ack_is_a_receipt_or_changes_nothing(ack: int | None, receipt: str | None) -> None:
    assert receipt_of(ack) == receipt


@pytest.mark.parametrize(
    ("message", "ack"),
    [
        ({"ack": 2}, 2),
        ({"ack": 2.0}, 2),
        ({"ack": "2"}, 2),
        ({"ack": None, "ackName": "UNKNOWN"}, None),
        ({"ack": True}, None),
        ({"status": "PENDING"}, 0),
        ({"status": "SERVER_ACK"}, 1),
        ({"status": "NEW"}, None),
        ({}, None),
    ],
)
def test_an_ack_is_read_from_numbers_and_from_baileys_words(message: dict[str, Any], ack: int | None) -> None:
    assert ack_in(message) == ack


@pytest.mark.parametrize(
    ("engine", "version", "store_on", "trusted"),
    [
        ("GOWS", "2026.4.3", True, True),
        ("GOWS", "2026.4.2", True, False),
        ("GOWS", "2026.10.1", True, True),
        ("NOWEB", "2027.1.1", True, True),
        ("NOWEB", "2026.7.1", False, False),
        ("GOWS", "2026.7.1", False, False),
        ("WEBJS", "2026.7.1", True, False),
        ("WPP", "2026.7.1", True, False),
        (None, "2026.7.1", True, False),
        ("GOWS", None, True, False),
        ("GOWS", "latest", True, False),
    ],
)
def test_an_id_is_trusted_where_it_is_heeded_and_kept(
    engine: str | None, version: str | None, *, store_on: bool, trusted: bool
) -> None:
    assert trusts_ids(engine, version, store_on=store_on) is trusted


@pytest.mark.parametrize(
    ("engine", "config", "kept"),
    [
        ("NOWEB", {"noweb": {"store": {"enabled": True}}}, True),
        ("NOWEB", {"noweb": {"store": {"enabled": "yes"}}}, False),
        ("NOWEB", {"noweb": None}, False),
        ("NOWEB", None, False),
        ("GOWS", None, True),
        ("GOWS", {"gows": {"storage": {"messages": False}}}, False),
        ("WEBJS", {}, False),
    ],
)
def test_messages_are_kept_as_the_engine_and_its_settings_say(engine: str, config: Any, *, kept: bool) -> None:
    assert store_is_on(engine, config) is kept


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("2026.7.1", (2026, 7, 1)), ("v2026.7.1-noweb", (2026, 7, 1)), ("2026.7", (2026, 7)), ("x", None), ("", None)],
)
def test_a_version_is_numbers(version: str, numbers: tuple[int, ...] | None) -> None:
    assert parse_version(version) == numbers
