from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waha import webhooks
from waha.events import (
    AckEvent,
    EditedEvent,
    MalformedEvent,
    MessageEvent,
    ReactionEvent,
    RevokedEvent,
    SessionStatusEvent,
    UnknownEvent,
)
from waha.messages import Message
from waha.webhooks import InboxKey, envelope_of, parse


def event(name: str, payload: Any, **more: Any) -> bytes:
    return json.dumps(
        {
            "id": "evt_01",
            "timestamp": 1741249702485,
            "event": name,
            "session": "acme-1",
            "metadata": {"tenant": "acme"},
            "me": {"id": "15551230000@c.us", "lid": "9988@lid", "pushName": "Acme"},
            "payload": payload,
            "engine": "GOWS",
            "environment": {"version": "2026.7.1", "engine": "GOWS", "browser": None},
            **more,
        }
    ).encode()


def incoming(**more: Any) -> dict[str, Any]:
    return {"id": "false_1555@c.us_3A", "timestamp": 1667561485, "from": "1555@c.us", "fromMe": False, **more}


def message_in(payload: dict[str, Any]) -> Message:
    parsed = parse(event("message.any", payload))
    assert isinstance(parsed, MessageEvent)
    return parsed.message


def test_the_envelope_tells_which_account_of_which_server_it_is_about() -> None:
    envelope = parse(event("message.any", incoming())).envelope

    assert (envelope.id, envelope.name, envelope.session) == ("evt_01", "message.any", "acme-1")
    assert envelope.metadata == {"tenant": "acme"}
    assert envelope.timestamp == datetime(2025, 3, 6, 8, 28, 22, 485000, tzinfo=UTC)
    assert (envelope.engine, envelope.version) == ("GOWS", "2026.7.1")
    assert envelope.me is not None
    assert (envelope.me.chat_id, envelope.me.lid, envelope.me.push_name) == ("15551230000@c.us", "9988@lid", "Acme")


def test_an_old_server_sends_neither_id_nor_time() -> None:
    envelope = parse(b'{"event":"message","session":"s","payload":{"id":"false_1@c.us_A"}}').envelope

    assert (envelope.id, envelope.timestamp, envelope.me, envelope.version) == (None, None, None, None)


def test_a_message_of_a_person() -> None:
    message = message_in(incoming(body="Hi", source="app", ack=2, replyTo={"id": "3EB0", "participant": "1@c.us"}))

    assert (message.message_id, message.chat_id, message.sender) == ("3A", "1555@c.us", "1555@c.us")
    assert (message.body, message.message_type, message.ack) == ("Hi", "text", 2)
    assert message.timestamp == datetime(2022, 11, 4, 11, 31, 25, tzinfo=UTC)
    assert message.reply_to is not None
    assert message.reply_to.message_id == "3EB0"
    assert message.serialized_id == "false_1555@c.us_3A"


@pytest.mark.parametrize(
    ("engine", "writer"), [("GOWS", "1555@c.us"), ("NOWEB", "1555@c.us"), ("WEBJS", "15551230000@c.us")]
)
def test_the_chat_of_our_own_message_is_the_customers_on_every_engine(engine: str, writer: str) -> None:
    payload = {"id": "true_1555@c.us_3EB0AA", "from": writer, "fromMe": True, "source": "api"}

    parsed = parse(event("message.any", payload, engine=engine))

    assert isinstance(parsed, MessageEvent)
    assert (parsed.message.chat_id, parsed.message.from_me, parsed.message.sender) == ("1555@c.us", True, None)


def test_a_message_of_a_group_tells_its_writer() -> None:
    message = message_in({"id": "false_1@g.us_3A_1555@c.us", "from": "1@g.us", "participant": "77@lid"})

    assert (message.chat_id, message.sender) == ("1@g.us", "77@lid")


@pytest.mark.parametrize(
    "data",
    [{"pushName": "Alice"}, {"notifyName": "Alice"}, {"Info": {"PushName": "Alice"}}],
    ids=["NOWEB", "WEBJS", "GOWS"],
)
def test_each_engine_hides_the_senders_name_elsewhere(data: dict[str, Any]) -> None:
    assert message_in(incoming(_data=data)).push_name == "Alice"


@pytest.mark.parametrize(
    "data",
    [{"key": {"remoteJidAlt": "1555@s.whatsapp.net"}}, {"Info": {"SenderAlt": "1555:3@s.whatsapp.net"}}],
    ids=["NOWEB", "GOWS"],
)
def test_a_hidden_customer_may_come_with_the_number(data: dict[str, Any]) -> None:
    message = message_in({"id": "false_77@lid_3A", "fromMe": False, "_data": data})

    assert (message.alternate_chat_id, message.alternate_sender) == ("1555@c.us", "1555@c.us")


def test_a_hidden_writer_in_a_group_may_come_with_the_number_but_the_group_has_no_other_name() -> None:
    data = {"key": {"participantAlt": "1555@s.whatsapp.net"}}

    message = message_in({"id": "false_1@g.us_3A_77@lid", "_data": data})

    assert (message.alternate_chat_id, message.alternate_sender) == (None, "1555@c.us")


