"""What Slack sends, stored before it is acknowledged. The bot answers commands and clicks, the daemon takes events.

Commands, clicks, forms and their answers are kept encrypted: they hold response_urls, links that open a page, and what
people typed into a form, such as a token.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import timedelta
from typing import Any, Self
from uuid import UUID

from database import notify, transaction
from operations import app_removed, home_views, replies, slack_people, unreadable
from operations.encryption import CannotDecrypt
from operations.envelopes import opened_body, opened_json, sealed_body, sealed_json
from operations.lanes import Inbox, Kept
from operations.sql import changed, first, lock, rows, value
from operations.store import insert_many

# Commands and clicks are the bot's.
_INBOX = Inbox("slack_events", Kept, "kind = 'event'")

# What is in no list of these is kept, and nothing is done about it. Each returns the tenant that it was about, if any.
_HANDLERS: dict[str, Callable[..., UUID | None]] = {
    "message": replies.handle,
    "user_change": slack_people.handle,
    "app_uninstalled": app_removed.handle,
    "tokens_revoked": app_removed.handle,
    "app_home_opened": home_views.handle,
}

_CANNOT_BE_READ = "command cannot be read any more"


@dataclass(frozen=True)
class NewSlackEvent:
    """An event, command or click as it arrived; `key` is the same when Slack sends it again.

    `about` and `edition` say which message an event tells, and in which of its editions (`operations.editions`).
    """

    id: UUID
    key: str
    kind: str
    slack_team_id: str
    slack_channel_id: str
    slack_user_id: str
    lane: str
    body: bytes = field(repr=False)
    about: str = ""
    edition: str = ""


@dataclass(frozen=True)
class Answer:
    """What a command or a click answers: complete `text`, and `blocks` over it.

    What `replaces` stands in place of the message that was clicked. What `asks_back` leaves undone what was asked for,
    until one of its buttons is clicked. What `is_secret` is shown where it was asked for or
    nowhere: it becomes no direct message, which would be a row that people of the database can read.
    """

    text: str
    blocks: list[dict[str, Any]] | None = None
    replaces: bool = False
    is_secret: bool = False
    asks_back: bool = False

    def __repr__(self) -> str:
        return "Answer(secret)" if self.is_secret else f"Answer({self.text!r}, {self.blocks!r})"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Self:
        """From what an older version may have kept, which knew less."""
        return cls(**{one.name: kept[one.name] for one in fields(cls) if one.name in kept})


def store(event: NewSlackEvent) -> bool:
    """Keep what Slack sent; False when it is there already."""
    with transaction():
        if event.kind == "event":
            arrive_in_turn(event.lane)
        is_new = bool(insert_many("slack_events", [_as_kept(event)]))
        if is_new and event.kind == "event":
            notify("slack_events")
        return is_new


def _as_kept(event: NewSlackEvent) -> NewSlackEvent:
    """What an event tells stands in Slack as well; anything else was said to us alone."""
    if event.kind == "event":
        return event
    return replace(event, body=sealed_body(event.body, table="slack_events", row=event.id))


def _body(kept: bytes | memoryview, event_id: UUID) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(opened_body(kept, table="slack_events", row=event_id))
    return found


def arrive_in_turn(lane: str) -> None:
    """One at a time in a thread, whichever way it comes, in the running transaction.

    Places are given before the commit, and the order of the commits is the order in which replies leave.
    """
    lock(f"arrival:{lane}")


@dataclass(frozen=True)
class Outcome:
    """The answer that is kept, and whether the caller is to tell it: nobody else does while their lease lasts."""

    answer: Answer
    is_ours: bool


@dataclass(frozen=True)
class Teller:
    """Who tells an answer, made anew for each try to answer; the lease outlasts the call that tells it."""

    token: UUID
    lease: timedelta


@dataclass(frozen=True)
class _Asked:
    answer: dict[str, Any] | None


def answer(event_id: UUID, work: Callable[[], Answer], teller: Teller) -> Outcome:
    """Carry out what was asked and keep the answer, in one transaction; done once however often it is called.

    `work` runs inside the transaction, and a `Refused` that it raises takes back what it changed.
    """
    with transaction():
        asked = first(_Asked, "SELECT answer FROM slack_events WHERE id = %s FOR NO KEY UPDATE", (event_id,))
        if asked is None or asked.answer is None:
            _keep(event_id, work())
        return _outcome(event_id, teller)


def refuse(event_id: UUID, given: Answer, teller: Teller) -> Outcome:
    """Keep a refusal as the answer, after the work was taken back.

    Another answer is kept where the work was done after all, and only the answer to its COMMIT was lost.
    """
    with transaction():
        _keep(event_id, given)
        return _outcome(event_id, teller)


def take_over(event_id: UUID, teller: Teller) -> Outcome:
    """Tell an answer that is kept, in place of whoever did not tell it before their lease ended."""
    with transaction():
        return _outcome(event_id, teller)


def _keep(event_id: UUID, given: Answer) -> None:
    # Whose it is says the transaction, where what was asked was about a tenant.
    changed(
        "UPDATE slack_events SET answer = %s, processed_at = clock_timestamp(), tenant_id = coalesce(tenant_id, "
        "NULLIF(current_setting('switchboard.tenant_id', true), '')::uuid) WHERE id = %s AND answer IS NULL",
        (_sealed_answer(given.as_json(), event_id), event_id),
    )


def _sealed_answer(given: dict[str, Any], event_id: UUID) -> str:
    return json.dumps(sealed_json(given, table="slack_events", column="answer", row=event_id))


def _answer(kept: Any, event_id: UUID) -> Any:
    return opened_json(kept, table="slack_events", column="answer", row=event_id)


def _outcome(event_id: UUID, teller: Teller) -> Outcome:
    is_ours = changed(
        "UPDATE slack_events SET lease_token = %(token)s, lease_expires_at = clock_timestamp() + %(lease)s "
        "WHERE id = %(id)s AND answered_at IS NULL "
        "AND (lease_token IS NULL OR lease_token = %(token)s OR lease_expires_at < clock_timestamp())",
        {"token": teller.token, "lease": teller.lease, "id": event_id},
    )
    kept = first(_Asked, "SELECT answer FROM slack_events WHERE id = %s", (event_id,))
    if kept is None or kept.answer is None:
        raise LookupError("Nothing is kept of what was asked.")
    return Outcome(Answer.of(_answer(kept.answer, event_id)), bool(is_ours))


DONE, CANCELLED = "done", "cancelled"
"""What became of something that was asked back."""


@dataclass(frozen=True)
class KeptCall:
    """A command, a click or a form that is taken up again later."""

    body: dict[str, Any] = field(repr=False)
    age: timedelta


def kept(event_id: UUID) -> KeptCall | None:
    """A command, a click or a form as it arrived; None when it is not kept, is something else, or its key is gone."""
    with transaction():
        found = first(
            _KeptBody,
            "SELECT body, clock_timestamp() - created_at AS age FROM slack_events WHERE id = %s AND kind <> 'event'",
            (event_id,),
        )
    if found is None:
        return None
    try:
        return KeptCall(_body(found.body, event_id), found.age)
    except CannotDecrypt as error:
        unreadable.say(event_id, _CANNOT_BE_READ, error, event_id=event_id)
        return None


@dataclass(frozen=True)
class _KeptBody:
    body: memoryview
    age: timedelta


def settle(event_id: UUID, word: str) -> str:
    """Write down that what was asked is decided, in the running transaction; what it was before, "" if it was not.

    Two who decide at once wait for each other, and the second finds the word of the first. What was answered without a
    question was done.

    Raises:
        LookupError: it was not answered yet, so there is nothing to decide.
    """
    kept = value("SELECT answer FROM slack_events WHERE id = %s FOR NO KEY UPDATE", (event_id,))
    if kept is None:
        raise LookupError("This was not answered yet.")
    answer = _answer(kept, event_id)
    if before := answer.get("settled", "" if answer.get("asks_back") else DONE):
        return str(before)
    settled = _sealed_answer(answer | {"settled": word}, event_id)
    changed("UPDATE slack_events SET answer = %s WHERE id = %s", (settled, event_id))
    return ""


def answered(event_id: UUID) -> None:
    with transaction():
        changed("UPDATE slack_events SET answered_at = clock_timestamp() WHERE id = %s", (event_id,))


@dataclass(frozen=True)
class Unanswered:
    """A command or click whose answer a crash swallowed; whether there is an `answer` says how far it came."""

    id: UUID
    body: bytes | memoryview = field(repr=False)
    answer: dict[str, Any] | None
    age_seconds: float


def unanswered(within: timedelta, older_than: timedelta = timedelta(0)) -> list[Unanswered]:
    """What was committed but not answered, oldest first; without what somebody is about to tell.

    What is not `older_than` that is most likely being answered, by this process or another.
    """
    with transaction():
        found = rows(
            Unanswered,
            "SELECT id, body, answer, extract(epoch FROM clock_timestamp() - created_at)::float AS age_seconds "
            "FROM slack_events WHERE kind <> 'event' AND answered_at IS NULL "
            "AND created_at > clock_timestamp() - %s "
            "AND coalesce(lease_expires_at, created_at + %s) <= clock_timestamp() ORDER BY position",
            (within, older_than),
        )
    return [opened for one in found if (opened := _opened(one)) is not None]


def _opened(one: Unanswered) -> Unanswered | None:
    """None where its key is gone: what nobody can read holds up nothing behind it."""
    try:
        return replace(one, body=opened_body(one.body, table="slack_events", row=one.id))
    except CannotDecrypt as error:
        unreadable.say(one.id, _CANNOT_BE_READ, error, event_id=one.id)
        return None


def due_lanes(limit: int, *, after: str = "", busy: Collection[str] = ()) -> list[str]:
    """Threads with something to do, those behind `after` first."""
    return _INBOX.due_lanes(limit, after=after, busy=busy)


def process_head(lane: str) -> bool:
    """Handle the first event of a thread; False when none is due, or another daemon is at it.

    A reply that cannot be handled was acknowledged all the same, so its writer is told.
    """

    def handle(row: Kept) -> UUID | None:
        payload = json.loads(bytes(row.body))
        take = _HANDLERS.get(str((payload.get("event") or {}).get("type")))
        return take(payload, stored_at=row.created_at) if take is not None else None

    def say_lost(row: Kept, _reason: str) -> None:
        replies.say_lost(json.loads(bytes(row.body)))

    return _INBOX.process_head(lane, handle, when_lost=say_lost)
