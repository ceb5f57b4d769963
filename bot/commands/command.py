"""A command as a value: help, usage, checks and the manifest are read from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID, uuid5

from pydantic import BaseModel, ValidationError

from models.requests import explain
from operations.errors import BadInput
from operations.findings import Finding
from operations.permissions import ROLES_OF, WITHOUT_TENANT, Permission
from operations.slack_inbox import Answer
from operations.standing import Person, Standing
from settings import NumberSettings, ReportSettings
from slack.answers import Channel, Identity
from slack.answers import Person as SlackPerson
from slack.blocks import Block, button
from slack.client import SlackClient
from slack.command_text import Word

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True)
class Installation:
    """What commands need to know of the settings.

    `root` is the slash command itself, `page_address` where people reach our pages, "" for nowhere; `teams` are the
    workspaces that are served under the token of the settings; `capacities` are the servers', 0 for no limit.
    """

    root: str
    operators: tuple[str, ...]
    servers: tuple[str, ...]
    reports: ReportSettings
    page_address: str = ""
    teams: tuple[str, ...] = ()
    numbers: NumberSettings = field(default_factory=NumberSettings)
    capacities: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What a person typed, sorted; and what Slack knows of the person or channel that it names.

    Args:
        tenant_id: the tenant that was chosen by a button or in a form; it is checked like one that was typed.
        was_asked_back: it is not asked for the first time, but by a button below its own answer, which counts once.
        is_confirmed: the question of `Command.confirm` was answered with yes.
        cursor: where the page begins that was asked for by a button; "" is the first.
        findings: what a check-up found.
    """

    event_id: UUID
    person: Person
    channel_id: str
    # Not printed: what is entered in a form may be a token.
    words: tuple[Word, ...] = field(default=(), repr=False)
    options: Mapping[str, Word] = field(default_factory=dict, repr=False)
    text: str = field(default="", repr=False)
    slack_person: SlackPerson | None = None
    slack_channel: Channel | None = None
    slack_identity: Identity | None = None
    tenant_id: UUID | None = None
    was_asked_back: bool = False
    is_confirmed: bool = False
    cursor: str = ""
    findings: tuple[Finding, ...] = ()

    def new_id(self, of: str) -> UUID:
        """An id for a row that this command makes: the same one however often the command is carried out."""
        return uuid5(self.event_id, of)

    def option(self, name: str) -> str | None:
        word = self.options.get(name)
        return word.text if word is not None else None

    def word(self, index: int) -> str:
        return self.words[index].text


@dataclass(frozen=True)
class Turn:
    """A command about to be carried out, inside its transaction."""

    command: Command
    asked: Asked
    installation: Installation
    known_standing: Standing | None = None

    @property
    def standing(self) -> Standing:
        """Who asks, before which tenant; commands about the whole installation have none."""
        if self.known_standing is None:
            raise LookupError("This command is not about a tenant.")
        return self.known_standing

    @property
    def actor(self) -> str:
        return self.asked.person.key

    def page_button(self, label: str, cursor: str) -> Block:
        """Shows another page of the answer in place of this one: `run` gets the cursor in `asked`."""
        return button(label, f"{PAGE}.{cursor}"[:255], value=self.button_value(cursor))

    def button_value(self, rest: str = "") -> str:
        """What a button below the answer carries: what was asked, of which tenant, and a word more."""
        tenant_id = self.known_standing.tenant_id if self.known_standing is not None else "-"
        return f"{self.asked.event_id} {tenant_id} {rest}".strip()


@dataclass(frozen=True)
class Option:
    """`--name VALUE`; `such_as` is a value that would do."""

    name: str
    value: str
    such_as: str


TENANT = Option("tenant", "NAME", "Acme")
"""Every command takes it: which tenant is meant, where the channel or the person does not say."""

PAGE = "command.page"
"""How the action ids of `page_button` begin."""

FEW_FIELDS = 2
"""A command with more of them opens a form when it is typed without any."""

Run = Callable[[Turn], Answer]
Confirm = Callable[[Turn], str]
Prepare = Callable[[Asked, SlackClient], Awaitable[Asked]]


