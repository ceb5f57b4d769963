"""The tables of `config.toml`. Each part of a process is handed the table that it needs, not the whole.

What a key means and why it exists stands once, beside the key in `config.toml`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from settings.values import (
    EMBEDDED,
    ApiAddress,
    CronSchedule,
    DatabaseAddress,
    Duration,
    EncryptionKey,
    OperatorId,
    OwnerAddress,
    ProxyNetwork,
    PublicAddress,
    SecretAddress,
    ServerName,
    SlashCommand,
    TeamId,
    TimeZone,
    WebAddress,
)

Role = Literal["ingress", "inbox", "sender", "relay", "reconciler", "scheduler"]
ROLES: tuple[Role, ...] = ("ingress", "inbox", "sender", "relay", "reconciler", "scheduler")

# Strict mode refuses what a file can only write as a list or a text.
LENIENT = Field(strict=False)


class Table(BaseModel):
    """Frozen, without unknown keys, and without guessing: `port = "8080"` or `port = true` is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class DatabaseSettings(Table):
    """`url` may hold a password; `data_dir` is absolute once loaded."""

    url: DatabaseAddress = SecretStr(EMBEDDED)
    owner_url: OwnerAddress = SecretStr("")
    data_dir: Annotated[Path, LENIENT] = Path("var/postgres")

    @property
    def is_embedded(self) -> bool:
        return self.url.get_secret_value() == EMBEDDED


class SecuritySettings(Table):
    encryption_keys: Annotated[tuple[EncryptionKey, ...], LENIENT] = ()
    public_url: PublicAddress = ""

    @property
    def raw_keys(self) -> tuple[bytes, ...]:
        """The keys as 32 bytes each; the first encrypts, all decrypt."""
        return tuple(base64.b64decode(key.get_secret_value()) for key in self.encryption_keys)


class SlackSettings(Table):
    """`host` and `port` are where the bot listens in http mode; port 0 is any free one."""

    mode: Literal["socket", "http"] = "socket"
    bot_token: SecretStr = SecretStr("")
    app_token: SecretStr = SecretStr("")
    signing_secret: SecretStr = SecretStr("")
    host: str = "127.0.0.1"
    port: int = Field(default=3001, ge=0, le=65535)
    metrics_port: int = Field(default=0, ge=0, le=65535)
    api_url: ApiAddress = "https://slack.com/api/"
    command: SlashCommand = "/wa"
    teams: Annotated[tuple[TeamId, ...], LENIENT] = ()
    operators: Annotated[tuple[OperatorId, ...], LENIENT] = ()
    pacing: bool = True


class WahaServer(Table):
    """`capacity` is how many sessions it shall have at most; 0 is no limit."""

    url: WebAddress
    api_key: SecretStr = SecretStr("")
    webhook_url: WebAddress
    webhook_hmac_key: SecretStr = SecretStr("")
    capacity: int = Field(default=0, ge=0)


class WahaSettings(Table):
    """The servers by name; the name is part of the path of their webhooks."""

    servers: Mapping[ServerName, WahaServer] = Field(default_factory=dict, validate_default=True)

    @field_validator("servers")
    @classmethod
    def _at_least_one(cls, servers: Mapping[str, WahaServer]) -> Mapping[str, WahaServer]:
        if not servers:
            raise ValueError("at least one WAHA server is needed: a table such as [waha.servers.main]")
        return servers


class DaemonSettings(Table):
    """What a daemon does and where it listens; port 0 is any free one."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    roles: Annotated[tuple[Role, ...], LENIENT, Field(min_length=1)] = ROLES
    poll_seconds: Duration = 15
    max_body_mb: Duration = 10
    trusted_proxies: Annotated[tuple[ProxyNetwork, ...], LENIENT] = ()
    shutdown_seconds: Duration = 20
    catch_up_minutes: Duration = 10
    # WAHA repeats a webhook for 36 hours; it has to be known for as long.
    keep_days: Annotated[Duration, Field(ge=2)] = 30

    @property
    def max_body_bytes(self) -> int:
        return int(self.max_body_mb * 1024 * 1024)


class DeliverySettings(Table):
    """How long what is on its way may take, at each step."""

    give_up_after_hours: Duration = 72
    head_blocks_for_minutes: Duration = 15
    ask_before_sending_after_minutes: Duration = 30
    send_timeout_seconds: Duration = 30
    lease_margin_seconds: Duration = 30
    slack_timeout_seconds: Duration = 10


class NumberSettings(Table):
    """What keeps a phone number from being restricted by WhatsApp; a session can have its own."""

    new_contacts_per_day: int = Field(default=50, ge=0)
    human_like: bool = True


class AlertSettings(Table):
    """Who is told when Slack itself cannot be reached."""

    webhook_url: SecretAddress = SecretStr("")


class ReportSettings(Table):
    """When reports are posted where a channel has no schedule of its own."""

    schedule: CronSchedule = "0 9 * * 1-5"
    time_zone: TimeZone = "UTC"


class LogSettings(Table):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["console", "json"] = "console"


class Settings(Table):
    database: DatabaseSettings = DatabaseSettings()
    security: SecuritySettings = SecuritySettings()
    slack: SlackSettings = SlackSettings()
    waha: WahaSettings = Field(default_factory=WahaSettings)
    daemon: DaemonSettings = DaemonSettings()
    delivery: DeliverySettings = DeliverySettings()
    numbers: NumberSettings = NumberSettings()
    alerts: AlertSettings = AlertSettings()
    reports: ReportSettings = ReportSettings()
    log: LogSettings = LogSettings()
