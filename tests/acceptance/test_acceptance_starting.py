"""Wrong settings are said in a line each, and end a process with 78: starting it again would not help."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sandbox.slack import SandboxSlack

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 40
KEY, ANOTHER_KEY = "c2l4dGVlbiBieXRlcyBhcmUgbm90IGVub3VnaCEhISE=", "YW5vdGhlciBzaXh0ZWVuIGJ5dGVzIGFuZCB0d2ljZSE="
WRONG = """
[slack]
bot_token = "xapp-swapped"
app_token = "xoxb-swapped"
[waha.servers.main]
url = "http://127.0.0.1:1"
webhook_url = "http://127.0.0.1:2/webhooks/waha/main"
[security]
encryption_keys = ["c2hvcnQ="]
[daemon]
port = "8080"
poll_secnds = 3
"""
OF_THE_FILE = [
    r"encryption_keys, item 1, must be 32 random bytes in base64",
    r"daemon\.port must be a valid integer",
    r"daemon\.poll_secnds is not a setting; did you mean daemon\.poll_seconds\?",
]


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack() as running:
        yield running


async def outcome(room: str, directory: Path, config: str, **variables: str) -> tuple[int | None, str]:
    """Run a room until it ends; its exit code and everything that it wrote."""
    file = directory / "config.toml"
    file.write_text(config)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        room,
        cwd=ROOT,
        env={"PATH": os.defpath, "SWITCHBOARD_CONFIG": str(file), **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            written, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, written.decode()


@pytest.mark.parametrize("room", ["bot", "daemon"])
async def test_every_wrong_setting_is_a_line_and_the_process_ends_with_78(room: str, tmp_path: Path) -> None:
    code, written = await outcome(room, tmp_path, WRONG)

    lines = written.strip().splitlines()
    assert code == 78, written
    assert lines[0] == "The settings cannot be used:"
    assert len(lines) == 1 + len(OF_THE_FILE), written
    for pattern in OF_THE_FILE:
        assert len([line for line in lines if re.search(pattern, line)]) == 1, written


@pytest.mark.parametrize("room", ["bot", "daemon"])
async def test_swapped_tokens_are_named_without_being_shown(room: str, tmp_path: Path) -> None:
    config = WRONG.partition("[security]")[0]

    code, written = await outcome(room, tmp_path, config)

    assert code == 78, written
    assert "slack.bot_token does not start with xoxb-: set SWITCHBOARD_SLACK__BOT_TOKEN=xoxb-" in written
    assert ("slack.app_token does not start with xapp-" in written) is (room == "bot")
    assert "swapped" not in written
    assert "Traceback" not in written


def config_for(slack: SandboxSlack, url: str, *, token: str = "", key: str = KEY) -> str:
    return f"""
[database]
url = "{url}"
[security]
encryption_keys = ["{key}"]
[slack]
bot_token = "{token or slack.bot_token}"
app_token = "{slack.app_token}"
api_url = "{slack.api_url}"
[waha.servers.main]
url = "http://127.0.0.1:1"
webhook_url = "http://127.0.0.1:2/webhooks/waha/main"
[daemon]
port = 0
"""


REFUSED = "Slack refuses slack.bot_token (invalid_auth): set SWITCHBOARD_SLACK__BOT_TOKEN=xoxb-"


async def test_a_bot_whose_token_slack_refuses_names_it_and_ends_with_78(
    tmp_path: Path, slack: SandboxSlack, new_database: Callable[..., str], template_database: str
) -> None:
    config = config_for(slack, new_database(template_database), token="xoxb-revoked")

    code, written = await outcome("bot", tmp_path, config)

    assert code == 78, written
    assert REFUSED in written
    assert "revoked" not in written
    assert "Traceback" not in written


async def test_a_daemon_whose_token_slack_refuses_still_takes_in_what_customers_write(
    tmp_path: Path, slack: SandboxSlack, new_database: Callable[..., str], template_database: str
) -> None:
    config = config_for(slack, new_database(template_database), token="xoxb-revoked")

    process = await started(tmp_path, config, words="listening for webhooks")

    process.terminate()
    assert await process.wait() == 0
    written = (tmp_path / "daemon.log").read_text()
    assert REFUSED in written
    assert "revoked" not in written


async def test_an_encryption_key_that_was_taken_away_is_missed_at_the_start(
    tmp_path: Path, slack: SandboxSlack, new_database: Callable[..., str], template_database: str
) -> None:
    url = new_database(template_database)
    slack.fail("auth.test", status=500, times=None)
    process = await started(tmp_path, config_for(slack, url))
    process.terminate()
    assert await process.wait() == 0

    code, written = await outcome("daemon", tmp_path, config_for(slack, url, key=ANOTHER_KEY))

    assert code == 78, written
    assert "security.encryption_keys lacks a key that was used" in written
    assert "Traceback" not in written


async def started(directory: Path, config: str, *, words: str = "daemon works") -> asyncio.subprocess.Process:
    """A daemon whose log has these words."""
    file = directory / "config.toml"
    file.write_text(config)
    log = directory / "daemon.log"
    with log.open("wb") as written:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "daemon",
            cwd=ROOT,
            env={"PATH": os.defpath, "SWITCHBOARD_CONFIG": str(file)},
            stdout=written,
            stderr=written,
        )
    async with asyncio.timeout(DEADLINE_SECONDS):
        while words not in log.read_text():
            assert process.returncode is None, log.read_text()
            await asyncio.sleep(0.02)
    return process


async def test_a_daemon_can_be_stopped_while_it_waits_for_postgresql(tmp_path: Path, slack: SandboxSlack) -> None:
    nowhere = "postgresql://switchboard@127.0.0.1:1/switchboard"
    process = await started(tmp_path, config_for(slack, nowhere), words="waiting for PostgreSQL")

    process.terminate()

    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await process.wait() == 0
    assert "Traceback" not in (tmp_path / "daemon.log").read_text()


async def test_an_address_that_is_taken_is_said_in_a_line(
    tmp_path: Path, slack: SandboxSlack, new_database: Callable[..., str], template_database: str
) -> None:
    taken = slack.url.rpartition(":")[2]
    config = config_for(slack, new_database(template_database)).replace("port = 0", f"port = {taken}")

    code, written = await outcome("daemon", tmp_path, config)

    assert code == 1, written
    assert "cannot listen for webhooks" in written
    assert "address already in use" in written
    assert "Traceback" not in written


@pytest.mark.parametrize("room", ["bot", "daemon"])
async def test_a_database_that_refuses_us_is_named_and_ends_with_78(
    room: str, tmp_path: Path, slack: SandboxSlack, new_database: Callable[..., str]
) -> None:
    url = new_database().replace("switchboard_test_", "no_such_database_")

    code, written = await outcome(room, tmp_path, config_for(slack, url))

    assert code == 78, written
    assert "does not exist" in written
    assert "Traceback" not in written
