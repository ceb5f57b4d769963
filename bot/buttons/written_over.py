"""What stands in a thread with buttons about messages loses them when one was clicked."""

from __future__ import annotations

from collections.abc import Sequence

from bot.buttons.button import Press
from models import Message
from operations.clicked import show_decision

OnMessages = Press[Sequence[Message]]


def decided(press: OnMessages, what: str) -> None:
    """Rewrite what was clicked without its buttons. What only one person sees is not kept by Slack, and stays."""
    if press.click.text and press.click.message_ts:
        show_decision(
            press.about[0],
            channel_id=press.call.channel_id,
            ts=press.click.message_ts,
            text=f"{press.click.text}\n<@{press.call.person.user_id}> chose *{what}*.",
        )
