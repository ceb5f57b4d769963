"""What people ask of the app: commands, clicks, forms, shortcuts; and the answers that they get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.slack import controls, forms, payloads, response_urls, submissions, typed_text
from sandbox.slack.answers import Answer, settled
from sandbox.slack.delivery import Ack, Envelope
from sandbox.slack.messages import Message
from sandbox.slack.refusal import Json, Refusal, SandboxError
from sandbox.slack.views import View

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.slack.delivery import Kind
    from sandbox.slack.forms import Entry
    from sandbox.slack.interactions import Interaction
    from sandbox.slack.state import State


@dataclass(frozen=True)
class Wait:
    """How long a person looks: at most `seconds` for a first answer, then until nothing happens for `quiet` seconds.

    With `until` exactly until that holds, or a TimeoutError.
    """

    seconds: float = 5.0
    quiet: float = 0.1
    until: Callable[[Answer], bool] | None = None


PATIENT = Wait()


class Asking:
    """The people's side of interactivity. Slack repeats none of these: no acknowledgement, no second chance."""

    state: State

    async def command(self, user: str, channel: str, line: str, wait: Wait = PATIENT) -> Answer:
        """A person types a slash command; `@ana` and `#support` in it become ids, as with `should_escape: true`.

        Raises:
            SandboxError: strangers have no commands.
        """
        person, place = self.state.workspace.person(user), self.state.workspace.channel(channel)
        if person.is_stranger:
            raise SandboxError(f"{person.name} belongs to another company and does not have the command.")
        interaction = self.state.interactions.start("command", person, place)
        name, _, text = line.strip().partition(" ")
        escaped = typed_text.escaped(text.strip(), self.state.workspace)
        payload = payloads.slash_command(self.state, interaction, name, escaped)

        def take(answer: object) -> None:
            self._show_command_line(interaction, line, answer)
            _show_ack(self.state, interaction, answer)

        return await self._perform(interaction, "slash_commands", payload, take, wait)

    async def click(
        self, user: str, target: Message | View, wanted: str, value: str = "", wait: Wait = PATIENT
    ) -> Answer:
        """A person uses a button or a menu, found by action id, label, or the text of a choice.

        Raises:
            SandboxError: there is no such control, or they cannot see the message.
        """
        control = controls.find(target.blocks, wanted)
        if control is None:
            there = ", ".join(controls.labels(target.blocks)) or "no buttons at all"
            form = (
                f" in the form {target.title!r}, which is open: submit or close it first"
                if isinstance(target, View)
                else ""
            )
            raise SandboxError(f"There is no {wanted!r} to click{form}. There is: {there}.")
        person = self.state.workspace.person(user)
        chosen = value or ("" if wanted in {control.element.get("action_id"), control.label} else wanted)
        action = control.used(chosen, self.state.workspace, self.state.workspace.identifiers.ts())
        if isinstance(target, View):
            interaction = self.state.interactions.start("click", person, None)
            payload = payloads.click_on_view(self.state, interaction, target, action)
        else:
            if target.visible_to not in {None, person.id} or target.deleted:
                raise SandboxError(f"{person.name} does not see that message.")
            place = self.state.workspace.channels[target.channel]
            interaction = self.state.interactions.start("click", person, place, target)
            payload = payloads.click_on_message(self.state, interaction, target, action)
        return await self._perform(interaction, "interactive", payload, lambda _answer: None, wait)

    async def submit(self, user: str, entries: Mapping[str, Entry] | None = None, wait: Wait = PATIENT) -> Answer:
        """A person fills in the modal that they have open, by the labels of its fields, and submits it.

        Raises:
            SandboxError: no modal is open, or Slack itself would not let it be submitted.
        """
        person = self.state.workspace.person(user)
        view = self._top(user)
        view.values = forms.fill(view, entries or {}, self.state.workspace)
        interaction = self.state.interactions.start("submit", person, None)
        payload = payloads.submission(self.state, interaction, view)
        return await self._perform(
            interaction,
            "interactive",
            payload,
            lambda answer: submissions.take(self.state, interaction, view, answer),
            wait,
        )

    async def close(self, user: str) -> None:
        """A person closes the modal that they have open; the app hears of it if it asked to."""
        view = self._top(user)
        self.state.views.close(
            self.state.workspace.person(user).id, everything=bool(view.content.get("clear_on_close"))
        )
        if view.content.get("notify_on_close"):
            interaction = self.state.interactions.start("close", self.state.workspace.person(user), None)
            payload = payloads.closing(self.state, interaction, view)
            await self._perform(interaction, "interactive", payload, lambda _answer: None, Wait(seconds=0))

    async def shortcut(
        self, user: str, callback_id: str, message: Message | None = None, wait: Wait = PATIENT
    ) -> Answer:
        """A person uses a shortcut, from the menu of a message if there is one."""
        person = self.state.workspace.person(user)
        place = self.state.workspace.channels[message.channel] if message else None
        interaction = self.state.interactions.start("shortcut", person, place, message)
        payload = payloads.shortcut(self.state, interaction, callback_id, message)
        return await self._perform(interaction, "interactive", payload, lambda _answer: None, wait)

    def _top(self, user: str) -> View:
        view = self.state.views.top(self.state.workspace.person(user).id)
        if view is None:
            raise SandboxError(f"{user} has no form open.")
        return view

    async def _perform(
        self, interaction: Interaction, kind: Kind, payload: Json, take: Callable[[object], None], wait: Wait
    ) -> Answer:
        outcome = await self.state.app.send(Envelope(kind, payload))
        if isinstance(outcome, Ack):
            interaction.acked_after = outcome.after_seconds
            take(outcome.payload)
        else:
            interaction.error = outcome.shown
        self.state.changes.announce()
        try:
            return await settled(self.state, interaction, seconds=wait.seconds, quiet=wait.quiet, until=wait.until)
        finally:
            self.state.interactions.finish(interaction)

    def _show_command_line(self, interaction: Interaction, line: str, answer: object) -> None:
        """An answer for everybody shows what was typed to everybody too."""
        public = isinstance(answer, dict) and answer.get("response_type") == "in_channel"
        if public and interaction.channel:
            ts = self.state.workspace.identifiers.ts()
            typed = Message(channel=interaction.channel.id, ts=ts, user=interaction.person.id, text=line)
            self.state.messages.show(typed)


def _show_ack(state: State, interaction: Interaction, answer: object) -> None:
    body = {"text": answer} if isinstance(answer, str) else answer
    if not body or not isinstance(body, dict):
        return
    try:
        response_urls.show(state, interaction, body)
    except Refusal as refusal:
        interaction.error = submissions.complaint(refusal)
