"""The real process: `python -m bot`, its signals and its exit codes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psycopg2

from sandbox.slack import SandboxSlack, Wait
from tests.bot.conftest import eventually

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 30
KEY = "c2l4dGVlbiBieXRlcyBhcmUgbm90IGVub3VnaCEhISE="


@asynccontextmanager
async def bot_process(slack: SandboxSlack, url: str, **more: str) -> AsyncIterator[Process]:
    environment = {
        "PATH": os.defpath,
        "SWITCHBOARD_DATABASE__URL": url,
        "SWITCHBOARD_SECURITY__ENCRYPTION_KEYS": KEY,
        "SWITCHBOARD_SLACK__BOT_TOKEN": slack.bot_token,
        "SWITCHBOARD_SLACK__APP_TOKEN": slack.app_token,
        "SWITCHBOARD_SLACK__API_URL": slack.api_url,
        "SWITCHBOARD_SLACK__OPERATORS": f"{slack.team_id}/{slack.person('olga').id}",
        **more,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", cwd=ROOT, env=environment, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(process: Process) -> tuple[int | None, str]:
    async with asyncio.timeout(DEADLINE_SECONDS):
        _, errors = await process.communicate()
    return process.returncode, errors.decode()


async def test_it_migrates_an_empty_database_answers_and_ends_with_0_when_told(
    slack: SandboxSlack, new_database: Callable[..., str]
) -> None:
    async with bot_process(slack, new_database()) as process:
        await slack.connected(2, seconds=DEADLINE_SECONDS)
        answer = await slack.command("olga", "general", "/wa help", Wait(until=lambda one: bool(one.text)))

        process.send_signal(signal.SIGTERM)
        code, log = await ended(process)

    assert answer.text.startswith("*WhatsApp from Slack.*")
    assert code == 0, log
    assert "bot stopped" in log
    assert "Traceback" not in log


async def test_what_is_being_done_when_it_is_told_to_stop_is_finished(
    slack: SandboxSlack, new_database: Callable[..., str]
) -> None:
    url = new_database()
    slack.fail("response_url", hang=1.0, after_storing=True)
    async with bot_process(slack, url) as process:
        await slack.connected(2, seconds=DEADLINE_SECONDS)
        await slack.command("olga", "general", "/wa tenant create Acme", Wait(until=lambda one: bool(one.messages)))

        process.send_signal(signal.SIGTERM)
        code, log = await ended(process)

    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM slack_events WHERE answered_at IS NOT NULL")
        assert cursor.fetchone() == (1,)
    connection.close()
    assert code == 0, log


async def test_a_command_whose_answer_a_kill_9_swallowed_is_answered_by_the_next_process(
    slack: SandboxSlack, new_database: Callable[..., str]
) -> None:
    url = new_database()
    slack.fail("response_url", hang=True)
    async with bot_process(slack, url) as process:
        await slack.connected(2, seconds=DEADLINE_SECONDS)
        answered = Wait(DEADLINE_SECONDS, until=lambda one: bool(one.text))
        asking = asyncio.create_task(slack.command("olga", "general", "/wa tenant create Acme", answered))
        await eventually(lambda: slack.calls("response_url"))
        process.kill()
        await process.wait()
    slack.heal()

    async with bot_process(slack, url):
        answer = await asking
        await slack.connected(2, seconds=DEADLINE_SECONDS)
        again = await slack.command("olga", "general", "/wa tenant list", answered)

    assert answer.text.startswith("Tenant *Acme* was created.")
    assert again.text.startswith("*1 tenant*")


async def test_a_bot_token_that_slack_refuses_is_named_and_ends_with_78(
    slack: SandboxSlack, new_database: Callable[..., str], template_database: str
) -> None:
    url = new_database(template_database)
    async with bot_process(slack, url, SWITCHBOARD_SLACK__BOT_TOKEN="xoxb-wrong") as process:
        code, log = await ended(process)

    assert code == 78
    assert "Slack refuses slack.bot_token (invalid_auth): set SWITCHBOARD_SLACK__BOT_TOKEN=xoxb-" in log
    assert "Traceback" not in log
    assert "xoxb-wrong" not in log


async def test_an_app_token_that_slack_refuses_is_named_and_ends_with_78(
    slack: SandboxSlack, new_database: Callable[..., str], template_database: str
) -> None:
    url = new_database(template_database)
    async with bot_process(slack, url, SWITCHBOARD_SLACK__APP_TOKEN="xapp-wrong") as process:
        code, log = await ended(process)

    assert code == 78
    assert "Slack refuses slack.app_token (invalid_auth): set SWITCHBOARD_SLACK__APP_TOKEN=xapp-" in log
    assert "Traceback" not in log


async def test_in_http_mode_a_kill_9_loses_nothing_and_the_end_is_clean(
    slack: SandboxSlack, new_database: Callable[..., str]
) -> None:
    url, port = new_database(), free_port()
    http = {
        "SWITCHBOARD_SLACK__MODE": "http",
        "SWITCHBOARD_SLACK__APP_TOKEN": "",
        "SWITCHBOARD_SLACK__SIGNING_SECRET": "secret",
        "SWITCHBOARD_SLACK__PORT": str(port),
    }
    slack.deliver_by_http(f"http://127.0.0.1:{port}/slack/events", "secret")
    slack.fail("response_url", hang=True)
    async with bot_process(slack, url, **http) as process:
        await answers(port)
        answered = Wait(DEADLINE_SECONDS, until=lambda one: bool(one.text))
        asking = asyncio.create_task(slack.command("olga", "general", "/wa tenant create Acme", answered))
        await eventually(lambda: slack.calls("response_url"))
        process.kill()
        await process.wait()
    slack.heal()
    said = slack.say("ana", "support", "while nobody listens")
    delivery = slack.state.events.deliveries[-1]

    async with bot_process(slack, url, **http) as process:
        answer = await asking
        await answers(port)
        await slack.until(lambda: delivery.acknowledged or delivery.given_up)
        process.send_signal(signal.SIGTERM)
        code, log = await ended(process)

    assert answer.text.startswith("Tenant *Acme* was created.")
    assert said.text not in log
    assert code == 0, log
    assert "Traceback" not in log


async def test_an_address_that_is_taken_is_said_and_tried_again(
    slack: SandboxSlack, new_database: Callable[..., str], template_database: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        http = {
            "SWITCHBOARD_SLACK__MODE": "http",
            "SWITCHBOARD_SLACK__SIGNING_SECRET": "secret",
            "SWITCHBOARD_SLACK__PORT": port,
        }
        async with bot_process(slack, new_database(template_database), **http) as process:
            code, log = await ended(process)

    assert code == 1
    assert "the bot cannot listen for Slack" in log


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def answers(port: int) -> None:
    """Wait until the bot is ready."""
    async with asyncio.timeout(DEADLINE_SECONDS), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
                    if response.ok:
                        return
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.05)


async def test_it_can_be_stopped_while_it_waits_for_slack(
    slack: SandboxSlack, new_database: Callable[..., str], template_database: str
) -> None:
    url = new_database(template_database)
    fault = slack.fail("auth.test", status=500, times=None)
    async with bot_process(slack, url) as process:
        await eventually(lambda: fault.hits)

        process.send_signal(signal.SIGTERM)
        code, log = await ended(process)

    assert code == 0, log
