"""Everything that can be asked for is asked for by everybody: who is let in is what the table says, and nothing else.

Each cell goes through the real Bolt over the simulated Slack and a real PostgreSQL, to its end: the form that opens is
filled in and sent, the question that is asked is confirmed. A refusal changes no row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest

from bot.actions import ACTIONS, NOBODY, OPERATOR, REPLY, Action, page
from bot.buttons import BY_ACTION
from bot.buttons.button import of_messages
from bot.buttons.incidents import of_incident
from bot.commands import COMMANDS
from bot.commands.forms import TENANT, fields_of
from bot.commands.questions import CONFIRM
from database import connection, in_database, tenant_transaction
from models import Conversation, IncidentKind, MessageStatus, UserRole, now_utc
from operations import incidents
from operations.permissions import FOR_ANYBODY, Permission
from operations.standing import Person
from sandbox.slack import Answer, SandboxSlack, Wait, controls, payloads, typed_text
from sandbox.slack.answers import settled
from sandbox.slack.delivery import Ack, Envelope
from sandbox.slack.interactions import Interaction
from sandbox.slack.messages import Message
from sandbox.slack.refusal import Json
from sandbox.slack.views import View
from tests.conftest import MigratedDatabase, Server
from tests.operations.builders import CUSTOMER, TEAM, World, hear, slack_reply

DEADLINE_SECONDS = 15
TOLD = Wait(seconds=DEADLINE_SECONDS, until=lambda answer: bool(answer.messages))


@dataclass(frozen=True)
class Somebody:
    """One kind of person; `column` is whom the table counts them as, `role` what stands in their row, if any."""

    name: str
    column: str
    role: UserRole | None = None
    is_active: bool = True
    outside: str = ""


# Those who are kept out have the highest role in their row: nothing but what keeps them out refuses them.
EVERYBODY = {
    **{role.value: Somebody(role.value.lower(), role.value, role) for role in UserRole},
    "operator": Somebody("olga", OPERATOR),
    "deactivated": Somebody("dora", NOBODY, UserRole.TENANT_ADMIN, is_active=False),
    "guest": Somebody("gina", NOBODY, UserRole.TENANT_ADMIN, outside="guest"),
    "Slack Connect stranger": Somebody("eve", NOBODY, UserRole.TENANT_ADMIN, outside="stranger"),
    "unmapped": Somebody("uwe", NOBODY),
}

_ROLE_REFUSED = (
    r"That needs |`/wa [^`]+` is for operators of this installation|"
    r"You have no role in any tenant here, so this was not done"
)
_KEPT_OUT = (
    r"You have no role in any tenant here, and none|Your account in \*Acme\* is deactivated|You are a guest in this|"
    r"You belong to another company's|"
    r"Nothing was changed\. This (?:message )?is not there any more, or you have no role"
)
REFUSED = re.compile(f"{_ROLE_REFUSED}|{_KEPT_OUT}")
# Whoever is kept out may still ask who they are, and is told why they are nobody: that is the answer, no refusal.
REFUSED_ABOUT_ONESELF = re.compile(_ROLE_REFUSED)

# What an answer changes although it is refused: that it was asked, and what Slack said of who asks. That the bot runs
# it says by itself, now and then.
_KEPT_OF_EVERY_CALL = frozenset({"migratehistory", "slack_events", "slack_people", "keys_in_use", "processes"})

# What is clicked on, by what its button looks up.
_ABOUT: dict[Any, str] = {of_messages: "message", of_incident: "incident"}


@dataclass
class Stage:
    """Acme with everybody in it, and the way in for each of them."""

    slack: SandboxSlack
    world: World
    postgres: Server
    values: dict[str, str]
    counts: Counter[str]

    async def __call__(self, work: Any) -> Any:
        def inside() -> Any:
            with connection():
                return work()

        return await in_database(inside)

    def arrange(self) -> None:
        """From nothing, so that what one cell did is nothing to the next."""
        self._delete_rows()
        tenant = self.world.tenant()
        for somebody in EVERYBODY.values():
            if somebody.role is not None:
                # A stranger's row names them in our workspace: the most that a mistake could have made.
                person = Person(self.slack.team_id, self.slack.person(somebody.name).id)
                self.world.user(tenant, person, somebody.role, is_active=somebody.is_active)
        # Whom the commands are about, so that they find somebody.
        self.world.user(tenant, Person(self.slack.team_id, self.slack.person("ben").id))
        session = self.world.session(tenant, "sales-berlin")
        conversation = self.world.conversation(session)
        support = self.slack.channel("support").id
        self.world.sql(
            "UPDATE conversations SET slack_team_id = %s, slack_channel_id = %s", self.slack.team_id, support
        )
        failed = {"status": MessageStatus.FAILED, "error_message": "No such chat.", "slack_channel_id": support}
        message = self.world.message(conversation, **failed)
        with tenant_transaction(tenant.id):
            incident_id = incidents.begin(tenant.id, session.id, IncidentKind.FAILED, at=now_utc())
        self.values = {"message": str(message.id), "incident": str(incident_id)}

    def fingerprint(self) -> list[tuple[Any, ...]]:
        """Every row of every table, but for what is kept of every call."""
        hashed = "md5(coalesce(string_agg(md5(t::text), '' ORDER BY md5(t::text)), ''))"
        return self.world.sql(
            " UNION ALL ".join(f"SELECT '{name}', {hashed} FROM {name} t" for name in self._tables())  # noqa: S608
        )

    async def ask(self, somebody: Somebody, action: Action, *, by_form: bool = False) -> str:
        """What the person is told in the end, after a form was sent and a question confirmed."""
        answer = await self._asked(somebody, action, by_form=by_form)
        while True:
            if answer.view is not None:
                answer = await self._sent(somebody, action, answer.view)
            elif controls.find(answer.blocks, CONFIRM) is not None:
                answer = await self.slack.click(somebody.name, answer.messages[-1], CONFIRM, wait=TOLD)
                self.counts["questions confirmed"] += 1
            else:
                return answer.text

    async def _asked(self, somebody: Somebody, action: Action, *, by_form: bool) -> Answer:
        person, channel = self.slack.person(somebody.name), self.slack.channel("support")
        if action.name.startswith("button "):
            bot_user = self.slack.state.workspace.installation.bot_user
            shown = Message(channel=channel.id, ts="1700000000.000001", user=bot_user, text="")
            asked = self.slack.state.interactions.start("click", person, channel, shown)
            envelope = self._click(asked, shown, action.name.removeprefix("button "))
            self.counts["buttons clicked"] += 1
        else:
            asked = self.slack.state.interactions.start("command", person, channel)
            typed = action.name if by_form else _typed(action, somebody)
            escaped = typed_text.escaped(typed, self.slack.state.workspace)
            envelope = Envelope("slash_commands", payloads.slash_command(self.slack.state, asked, "/wa", escaped))
            self.counts["commands typed"] += 1
        assert isinstance(await self.slack.state.app.send(envelope), Ack)
        return await self._told(asked)

    async def _told(self, asked: Interaction) -> Answer:
        answer = await settled(
            self.slack.state,
            asked,
            seconds=DEADLINE_SECONDS,
            quiet=0,
            until=lambda answer: bool(answer.messages or answer.view),
        )
        self.slack.state.interactions.finish(asked)
        return answer

    async def _sent(self, somebody: Somebody, action: Action, view: View) -> Answer:
        before = len(self.slack.ephemerals(somebody.name))
        answer = await self.slack.submit(somebody.name, _entries(action, view), Wait(seconds=0))
        assert (answer.error, answer.errors) == (None, {}), action.name
        await self.slack.until(lambda: len(self.slack.ephemerals(somebody.name)) > before, DEADLINE_SECONDS)
        self.counts["forms sent"] += 1
        return replace(answer, messages=(self.slack.ephemerals(somebody.name)[-1],))

    def _click(self, asked: Interaction, shown: Message, action_id: str) -> Envelope:
        # Nobody is invited on this stage.
        about = self.values.get(_ABOUT.get(BY_ACTION[action_id].stand, ""), str(uuid4()))
        action: Json = {"type": "button", "action_id": action_id, "block_id": "b", "value": about}
        return Envelope("interactive", payloads.click_on_message(self.slack.state, asked, shown, action))

    def _tables(self) -> list[str]:
        names = self.world.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return [name for (name,) in names if name not in _KEPT_OF_EVERY_CALL]

    def _delete_rows(self) -> None:
        deletes = "".join(f"DELETE FROM {name};" for name in self._tables())  # noqa: S608
        name = self.world.value("SELECT current_database()")
        self.postgres.run(f"SET session_replication_role = replica; {deletes}", name)


def _typed(action: Action, somebody: Somebody) -> str:
    """The command's own example, about Acme where an operator has to say so, and about ben, none of the others."""
    command = next(command for command in COMMANDS if command.name == action.name)
    rest = command.example.removeprefix(command.name)
    tenant = " --tenant Acme" if somebody.column == OPERATOR and command.is_for_a_tenant else ""
    return f"{command.name}{tenant}{rest}".replace("@ana", "@ben")


