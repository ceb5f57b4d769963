"""What the steps of the tour share: who is on stage, what they did, and what they see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sandbox.slack import Answer, Message, Wait
from sandbox.stage import Stage
from sandbox.whatsapp import Phone, Shown

SHOP = "+4930901820"
CUSTOMER = "+4915123456789"


class TourFailed(AssertionError):
    """A step was not seen at the far end."""


@dataclass
class Scene:
    """What later steps need of earlier ones."""

    stage: Stage
    shop: Phone
    customer: Phone
    thread: str = ""
    replies: list[Message] = field(default_factory=list)

    def on_phone(self, text: str) -> list[Shown]:
        """What the customer has of the shop with this text; two would be a doubled message."""
        return [one for one in self.customer.chat_with(self.shop) if one.text == text and one.direction == "in"]

    def in_thread(self, text: str) -> list[Message]:
        return [one for one in self.stage.slack.thread("support", self.thread) if text in one.text]

    async def ask(self, user: str, line: str, *, channel: str = "support", expect: str, seconds: float = 15) -> Answer:
        """Type a command and see the expected words.

        Raises:
            TourFailed: the answer was another.
        """
        wait = Wait(seconds=seconds, until=lambda answer: expect in answer.text or answer.error is not None)
        try:
            answer = await self.stage.slack.command(user, channel, line, wait=wait)
        except TimeoutError:
            answer = await self.stage.slack.command(user, channel, line, wait=Wait(seconds=1))
        if expect not in answer.text:
            raise TourFailed(f"{user} typed {line!r} and saw {answer.error or answer.text!r}, not {expect!r}.")
        return answer

    async def reply(self, text: str) -> Message:
        said = self.stage.slack.say("ana", "support", text, thread_ts=self.thread)
        self.replies.append(said)
        return said

    async def arrives_once(self, text: str, *, seconds: float = 20.0) -> None:
        """The customer has the text, one time.

        Raises:
            TourFailed: it came twice.
        """
        await self.stage.until(lambda: self.on_phone(text), f"{text!r} on the customer's phone", seconds)
        times = len(self.on_phone(text))
        if times != 1:
            raise TourFailed(f"The customer got {text!r} {times} times.")

    async def shows(self, message: Message, *reactions: str, seconds: float = 20.0) -> None:
        wanted = set(reactions)
        await self.stage.until(lambda: wanted & set(message.reactions), f"{' or '.join(reactions)} on a reply", seconds)

    def codes(self) -> list[tuple[str, bytes]]:
        """The pictures inside the app's direct messages with ana, each with the ts of its message."""
        slack = self.stage.slack
        found = [
            (message.ts, slack.file(str(block["slack_file"]["id"])).content)
            for message in slack.direct_messages("ana")
            for block in message.blocks
            if block["type"] == "image"
        ]
        return [(ts, picture) for ts, picture in found if picture is not None]


Step = tuple[str, Callable[[Scene], Awaitable[None]]]
"""What is shown, and how it is played."""
