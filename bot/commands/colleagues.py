"""A tenant's people as they are listed and shown."""

from __future__ import annotations

from bot.commands.command import Turn
from bot.commands.persons import named
from models import Invitation
from operations import colleagues, invitations
from operations.colleagues import Colleague
from operations.slack_inbox import Answer
from operations.sql import database_now
from operations.wording import counted
from slack.blocks import Block, actions, sections
from slack.mrkdwn import escape, foreign, local_time

_PAGE = 40


def list_(turn: Turn) -> Answer:
    tenant_id = turn.standing.tenant_id
    people, invited = colleagues.everybody(tenant_id), invitations.open_ones(tenant_id)
    lines = [*(_line(one) for one in people), *(_invited_line(one) for one in invited)]
    begin = int(turn.asked.cursor) if turn.asked.cursor.isdecimal() else 0
    shown = lines[begin : begin + _PAGE]
    left = len(lines) - begin - len(shown)
    text = "\n".join(
        [
            f"*{counted(len(people), 'user')} of {escape(turn.standing.tenant_name)}*"
            + (f", {len(invited)} invited" if invited else ""),
            *shown,
            *([f"and {left} more."] if left > 0 else []),
        ]
    )
    more: list[Block] = [actions(turn.page_button("Next page", str(begin + _PAGE)))] if left > 0 else []
    return Answer(text, [*sections(text), *more])


def show(turn: Turn) -> Answer:
    who, tenant_id = named(turn.command, turn.asked), turn.standing.tenant_id
    found = colleagues.one(tenant_id, who)
    if found is not None:
        return Answer(_facts(found))
    if not isinstance(who, str) and (invited := invitations.open_to(tenant_id, who)) is not None:
        return Answer(_invited_line(invited).removeprefix("• "))
    raise colleagues.nobody(who, turn.standing)


def _line(one: Colleague) -> str:
    login = f", last login {local_time(one.last_login_at)}" if one.last_login_at is not None else ""
    return f"• {_name(one)}: {one.role}, {_state(one)}, {foreign(one.email)}{login}"


def _facts(one: Colleague) -> str:
    known_as = foreign(f"{one.first_name} {one.last_name}".strip()) or "no name"
    password = "a password is set" if one.has_password else "no password is set"
    login = f"last login {local_time(one.last_login_at)}" if one.last_login_at is not None else "never logged in"
    return (
        f"{_name(one)}: {known_as}, {foreign(one.email)}\n"
        f"{one.role}, {_state(one)}. Here since {local_time(one.created_at)}; {password}, {login}."
    )


def _name(one: Colleague) -> str:
    return f"<@{one.slack_user_id}>" if one.slack_user_id else foreign(f"{one.first_name} {one.last_name}".strip())


_KEPT_OUT = {
    "guest": "kept out, a guest in Slack",
    "stranger": "kept out, of another company",
    "deactivated": "kept out, deactivated in Slack",
    "bot": "kept out, a bot",
}


def _state(one: Colleague) -> str:
    if not one.is_active:
        return "deactivated"
    return _KEPT_OUT.get(one.outside, "active")


def _invited_line(one: Invitation) -> str:
    until = local_time(one.expires_at)
    state = f"expired {until}" if one.expires_at <= database_now() else f"can accept until {until}"
    _, _, inviter = one.invited_by.partition("/")
    return f"• <@{one.slack_user_id}>: invited as {one.role.value} by <@{inviter}>, {state}, {foreign(one.email)}"