def _entries(action: Action, view: View) -> dict[str, str]:
    """The example's words in the fields of the form that have to be filled in."""
    fields = [block for block in view.blocks if block["type"] == "input" and not block.get("optional")]
    command = next((command for command in COMMANDS if command.name == action.name), None)
    if command is None:
        return dict.fromkeys([block["block_id"] for block in fields], "It leaves tomorrow.")
    words = {one.block_id: one.such_as.strip("@#").replace("ana", "ben") for one in fields_of(command)}
    return {block["block_id"]: (words | {TENANT: "Acme"})[block["block_id"]] for block in fields}


def _ways(action: Action) -> list[bool]:
    """Whether it is asked for by its form: never, or both ways."""
    has_form = any(command.name == action.name and command.has_form for command in COMMANDS)
    return [False, True] if has_form else [False]


@pytest.fixture
async def stage(
    slack: SandboxSlack, bot: object, postgres: Server, migrated_database: MigratedDatabase, counts: Counter[str]
) -> Stage:
    for somebody in EVERYBODY.values():
        if somebody.name not in {person.name for person in slack.state.workspace.people.values()}:
            slack.state.workspace.add_person(somebody.name)
    return Stage(slack, World(migrated_database), postgres, {}, counts)


@pytest.fixture(scope="module")
def counts() -> Iterator[Counter[str]]:
    """What was observed and done; how often is shown at the end."""
    done: Counter[str] = Counter()
    yield done
    if not done:
        return
    print(  # noqa: T201 - asked for by -s
        f"\n{done['cells']} cells of the permission matrix observed: {len(ACTIONS)} actions, {len(EVERYBODY)} kinds of "
        f"people\n{', '.join(f'{number} {what}' for what, number in done.items() if what != 'cells')}"
    )


