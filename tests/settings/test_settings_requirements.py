from __future__ import annotations

from collections.abc import Callable

import pytest

import settings
from settings import SettingsError, check_for_bot, check_for_daemon

BOT = {"SWITCHBOARD_SLACK__BOT_TOKEN": "xoxb-1"}
SOCKET = {**BOT, "SWITCHBOARD_SLACK__APP_TOKEN": "xapp-1"}
HTTP = {**BOT, "SWITCHBOARD_SLACK__MODE": "http", "SWITCHBOARD_SLACK__SIGNING_SECRET": "s"}
URL = {"SWITCHBOARD_DATABASE__URL": "postgresql://a:b@c/d"}


@pytest.mark.parametrize(
    ("check", "environ"), [(check_for_bot, SOCKET), (check_for_bot, HTTP), (check_for_daemon, BOT)]
)
def test_a_process_with_what_it_needs_may_start(
    check: Callable[[settings.Settings], None], environ: dict[str, str]
) -> None:
    check(settings.load(environ=environ))


@pytest.mark.parametrize(
    ("check", "environ", "line"),
    [
        (check_for_bot, {}, "slack.bot_token is empty: set SWITCHBOARD_SLACK__BOT_TOKEN=xoxb-…"),
        (check_for_bot, BOT, "slack.app_token is empty: set SWITCHBOARD_SLACK__APP_TOKEN=xapp-…"),
        (check_for_daemon, {}, "slack.bot_token is empty: set SWITCHBOARD_SLACK__BOT_TOKEN=xoxb-…"),
        (
            check_for_daemon,
            {"SWITCHBOARD_SLACK__BOT_TOKEN": "xapp-1"},
            "slack.bot_token does not start with xoxb-: set SWITCHBOARD_SLACK__BOT_TOKEN=xoxb-…",
        ),
        (
            check_for_bot,
            {**HTTP, "SWITCHBOARD_SLACK__SIGNING_SECRET": ""},
            "slack.signing_secret is empty: set SWITCHBOARD_SLACK__SIGNING_SECRET=…",
        ),
        (
            check_for_daemon,
            {**BOT, **URL},
            (
                "security.encryption_keys is empty: set "
                'SWITCHBOARD_SECURITY__ENCRYPTION_KEYS="$(openssl rand -base64 32)" and keep it safe'
            ),
        ),
    ],
)
def test_what_is_missing_comes_with_the_line_to_set(
    check: Callable[[settings.Settings], None], environ: dict[str, str], line: str
) -> None:
    loaded = settings.load(environ=environ)

    with pytest.raises(SettingsError) as caught:
        check(loaded)

    assert line in caught.value.problems


def test_the_bot_is_told_of_both_tokens_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        check_for_bot(settings.load(environ={}))

    assert len(caught.value.problems) == 2
