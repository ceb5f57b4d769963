"""Erasing a customer: their rows in one transaction, and in it the orders for what stands in Slack.

Whoever dies in between has done all of it or nothing. What was written before stays away when it is told again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID, uuid5

from database import tenant_transaction, transaction
from models import Contact, PostKind
from operations import audit, fingerprints
from operations.conversations import number_of
from operations.customers import Known, messages_of
from operations.errors import Conflict
from operations.posting import queue_post, tell_person
from operations.sql import lock, rows, value
from operations.standing import Person
from slack.mrkdwn import link

# The names of the rows that a command or a form makes: by them the call is found that asked for a message.
_MADE_BY_CALLS = "message"

UNDER_WAY = "Nothing was erased: {what} at this moment. Ask again in a minute."


@dataclass(frozen=True)
class Extent:
    """How much is kept about a customer.

    Args:
        unsent: of the messages, those that wait to be sent, which are not sent any more.
        threads: places in Slack where it is shown.
    """

    contacts: int
    conversations: int
    messages: int
    unsent: int
    threads: int


@dataclass(frozen=True)
class Order:
    """A thread from which all goes that we said, and who asked for that."""

    team_id: str
    channel_id: str
    thread_ts: str
    asker: str


@dataclass(frozen=True)
class _Thread:
    slack_team_id: str
    slack_channel_id: str
    slack_thread_ts: str

    @property
    def lane(self) -> str:
        """As the inbox of Slack's events names it."""
        return f"{self.slack_team_id}/{self.slack_channel_id}/{self.slack_thread_ts}"


@dataclass(frozen=True)
class _Written:
    id: UUID
    conversation_id: UUID | None
    chat_id: str | None
    waha_message_id: str | None
    is_unsent: bool


@dataclass(frozen=True)
class _Shown:
    slack_team_id: str
    slack_channel_id: str
    slack_ts: str


@dataclass(frozen=True)
class _Session:
    external_session_id: str


def extent(tenant_id: UUID, known: Known) -> Extent:
    """What an erasure would reach now."""
    return _extent(known, _written(tenant_id, known), _threads(tenant_id, known))


def _extent(known: Known, written: Sequence[_Written], threads: Sequence[_Thread]) -> Extent:
    return Extent(
        contacts=len(known.contacts),
        conversations=len(known.conversations),
        messages=len(written),
        unsent=sum(one.is_unsent for one in written),
        threads=len(threads),
    )


def erase(tenant_id: UUID, known: Known, *, asker: Person, actor: str, new_id: UUID) -> Extent:
    """Delete what is kept about a customer, and order the deletion of what we said of it in Slack. The tenant is set.

    Raises:
        Conflict: something of it is on its way at this moment.
    """
    sessions = [one.external_session_id for one in _sessions(tenant_id)]
    lanes = [f"{session}/{chat_id}" for session in sessions for chat_id in known.chat_ids]
    # As the inbox does, and before everything else: what arrives meanwhile waits, and is then older than the erasure.
    for lane in sorted(lanes):
        lock(f"webhook_events:{lane}")
    _refuse_sending(tenant_id, known)
    written = _written(tenant_id, known)
    _refuse_posting(tenant_id, known, written)
    threads = _threads(tenant_id, known)
    _refuse_replying(threads)
    reached = _extent(known, written, threads)
    fingerprints.remember_erased(tenant_id, known.chat_ids)
    _order_deletions(tenant_id, known, written, threads, asker=asker, new_id=new_id)
    _empty_inboxes(tenant_id, known, written, threads, sessions, lanes)
    value("SELECT delete_messages(%s)", ([one.id for one in written],))
    value("SELECT delete_customer(%s, %s)", (list(known.contacts), list(known.conversations)))
    subject = Contact(id=known.contacts[0]) if known.contacts else Contact
    audit.record(actor, "contact.erase", subject, tenant_id=tenant_id, after=asdict(reached))
    return reached


