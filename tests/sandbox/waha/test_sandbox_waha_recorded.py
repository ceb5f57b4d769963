"""NOWEB as a real 2026.2.1 was recorded: whatever the simulator says has the same fields and kinds of values.

The literals are the recording's; only their shape is compared, since ids and times differ.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.sandbox.waha.conftest import Make, Rig

CHAT = "4915123456789@c.us"
ME = {"id": "11111111111@c.us", "pushName": "Fake Shop", "lid": "900011111111111@lid"}
ENVIRONMENT = {
    "version": "2026.2.1",
    "engine": "NOWEB",
    "tier": "CORE",
    "browser": None,
    "platform": "linux/x64",
    "worker": {"id": None},
}
SENT = json.loads(
    '{"key":{"remoteJid":"79991234567@s.whatsapp.net","fromMe":true,"id":"3EB077DB81DE61F46E851D"},'
    '"message":{"extendedTextMessage":{"text":"one"}},"messageTimestamp":"1795356716","status":"PENDING"}'
)
SENT_REPLY = json.loads(
    '{"key":{"remoteJid":"79991234567@s.whatsapp.net","fromMe":true,"id":"3EB0E1C5F36120ABDD5AFE"},'
    '"message":{"extendedTextMessage":{"text":"a reply","contextInfo":{"stanzaId":"3EB0651541E8C46901A40C",'
    '"participant":"79991234567@s.whatsapp.net","quotedMessage":{"conversation":"two"}}}},'
    '"messageTimestamp":"1795356719","status":"PENDING"}'
)
OWN = json.loads(
    '{"id":"true_79991234567@c.us_3EB0E1C5F36120ABDD5AFE","timestamp":1795356719,"from":"79991234567@c.us",'
    '"fromMe":true,"source":"api","body":"a reply","hasMedia":false,"media":null,"ack":0,"ackName":"PENDING",'
    '"location":null,"vCards":null,"replyTo":{"id":"3EB0651541E8C46901A40C","participant":"79991234567@c.us",'
    '"body":"two","_data":{"conversation":"two"}},"_data":{}}'
) | {"_data": SENT_REPLY}
INCOMING = json.loads(
    '{"id":"false_79991234567@c.us_3EB0651541E8C46901A40C","timestamp":1795356716,"from":"79991234567@c.us",'
    '"fromMe":false,"source":"app","body":"two","hasMedia":false,"media":null,"ack":2,"ackName":"DEVICE",'
    '"location":null,"vCards":null,"replyTo":null,"_data":{"key":{"remoteJid":"79991234567@s.whatsapp.net",'
    '"fromMe":false,"id":"3EB0651541E8C46901A40C","participant":"","addressingMode":"pn"},'
    '"messageTimestamp":1795356716,"pushName":"Alice","broadcast":false,"message":{"conversation":"two"},"status":3}}'
)
INCOMING_GROUP = json.loads(
    '{"id":"false_120363000000000001@g.us_3EB001E7124BF0DE5CFDAF_79991234567@c.us","timestamp":1795356716,'
    '"from":"120363000000000001@g.us","fromMe":false,"source":"app","body":"in a group",'
    '"to":"120363000000000001@g.us","participant":"79991234567@c.us","hasMedia":false,"media":null,"ack":2,'
    '"ackName":"DEVICE","location":null,"vCards":null,"replyTo":null,"_data":{"key":'
    '{"remoteJid":"120363000000000001@g.us","fromMe":false,"id":"3EB001E7124BF0DE5CFDAF",'
    '"participant":"79991234567@s.whatsapp.net","addressingMode":"pn"},"messageTimestamp":1795356716,'
    '"pushName":"Alice","broadcast":false,"message":{"conversation":"in a group"},"status":3}}'
)
INCOMING_LID = json.loads(
    '{"id":"false_900079991234567@lid_3EB0C0ADC0B4D2B92C5092","timestamp":1795356716,"from":"900079991234567@lid",'
    '"fromMe":false,"source":"app","body":"from a LID chat","hasMedia":false,"media":null,"ack":2,"ackName":"DEVICE",'
    '"location":null,"vCards":null,"replyTo":null,"_data":{"key":{"remoteJid":"900079991234567@lid",'
    '"remoteJidAlt":"79991234567@s.whatsapp.net","fromMe":false,"id":"3EB0C0ADC0B4D2B92C5092","participant":"",'
    '"addressingMode":"lid"},"messageTimestamp":1795356716,"pushName":"Alice","broadcast":false,'
    '"message":{"conversation":"from a LID chat"},"status":3}}'
)
RECEIPT = {"id": "true_79991234567@c.us_3EB0", "from": CHAT, "fromMe": True, "ack": 2, "ackName": "DEVICE"}
IN_HISTORY = json.loads(
    '{"key":{"remoteJid":"79991234567@s.whatsapp.net","fromMe":true,"id":"3EB077DB81DE61F46E851D"},'
    '"message":{"extendedTextMessage":{"text":"one"}},"messageTimestamp":1795356716,"status":4}'
)


def shape(value: Any) -> Any:
    """The same JSON with each plain value replaced by its kind."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


