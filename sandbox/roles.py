"""The same questions asked by an operator, an administrator, an agent, an auditor, a guest and two strangers.

Each sees what the role lets them see, or privately why not and whom to ask; both are read off the simulated Slack.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from sandbox import tour
from sandbox.slack import Wait
from sandbox.stage import OPERATOR, Stage
from sandbox.tour_scene import CUSTOMER, Scene, Step, TourFailed
from sandbox.waha import EngineName

# Seen by whoever is kept out of something.
_REFUSALS = ("That needs ", "is for operators", "You have no role", "You are a guest", "belong to another company")
_SHOWN_CHARACTERS = 110


@dataclass(frozen=True)
class Asker:
    """Somebody with a role; `user` is their name in Slack."""

    user: str
    role: str


COLLEAGUES = (
    Asker(OPERATOR, "operator"),
    Asker("ana", "TENANT_ADMIN"),
    Asker("ben", "AGENT"),
    Asker("dora", "AUDITOR"),
    Asker("gina", "guest"),
    Asker("sam", "stranger"),
)
# Slack gives its commands to people of the own workspace only; of others it lets through what they write and click.
ASKERS = (*COLLEAGUES, Asker("eve", "another company"))

# What is typed, and who may.
QUESTIONS: tuple[tuple[str, frozenset[str]], ...] = (
    ("whoami", frozenset(one.role for one in COLLEAGUES)),
    ("tenant list", frozenset({"operator"})),
    ("tenant show --tenant Acme", frozenset({"operator", "TENANT_ADMIN", "AGENT", "AUDITOR"})),
    ("tenant settings --tenant Acme", frozenset({"operator", "TENANT_ADMIN"})),
    ("user list --tenant Acme", frozenset({"operator", "TENANT_ADMIN", "AGENT", "AUDITOR"})),
    ("session list --tenant Acme", frozenset({"operator", "TENANT_ADMIN", "AGENT", "AUDITOR"})),
    ("session stop nosuch --tenant Acme", frozenset({"TENANT_ADMIN"})),
    ("message list --tenant Acme", frozenset({"TENANT_ADMIN", "AGENT", "AUDITOR"})),
    ("message search --tenant Acme order", frozenset({"TENANT_ADMIN", "AGENT", "AUDITOR"})),
    ("audit --tenant Acme", frozenset({"operator", "TENANT_ADMIN", "AUDITOR"})),
    (f"contact export {CUSTOMER} --tenant Acme", frozenset({"TENANT_ADMIN"})),
    ("workspace list", frozenset({"operator"})),
)
MAY_REPLY = frozenset({"TENANT_ADMIN", "AGENT"})


async def everybody_enters(scene: Scene) -> None:
    slack = scene.stage.slack
    slack.add_person("dora", real_name="Dora Auditor")
    slack.add_person("sam", real_name="Sam Stranger")
    support = slack.channel("support")
    support.members += [slack.person(name).id for name in ("dora", "sam", "eve")]
    slack.channel("lobby").members += [slack.person(name).id for name in ("dora", "sam")]
    await scene.ask("ana", "/wa user add @ben AGENT", expect="AGENT")
    await scene.ask("ana", "/wa user add @dora AUDITOR", expect="AUDITOR")


async def each_asks(scene: Scene) -> None:
    for question, allowed in QUESTIONS:
        click.echo(f"\n      /wa {question}")
        for asker in COLLEAGUES:
            await _ask(scene, asker, question, may=asker.role in allowed)
    click.echo(
        f"\n      {len(QUESTIONS)} commands, {len(COLLEAGUES)} people: {len(QUESTIONS) * len(COLLEAGUES)} answers"
    )


async def _ask(scene: Scene, asker: Asker, question: str, *, may: bool) -> None:
    answer = await scene.stage.slack.command(asker.user, "lobby", f"/wa {question}", wait=Wait(seconds=15))
    # Who one is is told to everybody, with why they are kept out.
    was_refused = question != "whoami" and any(words in answer.text for words in _REFUSALS)
    _show(asker, answer.text, refused=was_refused)
    if answer.error or not answer.text or was_refused == may:
        raise TourFailed(f"{asker.user} ({asker.role}) asked {question!r} and saw {answer.error or answer.text!r}.")
    if any(not message.visible_to and message.channel != answer.messages[0].channel for message in answer.messages):
        raise TourFailed(f"The answer to {asker.user} was shown to others.")


async def each_replies(scene: Scene) -> None:
    click.echo("\n      a reply in the customer's thread")
    for asker in ASKERS:
        text = f"Reply of {asker.user}"
        scene.stage.slack.say(asker.user, "support", text, thread_ts=scene.thread)
        if asker.role in MAY_REPLY:
            await scene.arrives_once(text)
            _show(asker, "the customer has it", refused=False)
        else:
            _show(asker, await _told(scene, asker), refused=True)
            if scene.on_phone(text):
                raise TourFailed(f"What {asker.user} ({asker.role}) wrote reached the customer.")


async def _told(scene: Scene, asker: Asker) -> str:
    """What a person whose reply is not sent is told, and nobody else."""
    slack = scene.stage.slack
    person = slack.person(asker.user).id

    def mine() -> list[str]:
        return [
            one.text for one in slack.state.messages.ephemerals if one.visible_to == person and "Not sent" in one.text
        ]

    return (await scene.stage.until(mine, f"{asker.user} to be told that the reply is not sent"))[-1]


def _show(asker: Asker, text: str, *, refused: bool) -> None:
    line = " ".join(text.split())
    short = line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"
    click.echo(f"        {'✗' if refused else '✓'} {asker.user:5} {asker.role:16} {short}")


STORY: Sequence[Step] = (
    *tour.STORY[:7],
    ("Ben becomes an agent and Dora an auditor; a guest and two strangers are about", everybody_enters),
    ("each asks for the same", each_asks),
    ("each writes to the customer", each_replies),
)


async def run(directory: Path, *, engine: EngineName, database_url: str) -> None:
    """The story from an empty database."""
    began = time.monotonic()
    async with Stage(directory, engine=engine, database_url=database_url) as stage:
        stage.slack.add_channel("lobby", members=(OPERATOR, "ana", "ben", "gina"))
        await stage.start()
        await tour.play(stage, (*STORY, *tour.ENDING), began=began)
