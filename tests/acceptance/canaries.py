"""A secret in every place where one is used, and every place where one could come out again."""

from __future__ import annotations

import base64
import secrets
import string
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.slack import SandboxSlack
from sandbox.slack.journal import Call
from sandbox.slack.workspace import Installation
from sandbox.stage import PACE, Stage
from sandbox.waha import Control, SandboxWaha
from tests.acceptance.acting import Query, set_in

_LETTERS = string.ascii_letters + string.digits
# What tells a secret from anything else; the rest of it may be cut off where it comes out.
_TELLING = 12


def made(prefix: str = "", length: int = 40) -> str:
    """A secret that shows by no shape but the prefix that its owner gave it."""
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(length))


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass
class Canaries:
    """Every secret by its name; those that others make up are added when they are known."""

    planted: dict[str, str] = field(
        default_factory=lambda: {
            "bot token": made("xoxb-"),
            "wrong bot token": made("xoxb-"),
            "app token": made("xapp-"),
            "signing secret": made(),
            "verification token": made(),
            "WAHA API key": made(),
            "webhook HMAC key": made(),
            "encryption key": _key(),
            "old encryption key": _key(),
            "misspelled encryption key": made(length=30),
            "database password": made(),
            "proxy password": made(),
            "QR value of a webhook": made("2@"),
            "pairing code": made(length=16),
            "typed token": made("xoxb-"),
            "password": made(length=20),
            "bot token of a workspace": made("xoxb-"),
            "app token of a workspace": made("xapp-"),
            "signing secret of a workspace": made(),
        }
    )

    def __getitem__(self, name: str) -> str:
        return self.planted[name]

    def __setitem__(self, name: str, secret: str) -> None:
        self.planted[name] = secret

    def found_in(self, text: str, *, but: frozenset[str] = frozenset()) -> set[str]:
        """The names of those that stand in a text, plain or in another spelling."""
        return {
            name for name, secret in self.planted.items() if name not in but and any(s in text for s in spelled(secret))
        }


def spelled(secret: str) -> Iterator[str]:
    """A secret's telling part as it is, as a URL, as hexadecimal digits, and as base64 begun at any of three bytes."""
    told = secret.removeprefix("xoxb-").removeprefix("xapp-").removeprefix("2@")
    yield told[:_TELLING]
    yield told[-_TELLING:]
    yield urllib.parse.quote(told, safe="")
    yield told[:_TELLING].encode().hex()
    for begin in range(3):
        yield base64.b64encode(told[begin:].encode())[: _TELLING + 4].decode()


def plant(stage: Stage, canaries: Canaries) -> None:
    """Before the stage is entered: simulators that ask for our secrets."""
    installation = Installation(
        bot_token=canaries["bot token"],
        app_token=canaries["app token"],
        verification_token=canaries["verification token"],
    )
    stage.slack = SandboxSlack(pace=PACE, installation=installation)
    stage.waha = SandboxWaha(stage.whatsapp, api_key=canaries["WAHA API key"], pace=PACE)
    stage.control = Control(stage.waha)


def tell_processes(stage: Stage, canaries: Canaries, database_url: str, *, log_format: str) -> None:
    """After the stage is entered: the rest of the secrets, and a log that says all that it can."""
    scheme, _, rest = database_url.partition("://")
    login, _, place = rest.partition("@")
    set_in(stage, "database", url=f"{scheme}://{login.partition(':')[0]}:{canaries['database password']}@{place}")
    set_in(stage, "slack", signing_secret=canaries["signing secret"])
    set_in(stage, "waha.servers.main", webhook_hmac_key=canaries["webhook HMAC key"])
    config = stage.directory / "config.toml"
    settings = config.read_text()
    keys = f'encryption_keys = ["{canaries["encryption key"]}", "{canaries["old encryption key"]}"]'
    lines = [keys if line.startswith("encryption_keys") else line for line in settings.splitlines()]
    config.write_text("\n".join([*lines, "", "[log]", 'level = "DEBUG"', f'format = "{log_format}"', ""]))


def logs_of(stage: Stage) -> dict[str, str]:
    return {f"log {file.name}": file.read_text(errors="replace") for file in stage.directory.glob("*.log")}


def told_to_slack(slack: SandboxSlack) -> dict[str, str]:
    """Everything that Slack was asked for, and what stands in it; by what it is, so that an exception can be named."""

    def of(call: Call) -> str:
        return f"Slack's {call.method}"

    texts: dict[str, str] = {}
    for call in slack.journal:
        texts[of(call)] = f"{texts.get(of(call), '')}\n{call.arguments} {call.answer}"
    texts["Slack's direct messages"] = "\n".join(
        f"{message.text} {message.blocks}" for name in ("ana", "ben", "olga") for message in slack.direct_messages(name)
    )
    return texts


def rows_of(rows: Query) -> Mapping[str, str]:
    """Every row of every table as text, with bytes as the characters that they are."""
    tables = [name for (name,) in rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    return {
        f"table {table}": "\n".join(
            text
            for (text,) in rows(f"SET bytea_output = 'escape'; SELECT t::text FROM {table} t")  # noqa: S608
        )
        for table in tables
    }


def command_lines(stage: Stage) -> dict[str, str]:
    """What everybody on the machine sees of a process."""
    running = {process.room: process.pid for process in (stage.bot, stage.daemon)}
    return {f"command line of {room}": Path(f"/proc/{pid}/cmdline").read_text() for room, pid in running.items()}
