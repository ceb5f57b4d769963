from __future__ import annotations

import hashlib
import hmac
import random
import re
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from sandbox.waha.webhooks import RetryPolicy, signature
from sandbox.whatsapp import Media

if TYPE_CHECKING:
    from tests.sandbox.waha.conftest import Make, Rig


async def failing_with(rig: Rig, *statuses: int, **retries: Any) -> None:
    """Pairs a session whose only webhook asks for `message`, and lets the receiver answer so."""
    rig.hooks.answers = [web.Response(status=status) for status in statuses]
    await rig.pair(**rig.config("message", retries=retries))


def test_the_signature_is_the_documented_one() -> None:
    body = b'{"event":"message","session":"default","engine":"WEBJS"}'

    expected = (
        "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8"
        "097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89"
    )
    assert signature("my-secret-key", body) == expected


async def test_a_post_is_signed_over_its_exact_bytes(rig: Rig) -> None:
    await rig.pair()

    await rig.carla.write("Grüße 👋", to=rig.shop)

    await rig.until(lambda: rig.hooks.events("message"))
    for post in rig.hooks.posts:
        expected = hmac.new(b"my-hmac-key", post.body, hashlib.sha512).hexdigest()
        assert post.headers["X-Webhook-Hmac"] == expected
        assert post.headers["X-Webhook-Hmac-Algorithm"] == "sha512"


async def test_a_post_says_who_sends_it_and_when_the_event_was(rig: Rig) -> None:
    header = {"name": "X-Tenant", "value": "acme"}

    await rig.pair(**rig.config("session.status", customHeaders=[header]))

    post = rig.hooks.posts[0]
    assert post.headers["User-Agent"] == "WAHA/2026.7.1"
    assert post.headers["Content-Type"] == "application/json"
    assert post.headers["X-Webhook-Timestamp"] == str(post.event["timestamp"])
    assert post.headers["X-Tenant"] == "acme"
    assert post.headers["X-Webhook-Request-Id"]


async def test_an_envelope_carries_the_metadata_of_the_session(rig: Rig) -> None:
    await rig.pair(metadata={"session_id": "0193"})

    await rig.carla.write("Hi", to=rig.shop)

    [event] = await rig.until(lambda: rig.hooks.events("message"))
    assert re.fullmatch(r"evt_[0-9a-hjkmnp-tv-z]{26}", event["id"])
    assert (event["session"], event["engine"], event["metadata"]) == ("acme", "GOWS", {"session_id": "0193"})
    assert event["me"]["id"] == "4930123456@c.us"
    assert event["environment"]["worker"] == {"id": "waha1"}


async def test_message_and_message_any_share_the_event_id(rig: Rig) -> None:
    await rig.pair()

    await rig.carla.write("Hi", to=rig.shop)

    [one] = await rig.until(lambda: rig.hooks.events("message"))
    [other] = await rig.until(lambda: rig.hooks.events("message.any"))
    assert one["id"] == other["id"]
    assert one["payload"] == other["payload"]


async def test_an_incoming_text_on_gows(rig: Rig) -> None:
    await rig.pair()

    message = await rig.carla.write("Hi", to=rig.shop)

    [event] = await rig.until(lambda: rig.hooks.events("message"))
    payload = event["payload"]
    info = payload.pop("_data")["Info"]
    assert payload == {
        "id": f"false_4915123456789@c.us_{message.id}",
        "timestamp": int(message.at.timestamp()),
        "from": "4915123456789@c.us",
        "fromMe": False,
        "source": "app",
        "body": "Hi",
        "to": None,
        "participant": None,
        "hasMedia": False,
        "media": None,
        "mediaUrl": None,
        "ack": 2,
        "ackName": "DEVICE",
        "location": None,
        "vCards": None,
        "replyTo": None,
    }
    assert (info["PushName"], info["SenderAlt"]) == ("Carla", "")


async def test_the_number_behind_a_hidden_id_is_told_by_newer_servers(make_rig: Make) -> None:
    rig = await make_rig(version="2026.8.1")
    await rig.pair()
    rig.carla.appears_as = "lid"

    await rig.carla.write("Hi", to=rig.shop)

    [event] = await rig.until(lambda: rig.hooks.events("message"))
    assert event["payload"]["from"] == f"{rig.carla.lid}@lid"
    assert event["payload"]["_data"]["Info"]["SenderAlt"] == "4915123456789@s.whatsapp.net"


async def test_a_group_message_names_the_participant_and_has_its_own_acks(rig: Rig) -> None:
    dora = rig.whatsapp.phone("+4916099999999", name="Dora")
    group = rig.whatsapp.group("Crew", [rig.shop, rig.carla, dora])
    await rig.pair()

    message = await rig.carla.write("Hi all", to=group)
    await rig.send("Hi Carla", chatId=group.id)

    [event] = await rig.until(lambda: rig.hooks.events("message"))
    assert event["payload"]["id"] == f"false_{group.id}_{message.id}_4915123456789@c.us"
    assert (event["payload"]["from"], event["payload"]["participant"]) == (group.id, "4915123456789@c.us")
    await rig.until(lambda: len(rig.hooks.events("message.ack.group")) == 2)
    assert {event["payload"]["participant"] for event in rig.hooks.events("message.ack.group")} == {
        "4915123456789@c.us",
        "4916099999999@c.us",
    }


