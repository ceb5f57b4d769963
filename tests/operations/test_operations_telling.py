"""What is the matter is told in one message, from ten seconds after it began until it is over."""

from __future__ import annotations

from functools import partial

import pytest

from database import tenant_transaction
from models import IncidentKind, RoutePurpose, Tenant, WahaSession
from operations import incidents, telling
from tests.operations.builders import ALERTS, OPERATOR, World, together
from tests.operations.troubles import OPERATORS, Alerts, after, look, observe, open_kinds


@pytest.fixture
def alerts(world: World, tenant: Tenant) -> Alerts:
    world.route(tenant, ALERTS, RoutePurpose.ALERTS)
    return Alerts(world)


@pytest.mark.timeline("status/dropped")
def test_what_fails_is_one_message_that_is_changed_until_it_is_over(alerts: Alerts, session: WahaSession) -> None:
    observe(session, "FAILED", 0)
    early = look(session, 9)
    look(session, 10)
    alerts.settle()
    with tenant_transaction(session.tenant_id):
        incidents.note(session.tenant_id, session.id, IncidentKind.FAILED, "Restarted it.", at=after(15))
    too_soon = look(session, 20)
    look(session, 26)
    alerts.settle()
    observe(session, "STARTING", 30)
    observe(session, "WORKING", 240)
    look(session, 249)
    look(session, 250)
    alerts.settle()
    with tenant_transaction(session.tenant_id):
        incidents.blind(session.tenant_id, session.id, since=after(0), until=after(240), recovered=12)
    look(session, 266)

    assert (early, too_soon) == (0, 0)
    [posted] = alerts.posts()
    assert posted.startswith("🔴 *Session `sales` failed.*\nSince <!date^")
    assert "*Likely cause*: its account was logged out on the phone" in posted
    assert "do not log it out for this" in posted
    restarted, over, recovered = alerts.updates()
    assert "*Done*:\n• <!date^" in restarted
    assert "Restarted it." in restarted
    assert over.startswith("🟢 *Session `sales` works again, after 4 min.* What was queued is sent.")
    assert "12 messages missed and recovered, none is known to be lost." in recovered


@pytest.mark.parametrize(
    ("until", "recovered", "said"), [(30, 0, []), (30, 1, ["1 message missed"]), (90, 0, ["nothing was missed"])]
)
def test_a_moment_in_which_nothing_was_missed_is_not_worth_a_line(
    alerts: Alerts, session: WahaSession, until: int, recovered: int, said: list[str]
) -> None:
    observe(session, "FAILED", 0)
    look(session, 12)
    alerts.settle()
    with tenant_transaction(session.tenant_id):
        incidents.blind(session.tenant_id, session.id, since=after(0), until=after(until), recovered=recovered)
    look(session, 120)

    updates = alerts.updates()
    assert len(updates) == len(said)
    assert all(words in update for words, update in zip(said, updates, strict=True))


@pytest.mark.timeline("status/reconnect")
@pytest.mark.parametrize("word", ["STARTING", "FAILED", "STOPPED"])
def test_a_flap_of_less_than_ten_seconds_is_not_said_and_leaves_no_incident(
    alerts: Alerts, world: World, session: WahaSession, word: str
) -> None:
    observe(session, word, 0)
    look(session, 9)
    observe(session, "WORKING", 9.5)
    for seconds in (10, 20, 60):
        look(session, seconds)

    assert alerts.posts() == []
    assert world.value("SELECT count(*) FROM incidents") == 0
    assert world.value("SELECT count(*) FROM session_checks") == 2


@pytest.mark.timeline("status/stopped-elsewhere")
def test_what_somebody_else_stopped_is_said_and_that_it_is_started_again(
    alerts: Alerts, world: World, session: WahaSession
) -> None:
    observe(session, "STOPPED", 0)
    look(session, 10)

    [posted] = alerts.posts()
    assert posted.startswith("⚪ *Session `sales` stopped, though it should run.*")
    assert "it is started again by itself" in posted
    assert open_kinds(world) == ["stopped"]


def test_what_people_have_just_started_is_in_no_trouble(alerts: Alerts, world: World, session: WahaSession) -> None:
    observe(session, "STOPPED", 0)
    world.sql("UPDATE waha_sessions SET desired_state = 'stopped'")
    world.sql("UPDATE waha_sessions SET desired_state = 'running'")
    world.sql("UPDATE waha_sessions SET wanted_since = %s", after(1000))

    for seconds in (1011, 1059):
        look(session, seconds)
    unsaid = alerts.posts()
    look(session, 1060)

    assert unsaid == []
    assert len(alerts.posts()) == 1


