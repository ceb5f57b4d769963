"""What people do in Slack: write, edit, delete, react, invite."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sandbox.slack import event_shapes, typed_text
from sandbox.slack.files import File, Share
from sandbox.slack.messages import Message
from sandbox.slack.methods import users as people
from sandbox.slack.methods.conversations import add_app
from sandbox.slack.refusal import SandboxError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.slack.state import State
    from sandbox.slack.workspace import Channel, Person


class Doing:
    """The hands of the people. A channel is `support`, `#support`, `C…`, or `@ana` for the app's messages with ana."""

    state: State

    def say(
        self,
        user: str,
        channel: str,
        text: str,
        thread_ts: str | None = None,
        *,
        files: Sequence[tuple[str, bytes]] = (),
        broadcast: bool = False,
        seconds_ago: float = 0.0,
        heard: bool = True,
    ) -> Message:
        """A person writes, in the channel or in a thread; `files` are names and bytes.

        With `seconds_ago` it is back-dated; what is not `heard` has no event: it was typed while nobody listened.

        Raises:
            SandboxError: they are not in the channel, it is archived, or the thread does not exist.
        """
        person, place = self._writer(user, channel)
        root = self._root(place, thread_ts) if thread_ts else None
        message = Message(
            channel=place.id,
            ts=self.state.workspace.identifiers.ts(seconds_ago),
            user=person.id,
            text=typed_text.escaped(text, self.state.workspace),
            blocks=typed_text.rich_text(text, self.state.workspace) if text else [],
            thread_ts=root,
            broadcast=broadcast,
            subtype="file_share" if files else "thread_broadcast" if broadcast else None,
            client_msg_id=str(uuid.uuid4()),
        )
        message.files = [self._file(person, message, place, name, content) for name, content in files]
        return self.state.messages.post(message, heard=heard)

    def edit(self, user: str, message: Message, text: str, *, seconds_ago: float = 0.0, heard: bool = True) -> Message:
        """A person changes what they wrote; `seconds_ago` and `heard` as when they `say` something."""
        self._own(user, message)
        self.state.messages.edit(
            message,
            by=message.user,
            text=typed_text.escaped(text, self.state.workspace),
            blocks=typed_text.rich_text(text, self.state.workspace),
            edited_ts=self.state.workspace.identifiers.ts(seconds_ago),
            heard=heard,
        )
        return message

    def delete(self, user: str, message: Message, *, heard: bool = True) -> None:
        """A person deletes what they wrote."""
        self._own(user, message)
        self.state.messages.delete(message, heard=heard)

    def unfurl(self, message: Message) -> None:
        """Slack adds a preview to a link: the app is told of a change although nobody edited anything."""
        self.state.messages.tell_changed(message, self.state.messages.as_json(message))

    def react(self, user: str, message: Message, emoji: str) -> None:
        """A person puts an emoji on a message."""
        self.state.messages.react(message, emoji.strip(":"), self.state.workspace.person(user).id)

    def unreact(self, user: str, message: Message, emoji: str) -> None:
        """A person takes their emoji away."""
        self.state.messages.unreact(message, emoji.strip(":"), self.state.workspace.person(user).id)

    def invite_app(self, user: str, channel: str) -> None:
        """`/invite @switchboard`."""
        person, place = self._writer(user, channel)
        if not self.state.workspace.app_is_in(place):
            add_app(self.state, place, inviter=person.id)

    def remove_app(self, channel: str) -> None:
        """`/remove @switchboard`: the app hears nothing of that channel any more, not even this."""
        self.state.workspace.channel(channel).members.remove(self.state.workspace.installation.bot_user)

    def join(self, user: str, channel: str) -> None:
        """A person comes into a channel; an app that is there hears of it."""
        person, place = self.state.workspace.person(user), self.state.workspace.channel(channel)
        place.members.append(person.id)
        event_ts = self.state.workspace.identifiers.ts()
        self.state.events.publish(event_shapes.joined(person.id, place.id, person.team_id, None, event_ts), place)
        self.state.changes.announce()

    def leave(self, user: str, channel: str) -> None:
        """A person goes out of a channel; the app hears of it only if it subscribed."""
        person, place = self._writer(user, channel)
        place.members.remove(person.id)
        event_ts = self.state.workspace.identifiers.ts()
        self.state.events.publish(event_shapes.left(person.id, place.id, person.team_id, event_ts), place)
        self.state.changes.announce()

    def archive(self, user: str, channel: str) -> None:
        """A person archives a channel."""
        person, place = self._writer(user, channel)
        event_ts = self.state.workspace.identifiers.ts()
        event = {"type": "channel_archive", "channel": place.id, "user": person.id, "event_ts": event_ts}
        place.is_archived = True
        self.state.events.publish(event, place)
        self.state.changes.announce()

    def change_person(
        self, user: str, *, guest: bool | None = None, deleted: bool | None = None, heard: bool = True
    ) -> None:
        """An administrator of the workspace makes somebody a guest, or deactivates them, or takes either back."""
        person = self.state.workspace.person(user)
        person.is_restricted = person.is_restricted if guest is None else guest
        person.deleted = person.deleted if deleted is None else deleted
        if heard:
            event_ts = self.state.workspace.identifiers.ts()
            self.state.events.send(event_shapes.person_changed(people.as_json(self.state, person), event_ts))

    def open_home(self, user: str) -> None:
        """A person looks at the app's Home tab; what they see is `home(user)` a moment later."""
        person = self.state.workspace.person(user)
        view = self.state.views.homes.get(person.id)
        shown = self.state.views.as_json(view) if view else None
        channel = self.state.workspace.direct(person.id)
        event_ts = self.state.workspace.identifiers.ts()
        self.state.events.send(event_shapes.home_opened(person.id, channel.id, shown, event_ts))

    def _writer(self, user: str, channel: str) -> tuple[Person, Channel]:
        person, place = self.state.workspace.person(user), self.state.workspace.channel(channel)
        if person.id not in place.members:
            raise SandboxError(f"{person.name} is not in #{place.name}.")
        if place.is_archived:
            raise SandboxError(f"#{place.name} is archived.")
        return person, place

    def _root(self, place: Channel, thread_ts: str) -> str:
        message = self.state.messages.find(place.id, thread_ts)
        if message is None:
            raise SandboxError(f"There is no message {thread_ts} in #{place.name}.")
        return message.thread_ts or message.ts

    def _own(self, user: str, message: Message) -> None:
        if self.state.workspace.person(user).id != message.user:
            raise SandboxError(f"{user} did not write this message.")

    def _file(self, person: Person, message: Message, place: Channel, name: str, content: bytes) -> File:
        file = self.state.files.reserve(name, len(content), user=person.id, address=self.state.address)
        file.content, file.complete, file.processed = content, True, True
        file.shares.append(Share(message.ts, message.thread_ts, place))
        return file
