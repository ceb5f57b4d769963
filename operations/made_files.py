"""Files that are made when they are sent, so that no row holds them: a post says of what, the relay asks here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any
from uuid import UUID

from database import tenant_transaction
from models import PostKind, SlackPost
from operations import audit, audit_export, customer_export, relaying
from operations.permissions import Permission, may
from operations.posting import person_lane, queue_post
from operations.relaying import LeasedPost
from operations.standing import Person, memberships

Contents = Mapping[str, Any]

_MAKERS: dict[str, Callable[[Contents, UUID], bytes]] = {
    audit_export.KIND: audit_export.content,
    customer_export.KIND: customer_export.content,
}
_PERMISSIONS: dict[str, Permission] = {
    audit_export.KIND: Permission.AUDIT_SHOW,
    customer_export.KIND: Permission.CONTACT_RIGHTS,
}


def send(
    person: Person,
    text: str,
    contents: Contents,
    *,
    filename: str,
    alt_text: str,
    tenant_id: UUID,
    post_id: UUID,
) -> None:
    """Queue a file for a person, by direct message; done once however often it is called."""
    queue_post(
        person_lane(person.team_id, person.user_id),
        PostKind.DIRECT,
        {
            "text": text,
            "names_commands": True,
            "file": "",
            "contents": dict(contents),
            "filename": filename,
            "alt_text": alt_text,
        },
        team_id=person.team_id,
        channel_id=person.user_id,
        tenant_id=tenant_id,
        post_id=post_id,
        slot=f"file:{post_id}",
    )


def content(contents: Contents, tenant_id: UUID) -> bytes:
    """The file that a post promises, of the rows of its tenant."""
    with tenant_transaction(tenant_id):
        return _MAKERS[contents["kind"]](contents, tenant_id)


def withheld(post: LeasedPost, *, operators: Collection[str]) -> bool:
    """Whether whoever asked for a file lost the right to it while it waited; then it is parked, and never made."""
    if post.tenant_id is None or "contents" not in post.payload:
        return False
    with tenant_transaction(post.tenant_id):
        kind, person = post.payload["contents"]["kind"], Person(post.slack_team_id, post.slack_channel_id)
        if _may_have(person, post.tenant_id, _PERMISSIONS[kind], operators):
            return False
        if relaying.record_parked(post, "Whoever asked for the file may not have it any more."):
            after = {"file": kind, "asked_by": person.key}
            audit.record(
                "system: relay", "file.withhold", SlackPost, tenant_id=post.tenant_id, after=after, source="job:relay"
            )
        return True


def _may_have(person: Person, tenant_id: UUID, permission: Permission, operators: Collection[str]) -> bool:
    mine = next((one for one in memberships(person) if one.tenant_id == tenant_id), None)
    role = mine.role_kept if mine is not None else None
    return may(permission, role, is_operator=person.key in operators)
