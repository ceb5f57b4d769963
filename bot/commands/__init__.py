"""The one table of commands: help, usage, checks and the manifest are read from it."""

from bot.commands import (
    audit,
    channels,
    contacts,
    dead_letters,
    doctor,
    logging_in,
    messages,
    numbers,
    oneself,
    reports,
    retention,
    sending,
    servers,
    session_codes,
    session_ends,
    session_history,
    session_setup,
    sessions,
    tenant_life,
    tenant_settings,
    tenants,
    users,
    workspaces,
)
from bot.commands.command import Asked, Command, Installation, Turn
from bot.commands.help import help_command

_ASKABLE: tuple[Command, ...] = (
    *tenants.COMMANDS,
    *tenant_life.COMMANDS,
    *retention.COMMANDS,
    *tenant_settings.COMMANDS,
    *users.COMMANDS,
    *logging_in.COMMANDS,
    *oneself.COMMANDS,
    *sessions.COMMANDS,
    *session_codes.COMMANDS,
    *session_ends.COMMANDS,
    *session_history.COMMANDS,
    *session_setup.COMMANDS,
    *numbers.COMMANDS,
    *channels.COMMANDS,
    *sending.COMMANDS,
    *messages.COMMANDS,
    *dead_letters.COMMANDS,
    *contacts.COMMANDS,
    *reports.COMMANDS,
    *audit.COMMANDS,
    *workspaces.COMMANDS,
    *servers.COMMANDS,
    *doctor.COMMANDS,
)

COMMANDS: tuple[Command, ...] = (help_command(_ASKABLE), *_ASKABLE)

__all__ = ["COMMANDS", "Asked", "Command", "Installation", "Turn"]
