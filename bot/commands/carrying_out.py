from __future__ import annotations

from collections.abc import Sequence

from bot.commands.command import Asked, Command, Installation, Turn
from database import transaction
from operations.errors import NotAllowed
from operations.slack_inbox import Answer
from operations.standing import Person, Standing, stand


def carry_out(command: Command, asked: Asked, installation: Installation) -> Answer:
    """Check who asks, then do it; inside a transaction.

    Raises:
        Refused: with the sentence for the person.
    """
    return command.run(Turn(command, asked, installation, _standing(command, asked, installation)))


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
        return None
    standing = stand(
        asked.person,
        channel_id=asked.channel_id,
        tenant_name=asked.option("tenant"),
        operators=installation.operators,
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
