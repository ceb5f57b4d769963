"""Buttons, menus and fields: finding them by what a person sees, and what Slack sends when one is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.slack.block_limits import INTERACTIVE
from sandbox.slack.refusal import Json, SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.slack.workspace import Workspace

SELECTED = {
    "users_select": "selected_user",
    "channels_select": "selected_channel",
    "conversations_select": "selected_conversation",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
}


@dataclass(frozen=True)
class Control:
    """An element that a person can use, and the block in which it stands."""

    block_id: str
    element: Json

    @property
    def kind(self) -> str:
        """The element's type."""
        return str(self.element["type"])

    @property
    def label(self) -> str:
        """What is written on it."""
        part = self.element.get("text") or self.element.get("placeholder") or {}
        return str(part.get("text", ""))

    def options(self) -> list[Json]:
        """The choices of a menu, grouped or not."""
        groups = self.element.get("option_groups") or []
        return [*self.element.get("options", []), *(option for group in groups for option in group["options"])]

    def option(self, wanted: str) -> Json | None:
        """The choice with this text or value."""
        found = (option for option in self.options() if wanted in {option["text"]["text"], option.get("value")})
        return next(found, None)

    def used(self, value: str, workspace: Workspace, action_ts: str) -> Json:
        """One entry of `actions` in the payload; `value` is what was chosen, where there is a choice."""
        action = {
            "type": self.kind,
            "action_id": self.element.get("action_id"),
            "block_id": self.block_id,
            "action_ts": action_ts,
        }
        if self.kind == "button":
            return action | {key: self.element[key] for key in ("text", "value", "style", "url") if key in self.element}
        return {**action, **self.choice([value], workspace)}

    def choice(self, values: list[str], workspace: Workspace) -> Json:
        """What was entered or chosen, under the names that Slack uses in `actions` and `state.values`."""
        if self.options():
            options = [self._wanted_option(value) for value in values]
            many = self.kind.startswith("multi_") or self.kind == "checkboxes"
            return {"selected_options": options} if many else {"selected_option": options[0]}
        if self.kind == "users_select":
            return {"selected_user": workspace.person(values[0]).id}
        if self.kind in {"channels_select", "conversations_select"}:
            return {SELECTED[self.kind]: workspace.channel(values[0]).id}
        if self.kind == "multi_users_select":
            return {"selected_users": [workspace.person(value).id for value in values]}
        return {SELECTED.get(self.kind, "value"): values[0]}

    def _wanted_option(self, wanted: str) -> Json:
        option = self.option(wanted)
        if option is None:
            choices = ", ".join(option["text"]["text"] for option in self.options())
            raise SandboxError(f"{wanted!r} is not among the choices: {choices}.")
        return option


def controls(blocks: list[Json]) -> Iterator[Control]:
    """Everything in these blocks that can be used."""
    for block in blocks:
        elements = [*block.get("elements", []), block.get("accessory"), block.get("element")]
        for element in elements:
            if isinstance(element, dict) and element.get("type") in INTERACTIVE:
                yield Control(block.get("block_id", ""), element)


def find(blocks: list[Json], wanted: str) -> Control | None:
    """The control with this action id, label, or choice."""
    everything = list(controls(blocks))
    for control in everything:
        if wanted in {control.element.get("action_id"), control.label}:
            return control
    return next((control for control in everything if control.option(wanted)), None)


def labels(blocks: list[Json]) -> list[str]:
    """What is written on the controls, in order."""
    return [control.label for control in controls(blocks) if control.label]
