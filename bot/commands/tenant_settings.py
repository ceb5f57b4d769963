from __future__ import annotations

from yarl import URL

from bot.commands.command import Command, Turn
from bot.commands.logging_in import NO_ADDRESS
from operations import tenant_settings
from operations.errors import Conflict
from operations.permissions import Permission
from operations.slack_inbox import Answer
from operations.tenant_settings import Changed, Setting
from operations.wording import counted, quoted
from slack.addresses import is_loopback
from slack.mrkdwn import escape, foreign

_NAMED = 20
_KEY_AND_VALUE = 2


def settings(turn: Turn) -> Answer:
    tenant_id, words = turn.standing.tenant_id, turn.asked.words
    if not words:
        lines = "\n".join(_line(one) for one in tenant_settings.list_all(tenant_id))
        return Answer(
            f"*Settings of {escape(turn.standing.tenant_name)}*\n{lines}\n"
            "Set one with `tenant settings KEY VALUE`; `default` as the value takes it back."
        )
    if len(words) == 1:
        return Answer(_line(tenant_settings.show(tenant_id, turn.asked.word(0))))
    changed = tenant_settings.put(tenant_id, turn.asked.word(0), turn.asked.word(1), actor=turn.actor)
    return Answer(f"{_sentence(changed)}{_to_do(turn, changed)}")


def about_shutting_out(turn: Turn) -> str:
    """Whether everybody is really to be out until they have given a password; "" where nobody would be."""
    words = turn.asked.words
    if len(words) != _KEY_AND_VALUE:
        return ""
    people = tenant_settings.shut_out(turn.standing.tenant_id, turn.asked.word(0), turn.asked.word(1))
    if not people:
        return ""
    address = turn.installation.page_address
    if not address:
        raise Conflict(NO_ADDRESS)
    you = ", you among them," if turn.asked.person in people else ""
    who = "You" if people == [turn.asked.person] else f"{_count(len(people))}{you}"
    local = (
        " *Their links open only on the machine on which Switchboard runs, so nobody elsewhere comes in any more: an "
        "operator has to set `security.public_url` first.*"
        if is_loopback(URL(address))
        else ""
    )
    return (
        f"Ask for a password in *{escape(turn.standing.tenant_name)}*? {who} can do nothing here any "
        f"more before a password is set or entered. The others are told by a direct message.{local}"
    )


def _line(one: Setting) -> str:
    default = "the default" if one.is_default else f"default `{one.default}`"
    return f"• *{one.key}* is `{foreign(one.value)}` ({default}): {one.means}"


def _sentence(changed: Changed) -> str:
    before, after = changed.before, changed.after
    if before == after:
        return f"*{after.key}* was `{foreign(after.value)}` already; nothing was changed."
    default = ", the default" if after.is_default else ""
    return f"*{after.key}* is `{foreign(after.value)}` now{default}; it was `{foreign(before.value)}`."


def _to_do(turn: Turn, changed: Changed) -> str:
    """Who cannot come in any more before they have set a password: they are not shut out unheard."""
    people = changed.without_password
    if not people:
        return ""
    tenant = quoted(escape(turn.standing.tenant_name))
    me = turn.asked.person.user_id
    if list(people) == [me]:
        return (
            f"\nYou have no password yet. Run `login --tenant {tenant}`, which gives you a link to a page where you "
            "set one; until then you can do nothing here."
        )
    named = ", ".join("you" if user_id == me else f"<@{user_id}>" for user_id in people[:_NAMED])
    more = f" and {len(people) - _NAMED} more" if len(people) > _NAMED else ""
    has = "has" if len(people) == 1 else "have"
    return (
        f"\n{_count(len(people))} {has} no password yet: {named}{more}. `login --tenant {tenant}` gives each a link to "
        "a page where they set one; until then they can do nothing here. A direct message tells them so."
    )


def _count(people: int) -> str:
    return counted(people, "person") if people == 1 else f"{people} people"


COMMANDS = (
    Command(
        noun="tenant",
        verb="settings",
        takes=("KEY", "VALUE"),
        summary="what an organisation decides about itself",
        example="tenant settings keep_messages_days 365",
        permission=Permission.TENANT_SETTINGS,
        confirm=about_shutting_out,
        yes="Ask for passwords",
        run=settings,
    ),
)