def test_our_own_message_on_gows_tells_the_other_name_of_who_receives_it() -> None:
    data = {"Info": {"SenderAlt": "15551230000@s.whatsapp.net", "RecipientAlt": "77@lid"}}

    message = message_in({"id": "true_1555@c.us_3A", "fromMe": True, "_data": data})

    assert (message.alternate_chat_id, message.alternate_sender) == ("77@lid", None)


@pytest.mark.parametrize(
    ("more", "message_type"),
    [
        ({"hasMedia": True, "media": {"url": "http://h/a.jpg", "mimetype": "image/jpeg"}}, "image"),
        ({"hasMedia": True, "media": {"mimetype": "audio/ogg; codecs=opus"}}, "audio"),
        ({"hasMedia": True, "media": {"mimetype": "application/pdf"}}, "document"),
        ({"hasMedia": True, "media": None}, "document"),
        ({"location": {"latitude": "52.5", "longitude": 13.4}}, "location"),
        ({"vCards": ["BEGIN:VCARD"]}, "contact"),
        ({"body": "Hi"}, "text"),
        ({"body": None}, "other"),
    ],
)
def test_a_message_has_a_type(more: dict[str, Any], message_type: str) -> None:
    assert message_in(incoming(**more)).message_type == message_type


def test_a_file_that_waha_could_not_fetch_says_why() -> None:
    media = {"url": None, "mimetype": "image/jpeg", "error": {"code": 13, "details": "download failed"}}

    message = message_in(incoming(hasMedia=True, media=media))

    assert message.media is not None
    assert (message.media.url, message.media.error) == (None, "download failed")


@pytest.mark.parametrize("name", ["message.ack", "message.ack.group"])
def test_an_ack_is_a_receipt_of_one_message(name: str) -> None:
    payload = {"id": "true_1@g.us_3EB0AA_9988@lid", "fromMe": True, "ack": 3, "participant": "1555@c.us"}

    parsed = parse(event(name, payload))

    assert isinstance(parsed, AckEvent)
    assert (parsed.message_id, parsed.chat_id, parsed.participant) == ("3EB0AA", "1@g.us", "1555@c.us")
    assert (parsed.from_me, parsed.receipt, parsed.error) == (True, "read", None)


def test_a_failed_ack_tells_the_restriction() -> None:
    error = {"code": "463", "blocked": True, "reason": "account_restricted", "until": "2026-11-23T00:00:00Z"}

    parsed = parse(event("message.ack", {"id": "true_1@c.us_A", "ack": -1, "error": error}))

    assert isinstance(parsed, AckEvent)
    assert (parsed.receipt, parsed.from_me) == ("failed", True)
    assert parsed.error is not None
    assert (parsed.error.code, parsed.error.blocked, parsed.error.reason) == ("463", True, "account_restricted")


@pytest.mark.parametrize(("text", "emoji"), [("🙏", "🙏"), ("", ""), (None, "")])
def test_a_reaction_is_put_on_a_message_or_taken_back(text: str | None, emoji: str) -> None:
    payload = incoming(reaction={"text": text, "messageId": "true_1555@c.us_3EB0AA"})

    parsed = parse(event("message.reaction", payload))

    assert isinstance(parsed, ReactionEvent)
    assert (parsed.emoji, parsed.target_message_id, parsed.target_from_me) == (emoji, "3EB0AA", True)
    assert (parsed.message.message_id, parsed.message.chat_id) == ("3A", "1555@c.us")


def test_an_edit_has_the_new_text_and_the_old_id() -> None:
    parsed = parse(event("message.edited", incoming(body="new", editedMessageId="3A0")))

    assert isinstance(parsed, EditedEvent)
    assert (parsed.edited_message_id, parsed.message.body, parsed.message.chat_id) == ("3A0", "new", "1555@c.us")


@pytest.mark.parametrize(
    ("more", "chat_id", "from_me"),
    [
        ({"after": incoming(), "before": None}, "1555@c.us", False),
        ({"after": None, "before": {"id": "true_1555@c.us_3A0"}}, "1555@c.us", True),
        ({"after": None}, None, None),
    ],
)
def test_a_revocation_names_its_message_and_perhaps_the_chat(
    more: dict[str, Any], chat_id: str | None, *, from_me: bool | None
) -> None:
    raw = event("message.revoked", {"revokedMessageId": "3A0", **more})

    parsed = parse(raw)

    assert isinstance(parsed, RevokedEvent)
    assert (parsed.revoked_message_id, parsed.chat_id, parsed.from_me) == ("3A0", chat_id, from_me)
    assert envelope_of(raw) == InboxKey("acme-1", "evt_01", "message.revoked", chat_id)


@pytest.mark.parametrize(("word", "status"), [("WORKING", "working"), ("HIBERNATING", None)])
def test_a_sessions_status_keeps_wahas_word(word: str, status: str | None) -> None:
    parsed = parse(event("session.status", {"name": "acme-1", "status": word, "statuses": 7, "data": None}))

    assert isinstance(parsed, SessionStatusEvent)
    assert (parsed.waha_status, parsed.status, parsed.data) == (word, status, {})


