from __future__ import annotations

from typing import Any

import pytest
from psycopg2.extensions import cursor
from pydantic import ValidationError

from models.requests import (
    CreateMessage,
    CreateTenant,
    CreateUser,
    CreateWahaSession,
    Request,
    Update,
    UpdateMessage,
    UpdateTenant,
    UpdateUser,
    UpdateWahaSession,
    explain,
)
from tests.models.examples import ID, TABLES, VALID, complaints, named

UPDATES = [request for request in VALID if issubclass(request, Update)]
ROLES = "'TENANT_ADMIN', 'MANAGER', 'AGENT' or 'AUDITOR'"
SESSION_STATUSES = "'starting', 'scan_qr', 'working', 'failed' or 'stopped'"
SESSION_NAMES = "may hold small letters, digits, `-` and `_`, such as `sales-berlin`."
DOMAIN = f"{'d' * 63}.{'e' * 63}.{'f' * 57}.org"


def email(length: int) -> str:
    return f"{'l' * (length - len(DOMAIN) - 1)}@{DOMAIN}"


@pytest.mark.parametrize("request_type", VALID)
def test_the_examples_are_valid(request_type: type[Request]) -> None:
    assert complaints(request_type) == []


@pytest.mark.parametrize(
    ("request_type", "field", "most", "letter"),
    [
        (CreateTenant, "name", 100, "n"),
        (UpdateTenant, "name", 100, "n"),
        (CreateUser, "first_name", 50, "f"),
        (CreateUser, "last_name", 50, "l"),
        (CreateUser, "password_hash", 255, "h"),
        (UpdateUser, "first_name", 50, "f"),
        (UpdateUser, "last_name", 50, "l"),
        (UpdateUser, "password_hash", 255, "h"),
        (CreateWahaSession, "name", 40, "n"),
        (CreateWahaSession, "server", 100, "s"),
        (UpdateWahaSession, "name", 40, "n"),
        (CreateMessage, "to_msisdn", 20, "4"),
        (CreateMessage, "from_msisdn", 20, "4"),
        (CreateMessage, "chat_id", 255, "4"),
        (CreateMessage, "waha_message_id", 255, "A"),
        (CreateMessage, "message_type", 50, "t"),
        (CreateMessage, "media_url", 500, "u"),
        (UpdateMessage, "waha_message_id", 255, "A"),
    ],
)
def test_a_text_may_be_as_long_as_its_column_and_no_longer(
    request_type: type[Request], field: str, most: int, letter: str, owner: cursor
) -> None:
    owner.execute(
        """
        SELECT min(character_maximum_length) FROM information_schema.columns
        WHERE table_name = %s AND column_name = %s
        """,
        (TABLES[request_type], field),
    )

    assert complaints(request_type, **{field: letter * most}) == []
    assert complaints(request_type, **{field: letter * (most + 1)}) == [
        f"{named(field)} is longer than {most} characters."
    ]
    assert owner.fetchone() in {(most,), (None,)}


@pytest.mark.parametrize("request_type", [CreateUser, UpdateUser])
def test_an_email_may_have_254_characters(request_type: type[Request]) -> None:
    assert complaints(request_type, email=email(254)) == []
    assert complaints(request_type, email=email(255)) == ["Email is not an e-mail address, such as ana@example.org."]


@pytest.mark.parametrize(
    "wrong", ["", "ana", "ana@", "@example.org", "ana@localhost", "a b@example.org", "a\0@example.org"]
)
def test_what_is_no_email_is_refused(wrong: str) -> None:
    assert complaints(CreateUser, email=wrong) == ["Email is not an e-mail address, such as ana@example.org."]


def test_an_email_is_kept_in_small_letters() -> None:
    request = CreateUser(tenant_id=ID, email="Ana.Maria@Example.ORG", role="AGENT")

    assert request.email == "ana.maria@example.org"


@pytest.mark.parametrize(
    ("request_type", "field", "words"),
    [
        (CreateTenant, "status", "'active' or 'inactive'"),
        (UpdateTenant, "status", "'active' or 'inactive'"),
        (CreateUser, "role", ROLES),
        (UpdateUser, "role", ROLES),
        (CreateWahaSession, "engine", "'WEBJS', 'NOWEB' or 'GOWS'"),
        (CreateWahaSession, "desired_state", "'running' or 'stopped'"),
        (UpdateWahaSession, "desired_state", "'running' or 'stopped'"),
        (UpdateWahaSession, "status", SESSION_STATUSES),
        (CreateMessage, "direction", "'inbound' or 'outbound'"),
        (CreateMessage, "status", "'queued', 'sent', 'delivered' or 'failed'"),
        (UpdateMessage, "status", "'queued', 'sent', 'delivered' or 'failed'"),
    ],
)
def test_a_word_is_one_of_its_enumeration(request_type: type[Request], field: str, words: str) -> None:
    sentence = f"{named(field)} must be one of {words}."

    for wrong in ("", "none of them", words.split("'")[1].swapcase(), None):
        assert complaints(request_type, **{field: wrong}) == [sentence]
    for right in words.split("'")[1::2]:
        assert complaints(request_type, **{field: right}) == []


