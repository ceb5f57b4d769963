"""What a check-up looks at: which processes live, what was asked to be looked at, and figures over all tenants."""

TABLES = r"""
-- One row a running bot or daemon; a row that nobody has touched for an hour is taken over by the next that starts.
CREATE TABLE processes (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    name text NOT NULL,                 -- host and process id
    version text NOT NULL,
    roles jsonb NOT NULL DEFAULT '[]',  -- of a daemon
    facts jsonb NOT NULL DEFAULT '{}',  -- what it alone knows, such as how many sockets to Slack are up
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT processes_kind_check CHECK (kind IN ('bot', 'daemon'))
);

-- A person's last; the next one takes its row.
CREATE TABLE doctor_runs (
    id uuid PRIMARY KEY,
    slack_team_id text NOT NULL,
    slack_user_id text NOT NULL,
    asked_as uuid NOT NULL,             -- the command, so that asking again after a lost answer changes nothing
    asked_at timestamptz NOT NULL DEFAULT now(),
    taken_at timestamptz,
    done_at timestamptz,
    findings jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT doctor_runs_person_key UNIQUE (slack_team_id, slack_user_id)
);
CREATE INDEX doctor_runs_due_idx ON doctor_runs (asked_at) WHERE taken_at IS NULL;
CREATE INDEX slack_events_parked_idx ON slack_events (created_at) WHERE parked_at IS NOT NULL;
CREATE INDEX slack_posts_parked_idx ON slack_posts (parked_at) WHERE parked_at IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON processes, doctor_runs TO switchboard_bot, switchboard_daemon;
"""

