"""What a deactivated and a deleted tenant leave undone, and that a person takes their choice of a tenant back.

`lease_posts` passes over the conversations of a tenant that is silent, and puts off the posts which it finds there, so
that they do not stand in the way of others at every lease. Waking a tenant makes them due again, and cannot miss one: the
tenant's row is shared while they are put off. What has begun to leave goes on, since it must be known whether it did.
"""

from __future__ import annotations

from collections.abc import Mapping

_TABLES = r"""
-- Few, and asked for at each lease.
CREATE INDEX tenants_silent_idx ON tenants (id) WHERE status <> 'active' OR deleted_at IS NOT NULL;
"""

_DECLARED = r"""
CREATE OR REPLACE FUNCTION lease_posts(
    p_limit integer, p_lease interval, p_lease_of_files interval, p_full_channels text[], p_with_posts boolean,
    p_with_reactions boolean
)
RETURNS TABLE (
    post_id uuid, tenant_id uuid, conversation_id uuid, message_id uuid, lease_token uuid, lease_expires_at timestamptz, kind text,
    slack_team_id text, slack_channel_id text, thread_ts text, payload jsonb, slack_ts text, file_id text, attempts integer,
    post_started_at timestamptz, created_at timestamptz, lane_id uuid, failures integer
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
-- Without statistics, as when a backlog has just gathered, reading everything is taken for the shorter way.
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
"""

_CHOOSE = r"""
DECLARE
    window_size CONSTANT integer := 20 * p_limit;
    looked_at integer;
    found uuid[];
    chosen uuid[];<and who is silent>
BEGIN
    WITH due AS MATERIALIZED (
        SELECT p.lane_id, p.seq, p.next_attempt_at, CASE WHEN p.kind = 'react' THEN p_with_reactions
            ELSE p_with_posts AND p.slack_channel_id <> ALL (p_full_channels) END AS may_go<and its id>
        FROM slack_posts p
        WHERE p.posted_at IS NULL AND p.parked_at IS NULL AND p.next_attempt_at <= clock_timestamp()
        ORDER BY p.next_attempt_at
        LIMIT window_size
    ),
    head AS (
        SELECT due.lane_id, due.next_attempt_at
        FROM due
        JOIN post_lanes l ON l.id = due.lane_id AND (l.lease_token IS NULL OR l.lease_expires_at < clock_timestamp())
        CROSS JOIN LATERAL (
            SELECT p.seq FROM slack_posts p
            WHERE p.lane_id = due.lane_id AND p.posted_at IS NULL AND p.parked_at IS NULL
            ORDER BY p.seq
            LIMIT 1
        ) first
        WHERE due.may_go AND first.seq = due.seq<unless it is silent>
        ORDER BY due.next_attempt_at
        LIMIT p_limit
    )
    SELECT (SELECT count(*) FROM due), ARRAY(SELECT head.lane_id FROM head)<and the silent ones> INTO looked_at, found<and them>;

    IF looked_at = window_size AND cardinality(found) < p_limit THEN
        WITH RECURSIVE head AS (
            (
                SELECT p.lane_id, p.next_attempt_at, p.kind, p.slack_channel_id<and whether it is silent>
                FROM slack_posts p
                WHERE p.posted_at IS NULL AND p.parked_at IS NULL
                ORDER BY p.lane_id, p.seq
                LIMIT 1
            )
            UNION ALL
            SELECT next.* FROM head CROSS JOIN LATERAL (
                SELECT p.lane_id, p.next_attempt_at, p.kind, p.slack_channel_id<and whether it is silent>
                FROM slack_posts p
                WHERE p.lane_id > head.lane_id AND p.posted_at IS NULL AND p.parked_at IS NULL
                ORDER BY p.lane_id, p.seq
                LIMIT 1
            ) next
        )
        SELECT ARRAY(
            SELECT head.lane_id
            FROM head
            JOIN post_lanes l ON l.id = head.lane_id AND (l.lease_token IS NULL OR l.lease_expires_at < clock_timestamp())
            WHERE head.next_attempt_at <= clock_timestamp()<unless the head is silent> AND CASE WHEN head.kind = 'react' THEN p_with_reactions
                ELSE p_with_posts AND head.slack_channel_id <> ALL (p_full_channels) END
            ORDER BY head.next_attempt_at
            LIMIT p_limit
        ) INTO found;
    END IF;
<put off>
    SELECT array_agg(locked.id) INTO chosen FROM (
        SELECT l.id
        FROM post_lanes l
        WHERE l.id = ANY (found) AND (l.lease_token IS NULL OR l.lease_expires_at < clock_timestamp())
        FOR NO KEY UPDATE SKIP LOCKED
    ) locked;
"""

