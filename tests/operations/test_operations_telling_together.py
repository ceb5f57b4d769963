"""Sessions that fail together, and servers that are away: one incident, with its likely cause, told once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from database import tenant_transaction
from models import IncidentKind, RoutePurpose, SessionWatch, Suspicion, Tenant, WahaSession
from operations import incidents, silence_words
from tests.operations.builders import ALERTS, OPERATOR, World
from tests.operations.troubles import Alerts, after, look, look_everywhere, observe, open_kinds, server_is

MANY = 200


@pytest.fixture
def alerts(world: World, tenant: Tenant) -> Alerts:
    world.route(tenant, ALERTS, RoutePurpose.ALERTS)
    return Alerts(world)


@pytest.fixture
def sessions(world: World, tenant: Tenant) -> list[WahaSession]:
    return [world.session(tenant, f"shop-{number}") for number in range(1, 6)]


def all_are(world: World, status: str, seconds: float) -> None:
    world.sql(
        "UPDATE waha_sessions SET status = %s, status_changed_at = %s, status_observed_at = %s",
        status,
        after(seconds),
        after(seconds),
    )


def kinds(world: World) -> dict[str, int]:
    return dict(world.sql("SELECT kind, count(*) FROM incidents GROUP BY kind"))


@pytest.mark.timeline("complaint/2")
def test_sessions_that_fail_together_on_a_server_that_answers_point_to_the_protocol(
    alerts: Alerts, world: World, sessions: list[WahaSession]
) -> None:
    server_is(world, "up", -100_000, version="2026.7.1", start_timestamp=1)
    for number, session in enumerate(sessions):
        observe(session, "FAILED", number)

    for seconds in range(10, 60, 2):
        look(sessions[0], seconds)

    [posted] = alerts.posts()
    assert posted.startswith("🔴 *5 sessions fail together.*")
    assert "WhatsApp may have changed its protocol: all of them use engine GOWS of WAHA 2026.7.1" in posted
    assert "do *not* log out" in posted
    assert "look for a newer waha" in posted.lower()
    assert "`shop-1`, `shop-2`, `shop-3`, `shop-4`, `shop-5`" in posted
    assert alerts.buttons() == ["Mute"]
    assert kinds(world) == {"failed": 5, "several_sessions": 1}
    assert world.value("SELECT count(*) FROM waha_actions WHERE kind = 'logout'") == 0


@pytest.mark.parametrize(
    ("server", "status", "words"),
    [
        (
            {"state": "up", "start_timestamp": after(-60).timestamp() * 1000},
            "failed",
            "`main` was restarted at <!date^",
        ),
        ({"state": "up", "start_timestamp": 1}, "stopped", "not known; somebody may have stopped them"),
        ({"state": "down", "error_message": "Refused <!here>."}, "failed", "`main` is down: Refused &lt;!here&gt;."),
        ({"state": "key_refused"}, "failed", "`main` refuses our key. A WAHA without a strong key"),
    ],
    ids=["restarted", "stopped", "down", "key refused"],
)
def test_the_cause_is_named_by_what_is_known_of_the_server(
    alerts: Alerts, world: World, sessions: list[WahaSession], server: dict[str, object], status: str, words: str
) -> None:
    server_is(world, str(server.pop("state")), 5, **server)
    all_are(world, status, 0)

    look(sessions[0], 10)

    [posted] = alerts.posts()
    assert words in posted


def test_many_that_fail_together_are_one_message_and_end_as_one(alerts: Alerts, world: World, tenant: Tenant) -> None:
    made = [world.session(tenant, f"shop-{number:03}") for number in range(MANY)]
    all_are(world, "failed", 0)
    look(made[0], 10)
    alerts.settle()
    all_are(world, "working", 300)
    look(made[0], 310)
    alerts.settle()

    [posted], [over] = alerts.posts(), alerts.updates()
    assert posted.startswith("🔴 *200 sessions fail together.*")
    assert "`shop-009` and 190 more." in posted
    assert over.startswith("🟢 *Over after 5 min: all of the 200 sessions that failed together work again.*")
    assert open_kinds(world) == []


def test_who_fails_a_moment_later_is_waited_for(alerts: Alerts, sessions: list[WahaSession]) -> None:
    for number, session in enumerate(sessions[:3]):
        observe(session, "FAILED", number * 4)
    for seconds in (10, 12, 14, 16, 18, 20):
        look(sessions[0], seconds)

    [posted] = alerts.posts()
    assert posted.startswith("🔴 *3 sessions fail together.*")


def test_those_told_singly_say_once_that_they_are_part_of_it(
    alerts: Alerts, world: World, sessions: list[WahaSession]
) -> None:
    for number, session in enumerate(sessions):
        observe(session, "FAILED", number * 120)
        for pause in (20, 60, 100):
            look(session, number * 120 + pause)
            alerts.settle()

    first, second, together = alerts.posts()
    assert [text[0] for text in (first, second, together)] == ["🔴", "🔴", "🔴"]
    assert together.startswith("🔴 *3 sessions fail together.*")
    parts = sorted(text for text in alerts.updates() if text.startswith("↪"))
    assert len(parts) == 2
    assert (
        parts[0] == "↪ Session `shop-1` had failed: part of “several sessions fail together”, which is told by itself."
    )
    joined = [text for text in alerts.updates() if text.startswith("🔴")]
    assert [text.partition(" sessions")[0] for text in joined] == ["🔴 *4", "🔴 *5"]
    assert world.value("SELECT count(*) FROM incidents WHERE part_of IS NOT NULL") == 5


def test_those_that_fail_in_other_hours_are_told_one_by_one(
    alerts: Alerts, world: World, sessions: list[WahaSession]
) -> None:
    for number, session in enumerate(sessions[:3]):
        observe(session, "FAILED", number * 601)
        look(session, number * 601 + 20)
        alerts.settle()

    assert len(alerts.posts()) == 3
    assert kinds(world) == {"failed": 3}


def test_how_many_work_again_is_said_while_others_do_not(
    alerts: Alerts, world: World, sessions: list[WahaSession]
) -> None:
    all_are(world, "failed", 0)
    look(sessions[0], 10)
    alerts.settle()
    for session in sessions[:4]:
        observe(session, "WORKING", 60)
    look(sessions[0], 70)

    [changed] = alerts.updates()
    assert "*Sessions*: `shop-5`, `shop-1`" in changed
    assert "4 of 5 work again." in changed


@pytest.mark.timeline("complaint/19")
def test_a_key_that_is_refused_is_said_with_what_makes_it_change(
    alerts: Alerts, world: World, sessions: list[WahaSession]
) -> None:
    server_is(world, "key_refused", 0, error_message="WAHA does not accept the API key. A WAHA without a strong key …")
    look(sessions[0], 9)
    early = alerts.posts()
    look_everywhere(10)
    alerts.settle()
    server_is(world, "up", 600)
    look_everywhere(610)
    alerts.settle()

    assert early == []
    for place in (ALERTS, OPERATOR.user_id):
        [posted], [over] = alerts.posts(place), alerts.updates(place)
        assert posted.startswith("🔴 *WAHA server `main` refuses our key.*")
        assert "A WAHA without a strong key" in posted
        assert "strong `WAHA_API_KEY` of your own" in posted
        assert "`waha.servers.main.api_key`" in posted
        assert over.startswith("🟢 *WAHA server `main` is back, after 10 min.*")


def test_what_fails_with_its_server_is_the_servers_trouble(
    alerts: Alerts, world: World, sessions: list[WahaSession]
) -> None:
    all_are(world, "stopped", 0)
    look(sessions[0], 12)
    alerts.settle()
    server_is(world, "down", 14, error_message="Connection refused.")
    look(sessions[0], 30)
    alerts.settle()
    server_is(world, "up", 120)
    look(sessions[0], 130)
    alerts.settle()
    for session in sessions[1:]:
        observe(session, "WORKING", 140)
    observe(sessions[0], "WORKING", 170)
    look(sessions[0], 160)
    alerts.settle()
    look(sessions[0], 180)
    alerts.settle()

    [posted] = alerts.posts()
    away, back, one_left, over = alerts.updates()
    assert posted.startswith("🔴 *5 sessions fail together.*")
    assert away.startswith("🔴 *WAHA server `main` is away.*\nSince <!date^")
    assert "*Likely cause*: Connection refused." in away
    assert back.startswith("🟡 *WAHA server `main` is back; 5 sessions on it still come up.*")
    assert one_left.startswith("🟡 *WAHA server `main` is back; 1 session on it still comes up.*")
    assert over.startswith("🟢 *WAHA server `main` is back, after")
    assert open_kinds(world) == []


def test_what_was_over_before_its_server_went_away_keeps_its_end(
    alerts: Alerts, world: World, sessions: list[WahaSession]
) -> None:
    observe(sessions[0], "FAILED", 0)
    look(sessions[0], 12)
    alerts.settle()
    observe(sessions[0], "WORKING", 60)
    look(sessions[0], 80)
    alerts.settle()
    server_is(world, "down", 100)
    look(sessions[0], 120)
    alerts.settle()

    [over] = alerts.updates()
    assert over.startswith("🟢 *Session `shop-1` works again")
    assert [posted.split("\n")[0] for posted in alerts.posts()][1:] == ["🔴 *WAHA server `main` is away.*"]


def test_a_server_that_is_away_once_more_is_news(alerts: Alerts, world: World, sessions: list[WahaSession]) -> None:
    for seconds in (0, 300):
        server_is(world, "down", seconds)
        look(sessions[0], seconds + 20)
        alerts.settle()
        server_is(world, "up", seconds + 60)
        look(sessions[0], seconds + 80)
        alerts.settle()

    away = [posted for posted in alerts.posts() if "is away" in posted]
    assert len(away) == 2
    assert [update.startswith("🟢") for update in alerts.updates()] == [True, True]


def test_those_that_failed_together_go_with_their_server_where_one_of_them_works_already(
    alerts: Alerts, world: World, sessions: list[WahaSession]
) -> None:
    all_are(world, "failed", 0)
    look(sessions[0], 12)
    alerts.settle()
    observe(sessions[0], "WORKING", 20)
    look(sessions[0], 40)
    alerts.settle()
    server_is(world, "down", 60)
    look(sessions[0], 90)
    alerts.settle()

    [posted] = alerts.posts()
    assert posted.startswith("🔴 *5 sessions fail together.*")
    assert alerts.updates()[-1].startswith("🔴 *WAHA server `main` is away.*")
    assert not any("Over after" in update for update in alerts.updates())


def test_who_does_not_come_up_with_its_server_is_told_by_itself(
    alerts: Alerts, world: World, sessions: list[WahaSession]
) -> None:
    server_is(world, "down", 0)
    look(sessions[0], 10)
    observe(sessions[0], "FAILED", 20)
    look(sessions[0], 30)
    server_is(world, "up", 60)
    look(sessions[0], 70)
    alerts.settle()
    look(sessions[0], 60 + 600)
    look(sessions[0], 60 + 620)

    _, alone = alerts.posts()
    assert alone.startswith("🔴 *Session `shop-1` failed.*")
    assert open_kinds(world) == ["failed"]


def test_a_server_that_is_away_for_a_moment_is_not_said(
    alerts: Alerts, world: World, sessions: list[WahaSession]
) -> None:
    server_is(world, "down", 0)
    look_everywhere(9)
    server_is(world, "up", 9)
    look_everywhere(60)

    assert alerts.posts() == []
    assert world.value("SELECT count(*) FROM incidents") == 0


def test_a_tenant_without_sessions_there_hears_nothing_of_a_server(
    alerts: Alerts, world: World, tenant: Tenant
) -> None:
    server_is(world, "down", 0)
    look_everywhere(10)
    look(tenant, 10)

    assert alerts.posts() == []
    assert len(alerts.posts(OPERATOR.user_id)) == 1


def test_sessions_of_several_tenants_are_one_incident_for_the_operators(world: World) -> None:
    alerts = Alerts(world)
    server_is(world, "up", -100_000, version="2026.7.1", start_timestamp=1)
    made = [world.session(world.tenant(name), "sales") for name in ("Acme", "Globex", "Initech")]
    world.sql("UPDATE waha_sessions SET status = 'failed', status_changed_at = %s", after(0))
    for seconds in (10, 12, 14):
        look_everywhere(seconds)
    alerts.settle()
    for session in made:
        observe(session, "WORKING", 300)
    for seconds in (310, 312, 330):
        look_everywhere(seconds)
        alerts.settle()

    posts = alerts.posts(OPERATOR.user_id)
    several = [text for text in posts if "fail together" in text]
    assert len(several) == 1
    assert "`sales` of Acme, `sales` of Globex, `sales` of Initech" in several[0]
    assert "WhatsApp may have changed its protocol" in several[0]
    assert open_kinds(world) == []
    assert world.value("SELECT count(*) FROM incidents WHERE tenant_id IS NULL AND ended_at = %s", after(300)) == 1


def test_operators_of_several_tenants_read_one_message(world: World) -> None:
    alerts = Alerts(world)
    for name in ("Acme", "Globex", "Initech"):
        world.session(world.tenant(name), "sales")
    world.sql("UPDATE waha_sessions SET status = 'failed', status_changed_at = %s", after(0))

    for seconds in (10, 12, 14):
        look_everywhere(seconds)

    assert len(alerts.posts(OPERATOR.user_id)) == 1


def test_each_tenant_is_told_of_its_own_sessions_alone(world: World) -> None:
    alerts = Alerts(world)
    for name in ("Acme", "Globex", "Initech"):
        tenant = world.tenant(name)
        world.route(tenant, f"C{name.upper()}", RoutePurpose.ALERTS)
        world.session(tenant, f"of-{name.lower()}")
    world.sql("UPDATE waha_sessions SET status = 'failed', status_changed_at = %s", after(0))
    for seconds in (10, 12, 30):
        look_everywhere(seconds)

    for name in ("Acme", "Globex", "Initech"):
        [posted] = alerts.posts(f"C{name.upper()}")
        assert posted.startswith(f"🔴 *Session `of-{name.lower()}` failed.*")


def a_daemon_runs(world: World, seconds: float, *, since: float) -> None:
    world.sql("DELETE FROM processes")
    world.sql(
        "INSERT INTO processes (id, kind, name, version, roles, started_at, seen_at) "
        "VALUES (gen_random_uuid(), 'daemon', 'one', '1', '[\"reconciler\"]', %s, %s)",
        after(since),
        after(seconds),
    )


def test_a_server_that_no_daemon_polls_any_more_is_told_no_further(
    alerts: Alerts, world: World, sessions: list[WahaSession]
) -> None:
    server_is(world, "down", 0)
    world.sql("UPDATE waha_servers SET poll_lease_expires_at = %s", after(60))
    look_everywhere(10)
    alerts.settle()
    a_daemon_runs(world, 659, since=50)
    look_everywhere(659)
    still = open_kinds(world)
    a_daemon_runs(world, 700, since=90)
    for seconds in (700, 702):
        look_everywhere(seconds)
        alerts.settle()

    assert still == ["server_away", "server_away"]
    for place in (ALERTS, OPERATOR.user_id):
        [_], [over] = alerts.posts(place), alerts.updates(place)
        assert over.startswith("⚪ *WAHA server `main` is not looked after now: it is not in the settings")
    assert open_kinds(world) == []


def test_after_a_downtime_of_ours_a_server_is_not_taken_for_one_that_nobody_polls(
    alerts: Alerts, world: World, sessions: list[WahaSession]
) -> None:
    server_is(world, "down", 0)
    world.sql("UPDATE waha_servers SET poll_lease_expires_at = %s", after(60))
    look_everywhere(10)
    a_daemon_runs(world, 3600, since=3590)
    look_everywhere(3600)

    assert open_kinds(world) == ["server_away", "server_away"]


def test_what_was_told_to_its_end_long_ago_is_read_by_no_look(world: World, session: WahaSession) -> None:
    world.sql(
        "INSERT INTO incidents (id, tenant_id, session_id, kind, part_of, began_at, ended_at, closed_at) "
        "SELECT gen_random_uuid(), %s, %s, 'failed', gen_random_uuid(), now(), now(), now() "
        "FROM generate_series(1, 5000)",
        session.tenant_id,
        session.id,
    )
    world.sql("ANALYZE incidents")
    body = world.value("SELECT prosrc FROM pg_proc WHERE proname = 'troubles_of_all'")

    plan = "\n".join(line for (line,) in world.sql(f"EXPLAIN {body}"))
    world.sql("DELETE FROM incidents")
    world.sql("ANALYZE incidents")

    assert "incidents" in plan
    assert "Seq Scan on incidents" not in plan


CUT = silence_words.WAY_IS_CUT.format(server="main")
UNHEARD = silence_words.cause(Suspicion.UNHEARD, 900)


def is_silent(session: WahaSession, seconds: float, cause: str = UNHEARD) -> None:
    with tenant_transaction(session.tenant_id):
        incidents.begin(session.tenant_id, session.id, IncidentKind.SILENT, at=after(seconds), cause=cause)


def are_suspected(sessions: Sequence[WahaSession]) -> None:
    for session in sessions:
        with tenant_transaction(session.tenant_id):
            SessionWatch.create(tenant_id=session.tenant_id, session_id=session.id, suspected_at=after(-5))


def test_sessions_that_are_silent_together_are_one_message_with_what_was_found_of_their_server(
    alerts: Alerts, world: World, tenant: Tenant
) -> None:
    made = [world.session(tenant, f"shop-{number:02}") for number in range(30)]
    server_is(world, "up", -100_000, version="2026.7.1", start_timestamp=1)
    for session in made:
        is_silent(session, 0)
    look(tenant, 1)
    alerts.settle()
    for session in made[:20]:
        is_silent(session, 60, CUT)
    look(tenant, 60)
    alerts.settle()
    with tenant_transaction(tenant.id):
        for session in made:
            incidents.end(tenant.id, session.id, IncidentKind.SILENT, at=after(240))
    look(tenant, 241)

    [posted], [found, over] = alerts.posts(), alerts.updates()
    assert posted.startswith("🟡 *30 sessions say that they work, and are silent.*")
    assert "*Likely cause*: not known; WAHA says that they work" in posted
    assert f"*Likely cause*: {CUT}" in found
    assert "*Next*: run `doctor`" in found
    assert over.startswith("🟢 *Over after 4 min: all of the 30 sessions that were silent together work again.*")
    assert open_kinds(world) == []


def test_who_is_silent_alone_is_held_back_while_others_are_suspected(
    alerts: Alerts, world: World, sessions: list[WahaSession]
) -> None:
    are_suspected(sessions[1:])
    is_silent(sessions[0], 0)
    look(sessions[0], 1)
    early = alerts.posts()
    for session in sessions[1:3]:
        is_silent(session, 20)
    look(sessions[0], 21)
    alerts.settle()

    assert early == []
    assert [text.partition(" say")[0] for text in alerts.posts()] == ["🟡 *3 sessions"]


def test_who_is_silent_is_told_when_those_that_are_suspected_stay_so(
    alerts: Alerts, sessions: list[WahaSession]
) -> None:
    are_suspected(sessions[1:])
    is_silent(sessions[0], 0)
    look(sessions[0], 31)

    [posted] = alerts.posts()
    assert posted.startswith("🟡 *Session `shop-1` says that it works, and is silent.*")


def test_those_that_fail_and_those_that_are_silent_are_told_apart(alerts: Alerts, world: World, tenant: Tenant) -> None:
    failing, silent = [[world.session(tenant, f"{word}-{number}") for number in range(3)] for word in ("shop", "desk")]
    for one, other in zip(failing, silent, strict=True):
        observe(one, "FAILED", 0)
        is_silent(other, 0)
    look(tenant, 11)

    assert sorted(text.partition(".*")[0] for text in alerts.posts()) == [
        "🔴 *3 sessions fail together",
        "🟡 *3 sessions say that they work, and are silent",
    ]
    assert kinds(world) == {"failed": 3, "silent": 3, "several_sessions": 2}


def test_sessions_of_several_tenants_that_are_silent_are_one_message_for_the_operators(world: World) -> None:
    alerts = Alerts(world)
    server_is(world, "up", -100_000, version="2026.7.1", start_timestamp=1)
    for name in ("Acme", "Globex", "Initech"):
        is_silent(world.session(world.tenant(name), "sales"), 0, CUT)
    for seconds in (10, 12, 14):
        look_everywhere(seconds)

    [posted] = alerts.posts(OPERATOR.user_id)
    assert posted.startswith("🟡 *3 sessions say that they work, and are silent.*")
    assert f"*Likely cause*: {CUT}" in posted
    assert "`sales` of Acme, `sales` of Globex, `sales` of Initech" in posted


def test_the_blind_times_of_all_are_one(alerts: Alerts, world: World, sessions: list[WahaSession]) -> None:
    all_are(world, "failed", 0)
    look(sessions[0], 10)
    alerts.settle()
    all_are(world, "working", 60)
    look(sessions[0], 70)
    alerts.settle()
    with tenant_transaction(sessions[0].tenant_id):
        for session in sessions[:2]:
            incidents.blind(session.tenant_id, session.id, since=after(0), until=after(60), recovered=3)
    look(sessions[0], 90)

    assert "6 messages missed and recovered" in alerts.updates()[-1]
