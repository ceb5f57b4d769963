"""What the watch over silent sessions remembers besides `session_watches`, and how its checks are handed out.

A check is one call to WAHA, so a server has a budget of them, whoever spends it: `checks_from` is when the next one may
be made.
"""

COLUMNS = r"""
ALTER TABLE session_watches
    ADD COLUMN heard_at timestamptz,          -- the last message that a webhook told
    ADD COLUMN next_check_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN suspicion text,                -- why it is taken for silent
    ADD COLUMN missed_from timestamptz,       -- when the oldest message was written that WAHA knew and did not tell
    ADD COLUMN named_at timestamptz,          -- since when people are told
    ADD COLUMN given_up_at timestamptz,       -- the restart has not helped, and a person was asked to look
    ADD COLUMN canary_taken_at timestamptz,   -- when WAHA answered that it has the canary; of one that it may not have nothing is concluded
    ADD COLUMN lease_token uuid,
    ADD COLUMN lease_expires_at timestamptz,
    ADD CONSTRAINT session_watches_suspicion_check CHECK (suspicion IN ('unheard', 'canary', 'unacknowledged', 'refused'));
ALTER TABLE waha_servers ADD COLUMN checks_from timestamptz;
-- What a session said in four weeks, without what else is told of it.
CREATE INDEX messages_told_idx ON messages (session_id, created_at) WHERE metadata ? 'timestamp';
"""

