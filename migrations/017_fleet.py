"""Thousands of sessions on several servers: read slim, written in bulk, placed where there is room.

What a poll of a server reads and writes crosses tenants, so it goes through functions that only the daemon may call.
"""

COLUMNS = r"""
-- The day, in UTC, on which people were told that no restart of ours is left.
ALTER TABLE waha_sessions ADD COLUMN gave_up_on date;
-- When a call of ours about it last began.
ALTER TABLE waha_sessions ADD COLUMN controlled_at timestamptz;
-- How often a session connected lately.
CREATE INDEX session_checks_starting_idx ON session_checks (observed_at) WHERE status = 'starting';
"""

# Without metadata and configuration: ten thousand of them would be read for nothing every few seconds.
SLIM = r"""
DROP FUNCTION sessions_of_server(text);
CREATE FUNCTION sessions_of_server(p_server text, p_now timestamptz DEFAULT NULL)
RETURNS TABLE (
    tenant_id uuid, session_id uuid, external_session_id text, status text, desired_state text, engine text, me_id text, raw_status text,
    status_for interval, control_attempts integer, is_control_due boolean, restarts_today integer, has_given_up boolean,
    is_unsettled boolean, is_stuck boolean, is_deleted boolean
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id, s.id, s.external_session_id::text, s.status,
        CASE WHEN gone.is_deleted THEN 'stopped' ELSE s.desired_state END, s.engine, s.metadata ->> 'me_id', s.metadata ->> 'raw_status',
        given.now - s.status_changed_at, s.control_attempts, s.next_control_at <= given.now,
        CASE WHEN s.restarts_on = given.today THEN s.restarts ELSE 0 END, coalesce(s.gave_up_on = given.today, false),
        s.control_attempts > 0 OR s.error_message IS NOT NULL, stuck.session_id IS NOT NULL, gone.is_deleted
    FROM waha_sessions s
    JOIN tenants t ON t.id = s.tenant_id
    CROSS JOIN LATERAL (SELECT s.deleted_at IS NOT NULL OR t.deleted_at IS NOT NULL AS is_deleted) gone
    CROSS JOIN (
        SELECT coalesce(p_now, clock_timestamp()) AS now, (coalesce(p_now, clock_timestamp()) AT TIME ZONE 'UTC')::date AS today
    ) given
    LEFT JOIN incidents stuck ON stuck.session_id = s.id AND stuck.tenant_id = s.tenant_id AND stuck.kind = 'stuck' AND stuck.ended_at IS NULL
    WHERE s.server = p_server AND (NOT gone.is_deleted OR s.status <> 'stopped')
    ORDER BY s.external_session_id
$$;
"""

READING = r"""
-- Sessions that lost their connection at least so often since then: each time it looked like a short interruption. What worked
-- and then starts has lost it; a first pairing or a session that was stopped has not. WAHA passes through the same two on a
-- restart whose stop nobody saw: what comes within a minute of a call of ours, or of what a person asked for, is not counted.
CREATE FUNCTION restless_sessions(p_server text, p_since timestamptz, p_times integer)
RETURNS TABLE (session_id uuid, times bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH busy AS (
        SELECT k.tenant_id, k.session_id, max(s.controlled_at) AS controlled_at
        FROM session_checks k
        JOIN waha_sessions s ON s.id = k.session_id AND s.tenant_id = k.tenant_id AND s.server = p_server
        WHERE k.observed_at > p_since AND k.status = 'starting'
        GROUP BY k.tenant_id, k.session_id
        HAVING count(*) >= p_times
    )
    SELECT k.session_id, count(*)
    FROM busy b
    JOIN session_checks k ON k.tenant_id = b.tenant_id AND k.session_id = b.session_id
    CROSS JOIN LATERAL (
        SELECT c.status FROM session_checks c
        WHERE c.tenant_id = k.tenant_id AND c.session_id = k.session_id AND c.observed_at < k.observed_at
        ORDER BY c.observed_at DESC LIMIT 1
    ) before
    WHERE k.observed_at > p_since AND k.status = 'starting' AND before.status = 'working'
        AND (k.observed_at BETWEEN b.controlled_at AND b.controlled_at + interval '1 minute') IS NOT TRUE
        AND NOT EXISTS (
            SELECT FROM waha_actions a
            WHERE a.tenant_id = k.tenant_id AND a.session_id = k.session_id
                AND a.kind IN ('restart', 'configure', 'adopt', 'logout', 'pair')
                AND (a.attempts > 0 OR a.lease_token IS NOT NULL OR a.done_at IS NOT NULL)
                AND k.observed_at BETWEEN a.created_at AND coalesce(a.done_at, a.parked_at, a.next_attempt_at) + interval '1 minute'
        )
    GROUP BY k.session_id
    HAVING count(*) >= p_times
$$;

-- Whose are these, which another server than their own lists?
CREATE FUNCTION sessions_elsewhere(p_server text, p_names text[])
RETURNS TABLE (tenant_id uuid, session_id uuid, external_session_id text, name text, server text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id, s.id, s.external_session_id::text, s.name::text, s.server
    FROM waha_sessions s
    WHERE s.external_session_id = ANY (p_names) AND s.server <> p_server AND s.deleted_at IS NULL
$$;
"""

