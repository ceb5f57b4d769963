"""What a person has to do where WhatsApp asks for a passkey: no program can answer that for them."""

from __future__ import annotations

from slack.mrkdwn import foreign

REQUIRED = "PASSKEY_REQUIRED"
CONFIRMATION = "PASSKEY_CONFIRMATION_REQUIRED"


def is_asked_for(raw_status: str) -> bool:
    """Whether WAHA's word for a session's state says so."""
    return raw_status in {REQUIRED, CONFIRMATION}


def sentence(raw_status: str, session_name: str, server: str) -> str:
    """What to do, complete with the next step."""
    name = foreign(session_name)
    dashboard = f"the dashboard of WAHA server `{foreign(server)}` (an operator knows its address)"
    if raw_status == CONFIRMATION:
        return (
            f"WhatsApp wants the passkey of session `{name}` confirmed: open {dashboard} in a browser, compare the "
            f"code there with the one on the phone, and confirm it. Then see `session show {name}`."
        )
    return (
        f"WhatsApp asks for the passkey of the account of session `{name}`: open {dashboard} in the browser that has "
        f"the passkey, choose the session and finish there. Then see `session show {name}`."
    )
