"""Who somebody is here, also for whoever is nobody yet."""

from __future__ import annotations

from bot.commands.command import Command, Turn
from operations import slack_people
from operations.colleagues import logged_in_until
from operations.permissions import Permission
from operations.slack_inbox import Answer
from operations.standing import Membership, Person, kept_out, memberships
from operations.wording import quoted
from slack.mrkdwn import escape, local_time


def whoami(turn: Turn) -> Answer:
    person = turn.asked.person
    mine = memberships(person)
    kept = slack_people.known(person)
    lines = [
        f"You are <@{person.user_id}>, `{person.user_id}` in the Slack workspace `{person.team_id}`.",
        *([kept_out(kept.outside)] if kept is not None and kept.outside else []),
        *(["You are an operator of this installation."] if person.key in turn.installation.operators else []),
        *(_line(one, person) for one in mine),
        *_next_steps(turn, mine, is_outside=kept is not None and bool(kept.outside)),
    ]
    return Answer("\n".join(lines))


def _line(one: Membership, person: Person) -> str:
    tenant = f"*{escape(one.tenant_name)}*" + ("" if one.tenant_status == "active" else " (deactivated)")
    chosen = ", the tenant that you chose" if one.is_chosen else ""
    if one.outside or not one.is_active:
        state = "your account there is deactivated" if not one.is_active else "not let in"
        return f"• {one.role} in {tenant}{chosen}: {state}."
    if one.needs_login:
        return f"• {one.role} in {tenant}{chosen}: asks for your password, `login --tenant {_typed(one)}`."
    until = logged_in_until(one.tenant_id, one.user_id, person)
    return f"• {one.role} in {tenant}{chosen}" + (f": logged in until {local_time(until)}." if until else ".")


def _next_steps(turn: Turn, mine: list[Membership], *, is_outside: bool) -> list[str]:
    if is_outside:
        return []
    if mine:
        steps = ["`help` shows what you may do."]
        if len(mine) > 1 and not any(one.is_chosen for one in mine):
            steps.append("`tenant use NAME` chooses the tenant where a channel does not say it.")
        return [" ".join(steps)]
    if turn.actor in turn.installation.operators:
        return ["`help` shows what you may do."]
    user_id = turn.asked.person.user_id
    ask = f"Ask an administrator of your tenant to run `user invite <@{user_id}> AGENT`."
    return [f"You have no role in any tenant here. {ask}"]


def _typed(one: Membership) -> str:
    return quoted(escape(one.tenant_name))


COMMANDS = (
    Command(
        noun="whoami",
        verb="",
        summary="who you are here, and in which tenants",
        example="whoami",
        permission=Permission.ONESELF,
        run=whoami,
    ),
)