WRITING = r"""
-- All that a poll saw anew, in one statement: a status where it was seen later than the last one, an account or a word of
-- WAHA's where it is another. Rows are locked in one order, so that no two statements wait for each other; what moved comes back.
CREATE FUNCTION record_observations(p_server text, p_at timestamptz, p_seen jsonb)
RETURNS TABLE (tenant_id uuid, session_id uuid, status text, was text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH found AS (
        SELECT s.id, s.status AS was, r.check_id, r.status, r.word, r.me_id, r.me_name,
            r.status <> s.status AND coalesce(s.status_observed_at < p_at, true) AS moves,
            coalesce(r.status = s.status, true) AND (
                r.word IS DISTINCT FROM s.metadata ->> 'raw_status' OR r.me_id IS NOT NULL AND r.me_id IS DISTINCT FROM s.metadata ->> 'me_id'
            ) AS tells
        FROM jsonb_to_recordset(p_seen) AS r (session_id uuid, check_id uuid, status text, word text, me_id text, me_name text)
        JOIN waha_sessions s ON s.id = r.session_id
        WHERE s.server = p_server
        ORDER BY s.id
        FOR NO KEY UPDATE OF s
    ),
    written AS (
        UPDATE waha_sessions s
        SET status = CASE WHEN f.moves THEN f.status ELSE s.status END,
            status_observed_at = CASE WHEN f.moves THEN p_at ELSE s.status_observed_at END,
            status_changed_at = CASE WHEN f.moves THEN p_at ELSE s.status_changed_at END,
            hold_until = CASE WHEN f.moves THEN NULL ELSE s.hold_until END,
            updated_at = clock_timestamp(),
            metadata = s.metadata || jsonb_build_object('raw_status', f.word)
                || CASE WHEN f.me_id IS NULL THEN '{}' ELSE jsonb_build_object('me_id', f.me_id, 'me_name', coalesce(f.me_name, '')) END
        FROM found f
        WHERE s.id = f.id AND (f.moves OR f.tells)
        RETURNING s.tenant_id, s.id, s.status, f.was, f.moves, f.check_id, f.word
    ),
    checked AS (
        INSERT INTO session_checks (id, tenant_id, session_id, status, raw_status, source, observed_at)
        SELECT w.check_id, w.tenant_id, w.id, w.status, w.word, 'poll', p_at FROM written w WHERE w.moves
    )
    SELECT w.tenant_id, w.id, w.status, w.was FROM written w WHERE w.moves
$$;

-- The right to make one call about each of these for a while; a session that another daemon has to do with is left out.
CREATE FUNCTION claim_controls(p_server text, p_sessions uuid[], p_for interval, p_now timestamptz DEFAULT NULL)
RETURNS TABLE (session_id uuid)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE waha_sessions s
    SET next_control_at = coalesce(p_now, clock_timestamp()) + p_for, controlled_at = coalesce(p_now, clock_timestamp())
    WHERE s.id IN (
        SELECT due.id FROM waha_sessions due
        WHERE due.id = ANY (p_sessions) AND due.server = p_server AND due.next_control_at <= coalesce(p_now, clock_timestamp())
        ORDER BY due.id
        FOR NO KEY UPDATE SKIP LOCKED
    )
    RETURNING s.id
$$;

-- These are what people want: the next trouble begins with a first try again.
CREATE FUNCTION settle_sessions(p_server text, p_sessions uuid[])
RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH settled AS (
        UPDATE waha_sessions s SET control_attempts = 0, error_message = NULL
        WHERE s.id IN (
            SELECT calm.id FROM waha_sessions calm
            WHERE calm.id = ANY (p_sessions) AND calm.server = p_server AND (calm.control_attempts > 0 OR calm.error_message IS NOT NULL)
            ORDER BY calm.id
            FOR NO KEY UPDATE
        )
        RETURNING s.id
    )
    SELECT count(*) FROM settled
$$;
"""

