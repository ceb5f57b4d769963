"""What a request says when it refuses, and that PostgreSQL takes all that it lets through."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import cursor
from psycopg2.extras import Json

from models.requests import CreateTenant, CreateUser, Request, UpdateMessage
from tests.models.examples import ID, VALID, complaints

ROLES = "'TENANT_ADMIN', 'MANAGER', 'AGENT' or 'AUDITOR'"


def test_every_broken_rule_has_its_sentence() -> None:
    assert complaints(CreateUser, email="", role="BOSS", is_active="perhaps", first_name=5, preferences=[]) == [
        "Email is not an e-mail address, such as ana@example.org.",
        f"Role must be one of {ROLES}.",
        "First name must be text.",
        "Is active must be yes or no.",
        "Preferences must be an object of names and values.",
    ]


def test_what_was_typed_is_not_repeated() -> None:
    secret = "s3cret{max_length}" * 20

    said = complaints(CreateUser, email=secret, role=secret, first_name=secret, tenant_id=secret)

    assert len(said) == 4
    assert "s3cret" not in "".join(said)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"a": ["\0"]}, "Settings must not hold the character U+0000."),
        ({"\0": 1}, "Settings must not hold the character U+0000."),
        ({"a": float("nan")}, "Settings must hold nothing but JSON."),
        ({"a": "\ud800"}, "Settings must hold nothing but JSON."),
        ({"a": ID}, "Settings must hold nothing but JSON."),
    ],
)
def test_an_object_that_jsonb_would_refuse_is_refused_with_a_sentence(value: dict[str, Any], complaint: str) -> None:
    assert complaints(CreateTenant, settings=value) == [complaint]


@pytest.mark.parametrize(
    ("wrong", "rule"), [("a\0", "must not hold the character U+0000"), ("\ud800", "must be text in Unicode")]
)
def test_a_text_that_postgresql_would_refuse_is_refused_with_a_sentence(wrong: str, rule: str) -> None:
    assert complaints(CreateTenant, name=wrong) == [f"Name {rule}."]
    assert complaints(UpdateMessage, error_message=wrong) == [f"Error message {rule}."]
    assert complaints(UpdateMessage, waha_message_id=wrong) == [f"Waha message id {rule}."]


ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=120)
ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | ANY_TEXT, st.lists, max_leaves=6
)
ANY_OBJECT = st.dictionaries(ANY_TEXT, ANY_VALUE, max_size=4)


@given(request_type=st.sampled_from(list(VALID)), data=st.data())
def test_whatever_is_wrong_there_is_a_sentence_for_it(request_type: type[Request], data: st.DataObject) -> None:
    fields = data.draw(st.dictionaries(st.sampled_from(list(request_type.model_fields)), ANY_VALUE))

    for complaint in complaints(request_type, **fields):
        assert complaint.endswith(".")
        assert "Input" not in complaint


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(name=ANY_TEXT, description=ANY_TEXT, facts=ANY_OBJECT)
def test_postgresql_takes_whatever_a_request_lets_through(
    owner: cursor, name: str, description: str, facts: dict[str, Any]
) -> None:
    if complaints(CreateTenant, name=name, description=description, settings=facts):
        return
    request = CreateTenant(name=name, description=description, settings=facts)

    owner.execute(
        "INSERT INTO tenants (id, name, description, settings) VALUES (%s, %s, %s, %s) RETURNING name, description",
        (str(uuid.uuid4()), request.name, request.description, Json(request.settings)),
    )

    assert owner.fetchone() == (request.name, request.description)
    owner.connection.rollback()