def _refuse_sending(tenant_id: UUID, known: Known) -> None:
    """Locks the conversations before the lanes of posts, as the sender and the relay do."""
    held = (tenant_id, list(known.conversations))
    value(
        "SELECT count(*) FROM (SELECT 1 FROM conversations WHERE tenant_id = %s AND id = ANY (%s) "
        "ORDER BY id FOR UPDATE) AS locked",
        held,
    )
    if value(
        "SELECT EXISTS (SELECT 1 FROM messages WHERE tenant_id = %s AND conversation_id = ANY (%s) "
        "AND status = 'queued' AND parked_at IS NULL AND send_started_at IS NOT NULL) "
        "OR EXISTS (SELECT 1 FROM conversations WHERE tenant_id = %s AND id = ANY (%s) "
        "AND send_lease_expires_at > clock_timestamp())",
        held * 2,
    ):
        raise Conflict(UNDER_WAY.format(what="a message to this customer is on its way"))


def _refuse_posting(tenant_id: UUID, known: Known, written: Sequence[_Written]) -> None:
    """Lock what is still to be posted: a post that was leased before begins now, and is seen here, or never does."""
    held = (tenant_id, list(known.conversations), [one.id for one in written])
    still_open = (
        "slack_posts WHERE tenant_id = %s AND (conversation_id = ANY (%s::uuid[]) OR message_id = ANY (%s::uuid[])) "
        "AND posted_at IS NULL AND parked_at IS NULL"
    )
    their_lanes = f"post_lanes WHERE id IN (SELECT lane_id FROM {still_open})"  # noqa: S608 - words of ours
    for kept in (their_lanes, still_open):
        value(f"SELECT count(*) FROM (SELECT 1 FROM {kept} ORDER BY id FOR UPDATE) AS locked", held)  # noqa: S608 - words of ours
    if value(
        f"SELECT EXISTS (SELECT 1 FROM {still_open} AND kind = 'post' AND post_started_at IS NOT NULL)",  # noqa: S608 - words of ours
        held,
    ):
        raise Conflict(UNDER_WAY.format(what="something about this customer is being posted"))


def _refuse_replying(threads: Sequence[_Thread]) -> None:
    if value(
        "SELECT EXISTS (SELECT 1 FROM slack_events WHERE kind = 'event' AND lane = ANY (%s) "
        "AND processed_at IS NULL AND parked_at IS NULL)",
        ([thread.lane for thread in threads],),
    ):
        raise Conflict(UNDER_WAY.format(what="a reply to this customer is being handled"))


def _order_deletions(
    tenant_id: UUID,
    known: Known,
    written: Sequence[_Written],
    threads: Sequence[_Thread],
    *,
    asker: Person,
    new_id: UUID,
) -> None:
    """A thread is read before its posts are deleted: what stands there is older than our rows."""
    for thread in threads:
        order_deletion(
            thread.slack_team_id,
            thread.slack_channel_id,
            {"ts": thread.slack_thread_ts, "thread": True, "asker": asker.key},
            tenant_id=tenant_id,
            post_id=uuid5(new_id, thread.lane),
        )
    elsewhere = [one.id for one in written if one.conversation_id not in known.conversations]
    for shown in rows(
        _Shown,
        "SELECT slack_team_id, slack_channel_id, slack_ts FROM slack_posts WHERE tenant_id = %s "
        "AND message_id = ANY (%s) AND kind = 'post' AND slack_ts IS NOT NULL ORDER BY created_at",
        (tenant_id, elsewhere),
    ):
        order_deletion(
            shown.slack_team_id,
            shown.slack_channel_id,
            {"ts": shown.slack_ts},
            tenant_id=tenant_id,
            post_id=uuid5(new_id, f"{shown.slack_channel_id}/{shown.slack_ts}"),
        )


def order_deletion(
    team_id: str, channel_id: str, payload: dict[str, object], *, tenant_id: UUID | None, post_id: UUID
) -> None:
    """One post, or with `thread` all that we said in a thread, is to go from Slack; ordered once."""
    queue_post(
        f"erasures:{team_id}/{channel_id}",
        PostKind.DELETE,
        payload,
        team_id=team_id,
        channel_id=channel_id,
        tenant_id=tenant_id,
        post_id=post_id,
        slot=slot_of(team_id, channel_id, str(payload["ts"]), is_thread=bool(payload.get("thread"))),
    )