# A second statement, with a fresh snapshot: else a late record shows what has been posted meanwhile as still to be done.
# A receipt that failed changes its lane, perhaps while it is under way in the former one.
_LEASE = r"""
    RETURN QUERY
    WITH head AS MATERIALIZED (
        SELECT first.id, first.lane_id, gen_random_uuid() AS token,
            clock_timestamp() + CASE WHEN first.payload ? 'file' THEN p_lease_of_files ELSE p_lease END AS expires_at
        FROM unnest(chosen) AS lane (id)
        CROSS JOIN LATERAL (
            SELECT p.id, p.lane_id, p.next_attempt_at, p.payload, p.lease_expires_at
            FROM slack_posts p
            WHERE p.lane_id = lane.id AND p.posted_at IS NULL AND p.parked_at IS NULL
            ORDER BY p.seq
            LIMIT 1
        ) first
        WHERE first.next_attempt_at <= clock_timestamp()
            AND (first.lease_expires_at IS NULL OR first.lease_expires_at < clock_timestamp())
    ),
    claimed AS (
        UPDATE post_lanes l SET lease_token = head.token, lease_expires_at = head.expires_at
        FROM head WHERE l.id = head.lane_id
        RETURNING l.id
    ),
    leased AS (
        UPDATE slack_posts p SET lease_token = head.token, lease_expires_at = head.expires_at
        FROM head JOIN claimed ON claimed.id = head.lane_id
        WHERE p.id = head.id
        RETURNING p.*, head.lane_id AS claimed_lane_id
    )
    SELECT p.id, p.tenant_id, p.conversation_id, p.message_id, p.lease_token, p.lease_expires_at, p.kind,
        p.slack_team_id, p.slack_channel_id, coalesce(p.thread_ts, c.slack_thread_ts), p.payload, p.slack_ts, p.file_id, p.attempts,
        p.post_started_at, p.created_at, p.claimed_lane_id, p.failures
    FROM leased p
    -- A conversation that moved to another channel has its thread there; what was queued for the old one stands alone.
    LEFT JOIN conversations c ON c.id = p.conversation_id AND c.slack_channel_id = p.slack_channel_id;
END
$$;
"""

_IS_SILENT = "p.conversation_id IS NOT NULL AND p.post_started_at IS NULL AND coalesce(p.tenant_id = ANY (silent), false) AS is_silent"

_ADDED = {
    "<and who is silent>": """
    silent CONSTANT uuid[] := ARRAY(SELECT t.id FROM tenants t WHERE t.status <> 'active' OR t.deleted_at IS NOT NULL);
    still_silent uuid[];
    in_the_way uuid[];""",
    "<and its id>": f""",
            p.id, {_IS_SILENT}""",
    "<unless it is silent>": " AND NOT due.is_silent",
    "<and the silent ones>": ", ARRAY(SELECT due.id FROM due WHERE due.is_silent)",
    "<and them>": ", in_the_way",
    "<and whether it is silent>": f""",
                    {_IS_SILENT}""",
    "<unless the head is silent>": " AND NOT head.is_silent",
    "<put off>": """
    IF cardinality(in_the_way) > 0 THEN
        SELECT array_agg(locked.id) INTO still_silent FROM (
            SELECT t.id FROM tenants t
            WHERE t.id = ANY (silent) AND (t.status <> 'active' OR t.deleted_at IS NOT NULL)
            FOR SHARE SKIP LOCKED
        ) locked;
        UPDATE slack_posts SET next_attempt_at = clock_timestamp() + interval '1 day'
        WHERE id = ANY (ARRAY(
            SELECT post.id
            FROM unnest(in_the_way) AS met (id)
            CROSS JOIN LATERAL (
                SELECT p.id FROM slack_posts p
                -- Said so that no index but the key fits: to a plan made while the table was small all look alike, and
                -- another one is then read whole for each post.
                WHERE p.id = met.id AND coalesce(p.posted_at, p.parked_at, p.post_started_at) IS NULL
                    AND coalesce(p.tenant_id = ANY (still_silent), false) AND (p.lease_token IS NULL OR p.lease_expires_at < clock_timestamp())
                FOR NO KEY UPDATE SKIP LOCKED
            ) post
        ));
    END IF;
""",
}


def _with(function: str, added: Mapping[str, str]) -> str:
    for mark in _ADDED:
        function = function.replace(mark, added.get(mark, ""))
    return function


