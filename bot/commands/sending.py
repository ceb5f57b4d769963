from __future__ import annotations

import asyncio
import re
from dataclasses import replace

from bot.commands.command import Asked, Command, Option, Turn
from models import SessionStatus, WahaSession
from operations import audit, queueing, sessions
from operations.errors import BadInput, NotFound
from operations.permissions import Permission
from operations.slack_inbox import Answer
from operations.standing import routes_of
from slack import references
from slack.client import SlackClient
from slack.mrkdwn import escape, foreign, to_whatsapp
from waha.chat_ids import BadRecipient, chat_id_of

# Fewer digits than any number with its country code that is not typed in groups has in practice.
_SHORT_NUMBER = 10
_MOST_MENTIONS = 10
# For all of them together: who sends waits for the answer.
_NAMES_SECONDS = 5.0


async def write_out(asked: Asked, slack: SlackClient) -> Asked:
    """Make the text what the customer reads: no id of Slack's, and of colleagues no more than the first name.

    Raises:
        SlackError: it does not say a name.
        TimeoutError: it does not say them all in time.
    """
    mentioned = {
        reference.target
        for found in re.findall(references.PATTERN, asked.text)
        if (reference := references.parse(found)).kind == "user"
    }
    async with asyncio.timeout(_NAMES_SECONDS):
        people = await asyncio.gather(*(slack.user_info(user_id) for user_id in sorted(mentioned)[:_MOST_MENTIONS]))
    names = {person.id: (person.real_name or person.name).partition(" ")[0] for person in people}
    return replace(asked, text=to_whatsapp(asked.text, names).strip())


def send(turn: Turn) -> Answer:
    asked, standing = turn.asked, turn.standing
    chat_id = _chat_id(asked.word(0), asked.text)
    if not asked.text:
        raise BadInput("There is no text in it. For example: `send +4915123456789 Your order is ready`.")
    session = _session(turn)
    message, conversation = queueing.start(
        session, chat_id=chat_id, body=asked.text, message_id=asked.new_id("message"), writer_id=asked.person.user_id
    )
    audit.record(turn.actor, "message.send", message, tenant_id=standing.tenant_id, after={"session": session.name})
    wait = (
        "" if session.status == SessionStatus.WORKING else f" It waits until session `{foreign(session.name)}` works."
    )
    return Answer(
        f"Queued for {_shown(chat_id)} through session `{foreign(session.name)}`.{wait} The conversation is in "
        f"<#{conversation.slack_channel_id}>; how far it came: `message show {message.id}`."
    )


def _chat_id(number: str, text: str) -> str:
    try:
        chat_id = chat_id_of(number)
    except BadRecipient as error:
        raise BadInput(
            f"{escape(str(error))} Write it without spaces, country code first: `send +4915123456789 Hello`."
        ) from error
    # `+49 15123 456789 hello` would otherwise reach whoever has the beginning as a number.
    if len(re.sub(r"\D", "", number)) < _SHORT_NUMBER and re.match(r"[\d(]", text):
        raise BadInput(
            f"Is the number longer than `{escape(number)}`? Write it without spaces, or in quotation marks: "
            '`send "+49 151 23456789" Hello`.'
        )
    return chat_id


def _session(turn: Turn) -> WahaSession:
    """The session that is named, else the channel's, else the tenant's only one."""
    asked, tenant_id = turn.asked, turn.standing.tenant_id
    named = asked.option("session")
    if named is not None:
        return sessions.named(tenant_id, named)
    mine = {facts.session.id: facts.session for facts in sessions.list_all(tenant_id)}
    here = {route.session_id for route in routes_of(asked.person.team_id, asked.channel_id)} & mine.keys()
    if len(here) == 1:
        return mine[here.pop()]  # type: ignore[index]  # None is no key of mine
    if len(mine) == 1:
        return next(iter(mine.values()))
    if not mine:
        raise NotFound("This tenant has no session to send through. Add one: `session add NAME`.")
    names = ", ".join(f"`--session {foreign(session.name)}`" for session in mine.values())
    raise BadInput(f"Through which session? Add one of {names} before the number.")


def _shown(chat_id: str) -> str:
    number, _, server = chat_id.partition("@")
    return f"+{number}" if server == "c.us" else f"`{foreign(chat_id)}`"


COMMANDS = (
    Command(
        noun="send",
        verb="",
        needs=("NUMBER",),
        text="TEXT",
        options=(Option("session", "NAME", "sales-berlin"),),
        summary="write to a customer",
        example="send +4915123456789 Your order is ready",
        permission=Permission.MESSAGE_SEND,
        prepare=write_out,
        run=send,
    ),
)
