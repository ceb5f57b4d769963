"""What is known of gaps: since when a session or a channel is caught up with, and whose turn it is to read on.

A gap on WAHA's side is not reported by anybody, it is seen: the `mark` of a session is when it last came to work, when
its server last became reachable, and when that was started. Another mark than the one that was caught up with is a gap.
"""

TABLES = r"""
CREATE TABLE catch_ups (
    id uuid PRIMARY KEY,
    side text NOT NULL,
    place text NOT NULL,       -- WAHA's name of the session, or Slack's team/channel
    caught_up_to timestamptz,  -- moved by a completed catch-up only, never by a live event
    begins_at timestamptz,     -- what is older was before the account's time here
    account text,              -- whose history was read; another account begins anew
    mark text,
    requested_at timestamptz,  -- a gap ended then: what it swallowed is not all read before caught_up_to is later
    requested_for text,        -- what the gap was
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    not_before timestamptz,    -- Slack asked for this pause: no gap shortens it
    tried_mark text,           -- under another one a pause is over
    gap_since timestamptz,     -- where reading began after the last gap that none followed closely
    gap_read_at timestamptz,   -- when that was read
    lease_token uuid,
    lease_expires_at timestamptz,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT catch_ups_key UNIQUE (side, place),
    CONSTRAINT catch_ups_side_check CHECK (side IN ('waha', 'slack')),
    CONSTRAINT catch_ups_requested_for_check CHECK (requested_for IN ('switchboard', 'waha', 'quiet'))
);
GRANT SELECT, INSERT, UPDATE ON catch_ups TO switchboard_daemon;
GRANT SELECT ON catch_ups TO switchboard_bot;
"""

