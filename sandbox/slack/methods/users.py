"""People."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.slack.methods.paging import page
from sandbox.slack.methods.registry import method
from sandbox.slack.refusal import Json, Refusal

if TYPE_CHECKING:
    from sandbox.slack.arguments import Arguments
    from sandbox.slack.state import State
    from sandbox.slack.workspace import Person


@method("users.info", scope="users:read")
def info(state: State, arguments: Arguments) -> Json:
    """One person; the e-mail address only with the scope for it."""
    person = state.workspace.people.get(arguments.required("user"))
    if person is None:
        raise Refusal("user_not_found")
    return {"user": as_json(state, person)}


@method("users.list", scope="users:read")
def list_users(state: State, arguments: Arguments) -> Json:
    """Everybody, a page at a time."""
    shown, cursor = page(list(state.workspace.people.values()), arguments, most=1000)
    return {"members": [as_json(state, person) for person in shown], "response_metadata": {"next_cursor": cursor}}


@method("users.lookupByEmail", scope="users:read.email")
def lookup_by_email(state: State, arguments: Arguments) -> Json:
    """The colleague with this address; strangers and bots are not found."""
    email = arguments.required("email").lower()
    for person in state.workspace.people.values():
        if person.email.lower() == email and not person.deleted and not person.is_stranger and not person.is_bot:
            return {"user": as_json(state, person)}
    raise Refusal("users_not_found")


def as_json(state: State, person: Person) -> Json:
    """A person as Slack shows them to the app."""
    profile = {"real_name": person.real_name, "display_name": person.name, "team": person.team_id}
    if "users:read.email" in state.scopes and person.email and not person.is_stranger:
        profile["email"] = person.email
    return {
        "id": person.id,
        "team_id": person.team_id,
        "name": person.name,
        "real_name": person.real_name,
        "deleted": person.deleted,
        "profile": profile,
        "is_admin": False,
        "is_owner": False,
        "is_bot": person.is_bot,
        "is_app_user": False,
        "is_restricted": person.is_restricted,
        "is_ultra_restricted": person.is_ultra_restricted,
        "is_stranger": person.is_stranger,
        "tz": "Europe/Berlin",
        "tz_offset": 3600,
    }
