"""Messages that wait for a person: the list with its buttons, and the same decisions by command."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict
from uuid import UUID

from bot.buttons.button import value_of
from bot.commands.command import Command, Option, Turn
from bot.commands.messages import line, words_of
from bot.commands.moments import SINCE, UNTIL, window
from database import set_tenant
from models import Message
from operations import dead_letters, deciding, sessions
from operations.buttons import RETRY_ALL, Act, button_for
from operations.dead_letters import DeadLetter
from operations.message_ids import find, short
from operations.permissions import Permission, may
from operations.slack_inbox import Answer
from operations.wording import counted
from slack.blocks import Block, actions, button, confirm, section
from slack.mrkdwn import foreign

# Each is a transaction's work; whoever has more asks again.
MOST_AT_ONCE = 200
_SESSION = Option("session", "NAME", "sales-berlin")


class _Chosen(TypedDict):
    """Which messages are meant, as `operations.dead_letters` takes it."""

    session_id: UUID | None
    since: datetime | None
    until: datetime | None


def failed(turn: Turn) -> Answer:
    standing, chosen = turn.standing, _chosen(turn)
    letters = dead_letters.failed(standing.tenant_id, **chosen)
    if not letters:
        return Answer("No message waits for a decision there. See `message list` for all.")
    total = dead_letters.count(standing.tenant_id, **chosen)
    title = f"*{counted(total, 'message')} did not reach the customer*" + _shown_of(len(letters), total)
    text = "\n".join([title, *(_told(letter) for letter in letters), _next_steps()])
    may_decide = may(Permission.MESSAGE_SEND, standing.role, is_operator=False)
    return Answer(text, _blocks(title, letters) if may_decide else None)


def retry(turn: Turn) -> Answer:
    asked = turn.asked
    several = [name for name in ("session", "since", "until") if asked.option(name) is not None]
    if bool(asked.words) == bool(several):
        raise turn.command.misused(
            "Name one message by its id, or several by `--session`, `--since` or `--until`. See `message failed`."
        )
    if several:
        return _retry_several(turn)
    message = find(turn.standing.tenant_id, asked.word(0))
    said = deciding.decide(Act.RETRY, message.id, user_id=turn.actor, new_id=asked.new_id("message"))
    return Answer(f"{_named(message)} {said}")


def cancel(turn: Turn) -> Answer:
    message = find(turn.standing.tenant_id, turn.asked.word(0))
    return Answer(f"{_named(message)} {deciding.cancel(message.id, user_id=turn.actor)}")


def _retry_several(turn: Turn) -> Answer:
    tenant_id, chosen = turn.standing.tenant_id, _chosen(turn)
    new_ids = [turn.asked.new_id(f"message {number}") for number in range(MOST_AT_ONCE)]
    replayed = dead_letters.replay(tenant_id, **chosen, user_id=turn.actor, new_ids=new_ids)
    left = dead_letters.count(tenant_id, **chosen)
    lines = [f"{counted(replayed.again, 'message')} {'is' if replayed.again == 1 else 'are'} sent again."]
    if replayed.unknown:
        lines.append(f"Of {counted(replayed.unknown, 'message')} nobody knows whether they left: see `message failed`.")
    if left > replayed.unknown:
        lines.append(f"{counted(left - replayed.unknown, 'more message')} can be sent again: give the command again.")
    return Answer("\n".join(lines))


def _chosen(turn: Turn) -> _Chosen:
    named, tenant_id = turn.asked.option("session"), turn.standing.tenant_id
    since, until = window(turn)
    set_tenant(tenant_id)
    session_id = sessions.named(tenant_id, named).id if named is not None else None
    return {"session_id": session_id, "since": since, "until": until}


def _named(message: Message) -> str:
    return f"`{short(message.id)}` “{words_of(message)}”:"


def _shown_of(shown: int, total: int) -> str:
    return f", of which these are the newest {shown}" if shown < total else ""


def _told(letter: DeadLetter) -> str:
    return (
        f"• {line(letter.message)}\n      `{short(letter.message.id)}` {words_of(letter.message)}\n      {_why(letter)}"
    )


def _why(letter: DeadLetter) -> str:
    return f"Why: {foreign(letter.why)}"


def _next_steps() -> str:
    return "One: `message retry ID`. Several: `message retry --session NAME --since 2h`."


def _blocks(title: str, letters: list[DeadLetter]) -> list[Block]:
    blocks = [section(title)]
    for letter in letters:
        blocks.append(section(_told(letter)))
        if letter.acts:
            blocks.append(actions(*(button_for(act, letter.message.id) for act in letter.acts)))
    retryable = [letter.message for letter in letters if Act.RETRY in letter.acts]
    if len(retryable) > 1:
        blocks.append(actions(_retry_all(retryable)))
    return [*blocks, section(_next_steps())]


def _retry_all(messages: list[Message]) -> Block:
    number = counted(len(messages), "message")
    sure = confirm("Send them again?", f"{number} will be sent to customers.", yes="Send again")
    return button(f"Retry all {len(messages)} shown", RETRY_ALL, value=value_of(messages), confirm=sure)


COMMANDS = (
    Command(
        noun="message",
        verb="failed",
        options=(_SESSION, SINCE, UNTIL),
        summary="what did not reach the customer, with buttons to decide",
        example="message failed --since 2h",
        permission=Permission.MESSAGE_SHOW,
        run=failed,
    ),
    Command(
        noun="message",
        verb="retry",
        takes=("ID",),
        options=(_SESSION, SINCE, UNTIL),
        summary="send again what failed: one message, or those of a session or time",
        example="message retry --session sales-berlin --since 2h",
        permission=Permission.MESSAGE_SEND,
        run=retry,
    ),
    Command(
        noun="message",
        verb="cancel",
        needs=("ID",),
        summary="take back a message that has not left",
        example="message cancel 0198c2a4-7d1e",
        permission=Permission.MESSAGE_SEND,
        run=cancel,
    ),
)