FUNCTIONS = r"""
-- The bot says that it did not listen, the daemon that nobody took webhooks. Places that are new begin with this.
CREATE FUNCTION request_catch_ups(p_team text, p_servers text[])
RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH place AS (
        SELECT 'slack' AS side, r.slack_team_id || '/' || r.slack_channel_id AS name
        FROM channel_routes r
        WHERE r.purpose = 'conversations' AND r.deleted_at IS NULL AND r.slack_team_id = p_team
        UNION
        SELECT 'waha', s.external_session_id::text
        FROM waha_sessions s
        WHERE s.deleted_at IS NULL AND s.server = ANY (p_servers)
    ),
    requested AS (
        INSERT INTO catch_ups AS known (id, side, place, requested_at, requested_for)
        SELECT gen_random_uuid(), side, name, clock_timestamp(), 'switchboard' FROM place ORDER BY side, name
        ON CONFLICT (side, place) DO UPDATE SET requested_at = clock_timestamp(), requested_for = 'switchboard',
            attempts = 0,
            next_attempt_at = greatest(least(known.next_attempt_at, clock_timestamp() + interval '2 s'), known.not_before)
        RETURNING known.id
    )
    SELECT count(*) FROM requested
$$;

-- `since` is where reading begins for the account that was read before, `working_since` for another one.
CREATE FUNCTION lease_session_catch_ups(
    p_limit integer, p_lease interval, p_servers text[], p_every interval, p_settled interval, p_settled_quiet interval,
    p_overlap interval
)
RETURNS TABLE (
    catch_up_id uuid, lease_token uuid, tenant_id uuid, session_id uuid, external_session_id text, server text, engine text,
    version text, chooses_ids boolean, account text, since timestamptz, working_since timestamptz, until timestamptz,
    cause text, mark text
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO catch_ups (id, side, place)
    SELECT gen_random_uuid(), 'waha', s.external_session_id
    FROM waha_sessions s
    WHERE s.status = 'working' AND s.deleted_at IS NULL AND s.server = ANY (p_servers)
        AND NOT EXISTS (SELECT 1 FROM catch_ups known WHERE known.side = 'waha' AND known.place = s.external_session_id)
    ON CONFLICT DO NOTHING;

    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT c.id, s.id AS session_id, v.version, seen.mark
        FROM catch_ups c
        JOIN waha_sessions s ON s.external_session_id = c.place AND s.status = 'working' AND s.deleted_at IS NULL
        JOIN tenants t ON t.id = s.tenant_id AND t.deleted_at IS NULL
        JOIN waha_servers v ON v.name = s.server AND v.state = 'up'
        CROSS JOIN LATERAL (
            SELECT concat_ws('/', extract(epoch FROM s.status_changed_at), extract(epoch FROM v.state_changed_at), v.start_timestamp) AS mark
        ) seen
        WHERE c.side = 'waha' AND s.server = ANY (p_servers)
            AND (c.next_attempt_at <= clock_timestamp() OR c.tried_mark IS DISTINCT FROM seen.mark)
            AND (c.lease_token IS NULL OR c.lease_expires_at < clock_timestamp())
            AND (c.caught_up_to IS NULL OR c.requested_at > c.caught_up_to OR c.mark IS DISTINCT FROM seen.mark
                OR c.caught_up_to < clock_timestamp() - p_every)
        ORDER BY c.next_attempt_at
        LIMIT p_limit
        FOR NO KEY UPDATE OF c SKIP LOCKED
    ),
    leased AS (
        UPDATE catch_ups c SET lease_token = gen_random_uuid(), lease_expires_at = clock_timestamp() + p_lease,
            tried_mark = due.mark, attempts = CASE WHEN c.tried_mark IS DISTINCT FROM due.mark THEN 0 ELSE c.attempts END
        FROM due WHERE c.id = due.id
        RETURNING c.*, due.session_id, due.version, due.mark AS seen_mark
    ),
    caused AS (
        SELECT l.*, CASE
            WHEN l.caught_up_to IS NULL THEN 'switchboard'
            WHEN l.requested_at > l.caught_up_to THEN l.requested_for
            WHEN l.mark IS DISTINCT FROM l.seen_mark THEN 'waha'
            ELSE 'quiet'
        END AS cause
        FROM leased l
    )
    SELECT l.id, l.lease_token, s.tenant_id, s.id, s.external_session_id::text, s.server, s.engine, l.version,
        s.ids_refused_at IS NOT NULL OR s.engine = 'WEBJS', l.account,
        greatest(
            coalesce(l.begins_at, first.worked_at),
            least(l.caught_up_to - p_overlap, CASE
                -- WhatsApp brings what was missed some time after a gap: a gap that follows soon may swallow that.
                WHEN l.gap_read_at > clock_timestamp() - interval '15 min'
                    AND (l.requested_at > l.gap_read_at OR l.mark IS DISTINCT FROM l.seen_mark)
                THEN l.gap_since
            END)
        ), coalesce(s.status_changed_at, s.created_at),
        clock_timestamp() - CASE WHEN l.cause = 'quiet' THEN p_settled_quiet ELSE p_settled END,
        l.cause, l.seen_mark
    FROM caused l
    JOIN waha_sessions s ON s.id = l.session_id
    -- A session has a history of its own from the moment it was paired; what the phone had before is nobody's gap.
    CROSS JOIN LATERAL (
        SELECT coalesce(min(k.observed_at), s.status_changed_at, s.created_at) AS worked_at
        FROM session_checks k
        WHERE k.tenant_id = s.tenant_id AND k.session_id = s.id AND k.status = 'working'
    ) first;
END
$$;

-- One channel of a workspace at a time, whoever reads: Slack counts the calls of all of us together.
CREATE FUNCTION lease_channel_catch_up(
    p_team text, p_lease interval, p_every interval, p_settled interval, p_settled_quiet interval, p_overlap interval
)
RETURNS TABLE (
    catch_up_id uuid, lease_token uuid, slack_team_id text, slack_channel_id text, since timestamptz, until timestamptz, cause text
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('catch_ups:' || p_team, 2));
    INSERT INTO catch_ups (id, side, place)
    SELECT gen_random_uuid(), 'slack', r.slack_team_id || '/' || r.slack_channel_id
    FROM channel_routes r
    WHERE r.purpose = 'conversations' AND r.deleted_at IS NULL AND r.slack_team_id = p_team
    ON CONFLICT DO NOTHING;

    IF EXISTS (
        SELECT 1 FROM catch_ups busy
        WHERE busy.side = 'slack' AND busy.place LIKE p_team || '/%' AND busy.lease_token IS NOT NULL
            AND busy.lease_expires_at >= clock_timestamp()
    ) THEN
        RETURN;
    END IF;

    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT c.id, r.slack_channel_id, r.created_at AS linked_at
        FROM catch_ups c
        JOIN channel_routes r ON c.place = r.slack_team_id || '/' || r.slack_channel_id
            AND r.purpose = 'conversations' AND r.deleted_at IS NULL
        JOIN tenants t ON t.id = r.tenant_id AND t.deleted_at IS NULL AND t.status = 'active'
        WHERE c.side = 'slack' AND r.slack_team_id = p_team AND c.next_attempt_at <= clock_timestamp()
            AND (c.caught_up_to IS NULL OR c.requested_at > c.caught_up_to OR c.caught_up_to < clock_timestamp() - p_every)
        ORDER BY c.requested_at > c.caught_up_to DESC NULLS LAST, c.caught_up_to NULLS LAST
        LIMIT 1
        FOR NO KEY UPDATE OF c
    ),
    leased AS (
        UPDATE catch_ups c SET lease_token = gen_random_uuid(), lease_expires_at = clock_timestamp() + p_lease
        FROM due WHERE c.id = due.id
        RETURNING c.*, due.slack_channel_id, due.linked_at,
            CASE WHEN c.requested_at > c.caught_up_to OR c.caught_up_to IS NULL THEN 'switchboard' ELSE 'quiet' END AS cause
    )
    SELECT l.id, l.lease_token, p_team, l.slack_channel_id, greatest(l.linked_at, l.caught_up_to - p_overlap),
        clock_timestamp() - CASE WHEN l.cause = 'quiet' THEN p_settled_quiet ELSE p_settled END, l.cause
    FROM leased l;
END
$$;

CREATE FUNCTION threads_of_channel(p_team text, p_channel text)
RETURNS TABLE (tenant_id uuid, conversation_id uuid, thread_ts text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.tenant_id, c.id, c.slack_thread_ts
    FROM conversations c
    WHERE c.slack_team_id = p_team AND c.slack_channel_id = p_channel AND c.slack_thread_ts IS NOT NULL AND c.deleted_at IS NULL
$$;

REVOKE ALL ON FUNCTION request_catch_ups(text, text[]), threads_of_channel(text, text),
    lease_session_catch_ups(integer, interval, text[], interval, interval, interval, interval),
    lease_channel_catch_up(text, interval, interval, interval, interval, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION request_catch_ups(text, text[]) TO switchboard_bot, switchboard_daemon;
GRANT EXECUTE ON FUNCTION threads_of_channel(text, text),
    lease_session_catch_ups(integer, interval, text[], interval, interval, interval, interval),
    lease_channel_catch_up(text, interval, interval, interval, interval, interval) TO switchboard_daemon;
"""

UP = TABLES + FUNCTIONS

DOWN = r"""
DROP FUNCTION threads_of_channel(text, text), lease_channel_catch_up(text, interval, interval, interval, interval, interval),
    lease_session_catch_ups(integer, interval, text[], interval, interval, interval, interval), request_catch_ups(text, text[]);
DROP TABLE catch_ups;
"""
