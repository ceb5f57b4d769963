"""Whatever a session goes through: nothing shorter than ten seconds is said, and what is said comes to its end."""

from __future__ import annotations

from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import RoutePurpose
from tests.operations.builders import World
from tests.operations.troubles import Alerts, after, look, observe

WORDS = st.sampled_from(["STARTING", "SCAN_QR_CODE", "WORKING", "FAILED", "STOPPED", "PASSKEY_REQUIRED"])
CHANGES = st.lists(st.tuples(WORDS, st.integers(1, 40)), min_size=1, max_size=8)
KINDS = {"SCAN_QR_CODE": "needs_scan", "PASSKEY_REQUIRED": "needs_scan", "FAILED": "failed", "STOPPED": "stopped"}
# A look every three seconds sees what lasts for ten after so many at the latest.
SEEN_AFTER = 10 + 3


def runs(changes: list[tuple[str, int]]) -> list[tuple[str, int, int]]:
    """Each status with when it began and ended; the same one told again goes on."""
    found: list[tuple[str, int, int]] = []
    at = 0
    for word, seconds in changes:
        status = KINDS.get(word, word)
        if found and found[-1][0] == status:
            found[-1] = (status, found[-1][1], at + seconds)
        else:
            found.append((status, at, at + seconds))
        at += seconds
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_what_lasts_is_said_once_and_ended_and_nothing_else_is(world: World, changes: list[tuple[str, int]]) -> None:
    tenant = world.tenant(f"Tenant {uuid4()}")
    place = f"C{tenant.id.hex.upper()}"
    world.route(tenant, place, RoutePurpose.ALERTS)
    session, alerts = world.session(tenant), Alerts(world)
    at = 0

    for word, seconds in [*changes, ("WORKING", 60)]:
        observe(session, word, at)
        for moment in range(at + 1, at + seconds + 1, 3):
            look(session, moment)
            alerts.settle()
            doubled = world.sql(
                "SELECT 1 FROM incidents WHERE ended_at IS NULL AND tenant_id = %s GROUP BY session_id, kind "
                "HAVING count(*) > 1",
                tenant.id,
            )
            assert doubled == []
        at += seconds
    look(session, at + 30)

    lasting = [run for run in runs(changes) if run[0] in KINDS.values() and run[2] - run[1] >= 10]
    found = world.sql(
        "SELECT kind, began_at, ended_at, post_id IS NOT NULL, said FROM incidents WHERE tenant_id = %s", tenant.id
    )
    assert {(kind, began) for kind, began, *_ in found} <= {(kind, after(start)) for kind, start, _ in lasting}
    for kind, start, end in lasting:
        covering = [one for one in found if one[0] == kind and one[1] <= after(start) and one[2] >= after(end)]
        assert len(covering) == 1 or (end - start < SEEN_AFTER and not covering)
    told = [said for *_, is_told, said in found if is_told]
    assert len(alerts.posts(place)) == len(told)
    assert all(said.startswith("🟢") for said in told)