# Suspects first, then who was not heard for the most of its usual silence. What is chosen is leased before the budget is
# written, under the lock of the server's row: two daemons together spend no more than one.
LEASE = r"""
CREATE FUNCTION lease_silence_checks(
    p_server text, p_limit integer, p_per_second double precision, p_lease interval, p_quiet interval, p_answer interval,
    p_now timestamptz DEFAULT NULL
)
RETURNS TABLE (
    watch_id uuid, lease_token uuid, tenant_id uuid, session_id uuid, external_session_id text, server text, account text,
    now timestamptz, working_since timestamptz, caught_up_to timestamptz, usual_seconds integer, is_check_due boolean,
    is_canary_due boolean
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz := coalesce(p_now, clock_timestamp());
    hour text := (extract(isodow FROM moment AT TIME ZONE 'UTC') - 1) * 24 + extract(hour FROM moment AT TIME ZONE 'UTC');
    -- What was not spent is kept for four seconds.
    spent timestamptz;
    room integer;
BEGIN
    INSERT INTO session_watches (id, tenant_id, session_id, next_check_at)
    SELECT gen_random_uuid(), s.tenant_id, s.id, moment
    FROM waha_sessions s
    WHERE s.server = p_server AND s.status = 'working' AND s.deleted_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM session_watches w WHERE w.session_id = s.id AND w.tenant_id = s.tenant_id)
    ON CONFLICT DO NOTHING;

    SELECT greatest(v.checks_from, moment - interval '4 s') INTO spent FROM waha_servers v WHERE v.name = p_server AND v.state = 'up';
    -- least() passes over null: that the server is away, or its row another's, is asked first.
    IF spent IS NULL OR floor(extract(epoch FROM moment - spent) * p_per_second) < 1
        OR NOT EXISTS (SELECT 1 FROM due_silence_checks(p_server, p_quiet, p_answer, moment))
    THEN
        RETURN;
    END IF;
    SELECT greatest(v.checks_from, moment - interval '4 s') INTO spent
    FROM waha_servers v WHERE v.name = p_server FOR NO KEY UPDATE SKIP LOCKED;
    IF spent IS NULL THEN
        RETURN;
    END IF;
    room := least(p_limit, floor(extract(epoch FROM moment - spent) * p_per_second));

    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT d.* FROM due_silence_checks(p_server, p_quiet, p_answer, moment) d
        ORDER BY d.is_suspect DESC, d.waited / coalesce((d.rhythm ->> hour)::double precision, 3600) DESC, d.watch_id
        LIMIT greatest(room, 0)
    ),
    leased AS (
        UPDATE session_watches w SET lease_token = gen_random_uuid(), lease_expires_at = moment + p_lease
        FROM due WHERE w.id = due.watch_id AND (w.lease_token IS NULL OR w.lease_expires_at < moment)
        RETURNING w.*, due.is_check_due, due.is_canary_due
    ),
    budget AS (
        UPDATE waha_servers v SET checks_from = spent + make_interval(secs => counted.n / p_per_second)
        FROM (SELECT count(*) AS n FROM leased) counted
        WHERE v.name = p_server AND counted.n > 0
    )
    SELECT l.id, l.lease_token, s.tenant_id, s.id, s.external_session_id::text, s.server, s.metadata ->> 'me_id',
        moment, coalesce(s.status_changed_at, s.created_at), s.caught_up_to, coalesce((l.rhythm ->> hour)::integer, 3600),
        l.is_check_due, l.is_canary_due
    FROM leased l
    JOIN waha_sessions s ON s.id = l.session_id AND s.tenant_id = l.tenant_id;
END
$$;

-- Working sessions that were not heard for a while, are suspected, or shall write to themselves, or should have heard that.
CREATE FUNCTION due_silence_checks(p_server text, p_quiet interval, p_answer interval, p_now timestamptz)
RETURNS TABLE (watch_id uuid, rhythm jsonb, waited double precision, is_suspect boolean, is_check_due boolean, is_canary_due boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT w.id, w.rhythm, extract(epoch FROM p_now - greatest(w.heard_at, w.checked_at, since.working))::double precision,
        w.suspected_at IS NOT NULL, due.is_check, due.is_canary
    FROM waha_sessions s
    JOIN tenants t ON t.id = s.tenant_id AND t.deleted_at IS NULL
    JOIN session_watches w ON w.session_id = s.id AND w.tenant_id = s.tenant_id
    CROSS JOIN LATERAL (SELECT coalesce(s.status_changed_at, s.created_at) AS working) since
    CROSS JOIN LATERAL (
        SELECT w.next_check_at <= p_now AND (w.suspected_at IS NOT NULL OR greatest(w.heard_at, since.working) <= p_now - p_quiet) AS is_check,
            (s.limits ->> 'canary_minutes') IS NOT NULL AND coalesce(CASE
                WHEN w.canary_id IS NOT NULL THEN w.canary_sent_at <= p_now - p_answer
                -- whether the restart has helped is asked at once
                WHEN w.suspicion = 'canary' AND w.restarted_at > w.canary_sent_at THEN true
                ELSE w.canary_sent_at <= p_now - make_interval(mins => (s.limits ->> 'canary_minutes')::integer)
            END, true) AS is_canary
    ) due
    WHERE s.server = p_server AND s.status = 'working' AND s.desired_state = 'running' AND s.deleted_at IS NULL
        AND (due.is_check OR due.is_canary)
        AND (w.lease_token IS NULL OR w.lease_expires_at < p_now)
$$;
"""

# A silence of less than three minutes is the shortest that is ever looked for, so those are only counted.
RHYTHMS = r"""
CREATE FUNCTION rhythm_samples(p_limit integer, p_shortest interval, p_now timestamptz)
RETURNS TABLE (tenant_id uuid, session_id uuid, age interval, short jsonb, long jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH chosen AS MATERIALIZED (
        SELECT w.tenant_id, w.session_id, p_now - s.created_at AS age
        FROM session_watches w
        JOIN waha_sessions s ON s.id = w.session_id AND s.tenant_id = w.tenant_id AND s.deleted_at IS NULL
        WHERE w.learned_at IS NULL OR w.learned_at < p_now - interval '1 day'
        ORDER BY w.learned_at NULLS FIRST
        LIMIT p_limit
    ),
    written AS (
        SELECT c.session_id, (m.metadata ->> 'timestamp')::timestamptz AS at
        FROM chosen c
        JOIN messages m ON m.session_id = c.session_id AND m.tenant_id = c.tenant_id AND m.metadata ? 'timestamp'
            AND m.created_at > p_now - interval '28 days' AND m.created_at <= p_now
        WHERE m.metadata ->> 'timestamp' IS NOT NULL
    ),
    gaps AS (
        SELECT session_id, at AS began, lead(at) OVER (PARTITION BY session_id ORDER BY at) AS ended FROM written
    ),
    hours AS (
        SELECT session_id, (extract(isodow FROM began AT TIME ZONE 'UTC') - 1) * 24 + extract(hour FROM began AT TIME ZONE 'UTC') AS hour,
            count(*) AS n
        FROM gaps WHERE ended - began < p_shortest GROUP BY 1, 2
    )
    SELECT c.tenant_id, c.session_id, c.age,
        coalesce((SELECT jsonb_object_agg(h.hour, h.n) FROM hours h WHERE h.session_id = c.session_id), '{}'),
        coalesce((
            SELECT jsonb_agg(jsonb_build_array(extract(epoch FROM g.began), extract(epoch FROM g.ended)) ORDER BY g.began)
            FROM gaps g WHERE g.session_id = c.session_id AND g.ended - g.began >= p_shortest
        ), '[]')
    FROM chosen c
$$;
"""

