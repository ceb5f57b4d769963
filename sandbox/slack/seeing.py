"""What people see: channels, threads, whispers, direct messages, forms, files."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sandbox.slack import controls, readable
from sandbox.slack.refusal import SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.slack.files import File
    from sandbox.slack.messages import Message
    from sandbox.slack.state import State
    from sandbox.slack.views import View

T = TypeVar("T")


class Seeing:
    """The eyes of the people. Messages are live: one that is edited later reads differently."""

    state: State

    def messages(self, channel: str) -> list[Message]:
        """Everything that stands in a channel and its threads, oldest first; nothing ephemeral, nothing deleted."""
        return self.state.messages.in_channel(self.state.workspace.channel(channel).id)

    def roots(self, channel: str) -> list[Message]:
        """The channel's own timeline, without the replies in threads."""
        return self.state.messages.timeline(self.state.workspace.channel(channel).id)

    def thread(self, channel: str, ts: str) -> list[Message]:
        """A root and its replies.

        Raises:
            SandboxError: there is no such message.
        """
        place = self.state.workspace.channel(channel)
        root = self.state.messages.find(place.id, ts)
        if root is None:
            raise SandboxError(f"There is no message {ts} in #{place.name}.")
        return [root, *self.state.messages.replies(root)]

    def ephemerals(self, user: str) -> list[Message]:
        """What only this person sees, in any channel, oldest first."""
        person = self.state.workspace.person(user)
        return [
            shown for shown in self.state.messages.ephemerals if shown.visible_to == person.id and not shown.deleted
        ]

    def direct_messages(self, user: str) -> list[Message]:
        """What the app and this person wrote to each other."""
        return self.messages(f"@{user}")

    def pictures(self, user: str) -> list[bytes]:
        """What stands in direct messages to this person as a picture or a file, and was not deleted, oldest first."""
        ids = [file_id for shown in self.direct_messages(user) for file_id in _files_in(shown)]
        return [content for file_id in ids if (content := self.file(file_id).content) is not None]

    def modal(self, user: str) -> View | None:
        """The form that this person has open."""
        return self.state.views.top(self.state.workspace.person(user).id)

    def home(self, user: str) -> View | None:
        """What the app's Home tab shows to this person."""
        return self.state.views.homes.get(self.state.workspace.person(user).id)

    def file(self, file_id: str) -> File:
        """A file; its bytes are `content`.

        Raises:
            SandboxError: there is no such file.
        """
        if file_id not in self.state.files.by_id:
            raise SandboxError(f"There is no file {file_id}.")
        return self.state.files.by_id[file_id]

    def read(self, shown: Message) -> str:
        """A message as a person reads it: the blocks if there are any, the text otherwise."""
        return readable.message(shown, self.state.workspace)

    def newest_with(self, user: str, channel: str, wanted: str) -> Message:
        """The newest message in a channel on which this person sees such a button or menu.

        Raises:
            SandboxError: there is none.
        """
        person = self.state.workspace.person(user)
        place = self.state.workspace.channel(channel)
        whispers = [shown for shown in self.ephemerals(user) if shown.channel == place.id]
        visible = sorted([*self.state.messages.in_channel(place.id), *whispers], key=lambda shown: shown.ts)
        for shown in reversed(visible):
            if controls.find(shown.blocks, wanted):
                return shown
        raise SandboxError(f"{person.name} sees no {wanted!r} in #{place.name}.")

    async def until(self, condition: Callable[[], T], seconds: float = 10.0) -> T:
        """Wait for `condition()` to become truthy, looking again whenever something changed.

        Raises:
            TimeoutError: it did not.
        """
        return await self.state.changes.until(condition, seconds)


def _files_in(shown: Message) -> list[str]:
    """Shared with a message, or shown by one of its blocks."""
    in_blocks = [str(block.get("slack_file", {}).get("id", "")) for block in shown.blocks]
    return [*(file.id for file in shown.files), *filter(None, in_blocks)]
