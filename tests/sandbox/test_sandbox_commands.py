"""The command line against a running sandbox, as a person in another process uses it."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from click.testing import CliRunner, Result
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.commands import main
from sandbox.slack import SandboxSlack
from sandbox.waha import SandboxWaha
from sandbox.waha.control import Control
from sandbox.whatsapp import WhatsApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

BUTTONS = [
    {
        "type": "actions",
        "elements": [{"type": "button", "action_id": "qr", "text": {"type": "plain_text", "text": "Show QR"}}],
    }
]
FORM = {
    "type": "modal",
    "callback_id": "form",
    "title": {"type": "plain_text", "text": "New tenant"},
    "submit": {"type": "plain_text", "text": "Create"},
    "blocks": [
        {
            "type": "input",
            "block_id": "name",
            "label": {"type": "plain_text", "text": "Name"},
            "element": {"type": "plain_text_input", "action_id": "value"},
        }
    ],
}


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack(pace=0.005) as running:
        yield running


@pytest.fixture
def run(slack: SandboxSlack, tmp_path: Path) -> Callable[..., Any]:
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"slack": {"url": slack.url}}))

    async def run_in_another_thread(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, ["--state", str(state), *arguments])

    return run_in_another_thread


@asynccontextmanager
async def bot(slack: SandboxSlack) -> AsyncIterator[AsyncApp]:
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    app = AsyncApp(client=client)
    handler = AsyncSocketModeHandler(app, slack.app_token, web_client=client, ping_interval=2)
    await handler.connect_async()  # type: ignore[no-untyped-call]
    try:
        await slack.connected()
        yield app
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


async def test_a_command_prints_what_the_person_sees(slack: SandboxSlack, run: Callable[..., Any]) -> None:
    async with bot(slack) as app:

        @app.command("/wa")
        async def on_command(ack: Any, command: dict[str, Any]) -> None:
            await ack(text=f"*{command['text']}*: none yet", blocks=BUTTONS)

        result = await run("slack", "--user", "ana", "--channel", "support", "/wa session list")

    assert result.exit_code == 0, result.output
    assert "switchboard (only visible to ana)" in result.output
    assert "[Show QR]" in result.output


async def test_a_reply_goes_into_the_newest_thread(slack: SandboxSlack, run: Callable[..., Any]) -> None:
    slack.say("ben", "support", "older")
    root = slack.say("ben", "support", "newer")

    result = await run("slack", "--user", "ana", "--channel", "support", "--thread", "LAST", "on it")

    assert result.exit_code == 0, result.output
    assert [shown.text for shown in slack.thread("support", root.ts)] == ["newer", "on it"]


async def test_what_begins_with_two_slashes_is_a_text_and_no_command(
    slack: SandboxSlack, run: Callable[..., Any]
) -> None:
    root = slack.say("ben", "support", "hello")

    result = await run("slack", "--user", "ana", "--thread", "LAST", "// between us")

    assert result.exit_code == 0, result.output
    assert [shown.text for shown in slack.thread("support", root.ts)] == ["hello", "// between us"]


async def test_a_channel_is_shown_with_threads_reactions_and_whispers(
    slack: SandboxSlack, run: Callable[..., Any]
) -> None:
    root = slack.say("ben", "support", "hello\nagain")
    slack.say("ana", "support", "hi @ben", root.ts)
    slack.react("ana", root, "tada")
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
    await client.chat_postEphemeral(
        channel=slack.channel("support").id, user=slack.person("ana").id, text="psst &amp; quiet"
    )

    result = await run("show", "channel", "support")

    lines = [line.split(" ", 1)[1] if line[0].isdigit() else line for line in result.output.splitlines()]
    assert lines[:4] == ["ben", "    hello", "    again", "    :tada: ana"]
    assert lines[4].endswith(" ana")
    assert lines[5:] == ["        hi @ben", "switchboard (only visible to ana)", "    psst & quiet"]


async def test_a_button_and_a_form_are_used_by_what_is_written_on_them(
    slack: SandboxSlack, run: Callable[..., Any]
) -> None:
    async with bot(slack) as app:

        @app.action("qr")
        async def on_click(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
            await ack()
            await client.views_open(trigger_id=body["trigger_id"], view=FORM)

        @app.view("form")
        async def on_submit(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
            await ack()
            name = body["view"]["state"]["values"]["name"]["value"]["value"]
            await client.chat_postMessage(channel=body["user"]["id"], text=f"{name} is created")

        await app.client.chat_postMessage(channel=slack.channel("support").id, text="Stopped", blocks=BUTTONS)
        clicked = await run("slack", "--user", "ana", "--click", "Show QR")
        behind = await run("slack", "--user", "ana", "--click", "Show QR")
        closed = await run("slack", "--user", "ana", "--close")
        await run("slack", "--user", "ana", "--click", "Show QR")
        submitted = await run("slack", "--user", "ana", "--submit", "Name=Acme")
        await slack.until(lambda: slack.direct_messages("ana"))
        shown = await run("show", "dm", "ana", "--json")

    assert "The form 'New tenant' is open" in clicked.output
    assert "no 'Show QR' to click in the form 'New tenant', which is open: submit or close it first" in behind.output
    assert closed.output == "The form is closed.\n"
    assert submitted.exit_code == 0, submitted.output
    assert "Acme is created" in submitted.output
    assert [message["text"] for message in json.loads(shown.output)["messages"]] == ["Acme is created"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("slack", "--user", "nobody", "hello"), "Nobody here is called 'nobody'"),
        (("slack", "--user", "ana", "--channel", "nowhere", "hello"), "There is no channel 'nowhere'"),
        (("slack", "--user", "ana", "--click", "Nothing"), "ana sees no 'Nothing' in #support"),
        (("slack", "--user", "ana", "--thread", "LAST", "hello"), "there is no thread to answer"),
        (("slack", "--user", "ana", "--thread", "LAST", "/wa help"), "no slash commands in threads"),
        (("slack", "--user", "ana"), "Give one of"),
        (("phone", "+4915123456789", "Hi"), "The sandbox has no WAHA server"),
        (("phone", "abc", "Hi"), "'abc' is no phone number; write one such as +4915123456789."),
        (("phone", "", "Hi"), "'' is no phone number"),
        (("show", "phone", "../.."), "'../..' is no phone number"),
        (("phone", "+4915123456789", "--scan", __file__), "is no picture"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(
    slack: SandboxSlack, run: Callable[..., Any], arguments: tuple[str, ...], sentence: str
) -> None:
    result = await run(*arguments)

    assert result.exit_code != 0
    assert sentence in result.output
    assert "Traceback" not in result.output


def test_without_a_sandbox_the_way_to_start_one_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, ["show", "channel", "support"], env={"SWITCHBOARD_SANDBOX_STATE": str(tmp_path / "no")}
    )

    assert result.exit_code == 1
    assert "No sandbox is running" in result.output
    assert "make sandbox" in result.output


def test_a_sandbox_that_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"slack": {"url": "http://127.0.0.1:9"}}))

    result = CliRunner().invoke(main, ["--state", str(state), "show", "dm", "ana"])

    assert result.exit_code == 1
    assert "does not answer any more" in result.output


async def test_a_phone_scans_a_picture_writes_and_is_shown(slack: SandboxSlack, tmp_path: Path) -> None:
    network = WhatsApp(seed=1)
    state = tmp_path / "state.json"
    picture = tmp_path / "code.png"

    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, ["--state", str(state), *arguments])

    async with SandboxWaha(network, api_key="key", pace=0.01) as waha, Control(waha) as control:
        state.write_text(json.dumps({"slack": {"url": slack.url}, "waha": {"main": {"control_url": control.url}}}))
        picture.write_bytes(await qr_picture(waha))
        scanned = await run("phone", "+4930111111", "--scan", str(picture))
        wrote = await run("phone", "+4915123456789", "Hi")
        shown = await run("show", "phone", "+4915123456789")

    assert scanned.output == "+4930111111 is paired.\n"
    assert wrote.output == "+4915123456789 wrote to +4930111111.\n"
    assert "Chat with" in shown.output
    assert "-> Hi" in shown.output


async def qr_picture(waha: SandboxWaha) -> bytes:
    """The QR code of a new session, as soon as it shows one."""
    headers = {"X-Api-Key": "key", "Accept": "image/png"}
    async with httpx.AsyncClient(base_url=waha.url, headers=headers) as client, asyncio.timeout(10):
        await client.post("/api/sessions", json={"name": "main", "start": True})
        while (answer := await client.get("/api/main/auth/qr")).status_code != 200:
            continue
        return answer.content


async def test_the_module_runs_as_a_program(slack: SandboxSlack, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"slack": {"url": slack.url}}))
    slack.say("ana", "support", "hello")

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sandbox",
        "--state",
        str(state),
        "show",
        "channel",
        "support",
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()

    assert process.returncode == 0
    assert "hello" in output.decode()