@pytest.fixture
async def noweb(make_rig: Make) -> Rig:
    rig = await make_rig(engine="NOWEB", version="2026.2.1", worker_id=None)
    await rig.pair()
    return rig


async def incoming(rig: Rig) -> Any:
    [event] = await rig.until(lambda: rig.hooks.events("message"))
    return event["payload"]


async def test_the_answer_to_a_send_is_raw(noweb: Rig) -> None:
    answer = await noweb.send("one")

    assert answer.status == 201
    assert shape(answer.body) == shape(SENT)
    assert answer.body["status"] == "PENDING"


async def test_a_reply_and_its_event(noweb: Rig) -> None:
    question = await noweb.carla.write("two", to=noweb.shop)

    answer = await noweb.send("a reply", reply_to=f"false_{CHAT}_{question.id}")

    events = await noweb.until(
        lambda: len(noweb.hooks.events("message.any")) == 2 and noweb.hooks.events("message.any")
    )
    [own] = [event["payload"] for event in events if event["payload"]["fromMe"]]
    assert shape(answer.body) == shape(SENT_REPLY)
    assert shape(own) == shape(OWN)


async def test_an_incoming_text(noweb: Rig) -> None:
    await noweb.carla.write("two", to=noweb.shop)

    assert shape(await incoming(noweb)) == shape(INCOMING)


async def test_an_incoming_text_in_a_group(noweb: Rig) -> None:
    group = noweb.whatsapp.group("Crew", [noweb.shop, noweb.carla])

    await noweb.carla.write("in a group", to=group)

    assert shape(await incoming(noweb)) == shape(INCOMING_GROUP)


async def test_an_incoming_text_from_a_hidden_id(noweb: Rig) -> None:
    noweb.carla.appears_as = "lid"

    await noweb.carla.write("from a LID chat", to=noweb.shop)

    assert shape(await incoming(noweb)) == shape(INCOMING_LID)


async def test_a_receipt(noweb: Rig) -> None:
    await noweb.send("one")

    events = await noweb.until(lambda: noweb.hooks.events("message.ack"))
    assert shape(events[0]["payload"]) == shape(RECEIPT)


async def test_an_envelope_and_a_status(noweb: Rig) -> None:
    statuses = await noweb.until(lambda: len(noweb.hooks.statuses()) == 4 and noweb.hooks.events("session.status"))

    first, *_, last = sorted(statuses, key=lambda event: int(event["timestamp"]))
    assert list(first) == ["id", "timestamp", "event", "session", "me", "payload", "engine", "environment"]
    assert (first["me"], first["environment"]) == (None, ENVIRONMENT)
    assert first["payload"].keys() == {"name", "status", "statuses"}
    assert [entry["status"] for entry in last["payload"]["statuses"]] == ["SCAN_QR_CODE", "STARTING", "WORKING"]
    assert ME.keys() <= last["me"].keys()


async def test_a_row_of_the_history(noweb: Rig) -> None:
    await noweb.send("one")
    await noweb.carla.read(noweb.shop)

    [row] = (await noweb.call("GET", f"/api/acme/chats/{CHAT}/messages?limit=5&downloadMedia=false")).body

    assert (row["ack"], row["ackName"]) == (3, "READ")
    assert shape(row["_data"]) == shape(IN_HISTORY)
    assert row["_data"]["status"] == 4


async def test_a_session_from_start_to_end(make_rig: Make) -> None:
    rig = await make_rig(engine="NOWEB", version="2026.2.1", worker_id=None)

    await rig.call("POST", "/api/sessions", {"name": "default", "start": False, "config": rig.config()})
    stopped = await rig.call("GET", "/api/sessions/default")
    started = await rig.call("POST", "/api/sessions/default/start")
    after = await rig.call("POST", "/api/sessions/default/stop")

    fields = ["name", "status", "config", "me", "presence", "timestamps"]
    assert [key for key in stopped.body if key in fields] == fields
    assert (stopped.body["status"], stopped.body["engine"]) == ("STOPPED", {})
    assert (started.body["status"], started.body["engine"]) == ("STARTING", {"engine": "NOWEB"})
    assert (after.body["status"], after.body["timestamps"]) == ("STOPPED", {"activity": None})
