"""Where commands are answered: read, carried out in one transaction with their answer, and told to who asked."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

from bot.call import Call
from bot.commands import COMMANDS, Installation
from bot.commands.questions import which_tenant
from bot.interactions import NOTHING_TO_SAY, Work, form_is_open, with_origin
from bot.outsiders import meet, way_in
from bot.work import work_of
from database import DatabaseUnavailable, in_database, transaction
from operations import audit, home_views, slack_inbox
from operations.errors import AmbiguousTenant, NoRole, Refused
from operations.posting import tell_person
from operations.slack_events import incoming
from operations.slack_inbox import Answer, Outcome, Teller, Unanswered
from operations.standing import Person
from operations.wording import with_root
from settings.logs import get_logger
from slack.blocks import Block, sections
from slack.client import CALL_TIMEOUT, SlackClient
from slack.errors import SlackError

# Older than this it is no answer any more, and who asked has long done something else.
UNANSWERED_SINCE = timedelta(hours=24)
DATABASE_PAUSE_SECONDS = 3.0
LOOK_FOR_LEFTOVERS_SECONDS = 5.0
# Younger ones are most likely being answered, by this process or another.
LEFT_OVER_AFTER = timedelta(minutes=1)
# Longer than the call that tells an answer: another bot tells it only when this one is dead.
TELLING_LASTS = CALL_TIMEOUT + timedelta(seconds=5)
MOST_BLOCKS = 50

AWAY = (
    "The database does not answer just now. Your command is saved and is carried out as soon as it is back; "
    "do not repeat it. The outcome follows here."
)
NOT_SHOWN = "The answer was for your eyes only and could not be shown in time. Ask for it again."

log = get_logger(__name__)


def went_wrong(error_id: str) -> str:
    return (
        "That went wrong on our side, and nothing was changed. Try again; if it happens again, give an operator the "
        f"error id `{error_id}`, which is in the log."
    )


ClientOf = Callable[[str], SlackClient]


class Desk:
    """Answers what is kept, each once, and what a crash left unanswered.

    `client_of` gives the client for a workspace by its id; without it there is one.
    """

    def __init__(self, slack: SlackClient, installation: Installation, client_of: ClientOf | None = None) -> None:
        self._slack = slack
        self._client_of = client_of or (lambda _team_id: slack)
        self._installation = installation
        self._at_work: set[UUID] = set()
        # Whose form is open: Slack opens it once, and what comes after may have to be repeated.
        self._with_form: set[UUID] = set()

    async def serve(self, call: Call, *, is_kept: bool = False) -> None:
        """Carry out what was asked, unless its answer is kept already, and tell the answer. Raises nothing."""
        if call.event_id in self._at_work:
            return
        self._at_work.add(call.event_id)
        teller = Teller(uuid.uuid4(), TELLING_LASTS)
        try:
            call = await with_origin(call)
            if is_kept:
                outcome = await in_database(slack_inbox.take_over, call.event_id, teller)
            else:
                outcome = await self._outcome(call, teller)
            if outcome.is_ours:
                await self._deliver(call, outcome.answer)
        except Exception:
            log.exception("command could not be answered", event_id=call.event_id)
        finally:
            self._at_work.discard(call.event_id)
            self._with_form.discard(call.event_id)

    async def meet(self, person: Person) -> None:
        """Find out about somebody who looks at their home, unless that was done lately. Raises nothing."""
        try:
            if await meet(person, self._client_of(person.team_id)):
                await in_database(home_views.look_again, person)
        except Exception:  # the edge of a task; the home shows what is known
            log.exception("who opened their home could not be looked up")

    async def resume(self, call: Call) -> None:
        """Answer a call that is kept, unless it was answered or is being answered."""
        if any(one.id == call.event_id for one in await unanswered()):
            await self.serve(call)

    async def answer_all(self, left: Sequence[Unanswered]) -> None:
        """Answer what the process before this one kept and did not answer."""
        for one in left:
            try:
                body = json.loads(bytes(one.body))
                if (row := incoming(body)) is not None:
                    call = Call.of(row, body, timedelta(seconds=one.age_seconds))
                    await self.serve(call, is_kept=one.answer is not None)
            except Exception:  # what cannot be read holds up nothing behind it
                log.exception("what was kept could not be taken up", event_id=one.id)

    async def answer_leftovers(self) -> None:
        """Look for ever for what is kept and was not answered, as when the database went away before it was."""
        while True:
            await asyncio.sleep(LOOK_FOR_LEFTOVERS_SECONDS)
            try:
                await self.answer_all(await unanswered(LEFT_OVER_AFTER))
            except DatabaseUnavailable as error:
                log.warning("commands wait for the database", reason=str(error))
            except Exception:  # the edge of a worker
                log.exception("leftovers could not be looked up, trying again")

    async def say(
        self,
        response_url: str,
        text: str,
        *,
        blocks: Sequence[Block] | None = None,
        thread_ts: str | None = None,
        replaces: bool = False,
    ) -> bool:
        """Tell the person something at once, which nobody else sees; False when Slack did not take it."""
        shown = self._shown(text)
        over = [self._shown_block(block) for block in blocks] if blocks else sections(shown)
        try:
            await self._slack.respond(
                response_url, shown, blocks=over[:MOST_BLOCKS], thread_ts=thread_ts, replace_original=replaces
            )
        except SlackError as error:
            log.warning("answer was not taken by Slack", reason=str(error))
            return False
        return True

    async def _outcome(self, call: Call, teller: Teller) -> Outcome:
        told = False
        while True:
            try:
                return await self._attempt(call, teller)
            except DatabaseUnavailable as error:
                log.warning("command waits for the database", event_id=call.event_id, reason=str(error))
                told = told or call.event_id in self._with_form or await self.say(call.response_url, AWAY)
                await asyncio.sleep(DATABASE_PAUSE_SECONDS)

    async def _attempt(self, call: Call, teller: Teller) -> Outcome:
        try:
            work = await self._work_of(call)
            with audit.coming_from(call.source):
                return await in_database(slack_inbox.answer, call.event_id, work, teller)
        except AmbiguousTenant as question:
            answer = which_tenant(call.event_id, question)
        except NoRole as refusal:
            answer = Answer(await in_database(way_in, call.person) or refusal.sentence)
        except Refused as refusal:
            answer = Answer(refusal.sentence)
        except DatabaseUnavailable:
            raise
        except Exception:
            error_id = new_error_id()
            log.exception("command failed", error_id=error_id, event_id=call.event_id)
            answer = Answer(went_wrong(error_id))
        return await in_database(slack_inbox.refuse, call.event_id, answer, teller)

    async def _work_of(self, call: Call) -> Work:
        if call.event_id in self._with_form:
            return form_is_open
        work = await work_of(call, self._client_of(call.slack_team_id), self._installation)
        if work is form_is_open:
            self._with_form.add(call.event_id)
        return work

    async def _deliver(self, call: Call, answer: Answer) -> None:
        if answer == NOTHING_TO_SAY or (
            call.response_url
            and not call.is_late
            and await self.say(
                call.response_url,
                answer.text,
                blocks=answer.blocks,
                thread_ts=call.thread_ts,
                replaces=answer.replaces,
            )
        ):
            await in_database(slack_inbox.answered, call.event_id)
        else:
            said = self._shown(NOT_SHOWN if answer.is_secret else answer.text)
            # A home has no place for an answer: it comes at once, and stands where direct messages do.
            if call.is_from_home and not answer.is_secret:
                over = [self._shown_block(block) for block in answer.blocks] if answer.blocks else None
                await in_database(_send_directly, call, said, over)
            else:
                await in_database(_send_directly, call, f"About what you asked for earlier:\n{said}")

    def _shown_block(self, block: Block) -> Block:
        text = block.get("text")
        if block.get("type") != "section" or not isinstance(text, dict):
            return block
        return block | {"text": text | {"text": self._shown(text["text"])}}

    def _shown(self, text: str) -> str:
        return with_root(text, self._installation.root, (command.name for command in COMMANDS))


def new_error_id() -> str:
    return uuid.uuid4().hex[:8]


def _send_directly(call: Call, text: str, blocks: Sequence[Block] | None = None) -> None:
    with transaction():
        slot = f"answer:{call.event_id}"
        person = call.person
        tell_person(person.team_id, person.user_id, text, tenant_id=None, slot=slot, blocks=blocks)
        slack_inbox.answered(call.event_id)


async def unanswered(older_than: timedelta = timedelta(0)) -> list[Unanswered]:
    """What is kept and not answered, oldest first; what is too old for anybody to wait for is left out."""
    return await in_database(slack_inbox.unanswered, UNANSWERED_SINCE, older_than)
