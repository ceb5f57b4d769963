"""The buttons under an incident's message: restart, show the code, mute. Each is checked for whoever clicks."""

from __future__ import annotations

from bot.buttons.button import Button, Press, id_in
from bot.call import Call
from operations import incident_buttons, muting, sessions
from operations.errors import NotFound
from operations.muting import Trouble
from operations.permissions import Permission
from operations.slack_inbox import Answer
from slack.mrkdwn import foreign

OnTrouble = Press[Trouble]

_TOO_LATE = (
    "Nothing was done: it could not be done when you clicked, and by now the session may be well again. Click again if "
    "it is still wanted."
)


def of_incident(call: Call, value: str, permission: Permission) -> Trouble:
    """The incident that a button carries, for whoever clicks.

    Raises:
        Refused: with the sentence for the person.
    """
    return muting.stand_before_incident(call.person, id_in(value), permission)


def restart(press: OnTrouble) -> Answer:
    session = _session(press.about)
    sessions.ask_restart(
        press.about.tenant_id,
        session,
        action_id=press.call.new_id("restart"),
        asker=press.call.person,
        actor=press.actor,
        reason="asked for below an incident",
    )
    return Answer(f"Session `{foreign(session)}` is restarted now; you hear by direct message how it ends.")


def show_qr(press: OnTrouble) -> Answer:
    session = sessions.ask_qr(
        press.about.tenant_id,
        _session(press.about),
        action_id=press.call.new_id("qr"),
        asker=press.call.person,
        actor=press.actor,
    )
    return Answer(f"The code of session `{foreign(session.name)}` comes to you by direct message, and to nobody else.")


def mute(press: OnTrouble) -> Answer:
    if not muting.mute(press.about, muted_by=f"<@{press.call.person.user_id}>", actor=press.actor):
        return Answer("Somebody muted it before you; nothing was changed. *Unmute* takes that back.")
    return Answer("Muted for 8 hours: the message changes again when it is over. *Unmute* takes that back.")


def unmute(press: OnTrouble) -> Answer:
    if not muting.unmute(press.about, actor=press.actor):
        return Answer("It was not muted; nothing was changed. *Mute* keeps the message as it is for 8 hours.")
    return Answer("Not muted any more: the message shows again what becomes of it.")


def _session(trouble: Trouble) -> str:
    if trouble.session is None:
        raise NotFound("This is not about one session, or it was removed. See `session list`.")
    return str(trouble.session.name)


BUTTONS = (
    Button(incident_buttons.RESTART, Permission.SESSION_CONTROL, of_incident, restart, _TOO_LATE),
    Button(incident_buttons.SHOW_QR, Permission.SESSION_CONTROL, of_incident, show_qr, _TOO_LATE),
    Button(incident_buttons.MUTE, Permission.SESSION_CONTROL, of_incident, mute),
    Button(incident_buttons.UNMUTE, Permission.SESSION_CONTROL, of_incident, unmute),
)
