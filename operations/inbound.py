"""What WhatsApp events change: message, contact, conversation and posts, in the transaction of their inbox rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from uuid import UUID

from models import Conversation, Direction, Message, RoutePurpose, WahaSession, now_utc
from operations import delivery, dividers, routes
from operations.afterwards import edit, reaction, revocation
from operations.conversations import Customer, find_or_open, is_active, number_of, route_for, unite
from operations.fingerprints import newest_erasure, was_erased
from operations.hearing import is_canary, note_canary, note_heard
from operations.held import DEACTIVATED, NO_CHANNEL, hold, keep_back
from operations.keeping import LONGEST_ID, keep, kept_message
from operations.observing import observe_status
from operations.outcomes import Early, NotYet, Parked
from operations.posting import queue_in_thread, tell, tell_person
from operations.receipts import show_receipt
from operations.relayed import relay_inbound
from operations.sql import changed, clean, entity, try_share, value
from slack.mrkdwn import foreign
from waha import events
from waha.chat_ids import from_jid, kind_of
from waha.messages import Message as WahaMessage
from waha.webhooks import history_id

# WAHA's session carries our row's id under this name, and repeats it in every event.
SESSION_METADATA = "switchboard.session"

# What carries words or signs of a customer, and says when they were written.
_TEXTS = (events.MessageEvent, events.ReactionEvent, events.EditedEvent)

# Longer ago than anybody was erased.
_EVER = timedelta(days=36_500)

_IGNORED_CHATS = frozenset({"broadcast", "newsletter"})

# Why what customers wrote to a deleted session is kept and not handled. Nobody has to do anything about it, so
# `measure()` leaves it out by these words.
DELETED = "The session was deleted."


@dataclass(frozen=True)
class House:
    """What the installation says of itself: whom to tell when a tenant has no channel for it."""

    operators: Collection[str] = ()


@dataclass(frozen=True)
class Heard:
    """An event, and how it came.

    `may_wait`: the message that it is about may still come. `is_history`: it was read from WAHA's history, after a gap.
    `row_id`: of the inbox.
    """

    event: events.Event
    may_wait: bool = False
    is_history: bool = False
    row_id: UUID | None = None


@dataclass
class _Turn:
    """Events of one session in one transaction.

    Locks are taken in one order everywhere: conversation, message, session, lane of posts. A chat's events come mixed,
    so what touches messages of ours is left for the end: it shows receipts, whose lane all chats of a channel share.
    """

    session: WahaSession
    house: House
    at_the_end: list[Callable[[], Message | None]] = field(default_factory=list)
    arrived: list[str] = field(default_factory=list)
    is_heard: bool = False
    _customer: Customer | None = None
    _conversation: Conversation | None = None

    @cached_property
    def is_shown(self) -> bool:
        """Whether anything is shown now; a deactivated tenant only keeps it."""
        return is_active(self.session.tenant_id)

    def conversation_with(self, customer: Customer) -> Conversation:
        """Looked for once: its row is locked until the end of the transaction."""
        if self._conversation is None or customer != self._customer:
            self._customer, self._conversation = customer, find_or_open(self.session, customer)
        return self._conversation

    @cached_property
    def newest_erasure(self) -> datetime | None:
        return newest_erasure(self.session.tenant_id)

    def forget_conversation(self) -> None:
        self._customer = self._conversation = None

    def end(self) -> None:
        moved = [message for work in self.at_the_end if (message := work()) is not None]
        if self.arrived:
            _note_activity(self.session)
        if self.is_heard:
            note_heard(self.session)
        # A message that was delivered and read in one turn is shown as read.
        for message in {message.id: message for message in moved}.values():
            show_receipt(message)


def handle(heard: Sequence[Heard], session_id: UUID, *, house: House) -> list[str]:
    """Apply events, in their order, to a session whose tenant is set.

    Returns:
        The WhatsApp ids of the messages that are here now: what waited for one (`waits_for`) can be handled.
    """
    session = entity(WahaSession, "SELECT * FROM waha_sessions WHERE id = %s", (session_id,))
    if session is None:
        raise Parked(DELETED)
    turn = _Turn(session, house)
    for one in heard:
        _apply(one, turn)
    turn.end()
    return turn.arrived


def waits_for(session: str, message_id: str) -> str:
    """The lane of what was told of a message before the message itself."""
    return f"{session}/about/{clean(message_id)[:LONGEST_ID]}"


def _apply(heard: Heard, turn: _Turn) -> None:
    session, event = turn.session, heard.event
    if isinstance(event, _TEXTS) and _was_erased(event.message, turn):
        empty(heard)
        return
    match event:
        case events.MessageEvent():
            _message(heard, event.message, turn)
        case events.AckEvent():
            turn.at_the_end.append(lambda: _acknowledge(event, turn, may_wait=heard.may_wait))
        case events.ReactionEvent():
            _or_wait(reaction(event, session, may_wait=heard.may_wait), event.target_message_id, session)
        case events.EditedEvent():
            _or_wait(edit(event, session, may_wait=heard.may_wait), event.edited_message_id, session)
        case events.RevokedEvent():
            _forget_what_was_revoked(heard, event, turn)
            _or_wait(revocation(event, session, may_wait=heard.may_wait), event.revoked_message_id, session)
        case events.SessionStatusEvent():
            # WAHA's clock may be ahead; a status from the future would hide every poll until then.
            at = min(event.envelope.timestamp or now_utc(), now_utc())
            observe_status(session, event.waha_status, at=at, source="webhook")
        case _:
            pass


def _was_erased(told: WahaMessage, turn: _Turn) -> bool:
    """Whether a customer was erased after this was written by them or to them: it is told late, or again."""
    if told.timestamp is None or turn.newest_erasure is None or told.timestamp >= turn.newest_erasure:
        return False
    named = (told.chat_id, told.alternate_chat_id, told.sender, told.alternate_sender)
    return was_erased(turn.session.tenant_id, {from_jid(one) for one in named if one}, told.timestamp)


def _forget_what_was_revoked(heard: Heard, event: events.RevokedEvent, turn: _Turn) -> None:
    """WAHA repeats the words that were taken back, and when they were written it does not say."""
    if event.chat_id is not None and turn.newest_erasure is not None:
        chat_id = from_jid(event.chat_id)
        if was_erased(turn.session.tenant_id, {chat_id}, turn.newest_erasure - _EVER):
            empty(heard)


def empty(heard: Heard) -> None:
    """Nothing is kept of what arrived but its key, which keeps it from coming again."""
    changed("UPDATE webhook_events SET body = '' WHERE id = %s", (heard.row_id,))


def _or_wait(is_handled: bool, message_id: str, session: WahaSession) -> None:  # noqa: FBT001 - reads as what it says
    if not is_handled:
        raise Early(waits_for(session.external_session_id, message_id))


def _acknowledge(event: events.AckEvent, turn: _Turn, *, may_wait: bool) -> Message | None:
    moved = delivery.move(turn.session, event)
    if moved is None and may_wait and delivery.is_unknown(turn.session, event):
        raise Early(waits_for(turn.session.external_session_id, event.message_id))
    return moved


def _message(heard: Heard, told: WahaMessage, turn: _Turn) -> None:
    session, divider = turn.session, dividers.brought_by(heard.event.envelope.metadata)
    if kind_of(told.chat_id) in _IGNORED_CHATS:
        return
    if is_canary(told):
        note_canary(session, told)
        return
    if told.from_me and delivery.is_own(session, told):
        turn.at_the_end.append(lambda: delivery.confirm(session, told))
        _divide(divider, told, turn)
        return
    turn.is_heard |= not heard.is_history
    if _is_known(heard, told, turn):
        _divide(divider, told, turn)
        return
    conversation = turn.conversation_with(_customer(told))
    message = keep(told, session, conversation, name=_name_of(told), may_be_late=not heard.is_history)
    turn.arrived.append(told.message_id)
    if dividers.NOT_SHOWN in heard.event.envelope.metadata:
        keep_back(message)
        _divide(divider, told, turn)
    elif not turn.is_shown:
        _hold_while_deactivated(message)
    elif conversation.slack_channel_id is None:
        _hold(message, turn)
    else:
        relay_inbound(conversation, message, below=divider)


def _divide(divider: str, told: WahaMessage, turn: _Turn) -> None:
    """Say what was recovered without the message that brought the divider, which is not shown itself."""
    conversation = turn.conversation_with(_customer(told)) if divider and turn.is_shown else None
    if conversation is not None and conversation.slack_channel_id is not None:
        queue_in_thread(conversation, divider)


def _is_known(heard: Heard, told: WahaMessage, turn: _Turn) -> bool:
    """Whether the message was kept before: events come at least once, and one message by several.

    Raises:
        Parked: a message of that id was kept, and it is another one.
    """
    kept = None if told.from_me else kept_message(turn.session, told.message_id, Direction.INBOUND)
    if kept is None:
        return False
    is_same_text = clean(told.body) in {"", kept.body, kept.metadata.get("edited_body")}
    # A customer is `@c.us` in one event and `@lid` in the next; two of one kind are two customers.
    is_twin = {kind_of(told.chat_id), kind_of(str(kept.chat_id))} == {"person", "lid"}
    is_same_chat = told.chat_id == kept.chat_id or is_twin
    # The history tells an edited message by its new text, and the webhook that WAHA repeats by the old one.
    if not is_same_chat or not (is_same_text or heard.is_history or _was_read_from_history(told, turn.session)):
        raise Parked("Another message was kept under this message's id.")
    if is_twin:
        both = _customer(told, str(kept.chat_id))
        turn.forget_conversation()
        unite(turn.session, both)
    return True


def _was_read_from_history(told: WahaMessage, session: WahaSession) -> bool:
    return bool(
        value(
            "SELECT EXISTS (SELECT 1 FROM webhook_events WHERE server = %s AND session = %s AND event_id = %s)",
            (session.server, session.external_session_id, history_id(told.message_id, from_me=told.from_me)),
        )
    )


def _hold(message: Message, turn: _Turn) -> None:
    session = turn.session
    if not try_share(routes.links_of(session.tenant_id)) or route_for(session) is not None:
        raise NotYet("A channel is being linked for this session.")
    hold(message, NO_CHANNEL)
    _tell_of_missing_channel(session, turn.house)


def _hold_while_deactivated(message: Message) -> None:
    # Whoever activates the tenant keeps this lock: what is held here is committed before what waits is looked for.
    if not try_share(routes.links_of(message.tenant_id)) or is_active(message.tenant_id):
        raise NotYet("The tenant is being activated.")
    hold(message, DEACTIVATED)


def _customer(told: WahaMessage, *other_chat_ids: str) -> Customer:
    named = (told.chat_id, told.alternate_chat_id, *other_chat_ids)
    chat_ids = tuple(dict.fromkeys(one for one in named if one))
    is_group = kind_of(told.chat_id) == "group"
    name = "" if told.from_me or is_group else _name_of(told)
    if is_group:
        return Customer(chat_ids=chat_ids, name=name or "WhatsApp group", is_group=True)
    return Customer(
        chat_ids=chat_ids,
        name=name,
        msisdn=next((number for one in chat_ids if (number := number_of(one))), None),
        lid=next((one for one in chat_ids if kind_of(one) == "lid"), None),
    )


def _name_of(told: WahaMessage) -> str:
    """What the customer calls themselves; a number is no name, and would stand unmasked where names are shown."""
    name = told.push_name or ""
    return name if re.search(r"[^\W\d_]", name) else ""


def _note_activity(session: WahaSession) -> None:
    # Once a second is exact enough: an update a message would have all chats of a session wait for each other.
    changed(
        "UPDATE waha_sessions SET last_activity_at = clock_timestamp() WHERE id = %s AND tenant_id = %s "
        "AND coalesce(last_activity_at < clock_timestamp() - interval '1 second', true)",
        (session.id, session.tenant_id),
    )


def _tell_of_missing_channel(session: WahaSession, house: House) -> None:
    """Once, and again after a channel was linked and taken away: messages are kept, and nobody sees them."""
    text = (
        f"Customers write to session `{foreign(session.name)}`, which has no channel. Their messages are kept. "
        f"Run `channel link --session {foreign(session.name)}` in the channel where they should appear."
    )
    slot = f"no-channel:{session.id}:{routes.newest_of(session.tenant_id)}"
    alerts = routes.channel_for(session.tenant_id, RoutePurpose.ALERTS)
    if alerts is not None:
        tell(alerts.slack_team_id, alerts.slack_channel_id, text, tenant_id=session.tenant_id, slot=slot)
        return
    for operator in house.operators:
        team_id, _, user_id = operator.partition("/")
        tell_person(team_id, user_id, text, tenant_id=session.tenant_id, slot=f"{slot}:{operator}")
