"""Who types a secret is told to take it back, and nothing is done with it."""

from __future__ import annotations

import pytest

from bot.commands.typed_secrets import refuse_secrets
from operations.errors import BadInput
from tests.bot.conftest import Ask, Rows

SECRETS = [
    "workspace add xoxb-2417-3121-abcdefgh",
    "workspace add xapp-1-A012-abcdef",
    "workspace add --bot-token=xoxe.xoxp-1-abcdef0123",
    'message send +4915123456789 "Authorization: Bearer c2VjcmV0c2VjcmV0c2VjcmV0"',
    "session proxy sales proxy.example.org:3128 --user acme --password hunter2hunter2",
    "session proxy sales acme:hunter2hunter2@proxy.example.org:3128",
    'session proxy sales "acme:hunter2/hunter2@proxy:3128"',
    "session add sales https://acme:hunter2@proxy.example.org:3128",
]


@pytest.mark.parametrize("typed", SECRETS)
def test_a_secret_is_refused_without_repeating_it(typed: str) -> None:
    with pytest.raises(BadInput, match="Take it back at") as refused:
        refuse_secrets(typed)

    assert not {word for word in typed.split() if len(word) > 12} & set(str(refused.value).split())


@pytest.mark.parametrize(
    "typed",
    [
        "session add sales-xoxb",
        "message send +4915123456789 The bearer of good news: https://example.org/a:b@c",
        "message send +4915123456789 Ask for basic information",
        "message send +4915123456789 Tomorrow at 10:30 @ the shop, or 11:30@home: 2 o'clock",
        "user add @ana AGENT --email ana@example.org",
    ],
)
def test_what_is_no_secret_goes_on(typed: str) -> None:
    refuse_secrets(typed)


async def test_a_token_that_was_typed_is_not_kept_in_plain_and_nothing_is_done(
    ask: Ask, rows: Rows, acme: None
) -> None:
    answer = await ask("ana", "session add xoxb-2417-3121-abcdefgh")

    kept = await rows("SELECT body, answer::text FROM slack_events WHERE kind = 'command'")
    assert "stays in Slack's logs" in answer
    assert "2417-3121" not in answer
    assert not [row for row in kept if b"2417-3121" in bytes(row[0]) or "2417-3121" in str(row[1])]
    assert await rows("SELECT count(*) FROM waha_sessions") == [(0,)]