def expected(somebody: Somebody, action: Action) -> bool:
    return action.is_open_to(somebody.column)


@pytest.mark.database_role("switchboard_bot")
@pytest.mark.parametrize("kind", EVERYBODY)
async def test_everybody_may_do_what_the_table_says_and_nothing_else(stage: Stage, kind: str) -> None:
    somebody, observed, clean = EVERYBODY[kind], {}, None
    asked_for = [(action, by_form) for action in ACTIONS if action is not REPLY for by_form in _ways(action)]
    for action, by_form in asked_for:
        if clean is None:
            await stage(stage.arrange)
            clean = await stage(stage.fingerprint)
        told = await stage.ask(somebody, action, by_form=by_form)
        assert "went wrong on our side" not in told, f"{action.name}: {told}"
        refusal = REFUSED_ABOUT_ONESELF if action.permission in FOR_ANYBODY else REFUSED
        is_done = not refusal.match(told)
        observed[action.name, by_form] = is_done
        is_unchanged = await stage(stage.fingerprint) == clean
        assert is_unchanged or is_done, f"{action.name} was refused and changed something: {told}"
        clean = clean if is_unchanged else None

    assert observed == {(action.name, by_form): expected(somebody, action) for action, by_form in asked_for}
    stage.counts["cells"] += len({name for name, _ in observed})


@pytest.mark.parametrize("kind", EVERYBODY)
def test_a_reply_of_everybody_is_sent_as_the_table_says(
    migrated_database: MigratedDatabase, counts: Counter[str], kind: str
) -> None:
    somebody = EVERYBODY[kind]
    person = Person(TEAM, f"U{somebody.name.upper()}")
    with connection():
        world = World(migrated_database)
        tenant = world.tenant()
        if somebody.role is not None:
            world.user(tenant, person, somebody.role, is_active=somebody.is_active)
        if somebody.outside:
            world.sql(
                "INSERT INTO slack_people (id, slack_team_id, slack_user_id, outside) VALUES (%s, %s, %s, %s)",
                uuid4(),
                TEAM,
                person.user_id,
                somebody.outside,
            )
        conversation: Conversation = world.conversation(world.session(tenant), CUSTOMER)
        hear(slack_reply(conversation, "It leaves today.", person=person))
        sent = world.value("SELECT count(*) FROM messages WHERE direction = 'outbound'")
        told = world.privately(person)

    assert bool(sent) is expected(somebody, REPLY)
    assert bool(told) is not bool(sent)
    assert all(one.startswith("Not sent to the customer: ") for one in told)
    counts.update(["cells", "replies"])


def test_every_action_has_a_permission_and_somebody_who_has_it() -> None:
    columns = {somebody.column for somebody in EVERYBODY.values()}

    for action in ACTIONS:
        assert isinstance(action.permission, Permission)
        assert any(action.is_open_to(column) for column in columns), action.name


def test_the_page_of_permissions_names_every_action_once() -> None:
    rows = [line.split("|")[1].strip() for line in page("/wa").splitlines() if line.startswith("| ")]

    assert rows[1:] == [action.name for action in ACTIONS]
