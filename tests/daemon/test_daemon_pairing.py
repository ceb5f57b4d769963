"""A code that was asked for: as it stands in Slack at each rotation, when it is scanned, and when nobody does."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import zxingcpp
from PIL import Image

from daemon.pairing import CODES_LAST, Facts, Step, step_of
from models import ActionKind, SessionStatus
from operations.pairing import Progress
from operations.standing import Person
from sandbox.slack import Message, SandboxSlack
from sandbox.waha import qr
from sandbox.waha.status import Status
from slack.pacing import Pacing
from tests.daemon.conftest import Rows, becomes
from tests.daemon.orders import ANA, SHOP, Rig, rig_of
from tests.daemon.relays import a_relay_with

NOW = datetime.fromisoformat("2026-11-23T09:00:00+00:00")
ALL_POSTED = "SELECT count(*) FROM slack_posts WHERE posted_at IS NULL"
ALL_KEPT = "SELECT payload::text FROM slack_posts UNION ALL SELECT payload::text FROM waha_actions"
SECOND = timedelta(seconds=1)


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack(pace=0.005) as running:
        yield running


@pytest.fixture
async def rig(rows: Rows, slack: SandboxSlack) -> AsyncIterator[Rig]:
    async with rig_of(rows, is_paired=False) as rig:
        await rig.enrol(ana(slack))
        rotate(rig)
        yield rig


@pytest.fixture
async def relay(slack: SandboxSlack, rows: Rows) -> AsyncIterator[None]:
    async with a_relay_with(slack, Pacing(), call_seconds=2):
        yield


def rotate(rig: Rig) -> str:
    """The next code, as WhatsApp makes them; the one before is worth nothing any more."""
    session = rig.waha.sessions.known("s1")
    session.put(Status.SCAN_QR_CODE, told=False)
    if session.qr_value is not None:
        rig.waha.whatsapp.withdraw(session.qr_value)
    session.qr_value = qr.new_value(rig.waha.whatsapp.random)
    rig.waha.whatsapp.offer(session.qr_value, session.pair_with)
    return session.qr_value


def ana(slack: SandboxSlack) -> Person:
    return Person(slack.team_id, slack.person("ana").id)


async def shown(slack: SandboxSlack, rows: Rows) -> Message:
    """The one message to ana, when all that was queued stands in Slack."""
    await becomes(rows, ALL_POSTED, [(0,)])
    [message] = slack.direct_messages("ana")
    return message


def decoded(slack: SandboxSlack, message: Message) -> str:
    """What a phone reads in the picture of a message."""
    [file_id] = [block["slack_file"]["id"] for block in message.blocks if block["type"] == "image"]
    content = slack.file(file_id).content
    assert content is not None
    [code] = zxingcpp.read_barcodes(Image.open(io.BytesIO(content)))
    return str(code.text)


def files_left(slack: SandboxSlack) -> int:
    return sum(not file.deleted for file in slack.state.files.by_id.values())


async def test_the_code_in_slack_is_the_one_of_whatsapp_at_each_rotation(
    slack: SandboxSlack, rig: Rig, relay: None, rows: Rows
) -> None:
    await rig.order(ActionKind.QR, ana(slack))
    for number, lifetime in enumerate(qr.LIFETIMES):
        value = rotate(rig)

        await rig.turn(after=SECOND)
        await rig.turn(after=SECOND)

        message = await shown(slack, rows)
        assert decoded(slack, message) == value, f"code {number + 1}"
        assert files_left(slack) == 1
        rig.now += timedelta(seconds=lifetime - 2)


@pytest.mark.timeline("status/paired", "status/needs-scan")
async def test_a_code_that_is_scanned_ends_with_the_number_and_is_deleted(
    slack: SandboxSlack, rig: Rig, relay: None, rows: Rows
) -> None:
    await rig.order(ActionKind.QR, ana(slack))
    await rig.turn()
    await rig.waha.whatsapp.phone(SHOP, name="Acme").scan(decoded(slack, await shown(slack, rows)))
    rig.waha.set_status(["s1"], "WORKING", told=False)
    rig.now += timedelta(seconds=5)
    await rig.see("WORKING")

    await rig.turn(after=SECOND)

    message = await shown(slack, rows)
    assert message.text == (
        "🟢 Session `sales` is paired as +4930901820. Give its conversations a channel: "
        "`/wa channel link --session sales`."
    )
    assert [block["type"] for block in message.blocks] == ["section"]
    assert files_left(slack) == 0
    assert await rows("SELECT done_at IS NOT NULL FROM waha_actions") == [(True,)]


@pytest.mark.timeline("status/unscanned", "complaint/5")
async def test_a_code_that_nobody_scans_is_deleted_and_the_session_stopped(
    slack: SandboxSlack, rig: Rig, relay: None, rows: Rows
) -> None:
    await rig.order(ActionKind.QR, ana(slack))
    await rig.turn()
    await rig.turn(after=CODES_LAST - SECOND)
    assert decoded(slack, await shown(slack, rows)) == rig.waha.sessions.known("s1").qr_value

    await rig.turn(after=SECOND)

    message = await shown(slack, rows)
    assert message.text == (
        "⚪ Nobody scanned the code of session `sales` in time, so it is gone. `/wa session qr sales` starts again."
    )
    assert files_left(slack) == 0
    assert await rows("SELECT desired_state FROM waha_sessions") == [("stopped",)]
    assert await rows("SELECT actor, action FROM audit_entries") == [("system: pairing", "session.want.stopped")]


async def test_an_account_that_was_linked_before_goes_on_when_nobody_scans(
    slack: SandboxSlack, rig: Rig, rows: Rows
) -> None:
    await rows("""UPDATE waha_sessions SET metadata = '{"me_id": "4930901820@c.us"}'""")
    await rig.order(ActionKind.QR, ana(slack))
    await rig.turn()

    await rig.turn(after=CODES_LAST)

    assert await rows("SELECT desired_state FROM waha_sessions") == [("running",)]


@pytest.mark.timeline("status/passkey")
async def test_a_passkey_takes_the_place_of_the_code_and_says_what_to_do(
    slack: SandboxSlack, rig: Rig, relay: None, rows: Rows
) -> None:
    await rig.order(ActionKind.QR, ana(slack))
    await rig.turn()
    rig.now += SECOND
    for word, expected in (
        ("PASSKEY_REQUIRED", "asks for the passkey"),
        ("PASSKEY_CONFIRMATION_REQUIRED", "confirmed"),
    ):
        await rig.see(word)

        await rig.turn(after=3 * SECOND)

        message = await shown(slack, rows)
        assert expected in message.text
        assert "the dashboard of WAHA server `main`" in message.text
        assert "`/wa session show sales`" in message.text
        assert files_left(slack) == 0
    await rig.turn(after=timedelta(minutes=15))
    assert (await shown(slack, rows)).text.startswith("⚪ Nobody scanned")


async def test_a_second_code_takes_the_place_of_the_first(
    slack: SandboxSlack, rig: Rig, relay: None, rows: Rows
) -> None:
    await rig.order(ActionKind.QR, ana(slack))
    await rig.turn()
    await rig.order(ActionKind.QR, ana(slack))

    await rig.turn()
    await becomes(rows, ALL_POSTED, [(0,)])

    first, second = slack.direct_messages("ana")
    assert first.text.startswith("A newer code of session `sales` was asked for")
    assert decoded(slack, second) == rig.waha.sessions.known("s1").qr_value
    assert files_left(slack) == 1


async def test_where_slack_takes_no_picture_in_a_message_it_is_shared_and_deleted(
    slack: SandboxSlack, rig: Rig, relay: None, rows: Rows
) -> None:
    slack.fail("chat.postMessage", error="invalid_blocks", times=1)
    await rig.order(ActionKind.QR, ana(slack))
    await rig.turn()
    await becomes(rows, ALL_POSTED, [(0,)])
    [message] = slack.direct_messages("ana")
    [file] = message.files
    assert file.content is not None
    assert zxingcpp.read_barcodes(Image.open(io.BytesIO(file.content)))[0].text == rotate_value(rig)

    rig.now += CODES_LAST
    await rig.turn()

    assert (await shown(slack, rows)).text.startswith("⚪ Nobody scanned")
    assert files_left(slack) == 0


def rotate_value(rig: Rig) -> str | None:
    return rig.waha.sessions.known("s1").qr_value


async def test_a_pairing_code_is_shown_once_links_the_phone_and_is_in_no_row(
    slack: SandboxSlack, rig: Rig, relay: None, rows: Rows
) -> None:
    await rig.order(ActionKind.PAIR, ana(slack), {"number": SHOP.removeprefix("+")})
    await rig.turn()
    await rig.turn(after=SECOND)

    text = (await shown(slack, rows)).text
    code = text.split("`")[1]
    assert len(code) == 9
    assert f"on the phone with {SHOP}" in text
    everything = str(
        await rows("SELECT payload::text FROM slack_posts UNION ALL SELECT payload::text FROM waha_actions")
    )
    assert code not in everything
    await rig.waha.whatsapp.phone(SHOP, name="Acme").enter_code(code)
    rig.waha.set_status(["s1"], "WORKING", told=False)
    rig.now += timedelta(seconds=5)
    await rig.see("WORKING")
    await rig.turn()
    assert (await shown(slack, rows)).text.startswith("🟢 Session `sales` is paired as +4930901820.")


async def test_no_qr_code_is_in_any_row(slack: SandboxSlack, rig: Rig, relay: None, rows: Rows) -> None:
    await rig.order(ActionKind.QR, ana(slack))
    await rig.turn()
    message = await shown(slack, rows)

    kept = str(await rows(ALL_KEPT))

    assert decoded(slack, message) not in kept
    assert "iVBOR" not in kept  # how a PNG begins in base64


@pytest.mark.parametrize(
    ("status", "raw", "shown_for", "expected"),
    [
        ("scan_qr", "SCAN_QR_CODE", 159, Step.FETCH),
        ("scan_qr", "SCAN_QR_CODE", 160, Step.UNSCANNED),
        # Whoever asked late is promised more than what was left of the codes.
        ("failed", "FAILED", 79, Step.RESTART),
        ("failed", "FAILED", 80, Step.UNSCANNED),
        ("stopped", "STOPPED", 79, Step.WAIT),
        # On one engine a scanned code leads to working by way of starting.
        ("starting", "STARTING", 165, Step.WAIT),
        ("starting", "STARTING", 190, Step.UNSCANNED),
        ("working", "WORKING", 500, Step.PAIRED),
    ],
)
def test_what_is_next_depends_on_how_long_a_code_was_shown(
    status: str, raw: str, shown_for: int, expected: Step
) -> None:
    facts = Facts(SessionStatus(status), raw, should_run=True, is_replaced=False)
    progress = Progress(first_at=NOW, says="x", newest="x")

    assert step_of(facts, progress, NOW, NOW + timedelta(seconds=shown_for)) is expected


async def test_a_code_that_never_comes_is_given_up(slack: SandboxSlack, rig: Rig, rows: Rows) -> None:
    await rows("UPDATE waha_sessions SET status = 'starting'")
    await rig.order(ActionKind.QR, ana(slack))

    await rig.turn()
    assert await rig.told() == []
    await rig.turn(after=timedelta(minutes=2) + SECOND)

    [told] = await rig.told()
    assert told.startswith("Session `sales` had no code within two minutes; it is starting.")


async def test_a_session_that_failed_before_it_showed_a_code_is_restarted_for_it_once(
    slack: SandboxSlack, rig: Rig, rows: Rows
) -> None:
    """Nobody looked while it made its codes: no daemon ran."""
    await rows("UPDATE waha_sessions SET status = 'failed'")
    await rig.order(ActionKind.QR, ana(slack))

    await rig.turn(after=5 * SECOND + SECOND)
    await rig.turn(after=SECOND)

    assert await rows("SELECT slack_user_id FROM waha_actions WHERE kind = 'restart'") == [("",)]
    assert len(rig.waha.journal.requests_to("/api/sessions/s1/restart")) == 1


async def test_whoever_asks_when_the_codes_are_nearly_over_gets_new_ones(
    slack: SandboxSlack, rig: Rig, relay: None, rows: Rows
) -> None:
    """Both the code to be scanned and the one to be typed."""
    for kind, payload in ((ActionKind.QR, {}), (ActionKind.PAIR, {"number": SHOP.removeprefix("+")})):
        order_id = await rig.order(kind, ana(slack), payload)
        await rig.turn(after=SECOND)
        await becomes(rows, ALL_POSTED, [(0,)])
        before = slack.direct_messages("ana")[-1]
        code = before.text

        await fail(rig)
        await rig.turn(after=SECOND)
        await rig.turn(after=SECOND)

        await becomes(rows, ALL_POSTED, [(0,)])
        assert before.text == (
            "⚪ The codes of session `sales` ran out. It is restarted: a new code comes here in a moment."
        )
        assert files_left(slack) == 0
        await rig.until_on_waha("SCAN_QR_CODE")
        rotate(rig)
        await rig.see("SCAN_QR_CODE")
        await rig.turn(after=SECOND)
        await becomes(rows, ALL_POSTED, [(0,)])
        if kind is ActionKind.QR:
            assert decoded(slack, before) == rotate_value(rig)
        else:
            assert "on the phone with" in before.text
            assert before.text != code
        await over(rig)
        await fail(rig)
        await rig.turn(after=SECOND)
        await becomes(rows, ALL_POSTED, [(0,)])
        assert before.text.startswith("⚪ Nobody ")
        assert await rows(f"SELECT done_at IS NOT NULL FROM waha_actions WHERE id = '{order_id}'") == [(True,)]  # noqa: S608
        await rows("UPDATE waha_sessions SET desired_state = 'running', status = 'scan_qr'")
        rotate(rig)

    assert len(rig.waha.journal.requests_to("/api/sessions/s1/restart")) == 2


async def fail(rig: Rig) -> None:
    """Its codes are over, and nobody scanned one."""
    rig.waha.set_status(["s1"], "FAILED", told=False)
    rig.now += SECOND
    await rig.see("FAILED")


async def over(rig: Rig) -> None:
    """The restart has ended, earlier than what comes next."""
    await rig.rows(f"UPDATE waha_actions SET done_at = '{rig.now}' WHERE kind = 'restart'")  # noqa: S608 - a time of ours


@pytest.mark.parametrize(
    "lost",
    [
        "UPDATE users SET role = 'AGENT'",
        "UPDATE users SET is_active = false",
        "UPDATE users SET deleted_at = now()",
        "UPDATE tenants SET status = 'inactive'",
    ],
)
async def test_a_code_is_taken_away_from_whoever_may_not_have_it_any_more(
    slack: SandboxSlack, rig: Rig, relay: None, rows: Rows, lost: str
) -> None:
    await rig.order(ActionKind.QR, ana(slack))
    await rig.turn(after=SECOND)
    await shown(slack, rows)

    await rows(f"{lost} RETURNING 1")
    rotate(rig)
    await rig.turn(after=SECOND)

    assert (await rig.told())[-2].startswith(
        "You may not link a phone to session `sales` any more, so its code is gone."
    )
    assert await rows("SELECT done_at IS NOT NULL FROM waha_actions") == [(True,)]
    if "tenants" not in lost:
        assert (await shown(slack, rows)).text.startswith("You may not link a phone")
        assert files_left(slack) == 0
    assert await rows("SELECT desired_state FROM waha_sessions") == [("running",)]


async def test_a_session_that_was_paired_in_the_last_moment_is_not_stopped(
    slack: SandboxSlack, rig: Rig, relay: None, rows: Rows
) -> None:
    """WAHA tells it late, or somebody else may hear it."""
    await rig.order(ActionKind.QR, ana(slack))
    await rig.turn()
    await rig.waha.whatsapp.phone(SHOP, name="Acme").scan(decoded(slack, await shown(slack, rows)))
    rig.waha.set_status(["s1"], "WORKING", told=False)

    await rig.turn(after=CODES_LAST)

    assert (await shown(slack, rows)).text.startswith("🟢 Session `sales` is paired as +4930901820.")
    assert await rows("SELECT desired_state FROM waha_sessions") == [("running",)]


async def test_of_a_server_that_does_not_answer_it_is_not_said_that_nobody_scanned(
    slack: SandboxSlack, rig: Rig, relay: None, rows: Rows
) -> None:
    await rig.order(ActionKind.QR, ana(slack))
    await rig.turn()
    await shown(slack, rows)
    rig.waha.faults.unavailable("/api/sessions/s1")

    await rig.turn(after=CODES_LAST)

    assert (await shown(slack, rows)).text.startswith(
        "⚪ The code of session `sales` is over. Whether somebody used it"
    )
    assert files_left(slack) == 0
    assert await rows("SELECT desired_state FROM waha_sessions") == [("running",)]


async def test_a_session_is_not_stopped_under_whoever_else_waits_for_its_code(
    slack: SandboxSlack, rig: Rig, relay: None, rows: Rows
) -> None:
    await rig.order(ActionKind.QR, ana(slack))
    await rig.turn()
    rig.now += CODES_LAST
    other = await rig.order(ActionKind.QR, ANA)
    await rows("UPDATE waha_actions SET created_at = %s WHERE id = %s RETURNING 1", rig.now, other)

    await rig.turn()

    assert any(text.startswith("⚪ Nobody scanned the code") for text in await rig.told())
    assert await rows("SELECT desired_state FROM waha_sessions") == [("running",)]


async def test_what_was_shown_before_a_crash_is_taken_away_by_the_next_daemon(
    slack: SandboxSlack, rig: Rig, relay: None, rows: Rows
) -> None:
    """It dies between the rows and what they say; the next one finds them an hour later."""
    await rig.order(ActionKind.QR, ana(slack))
    await rig.turn()
    await shown(slack, rows)

    await rig.turn(after=timedelta(hours=1))

    assert (await shown(slack, rows)).text.startswith("⚪ Nobody scanned")
    assert files_left(slack) == 0
