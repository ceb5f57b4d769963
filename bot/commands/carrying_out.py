from __future__ import annotations

from collections.abc import Sequence

from bot.commands.command import Asked, Command, Installation, Turn
from bot.commands.questions import confirmation
from database import transaction
from operations import slack_inbox
from operations.errors import Conflict, NotAllowed
from operations.slack_inbox import CANCELLED, DONE, Answer
from operations.standing import Person, Standing, require_somewhere, stand

_SETTLED = {
    DONE: "This was done already.",
    CANCELLED: "Nothing was done: you had cancelled this. Ask for it again if it is wanted after all.",
}


def carry_out(command: Command, asked: Asked, installation: Installation) -> Answer:
    """Check who asks, then do it, or ask whether it is really meant; inside a transaction.

    Raises:
        Refused: with the sentence for the person.
    """
    turn = Turn(command, asked, installation, _standing(command, asked, installation))
    if command.confirm is not None and not asked.is_confirmed and (question := command.confirm(turn)):
        return confirmation(turn, question)
    if asked.was_asked_back:
        _settle(asked, DONE)
    return command.run(turn)


def cancel(asked: Asked) -> Answer:
    """Take back what was asked, inside a transaction.

    Raises:
        Refused: it was done already.
    """
    _settle(asked, CANCELLED)
    return Answer("Nothing was done.", replaces=True)


def _settle(asked: Asked, word: str) -> None:
    """Once: a second click waits for the first, and learns what became of it."""
    if before := slack_inbox.settle(asked.event_id, word):
        raise Conflict(_SETTLED.get(before, _SETTLED[DONE]))


def check(command: Command, asked: Asked, installation: Installation) -> None:
    """The same check alone, before Slack is asked on somebody's behalf.

    Raises:
        Refused: with the sentence for the person.
    """
    with transaction():
        _standing(command, asked, installation)


def _standing(command: Command, asked: Asked, installation: Installation) -> Standing | None:
    if command.is_for_operators:
        _require_operator(command, asked.person, installation.operators)
    if not command.is_for_a_tenant:
        require_somewhere(asked.person, command.permission, operators=installation.operators)
        return None
    standing = stand(
        asked.person,
        channel_id=asked.channel_id,
        tenant_name=asked.word(0) if command.names_tenant and asked.words else asked.option("tenant"),
        operators=installation.operators,
        tenant_id=asked.tenant_id,
    )
    standing.require(command.permission)
    return standing


def _require_operator(command: Command, person: Person, operators: Sequence[str]) -> None:
    if person.key in operators:
        return
    if not operators:
        raise NotAllowed(
            f"Nobody is an operator of this installation yet, and `{command.name}` needs one. To be it, set "
            f"`SWITCHBOARD_SLACK__OPERATORS='[\"{person.key}\"]'` for the bot and the daemon, or in `config.toml` "
            f'under `[slack]` the line `operators = ["{person.key}"]`; then restart both and try again.'
        )
    named = ", ".join(f"<@{key.partition('/')[2]}>" for key in operators if key.startswith(f"{person.team_id}/"))
    raise NotAllowed(f"`{command.name}` is for operators of this installation. Ask {named or 'one of them'}.")