@pytest.mark.parametrize("payload", [{"id": "call_1"}, None, [], 5])
def test_an_event_of_the_future_is_unknown_and_no_error(payload: Any) -> None:
    raw = event("call.received", payload)

    assert isinstance(parse(raw), UnknownEvent)
    assert envelope_of(raw) == InboxKey("acme-1", "evt_01", "call.received", None)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense",
        b"\xff\xfe{",
        b"[]",
        b"null",
        b"{}",
        b'{"event":"message"}',
        b'{"session":"s"}',
        b'{"event":5,"session":"s"}',
        b"[" * 100_000,
        b'{"event":"session.status","session":"s","n":' + b"1" * 10_000 + b"}",
        b'{"event":"call.received","session":"s","n":NaN}',
        event("message.any", None),
        event("message.any", {"id": None}),
        event("message.any", {"id": 5, "from": "1@c.us"}),
        event("message.any", {"id": "not written out"}),
        event("message.ack", {}),
        event("message.reaction", incoming(reaction=None)),
        event("message.edited", incoming()),
        event("message.revoked", {"after": incoming()}),
        event("session.status", {"status": None}),
    ],
)
def test_what_is_about_nothing_is_malformed_with_a_sentence(raw: bytes) -> None:
    with pytest.raises(MalformedEvent, match=r"\.$"):
        parse(raw)


def test_characters_that_postgresql_cannot_hold_are_parsed_and_half_pairs_replaced() -> None:
    raw = event("message.any", incoming(body="a\0b\ud83d", _data={"pushName": "\udc00", "k\ud800": ["\ud800"]}))

    parsed = parse(raw)

    assert isinstance(parsed, MessageEvent)
    assert (parsed.message.body, parsed.message.push_name) == ("a\0b\ufffd", "\ufffd")
    json.dumps(parsed.message.raw, ensure_ascii=False).encode()


def test_whole_pairs_stay_as_they_are() -> None:
    assert message_in(incoming(body="🙏")).body == "🙏"


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense",
        b'{"event":"message","session":"s"}',
        b'{"id":"evt_1","session":"s"}',
        b'{"id":"evt_1","event":"message"}',
        b'{"id":"evt_\\u0000","event":"message","session":"s"}',
    ],
)
def test_an_event_without_its_three_names_has_no_key(raw: bytes) -> None:
    assert envelope_of(raw) is None


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
def test_the_two_ends_of_a_chat_share_a_lane(engine: str) -> None:
    theirs = event("message.any", incoming(), engine=engine)
    ours = event("message.ack", {"id": "true_1555@c.us_3EB0AA", "from": "me@c.us", "ack": 2}, engine=engine)

    lanes = {key.chat_id for raw in (theirs, ours) if (key := envelope_of(raw))}

    assert lanes == {"1555@c.us"}


def test_a_row_of_history_takes_the_same_way_in_and_has_always_the_same_key() -> None:
    row = incoming(body="missed")

    raw = webhooks.as_webhook("acme-1", row, engine="GOWS", version="2026.7.1")

    assert envelope_of(raw) == InboxKey("acme-1", "history_false_3A", "message.any", "1555@c.us")
    parsed = parse(raw)
    assert isinstance(parsed, MessageEvent)
    assert parsed.message == message_in(row)
    assert (parsed.envelope.engine, parsed.envelope.version) == ("GOWS", "2026.7.1")


def test_a_row_of_history_about_nothing_is_malformed() -> None:
    with pytest.raises(MalformedEvent):
        webhooks.as_webhook("acme-1", {"body": "x"})


FIELDS = st.sampled_from(
    [
        *("id", "from", "fromMe", "participant", "body", "timestamp", "hasMedia", "media", "mimetype", "url", "error"),
        *(
            "ack",
            "status",
            "replyTo",
            "location",
            "latitude",
            "longitude",
            "vCards",
            "_data",
            "key",
            "Info",
            "remoteJid",
        ),
        *(
            "reaction",
            "text",
            "messageId",
            "editedMessageId",
            "revokedMessageId",
            "before",
            "after",
            "me",
            "environment",
        ),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["true_1@c.us_A", "false_1@g.us_A_2@lid", "1@s.whatsapp.net", "\ud800", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(max_size=5), inner, max_size=6),
    max_leaves=20,
)
NAMES = st.sampled_from([*webhooks.SUBSCRIBED_EVENTS, "message", "engine.event"])
ENVELOPES = st.builds(
    lambda name, payload, more: event(name, payload, **more),
    NAMES,
    VALUES,
    st.dictionaries(st.sampled_from(["id", "timestamp", "session", "metadata", "me", "engine", "environment"]), VALUES),
)


@settings(deadline=None)
@given(ENVELOPES | st.binary() | VALUES.map(lambda value: json.dumps(value).encode()))
def test_whatever_is_posted_is_an_event_or_malformed(raw: bytes) -> None:
    key = envelope_of(raw)

    try:
        parsed = parse(raw)
    except MalformedEvent:
        return

    if key is not None:
        assert key[:3] == (parsed.envelope.session, parsed.envelope.id, parsed.envelope.name)
    repr(parsed).encode()
