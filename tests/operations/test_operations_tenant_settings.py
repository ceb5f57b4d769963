"""What a tenant decides about itself: checked, stored where it differs from the defaults, and taken back."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from database import transaction
from models import Tenant
from models.tenant_settings import TenantSettings
from operations import tenant_settings
from operations.errors import BadInput
from operations.tenant_settings import Changed
from tests.operations.builders import ANA, OPERATOR, World

pytestmark = pytest.mark.database_role("switchboard_bot")


def put(tenant: Tenant, key: str, value: str) -> Changed:
    with transaction():
        return tenant_settings.put(tenant.id, key, value, actor=ANA.key)


def stored(world: World) -> object:
    return world.value("SELECT settings FROM tenants")


def test_every_setting_is_shown_with_its_default_and_what_it_means(tenant: Tenant) -> None:
    with transaction():
        shown = tenant_settings.list_all(tenant.id)

    assert [one.key for one in shown] == list(TenantSettings.model_fields)
    assert all(one.is_default and one.means for one in shown)


@pytest.mark.parametrize(
    ("key", "typed", "kept", "shown"),
    [
        ("login", "PASSWORD", {"login": "password"}, "password"),
        ("login-hours", "8", {"login_hours": 8}, "8"),
        ("keep_messages_days", "365", {"keep_messages_days": 365}, "365"),
        ("keep_messages_days", "never", {}, "never"),
        ("encrypted_fields", "contacts.metadata", {"encrypted_fields": ["contacts.metadata"]}, "contacts.metadata"),
        ("login_hours", "12", {}, "12"),
    ],
)
def test_only_what_differs_from_the_default_is_stored(
    world: World, tenant: Tenant, key: str, typed: str, kept: object, shown: str
) -> None:
    assert put(tenant, key, typed).after.value == shown
    assert stored(world) == kept


def test_one_setting_leaves_the_others_as_they_are_and_default_takes_it_back(world: World, tenant: Tenant) -> None:
    put(tenant, "login_hours", "8")
    put(tenant, "keep_audit_days", "400")

    changed = put(tenant, "login_hours", "default")

    assert (changed.before.value, changed.after.value, changed.after.is_default) == ("8", "12", True)
    assert stored(world) == {"keep_audit_days": 400}


def test_the_audit_says_what_it_was_and_what_it_is(world: World, tenant: Tenant) -> None:
    put(tenant, "login_hours", "8")
    put(tenant, "login_hours", "8")

    assert world.sql("SELECT action, before, after FROM audit_entries") == [
        ("tenant.settings", {"login_hours": 12}, {"login_hours": 8})
    ]


@pytest.mark.parametrize(
    ("key", "typed", "sentence"),
    [
        ("logn", "slack", "There is no setting `logn`. Did you mean *login*?"),
        ("colour", "red", "There is no setting `colour`. There are *login*"),
        ("login", "sms", "*login* must be one of 'slack' or 'password'. It is what proves who somebody is"),
        ("login_hours", "soon", "*login_hours* must be a whole number."),
        ("login_hours", "0", "*login_hours* must be at least 1."),
        ("login_hours", "721", "*login_hours* must be at most 720."),
        ("keep_messages_days", "1", "*keep_messages_days* must be at least 7."),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    world: World, tenant: Tenant, key: str, typed: str, sentence: str
) -> None:
    with pytest.raises(BadInput) as refusal:
        put(tenant, key, typed)

    assert sentence in refusal.value.sentence
    assert stored(world) == {}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=st.sampled_from(sorted(TenantSettings.model_fields)) | st.text(max_size=20),
    typed=st.sampled_from(["password", "7", "never", "contacts.metadata", "default"]) | st.text(max_size=40),
)
def test_whatever_is_typed_is_taken_whole_or_refused(world: World, tenant: Tenant, key: str, typed: str) -> None:
    before = stored(world)

    try:
        put(tenant, key, typed)
    except BadInput:
        assert stored(world) == before

    with transaction():
        assert tenant_settings.settings_of(tenant.id).model_dump(mode="json", exclude_defaults=True) == stored(world)


def test_who_has_no_password_yet_is_named_when_one_is_asked_for(world: World, tenant: Tenant) -> None:
    world.user(tenant)
    world.user(tenant, OPERATOR, password_hash="$2b$12$x")

    asked = put(tenant, "login", "password")
    again = put(tenant, "login", "password")

    assert asked.without_password == (ANA.user_id,)
    assert again.without_password == ()
