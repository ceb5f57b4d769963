"""The one table of buttons: what is not in it does nothing, and what is in it is checked at each click."""

from typing import Any

from bot.buttons import deciding, incidents, invitations
from bot.buttons.button import Button, Form, Press, press

BUTTONS: tuple[Button[Any], ...] = (*deciding.BUTTONS, *invitations.BUTTONS, *incidents.BUTTONS)

BY_ACTION: dict[str, Button[Any]] = {button.action_id: button for button in BUTTONS}
BY_FORM: dict[str, Button[Any]] = {button.form.callback_id: button for button in BUTTONS if button.form is not None}

__all__ = ["BUTTONS", "BY_ACTION", "BY_FORM", "Button", "Form", "Press", "press"]
