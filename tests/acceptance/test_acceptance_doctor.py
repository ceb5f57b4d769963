"""`python -m daemon doctor` as a script calls it, with nothing else running."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MigratedDatabase
from tests.daemon.examined import HMAC_KEY, Examined, examined

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 60
KEY = "c2l4dGVlbiBieXRlcyBhcmUgbm90IGVub3VnaCEhISE="
# Nothing listens there.
NOBODY = "http://127.0.0.1:1"
A_SERVER = f"""
[slack]
api_url = "{NOBODY}/api/"
[waha.servers.main]
url = "{NOBODY}"
webhook_url = "{NOBODY}"
"""


@pytest.fixture
async def well(migrated_database: MigratedDatabase) -> AsyncIterator[Examined]:
    async with examined(migrated_database) as one:
        yield one


async def doctor(directory: Path, config: str, *arguments: str) -> tuple[int | None, str]:
    """Its exit code and what it wrote."""
    file = directory / "config.toml"
    file.write_text(config)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "daemon", "doctor", *arguments),
        cwd=ROOT,
        env={"PATH": os.defpath, "SWITCHBOARD_CONFIG": str(file)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE_SECONDS):
        written, said = await process.communicate()
    assert b"Traceback" not in said, said.decode()
    return process.returncode, written.decode()


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def config_of(one: Examined, **more: str) -> str:
    """The settings of an installation as a file."""
    main, slack = one.settings.waha.servers["main"], one.settings.slack
    pager = more.get("pager", "https://pager.example.com/hook")
    return f"""
[database]
url = "{more.get("url", one.world.migrated.url)}"
[security]
encryption_keys = ["{KEY}"]
public_url = "https://switchboard.example.com"
[slack]
bot_token = "{slack.bot_token.get_secret_value()}"
app_token = "{slack.app_token.get_secret_value()}"
api_url = "{slack.api_url}"
operators = ["T1/UOLGA"]
[waha.servers.main]
url = "{more.get("waha", main.url)}"
api_key = "{main.api_key.get_secret_value()}"
webhook_url = "{main.webhook_url}"
webhook_hmac_key = "{HMAC_KEY}"
[alerts]
webhook_url = "{pager}"
"""


async def test_all_well_is_0_and_the_gravest_of_the_rest_is_said_by_the_code(well: Examined, tmp_path: Path) -> None:
    code, said = await doctor(tmp_path, config_of(well))
    assert (code, said.splitlines()[0].partition(" well")[1]) == (0, " well"), said
    assert "broken" not in said.splitlines()[0]

    code, said = await doctor(tmp_path, config_of(well, pager=""))
    assert (code, "▲ warn settings.alerts" in said) == (2, True), said

    code, said = await doctor(tmp_path, config_of(well, pager="", waha=NOBODY))
    assert (code, said.splitlines()[1].startswith("✖ bad  waha.main.reached")) == (1, True), said


async def test_for_machines_it_is_json(well: Examined, tmp_path: Path) -> None:
    code, said = await doctor(tmp_path, config_of(well, waha=NOBODY), "--json")

    findings: list[dict[str, Any]] = json.loads(said)
    assert code == 1
    assert [one["check"] for one in findings if one["level"] == "bad"] == ["waha.main.reached"]
    assert set(findings[0]) == {"check", "level", "found", "fix"}


async def test_it_works_while_the_database_slack_and_waha_are_away(tmp_path: Path, well: Examined) -> None:
    away = config_of(well, url="postgresql://nobody@127.0.0.1:1/none", waha=NOBODY)
    await well.slack.go_down()

    code, said = await doctor(tmp_path, away)

    assert code == 1
    assert [check for check in ("database.reached", "slack.reached", "waha.main.reached") if check not in said] == []
    assert "SWITCHBOARD_DATABASE__URL" in said
    assert "✔ ok   disk.free" in said


async def test_no_secret_is_shown(well: Examined, tmp_path: Path) -> None:
    _, said = await doctor(tmp_path, config_of(well, waha=NOBODY), "--json")

    slack = well.settings.slack
    secrets = [HMAC_KEY, KEY, slack.bot_token.get_secret_value(), slack.app_token.get_secret_value(), well.waha.api_key]
    assert [secret for secret in secrets if secret in said] == []


async def test_settings_that_cannot_be_read_are_what_is_found(tmp_path: Path) -> None:
    code, said = await doctor(tmp_path, f"{A_SERVER}[daemon]\npoll_secnds = 3\n")

    assert code == 1
    assert "daemon.poll_secnds is not a setting; did you mean daemon.poll_seconds?" in said


async def test_it_makes_no_database_and_leaves_the_settings_to_the_person(tmp_path: Path) -> None:
    code, said = await doctor(tmp_path, f'{A_SERVER}[database]\ndata_dir = "data"\n')

    assert code == 1
    assert "There is no database yet" in said
    assert "SWITCHBOARD_SLACK__BOT_TOKEN" in said
    assert names_in(tmp_path) == ["config.toml"]