FUNCTIONS = r"""
-- Numbers alone, by words of ours: no name of a tenant, a session or a person.
CREATE FUNCTION measure()
RETURNS TABLE (series text, labels jsonb, value double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH queues (queue, waiting, oldest) AS (
        SELECT 'webhooks', count(*), min(created_at) FROM webhook_events WHERE processed_at IS NULL AND parked_at IS NULL
        UNION ALL
        SELECT 'slack_events', count(*), min(created_at) FROM slack_events
        WHERE kind = 'event' AND processed_at IS NULL AND parked_at IS NULL
        UNION ALL
        SELECT 'commands', count(*), min(created_at) FROM slack_events
        WHERE kind <> 'event' AND answered_at IS NULL AND created_at > clock_timestamp() - interval '1 day'
        UNION ALL
        SELECT 'messages', count(*), min(created_at) FROM messages
        WHERE status = 'queued' AND direction = 'outbound' AND parked_at IS NULL AND deleted_at IS NULL
        UNION ALL
        -- Those of a workspace without the app are put off by ten years.
        SELECT 'posts', count(*), min(created_at) FROM slack_posts
        WHERE posted_at IS NULL AND parked_at IS NULL AND next_attempt_at < clock_timestamp() + interval '1 year'
        UNION ALL
        SELECT 'actions', count(*), min(created_at) FROM waha_actions WHERE done_at IS NULL AND parked_at IS NULL
    )
    SELECT 'queue_depth', jsonb_build_object('queue', queue), waiting::float8 FROM queues
    UNION ALL
    SELECT 'queue_oldest_age_seconds', jsonb_build_object('queue', queue),
        coalesce(greatest(0, extract(epoch FROM clock_timestamp() - oldest)), 0)::float8
    FROM queues
    UNION ALL
    SELECT 'parked', '{"queue": "webhooks"}', count(*)::float8 FROM webhook_events
    WHERE parked_at IS NOT NULL AND processed_at IS NULL AND error IS DISTINCT FROM 'The session was deleted.'
    UNION ALL
    SELECT 'parked', '{"queue": "slack_events"}', count(*)::float8 FROM slack_events WHERE parked_at IS NOT NULL AND processed_at IS NULL
    UNION ALL
    SELECT 'parked', '{"queue": "messages"}', count(*)::float8 FROM messages
    WHERE direction = 'outbound' AND status = 'queued' AND parked_at IS NOT NULL AND deleted_at IS NULL
    UNION ALL
    -- Nothing takes them up again by itself, so older ones are history. One that was never tried was set aside on purpose.
    SELECT 'parked', '{"queue": "posts"}', count(*)::float8 FROM slack_posts
    WHERE parked_at > clock_timestamp() - interval '1 day' AND posted_at IS NULL AND attempts > 0
    UNION ALL
    SELECT 'sessions', jsonb_build_object('server', s.server, 'status', s.status, 'desired', s.desired_state), count(*)::float8
    FROM waha_sessions s JOIN tenants t ON t.id = s.tenant_id
    WHERE s.deleted_at IS NULL AND t.deleted_at IS NULL
    GROUP BY s.server, s.status, s.desired_state
    UNION ALL
    SELECT 'incidents_open', jsonb_build_object('kind', kind), count(*)::float8 FROM incidents
    WHERE ended_at IS NULL AND part_of IS NULL GROUP BY kind
    UNION ALL
    SELECT 'waha_servers', jsonb_build_object('server', name, 'state', state), 1 FROM waha_servers
    UNION ALL
    SELECT 'waha_server_leased', jsonb_build_object('server', name),
        coalesce(poll_lease_expires_at > clock_timestamp(), false)::int::float8
    FROM waha_servers
    UNION ALL
    SELECT 'webhook_last_age_seconds', jsonb_build_object('server', name),
        greatest(0, extract(epoch FROM clock_timestamp() - last_webhook_at))::float8
    FROM waha_servers WHERE last_webhook_at IS NOT NULL
    UNION ALL
    SELECT 'leases_held', '{"of": "messages"}', count(*)::float8 FROM messages
    WHERE status = 'queued' AND direction = 'outbound' AND parked_at IS NULL AND lease_expires_at > clock_timestamp()
    UNION ALL
    SELECT 'leases_held', '{"of": "posts"}', count(*)::float8 FROM slack_posts
    WHERE posted_at IS NULL AND parked_at IS NULL AND lease_expires_at > clock_timestamp()
    UNION ALL
    SELECT 'leases_held', '{"of": "actions"}', count(*)::float8 FROM waha_actions
    WHERE done_at IS NULL AND parked_at IS NULL AND lease_expires_at > clock_timestamp()
    UNION ALL
    SELECT 'processes', jsonb_build_object('kind', kind), count(*)::float8 FROM processes
    WHERE seen_at > clock_timestamp() - interval '1 minute' GROUP BY kind
$$;

-- Where the bot has to be a member, whosever the channels are.
CREATE FUNCTION linked_channels(p_limit integer)
RETURNS TABLE (slack_team_id text, slack_channel_id text, purposes text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.slack_team_id, r.slack_channel_id, array_agg(DISTINCT r.purpose ORDER BY r.purpose)
    FROM channel_routes r JOIN tenants t ON t.id = r.tenant_id AND t.deleted_at IS NULL AND t.status = 'active'
    WHERE r.deleted_at IS NULL
    GROUP BY r.slack_team_id, r.slack_channel_id
    ORDER BY min(r.created_at) DESC
    LIMIT p_limit
$$;

-- PostgreSQL hides of another login's sessions since when their transactions are open, and our roles are no logins. Who
-- holds up whom is asked once for each that waits: it stops all locks for a moment.
CREATE FUNCTION open_transactions()
RETURNS TABLE (longest interval, longest_pid integer, waiting bigint, holder_pid integer)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH ours AS MATERIALIZED (
        SELECT pid, clock_timestamp() - xact_start AS lasts FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
    ), waiters AS MATERIALIZED (
        SELECT DISTINCT l.pid FROM pg_locks l JOIN ours o ON o.pid = l.pid
        WHERE NOT l.granted AND l.waitstart < clock_timestamp() - interval '5 seconds'
    ), holders AS (
        -- 0 is a prepared transaction, which no process holds.
        SELECT holder, holder IN (SELECT pid FROM waiters) AS waits, count(*) AS held_up
        FROM waiters, unnest(pg_blocking_pids(waiters.pid)) holder WHERE holder <> 0 GROUP BY holder
    )
    SELECT (SELECT max(lasts) FROM ours), (SELECT pid FROM ours ORDER BY lasts DESC NULLS LAST LIMIT 1),
        (SELECT count(*) FROM waiters), (SELECT holder FROM holders ORDER BY waits, held_up DESC LIMIT 1)
$$;
REVOKE ALL ON FUNCTION measure(), linked_channels(integer), open_transactions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION measure(), linked_channels(integer), open_transactions() TO switchboard_daemon;
"""

UP = TABLES + FUNCTIONS

DOWN = r"""
DROP FUNCTION open_transactions(), linked_channels(integer), measure();
DROP INDEX slack_posts_parked_idx, slack_events_parked_idx;
DROP TABLE doctor_runs, processes;
"""
