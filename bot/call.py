"""What a person asked for by command, click or form, as Slack's payload says it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self
from uuid import UUID, uuid5

from operations.home import COMMAND_OF
from operations.slack_events import Body
from operations.slack_inbox import NewSlackEvent
from operations.standing import Person

# Slack takes answers at a response_url for 30 minutes; the last one is left for the way.
RESPONSE_URL_LIVES = timedelta(minutes=29)


@dataclass(frozen=True)
class Click:
    """A button that was clicked, or a menu from which something was chosen; `value` is the client's word.

    `text` is what the message with the button says, empty where only one person sees it. `message_ts` is empty in a
    form.
    """

    action_id: str
    value: str
    message_ts: str
    thread_ts: str | None
    text: str


@dataclass(frozen=True)
class Submission:
    """A form that was filled in: `values` by block id. `origin` is what we hid in it, and by now the client's word."""

    callback_id: str
    origin: str
    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Call:
    """A command, a click or a form, and how its person is reached.

    `slack_team_id` is where it was asked; the person may be of another workspace, whose channel it also is.
    One of `typed`, `click` and `submission` is there, or none for what nobody handles. A button of a person's home
    stands for what they could have typed, about the tenant `tenant_id`, which is the client's word. A form opens with
    the `trigger_id` within 3 s, and once. After `respond_until`, on the
    clock of `time.monotonic`, the response_url is dead.
    """

    event_id: UUID
    slack_team_id: str
    person: Person
    channel_id: str
    response_url: str = field(repr=False)
    respond_until: float
    trigger_id: str = ""
    typed: str | None = field(default=None, repr=False)
    tenant_id: UUID | None = None
    is_from_home: bool = False
    click: Click | None = None
    submission: Submission | None = None

    @property
    def is_late(self) -> bool:
        """Whether who asked has stopped waiting."""
        return time.monotonic() >= self.respond_until

    @property
    def thread_ts(self) -> str | None:
        """Where the answer to a click stands: beside what was clicked."""
        return self.click.thread_ts if self.click is not None else None

    @property
    def source(self) -> str:
        """Through which door it came, for the audit: `command:T1/C1`."""
        door = "form" if self.submission is not None else "button"
        if self.is_from_home:
            door = "home"
        elif self.typed is not None:
            door = "command"
        return f"{door}:{self.person.team_id}/{self.channel_id}"

    def new_id(self, of: str) -> UUID:
        """An id for a row that this makes: the same one however often it is carried out."""
        return uuid5(self.event_id, of)

    @classmethod
    def of(cls, row: NewSlackEvent, body: Body, age: timedelta = timedelta(0)) -> Self:
        # Somebody of another workspace may click in a shared channel: the person's own team counts.
        team_id = _mapping(body.get("user")).get("team_id") or row.slack_team_id
        click = click_of(body) if body.get("type") == "block_actions" else None
        is_from_home = click is not None and _mapping(body.get("view")).get("type") == "home"
        asked = COMMAND_OF.get(click.action_id) if click is not None and is_from_home else None
        return cls(
            event_id=row.id,
            slack_team_id=row.slack_team_id,
            person=Person(str(team_id), row.slack_user_id),
            channel_id=row.slack_channel_id,
            response_url=str(body.get("response_url") or ""),
            respond_until=time.monotonic() + (RESPONSE_URL_LIVES - age).total_seconds(),
            trigger_id=str(body.get("trigger_id") or ""),
            typed=str(body.get("text") or "") if "command" in body else asked,
            tenant_id=_uuid(click.value) if click is not None and asked is not None else None,
            is_from_home=is_from_home,
            click=click if asked is None else None,
            submission=submission_of(body) if body.get("type") == "view_submission" else None,
        )


def click_of(body: Body) -> Click | None:
    actions = body.get("actions")
    action = _mapping(actions[0]) if isinstance(actions, list) and actions else {}
    container, message = _mapping(body.get("container")), _mapping(body.get("message"))
    return Click(
        action_id=str(action.get("action_id") or ""),
        value=_entered({"": action}),
        message_ts=str(container.get("message_ts") or ""),
        thread_ts=str(container.get("thread_ts") or message.get("thread_ts") or "") or None,
        text=str(message.get("text") or ""),
    )


def submission_of(body: Body) -> Submission:
    view = _mapping(body.get("view"))
    blocks = _mapping(_mapping(view.get("state")).get("values"))
    return Submission(
        callback_id=str(view.get("callback_id") or ""),
        origin=str(view.get("private_metadata") or ""),
        values={block_id: _entered(fields) for block_id, fields in blocks.items()},
    )


def _entered(fields: Any) -> str:
    """What stands in the one field of a block: what was written, or the value or id that was chosen."""
    [field, *_] = [*_mapping(fields).values(), {}]
    found = _mapping(field)
    chosen = _mapping(found.get("selected_option")).get("value")
    others = (found.get(f"selected_{what}") for what in ("user", "channel", "conversation"))
    return str(next((one for one in (found.get("value"), chosen, *others) if one), ""))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}
