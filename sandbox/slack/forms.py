"""Filling in a modal, by the labels that a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from sandbox.slack.controls import Control
from sandbox.slack.refusal import Json, SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.slack.views import View
    from sandbox.slack.workspace import Workspace

Entry: TypeAlias = str | list[str]


def fill(view: View, entries: Mapping[str, Entry], workspace: Workspace) -> Json:
    """`state.values` of a submission. Entries go by label, block id or action id; the rest keeps its initial value.

    Raises:
        SandboxError: an entry fits no field, or a field that is not optional stays empty.
    """
    unused = set(entries)
    values: Json = {}
    for block in view.blocks:
        if block.get("type") != "input":
            continue
        control = Control(block.get("block_id", ""), block["element"])
        names = [block["label"]["text"], control.block_id, control.element.get("action_id")]
        name = next((name for name in names if name in entries), None)
        unused.discard(name or "")
        entered = _entered(control, entries[name] if name else None, workspace)
        if not entered and not block.get("optional"):
            raise SandboxError(f"The field {block['label']['text']!r} has to be filled in.")
        action_id = control.element.get("action_id", "")
        values.setdefault(control.block_id, {})[action_id] = {"type": control.kind, **(entered or _nothing(control))}
    if unused:
        raise SandboxError(f"The form has no field {', '.join(sorted(unused))}.")
    return values


def label_of(view: View, block_id: str) -> str:
    """What a person calls the field with this block id."""
    labels = (block["label"]["text"] for block in view.blocks if block.get("block_id") == block_id and "label" in block)
    return next(labels, block_id)


def _entered(control: Control, entry: Entry | None, workspace: Workspace) -> Json:
    if entry:
        return control.choice([entry] if isinstance(entry, str) else entry, workspace)
    initial = {key: value for key, value in control.element.items() if key.startswith("initial_")}
    return {_name_of(key): value for key, value in initial.items() if value}


def _name_of(initial: str) -> str:
    """`initial_option` -> `selected_option`, `initial_value` -> `value`."""
    name = initial.removeprefix("initial_")
    return name if name == "value" else f"selected_{name}"


def _nothing(control: Control) -> Json:
    if control.options():
        many = control.kind.startswith("multi_") or control.kind == "checkboxes"
        return {"selected_options": []} if many else {"selected_option": None}
    return {"value": None}