async def test_ignored_groups_are_silent(rig: Rig) -> None:
    group = rig.whatsapp.group("Crew", [rig.shop, rig.carla])
    await rig.pair(ignore={"groups": True})

    await rig.carla.write("Hi all", to=group)
    await rig.carla.write("Hi shop", to=rig.shop)

    events = await rig.until(lambda: rig.hooks.events("message"))
    assert [event["payload"]["body"] for event in events] == ["Hi shop"]


async def test_a_reading_on_the_shops_own_phone_is_an_ack_that_is_not_from_me(rig: Rig) -> None:
    await rig.pair()
    await rig.carla.write("Hi", to=rig.shop)

    await rig.shop.read(rig.carla)

    [event] = await rig.until(lambda: rig.hooks.events("message.ack"))
    assert (event["payload"]["fromMe"], event["payload"]["ack"]) == (False, 3)


async def test_a_file_is_there_under_an_address_to_be_corrected(rig: Rig) -> None:
    await rig.pair()

    await rig.carla.write("Look", to=rig.shop, media=Media(b"pixels", "image/jpeg"))

    [event] = await rig.until(lambda: rig.hooks.events("message"))
    media = event["payload"]["media"]
    path = media["url"].removeprefix("http://localhost:3000")
    fetched = await rig.call("GET", path)
    assert (media["mimetype"], media["error"], event["payload"]["hasMedia"]) == ("image/jpeg", None, True)
    assert (fetched.status, fetched.body) == (200, b"pixels")


@pytest.mark.parametrize("status", [301, 400, 404, 500])
async def test_anything_but_success_is_posted_again_unchanged(rig: Rig, status: int) -> None:
    await failing_with(rig, status, delaySeconds=1, attempts=3)

    await rig.carla.write("Hi", to=rig.shop)

    first, second = await rig.until(lambda: len(rig.hooks.posts) == 2 and rig.hooks.posts)
    assert first.body == second.body
    for header in ("X-Webhook-Request-Id", "X-Webhook-Timestamp", "X-Webhook-Hmac"):
        assert first.headers[header] == second.headers[header]


async def test_a_webhook_is_given_up_after_its_attempts(rig: Rig) -> None:
    await failing_with(rig, *[500] * 4, delaySeconds=1, attempts=3)

    await rig.carla.write("Hi", to=rig.shop)
    await rig.until(lambda: len(rig.hooks.posts) == 4)
    await rig.shop.unlink_devices()
    await rig.call("DELETE", "/api/sessions/acme")

    assert [entry.status for entry in rig.waha.journal.webhooks] == [500] * 4
    assert [entry.attempt for entry in rig.waha.journal.webhooks] == [1, 2, 3, 4]


async def test_a_receiver_that_says_when_to_come_back_is_obeyed(rig: Rig) -> None:
    await failing_with(rig, delaySeconds=0)
    rig.hooks.answers = [web.Response(status=503, headers={"Retry-After": "20"})]

    await rig.carla.write("Hi", to=rig.shop)

    await rig.until(lambda: len(rig.hooks.posts) == 2)
    first, second = rig.waha.journal.webhooks
    assert (second.at - first.at).total_seconds() >= 20 * rig.waha.environment.pace


async def test_a_receiver_that_stays_silent_gets_the_event_again(make_rig: Make) -> None:
    rig = await make_rig(webhook_silence_seconds=0.05)
    await failing_with(rig, delaySeconds=1)
    rig.hooks.silent = True

    await rig.carla.write("Hi", to=rig.shop)

    await rig.until(lambda: len(rig.hooks.posts) == 2)
    rig.hooks.silent = False
    await rig.until(lambda: rig.waha.journal.webhooks[-1].status == 200)


async def test_webhooks_are_not_posted_in_order(make_rig: Make) -> None:
    rig = await make_rig(webhook_jitter_seconds=0.05)
    await rig.pair(**rig.config("message"))
    texts = [str(number) for number in range(30)]

    for text in texts:
        await rig.carla.write(text, to=rig.shop)

    await rig.until(lambda: len(rig.hooks.posts) == 30)
    arrived = [post.event["payload"]["body"] for post in rig.hooks.posts]
    assert sorted(arrived, key=int) == texts
    assert arrived != texts


@pytest.mark.parametrize(
    ("policy", "least", "most"),
    [
        ("constant", [2, 2, 2], [2, 2, 2]),
        ("linear", [2, 4, 6], [2, 4, 6]),
        ("exponential", [4, 8, 16], [4.8, 9.6, 19.2]),
    ],
)
def test_retries_wait_by_their_policy(policy: str, least: list[float], most: list[float]) -> None:
    retries = RetryPolicy.of({"retries": {"policy": policy}})

    source = random.Random(1)  # noqa: S311 - jitter
    delays = [retries.delay(attempt, source) for attempt in (1, 2, 3)]

    assert retries.attempts == 15
    assert all(low <= delay <= high for low, delay, high in zip(least, delays, most, strict=True))
