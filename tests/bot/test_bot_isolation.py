"""Every command and every button, given what is another tenant's, and what is meant to break something.

Nothing of the other tenant changes or is told, nothing that was typed comes back as markup, and whatever it is, the
answer is an answer or a sentence: an exception would be shown as "That went wrong on our side".
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from bot.buttons import BUTTONS, Button, Form, press
from bot.call import Call, Click
from bot.commands import COMMANDS, Asked, Command, Installation
from bot.commands.carrying_out import carry_out
from bot.commands.parsing import parse
from database import connection, database, transaction
from operations.errors import Refused
from operations.slack_inbox import Answer
from operations.standing import Person
from settings import ReportSettings
from slack.answers import Channel
from slack.answers import Person as SlackPerson
from slack.command_text import CommandText
from tests.conftest import MigratedDatabase
from tests.operations.builders import ANA, SUPPORT, TEAM, World
from tests.operations.two_tenants import BEN, THEIR_CHANNEL, Ours, Theirs, Watch, leaks, ours, theirs, told

pytestmark = pytest.mark.database_role("switchboard_bot")

INSTALLATION = Installation(root="/wa", operators=(), servers=("main",), reports=ReportSettings())
HOSTILE = (
    "'; DROP TABLE messages; --",
    "' OR '1'='1",
    "1) UNION SELECT password_hash FROM users --",
    "%s %(name)s {} {0.__class__}",
    '{"$ne": null}',
    '[{"a": [1, 2',
    "\\x00\\' \\\\",
    "\u0000\ud800\uffff",
    "<!channel> <!here> <@U0EVIL> <!subteam^S1>",
    "<http://evil.example|your bank>",
    "&lt;!channel&gt; &amp;lt;!here&amp;gt;",
    "```\n*bold* `code` ~gone~",
    "\u202egnp.exe\u2066\u200b\u2069",
    "line\nbreak\r\n\u2028 and more",
    "x" * 5000,
    "-1",
    "99999999999999999999999999",
    "../../etc/passwd",
    "🙏" * 200,
)
# What somebody could have slipped in: a live mention, a link under another name, an invisible turn of the text.
LIVE = re.compile("<!(?:channel|here|everyone|subteam)|<@U0EVIL|<http://evil|[\u202a-\u202e\u2066-\u2069]")
PERSON_WORD, CHANNEL_WORD = f"<@{BEN.user_id}>", f"<#{THEIR_CHANNEL}|theirs>"


@dataclass
class Tally:
    tried: int = 0
    refused: int = 0
    bad: list[str] = field(default_factory=list)


@pytest.fixture
def world(migrated_database: MigratedDatabase) -> Iterator[World]:
    with connection():
        yield World(migrated_database)


@pytest.fixture
def acme(world: World) -> Ours:
    return ours(world)


@pytest.fixture
def beta(world: World) -> Theirs:
    return theirs(world)


def quoted(word: str) -> str:
    """As Slack hands on what was typed; what it made a mention of stays one."""
    if word in {PERSON_WORD, CHANNEL_WORD}:
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def lines_of(command: Command, payloads: tuple[str, ...]) -> Iterator[str]:
    """The example with one of its words, options or its text at a time put in the place of each payload."""
    example = CommandText(command.example.removeprefix(command.name)).arguments()
    words = [_shown(word.text) for word in example.words][: len(command.needs) + len(command.takes)]
    places = len(command.needs) + len(command.takes)
    for payload in payloads:
        for place in range(places):
            given = [*words[:place], *[payload] * (place - len(words)), payload, *words[place + 1 :]]
            yield _line(command, given, {})
        for option in (*(option.name for option in command.options), "tenant"):
            yield _line(command, words, {option: payload})
        if command.text:
            yield _line(command, words[: len(command.needs)], {}, payload)


def _shown(word: str) -> str:
    return PERSON_WORD if word.startswith("@") else CHANNEL_WORD if word.startswith("#") else word


def _line(command: Command, words: list[str], options: dict[str, str], text: str = "") -> str:
    given = [f"--{name} {quoted(value)}" for name, value in options.items()]
    typed = [quoted(word) for word in words]
    parts = [*given, *typed, text or "hello"] if command.text else [*typed, *given]
    return " ".join([command.name, *parts])


def carried_out(line: str) -> Answer:
    """Typed by the administrator of the other tenant, and confirmed; what Slack would say of a person is theirs."""
    command, asked = parse(line, Asked(uuid4(), ANA, SUPPORT), COMMANDS)
    if command.prepare is not None:
        person = SlackPerson(id=BEN.user_id, team_id=TEAM, email="bertram@example.org")
        channel = Channel(id=THEIR_CHANNEL, name="theirs", is_member=True)
        asked = replace(asked, slack_person=person, slack_channel=channel)
    return carry_out(command, replace(asked, is_confirmed=True), INSTALLATION)


def attempt(work: Callable[[], Any], given: str, beta: Theirs, watch: Watch, tally: Tally) -> None:
    tally.tried += 1
    with transaction(), database.atomic() as tried:
        said = outcome(work, given, tally)
        found = [*leaks(said, given, beta), *LIVE.findall(said), *watch.changes()]
        tried.rollback()
    tally.bad += [f"{given[:200]!r} -> {one[:300]}" for one in found]


def outcome(work: Callable[[], Any], given: str, tally: Tally) -> str:
    try:
        with transaction():
            return told(work())
    except Refused as refusal:
        tally.refused += 1
        return refusal.sentence
    except Exception as error:  # noqa: BLE001 - gathered, and the test fails on them
        tally.bad.append(f"{given[:200]!r} raised {error!r}"[:700])
        return ""


def shown(what: str, number: int, tally: Tally) -> str:
    return f"\n{what}: {number}, {tally.tried} attempts ({tally.refused} refused by a sentence), leaks {len(tally.bad)}"


@pytest.mark.usefixtures("acme")
def test_no_command_reaches_another_tenant(world: World, beta: Theirs) -> None:
    watch, tally = Watch.over(world, beta.tenant.id), Tally()

    for command in COMMANDS:
        for line in lines_of(command, beta.names):
            attempt(lambda: carried_out(line), line, beta, watch, tally)  # noqa: B023 - called at once

    print(shown("commands with names and ids of another tenant", len(COMMANDS), tally))  # noqa: T201 - what this shows
    assert tally.bad == []
    assert tally.tried > 10 * len(COMMANDS)


@pytest.mark.usefixtures("acme")
def test_no_argument_of_a_command_breaks_anything(world: World, beta: Theirs) -> None:
    watch, tally = Watch.over(world, beta.tenant.id), Tally()

    for command in COMMANDS:
        for line in lines_of(command, HOSTILE):
            attempt(lambda: carried_out(line), line, beta, watch, tally)  # noqa: B023 - called at once

    print(shown("commands with SQL, JSON and markup in every argument", len(COMMANDS), tally))  # noqa: T201
    assert tally.bad == []


@pytest.mark.usefixtures("acme")
def test_no_button_does_anything_with_a_value_of_somebody_else(world: World, beta: Theirs) -> None:
    watch, tally = Watch.over(world, beta.tenant.id), Tally()
    ids = [str(one) for found in beta.ids.values() for one in found]
    values = [*ids, ",".join(ids[:3]), f"{ids[0]} {ids[1]} x", str(uuid4()), "", "," * 100, *beta.names, *HOSTILE]

    for button in BUTTONS:
        for value in values:
            attempt(lambda: clicked(button, value), f"{button.action_id} {value}", beta, watch, tally)  # noqa: B023

    print(shown("buttons with tampered values", len(BUTTONS), tally))  # noqa: T201 - what this shows
    assert tally.bad == []
    assert tally.refused == tally.tried


def clicked(button: Button[Any], value: str, person: Person = ANA) -> Any:
    pressed = press(button, call_of(Click(button.action_id, value, "1700009999.000009", None, "A message"), person))
    if isinstance(button.does, Form):
        return button.does.view(pressed), button.does.run(pressed, {"text": "hello"})
    return button.does(pressed)


def call_of(click: Click, person: Person) -> Call:
    return Call(UUID(int=1), TEAM, person, SUPPORT, "", time.monotonic() + 60, click=click)
