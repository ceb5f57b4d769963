"""What happens on WhatsApp becomes rows of the mailbox and events."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from sandbox.waha.environment import Json
from sandbox.waha.identifiers import event_id
from sandbox.waha.mailbox import Row
from sandbox.waha.receipt_faults import Kind
from sandbox.waha.session import Session
from sandbox.whatsapp import (
    Ack,
    Acknowledged,
    Edited,
    Group,
    Happening,
    LinkedDevice,
    Message,
    Phone,
    Reacted,
    Revoked,
    Written,
)


def receive(session: Session, happening: Happening) -> None:
    match happening:
        case Written():
            _written(session, happening)
        case Acknowledged():
            _acknowledged(session, happening)
        case Reacted():
            _reacted(session, happening)
        case Edited():
            _edited(session, happening)
        case Revoked():
            _revoked(session, happening)


def ids_of(side: Phone | Group) -> tuple[str, str | None]:
    """The id under which WAHA knows somebody, and the other one."""
    if isinstance(side, Group):
        return side.id, None
    number, lid = f"{side.number}@c.us", f"{side.lid}@lid"
    return (lid, number) if side.appears_as == "lid" else (number, lid)


def is_ignored(session: Session, message: Message) -> bool:
    ignore = (session.config or {}).get("ignore") or {}
    return isinstance(message.to, Group) and bool(ignore.get("groups"))


def _written(session: Session, happening: Written) -> None:
    if is_ignored(session, happening.message):
        return
    row = _row(session, happening.message, happening.origin)
    if (row.from_me, row.id) not in session.mailbox.rows:
        session.mailbox.add(row)
    _tell(session, row)
    if not row.from_me and row.chat_alt and not row.is_group and _comes_as_twins(session):
        _tell(session, replace(row, chat=row.chat_alt, chat_alt=row.chat, author=row.chat_alt, author_alt=row.chat))


def _tell(session: Session, row: Row) -> None:
    media = session.runtime.files.publish(session.name, row)
    payload = session.runtime.engine.message(row, live=True, media=media)
    shared = event_id(session.runtime.environment.random)
    if not row.from_me:
        session.emit("message", payload, shared_id=shared)
    session.emit("message.any", payload, shared_id=shared)


def _comes_as_twins(session: Session) -> bool:
    """GOWS tells some messages of new senders under both of their ids."""
    event = {"event": "message.any", "session": session.name}
    return session.runtime.webhooks.faults.strikes("twin", event) is not None


def _acknowledged(session: Session, happening: Acknowledged) -> None:
    engine = session.runtime.engine
    from_me = happening.message.sender is session.account
    row = session.mailbox.find(happening.message.id, from_me=from_me)
    fate = session.receipt_fates.get(happening.message.id, frozenset()) if from_me else frozenset()
    if row is None or happening.ack == engine.first_ack or "none" in fate:
        return
    if from_me:
        row.ack = happening.ack if happening.ack is Ack.ERROR else max(row.ack, happening.ack)
    if row.is_group and not engine.tells_group_receipts(session.config or {}):
        return
    by, _ = ids_of(happening.by)
    for ack in [happening.ack, *_repetitions(happening.ack, fate, engine.first_ack)]:
        payload = engine.receipt(row, ack, by, from_me=from_me, restricted=happening.restricted)
        session.emit("message.ack.group" if row.is_group else "message.ack", payload)


def _repetitions(ack: Ack, fate: frozenset[Kind], first: Ack) -> list[Ack]:
    """What follows a receipt though it says nothing new: itself again, or the one before it."""
    same = [ack] if "repeated" in fate else []
    before = [Ack(ack - 1)] if "backwards" in fate and ack - 1 > first else []
    return same + before


def _reacted(session: Session, happening: Reacted) -> None:
    target = session.mailbox.find(happening.message.id)
    if target is None:
        return
    row = _about(session, happening, target)
    session.emit("message.reaction", session.runtime.engine.reaction(row, happening, target))


def _edited(session: Session, happening: Edited) -> None:
    target = session.mailbox.find(happening.message.id)
    if target is None:
        return
    target.text = happening.text
    row = _about(session, happening, target)
    payload = session.runtime.engine.message(row, live=True, media=None)
    session.emit("message.edited", payload | {"editedMessageId": target.id})


def _revoked(session: Session, happening: Revoked) -> None:
    target = session.mailbox.find(happening.message.id)
    if target is None:
        return
    row = _about(session, happening, target)
    payload: Json = {
        "after": session.runtime.engine.message(replace(row, text=""), live=True, media=None),
        "before": None,
        "revokedMessageId": target.id,
        "_data": {},
    }
    session.emit("message.revoked", payload)


def _about(session: Session, happening: Reacted | Edited | Revoked, target: Row) -> Row:
    """The row of a reaction, an edit or a deletion: a message of its own, about another one."""
    author, author_alt = ids_of(happening.by)
    row = replace(
        target,
        id=happening.id,
        from_me=happening.by is session.account,
        author=author,
        author_alt=author_alt,
        author_name=happening.by.name or "",
        at=happening.at,
        source=_source(session, happening.origin),
        quoted=None,
        hidden=True,
    )
    return session.mailbox.add(row)


def _row(session: Session, message: Message, origin: LinkedDevice | None) -> Row:
    if session.account is None:
        raise RuntimeError(f"{session.name} hears a message without being paired")
    chat, chat_alt = ids_of(message.chat_for(session.account))
    author, author_alt = ids_of(message.sender)
    from_me = message.sender is session.account
    asked = session.addressed_as.pop(message.id, chat)
    return Row(
        id=message.id,
        chat=asked,
        chat_alt=chat if asked != chat else chat_alt,
        from_me=from_me,
        author=author,
        author_alt=author_alt,
        author_name=message.sender.name or "",
        text=message.text,
        at=message.at,
        message=message,
        source=_source(session, origin),
        ack=session.runtime.engine.first_ack if from_me else Ack.DEVICE,
        quoted=session.mailbox.find(message.quoted.id) if message.quoted else None,
        me=f"{session.account.number}@c.us",
    )


def _source(session: Session, origin: LinkedDevice | None) -> Literal["api", "app"]:
    return "api" if origin is not None and origin is session.device else "app"