# A session that is deleted, by itself or with its tenant, is wanted stopped, until it is seen to be; its phone stays linked.
_SESSIONS = r"""
DROP FUNCTION sessions_of_server(text);
CREATE FUNCTION sessions_of_server(p_server text)
RETURNS TABLE (
    tenant_id uuid, session_id uuid, external_session_id text, name text, status text, desired_state text, engine text, metadata jsonb,
    config jsonb, error_message text, status_observed_at timestamptz, status_changed_at timestamptz, announced_status text,
    control_attempts integer, is_control_due boolean, is_deleted boolean
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id, s.id, s.external_session_id::text, s.name::text, s.status,
        CASE WHEN gone.is_deleted THEN 'stopped' ELSE s.desired_state END, s.engine, s.metadata,
        s.config, s.error_message, s.status_observed_at, s.status_changed_at,
        -- Nobody is told what becomes of it.
        CASE WHEN gone.is_deleted THEN s.status ELSE s.announced_status END,
        s.control_attempts, s.next_control_at <= clock_timestamp(), gone.is_deleted
    FROM waha_sessions s
    JOIN tenants t ON t.id = s.tenant_id
    CROSS JOIN LATERAL (SELECT s.deleted_at IS NOT NULL OR t.deleted_at IS NOT NULL AS is_deleted) gone
    WHERE s.server = p_server AND (NOT gone.is_deleted OR s.status <> 'stopped')
    ORDER BY s.external_session_id
$$;
CREATE INDEX waha_sessions_deleted_idx ON waha_sessions (server) WHERE deleted_at IS NOT NULL AND status <> 'stopped';
REVOKE ALL ON FUNCTION sessions_of_server(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sessions_of_server(text) TO switchboard_daemon;
"""

_SESSIONS_AS_THEY_WERE = r"""
DROP INDEX waha_sessions_deleted_idx;
DROP FUNCTION sessions_of_server(text);
CREATE FUNCTION sessions_of_server(p_server text)
RETURNS TABLE (
    tenant_id uuid, session_id uuid, external_session_id text, name text, status text, desired_state text, engine text, metadata jsonb,
    config jsonb, error_message text, status_observed_at timestamptz, status_changed_at timestamptz, announced_status text,
    control_attempts integer, is_control_due boolean
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id, s.id, s.external_session_id::text, s.name::text, s.status, s.desired_state, s.engine, s.metadata,
        s.config, s.error_message, s.status_observed_at, s.status_changed_at, s.announced_status,
        s.control_attempts, s.next_control_at <= clock_timestamp()
    FROM waha_sessions s
    JOIN tenants t ON t.id = s.tenant_id AND t.deleted_at IS NULL
    WHERE s.server = p_server AND s.deleted_at IS NULL
    ORDER BY s.external_session_id
$$;
REVOKE ALL ON FUNCTION sessions_of_server(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sessions_of_server(text) TO switchboard_daemon;
"""

_FUNCTIONS = r"""
-- For operators, who alone bring a tenant back.
CREATE FUNCTION deleted_tenants()
RETURNS TABLE (tenant_id uuid, tenant_name text, deletion_id uuid, deleted_at timestamptz, sessions bigint, users bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.id, t.name::text, t.deletion_id, t.deleted_at,
        (SELECT count(*) FROM waha_sessions s WHERE s.tenant_id = t.id AND s.deletion_id = t.deletion_id),
        (SELECT count(*) FROM users u WHERE u.tenant_id = t.id AND u.deletion_id = t.deletion_id)
    FROM tenants t
    WHERE t.deleted_at IS NOT NULL
    ORDER BY t.deleted_at DESC
$$;

CREATE FUNCTION unchoose_tenant(p_team text, p_user text)
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DELETE FROM tenant_choices WHERE slack_team_id = p_team AND slack_user_id = p_user
$$;

REVOKE ALL ON FUNCTION deleted_tenants(), unchoose_tenant(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION deleted_tenants(), unchoose_tenant(text, text) TO switchboard_bot, switchboard_daemon;
"""

UP = _TABLES + _DECLARED + _with(_CHOOSE, _ADDED) + _LEASE + _SESSIONS + _FUNCTIONS
DOWN = (
    "DROP FUNCTION unchoose_tenant(text, text), deleted_tenants();"
    + _SESSIONS_AS_THEY_WERE
    + _DECLARED
    + _with(_CHOOSE, {})
    + _LEASE
    + "DROP INDEX tenants_silent_idx;"
)
