"""Messages: stored, changed, reacted to; and what Slack tells the app about each of these."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.slack import event_shapes, message_shape
from sandbox.slack.message_shape import Replies
from sandbox.slack.timelines import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.slack.changes import Changes
    from sandbox.slack.files import File
    from sandbox.slack.refusal import Json
    from sandbox.slack.workspace import Channel, Workspace


@dataclass(eq=False)
class Message:
    """One message as it is now. `earlier` holds the texts that it had before edits."""

    channel: str
    ts: str
    user: str
    text: str
    blocks: list[Json] = field(default_factory=list)
    by_bot: bool = False
    thread_ts: str | None = None
    broadcast: bool = False
    subtype: str | None = None
    visible_to: str | None = None
    metadata: Json | None = None
    files: list[File] = field(default_factory=list)
    username: str | None = None
    client_msg_id: str | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)
    edited_by: str | None = None
    edited_ts: str | None = None
    earlier: list[str] = field(default_factory=list)
    deleted: bool = False

    @property
    def is_reply(self) -> bool:
        """Whether it stands in a thread and is not its root."""
        return self.thread_ts is not None and self.thread_ts != self.ts


class Messages:
    """Every message of the workspace. `publish(event, channel)` hands an event to the Events API."""

    def __init__(self, workspace: Workspace, changes: Changes, publish: Callable[[Json, Channel], None]) -> None:
        self._workspace = workspace
        self._changes = changes
        self._publish = publish
        self._by_ts: dict[tuple[str, str], Message] = {}
        self._everything: defaultdict[str, Timeline] = defaultdict(Timeline)
        self._timelines: defaultdict[str, Timeline] = defaultdict(Timeline)
        self._threads: defaultdict[tuple[str, str], Timeline] = defaultdict(Timeline)
        self._replies: defaultdict[tuple[str, str], Replies] = defaultdict(Replies)
        self.ephemerals: list[Message] = []

    def post(self, message: Message, *, heard: bool = True) -> Message:
        """Keep a message and tell the app, if it is in the channel and `heard`."""
        self.show(message)
        self._tell(event_shapes.posted(self.as_json(message)), message, heard=heard)
        return message

    def show(self, message: Message) -> None:
        """Keep a message of which the app is not told, such as a command line that Slack shows to the channel."""
        self._by_ts[message.channel, message.ts] = message
        self._everything[message.channel].add(message)
        if message.is_reply:
            thread = (message.channel, message.thread_ts or "")
            self._threads[thread].add(message)
            self._replies[thread].add(message)
        if not message.is_reply or message.broadcast:
            self._timelines[message.channel].add(message)
        self._changes.announce()

    def whisper(self, message: Message) -> Message:
        """Keep an ephemeral message. Slack stores none and sends no event for it."""
        self.ephemerals.append(message)
        self._changes.announce()
        return message

    def edit(
        self, message: Message, *, by: str, text: str, blocks: list[Json], metadata: Json | None = None,
        edited_ts: str | None = None, heard: bool = True,
    ) -> None:  # fmt: skip
        """Change what a message says, now or at `edited_ts`."""
        before = self.as_json(message)
        message.earlier.append(message.text)
        message.text, message.blocks = text, blocks
        message.metadata = metadata if metadata is not None else message.metadata
        message.edited_by, message.edited_ts = by, edited_ts or self._workspace.identifiers.ts()
        self.tell_changed(message, before, heard=heard)

    def tell_changed(self, message: Message, before: Json, *, heard: bool = True) -> None:
        """`message_changed`, which Slack also sends when it unfurls a link and nobody edited anything."""
        if message.visible_to:
            self._changes.announce()
            return
        event = event_shapes.changed(self.as_json(message), before, self._workspace.identifiers.ts())
        self._tell(event, message, heard=heard)

    def delete(self, message: Message, *, heard: bool = True) -> None:
        """Take a message away; a root that has replies stays as a tombstone."""
        before = self.as_json(message)
        message.deleted = True
        self._count_replies_again(message)
        if message.visible_to:
            self._changes.announce()
        elif self.replies(message):
            message.subtype, message.text, message.blocks = "tombstone", "This message was deleted.", []
            self.tell_changed(message, before, heard=heard)
        else:
            event_ts = self._workspace.identifiers.ts()
            self._tell(event_shapes.deleted(before, message.channel, event_ts), message, heard=heard)

    def react(self, message: Message, name: str, by: str) -> bool:
        """Put an emoji on a message; False when this person already had."""
        people = message.reactions.setdefault(name, [])
        if by in people:
            return False
        people.append(by)
        self._tell_reaction("reaction_added", message, name, by)
        return True

    def unreact(self, message: Message, name: str, by: str) -> bool:
        """Take an emoji away; False when it was not there."""
        people = message.reactions.get(name, [])
        if by not in people:
            return False
        people.remove(by)
        if not people:
            del message.reactions[name]
        self._tell_reaction("reaction_removed", message, name, by)
        return True

    def find(self, channel: str, ts: str) -> Message | None:
        """A message that can still be seen or, as a tombstone, answered."""
        message = self._by_ts.get((channel, ts))
        return message if message is not None and _stands(message) else None

    def in_channel(self, channel: str) -> list[Message]:
        """Everything that can be seen there, replies included, oldest first."""
        return [message for message in self._everything[channel] if not message.deleted]

    def timeline(self, channel: str) -> list[Message]:
        """What stands in the channel itself: roots, tombstones and replies that were also sent to the channel."""
        return [message for message in self._timelines[channel] if _stands(message)]

    def timeline_before(self, channel: str, ts: str) -> Iterator[Message]:
        """The part of the timeline that is earlier than `ts`, newest first."""
        return filter(_stands, self._timelines[channel].before(ts))

    def replies(self, root: Message) -> list[Message]:
        """The replies of a thread, oldest first."""
        return list(self.replies_after(root, ""))

    def replies_after(self, root: Message, ts: str) -> Iterator[Message]:
        """The replies that are later than `ts`, oldest first."""
        thread = self._threads.get((root.channel, root.ts), Timeline())
        return (reply for reply in thread.after(ts) if not reply.deleted)

    def as_json(self, message: Message, *, metadata: bool = True) -> Json:
        """The message as Slack's API and events show it."""
        root = self.find(message.channel, message.thread_ts) if message.thread_ts else None
        replies = self._replies.get((message.channel, message.ts), Replies())
        writer = self._workspace.people.get(message.user)
        installation = self._workspace.installation
        team_id = writer.team_id if writer else installation.team_id
        return message_shape.as_json(message, root, replies, installation, team_id=team_id, metadata=metadata)

    def _count_replies_again(self, deleted: Message) -> None:
        if not deleted.is_reply:
            return
        counted = self._replies[deleted.channel, deleted.thread_ts or ""] = Replies()
        for reply in self._threads[deleted.channel, deleted.thread_ts or ""]:
            if not reply.deleted:
                counted.add(reply)

    def _tell_reaction(self, kind: str, message: Message, name: str, by: str) -> None:
        self._tell(event_shapes.reaction(kind, message, name, by, self._workspace.identifiers.ts()), message)

    def _tell(self, event: Json, message: Message, *, heard: bool = True) -> None:
        self._changes.announce()
        if heard:
            self._publish(event, self._workspace.channels[message.channel])


def _stands(message: Message) -> bool:
    return not message.deleted or message.subtype == "tombstone"
