from __future__ import annotations

import sys
from pathlib import Path

import pytest
from psycopg2.extensions import cursor

from tests.models.claims import Claim, Evidence, collect
from tests.models.specification import DEPARTURES, SPECIFICATION, Departure, Row

DECISIONS = Path(__file__).parents[2] / "docs" / "decisions"
ROWS = [(section, row) for section, rows in SPECIFICATION.items() for row in rows]


def broken(row: Row, evidence: Evidence) -> set[Claim]:
    """What does not hold of a row and is not excused, or what should hold instead and does not."""
    failing = {claim for claim in row if not claim.holds(evidence)}
    instead = {claim for excused in failing & DEPARTURES.keys() for claim in DEPARTURES[excused].instead}
    return failing - DEPARTURES.keys() | {claim for claim in instead if not claim.holds(evidence)}


def line_of(number: int, section: str, row: Row, evidence: Evidence) -> str:
    departures = [DEPARTURES[claim] for claim in row if not claim.holds(evidence) and claim in DEPARTURES]
    verdict = "no" if broken(row, evidence) else "by decision" if departures else "yes"
    decided = sorted({decision for departure in departures for decision in departure.decisions})
    facts = [*(claim.says for claim in row), *(f"instead: {c.says}" for d in departures for c in d.instead), *decided]
    return f"{number:4} {section:20} {verdict:12} {'; '.join(facts)}\n"


def test_every_row_of_the_specification_holds_or_departs_by_decision(owner: cursor) -> None:
    evidence = collect(owner)

    kept = [number for number, (_, row) in enumerate(ROWS) if not broken(row, evidence)]

    sys.stdout.writelines(line_of(number, *row, evidence) for number, row in enumerate(ROWS, 1))
    sys.stdout.write(f"{len(kept)} of {len(ROWS)} rows of the specification hold\n")
    assert {claim.says for _, row in ROWS for claim in broken(row, evidence)} == set()
    assert len(ROWS) == 107


def test_no_departure_from_the_specification_is_claimed_in_vain(owner: cursor) -> None:
    evidence = collect(owner)

    assert {claim for _, row in ROWS for claim in row if not claim.holds(evidence)} == DEPARTURES.keys()


@pytest.mark.parametrize("departure", DEPARTURES.values(), ids=[claim.says for claim in DEPARTURES])
def test_every_departure_from_the_specification_has_its_decision(departure: Departure) -> None:
    written = {path.name for path in DECISIONS.glob("0*.md")}

    assert departure.decisions
    assert set(departure.decisions) <= written


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE users DROP COLUMN last_login_at",
        "ALTER TABLE messages DROP COLUMN raw_payload CASCADE",
        "ALTER TABLE messages ALTER media_url TYPE varchar(499)",
        "ALTER TABLE messages ALTER body TYPE varchar(4096)",
        "ALTER TABLE tenants ALTER settings TYPE json USING settings::json",
        "ALTER TABLE tenants ALTER name DROP NOT NULL",
        "ALTER TABLE tenants ALTER deleted_at SET NOT NULL",
        "ALTER TABLE messages ALTER tenant_id DROP NOT NULL",
        "ALTER TABLE users ADD COLUMN password text",
        "ALTER TABLE users ALTER password_hash TYPE text",
        "DROP INDEX messages_created_at_idx",
        "DROP INDEX messages_from_msisdn_idx",
        "DROP INDEX waha_sessions_status_idx",
        "DROP INDEX tenants_name_key",
        "DROP INDEX users_email_tenant_id_key; CREATE INDEX users_email_tenant_id_key ON users (email, tenant_id)",
        "DROP INDEX messages_waha_message_id_key",
        "ALTER TABLE waha_sessions DROP CONSTRAINT waha_sessions_external_session_id_key",
        "ALTER TABLE messages DROP CONSTRAINT messages_session_fkey",
        "ALTER TABLE users DROP CONSTRAINT users_tenant_id_fkey",
        "ALTER TABLE users DROP CONSTRAINT users_tenant_id_fkey, ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id)",
        "ALTER TABLE messages DROP CONSTRAINT messages_status_check",
        "ALTER TABLE users DROP CONSTRAINT users_role_check, ADD CHECK (role IN ('TENANT_ADMIN', 'MANAGER', 'AGENT'))",
        "GRANT DELETE ON messages TO switchboard_daemon",
        "CREATE TABLE beside_the_migrations (id uuid PRIMARY KEY)",
    ],
)
def test_a_change_of_the_schema_breaks_the_specification(change: str, owner: cursor) -> None:
    owner.execute(change)

    evidence = collect(owner)

    assert any(broken(row, evidence) for _, row in ROWS)
