"""The people, the channels and the one installed app of a workspace."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

from sandbox.slack.identifiers import Identifiers
from sandbox.slack.refusal import Refusal, SandboxError

Kind = Literal["channel", "group", "im"]


@dataclass
class Person:
    """Somebody with an account; `is_restricted` is a guest, `is_stranger` belongs to another company."""

    id: str
    name: str
    real_name: str
    email: str
    team_id: str
    is_bot: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    deleted: bool = False


@dataclass
class Channel:
    """A channel, or the direct messages between the app and the person in `with_user`."""

    id: str
    name: str
    members: list[str] = field(default_factory=list)
    is_private: bool = False
    is_ext_shared: bool = False
    is_archived: bool = False
    with_user: str | None = None
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def kind(self) -> Kind:
        """`channel_type` of Slack's events."""
        if self.with_user:
            return "im"
        return "group" if self.is_private else "channel"


@dataclass(frozen=True)
class Installation:
    """Who the app is in this workspace, and its secrets."""

    team_id: str = "T0SANDBOX01"
    team_name: str = "Sandbox"
    team_domain: str = "sandbox"
    app_id: str = "A0SANDBOX01"
    app_name: str = "Switchboard"
    bot_id: str = "B0SANDBOX01"
    bot_user: str = "U0SANDBOX01"
    bot_name: str = "switchboard"
    # Obviously made up, and unlike a real token in length, so that no scanner takes them for one.
    bot_token: str = "xoxb-sandbox-bot"  # noqa: S105
    app_token: str = "xapp-sandbox-app"  # noqa: S105
    # The old proof that Slack is calling, the same in every payload; nobody should trust or keep it.
    verification_token: str = "deprecated"  # noqa: S105


class Workspace:
    """Everybody and every channel, found by name or by id."""

    def __init__(self, installation: Installation, identifiers: Identifiers | None = None) -> None:
        self.installation = installation
        self.identifiers = identifiers or Identifiers()
        self.people: dict[str, Person] = {}
        self.channels: dict[str, Channel] = {}
        bot = Person(
            installation.bot_user, installation.bot_name, installation.app_name, "", installation.team_id, is_bot=True
        )
        self.people[bot.id] = bot

    def add_person(self, name: str, *, real_name: str = "", email: str = "", guest: bool = False) -> Person:
        """A colleague, or with `guest` somebody who sees only the channels that they were asked into."""
        person = Person(
            id=self.identifiers.new("U", name),
            name=name,
            real_name=real_name or name.capitalize(),
            email=email or f"{name}@example.com",
            team_id=self.installation.team_id,
            is_restricted=guest,
        )
        self.people[person.id] = person
        return person

    def add_stranger(self, name: str, *, real_name: str = "") -> Person:
        """Somebody of another company, met in a shared channel."""
        person = self.add_person(name, real_name=real_name, email=f"{name}@elsewhere.example")
        person.team_id = "T0ELSEWHERE"
        person.is_stranger = True
        return person

    def add_channel(
        self, name: str, *, members: list[str], is_private: bool = False, is_ext_shared: bool = False
    ) -> Channel:
        """A channel with these people in it, by name or id; the app is one of them if it is named."""
        channel = Channel(
            id=self.identifiers.new("C", name),
            name=name,
            members=[self.person(member).id for member in members],
            is_private=is_private,
            is_ext_shared=is_ext_shared,
        )
        self.channels[channel.id] = channel
        return channel

    def person(self, name_or_id: str) -> Person:
        """`ana`, `@ana`, an id or an e-mail address.

        Raises:
            SandboxError: there is no such person.
        """
        wanted = name_or_id.removeprefix("@")
        for person in self.people.values():
            if wanted in {person.id, person.name, person.email}:
                return person
        names = ", ".join(person.name for person in self.people.values() if not person.is_bot)
        raise SandboxError(f"Nobody here is called {name_or_id!r}. There are: {names}.")

    def channel(self, name_or_id: str) -> Channel:
        """`support`, `#support`, an id, or `@ana` for the app's direct messages with ana.

        Raises:
            SandboxError: there is no such channel.
        """
        if name_or_id.startswith("@"):
            return self.direct(self.person(name_or_id).id)
        wanted = name_or_id.removeprefix("#")
        for channel in self.channels.values():
            if wanted == channel.id or (wanted == channel.name and channel.kind != "im"):
                return channel
        names = ", ".join(channel.name for channel in self.channels.values() if channel.kind != "im")
        raise SandboxError(f"There is no channel {name_or_id!r}. There are: {names}.")

    def direct(self, user: str) -> Channel:
        """The app's direct messages with a person, made when they are first needed."""
        for channel in self.channels.values():
            if channel.with_user == user:
                return channel
        channel = Channel(
            id=self.identifiers.new("D", self.people[user].name),
            name="directmessage",
            members=[user, self.installation.bot_user],
            with_user=user,
        )
        self.channels[channel.id] = channel
        return channel

    def addressed(self, wanted: str) -> Channel:
        """Where `chat.postMessage` posts: it alone also takes `#name`, and a person's id for direct messages.

        Raises:
            Refusal: `channel_not_found`.
        """
        person = self.people.get(wanted)
        if person and not person.is_bot:
            return self.direct(wanted)
        name = wanted.removeprefix("#")
        named = (channel.id for channel in self.channels.values() if channel.name == name and channel.kind != "im")
        return self.visible_to_app(next(named, wanted))

    def visible_to_app(self, wanted: str) -> Channel:
        """The channel with this id.

        Raises:
            Refusal: `channel_not_found`; a private channel without the app does not exist for it.
        """
        channel = self.channels.get(wanted)
        if channel is None or (channel.is_private and not self.app_is_in(channel)):
            raise Refusal("channel_not_found")
        return channel

    def joined_by_app(self, wanted: str) -> Channel:
        """The same, for what only members may do.

        Raises:
            Refusal: `channel_not_found`, `not_in_channel`.
        """
        channel = self.visible_to_app(wanted)
        if not self.app_is_in(channel):
            raise Refusal("not_in_channel")
        return channel

    def app_is_in(self, channel: Channel) -> bool:
        """Whether the app is a member: only then it is told of messages and may read or post."""
        return self.installation.bot_user in channel.members


def populate(workspace: Workspace) -> None:
    """The people and channels that every sandbox starts with."""
    for name, real_name in (("ana", "Ana Castro"), ("ben", "Ben Okafor"), ("olga", "Olga Lind")):
        workspace.add_person(name, real_name=real_name)
    workspace.add_person("gina", real_name="Gina Guest", guest=True)
    workspace.add_stranger("eve", real_name="Eve Elsewhere")
    bot = workspace.installation.bot_name
    workspace.add_channel("support", members=["ana", "ben", "olga", "gina", bot])
    workspace.add_channel("alerts", members=["ana", "ben", "olga", bot])
    workspace.add_channel("reports", members=["ana", "ben", "olga", bot])
    workspace.add_channel("general", members=["ana", "ben", "olga"])
