"""Messages by the beginning of their id, as people type it."""

from __future__ import annotations

import re
from uuid import UUID

from database import set_tenant
from models import Message
from operations.errors import BadInput, NotFound

# Of an id that we make, the first eight characters say little more than the minute.
_SHORTEST = 8
_SHOWN = 13
_ALL = 32
_MOST_SHOWN = 5


def short(message_id: UUID) -> str:
    """`0198c2a4-7d1e`: the millisecond, by which two messages are seldom confused."""
    return str(message_id)[:_SHOWN]


def find(tenant_id: UUID, typed: str) -> Message:
    """The tenant's message whose id begins so.

    Raises:
        BadInput: it is no id, too short for one, or the beginning of several.
        NotFound: the tenant has none of that id; another tenant's is none.
    """
    set_tenant(tenant_id)
    digits = typed.strip("`… ").replace("-", "").lower()
    if not re.fullmatch(rf"[0-9a-f]{{{_SHORTEST},{_ALL}}}", digits):
        raise BadInput(
            f"A message's id looks like `0198c2a4-7d1e`, with at least {_SHORTEST} characters; `message list` and "
            "`message failed` show them."
        )
    # By range, which the key answers.
    first, last = UUID(digits.ljust(_ALL, "0")), UUID(digits.ljust(_ALL, "f"))
    mine = Message.live().where(Message.tenant_id == tenant_id, Message.id.between(first, last))
    found = list(mine.order_by(Message.id).limit(_MOST_SHOWN + 1))
    if not found:
        raise NotFound("There is no such message in this tenant; `message list` shows the newest.")
    if len(found) > 1:
        more = " and more" if len(found) > _MOST_SHOWN else ""
        listed = ", ".join(f"`{message.id}`" for message in found[:_MOST_SHOWN])
        raise BadInput(f"Several messages begin so: {listed}{more}. Type more of the one that you mean.")
    return found[0]