# For operators, and for choosing a server for a new session: of every tenant, counts and names, nothing that was written.
PLACING = r"""
CREATE FUNCTION sessions_by_server()
RETURNS TABLE (server text, sessions bigint, working bigint, stopped_by_people bigint, troubled bigint, oldest_trouble_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.server, count(*), count(*) FILTER (WHERE s.status = 'working'), count(*) FILTER (WHERE s.desired_state = 'stopped'),
        count(*) FILTER (WHERE is_troubled), min(s.status_changed_at) FILTER (WHERE is_troubled)
    FROM waha_sessions s
    JOIN tenants t ON t.id = s.tenant_id AND t.deleted_at IS NULL
    CROSS JOIN LATERAL (SELECT s.desired_state = 'running' AND s.status <> 'working' AS is_troubled) state
    WHERE s.deleted_at IS NULL
    GROUP BY s.server
    ORDER BY s.server
$$;

CREATE FUNCTION sessions_on_server(p_server text, p_limit integer)
RETURNS TABLE (tenant_name text, name text, status text, desired_state text, status_changed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.name::text, s.name::text, s.status, s.desired_state, s.status_changed_at
    FROM waha_sessions s
    JOIN tenants t ON t.id = s.tenant_id AND t.deleted_at IS NULL
    WHERE s.server = p_server AND s.deleted_at IS NULL
    ORDER BY s.desired_state = 'running' AND s.status <> 'working' DESC, s.status_changed_at, t.name, s.name
    LIMIT p_limit
$$;
"""

_OF_DAEMON = (
    "sessions_of_server(text, timestamptz), restless_sessions(text, timestamptz, integer), sessions_elsewhere(text, text[]), "
    "record_observations(text, timestamptz, jsonb), claim_controls(text, uuid[], interval, timestamptz), settle_sessions(text, uuid[])"
)
_OF_BOTH = "sessions_by_server(), sessions_on_server(text, integer)"

GRANTS = f"""
REVOKE ALL ON FUNCTION {_OF_DAEMON}, {_OF_BOTH} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {_OF_DAEMON} TO switchboard_daemon;
GRANT EXECUTE ON FUNCTION {_OF_BOTH} TO switchboard_bot, switchboard_daemon;
"""

UP = COLUMNS + SLIM + READING + WRITING + PLACING + GRANTS

DOWN = (
    f"DROP FUNCTION {_OF_DAEMON}, {_OF_BOTH};"
    r"""
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
REVOKE ALL ON FUNCTION sessions_of_server(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sessions_of_server(text) TO switchboard_daemon;
DROP INDEX session_checks_starting_idx;
ALTER TABLE waha_sessions DROP COLUMN gave_up_on, DROP COLUMN controlled_at;
"""
)
