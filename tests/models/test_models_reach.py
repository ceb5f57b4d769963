"""What could reach past one tenant, whole: tables without a tenant, functions that run as the owner, views, sequences.

The catalog says what there is; here it says why. What is added and explained nowhere makes a test fail.
"""

from __future__ import annotations

import pytest
from psycopg2.extensions import cursor

from tests.models.catalog import read_catalog

ROLES = ["switchboard_bot", "switchboard_daemon"]
WITHOUT_ROW_SECURITY = {
    "catch_ups": "ranges of time by session and channel; no text, no name of a person",
    "doctor_runs": "which operator asked for a check-up, and what was found; no text of a customer",
    "fingerprint_keys": "an encrypted key of the installation's",
    "home_views": "which Slack users opened the app's home; fingerprints, no text",
    "keys_in_use": "fingerprints of the installation's encryption keys",
    "migratehistory": "which migrations ran; only the owner reads it",
    "outages": "when Slack could not be reached; no text, no name",
    "post_lanes": "names of queues: ids of conversations, channels and people; no text",
    "processes": "which bots and daemons run",
    "slack_events": "Slack's calls before anybody knows whose they are; what people asked for is encrypted",
    "slack_people": "whether a Slack user is a guest, whatever the tenant; no name, no address",
    "slack_workspaces": "the installation's workspaces; their tokens are encrypted",
    "waha_servers": "the installation's servers; the bot reads no key",
    "webhook_events": "WAHA's calls before anybody knows whose they are; only the daemon reads it",
}
RUNS_AS_OWNER = {
    # Before there is a tenant: whose is this person, channel, message, link?
    "tenants_of": "a person's own tenants",
    "route_of": "the tenant of a channel",
    "tenant_of_message": "the tenant of a button's message; the person is asked for in it afterwards",
    "tenant_of_incident": "the tenant of an incident's button; the person is asked for in it afterwards",
    "tenant_of_invitation": "the tenant of an invitation, for the invited alone",
    "tenant_of_page_link": "the tenant of a link, for who has its secret",
    "session_of": "the tenant of a WAHA session, for webhooks",
    "conversation_of_thread": "the conversation of a Slack thread, for replies",
    "conversation_of_former_thread": "the same for a thread that was left",
    "threads_of_channel": "the threads of a channel, to read what was missed",
    "choose_tenant": "a person's choice of a tenant stands across tenants",
    "chosen_tenant": "the same, read",
    "unchoose_tenant": "the same, taken back",
    # Of the installation, for its operators; the bot asks who is one first.
    "list_tenants": "the operators' list: names and counts",
    "deleted_tenants": "the operators' list of what can be restored",
    "tenants_of_workspace": "names of tenants, for the operators who remove a workspace",
    "linked_channels": "ids of channels, to see whether the bot is a member; the daemon alone",
    "measure": "counts and ages for the metrics, by words of ours; the daemon alone",
    "open_transactions": "how long PostgreSQL's sessions wait for each other: times and process ids; the daemon alone",
    "posts_waiting_for": "a count, for the same",
    "hold_posts_of": "posts of a workspace without the app wait; it reads none to anybody",
    "resume_posts_of": "posts of a workspace that came back are due again; it reads none to anybody",
    "sessions_by_server": "counts a server, for operators and for placing a new session",
    "sessions_on_server": "the operators' list of what is on a server: names and states",
    # Work of all tenants, handed out row by row; the daemon then sets the tenant of each.
    "lease_messages": "messages to send",
    "lease_posts": "posts to relay",
    "lease_actions": "what is asked of WAHA",
    "lease_unacknowledged": "messages whose receipt is missing",
    "lease_channel_catch_up": "channels to read again",
    "lease_session_catch_ups": "sessions to read again",
    "request_catch_ups": "notes that all are to be read again",
    "held_new_contacts": "messages that an account may not send yet",
    "numbers_to_measure": "accounts in which something happened, by their ids",
    "numbers_called": "whose accounts these are, which a poll told of",
    "limits_told": "what WhatsApp allows the accounts of a server",
    "outdated_messages": "messages that are too old to be sent unasked",
    "sessions_in_trouble": "sessions that people want running, and that do not",
    "servers_left_alone": "names of servers, which are nobody's",
    "incident_work": "tenants whose incidents are to be looked at",
    "troubles_of_all": "what operators are told together: names of sessions and tenants, no text",
    "last_posted": "when Slack last took something; a time",
    "posts_that_waited": "a count",
    "sessions_of_server": "what a poll of a server is compared with",
    "restless_sessions": "which sessions of a server connected how often: ids and counts",
    "sessions_elsewhere": "whose session it is that a server lists which is not its own",
    "record_observations": "what a poll of a server saw of its sessions, written; ids and states come back",
    "claim_controls": "which sessions of a server are being started or stopped: times",
    "settle_sessions": "sessions of a server that are as people want them: counts of tries go back to none",
    "live_report_schedules": "when reports are due",
    "lease_silence_checks": "sessions that were not heard for a while",
    "due_silence_checks": "the same, of which only its caller hands out",
    "rhythm_samples": "how long sessions were silent; times and counts, no text",
    "sessions_that_do_not_send": "ids, times and counts, no text",
    "silence_of_server": "counts, when the last one was restarted, and whether a server's webhooks arrive",
    # About the row that is being written, whoever writes it.
    "note_waiting_message": "trigger: the conversation of the message itself",
    "reasons_to_wait": "reads no row",
    "note_answer": "trigger: the messages of the conversation itself",
    "note_wanted_since": "trigger: of the row itself",
    "refuse_audit_change": "trigger: reads no row",
    "refuse_plain_json": "trigger: reads no row",
    "is_new_contact": "of the conversation that it is given",
    "may_have_left": "of the conversation that it is given",
    # Past row security by its nature, with a filter of its own.
    "search_messages": "refuses every tenant but the transaction's own",
    "prune": "deletes by age from tables that it names itself",
    "prune_audit": "deletes by age, each tenant's by its own setting",
    # They delete, which no role may; each refuses to without a tenant, and reaches no other.
    "tenant_of_transaction": "reads no row",
    "delete_messages": "deletes by ids, of the transaction's tenant alone",
    "delete_old_posts": "deletes by age, of the transaction's tenant alone",
    "delete_customer": "deletes by ids, of the transaction's tenant alone",
    "empty_webhooks": "empties what arrived for the sessions of the transaction's tenant",
    "empty_slack_events": "empties what was said in the tenant's threads, and commands by their ids",
    "retention_settings": "whose rows are deleted by age, and from which; ids and days",
}