@dataclass(frozen=True)
class Command:
    """One thing that can be asked for.

    Args:
        verb: empty where the noun is all, as in `help` and `send`.
        permission: who may; without one nothing starts.
        confirm: what is about to be destroyed, as a question with its consequences; it is asked before `run`. "" asks
            nothing, as for a dry run.
        yes: what stands on the button below that question, where the verb does not say it.
        labels: what a word or an option is called in its form, where it does not say it itself, as for `GOWS|NOWEB`.
        request: what the fields of its form are checked against while it is open, by the names that the words and
            options have in small letters.
        checks: more of that, where `request` knows nothing of it: raises BadInput for what was entered.
        names_tenant: whether its first word is the tenant that is meant, as with `--tenant`.
        takes_secrets: whether its form asks for some; then nobody is told to type it.
        pages: whether its answer has pages; then it changes nothing, since turning one carries it out again.
        needs: names of the words that must follow; `takes`: of those that may.
        runs_on: whether the last of these words may be several without quotation marks around them.
        text: name of the free text at the end, taken exactly as it was typed; options then stand before the words.
        prepare: asks Slack what must be known, before the transaction.
        run: carries it out, inside the transaction.
    """

    noun: str
    verb: str
    summary: str
    example: str
    run: Run
    permission: Permission
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    text: str = ""
    prepare: Prepare | None = None
    confirm: Confirm | None = None
    yes: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    request: type[BaseModel] | None = None
    checks: Mapping[str, Callable[[str], object]] = field(default_factory=dict, hash=False)
    pages: bool = False
    takes_secrets: bool = False
    names_tenant: bool = False
    runs_on: bool = False

    def __post_init__(self) -> None:
        if self.permission not in ROLES_OF:
            raise ValueError(f"Nobody may run {self.name}: its permission is not in the table.")
        if self.pages and self.confirm is not None:
            raise ValueError(f"{self.name} changes something, so its answer has no pages.")

    @property
    def name(self) -> str:
        return f"{self.noun} {self.verb}".strip()

    @property
    def deed(self) -> str:
        """What stands on a button that does it: `Delete`."""
        return self.yes or (self.verb or self.noun).replace("-", " ").capitalize()

    @property
    def usage(self) -> str:
        if self.takes_secrets:
            return self.name
        options = [f"[--{option.name} {option.value}]" for option in self.options]
        needed = [*self.needs, *(f"[{word}]" for word in self.takes)]
        parts = [*options, *needed, self.text] if self.text else [*needed, *options]
        return " ".join([self.name, *parts])

    @property
    def shown_example(self) -> str:
        """What may be typed; `example` also says what the fields of a form may hold."""
        return self.name if self.takes_secrets else self.example

    def misused(self, sentence: str) -> BadInput:
        """The refusal that ends with how it is typed, or that it is typed alone."""
        if self.takes_secrets:
            return BadInput(
                f"{sentence.strip()}\nGive the command again, alone: `{self.name}`. A form asks for the rest."
            )
        return BadInput(f"{sentence.strip()}\nUsage: `{self.usage}`\nFor example: `{self.example}`")

    @property
    def shown_fields(self) -> dict[str, str]:
        """What a person knows the fields of a request as, which have the names of the words and options."""
        words = {word.lower(): f"`{word}`" for word in self.needs}
        return words | {option.name: f"`--{option.name}`" for option in self.options}

    @property
    def has_form(self) -> bool:
        fields = [*self.needs, *self.takes, *self.options, *([self.text] if self.text else [])]
        return len(fields) > FEW_FIELDS and bool(self.needs or self.text)

    @property
    def manner(self) -> str:
        """What happens before it is done, as sentences for the help; "" where nothing does."""
        form = ["Typed alone, it opens a form."] if self.has_form else []
        return " ".join([*form, *(["It asks first."] if self.confirm is not None else [])])

    @property
    def is_for_operators(self) -> bool:
        return not ROLES_OF[self.permission]

    @property
    def is_for_a_tenant(self) -> bool:
        return self.permission not in WITHOUT_TENANT


def request_of(command: Command, kind: type[R], **fields: object) -> R:
    """The checked request of an operation.

    Raises:
        BadInput: with a sentence for each rule that is broken, and the usage of `command`.
    """
    try:
        return kind(**fields)
    except ValidationError as error:
        raise command.misused(" ".join(explain(error, command.shown_fields))) from error
