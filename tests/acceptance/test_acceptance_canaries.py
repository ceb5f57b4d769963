"""No secret comes out: in logs, errors, Slack, answers to strangers, rows or `repr()`, whatever goes wrong."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from operations.encryption import KeyRing
from operations.slack_inbox import Answer
from sandbox.slack import Wait
from sandbox.stage import Stage
from sandbox.whatsapp import Phone
from settings import Settings, load
from settings.errors import SettingsError
from slack.client import SlackClient
from tests.acceptance.acting import Query, Scene, Team, until_logged
from tests.acceptance.canaries import (
    Canaries,
    command_lines,
    logs_of,
    plant,
    rows_of,
    tell_processes,
    told_to_slack,
)
from waha.client import WahaClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]


@dataclass
class Journey:
    """What was done, and what came back to those who are no part of the installation."""

    scene: Scene
    canaries: Canaries
    answers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def stage(self) -> Stage:
        return self.scene.stage

    async def http(self, name: str, method: str, path: str, **how: Any) -> str:
        url = f"http://127.0.0.1:{self.stage.daemon_port}{path}"
        async with (
            aiohttp.ClientSession(cookies=self.cookies) as client,
            client.request(method, url, **how) as response,
        ):
            text = await response.text()
        self.cookies |= {one.key: one.value for one in response.cookies.values()}
        self.answers[f"HTTP answer to {name}"] = f"{response.status} {dict(response.headers)} {text}"
        return text


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def journey(tmp_path_factory: pytest.TempPathFactory, database_url: str, rows: Query) -> AsyncIterator[Journey]:
    canaries = Canaries()
    stage = Stage(tmp_path_factory.mktemp("canaries"), database_url=database_url)
    plant(stage, canaries)
    async with stage:
        tell_processes(stage, canaries, database_url, log_format="console")
        await refused_starts(stage, canaries)
        await stage.start()
        walked = Journey(Scene(stage, rows), canaries)
        acme = await link_phone(walked)
        await talk(walked, acme)
        await let_slack_and_waha_fail(walked, acme)
        await use_proxy(walked, acme)
        await log_in(walked)
        await connect_workspace(walked)
        await let_postgresql_fail(walked)
        await start_again(walked, "json")
        await post_webhooks(walked, acme)
        await let_postgresql_fail(walked)
        yield walked


async def refused_starts(stage: Stage, canaries: Canaries) -> None:
    """A wrong token, a misspelled key, a key that was taken away."""
    config = stage.directory / "config.toml"
    settings = {
        "wrong-token": {"SWITCHBOARD_SLACK__BOT_TOKEN": canaries["wrong bot token"]},
        "swapped-token": {"SWITCHBOARD_SLACK__BOT_TOKEN": canaries["app token"]},
        "misspelled-key": {"SWITCHBOARD_SECURITY__ENCRYPTION_KEYS": canaries["misspelled encryption key"]},
    }
    for name, environment in settings.items():
        with (stage.directory / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "bot"),
                cwd=ROOT,
                env={"PATH": os.defpath, "SWITCHBOARD_CONFIG": str(config)} | environment,
                stdout=log,
                stderr=log,
            )
            assert await process.wait() == 78, (stage.directory / f"{name}.log").read_text()


async def link_phone(journey: Journey) -> Team:
    """A tenant with a session, whose QR code somebody asks for and scans."""
    scene, stage = journey.scene, journey.stage
    await scene.ask("olga", "tenant create Acme", expect="Acme")
    await scene.ask("olga", "user add @ana TENANT_ADMIN --tenant Acme", expect="TENANT_ADMIN")
    await scene.ask("ana", "channel link --tenant Acme", channel="support", expect="conversations")
    await scene.ask("ana", "session add sales", channel="support", expect="sales")
    [(name,)] = scene.rows("SELECT external_session_id FROM waha_sessions")
    session = await stage.until(lambda: stage.waha.sessions.get(name), "the session on WAHA")
    await scene.until_rows("SELECT status FROM waha_sessions", [("scan_qr",)])
    await scene.ask("ana", "session qr sales", channel="support", expect="direct message")
    await stage.until(lambda: stage.slack.pictures("ana"), "the QR code", 30)
    journey.canaries["QR value"] = str(session.qr_value or journey.canaries["QR value of a webhook"])
    phone = stage.whatsapp.phone("+4930901820", name="Acme")
    await stage.waha.pair(name, phone)
    await scene.until_rows("SELECT status FROM waha_sessions", [("working",)])
    return Team("Acme", "ana", "support", "sales", name, phone)


def customer(journey: Journey) -> Phone:
    return journey.stage.whatsapp.phone("+4915123456789", name="Carla")


async def talk(journey: Journey, acme: Team) -> None:
    scene = journey.scene
    root = await scene.written(acme, customer(journey), "Where is my order?")
    scene.reply(acme, root, "It leaves today.")
    await scene.arrives_once(acme, customer(journey), "It leaves today.")
    await scene.ask("ana", f"session add {journey.canaries['typed token']}", expect="stays in Slack's logs")
    await scene.ask("ben", "session list", expect="no role")


async def let_slack_and_waha_fail(journey: Journey, acme: Team) -> None:
    scene, stage = journey.scene, journey.stage
    stage.slack.fail("chat.postMessage", status=500, times=2)
    # Both failures may meet this post, and each is looked up when its lease of 11 s ends.
    root = await scene.written(acme, customer(journey), "And now?", seconds=60)
    stage.waha.refuse_key()
    await scene.until_rows("SELECT state FROM waha_servers", [("key_refused",)])
    stage.waha.accept_key()
    await stage.waha.go_down()
    await scene.until_rows("SELECT state FROM waha_servers", [("down",)])
    scene.reply(acme, root, "While WAHA was away.")
    await stage.waha.come_back()
    await scene.arrives_once(acme, customer(journey), "While WAHA was away.", seconds=60)


async def use_proxy(journey: Journey, acme: Team) -> None:
    """A session with a proxy is made on WAHA, which is told its password."""
    scene, canaries = journey.scene, journey.canaries
    [(session_id,)] = scene.rows("SELECT id FROM waha_sessions")
    settings = load(journey.stage.directory / "config.toml", {})
    ring = KeyRing(settings.security.raw_keys)
    sealed = ring.encrypt(canaries["proxy password"].encode(), table="waha_sessions", column="config", row=session_id)
    proxy = json.dumps({"proxy": {"server": "proxy.example.org:3128", "username": "acme", "password": sealed}})
    scene.rows(f"UPDATE waha_sessions SET config = '{proxy}'")  # noqa: S608 - ours
    url = f"{journey.stage.waha.url}/api/sessions/{acme.waha_session}"
    headers = {"X-Api-Key": canaries["WAHA API key"]}
    async with aiohttp.ClientSession() as client, client.delete(url, headers=headers) as response:
        assert response.status == 200

    def told() -> bool:
        return any(
            canaries["proxy password"].encode() in one.body
            for one in journey.stage.waha.journal.requests_to("/api/sessions")
        )

    await journey.stage.until(told, "WAHA to be told of the proxy", 30)


async def log_in(journey: Journey) -> None:
    """A tenant asks for a password, and its administrator sets one on the page."""
    scene, canaries = journey.scene, journey.canaries
    await scene.ask_for_passwords("ana")
    answer = await scene.ask("ana", "login", channel="support", expect="/pages/")
    [link] = set(re.findall(r"https?://[^\s|>]+/pages/[\w-]+", answer.text))
    canaries["page link"] = link.rpartition("/")[2]
    path = link.removeprefix("http://").partition("/")[2]
    page = await journey.http("the page", "GET", f"/{path}")
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page))
    headers = {"Origin": link.partition("/pages")[0]}
    entered = {"new": canaries["password"], "again": canaries["password"]}
    await journey.http("a form without its proof", "POST", f"/{path}", data=entered, headers=headers)
    unequal = hidden | entered | {"again": "another password"}
    await journey.http("passwords that differ", "POST", f"/{path}", data=unequal, headers=headers)
    done = await journey.http("the password", "POST", f"/{path}", data=hidden | entered, headers=headers)
    assert scene.rows("SELECT count(*) FROM logins") == [(1,)], done
    await journey.http("a link that was used", "GET", f"/{path}")


async def connect_workspace(journey: Journey) -> None:
    """An operator enters tokens, which Slack does not know."""
    scene, slack, canaries = journey.scene, journey.stage.slack, journey.canaries
    opened = Wait(seconds=15, until=lambda _: slack.modal("olga") is not None)
    await slack.command("olga", "general", "/wa workspace add", opened)
    labels = ("Bot token", "App token", "Signing secret")
    entered = {label: canaries[f"{label.lower()} of a workspace"] for label in labels}
    await slack.submit("olga", entered, Wait(seconds=0))
    await scene.until_rows("SELECT count(*) FROM slack_events WHERE kind <> 'event' AND answered_at IS NULL", [(0,)])
    refusal = next(one.text for one in reversed(slack.ephemerals("olga")) if "bot token" in one.text)
    assert "Slack refuses the bot token" in refusal


async def start_again(journey: Journey, log_format: str) -> None:
    """Both die, and come back with another format of their logs."""
    stage = journey.stage
    await stage.bot.kill()
    await stage.daemon.kill()
    config = stage.directory / "config.toml"
    config.write_text(config.read_text().replace('format = "console"', f'format = "{log_format}"'))
    await stage.start()


async def post_webhooks(journey: Journey, acme: Team) -> None:
    """What WAHA may tell of an account, genuine and forged."""
    canaries = journey.canaries
    told = {"status": "SCAN_QR_CODE", "qr": canaries["QR value of a webhook"], "code": canaries["pairing code"]}
    for number, name in enumerate(("session.status", "engine.event")):
        event = {"id": f"evt_{number}", "event": name, "session": acme.waha_session, "payload": told, "engine": "GOWS"}
        body = json.dumps(event).encode()
        digest = hmac.new(canaries["webhook HMAC key"].encode(), body, hashlib.sha512).hexdigest()
        headers = {"X-Webhook-Hmac": digest, "Content-Type": "application/json"}
        answer = await journey.http(f"a webhook of {name}", "POST", "/webhooks/waha/main", data=body, headers=headers)
        assert "kept" in answer
    await journey.http("a forged webhook", "POST", "/webhooks/waha/main", data=b"{}")
    await journey.http("healthz", "GET", "/healthz")
    await journey.http("readyz", "GET", "/readyz")
    waiting = "SELECT count(*) FROM webhook_events WHERE processed_at IS NULL AND parked_at IS NULL"
    await journey.scene.until_rows(waiting, [(0,)])


async def let_postgresql_fail(journey: Journey) -> None:
    """PostgreSQL refuses a row and shows it whole: what a command changes, then the answer to one."""
    scene = journey.scene
    scene.rows(
        "CREATE OR REPLACE FUNCTION reveal() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'refused for the test' USING DETAIL = NEW::text; END $$"
    )
    trigger = "CREATE TRIGGER reveal BEFORE INSERT OR UPDATE ON waha_sessions FOR EACH ROW EXECUTE FUNCTION reveal()"
    scene.rows(trigger)
    await scene.ask("ana", "session stop sales", channel="support", expect="went wrong on our side")
    scene.rows("DROP TRIGGER reveal ON waha_sessions")
    scene.rows(trigger.replace("waha_sessions", "slack_events").replace("INSERT OR UPDATE", "UPDATE OF answer"))
    await journey.stage.slack.command("ana", "support", "/wa session list")
    await until_logged(journey.stage.bot, "refused for the test")
    scene.rows("DROP TRIGGER reveal ON slack_events")


# Who is to have it has it.
MEANT_FOR = {
    "Slack's response_url": frozenset({"page link"}),
    # A cookie for the path of the link, to whoever came by the link.
    "HTTP answer to the page": frozenset({"page link"}),
    "HTTP answer to a form without its proof": frozenset({"page link"}),
    "HTTP answer to passwords that differ": frozenset({"page link"}),
}


async def test_no_secret_stands_anywhere_outside(journey: Journey, rows: Query) -> None:
    places = {
        **logs_of(journey.stage),
        **told_to_slack(journey.stage.slack),
        **journey.answers,
        **rows_of(rows),
        **command_lines(journey.stage),
    }
    leaks = {
        name: found
        for name, text in places.items()
        if (found := journey.canaries.found_in(text, but=MEANT_FOR.get(name, frozenset())))
    }

    characters = sum(map(len, places.values()))
    print(  # noqa: T201 - shown with -s
        f"{len(journey.canaries.planted)} canaries, {len(places)} places, {characters:,} characters: {leaks or 'none'}"
    )
    assert leaks == {}


async def test_no_address_that_answers_in_slack_is_kept_or_logged(journey: Journey, rows: Query) -> None:
    """Whoever has one may answer in its channel for half an hour."""
    address = re.compile(r"T0SANDBOX01/\w+/response")
    asked = sum(call.method == "response_url" for call in journey.stage.slack.journal)

    places = {**logs_of(journey.stage), **rows_of(rows)}
    found = [name for name, text in places.items() if address.search(text)]

    assert asked > 10
    assert found == []


async def test_what_was_searched_holds_what_the_journey_was(journey: Journey, rows: Query) -> None:
    """Else nothing would be found in empty places."""
    logs, tables = logs_of(journey.stage), rows_of(rows)

    assert "refused for the test" in logs["log bot.log"]
    assert {"Traceback", "DETAIL: [hidden]", '"level": "debug"', "[debug"} <= {
        words
        for words in ("Traceback", "DETAIL: [hidden]", '"level": "debug"', "[debug")
        for text in logs.values()
        if words in text
    }
    assert "It leaves today." in tables["table messages"]
    assert tables["table slack_events"].count("v1.") > 10
    assert journey.canaries.found_in(f"… {journey.canaries['WAHA API key']} …") == {"WAHA API key"}


async def test_no_object_shows_a_secret_when_it_is_printed(journey: Journey) -> None:
    settings = load(journey.stage.directory / "config.toml", {})
    canaries = journey.canaries

    async with (
        WahaClient("http://127.0.0.1:1", canaries["WAHA API key"]) as waha,
        SlackClient(canaries["bot token"], "http://127.0.0.1:1/api/") as slack,
    ):
        shown = [*everything_in(settings), waha, slack, KeyRing(settings.security.raw_keys)]
        shown.append(Answer(f"<https://example.org/pages/{canaries['page link']}|Log in>", is_secret=True))
        errors = [await raised(slack.auth_test()), await raised(waha.list_sessions())]

    text = "\n".join(f"{one!r} {one}" for one in [*shown, *errors, misspelled(journey)])
    assert canaries.found_in(text) == set()


def everything_in(settings: Settings) -> list[object]:
    tables = [getattr(settings, name) for name in Settings.model_fields]
    return [settings, *tables, *settings.waha.servers.values(), settings.model_dump(), settings.model_dump_json()]


async def raised(call: Any) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        await call
    return caught.value


def misspelled(journey: Journey) -> SettingsError:
    environment = {"SWITCHBOARD_SECURITY__ENCRYPTION_KEYS": journey.canaries["misspelled encryption key"]}
    with pytest.raises(SettingsError) as caught:
        load(journey.stage.directory / "config.toml", environment)
    return caught.value
