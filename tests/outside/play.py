"""A client that is not ours, waha-py, before a simulated WAHA. Run by the Python that has it: `make waha-py`.

It is told an address and a key, and says what it did on its output, one JSON object a line; whoever started it plays
the phone, and writes the events that were posted meanwhile to its input. `WRONG` lines are where the client's own
models do not take what WAHA answers.
"""

from __future__ import annotations

import base64
import importlib
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from typing import Any

# Not the room of this checkout that has the same name: this file's own directory comes first on the path.
waha: Any = importlib.import_module("waha")
http_status_error: Any = importlib.import_module("httpx").HTTPStatusError

SESSION = "outside"
CUSTOMER = "4915123456789@c.us"
PATIENCE_SECONDS = 30.0


def say(step: str, **facts: Any) -> None:
    print(json.dumps({"step": step} | facts), flush=True)  # noqa: T201 - this is how it reports


def check_model(name: str, answer: Any) -> None:
    """Says which fields of `answer` the client's own model refuses."""
    model = getattr(waha.models, name)
    try:
        model.model_validate(answer)
    except Exception as error:  # noqa: BLE001 - pydantic's, whose name is not needed here
        for problem in error.errors():  # type: ignore[attr-defined]
            field = ".".join("[]" if isinstance(part, int) else str(part) for part in problem["loc"])
            absent = problem["type"] == "missing"
            answers = "nothing" if absent else json.dumps(problem["input"])[:60]
            say("WRONG", where=f"{name}.{field}", says=problem["msg"], answers=answers)


def wait_for(status: str, client: Any) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (info := client.sessions.get(SESSION))["status"] != status:
        if time.monotonic() > deadline:
            raise TimeoutError(f"The session is {info['status']} and not {status}.")
        time.sleep(0.05)
    found: dict[str, Any] = info
    return found


def refusal(call: Callable[[], Any]) -> str:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever it is, its kind is what is to be shown
        return type(error).__name__
    return "nothing"


def pair(client: Any) -> None:
    client.sessions.start(SESSION)
    wait_for("SCAN_QR_CODE", client)
    raw = client.auth.get_qr(SESSION, params={"format": "raw"})["value"]
    as_json = client.auth.get_qr(SESSION)
    through_http = waha.WahaHttpClient(client._http.base_url, client._http.api_key)
    png = through_http.request("GET", f"/api/{SESSION}/auth/qr", headers={"Accept": "image/png"}).content
    mangled = client.auth.get_qr(SESSION, headers={"Accept": "image/png"})
    if isinstance(mangled, str):
        lost = base64.b64encode(mangled.encode()) != base64.b64encode(png)
        say("WRONG", where="AuthApi.get_qr", says="str", answers="image/png", lost=lost)
    say("qr", raw=raw, json=as_json["data"], png=base64.b64encode(png).decode(), mimetype=as_json["mimetype"])
    check_model("SessionInfo", wait_for("WORKING", client))
    say("paired", me=client.sessions.get_me(SESSION))


def play(client: Any) -> None:
    say("list", names=[one["name"] for one in client.sessions.list(params={"all": "true"})])
    check_model("ServerStatusResponse", client.server.status())
    check_model("WAHAEnvironment", client.server.get())
    created = client.sessions.create({"name": SESSION, "start": False, "config": config()})
    check_model("SessionInfo", created)
    say("create", status=created["status"])
    say("refused", again=refusal(lambda: client.sessions.create({"name": SESSION})))
    pair(client)
    sent = client.chatting.send_text({"session": SESSION, "chatId": CUSTOMER, "text": "Hello from outside"})
    say("send", sent=sent)
    messages = client.chats.get_chat_messages(SESSION, CUSTOMER, params={"limit": 10, "downloadMedia": "false"})
    say("read", bodies=[message["body"] for message in messages])
    for message in messages:
        check_model("WAMessage", message)


def config() -> dict[str, Any]:
    webhook = {"url": sys.argv[3], "events": ["message.any", "session.status"]}
    check_model("WebhookConfig", webhook)
    return {"webhooks": [webhook], "noweb": {"store": {"enabled": True}}}


def hear() -> None:
    """The events that WAHA posted, one a line, until the end of the input."""
    models = {"message.any": "WAHAWebhookMessageAny", "session.status": "WAHAWebhookSessionStatus"}
    for line in sys.stdin:
        event = json.loads(line)
        check_model(models[event["event"]], event)


def complain(client: Any) -> None:
    """What is wrong with the client beside its models."""
    call = {"session": SESSION, "payload": {"chatId": CUSTOMER, "text": "as its README has it"}}
    refused = refusal(lambda: client.chatting.send_text(**call))
    say("WRONG", where="ChattingApi.send_text", says="session=, payload=", answers=refused)
    # A path that is not encoded: the name of a session reaches another route.
    found = client.sessions.get(f"{SESSION}/me")
    if "status" not in found:
        say("WRONG", where="SessionsApi.get", says="a session of this name", answers=f"the account {found['id']}")
    shown, installed = waha.__version__, importlib.metadata.version("waha-py")
    if shown != installed:
        say("WRONG", where="__version__", says=shown, answers=installed)
    client.close()
    if not client._http._async_client.is_closed:
        say("WRONG", where="WahaClient.close", says="closed", answers="the asynchronous client stays open")


def main() -> None:
    client = waha.WahaClient(sys.argv[1], sys.argv[2])
    play(client)
    hear()
    complain(client)
    say("end")


if __name__ == "__main__":
    main()