def test_since_when_a_session_is_wanted_is_kept_by_the_table(world: World, session: WahaSession) -> None:
    world.sql("UPDATE waha_sessions SET name = 'other'")
    before = world.value("SELECT wanted_since FROM waha_sessions")
    world.sql("UPDATE waha_sessions SET desired_state = 'stopped'")

    assert before is None
    assert world.value("SELECT now() - wanted_since < interval '1 minute' FROM waha_sessions")


def test_two_who_tell_at_once_tell_once(alerts: Alerts, session: WahaSession) -> None:
    with tenant_transaction(session.tenant_id):
        incidents.begin(session.tenant_id, session.id, IncidentKind.SILENT, at=after(0))
    at_once = partial(telling.look_after, session.tenant_id, operators=OPERATORS, now=after(10))

    told = together(*[at_once] * 4)
    look(session, 11)

    assert sum(told) == 1
    assert len(alerts.posts()) == 1


@pytest.mark.parametrize("done_before_the_end", [True, False])
def test_who_does_not_tell_before_it_is_over_says_nothing(
    alerts: Alerts, world: World, session: WahaSession, *, done_before_the_end: bool
) -> None:
    observe(session, "FAILED", 0)
    if done_before_the_end:
        look(session, 10)
    observe(session, "WORKING", 30)
    look(session, 60)

    assert len(alerts.posts()) == int(done_before_the_end)
    assert open_kinds(world) == []


def test_what_has_not_left_yet_is_replaced_in_its_place(alerts: Alerts, session: WahaSession) -> None:
    observe(session, "FAILED", 0)
    look(session, 10)
    observe(session, "SCAN_QR_CODE", 20)
    look(session, 30)

    [posted] = alerts.posts()
    assert posted.startswith("🟠 *Session `sales` waits for its phone to be linked again.*")
    assert alerts.updates() == []
    assert alerts.buttons() == ["Show QR", "Mute"]


def test_a_message_on_its_way_is_waited_for(alerts: Alerts, world: World, session: WahaSession) -> None:
    observe(session, "FAILED", 0)
    look(session, 10)
    world.sql("UPDATE slack_posts SET post_started_at = now(), lease_token = gen_random_uuid()")
    observe(session, "WORKING", 60)
    waiting = look(session, 70)
    alerts.settle()
    look(session, 72)

    assert waiting == 0
    assert [text[0] for text in (*alerts.posts(), *alerts.updates())] == ["🔴", "🟢"]


def test_a_change_that_waits_is_replaced_by_the_next(alerts: Alerts, session: WahaSession) -> None:
    observe(session, "FAILED", 0)
    look(session, 10)
    alerts.settle()
    observe(session, "SCAN_QR_CODE", 20)
    look(session, 30)
    observe(session, "WORKING", 40)
    look(session, 50)

    [changed] = alerts.updates()
    assert changed.startswith("🟢")


@pytest.mark.parametrize(
    ("arrange", "words"),
    [
        ("UPDATE waha_sessions SET desired_state = 'stopped'", "was stopped by somebody here"),
        ("UPDATE waha_sessions SET deleted_at = now()", "was removed"),
    ],
    ids=["stopped by people", "deleted"],
)
def test_what_people_end_is_said_to_nobody_anew(
    alerts: Alerts, world: World, session: WahaSession, arrange: str, words: str
) -> None:
    observe(session, "FAILED", 0)
    look(session, 10)
    alerts.settle()
    world.sql(arrange)
    look(session, 40)
    alerts.settle()
    look(session, 60)

    [changed] = alerts.updates()
    assert words in changed
    assert len(alerts.posts()) == 1
    assert world.value("SELECT count(*) FROM incidents WHERE closed_at IS NULL") == 0


