from __future__ import annotations

from dataclasses import replace

from bot.commands.command import Asked, Command, Option, Turn
from models import RoutePurpose
from operations import routes, sessions
from operations.errors import BadInput, NotAllowed
from operations.permissions import Permission
from operations.routes import Linked, SlackChannel
from operations.slack_inbox import Answer
from operations.wording import counted
from slack.answers import Channel
from slack.client import SlackClient
from slack.command_text import ChannelMention
from slack.errors import SlackRefused
from slack.mrkdwn import escape, foreign

BOT_NAME = "whatsapp"
"""The bot user's display name, under which people invite it."""

_PURPOSES = "|".join(RoutePurpose)
_SHOWN = 45
_INVITE = f"Invite me there with `/invite @{BOT_NAME}`, then try again."


async def look_up_channel(asked: Asked, slack: SlackClient) -> Asked:
    """Ask Slack about the channel that is named, else the one in which the command was typed.

    Raises:
        NotAllowed: the bot cannot work there.
    """
    channel_id = _channel_id(asked)
    try:
        channel = await slack.channel_info(channel_id)
    except SlackRefused as error:
        if error.reason != "channel_not_found":
            raise
        raise NotAllowed(f"I cannot see <#{channel_id}>. {_INVITE}") from error
    if reason := _why_not(channel):
        raise NotAllowed(reason)
    return replace(asked, slack_channel=channel)


def _channel_id(asked: Asked) -> str:
    if not asked.words:
        return asked.channel_id
    mention = asked.words[0]
    if not isinstance(mention, ChannelMention):
        raise BadInput(
            f"`{escape(mention.text)}` names no channel. Type `#` and choose it from the list that Slack offers."
        )
    return mention.channel_id


def _why_not(channel: Channel) -> str:
    here = f"<#{channel.id}>"
    if channel.is_im:
        return "A direct message cannot be linked. Run this in a channel, or name one: `channel link #channel`."
    if channel.is_archived:
        return f"{here} is archived. Choose another channel, or restore this one."
    if channel.is_ext_shared:
        return f"{here} is shared with another company, whose people would see your customers. Choose another channel."
    if not channel.is_member:
        return f"I am not in {here}. {_INVITE}"
    return ""


def link(turn: Turn) -> Answer:
    asked, tenant_id = turn.asked, turn.standing.tenant_id
    channel = asked.slack_channel
    if channel is None:
        raise LookupError("look_up_channel has to run first.")
    purpose = _purpose(asked.option("for"))
    named = asked.option("session")
    session = sessions.named(tenant_id, named) if named is not None else None
    linked = routes.link(
        tenant_id,
        SlackChannel(asked.person.team_id, channel.id, channel.name),
        purpose,
        session=session,
        route_id=asked.new_id("route"),
        actor=turn.actor,
    )
    of = f"session `{foreign(session.name)}`" if session is not None else f"*{escape(turn.standing.tenant_name)}*"
    return Answer(
        f"<#{channel.id}> shows the {purpose.value} of {of} from now on.{_held(linked)} {_next_step(purpose)}"
    )


def _purpose(typed: str | None) -> RoutePurpose:
    try:
        return RoutePurpose((typed or RoutePurpose.CONVERSATIONS).lower())
    except ValueError:
        raise BadInput(f"`--for {escape(typed or '')}` is unknown. There are {', '.join(RoutePurpose)}.") from None


def _held(linked: Linked) -> str:
    held = f"{counted(linked.held, 'message')} that waited for a channel {'is' if linked.held == 1 else 'are'}"
    shown = f" {held} posted now." if linked.held else ""
    older = f"{linked.older} older than a day {'is' if linked.older == 1 else 'are'}"
    return f"{shown} {older} kept and not posted." if linked.older else shown


def _next_step(purpose: RoutePurpose) -> str:
    if purpose is RoutePurpose.CONVERSATIONS:
        return (
            "What is written in a customer's thread is sent to the customer; begin with `//` to talk among yourselves."
        )
    return (
        "See `channel list`, or try it with `report now`." if purpose is RoutePurpose.REPORTS else "See `channel list`."
    )


def unlink(turn: Turn) -> Answer:
    channel_id = _channel_id(turn.asked)
    purposes = routes.unlink(turn.standing.tenant_id, turn.asked.person.team_id, channel_id, actor=turn.actor)
    names = " and ".join(purpose.value for purpose in purposes)
    return Answer(
        f"<#{channel_id}> no longer shows {names} of *{escape(turn.standing.tenant_name)}*. New messages wait until "
        "another channel is linked: `channel link`."
    )


def list_(turn: Turn) -> Answer:
    found = routes.list_all(turn.standing.tenant_id)
    tenant = escape(turn.standing.tenant_name)
    if not found:
        return Answer(f"*{tenant}* has no channel yet. Run `channel link` in the one for its conversations.")
    lines = [
        f"• <#{route.slack_channel_id}>: {route.purpose.value} of "
        + (f"session `{foreign(session.name)}`" if session is not None else "all sessions")
        for route, session in found[:_SHOWN]
    ]
    left = f"\nand {len(found) - _SHOWN} more." if len(found) > _SHOWN else ""
    return Answer(f"*Channels of {tenant}*\n" + "\n".join(lines) + f"{left}\nTake one back with `channel unlink`.")


COMMANDS = (
    Command(
        noun="channel",
        verb="link",
        takes=("#channel",),
        options=(Option("for", _PURPOSES, "alerts"), Option("session", "NAME", "sales-berlin")),
        summary="show conversations, alerts or reports in a channel",
        example="channel link #support --session sales-berlin",
        permission=Permission.CHANNEL_LINK,
        prepare=look_up_channel,
        run=link,
    ),
    Command(
        noun="channel",
        verb="unlink",
        takes=("#channel",),
        summary="stop showing anything there",
        example="channel unlink #support",
        permission=Permission.CHANNEL_LINK,
        run=unlink,
    ),
    Command(
        noun="channel",
        verb="list",
        summary="which channel shows what",
        example="channel list",
        permission=Permission.CHANNEL_LIST,
        run=list_,
    ),
)
