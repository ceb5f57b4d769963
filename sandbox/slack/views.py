"""Modals and Home tabs: a stack of views for each person."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.slack.refusal import Json, Refusal

if TYPE_CHECKING:
    from sandbox.slack.changes import Changes
    from sandbox.slack.workspace import Workspace

DEEPEST = 3  # "view stack 3"


@dataclass(eq=False)
class View:
    """What the app asked to show, under the id that Slack gave it."""

    id: str
    user: str
    content: Json
    hash: str
    root: str
    previous: str | None = None
    values: Json = field(default_factory=dict)

    @property
    def blocks(self) -> list[Json]:
        """The blocks as the app wrote them."""
        blocks: list[Json] = self.content.get("blocks", [])
        return blocks

    @property
    def title(self) -> str:
        """What stands above it."""
        return str(self.content.get("title", {}).get("text", ""))


class Views:
    """Who looks at which modal, and everybody's Home tab."""

    def __init__(self, workspace: Workspace, changes: Changes) -> None:
        self._workspace = workspace
        self._changes = changes
        self.stacks: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}

    def top(self, user: str) -> View | None:
        """The modal that the person sees."""
        stack = self.stacks.get(user)
        return stack[-1] if stack else None

    def open(self, user: str, content: Json) -> View:
        """A new modal in place of whatever the person had open."""
        view = self._view(user, content)
        self.stacks[user] = [view]
        self._changes.announce()
        return view

    def push(self, user: str, content: Json) -> View:
        """A modal over the one that is open.

        Raises:
            Refusal: `push_limit_reached`, `not_found` without an open modal.
        """
        stack = self.stacks.get(user)
        if not stack:
            raise Refusal("not_found")
        if len(stack) >= DEEPEST:
            raise Refusal("push_limit_reached")
        view = self._view(user, content)
        view.root, view.previous = stack[0].id, stack[-1].id
        stack.append(view)
        self._changes.announce()
        return view

    def update(self, view: View, content: Json, *, only_if: str = "") -> View:
        """Show something else under the same id; `only_if` is the hash that the app believes it has.

        Raises:
            Refusal: `hash_conflict`.
        """
        if only_if and only_if != view.hash:
            raise Refusal("hash_conflict")
        view.content, view.hash, view.values = copy.deepcopy(content), self._hash(), {}
        self._changes.announce()
        return view

    def publish(self, user: str, content: Json, *, only_if: str = "") -> View:
        """A person's Home tab."""
        if user in self.homes:
            return self.update(self.homes[user], content, only_if=only_if)
        self.homes[user] = self._view(user, content)
        self._changes.announce()
        return self.homes[user]

    def close(self, user: str, *, everything: bool = False) -> None:
        """Close the top modal, or all of them."""
        stack = self.stacks.get(user, [])
        del stack[0 if everything else -1 :]
        self._changes.announce()

    def find(self, view_id: str, external_id: str = "") -> View:
        """An open modal or a Home tab.

        Raises:
            Refusal: `not_found`.
        """
        everything = [*(view for stack in self.stacks.values() for view in stack), *self.homes.values()]
        for view in everything:
            if view.id == view_id or (external_id and view.content.get("external_id") == external_id):
                return view
        raise Refusal("not_found")

    def as_json(self, view: View) -> Json:
        """The view as answers and payloads show it."""
        installation = self._workspace.installation
        defaults = {"private_metadata": "", "callback_id": "", "external_id": "", "submit": None, "close": None}
        return {
            **defaults,
            "clear_on_close": False,
            "notify_on_close": False,
            **view.content,
            "id": view.id,
            "team_id": installation.team_id,
            "state": {"values": view.values},
            "hash": view.hash,
            "root_view_id": view.root,
            "previous_view_id": view.previous,
            "app_id": installation.app_id,
            "bot_id": installation.bot_id,
            "app_installed_team_id": installation.team_id,
        }

    def _view(self, user: str, content: Json) -> View:
        view_id = self._workspace.identifiers.new("V")
        return View(id=view_id, user=user, content=copy.deepcopy(content), hash=self._hash(), root=view_id)

    def _hash(self) -> str:
        return f"{self._workspace.identifiers.ts()}.hash"
