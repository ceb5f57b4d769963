"""The two buttons below an invitation: they work for the one to whom it was sent, wherever the message is forwarded."""

from __future__ import annotations

from bot.buttons.button import Button, Press, id_in
from bot.call import Call
from operations import invitations
from operations.invitations import Open
from operations.permissions import Permission
from operations.slack_inbox import Answer
from operations.wording import quoted
from slack.mrkdwn import escape

OnInvitation = Press[Open]


def of_invitation(call: Call, value: str, _permission: Permission) -> Open:
    """What a button offers to whoever clicks.

    Raises:
        Refused: with the sentence for the person.
    """
    return invitations.open_for(call.person, id_in(value))


def accept(press: OnInvitation) -> Answer:
    user = invitations.accept(
        press.about,
        press.call.person,
        user_id=press.call.new_id("user"),
        identity_id=press.call.new_id("identity"),
    )
    tenant = escape(press.about.tenant_name)
    return Answer(
        f"You are {user.role.value} in *{tenant}* now. `help` shows what you may do, and `whoami` who you are. With "
        f"several tenants, `tenant use {quoted(tenant)}` chooses this one.",
        replaces=True,
    )


def decline(press: OnInvitation) -> Answer:
    invitations.decline(press.about, press.call.person)
    return Answer(f"You declined the invitation to *{escape(press.about.tenant_name)}*.", replaces=True)


BUTTONS = (
    Button(invitations.ACCEPT, Permission.ONESELF, of_invitation, accept),
    Button(invitations.DECLINE, Permission.ONESELF, of_invitation, decline),
)
