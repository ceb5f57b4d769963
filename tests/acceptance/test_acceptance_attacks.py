"""What somebody outside could send to the real daemon: forged and replayed webhooks, and words meant as markup."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from sandbox.stage import Stage
from tests.acceptance.acting import Query, Scene, Team, set_in
from tests.acceptance.test_acceptance_webhooks import KEY, post, signed

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORED = "SELECT count(*) FROM webhook_events"
MARK = "zqx"
# Each with the mark, so that it is found again in whatever Slack received.
INJECTIONS = (
    "zqx <!channel> <!here> <!everyone>",
    "zqx <@UANA> <@U0EVIL|ana> <!subteam^S1|team>",
    "zqx <http://evil.example|your bank> <mailto:a@evil.example|us>",
    "zqx <#C0EVIL|general>",
    "zqx ``` <!channel> ``` `code` *bold* _it_ ~no~",
    "zqx\n>>> <!here>\n```\nfence",
    "zqx &lt;!channel&gt; &amp;lt;!here&amp;gt;",
    "zqx \u202e<!channel>\u202c \u2066gnp\u2069 \u200b\u200f\u061c\ufeff",
    "zqx <!date^0^{date}^http://evil.example|now>",
    "zqx |pipe> <|> <<!here>>",
    "zqx\r\n\u2028\u2029\u0000 <!channel>",
    "zqx \U000e0001\U000e0020<!here>\U000e007f",
)
LIVE = re.compile(
    "<(?:!(?:channel|here|everyone|subteam|date\\^0)|@U(?:ANA|0EVIL)|#C0EVIL|https?://evil|mailto:a@evil)"
    "|[\u202a-\u202e\u2066-\u2069\u200b\u200f\u061c\ufeff\u2028\u2029\u0000]|[\U000e0000-\U000e007f]"
)
CHAT, GROUP = "4915123456789@c.us", "120363000000000001@g.us"


@dataclass
class Tally:
    """What was tried, and how often it came to something."""

    tried: Counter[str] = field(default_factory=Counter)
    through: Counter[str] = field(default_factory=Counter)

    def shown(self) -> str:
        lines = [f"{self.tried[what]:6}  {self.through[what]:4}  {what}" for what in self.tried]
        return "\n".join(["", " tried  done  attack", *lines])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, database_url: str, rows: Query) -> AsyncIterator[Scene]:
    async with Stage(tmp_path_factory.mktemp("attacks"), database_url=database_url) as stage:
        set_in(stage, "waha.servers.main", webhook_hmac_key=KEY)
        set_in(stage, "slack", pacing=False)
        await stage.start()
        yield Scene(stage, rows)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def acme(scene: Scene) -> Team:
    return await scene.found("Acme", "ana", "support", "+4930901820")


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    """Shown when all is done."""
    kept = Tally()
    yield kept
    print(kept.shown())  # noqa: T201 - what this shows


def event(team: Team, number: int, name: str, payload: dict[str, Any], **more: Any) -> bytes:
    body = {
        "id": f"evt_attack_{number}",
        "timestamp": 1767000000000,
        "event": name,
        "session": team.waha_session,
        "payload": payload,
        "engine": "GOWS",
    }
    return json.dumps(body | more).encode()


def written(number: int, body: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"false_{CHAT}_3AEVIL{number:04}",
        "timestamp": 1767000000,
        "from": CHAT,
        "fromMe": False,
        "body": body,
        "hasMedia": False,
    } | more


def forgeries(body: bytes) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """A body with headers of somebody who does not know the key."""
    good = signed(body)
    digest = good["X-Webhook-Hmac"]
    yield "webhook without a signature", body, {}
    yield "webhook with an empty signature", body, {"X-Webhook-Hmac": ""}
    for key in (b"", b"my-hmac-ke", b"MY-HMAC-KEY", b"the-other-servers-key"):
        forged = hmac.new(key, body, hashlib.sha512).hexdigest()
        yield "webhook signed with another key", body, good | {"X-Webhook-Hmac": forged}
    for name in ("sha1", "sha256", "md5"):
        forged = hmac.new(KEY.encode(), body, name).hexdigest()
        headers = {"X-Webhook-Hmac": forged, "X-Webhook-Hmac-Algorithm": name}
        yield "webhook signed with another algorithm", body, headers
    plain = hashlib.sha512(body).hexdigest()
    yield "webhook with a plain hash", body, good | {"X-Webhook-Hmac": plain}
    for wrong in (digest[:-1], digest + "0", digest[::-1], f"sha512={digest}", "é" * 64, "0" * 128):
        yield "webhook with a bent signature", body, good | {"X-Webhook-Hmac": wrong.encode().decode("latin-1")}
    for place in range(0, len(body), 7):
        changed = bytes(byte ^ (at == place) for at, byte in enumerate(body))
        yield "webhook with a changed byte", changed, good
    yield "webhook with a byte more", body + b" ", good
    yield "webhook with a byte less", body[:-1], good


async def test_no_forged_webhook_is_taken(scene: Scene, acme: Team, tally: Tally) -> None:
    body = event(acme, 1, "message.any", written(1, "forged"))
    before, answers = scene.rows(STORED), []

    for what, forged, headers in forgeries(body):
        answers.append(await post(scene, forged, headers))
        tally.tried[what] += 1
        tally.through[what] += answers[-1] != 401

    assert set(answers) == {401}
    assert scene.rows(STORED) == before
    assert len(answers) > 40


async def test_what_is_replayed_is_taken_once_in_whatever_order(scene: Scene, acme: Team, tally: Tally) -> None:
    bodies = [event(acme, 100 + one, "message.any", written(100 + one, f"once {one}")) for one in range(5)]
    for body in bodies:
        assert await post(scene, body, signed(body)) == 200
    await scene.until_idle()
    before = scene.rows("SELECT count(*) FROM messages"), scene.rows(STORED)

    for order in itertools.islice(itertools.permutations(bodies), 8):
        for body in order:
            later = {"X-Webhook-Timestamp": "1999999999999", "X-Webhook-Request-Id": "another"}
            assert await post(scene, body, signed(body) | later) == 200
            tally.tried["webhook replayed, in another order"] += 1
    await scene.until_idle()

    assert (scene.rows("SELECT count(*) FROM messages"), scene.rows(STORED)) == before
    assert all(len(scene.in_channel("support", f"once {one}")) == 1 for one in range(5))


def places(number: int, words: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """A place of a webhook where somebody outside chooses the words: its name, the event, the payload."""
    media = {"url": None, "mimetype": "application/pdf", "filename": f"{words}.pdf"}
    quoted = {"id": f"true_{CHAT}_3EB0Q{number}", "participant": CHAT, "body": words}
    named = {"_data": {"Info": {"PushName": words}}}
    member = {"participant": CHAT, "from": GROUP, "id": f"false_{GROUP}_3AGRP{number:04}_{CHAT}"}
    place = {"latitude": "1", "longitude": words, "name": words, "description": words}
    card = f"BEGIN:VCARD\nFN:{words}\nTEL:{words}\nEND:VCARD"
    yield "body", "message.any", written(number, words)
    yield "name", "message.any", written(number + 1, "hello zqx", **named)
    yield "name in a group", "message.any", written(number + 2, "hello zqx", **named, **member)
    yield "file name", "message.any", written(number + 3, "", hasMedia=True, media=media)
    yield "file name and error", "message.any", written(number + 4, words, hasMedia=True, media={"error": words})
    yield "quoted text", "message.any", written(number + 5, "hello zqx", replyTo=quoted)
    yield "place", "message.any", written(number + 6, "", location=place)
    yield "contact card", "message.any", written(number + 7, "", vCards=[card])
    target = f"false_{CHAT}_3AEVIL{number:04}"
    reaction = {"reaction": {"text": words, "messageId": target}}
    yield "reaction", "message.reaction", written(number + 8, "", **reaction)
    yield "edit", "message.edited", written(number + 9, words, editedMessageId=target)
    yield "phone's own words", "message.any", written(number + 10, words, fromMe=True, to=CHAT, source="app")
    yield "session status", "session.status", {"status": "WORKING", "name": words}


async def test_no_word_from_outside_is_markup_in_slack(scene: Scene, acme: Team, tally: Tally) -> None:
    for number, words in enumerate(INJECTIONS):
        for step, (place, name, payload) in enumerate(places(1000 + 100 * number, words)):
            me = {"id": "4930901820@c.us", "pushName": words, "lid": words}
            body = event(acme, 1000 + 100 * number + step, name, payload, me=me)
            assert await post(scene, body, signed(body)) == 200
            tally.tried[f"markup in {place}"] += 1
    await scene.until_idle()

    said = [text for call in scene.stage.slack.journal for text in texts_in(call.arguments) if MARK in text]
    found = {text: LIVE.findall(text) for text in said if LIVE.search(text)}
    tally.through["markup in body"] += len(found)
    assert found == {}
    assert len(said) > 3 * len(INJECTIONS)
    shown = [one.text for one in scene.stage.slack.messages("support")]
    assert any("&lt;!channel&gt; &lt;!here&gt;" in text for text in shown)
    assert any("&amp;lt;!channel&amp;gt;" in text for text in shown)


async def test_nothing_is_left_unread_by_what_was_sent(scene: Scene) -> None:
    parked = "SELECT error FROM webhook_events WHERE parked_at IS NOT NULL"

    assert scene.rows(parked) == []


def texts_in(found: Any) -> Iterator[str]:
    """Every text in a call of Slack's API, whose blocks may be JSON inside of a form."""
    if isinstance(found, dict):
        for inner in found.values():
            yield from texts_in(inner)
    elif isinstance(found, list):
        for inner in found:
            yield from texts_in(inner)
    elif isinstance(found, str) and found[:1] in "[{":
        try:
            yield from texts_in(json.loads(found))
        except ValueError:
            yield found
    elif isinstance(found, str):
        yield found
