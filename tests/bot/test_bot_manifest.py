"""The manifest in the repository is the one that the code makes, and asks for nothing that is not used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.actions import page
from bot.commands import COMMANDS
from bot.commands.reference import reference
from bot.http_mode import PATH
from bot.manifest import manifest, manifest_text, usage_hint

MANIFEST = Path(__file__).parents[2] / "manifest.yaml"
COMMANDS_PAGE = MANIFEST.parent / "docs" / "commands.md"
PERMISSIONS_PAGE = MANIFEST.parent / "docs" / "permissions.md"

# Slack's schema knows no names of scopes and events: a typo would pass it.
SCOPES = {
    "commands",
    "chat:write",
    "channels:history",
    "groups:history",
    "channels:read",
    "groups:read",
    "files:read",
    "files:write",
    "im:history",
    "im:write",
    "reactions:read",
    "reactions:write",
    "users:read",
    "users:read.email",
}
# Each event, and the scope without which Slack does not send it.
SCOPE_OF_EVENT = {
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "reaction_added": "reactions:read",
    "reaction_removed": "reactions:read",
    "member_joined_channel": "channels:read",
    "channel_archive": "channels:read",
    "channel_unarchive": "channels:read",
    "user_change": "users:read",
    "channel_deleted": "channels:read",
    "channel_id_changed": "channels:read",
    "channel_shared": "channels:read",
    "group_archive": "groups:read",
    "group_unarchive": "groups:read",
    "group_deleted": "groups:read",
    "app_home_opened": "",
    "app_uninstalled": "",
    "tokens_revoked": "",
}


@pytest.fixture
def made() -> dict[str, Any]:
    return manifest("/wa")


def test_the_file_is_what_the_code_makes() -> None:
    assert MANIFEST.read_text(encoding="utf-8") == manifest_text("/wa"), "run `make manifest`"


def test_the_text_is_yaml_of_the_manifest(made: dict[str, Any]) -> None:
    assert yaml.safe_load(manifest_text("/wa")) == made


def test_every_scope_is_known_and_every_event_has_its_scope(made: dict[str, Any]) -> None:
    scopes = made["oauth_config"]["scopes"]["bot"]
    events = made["settings"]["event_subscriptions"]["bot_events"]

    assert set(scopes) == SCOPES
    assert len(scopes) == len(SCOPES)
    assert {SCOPE_OF_EVENT[event] for event in events} <= {*scopes, ""}


def test_the_command_is_escaped_and_within_slacks_limits(made: dict[str, Any]) -> None:
    [command] = made["features"]["slash_commands"]

    assert command["command"] == "/wa"
    assert command["should_escape"] is True
    assert len(command["description"]) <= 2000
    assert len(command["usage_hint"]) <= 1000
    assert made["settings"]["socket_mode_enabled"] is True


def test_in_http_mode_slack_posts_everything_to_one_address() -> None:
    url = "https://switchboard.example.com/slack/events"

    made = manifest("/wa", request_url=url)

    assert made["settings"]["socket_mode_enabled"] is False
    assert made["settings"]["event_subscriptions"]["request_url"] == url
    assert made["settings"]["interactivity"]["request_url"] == url
    assert [command["url"] for command in made["features"]["slash_commands"]] == [url]
    assert yaml.safe_load(manifest_text("/wa", request_url=url)) == made


@pytest.mark.parametrize(
    ("environ", "code", "said"),
    [
        (
            {"SWITCHBOARD_SECURITY__PUBLIC_URL": "https://switchboard.example.com/"},
            0,
            f"https://switchboard.example.com{PATH}\n",
        ),
        ({}, 78, "security.public_url is empty, and Slack posts there: set SWITCHBOARD_SECURITY__PUBLIC_URL=https://"),
    ],
)
def test_the_manifest_of_http_mode_needs_the_address_that_slack_reaches(
    environ: dict[str, str], code: int, said: str
) -> None:
    environ = {"PATH": os.defpath, "SWITCHBOARD_SLACK__MODE": "http", **environ}

    done = subprocess.run(
        [sys.executable, "-m", "bot", "manifest"],
        cwd=MANIFEST.parent,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == code
    assert said in done.stdout.replace('"', "") + done.stderr


def test_another_command_is_written_as_it_is_set() -> None:
    [command] = manifest("/whatsapp")["features"]["slash_commands"]

    assert command["command"] == "/whatsapp"


def test_the_hint_names_every_noun() -> None:
    assert all(command.noun in usage_hint() for command in COMMANDS)


def test_the_page_of_commands_is_what_the_code_makes() -> None:
    assert COMMANDS_PAGE.read_text(encoding="utf-8") == reference(COMMANDS, "/wa")


def test_the_page_of_permissions_is_what_the_code_makes() -> None:
    assert PERMISSIONS_PAGE.read_text(encoding="utf-8") == page("/wa")


def test_the_reference_shows_every_command_as_it_is_typed() -> None:
    page = reference(COMMANDS, "/wa")

    lines = [line for command in COMMANDS for line in (command.usage, command.shown_example)]
    assert all(f"\n/wa {line}\n" in page for line in lines)
