from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.sandbox.waha.conftest import Make, Rig

ASSERTION = {"id": "a", "rawId": "a", "type": "public-key", "response": {"clientDataJSON": "e30"}}


async def wanting(make_rig: Make, passkey: Any, **options: Any) -> Rig:
    """A session whose code was scanned by a phone with a passkey; challenges live 12 s."""
    rig = await make_rig(**({"pace": 0.2} | options))
    rig.shop.passkey = passkey
    await rig.create()
    await rig.reaches("SCAN_QR_CODE")
    await rig.shop.scan(rig.waha.sessions.known("acme").qr_value or "")
    return rig


async def test_a_phone_with_a_passkey_has_it_asked_for_after_the_scan(make_rig: Make) -> None:
    rig = await wanting(make_rig, "assertion")

    await rig.reaches("PASSKEY_REQUIRED")
    challenge = await rig.call("GET", "/api/acme/auth/passkey/challenge")
    empty = await rig.call("POST", "/api/acme/auth/passkey", {})
    given = await rig.call("POST", "/api/acme/auth/passkey", ASSERTION)

    await rig.reaches("WORKING")
    await rig.until(lambda: rig.hooks.statuses() == ["STARTING", "SCAN_QR_CODE", "PASSKEY_REQUIRED", "WORKING"])
    [told] = [one for one in rig.hooks.events("session.status") if one["payload"]["status"] == "PASSKEY_REQUIRED"]
    assert challenge.body["rpId"] == "web.whatsapp.com"
    assert told["payload"]["data"] == challenge.body
    assert (empty.status, given.status) == (400, 201)


async def test_some_passkeys_want_a_code_to_be_compared_too(make_rig: Make) -> None:
    rig = await wanting(make_rig, "code")
    await rig.reaches("PASSKEY_REQUIRED")
    early = await rig.call("GET", "/api/acme/auth/passkey/confirmation")

    await rig.call("POST", "/api/acme/auth/passkey", ASSERTION)
    await rig.reaches("PASSKEY_CONFIRMATION_REQUIRED")
    code = await rig.call("GET", "/api/acme/auth/passkey/confirmation")
    await rig.call("POST", "/api/acme/auth/passkey/confirm")

    await rig.reaches("WORKING")
    data = [one["payload"]["data"] for one in rig.hooks.events("session.status")]
    assert early.status == 422
    assert code.body in data


async def test_a_challenge_that_nobody_answers_fails_the_session(make_rig: Make) -> None:
    rig = await wanting(make_rig, "assertion", pace=0.01)

    await rig.reaches("FAILED")

    assert rig.shop.devices == []


async def test_nothing_is_pending_most_of_the_time(make_rig: Make) -> None:
    rig = await make_rig()
    await rig.pair()

    challenge = await rig.call("GET", "/api/acme/auth/passkey/challenge")
    confirmed = await rig.call("POST", "/api/acme/auth/passkey/confirm")

    assert (challenge.status, confirmed.status) == (422, 422)
    assert challenge.body["error"] == "Unprocessable Entity"


async def test_other_engines_and_older_servers_do_not_ask(make_rig: Make) -> None:
    noweb, old = await wanting(make_rig, "code", engine="NOWEB"), await wanting(make_rig, "code", version="2026.6.1")

    await noweb.reaches("WORKING")
    await old.reaches("WORKING")

    refused = await noweb.call("GET", "/api/acme/auth/passkey/challenge")
    unknown = await old.call("GET", "/api/acme/auth/passkey/challenge")
    assert (refused.status, unknown.status) == (501, 404)
