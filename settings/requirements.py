"""What a process cannot do without. A file that loads may still lack a token, which `migrate` never needs."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import SecretStr

from settings.errors import SettingsError
from settings.keys import variable_of
from settings.tables import Settings, SlackSettings


def check_for_bot(settings: Settings) -> None:
    """Raises: SettingsError: a key that the bot needs is empty or of the wrong kind."""
    _refuse([*_bot_token(settings.slack), *_way_in(settings.slack), *_encryption(settings)])


def check_for_daemon(settings: Settings) -> None:
    """Raises: SettingsError: a key that the daemon needs is empty or of the wrong kind."""
    _refuse([*_bot_token(settings.slack), *_encryption(settings)])


def _refuse(problems: list[str]) -> None:
    if problems:
        raise SettingsError(problems)


def _bot_token(slack: SlackSettings) -> Iterator[str]:
    yield from _token("bot_token", slack.bot_token, "xoxb-")


def _way_in(slack: SlackSettings) -> Iterator[str]:
    if slack.mode == "socket":
        yield from _token("app_token", slack.app_token, "xapp-")
    elif not slack.signing_secret.get_secret_value():
        yield f"slack.signing_secret is empty: set {variable_of(('slack', 'signing_secret'))}=…"


def _token(name: str, token: SecretStr, prefix: str) -> Iterator[str]:
    """Slack shows its two tokens on different pages, and they are easily swapped."""
    if not token.get_secret_value().startswith(prefix):
        state = "does not start with " + prefix if token.get_secret_value() else "is empty"
        yield f"slack.{name} {state}: set {variable_of(('slack', name))}={prefix}…"


def _encryption(settings: Settings) -> Iterator[str]:
    """A key made by itself would lie on one machine while the database is shared by several."""
    if not settings.database.is_embedded and not settings.security.encryption_keys:
        variable = variable_of(("security", "encryption_keys"))
        yield f'security.encryption_keys is empty: set {variable}="$(openssl rand -base64 32)" and keep it safe'
