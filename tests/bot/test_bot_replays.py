"""Every kind of button and form that was offered to one person, sent by others and by the same one again; counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from bot.buttons import BUTTONS
from bot.commands.questions import CANCEL, CHOOSE, CONFIRM
from models import MessageStatus, UserRole, now_utc
from operations import incident_buttons, invitations
from operations.buttons import Act
from operations.hold_reasons import UNKNOWN
from operations.standing import Person
from sandbox.slack import Message, SandboxSlack, Wait, controls, payloads
from sandbox.slack.answers import answer_of
from sandbox.slack.delivery import Ack, Envelope
from sandbox.slack.forms import fill
from sandbox.slack.refusal import Json
from slack.blocks import actions, button, section
from slack.client import SlackClient
from tests.bot.conftest import Rows, becomes
from tests.bot.test_bot_permission_matrix import TOLD, Stage
from tests.bot.test_bot_permission_matrix import counts as _counts
from tests.bot.test_bot_permission_matrix import stage as _stage

pytestmark = pytest.mark.database_role("switchboard_bot")

stage, counts = _stage, _counts

ADMIN, MANAGER, AGENT, INVITED = "tenant_admin", "manager", "agent", "uwe"
# Of the same tenant with the same role, or a lesser one; of another tenant; an operator; and who is kept out.
COLLEAGUE, AUDITOR = "ada", "auditor"
OTHERS = {
    "of another tenant": "gus",
    "an operator": "olga",
    "deactivated": "dora",
    "a guest": "gina",
    "a stranger": "eve",
    "without a role": "uwe",
}
# A refusal that cannot be shown where the form was is a direct message.
ANSWERS = {"slack_posts", "post_lanes"}
ANSWERED = "SELECT count(*) FROM slack_events WHERE answered_at IS NULL"


@dataclass(frozen=True)
class Offer:
    """What one person could send. `is_theirs` is for nobody else; `changes` is what sending it does.

    `is_anew` is what each click asks for once more, such as a code, which is good for seconds.
    """

    person: str
    payload: Json
    is_theirs: bool = True
    changes: bool = True
    is_anew: bool = False


@dataclass
class Scene:
    """Acme and Globex with everybody in them."""

    stage: Stage
    rows: Rows

    @property
    def slack(self) -> SandboxSlack:
        return self.stage.slack

    async def arrange(self) -> None:
        await self.stage(self.stage.arrange)
        world = self.stage.world

        def people() -> None:
            world.user(world.tenant("Globex"), self._person("gus"), UserRole.TENANT_ADMIN)

        await self.stage(people)
        await self.command("olga", "user add @ada TENANT_ADMIN --tenant Acme")

    def _person(self, name: str) -> Person:
        return Person(self.slack.team_id, self.slack.person(name).id)

    async def command(self, user: str, text: str) -> Message:
        answer = await self.slack.command(user, "support", f"/wa {text}", TOLD)
        return answer.messages[-1]

    async def state(self) -> list[tuple[Any, ...]]:
        """Every row but for answers, which a refusal is too."""
        return [row for row in await self.stage(self.stage.fingerprint) if row[0] not in ANSWERS]

    def click(self, user: str, shown: Message, wanted: str) -> Json:
        control = controls.find(shown.blocks, wanted)
        assert control is not None, controls.labels(shown.blocks)
        channel = self.slack.state.workspace.channels[shown.channel]
        asked = self.slack.state.interactions.start("click", self.slack.person(user), channel, shown)
        action = control.used("", self.slack.state.workspace, self.slack.state.workspace.identifiers.ts())
        return payloads.click_on_message(self.slack.state, asked, shown, action)

    def submission(self, user: str, entries: dict[str, str]) -> Json:
        view = self.slack.modal(user)
        assert view is not None
        view.values = fill(view, dict(entries), self.slack.state.workspace)
        asked = self.slack.state.interactions.start("submit", self.slack.person(user), None)
        return payloads.submission(self.slack.state, asked, view)

    async def posted(self, action_id: str, value: str) -> Message:
        """A message that everybody sees, with one button."""
        async with SlackClient(self.slack.bot_token, self.slack.api_url) as client:
            channel_id = self.slack.channel("support").id
            ts = await client.post(
                channel_id, "Old", blocks=[section("Old"), actions(button("Go", action_id, value=value))]
            )
        return next(one for one in self.slack.messages("support") if one.ts == ts)

    async def send(self, user: str, payload: Json) -> bool:
        """What was offered, sent by somebody under a new trigger id; whether anything came of it."""
        before, person = await self.state(), self.slack.person(user)
        self.slack.state.views.stacks.pop(person.id, None)
        asked = self.slack.state.interactions.start("click", person, self.slack.channel("support"))
        sender = {"id": person.id, "username": person.name, "name": person.name, "team_id": person.team_id}
        sent = payload | {"user": sender, "trigger_id": asked.trigger_id}
        if "response_url" in payload:
            sent["response_url"] = payloads.response_url(self.slack.state, asked)
        assert isinstance(await self.slack.state.app.send(Envelope("interactive", sent)), Ack)
        await becomes(self.rows, ANSWERED, [(0,)])
        told = answer_of(asked, self.slack.state.workspace)
        self.slack.state.interactions.finish(asked)
        is_shown = told.view is not None or "\u2022" in told.text
        return is_shown or await self.state() != before


Offering = Callable[[Scene], Awaitable[Offer]]


def answering(action_id: str, *, changes: bool = True) -> Offering:
    """A button below the question whether somebody is really to be removed."""

    async def offer(scene: Scene) -> Offer:
        question = await scene.command(ADMIN, "user remove @ben")
        return Offer(ADMIN, scene.click(ADMIN, question, action_id), changes=changes)

    return offer


async def choosing(scene: Scene) -> Offer:
    await scene.command("olga", f"user add @{ADMIN} TENANT_ADMIN --tenant Globex")
    question = await scene.command(ADMIN, "session add other --engine GOWS")
    return Offer(ADMIN, scene.click(ADMIN, question, f"{CHOOSE}.0"))


async def turning(scene: Scene) -> Offer:
    await scene.rows(
        "INSERT INTO messages (id, tenant_id, session_id, direction, status, body) SELECT gen_random_uuid(), "
        "tenant_id, id, 'inbound', 'delivered', 'order ' || number FROM waha_sessions, generate_series(1, 25) number "
        "RETURNING id"
    )
    page = await scene.command(ADMIN, "message search order")
    return Offer(ADMIN, scene.click(ADMIN, page, "Older"), changes=False)


def invited(action_id: str) -> Offering:
    async def offer(scene: Scene) -> Offer:
        await scene.command(ADMIN, f"user invite @{INVITED} AGENT")
        [[invitation_id]] = await scene.rows("SELECT id FROM invitations")
        shown = await scene.posted(action_id, str(invitation_id))
        return Offer(INVITED, scene.click(INVITED, shown, "Go"))

    return offer


def deciding(action_id: str, **state: Any) -> Offering:
    async def offer(scene: Scene) -> Offer:
        message_id = await _message(scene, **state)
        shown = await scene.posted(action_id, str(message_id))
        changes = action_id != Act.EDIT.value
        return Offer(AGENT, scene.click(AGENT, shown, "Go"), is_theirs=False, changes=changes)

    return offer


def about_trouble(action_id: str, *, is_muted: bool = False) -> Offering:
    async def offer(scene: Scene) -> Offer:
        if is_muted:
            await scene.rows("UPDATE incidents SET muted_at = now() RETURNING 1")
        shown = await scene.posted(action_id, scene.stage.values["incident"])
        is_anew = action_id == incident_buttons.SHOW_QR
        return Offer(MANAGER, scene.click(MANAGER, shown, "Go"), is_theirs=False, is_anew=is_anew)

    return offer


async def _message(scene: Scene, **state: Any) -> UUID:
    message_id = UUID(scene.stage.values["message"])
    names = ", ".join(f"{name} = %s" for name in state)
    if state:
        await scene.rows(f"UPDATE messages SET {names} WHERE id = %s RETURNING 1", *state.values(), message_id)  # noqa: S608
    return message_id


async def editing(scene: Scene) -> Offer:
    shown = await scene.posted(Act.EDIT.value, str(await _message(scene)))
    await scene.slack.click(AGENT, shown, "Go", wait=Wait(until=lambda answer: answer.view is not None))
    return Offer(AGENT, scene.submission(AGENT, {"Text": "It leaves tomorrow."}))


async def adding(scene: Scene) -> Offer:
    opened = Wait(until=lambda answer: answer.view is not None)
    await scene.slack.command(ADMIN, "support", "/wa session add", opened)
    return Offer(ADMIN, scene.submission(ADMIN, {"Name": "other"}))


ASIDE = {"status": MessageStatus.QUEUED.value, "parked_at": now_utc(), "hold_reason": "set aside"}
NOT_KNOWN = ASIDE | {"hold_reason": UNKNOWN}
KINDS: dict[str, Offering] = {
    "button confirm": answering(CONFIRM),
    "button cancel": answering(CANCEL, changes=False),
    "button tenant": choosing,
    "button page": turning,
    "button invitation.accept": invited(invitations.ACCEPT),
    "button invitation.decline": invited(invitations.DECLINE),
    "button message.send_now": deciding(Act.SEND_NOW.value, **ASIDE),
    "button message.discard": deciding(Act.DISCARD.value, **ASIDE),
    "button message.was_sent": deciding(Act.WAS_SENT.value, **NOT_KNOWN),
    "button message.send_again": deciding(Act.SEND_AGAIN.value, **NOT_KNOWN),
    "button message.retry": deciding(Act.RETRY.value),
    "button message.edit": deciding(Act.EDIT.value),
    "button messages.retry": deciding("messages.retry"),
    "button incident.restart": about_trouble(incident_buttons.RESTART),
    "button incident.qr": about_trouble(incident_buttons.SHOW_QR),
    "button incident.mute": about_trouble(incident_buttons.MUTE),
    "button incident.unmute": about_trouble(incident_buttons.UNMUTE, is_muted=True),
    "form message.edit": editing,
    "form session add": adding,
}


@pytest.fixture
async def scene(stage: Stage, rows: Rows) -> Scene:
    for name in ("ada", "gus"):
        stage.slack.state.workspace.add_person(name)
    scene = Scene(stage, rows)
    await scene.arrange()
    return scene


@pytest.fixture(scope="module")
def replays() -> Iterator[Counter[str]]:
    counted: Counter[str] = Counter()
    yield counted
    print("\n" + "\n".join(f"{number:6}  {what}" for what, number in counted.items()))  # noqa: T201 - asked for by -s


def attackers(offer: Offer) -> dict[str, str]:
    colleague = {"of the same tenant": COLLEAGUE if offer.is_theirs else AUDITOR}
    return {kind: name for kind, name in (colleague | OTHERS).items() if name != offer.person}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_offered_to_one_person_is_carried_out_for_nobody_else_and_once(
    scene: Scene, replays: Counter[str], kind: str
) -> None:
    offer = await KINDS[kind](scene)

    carried_out = [name for name, who in attackers(offer).items() if await scene.send(who, offer.payload)]
    before = await scene.state()
    await scene.send(offer.person, offer.payload)
    changed = await scene.state() != before
    after = await scene.state()
    for _ in range(3):
        await scene.send(offer.person, offer.payload)
    again = await scene.state() != after

    replays["buttons and forms replayed by somebody else"] += len(attackers(offer))
    replays["of them carried out"] += len(carried_out)
    if not offer.is_anew:
        replays["replayed by the same person under a new trigger id"] += 3
        replays["of them done again"] += again
    assert (carried_out, changed, again) == ([], offer.changes, offer.is_anew)


async def test_nobody_cancels_what_another_asked_for(scene: Scene) -> None:
    question = await scene.command(ADMIN, "user remove @ben")
    cancel, confirm = (scene.click(ADMIN, question, action_id) for action_id in (CANCEL, CONFIRM))
    for name in attackers(Offer(ADMIN, cancel)).values():
        await scene.send(name, cancel)

    assert await scene.send(ADMIN, confirm)


async def test_what_its_person_cancelled_is_done_for_nobody(scene: Scene) -> None:
    question = await scene.command(ADMIN, "user remove @ben")
    cancel, confirm = (scene.click(ADMIN, question, action_id) for action_id in (CANCEL, CONFIRM))
    await scene.send(ADMIN, cancel)

    assert not await scene.send(ADMIN, confirm)


def test_every_button_and_its_form_is_among_those_that_are_replayed() -> None:
    forms = {f"form {button.form.callback_id}" for button in BUTTONS if button.form is not None}

    assert {f"button {button.action_id}" for button in BUTTONS} | forms <= set(KINDS)
