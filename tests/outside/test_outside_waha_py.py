"""waha-py, a client that others wrote, works against the simulated WAHA; and where it is wrong about WAHA is known.

It lives in a virtual environment of its own, since its package has the name of one of our rooms: `make waha-py`.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from aiohttp import web
from PIL import Image

from sandbox.waha import EngineName, SandboxWaha
from sandbox.whatsapp import WhatsApp

PYTHON = Path(__file__).parents[2] / ".venv-waha-py" / "bin" / "python"
PLAY = Path(__file__).with_name("play.py")

# Fields where its models refuse what WAHA answers, whichever the engine.
ALWAYS_WRONG = {
    "WebhookConfig.events.[]": "WAHA takes and answers names of events",
    "SessionInfo.config.webhooks.[].events.[]": "the same, in every session",
    "SessionInfo.presence": "WAHA answers a word or null",
    "SessionInfo.timestamps.activity": "null until something was asked of the session",
    "WAHAWebhookMessageAny.event": "WAHA posts the name of the event",
    "WAHAWebhookSessionStatus.event": "the same",
    "AuthApi.get_qr": "a picture becomes text, and is lost",
    "ChattingApi.send_text": "the call of its README is none",
    "SessionsApi.get": "a name is put into the path as it is",
    "__version__": "not the version that was installed",
    "WahaClient.close": "leaves its asynchronous half open",
}
# A chat of two has no participant and a text no picture; only the browser's engine names a browser.
WRONG_WITHOUT_BROWSER = {
    "WAHAEnvironment.browser",
    "WAHAWebhookMessageAny.environment.browser",
    "WAHAWebhookSessionStatus.environment.browser",
}


@dataclass
class Played:
    """What the client said that it did, and what is wrong with it."""

    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    wrong: dict[str, dict[str, Any]] = field(default_factory=dict)

    def hear(self, line: bytes) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(line)
        if said["step"] == "WRONG":
            self.wrong.setdefault(said["where"], said)
        else:
            self.steps[said["step"]] = said
        return said


@pytest.fixture
def python() -> Path:
    if not PYTHON.exists():
        reason = "there is no .venv-waha-py: make waha-py"
        if os.environ.get("WAHA_PY") == "required":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return PYTHON


@asynccontextmanager
async def receiver() -> AsyncIterator[tuple[str, list[bytes]]]:
    bodies: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", bodies
    finally:
        await runner.cleanup()


def code_in(picture: str) -> str:
    [code] = zxingcpp.read_barcodes(Image.open(io.BytesIO(base64.b64decode(picture))))
    return str(code.text)


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
async def test_a_client_that_is_not_ours_works_with_the_simulated_waha(python: Path, engine: EngineName) -> None:
    whatsapp = WhatsApp(seed=3)
    shop, carla = whatsapp.phone("+4930123456", name="Shop"), whatsapp.phone("+4915123456789", name="Carla")
    played = Played()
    # Codes that stay long enough for a client that is started anew.
    async with receiver() as (hook, events), SandboxWaha(whatsapp, engine=engine, pace=0.2) as waha:
        waha.add_idle_sessions(["quiet"], status="STOPPED")
        command = (str(python), "-I", str(PLAY), waha.url, waha.api_key, hook)
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        async for line in process.stdout:
            said = played.hear(line)
            if said["step"] == "qr":
                await shop.scan(said["raw"])
            if said["step"] == "read":
                process.stdin.write(b"".join(body + b"\n" for body in events))
                process.stdin.close()
        assert await process.wait() == 0, (await process.stderr.read()).decode()

    for where, one in sorted(played.wrong.items()):
        print(f"{engine}: {where}: as waha-py says: {one['says']} / as WAHA answers: {one['answers']}")  # noqa: T201 - to be read
    steps = played.steps
    assert (steps["list"]["names"], steps["create"]["status"]) == (["quiet"], "STOPPED")
    assert steps["refused"]["again"] == "HTTPStatusError"
    assert code_in(steps["qr"]["png"]) == code_in(steps["qr"]["json"]) == steps["qr"]["raw"]
    assert steps["paired"]["me"]["id"] == "4930123456@c.us"
    assert [shown.text for shown in carla.chat_with(shop)] == ["Hello from outside"]
    assert "end" in steps
    assert {name for name in ALWAYS_WRONG if name not in played.wrong} == set()
    assert WRONG_WITHOUT_BROWSER.isdisjoint(played.wrong) is (engine == "WEBJS")
