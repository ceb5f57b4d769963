"""Files that are made when they are sent, so that no row holds them: a post says of what, the relay asks here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from database import tenant_transaction
from models import PostKind
from operations import audit_export, customer_export
from operations.posting import person_lane, queue_post
from operations.standing import Person

Contents = Mapping[str, Any]

_MAKERS: dict[str, Callable[[Contents, UUID], bytes]] = {
    audit_export.KIND: audit_export.content,
    customer_export.KIND: customer_export.content,
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