# Of each session the newest try of each conversation whose message waits or was not confirmed: ids, times, counts; no text.
SENDING = r"""
CREATE FUNCTION sessions_that_do_not_send(
    p_servers text[], p_unconfirmed text, p_refused text, p_chats integer, p_now timestamptz
)
RETURNS TABLE (tenant_id uuid, session_id uuid, server text, reason text, since timestamptz, chats bigint, is_everywhere boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH ours AS MATERIALIZED (
        SELECT s.tenant_id, s.id, s.server FROM waha_sessions s
        WHERE s.server = ANY (p_servers) AND s.status = 'working' AND s.deleted_at IS NULL
    ),
    troubled AS (
        SELECT o.id AS session_id, 'unacknowledged' AS reason, '' AS error, m.conversation_id, m.sent_at AS at
        FROM messages m
        JOIN ours o ON o.id = m.session_id AND o.tenant_id = m.tenant_id
        WHERE m.status = 'sent' AND m.awaits_ack_since IS NOT NULL
            AND m.sent_at BETWEEN p_now - interval '30 min' AND p_now - interval '2 min'
        UNION ALL
        SELECT o.id, 'unacknowledged', '', m.conversation_id, m.sent_at
        FROM messages m
        JOIN ours o ON o.id = m.session_id AND o.tenant_id = m.tenant_id
        WHERE m.status = 'failed' AND m.direction = 'outbound' AND m.error_message = p_unconfirmed
            AND m.sent_at BETWEEN p_now - interval '30 min' AND p_now - interval '2 min'
        UNION ALL
        SELECT o.id, 'refused', head.error_message, head.conversation_id, head.updated_at
        FROM ours o
        JOIN conversations c ON c.session_id = o.id AND c.tenant_id = o.tenant_id AND c.sends_from IS NOT NULL
        CROSS JOIN LATERAL (
            SELECT m.conversation_id, m.error_message, m.updated_at, m.attempts FROM messages m
            WHERE m.conversation_id = c.id AND m.status = 'queued' AND m.direction = 'outbound' AND m.parked_at IS NULL
            ORDER BY m.seq LIMIT 1
        ) head
        WHERE head.attempts > 0 AND head.error_message LIKE p_refused AND head.updated_at BETWEEN p_now - interval '10 min' AND p_now
    ),
    counted AS (
        SELECT t.session_id, t.reason, min(t.at) AS since, count(DISTINCT t.conversation_id) AS chats
        FROM troubled t GROUP BY t.session_id, t.reason, t.error
    )
    SELECT o.tenant_id, o.id, o.server, c.reason, c.since, c.chats,
        c.reason = 'unacknowledged' AND EXISTS (
            SELECT 1 FROM counted other JOIN ours there ON there.id = other.session_id AND there.server = o.server
            WHERE other.reason = c.reason AND other.session_id <> c.session_id AND other.chats >= p_chats
        ) AND NOT EXISTS (
            SELECT 1 FROM ours there JOIN messages m ON m.session_id = there.id AND m.tenant_id = there.tenant_id
            WHERE there.server = o.server AND m.direction = 'outbound' AND m.status IN ('sent', 'delivered')
                AND m.awaits_ack_since IS NULL AND NOT m.metadata ? 'timestamp' AND m.sent_at BETWEEN c.since AND p_now
        )
    FROM counted c
    JOIN ours o ON o.id = c.session_id
    WHERE c.chats >= p_chats AND NOT EXISTS (
        -- Whatever the session could do since then, it can do. What left from the phone itself has a time of WhatsApp's.
        SELECT 1 FROM messages m
        WHERE m.session_id = o.id AND m.tenant_id = o.tenant_id AND m.direction = 'outbound' AND m.status IN ('sent', 'delivered')
            AND m.sent_at > c.since AND NOT m.metadata ? 'timestamp' AND (c.reason = 'refused' OR m.awaits_ack_since IS NULL)
    )
$$;

-- Whether the webhooks of a server arrive at all, how many of its sessions do not tell though there is news of them, how
-- many are silent in any way and not given up, how many of those were restarted and have not shown whether it helped, and
-- when the last one was.
CREATE FUNCTION silence_of_server(p_server text, p_since timestamptz)
RETURNS TABLE (has_told boolean, untold bigint, silent bigint, on_trial bigint, restarted_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (
        SELECT 1 FROM webhook_events e
        WHERE e.created_at > p_since AND e.server = p_server AND NOT starts_with(e.event_id, 'history_')
    ), suspects.untold, suspects.silent, suspects.on_trial, suspects.restarted_at
    FROM (
        SELECT count(*) FILTER (WHERE w.suspected_at IS NOT NULL AND w.suspicion IN ('unheard', 'canary')) AS untold,
            count(*) FILTER (WHERE w.suspected_at IS NOT NULL AND w.given_up_at IS NULL) AS silent,
            count(*) FILTER (WHERE w.restarted_at >= w.suspected_at AND w.given_up_at IS NULL) AS on_trial,
            max(w.restarted_at) AS restarted_at
        FROM session_watches w
        JOIN waha_sessions s ON s.id = w.session_id AND s.tenant_id = w.tenant_id AND s.server = p_server
            AND s.status IN ('working', 'starting') AND s.deleted_at IS NULL
    ) suspects
$$;

REVOKE ALL ON FUNCTION lease_silence_checks(text, integer, double precision, interval, interval, interval, timestamptz),
    due_silence_checks(text, interval, interval, timestamptz), rhythm_samples(integer, interval, timestamptz),
    sessions_that_do_not_send(text[], text, text, integer, timestamptz), silence_of_server(text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lease_silence_checks(text, integer, double precision, interval, interval, interval, timestamptz),
    due_silence_checks(text, interval, interval, timestamptz), rhythm_samples(integer, interval, timestamptz),
    sessions_that_do_not_send(text[], text, text, integer, timestamptz), silence_of_server(text, timestamptz) TO switchboard_daemon;
"""

UP = COLUMNS + LEASE + RHYTHMS + SENDING

DOWN = r"""
DROP FUNCTION silence_of_server(text, timestamptz);
DROP FUNCTION sessions_that_do_not_send(text[], text, text, integer, timestamptz);
DROP FUNCTION rhythm_samples(integer, interval, timestamptz);
DROP FUNCTION due_silence_checks(text, interval, interval, timestamptz);
DROP FUNCTION lease_silence_checks(text, integer, double precision, interval, interval, interval, timestamptz);
DROP INDEX messages_told_idx;
ALTER TABLE waha_servers DROP COLUMN checks_from;
ALTER TABLE session_watches DROP COLUMN lease_expires_at, DROP COLUMN lease_token, DROP COLUMN canary_taken_at, DROP COLUMN given_up_at, DROP COLUMN named_at,
    DROP COLUMN missed_from, DROP COLUMN suspicion, DROP COLUMN next_check_at, DROP COLUMN heard_at;
"""
