"""The one table of buttons: what is not in it does nothing, and what is in it is checked at each click."""

from bot.buttons.button import Button, Form, Press, press
from bot.buttons.deciding import BUTTONS

BY_ACTION: dict[str, Button] = {button.action_id: button for button in BUTTONS}
BY_FORM: dict[str, Button] = {button.form.callback_id: button for button in BUTTONS if button.form is not None}

__all__ = ["BUTTONS", "BY_ACTION", "BY_FORM", "Button", "Form", "Press", "press"]
