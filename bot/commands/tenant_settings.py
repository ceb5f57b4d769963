from __future__ import annotations

from bot.commands.command import Command, Turn
from operations import tenant_settings
from operations.permissions import Permission
from operations.slack_inbox import Answer
from operations.tenant_settings import Changed, Setting
from operations.wording import counted, quoted
from slack.mrkdwn import escape, foreign

_NAMED = 20


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
    named = ", ".join(f"<@{user_id}>" for user_id in people[:_NAMED])
    more = f" and {len(people) - _NAMED} more" if len(people) > _NAMED else ""
    tenant = quoted(escape(turn.standing.tenant_name))
    return (
        f"\n{counted(len(people), 'person') if len(people) == 1 else f'{len(people)} people'} "
        f"{'has' if len(people) == 1 else 'have'} no password yet: {named}{more}. Tell them to run "
        f"`login --tenant {tenant}`, which gives each a link to a page where they set one; until then they can do "
        "nothing here."
    )


COMMANDS = (
    Command(
        noun="tenant",
        verb="settings",
        takes=("KEY", "VALUE"),
        summary="what an organisation decides about itself",
        example="tenant settings keep_messages_days 365",
        permission=Permission.TENANT_SETTINGS,
        run=settings,
    ),
)