@pytest.mark.parametrize(
    ("request_type", "field"),
    [
        (CreateUser, "tenant_id"),
        (CreateWahaSession, "tenant_id"),
        (CreateMessage, "tenant_id"),
        (CreateMessage, "session_id"),
    ],
)
@pytest.mark.parametrize("wrong", ["", "acme", "01890a5d-ac96-774b-bcce", 7, None])
def test_an_id_is_a_uuid(request_type: type[Request], field: str, wrong: Any) -> None:
    assert complaints(request_type, **{field: wrong}) == [
        f"{named(field)} is not a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057."
    ]


@pytest.mark.parametrize("request_type", [request for request in VALID if request not in UPDATES])
def test_what_a_new_row_needs_cannot_be_left_out(request_type: type[Request]) -> None:
    needed = {name for name, field in request_type.model_fields.items() if field.is_required()}

    with pytest.raises(ValidationError) as caught:
        request_type.model_validate({})

    assert set(explain(caught.value)) == {f"{named(name)} is needed." for name in needed}
    assert needed == VALID[request_type].keys() - {"body"}


@pytest.mark.parametrize(
    ("request_type", "field"),
    [
        (CreateTenant, "name"),
        (UpdateTenant, "name"),
        (CreateUser, "password_hash"),
        (CreateWahaSession, "name"),
        (CreateWahaSession, "server"),
        (CreateMessage, "chat_id"),
        (CreateMessage, "waha_message_id"),
        (CreateMessage, "message_type"),
        (CreateMessage, "media_url"),
    ],
)
@pytest.mark.parametrize("blank", ["", " ", "\t\n\u3000"])
def test_blanks_are_as_good_as_nothing(request_type: type[Request], field: str, blank: str) -> None:
    [complaint] = complaints(request_type, **{field: blank})

    assert complaint.endswith("must not be empty.")


@pytest.mark.parametrize("blank", ["", "  \n"])
def test_a_text_says_something_and_a_file_need_not(blank: str) -> None:
    assert complaints(CreateMessage, body=blank) == ["The text is empty; write what should be sent."]
    assert complaints(CreateMessage, body=blank, message_type="image", media_url="https://example.org/a.png") == []


@pytest.mark.parametrize("wrong", ["+4915123456789", "4915 123", "x", "٤٩", "4\n"])
def test_a_phone_number_is_digits_only(wrong: str) -> None:
    assert complaints(CreateMessage, to_msisdn=wrong) == [
        "To msisdn must be digits only, country code first, such as 4915123456789."
    ]


@pytest.mark.parametrize("wrong", ["-sales", "_sales", "büro", "sales berlin", "sales/berlin"])
def test_a_session_name_is_a_plain_word(wrong: str) -> None:
    assert complaints(CreateWahaSession, name=wrong) == [f"Name {SESSION_NAMES}"]


def test_a_session_name_is_kept_in_small_letters() -> None:
    request = CreateWahaSession.model_validate({**VALID[CreateWahaSession], "name": " Sales "})

    assert request.name == "sales"


@pytest.mark.parametrize("request_type", VALID)
def test_an_unknown_field_is_named(request_type: type[Request]) -> None:
    assert complaints(request_type, fore_name="Ana") == ["Fore name is not a field of this."]


def test_a_user_brings_no_password_in_plain_text() -> None:
    assert complaints(CreateUser, password="hunter2") == ["Password is not a field of this."]


@pytest.mark.parametrize("request_type", UPDATES)
def test_a_change_changes_something(request_type: type[Update]) -> None:
    with pytest.raises(ValidationError) as caught:
        request_type()

    assert explain(caught.value) == ["Nothing to change was given."]


def test_a_change_holds_what_was_given_and_nothing_else() -> None:
    request = UpdateTenant.model_validate({"description": None, "name": " Acme "})

    assert request.changes() == {"description": None, "name": "Acme"}
