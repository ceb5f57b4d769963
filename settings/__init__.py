"""`config.toml` and the environment, checked whole at start and frozen after; and how the processes log."""

from settings.errors import SettingsError
from settings.loading import CONFIGURATION_ERROR, load, load_or_exit
from settings.requirements import check_for_bot, check_for_daemon
from settings.tables import (
    ROLES,
    DaemonSettings,
    DatabaseSettings,
    DeliverySettings,
    LogSettings,
    NumberSettings,
    ReportSettings,
    Role,
    SecuritySettings,
    Settings,
    SlackSettings,
    WahaServer,
    WahaSettings,
)

__all__ = [
    "CONFIGURATION_ERROR",
    "ROLES",
    "DaemonSettings",
    "DatabaseSettings",
    "DeliverySettings",
    "LogSettings",
    "NumberSettings",
    "ReportSettings",
    "Role",
    "SecuritySettings",
    "Settings",
    "SettingsError",
    "SlackSettings",
    "WahaServer",
    "WahaSettings",
    "check_for_bot",
    "check_for_daemon",
    "load",
    "load_or_exit",
]
