"""The manifest of the Slack app, made from the table of commands. Slack reads it when the app is created or changed.

Not in it, because Slack has no place for them: the app-level token with `connections:write`, and Delayed Events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bot.commands import COMMANDS
from bot.commands.channels import BOT_NAME
from slack.app import EVENTS, SCOPES


def manifest(root: str, *, request_url: str = "") -> dict[str, Any]:
    """The manifest with `root` as the slash command; Slack posts to `request_url`, or without one uses sockets."""
    address = {"request_url": request_url} if request_url else {}
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": "Switchboard",
            "description": "WhatsApp sessions and conversations, run from Slack.",
            "background_color": "#0B5C3B",
        },
        "features": {
            # The tab for direct messages belongs to it; without that the QR code could not be sent.
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": BOT_NAME, "always_online": True},
            "slash_commands": [
                {
                    "command": root,
                    **({"url": request_url} if request_url else {}),
                    "description": "WhatsApp sessions, tenants and messages",
                    "usage_hint": usage_hint(),
                    "should_escape": True,
                }
            ],
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": {**address, "bot_events": list(EVENTS)},
            "interactivity": {"is_enabled": True, **address},
            "org_deploy_enabled": False,
            "socket_mode_enabled": not request_url,
            "token_rotation_enabled": False,
        },
    }


def usage_hint() -> str:
    """`[help | tenant … | send …]`."""
    nouns = dict.fromkeys(command.noun for command in COMMANDS)
    return "[" + " | ".join(noun if noun == "help" else f"{noun} …" for noun in nouns) + "]"


def manifest_text(root: str, *, request_url: str = "") -> str:
    """As YAML, whose scalars may be written as in JSON."""
    heading = "# Made by `make manifest` from the table of commands; change that instead."
    return "\n".join([heading, *_yaml(manifest(root, request_url=request_url))]) + "\n"


def _yaml(mapping: dict[str, Any], indent: str = "") -> Iterator[str]:
    for key, value in mapping.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _yaml(value, f"{indent}  ")
        elif isinstance(value, list):
            yield f"{indent}{key}:"
            for item in value:
                yield from _item(item, f"{indent}  ")
        else:
            yield f"{indent}{key}: {_scalar(value)}"


def _item(item: Any, indent: str) -> Iterator[str]:
    if not isinstance(item, dict):
        yield f"{indent}- {item}"
        return
    first, *rest = _yaml(item, f"{indent}  ")
    yield f"{indent}- {first.lstrip()}"
    yield from rest


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