RELATIONS = """
SELECT relname, relkind::text, relrowsecurity FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'
"""
FUNCTIONS = "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"


def unguarded(reader: cursor) -> set[str]:
    """What is read past row security: tables without it, and whatever is no table, since that reads as its owner."""
    reader.execute(RELATIONS)
    return {name for name, kind, is_guarded in reader.fetchall() if kind != "S" and not (kind == "r" and is_guarded)}


def functions_of_the_owner(reader: cursor) -> set[str]:
    reader.execute(FUNCTIONS)
    return {name for (name,) in reader.fetchall()}


def test_every_table_is_guarded_or_says_why_it_is_not(owner: cursor) -> None:
    assert unguarded(owner) == set(WITHOUT_ROW_SECURITY)


def test_every_function_that_runs_as_the_owner_says_why(owner: cursor) -> None:
    assert functions_of_the_owner(owner) == set(RUNS_AS_OWNER)


def test_a_table_that_hangs_below_a_tenant_is_guarded(owner: cursor) -> None:
    """Also one that has no tenant_id of its own and reaches a tenant through a parent."""
    keys = read_catalog(owner).foreign_keys
    below = {"tenants"}
    while more := {key.table for key in keys if key.target in below} - below:
        below |= more

    # The inboxes learn the tenant when it is too late to guard by it.
    assert below & unguarded(owner) == {"slack_events", "webhook_events"}
    assert len(below) > 15


@pytest.mark.parametrize("role", ROLES)
def test_no_role_reads_how_far_a_sequence_has_come(role: str, owner: cursor) -> None:
    owner.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND CASE relkind WHEN 'S' "
        "THEN has_sequence_privilege(%s, oid, 'SELECT, UPDATE') ELSE false END",
        (role,),
    )

    assert owner.fetchall() == []


@pytest.mark.parametrize("role", ROLES)
def test_no_role_passes_by_row_security(role: str, owner: cursor) -> None:
    """Neither as the owner of a table, whom no policy binds, nor by a right of its own or of a role that it has."""
    owner.execute(
        "SELECT count(*) FROM pg_roles r WHERE pg_has_role(%s, r.oid, 'MEMBER') "
        "AND (r.rolsuper OR r.rolbypassrls OR EXISTS (SELECT 1 FROM pg_class WHERE relowner = r.oid))",
        (role,),
    )

    assert owner.fetchone() == (0,)


@pytest.mark.parametrize(
    "hole",
    [
        "CREATE VIEW everybody AS SELECT * FROM messages",
        "CREATE TABLE notes (id uuid PRIMARY KEY, body text)",
        "CREATE FUNCTION everybody() RETURNS SETOF messages LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM messages'",
    ],
)
def test_a_new_way_past_the_walls_is_noticed(hole: str, owner: cursor) -> None:
    before = unguarded(owner) | functions_of_the_owner(owner)

    owner.execute(hole)

    assert (unguarded(owner) | functions_of_the_owner(owner)) - before != set()