def slot_of(team_id: str, channel_id: str, ts: str, *, is_thread: bool) -> str:
    """By which the order to delete something is known again."""
    return f"erase:{team_id}/{channel_id}/{ts}{'/thread' if is_thread else ''}"


def _empty_inboxes(
    tenant_id: UUID,
    known: Known,
    written: Sequence[_Written],
    threads: Sequence[_Thread],
    sessions: Sequence[str],
    lanes: Sequence[str],
) -> None:
    about = [f"{session}/about/{one.waha_message_id}" for session in sessions for one in written if one.waha_message_id]
    groups = {one.chat_id for one in written if one.chat_id and one.conversation_id not in known.conversations}
    of_groups = [f"{session}/{chat_id}" for session in sessions for chat_id in sorted(groups)]
    names = [number_of(chat_id) or chat_id.partition("@")[0] for chat_id in known.chat_ids]
    value("SELECT empty_webhooks(%s, %s, %s)", ([*lanes, *about], of_groups, names))
    ids = {one.id for one in written}
    calls = rows(
        _Id,
        "SELECT id FROM slack_events WHERE kind <> 'event' AND processed_at IS NOT NULL "
        "AND (tenant_id = %s OR tenant_id IS NULL)",
        (tenant_id,),
    )
    asked = [call.id for call in calls if uuid5(call.id, _MADE_BY_CALLS) in ids]
    value("SELECT empty_slack_events(%s, %s::uuid[])", ([thread.lane for thread in threads], asked))


@dataclass(frozen=True)
class _Id:
    id: UUID


def _written(tenant_id: UUID, known: Known) -> list[_Written]:
    columns = "id, conversation_id, chat_id, waha_message_id, direction = 'outbound' AND status = 'queued' AS is_unsent"
    statement, parameters = messages_of(tenant_id, known, columns)
    return rows(_Written, statement, parameters)


def _threads(tenant_id: UUID, known: Known) -> list[_Thread]:
    """Where the conversations are shown, and where they were before their channel was changed."""
    return rows(
        _Thread,
        "SELECT slack_team_id, slack_channel_id, slack_thread_ts FROM conversations "
        "WHERE tenant_id = %(tenant)s AND id = ANY (%(ids)s) AND slack_thread_ts IS NOT NULL "
        "UNION SELECT slack_team_id, slack_channel_id, slack_ts FROM slack_posts WHERE tenant_id = %(tenant)s "
        "AND conversation_id = ANY (%(ids)s) AND payload ? 'root' AND slack_ts IS NOT NULL",
        {"tenant": tenant_id, "ids": list(known.conversations)},
    )


def _sessions(tenant_id: UUID) -> list[_Session]:
    """Also those that were removed: what arrived for them is kept for a while."""
    return rows(_Session, "SELECT external_session_id FROM waha_sessions WHERE tenant_id = %s", (tenant_id,))


def order_deletions_in_thread(
    order: Order, place: Sequence[str], *, others: int, tenant_id: UUID | None, post_id: UUID
) -> None:
    """Order the deletion of the posts at `place` and tell who asked how many of their colleagues' remain."""
    with tenant_transaction(tenant_id) if tenant_id is not None else transaction():
        for ts in place:
            order_deletion(order.team_id, order.channel_id, {"ts": ts}, tenant_id=tenant_id, post_id=uuid5(post_id, ts))
        if others:
            _tell_what_remains(order, others, tenant_id=tenant_id, slot=f"remains:{post_id}")


def _tell_what_remains(order: Order, others: int, *, tenant_id: UUID | None, slot: str) -> None:
    team_id, _, user_id = order.asker.partition("/")
    remain = "1 reply of your team remains" if others == 1 else f"{others} replies of your team remain"
    thread = f"https://slack.com/archives/{order.channel_id}/p{order.thread_ts.replace('.', '')}"
    tell_person(
        team_id,
        user_id,
        f"About the customer whom you erased: {remain} in {link(thread, 'this thread')} of <#{order.channel_id}>. "
        "Slack lets a bot delete nothing that people wrote; they can, or an administrator of the workspace.",
        tenant_id=tenant_id,
        slot=slot,
    )
