"""Who clicks, before the tenant whose message it is. What stands in a button is nobody's word for it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from database import set_tenant
from models import Message, TenantStatus
from operations import slack_people
from operations.conversations import living
from operations.deciding import tenant_of
from operations.errors import NotAllowed, NotFound
from operations.permissions import Permission
from operations.posting import queue_update
from operations.standing import Person, Standing, kept_out, memberships

# The same for what is not there and for what is another tenant's: nobody learns which.
NOT_YOURS = (
    "Nothing was changed. This message is not there any more, or you have no role in the tenant that it belongs to."
)


def stand_before(person: Person, message_ids: Sequence[UUID], permission: Permission) -> list[Message]:
    """The messages, and their tenant set, where the person may do this with all of them.

    Raises:
        NotFound: one of them is not there, or is of another tenant, or of one in which the person is nobody.
        NotAllowed: the person's role does not include it, or the tenant is deactivated.
    """
    tenant_ids = {tenant_of(message_id) for message_id in message_ids}
    membership = next((one for one in memberships(person) if {one.tenant_id} == tenant_ids), None)
    if membership is None:
        if (kept := slack_people.known(person)) is not None and kept.outside:
            raise NotAllowed(kept_out(kept.outside))
        raise NotFound(NOT_YOURS)
    if reason := membership.closed_because:
        raise NotAllowed(reason)
    standing = Standing(
        person=person,
        tenant_id=membership.tenant_id,
        tenant_name=membership.tenant_name,
        tenant_status=TenantStatus(membership.tenant_status),
        role=membership.role_held,
        user_id=membership.user_id,
        is_operator=False,
    )
    standing.require(permission)
    set_tenant(standing.tenant_id)
    found = {message.id: message for message in Message.live().where(Message.id.in_(message_ids))}
    return [found[message_id] for message_id in message_ids]


def show_decision(message: Message, *, channel_id: str, ts: str, text: str) -> None:
    """Write over the post that offered a decision, without its buttons."""
    conversation = living(message.conversation_id) if message.conversation_id is not None else None
    # Where the conversation has moved to another channel, the old post stays: a click there is refused all the same.
    if conversation is not None and conversation.slack_channel_id == channel_id:
        queue_update(conversation, ts, text)
