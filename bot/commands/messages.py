from __future__ import annotations

from bot.commands.command import Command, Option, Turn
from bot.commands.moments import SINCE, ago
from models import Direction, Message, MessageStatus
from operations import messages, searching, sessions
from operations.errors import BadInput
from operations.message_ids import find, short
from operations.permissions import Permission
from operations.searching import Found
from operations.slack_inbox import Answer
from slack.blocks import actions, sections
from slack.command_text import plain
from slack.mrkdwn import escape, foreign, link, local_time

_STATUSES = "|".join(MessageStatus)
_EXCERPT = 60
_LONGEST = 2500
_WHOLE_WORDS = "Only whole words are found."


def list_(turn: Turn) -> Answer:
    asked, tenant_id = turn.asked, turn.standing.tenant_id
    named = asked.option("session")
    session = sessions.named(tenant_id, named) if named is not None else None
    found = messages.latest(tenant_id, status=_status(asked.option("status")), session=session)
    if not found:
        return Answer("There are no such messages. See `session list`, or write one with `send NUMBER TEXT`.")
    lines = "\n".join(f"• {line(message)}\n      `{short(message.id)}` {words_of(message)}" for message in found)
    return Answer(f"*{_newest(len(found))}*\n{lines}\nMore about one: `message show ID`.")


def show(turn: Turn) -> Answer:
    message = find(turn.standing.tenant_id, turn.asked.word(0))
    lines = [line(message), f"`{message.id}`"]
    lines += [
        f"{word} {local_time(at)}"
        for word, at in (("Sent", message.sent_at), ("Delivered", message.delivered_at), ("Read", message.read_at))
        if at is not None
    ]
    if message.error_message:
        lines.append(f"Why: {foreign(message.error_message)}")
    if message.body:
        lines.append(f">>> {foreign(message.body[:_LONGEST])}")
    return Answer("\n".join(lines))


def search(turn: Turn) -> Answer:
    asked, tenant_id = turn.asked, turn.standing.tenant_id
    words = plain(asked.text).strip()
    named = asked.option("session")
    found = searching.search(
        tenant_id,
        words,
        session_id=sessions.named(tenant_id, named).id if named is not None else None,
        since=ago(turn, SINCE.name),
        before=find(tenant_id, asked.cursor) if asked.cursor else None,
    )
    if not found:
        return Answer(f"No {'older ' * bool(asked.cursor)}message has these words: {foreign(words)}. {_WHOLE_WORDS}")
    text = "\n".join([f"*{_newest(len(found))}*", *(_hit(one) for one in found), "More about one: `message show ID`."])
    if len(found) < searching.PAGE:
        return Answer(text)
    older = turn.page_button("Older", str(found[-1].message.id))
    return Answer(text, [*sections(text), actions(older)])


def _hit(found: Found) -> str:
    message = found.message
    return f"• {line(message)}{_thread(found)}\n      `{short(message.id)}` {foreign(found.excerpt)}"


def _thread(found: Found) -> str:
    if not (found.slack_thread_ts and found.slack_channel_id):
        return ""
    client = f"https://app.slack.com/client/{found.slack_team_id}/{found.slack_channel_id}"
    return f", {link(f'{client}/thread/{found.slack_channel_id}-{found.slack_thread_ts}', 'thread')}"


def _newest(number: int) -> str:
    return "The only such message" if number == 1 else f"The newest {number} messages"


def _status(typed: str | None) -> MessageStatus | None:
    if typed is None:
        return None
    try:
        return MessageStatus(typed.lower())
    except ValueError:
        raise BadInput(f"`{escape(typed)}` is no status. There are {', '.join(MessageStatus)}.") from None


def line(message: Message) -> str:
    is_inbound = message.direction == Direction.INBOUND
    number = message.from_msisdn if is_inbound else message.to_msisdn
    other = f"+{number}" if number else f"`{foreign(message.chat_id or '')}`"
    state = "received" if is_inbound else _state(message)
    return f"{'From' if is_inbound else 'To'} {other}, {state}, {local_time(message.created_at)}"


def _state(message: Message) -> str:
    if message.parked_at is not None:
        return f"*set aside* ({foreign(message.hold_reason or 'needs a person')})"
    return "read" if message.read_at is not None else str(message.status.value)


def words_of(message: Message) -> str:
    text = " ".join(message.body.split())
    return foreign(text[:_EXCERPT] + ("…" if len(text) > _EXCERPT else "")) or f"({foreign(message.message_type)})"


COMMANDS = (
    Command(
        noun="message",
        verb="list",
        options=(Option("status", _STATUSES, "failed"), Option("session", "NAME", "sales-berlin")),
        summary="the newest messages",
        example="message list --status failed",
        permission=Permission.MESSAGE_SHOW,
        run=list_,
    ),
    Command(
        noun="message",
        verb="show",
        needs=("ID",),
        summary="one message, and how far it came",
        example="message show 0198c2a4-7d1e",
        permission=Permission.MESSAGE_SHOW,
        run=show,
    ),
    Command(
        noun="message",
        verb="search",
        text="WORDS",
        options=(Option("session", "NAME", "sales-berlin"), SINCE),
        summary='messages with all these words; `"together"`, `or` and `-without` as in a web search',
        example="message search --since 7d order 4711",
        permission=Permission.MESSAGE_SHOW,
        pages=True,
        run=search,
    ),
)
