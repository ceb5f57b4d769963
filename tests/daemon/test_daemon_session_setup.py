"""Our part of a configuration on WAHA: seen to be missing, put right, and nothing else touched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from daemon.configuring import Setups
from daemon.configuring import adopt as adopt_on_waha
from daemon.servers import Server
from daemon.session_setup import drift, foreign_hosts, our_webhook, with_ours
from database import in_database, tenant_transaction
from models import ActionKind, WahaAction, WahaSession, uuid7
from models.requests import CreateWahaSession
from operations import actions, adopting, configuring, observing, session_ends
from operations.session_config import sealed_config
from tests.daemon.conftest import Rows
from tests.daemon.orders import ANA, OLGA, Rig, rig_of
from waha.client import WahaClient

ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
OURS = "http://127.0.0.1:1/webhooks/waha/main"
THEIRS: dict[str, Any] = {"url": "https://hooks.example.org/secret-path", "events": ["message"]}
SESSION = "/api/sessions/s1"


def server() -> Server:
    return Server("main", WahaClient("http://127.0.0.1:9", "k"), OURS, "key")


def ours() -> dict[str, Any]:
    return with_ours({}, ID, server())


def test_what_is_ours_is_no_drift() -> None:
    assert not drift(ours(), ID, server())
    assert not drift(ours() | {"proxy": {"server": "p:1"}, "debug": False}, ID, server())


@pytest.mark.parametrize(
    "change",
    [
        {"webhooks": []},
        {"webhooks": None},
        {"webhooks": [THEIRS]},
        {"metadata": {}},
        {"metadata": {"switchboard.session": "another"}},
    ],
)
def test_what_is_missing_of_ours_is_drift(change: dict[str, Any]) -> None:
    assert drift(ours() | change, ID, server())


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://127.0.0.1:1/old"},
        {"hmac": {"key": "another"}},
        {"hmac": None},
        {"events": ["message.any"]},
        {"retries": {"policy": "constant", "delaySeconds": 2, "attempts": 15}},
    ],
)
def test_a_webhook_of_ours_that_is_another_is_replaced_and_not_doubled(change: dict[str, Any]) -> None:
    config = ours() | {"webhooks": [THEIRS, our_webhook(server()) | change | {"customHeaders": [{"name": "X"}]}]}

    right = with_ours(config, ID, server())

    assert drift(config, ID, server())
    assert right["webhooks"] == [THEIRS, our_webhook(server()) | {"customHeaders": [{"name": "X"}]}]
    assert not drift(right, ID, server())


def test_everything_else_stays_as_it_is() -> None:
    config = {"webhooks": [THEIRS], "metadata": {"crm": "7"}, "proxy": {"server": "p:1"}, "noweb": {"a": 1}}
    before = deepcopy(config)

    right = with_ours(config, ID, server())

    assert config == before
    assert right["webhooks"][0] == THEIRS
    assert right["metadata"]["crm"] == "7"
    assert {name: right[name] for name in ("proxy", "noweb")} == {"proxy": {"server": "p:1"}, "noweb": {"a": 1}}


def test_others_are_named_by_their_host_alone() -> None:
    config = ours() | {"webhooks": [THEIRS, our_webhook(server())]}

    assert foreign_hosts(config, server()) == ["hooks.example.org"]


@pytest.fixture
async def rig(rows: Rows) -> AsyncIterator[Rig]:
    async with rig_of(rows) as rig:
        yield rig


def puts(rig: Rig) -> int:
    return sum(one.method == "PUT" for one in rig.waha.journal.requests_to(SESSION))


def config_of(rig: Rig) -> dict[str, Any]:
    return dict(rig.waha.sessions.known("s1").config or {})


async def look(rig: Rig) -> None:
    """A poll."""
    wanted = await in_database(observing.sessions_of, "main")
    seen = {info.name: info for info in await rig.server.client.list_sessions()}
    await Setups(rig.server, (OLGA.key,)).look(wanted, seen, rig.now)


@pytest.mark.timeline("complaint/21")
async def test_a_webhook_that_somebody_wrote_over_is_put_back_once_beside_theirs(rig: Rig) -> None:
    await look(rig)
    assert await rig.rows("SELECT count(*) FROM waha_actions") == [(0,)]
    rig.waha.sessions.known("s1").config = {"webhooks": [THEIRS], "metadata": {"crm": "7"}}

    await look(rig)
    await look(rig)
    await rig.turn(after=timedelta(seconds=1))
    await look(rig)
    await rig.turn(after=timedelta(seconds=1))

    assert puts(rig) == 1
    assert config_of(rig)["webhooks"] == [THEIRS, our_webhook(rig.server)]
    assert config_of(rig)["metadata"]["crm"] == "7"
    [told] = await rig.told()
    assert told.startswith("Somebody changed the configuration of session `sales` on WAHA server `main`: our webhook")
    assert "secret-path" not in told
    assert await rig.rows("SELECT action, actor FROM audit_entries") == [("session.repair", "system: reconciler")]
    assert await rig.rows("SELECT requested_at IS NOT NULL FROM catch_ups WHERE place = 's1'") == [(True,)]


async def test_another_address_in_the_settings_follows_without_a_word(rig: Rig) -> None:
    stale = our_webhook(rig.server) | {"url": "http://127.0.0.1:1/old"}
    rig.waha.sessions.known("s1").config = config_of(rig) | {"webhooks": [stale]}

    await look(rig)
    await rig.turn(after=timedelta(seconds=1))

    assert config_of(rig)["webhooks"] == [our_webhook(rig.server)]
    assert await rig.told() == []


async def test_what_is_written_over_again_and_again_is_left_alone_and_said_once(rig: Rig) -> None:
    for _ in range(6):
        rig.waha.sessions.known("s1").config = {"webhooks": [THEIRS]}
        await look(rig)
        await rig.turn(after=timedelta(minutes=1))

    assert puts(rig) == 3
    assert [text.split(":")[0] for text in await rig.told()][-1].startswith("The configuration of session `sales`")
    assert len(await rig.told()) == 2
    rig.now += timedelta(days=1)
    await look(rig)
    await rig.turn()
    assert puts(rig) == 4


async def test_many_that_follow_new_settings_are_restarted_one_after_another(rig: Rig) -> None:
    def others() -> list[tuple[UUID, UUID]]:
        with tenant_transaction(rig.tenant_id):
            return [
                (
                    rig.tenant_id,
                    WahaSession.create(
                        tenant_id=rig.tenant_id, name=f"n{number}", external_session_id=f"x{number}", server="main"
                    ).id,
                )
                for number in range(30)
            ]

    drifted = await in_database(others)

    asked = await in_database(configuring.ask_repairs, drifted, operators=(), now=rig.now)

    assert asked == 20
    spread = "extract(epoch FROM max(next_attempt_at) - min(next_attempt_at))"
    [(seconds,)] = await rig.rows(f"SELECT {spread} FROM waha_actions")  # noqa: S608
    assert float(seconds) == 38.0


async def test_what_cannot_be_repaired_keeps_no_other_session_from_repair(rig: Rig) -> None:
    def others(*, repairs: int) -> list[tuple[UUID, UUID]]:
        found = []
        with tenant_transaction(rig.tenant_id):
            for number in range(20):
                name = f"n{repairs}-{number}"
                session = WahaSession.create(
                    tenant_id=rig.tenant_id, name=name, external_session_id=name, server="main"
                )
                found.append((rig.tenant_id, session.id))
                for _ in range(repairs):
                    WahaAction.create(
                        id=uuid7(),
                        tenant_id=rig.tenant_id,
                        session_id=session.id,
                        kind=ActionKind.CONFIGURE,
                        payload={"repair": True},
                        done_at=rig.now,
                    )
        return found

    exhausted, fresh = await in_database(others, repairs=3), await in_database(others, repairs=0)
    drifted = [*exhausted, *fresh[:15]]

    first = await in_database(configuring.ask_repairs, drifted, operators=(OLGA.key,), now=rig.now)
    under_way = await in_database(configuring.ask_repairs, drifted, operators=(OLGA.key,), now=rig.now)
    others_too = await in_database(configuring.ask_repairs, [*drifted, *fresh[15:]], operators=(), now=rig.now)

    assert (first, under_way, others_too) == (15, 0, 5)
    assert len(await rig.told()) == 20


async def test_that_a_webhook_was_gone_is_said_also_where_the_answer_to_putting_it_back_was_lost(rig: Rig) -> None:
    rig.waha.sessions.known("s1").config = {"webhooks": [THEIRS]}
    await look(rig)
    rig.waha.faults.lock(SESSION, carried_out=True, times=1)

    await rig.turn()
    await rig.turn(after=timedelta(seconds=5))

    assert puts(rig) == 1
    [told] = await rig.told()
    assert told.startswith("Somebody changed the configuration of session `sales` on WAHA server `main`: our webhook")
    assert await rig.rows("SELECT after FROM audit_entries") == [({"was_lost": True},)]
    assert await rig.rows("SELECT requested_at IS NOT NULL FROM catch_ups WHERE place = 's1'") == [(True,)]


async def test_a_proxy_is_set_and_taken_away_with_everything_else_left(rig: Rig) -> None:
    def keep(config: dict[str, Any]) -> None:
        with tenant_transaction(rig.tenant_id):
            WahaSession.update(config=config).where(WahaSession.id == rig.session_id).execute()

    proxy = {"server": "proxy.example.org:3128", "username": "acme", "password": "Pq7x"}
    await in_database(keep, sealed_config({"proxy": proxy}, rig.session_id))
    rig.waha.sessions.known("s1").config = config_of(rig) | {"debug": True}
    await rig.order(ActionKind.CONFIGURE, payload={"proxy": proxy["server"]})

    await rig.turn()

    assert config_of(rig)["proxy"] == proxy
    await in_database(keep, {})
    await rig.order(ActionKind.CONFIGURE, payload={"proxy": "none"})
    await rig.turn()
    assert "proxy" not in config_of(rig)
    assert config_of(rig)["debug"] is True
    through, without = await rig.told()
    assert through.startswith("Session `sales` goes through proxy proxy.example.org:3128 as acme now;")
    assert without.startswith("Session `sales` goes through no proxy now;")
    assert "Pq7x" not in through


async def adopt(rig: Rig, waha_name: str, name: str = "shop") -> UUID:
    request = CreateWahaSession(tenant_id=rig.tenant_id, name=name, server="main")
    session_id = uuid7()

    def ask() -> None:
        with tenant_transaction(rig.tenant_id):
            adopting.ask_adoption(
                request, waha_name, session_id=session_id, action_id=uuid7(), asker=ANA, actor=OLGA.key
            )

    await in_database(ask)
    return session_id


async def test_a_session_that_is_there_is_taken_over_without_a_new_scan(rig: Rig) -> None:
    stranger = rig.waha.sessions.create("shop-1", {"webhooks": [THEIRS], "metadata": {"crm": "7"}})
    stranger.start()
    await rig.waha.pair("shop-1", rig.waha.whatsapp.phone("+4930111", name="Shop"))
    session_id = await adopt(rig, "shop-1")
    await look(rig)

    await rig.turn()
    await look(rig)
    await rig.turn()

    assert stranger.config == {
        "webhooks": [THEIRS, our_webhook(rig.server)],
        "metadata": {"crm": "7", **with_ours({}, session_id, rig.server)["metadata"]},
    }
    assert stranger.device is not None
    [told] = await rig.told()
    assert told.startswith("🟢 Session `shop` is taken over from WAHA server `main`; no code has to be scanned.")
    assert "WAHA tells others too what happens in it, and still does: hooks.example.org." in told
    assert await rig.rows(
        "SELECT desired_state, next_control_at <= now(), metadata ->> 'me_id' FROM waha_sessions WHERE name = 'shop'"
    ) == [("running", True, "4930111@c.us")]
    puts = [one for one in rig.waha.journal.requests_to("/api/sessions/shop-1") if one.method == "PUT"]
    assert len(puts) == 1


async def test_a_session_that_is_not_there_is_answered_with_the_nearest_and_leaves_no_name_taken(rig: Rig) -> None:
    rig.waha.sessions.create("shop-1", {})
    await adopt(rig, "shop1")

    await rig.turn()

    [told] = await rig.told()
    assert told.startswith("WAHA server `main` has no session called `shop1`, so nothing was taken over.")
    assert "Not taken over yet: `shop-1`." in told
    assert "s1`" not in told.replace("`shop1`", "").replace("`shop-1`", "")
    await adopt(rig, "shop1")


async def test_one_that_is_removed_before_it_was_taken_over_stays_as_it_is_on_waha(rig: Rig) -> None:
    stranger = rig.waha.sessions.create("shop-1", {"webhooks": [THEIRS]})
    stranger.start()
    await adopt(rig, "shop-1")
    [leased] = await in_database(actions.lease, 1, timedelta(seconds=60))

    def remove() -> None:
        with tenant_transaction(rig.tenant_id):
            session_ends.ask_removal(rig.tenant_id, "shop", action_id=uuid7(), asker=ANA, actor=ANA.key)

    await in_database(remove)
    await adopt_on_waha(leased, rig.server, now=rig.now)
    await rig.turn()

    assert rig.waha.sessions.get("shop-1") is stranger
    assert stranger.config == {"webhooks": [THEIRS]}
    methods = {one.method for one in rig.waha.journal.requests_to("/api/sessions/shop-1")}
    assert methods <= {"GET"}
    [told] = await rig.told()
    assert told.startswith("Session `shop` was removed before it was taken over;")


async def test_a_keyless_store_makes_ids_untrusted(rows: Rows) -> None:
    async with rig_of(rows, engine="NOWEB") as rig:
        await rows("UPDATE waha_servers SET engine = 'NOWEB'")
        rig.waha.sessions.create("shop-1", {"noweb": {"store": {"enabled": False}}})
        await adopt(rig, "shop-1")
        await rows("UPDATE waha_sessions SET engine = 'NOWEB'")

        await rig.turn()

        assert await rows("SELECT ids_refused_at IS NOT NULL FROM waha_sessions WHERE name = 'shop'") == [(True,)]
