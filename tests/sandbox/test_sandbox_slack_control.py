"""The sandbox's own HTTP interface, as a page or a command line uses it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import SandboxSlack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BUTTONS = [
    {
        "type": "actions",
        "elements": [{"type": "button", "action_id": "qr", "text": {"type": "plain_text", "text": "Show QR"}}],
    }
]


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack() as running:
        yield running


@pytest.fixture
async def control(slack: SandboxSlack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{slack.url}/sandbox/", trust_env=False) as client:
        yield client


@pytest.fixture
def app(slack: SandboxSlack) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])


async def got(control: httpx.AsyncClient, path: str) -> Any:
    response = await control.get(path)
    response.raise_for_status()
    return response.json()


async def test_people_and_channels_are_listed(control: httpx.AsyncClient) -> None:
    people = await got(control, "users")
    channels = await got(control, "channels")

    assert [person["name"] for person in people] == ["switchboard", "ana", "ben", "olga", "gina", "eve"]
    assert [(channel["name"], channel["has_app"]) for channel in channels] == [
        ("support", True),
        ("alerts", True),
        ("reports", True),
        ("general", False),
    ]


async def test_a_channel_shows_threads_and_each_person_their_whispers(
    slack: SandboxSlack, control: httpx.AsyncClient, app: AsyncWebClient
) -> None:
    support = slack.channel("support").id
    root = await app.chat_postMessage(channel=support, text="*Carla*: hi <@U0>", blocks=BUTTONS)
    slack.say("ana", "support", "hello", root["ts"])
    await app.chat_postEphemeral(channel=support, user=slack.person("ana").id, text="psst", thread_ts=root["ts"])

    for_ana = await got(control, "channels/support?user=ana")
    for_ben = await got(control, "channels/support?user=ben")

    [shown] = for_ana["messages"]
    assert shown["text"] == "[Show QR]"
    assert shown["buttons"] == ["Show QR"]
    assert [(reply["text"], reply["visible_to"]) for reply in shown["replies"]] == [("hello", None), ("psst", "ana")]
    assert [reply["text"] for reply in for_ben["messages"][0]["replies"]] == ["hello"]


async def test_messages_are_written_edited_reacted_to_and_deleted(
    slack: SandboxSlack, control: httpx.AsyncClient
) -> None:
    said = (await control.post("say", json={"user": "ana", "channel": "support", "text": "helo"})).json()
    which = {"user": "ana", "channel": "support", "ts": said["ts"]}

    edited = (await control.post("edit", json={**which, "text": "hello"})).json()
    await control.post("react", json={**which, "emoji": "tada"})
    shown = await got(control, "channels/support")
    await control.post("delete", json=which)

    assert (edited["text"], edited["edited"]) == ("hello", True)
    assert shown["messages"][0]["reactions"] == {"tada": ["ana"]}
    assert slack.messages("support") == []


async def test_files_are_fetched_by_their_id(slack: SandboxSlack, control: httpx.AsyncClient) -> None:
    message = slack.say("ana", "support", "look", files=[("photo.png", b"picture")])
    [listed] = (await got(control, "channels/support"))["messages"][0]["files"]

    response = await control.get(f"files/{listed['id']}")

    assert (response.content, response.headers["Content-Type"]) == (b"picture", "image/png")
    assert message.files[0].id == listed["id"]
    assert (await control.get("files/F0")).status_code == 422


async def test_faults_are_switched_on_and_off(
    slack: SandboxSlack, control: httpx.AsyncClient, app: AsyncWebClient
) -> None:
    await control.post("faults", json={"method": "chat.postMessage", "status": 500, "times": None})
    failing = await control.get("journal")
    await control.post("heal", json={})

    posted = await app.chat_postMessage(channel=slack.channel("support").id, text="hello")

    assert failing.json() == []
    assert posted["ok"]
    assert (await got(control, "journal"))[0]["method"] == "chat.postMessage"


async def test_a_page_is_woken_by_a_change(slack: SandboxSlack, control: httpx.AsyncClient) -> None:
    before = (await got(control, "changes"))["count"]

    waiting = asyncio.create_task(got(control, f"changes?since={before}"))
    slack.say("ana", "support", "hello")

    assert (await waiting)["count"] > before


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("say", {"user": "ana"}, 400),
        ("say", {"user": "nobody", "channel": "support", "text": "x"}, 422),
        ("submit", {"user": "ana"}, 422),
        ("edit", {"user": "ana", "channel": "support", "ts": "1.000001", "text": "x"}, 422),
        ("faults", {"method": "chat.postMessage", "colour": "red"}, 400),
    ],
)
async def test_what_cannot_be_done_is_said(
    control: httpx.AsyncClient, path: str, body: dict[str, Any], status: int
) -> None:
    response = await control.post(path, json=body)

    assert response.status_code == status
    assert response.json()["error"].endswith(".")


async def test_faults_are_switched_on_and_off_by_number(
    slack: SandboxSlack, control: httpx.AsyncClient, app: AsyncWebClient
) -> None:
    sent = {"method": "chat.postMessage", "status": 500, "channel": "support", "latency": [0, 0.01], "times": None}
    switched_on = (await control.post("faults", json={**sent, "seed": 3})).json()
    with pytest.raises(SlackApiError):
        await app.chat_postMessage(channel=slack.channel("support").id, text="hello")

    shown = await got(control, "faults")
    await control.post("heal", json={"fault": switched_on["fault"]})
    await app.chat_postMessage(channel=slack.channel("support").id, text="hello")

    assert shown == [{"fault": switched_on["fault"], "method": "chat.postMessage", "hits": 1}]
    assert await got(control, "faults") == []


async def test_events_sockets_and_limits_have_switches(slack: SandboxSlack, control: httpx.AsyncClient) -> None:
    answers = [
        await control.post("events", json={"copies": 2, "late": [0, 1], "seed": 1}),
        await control.post("sockets", json={"mute_pongs": True, "cut": None}),
        await control.post("limits", json={"burst": 2}),
        await control.post("say", json={"user": "ana", "channel": "support", "text": "old", "seconds_ago": 60,
                                        "heard": False}),
    ]  # fmt: skip

    assert [answer.status_code for answer in answers] == [200] * 4
    assert (slack.state.events.faults.copies, slack.state.events.faults.late) == (2, (0, 1))
    assert slack.state.socket_mode.mute_pongs
    assert (slack.rate_limits.enforced, slack.rate_limits.burst) == (True, 2)
    assert slack.state.events.deliveries == []
