"""Commands with which people prove who they are, where a tenant wants more than Slack's word for it."""

from __future__ import annotations

from functools import partial

from yarl import URL

from bot.commands.command import Command, Turn
from bot.commands.persons import look_up_person, person_of
from models import LoginProof, PagePurpose
from operations import login_tries, logins, page_links
from operations.colleagues import shown
from operations.errors import BadInput, Conflict
from operations.permissions import Permission
from operations.slack_inbox import Answer
from operations.standing import Membership, Person, memberships
from operations.wording import counted
from slack.addresses import is_loopback
from slack.mrkdwn import escape, link, local_time

_NEW_PASSWORD = "new-password"  # noqa: S105 - a word
_EVERYWHERE = "everywhere"


def login(turn: Turn) -> Answer:
    is_new_password = _word(turn, _NEW_PASSWORD)
    mine = _mine(turn)
    tenant = escape(mine.tenant_name)
    if logins.proof_of(mine.tenant_id) is LoginProof.SLACK:
        return Answer(f"Slack's sign-in is enough for *{tenant}*: you are in already, and there is nothing to do.")
    if not turn.installation.page_address:
        raise Conflict(NO_ADDRESS)
    person, link_id = turn.asked.person, turn.asked.new_id("page link")
    issued = page_links.issue(mine, person, is_new_password=is_new_password, link_id=link_id)
    until = login_tries.lock_of(mine.tenant_id, mine.user_id)
    locked = f" Wrong passwords locked your login until {local_time(until)}: it takes none before." if until else ""
    what = "Choose your" if issued.purpose is PagePurpose.SET_PASSWORD else "Enter your"
    address = turn.installation.page_address
    return Answer(
        f"{link(issued.url(address), f'{what} password')} for *{tenant}*. The link works once, within ten minutes, and "
        f"only for you: give it to nobody.{locked}{_ONLY_HERE if is_loopback(URL(address)) else ''}",
        is_secret=True,
    )


_ONLY_HERE = " It opens only on the machine on which Switchboard runs, until an operator sets `security.public_url`."

NO_ADDRESS = (
    "Nobody has said where people reach the page for passwords, so there is no link. An operator has to set "
    "`SWITCHBOARD_SECURITY__PUBLIC_URL=https://…` for the bot and the daemon, and restart both."
)


def logout(turn: Turn) -> Answer:
    person = turn.asked.person
    left = memberships(person) if _word(turn, _EVERYWHERE) else [_mine(turn)]
    ended = {escape(one.tenant_name): logins.log_out(one, person) for one in left}
    names = ", ".join(f"*{name}*" for name, count in ended.items() if count)
    if not names:
        return Answer("You were not logged in, so nothing was ended. Links that you were given do not work any more.")
    return Answer(f"You are logged out of {names}: {counted(sum(ended.values()), 'login')} ended.")


def forget_password(turn: Turn) -> Answer:
    """Somebody else's: who forgot their own cannot prove who they are to anybody but a person."""
    tenant_id, tenant = turn.standing.tenant_id, escape(turn.standing.tenant_name)
    person = _somebody_else(turn)
    theirs = next((one for one in memberships(person) if one.tenant_id == tenant_id), None)
    if theirs is None:
        raise BadInput(f"{shown(person)} has no role in *{tenant}*, and no password.")
    if not logins.forget_password(tenant_id, theirs.user_id, told=person, actor=turn.actor):
        raise Conflict(f"{shown(person)} has no password in *{tenant}*; nothing was changed.")
    return Answer(
        f"The password of {shown(person)} in *{tenant}* is forgotten, and its logins are ended. They choose another "
        "one with `login`."
    )


def _confirm_forgetting(turn: Turn) -> str:
    who, tenant = shown(_somebody_else(turn)), escape(turn.standing.tenant_name)
    return (
        f"Forget the password of {who} in *{tenant}*? Until they choose another one, whoever uses their Slack account "
        "can do so. Make sure first that it is they who ask."
    )


def _somebody_else(turn: Turn) -> Person:
    """Whose password is to be forgotten.

    Raises:
        BadInput: who asks means themselves. Whoever took over their Slack would choose the next password.
    """
    person = person_of(turn.asked)
    if person == turn.asked.person:
        raise BadInput(
            "Nobody takes away their own password. If you know it, `login new-password` chooses another one; if you "
            "forgot it, ask another administrator or an operator."
        )
    return person


def _mine(turn: Turn) -> Membership:
    asked = turn.asked
    return logins.own_membership(
        asked.person, channel_id=asked.channel_id, tenant_name=asked.option("tenant"), tenant_id=asked.tenant_id
    )


def _word(turn: Turn, word: str) -> bool:
    """Whether the one word that may follow does.

    Raises:
        BadInput: another one does.
    """
    typed = [one.text.lower() for one in turn.asked.words]
    if typed not in ([], [word]):
        raise turn.command.misused(f"`{escape(typed[0])}` cannot follow `{turn.command.name}`; `{word}` can.")
    return bool(typed)


COMMANDS = (
    Command(
        noun="login",
        verb="",
        takes=(_NEW_PASSWORD,),
        summary="log in with your password, where a tenant asks for one, or choose another one",
        example="login new-password",
        permission=Permission.ONESELF,
        run=login,
    ),
    Command(
        noun="logout",
        verb="",
        takes=(_EVERYWHERE,),
        summary="end your logins in a tenant, or in all of yours",
        example="logout everywhere",
        permission=Permission.ONESELF,
        run=logout,
    ),
    Command(
        noun="user",
        verb="forget-password",
        needs=("@person",),
        summary="let somebody who forgot their password choose another one",
        example="user forget-password @ana",
        permission=Permission.USER_MANAGE,
        prepare=partial(look_up_person, outside="so no password lets them in, and nothing was changed."),
        confirm=_confirm_forgetting,
        run=forget_password,
    ),
)