@pytest.mark.parametrize(
    ("arrange", "words"),
    [
        ("UPDATE waha_sessions SET status = 'scan_qr'", "⚪ *Session `sales`: over after 40 s.* It had failed"),
        ("UPDATE waha_sessions SET status = 'stopped', desired_state = 'stopped'", "was stopped by somebody here"),
        ("UPDATE waha_sessions SET deleted_at = now()", "was removed"),
    ],
    ids=["logged out", "stopped", "removed"],
)
def test_nothing_is_said_to_work_because_somebody_ended_what_was_the_matter(
    alerts: Alerts, world: World, session: WahaSession, arrange: str, words: str
) -> None:
    observe(session, "FAILED", 0)
    look(session, 10)
    alerts.settle()
    with tenant_transaction(session.tenant_id):
        incidents.end(session.tenant_id, session.id, at=after(40))
    world.sql(arrange)
    world.sql("UPDATE waha_sessions SET status_changed_at = %s, wanted_since = %s", after(40), after(40))
    look(session, 41)

    [changed] = alerts.updates()
    assert words in changed
    assert "works again" not in changed


def test_a_deleted_tenant_is_told_nothing(alerts: Alerts, world: World, session: WahaSession) -> None:
    observe(session, "FAILED", 0)
    world.sql("UPDATE tenants SET deleted_at = now()")

    look(session, 10)

    assert alerts.posts() == []


def test_a_session_that_waits_for_its_first_phone_is_in_no_trouble(
    alerts: Alerts, world: World, session: WahaSession
) -> None:
    world.sql("UPDATE waha_sessions SET metadata = '{}'")
    observe(session, "SCAN_QR_CODE", 0)
    look(session, 60)
    unsaid = alerts.posts()
    observe(session, "FAILED", 100)
    look(session, 110)

    assert unsaid == []
    [posted] = alerts.posts()
    assert "nobody scanned its code in time" in posted
    assert "ask for a new code: `session qr sales`" in posted


def test_without_a_channel_for_alerts_the_operators_are_told_and_their_message_is_changed(
    world: World, session: WahaSession
) -> None:
    alerts = Alerts(world)
    observe(session, "FAILED", 0)
    look(session, 10)
    look(session, 12)
    alerts.settle()
    observe(session, "WORKING", 60)
    look(session, 70)

    assert len(alerts.posts(OPERATOR.user_id)) == 1
    assert len(alerts.updates(OPERATOR.user_id)) == 1
    assert world.value("SELECT payload->>'direct' FROM slack_posts WHERE kind = 'update'") == "true"


def test_the_same_trouble_later_is_another_message(alerts: Alerts, session: WahaSession) -> None:
    for seconds, word in ((0, "FAILED"), (60, "WORKING"), (120, "FAILED"), (180, "WORKING")):
        observe(session, word, seconds)
        look(session, seconds + 20)
        alerts.settle()

    assert len(alerts.posts()) == 2
    assert [text[0] for text in alerts.updates()] == ["🟢", "🟢"]


def test_trouble_that_comes_and_goes_in_turns_is_one_message(alerts: Alerts, session: WahaSession) -> None:
    for seconds, word in enumerate(("FAILED", "SCAN_QR_CODE", "FAILED", "SCAN_QR_CODE", "STOPPED", "WORKING")):
        observe(session, word, seconds * 60)
        look(session, seconds * 60 + 20)
        alerts.settle()

    assert len(alerts.posts()) == 1
    assert alerts.updates()[-1].startswith("🟢 *Session `sales` works again, after 5 min.*")


@pytest.mark.parametrize("kind", [IncidentKind.STUCK, IncidentKind.SILENT, IncidentKind.NUMBER])
def test_what_others_find_is_told_in_the_same_way(alerts: Alerts, session: WahaSession, kind: IncidentKind) -> None:
    with tenant_transaction(session.tenant_id):
        incidents.begin(session.tenant_id, session.id, kind, at=after(0), cause="WAHA knows three messages more.")
    look(session, 1)
    alerts.settle()
    with tenant_transaction(session.tenant_id):
        incidents.end(session.tenant_id, session.id, kind, at=after(300))
    look(session, 301)

    [posted], [over] = alerts.posts(), alerts.updates()
    assert "*Likely cause*: WAHA knows three messages more." in posted
    assert "*Next*: " in posted
    assert over.startswith("🟢")


def test_a_foreign_name_is_shown_as_it_is_and_mentions_nobody(
    alerts: Alerts, world: World, session: WahaSession
) -> None:
    world.sql("UPDATE waha_sessions SET name = '<!channel>'")
    observe(session, "FAILED", 0)

    look(session, 10)

    [posted] = alerts.posts()
    assert "<!channel>" not in posted
    assert "&lt;!channel&gt;" in posted
