"""What telling of incidents needs: since when a session is wanted as it is, what is not told to its end, outages of Slack."""

# What is told to its end, and of which no part and no whole still is to be told.
CLOSED_INCIDENTS = r"""
        WHEN 'incidents' THEN 'closed_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM incidents other
            WHERE other.closed_at IS NULL AND (other.id = incidents.part_of OR other.part_of = incidents.id))'
""".removeprefix("\n")

PRUNE = r"""
CREATE OR REPLACE FUNCTION prune(p_table text, p_before timestamptz, p_limit integer)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    condition text;
    gone bigint;
BEGIN
    condition := CASE p_table
        WHEN 'webhook_events' THEN 'processed_at IS NOT NULL'
        WHEN 'slack_events' THEN 'processed_at IS NOT NULL'
        WHEN 'slack_posts' THEN 'posted_at IS NOT NULL'
        WHEN 'waha_actions' THEN 'done_at IS NOT NULL'
        WHEN 'session_checks' THEN 'true'
        WHEN 'page_links' THEN 'expires_at < clock_timestamp()'
        WHEN 'logins' THEN '(expires_at < clock_timestamp() OR ended_at IS NOT NULL)'
@INCIDENTS@    END;
    IF condition IS NULL THEN
        RAISE EXCEPTION 'prune: % is not a table that is deleted by range', p_table;
    END IF;
    EXECUTE format(
        'DELETE FROM %1$I WHERE id = ANY (ARRAY(SELECT id FROM %1$I WHERE created_at < $1 AND %2$s LIMIT $2))', p_table, condition
    ) USING p_before, p_limit;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;
"""

UP = r"""
-- Since when people want the session as they do: that it was stopped before somebody started it is no trouble.
ALTER TABLE waha_sessions ADD COLUMN wanted_since timestamptz;

CREATE FUNCTION note_wanted_since() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    NEW.wanted_since := clock_timestamp();
    RETURN NEW;
END
$$;
CREATE TRIGGER waha_sessions_wanted_since
BEFORE UPDATE OF desired_state, deleted_at ON waha_sessions
FOR EACH ROW WHEN (OLD.desired_state IS DISTINCT FROM NEW.desired_state OR OLD.deleted_at IS DISTINCT FROM NEW.deleted_at)
EXECUTE FUNCTION note_wanted_since();

ALTER TABLE incidents ADD COLUMN closed_at timestamptz;  -- nothing is left to be told of it
UPDATE incidents SET closed_at = ended_at WHERE ended_at IS NOT NULL;
CREATE INDEX incidents_unclosed_idx ON incidents (tenant_id) WHERE closed_at IS NULL;

-- Slack could not be reached: told by another way than Slack when it begins and when it is over, once however many daemons notice.
CREATE TABLE outages (
    id uuid PRIMARY KEY,
    kind text NOT NULL,  -- what was away
    reason text NOT NULL,
    began_at timestamptz NOT NULL,
    ended_at timestamptz,
    waited bigint NOT NULL DEFAULT 0,  -- posts that waited at the end
    told_at timestamptz,
    end_told_at timestamptz,
    tries integer NOT NULL DEFAULT 0,
    next_try_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX outages_open_key ON outages (kind) WHERE ended_at IS NULL;
CREATE INDEX outages_untold_idx ON outages (next_try_at) WHERE told_at IS NULL OR end_told_at IS NULL;
GRANT SELECT, INSERT, UPDATE ON outages TO switchboard_daemon;
GRANT SELECT ON outages TO switchboard_bot;

-- A session that people want running, and that does not: since when, and as which kind of incident. One that waits for its
-- first phone is nobody's trouble, nor is one that people have just started.
CREATE FUNCTION sessions_in_trouble(p_now timestamptz, p_tenant uuid DEFAULT NULL)
RETURNS TABLE (tenant_id uuid, session_id uuid, server text, kind text, since timestamptz, has_account boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id, s.id, s.server, CASE s.status WHEN 'scan_qr' THEN 'needs_scan' ELSE s.status END, s.status_changed_at,
        s.metadata ? 'me_id'
    FROM waha_sessions s
    JOIN tenants t ON t.id = s.tenant_id AND t.deleted_at IS NULL
    WHERE s.status IN ('failed', 'stopped', 'scan_qr') AND s.desired_state = 'running' AND s.deleted_at IS NULL
        AND (p_tenant IS NULL OR s.tenant_id = p_tenant)
        AND s.status_changed_at IS NOT NULL AND coalesce(s.wanted_since <= p_now - interval '1 minute', true)
        AND (s.status <> 'scan_qr' OR s.metadata ? 'me_id')
$$;

-- Servers of which nobody knows any more how they are: no daemon polled them for ten minutes, though one that would runs as
-- long. In plpgsql, which looks for `processes` only when it runs: the table comes later, by 023.
CREATE FUNCTION servers_left_alone(p_now timestamptz)
RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT v.name FROM waha_servers v
    WHERE v.poll_lease_expires_at < p_now - interval '10 minutes' AND EXISTS (
        SELECT 1 FROM processes p WHERE p.kind = 'daemon' AND p.roles ? 'reconciler'
            AND p.started_at < p_now - interval '10 minutes' AND p.seen_at > p_now - interval '1 minute'
    );
END
$$;

-- Whose incidents have to be looked at. `mark` is another one whenever anything changed that they depend on; as long as
-- it is not, and nothing `is_young`, whoever has looked may rest for a while.
CREATE FUNCTION incident_work(p_now timestamptz, p_settled interval)
RETURNS TABLE (tenant_id uuid, mark text, is_young boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT w.tenant_id, md5(string_agg(w.fact, ' ' ORDER BY w.fact)), bool_or(w.is_young)
    FROM (
        SELECT i.tenant_id, concat_ws('/', i.id, i.xmin, s.status, s.desired_state, s.deleted_at,
                s.status_changed_at <= p_now - p_settled, v.state, v.state_changed_at <= p_now - p_settled) AS fact,
            greatest(i.began_at, i.ended_at, i.told_at) > p_now - interval '1 minute' AS is_young
        FROM incidents i
        LEFT JOIN waha_sessions s ON s.id = i.session_id
        LEFT JOIN waha_servers v ON v.name = i.server
        WHERE i.closed_at IS NULL AND i.tenant_id IS NOT NULL
        UNION ALL
        SELECT s.tenant_id, concat_ws('/', s.session_id, s.kind), false
        FROM sessions_in_trouble(p_now) s WHERE s.since <= p_now - p_settled
        UNION ALL
        SELECT DISTINCT s.tenant_id, concat_ws('/', v.name, v.state), false FROM waha_servers v
        JOIN waha_sessions s ON s.server = v.name AND s.deleted_at IS NULL AND s.desired_state = 'running'
        JOIN tenants t ON t.id = s.tenant_id AND t.deleted_at IS NULL
        WHERE v.state IN ('down', 'key_refused') AND v.state_changed_at <= p_now - p_settled
            AND v.name NOT IN (SELECT servers_left_alone(p_now))
    ) w
    GROUP BY 1
$$;

-- Every trouble of a session that is not told to its end, over all tenants, for the operators.
CREATE FUNCTION troubles_of_all()
RETURNS TABLE (
    incident_id uuid, tenant_id uuid, tenant_name text, session_id uuid, session_name text, server text, engine text, kind text, cause text,
    part_of uuid, began_at timestamptz, ended_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.id, i.tenant_id, t.name::text, i.session_id, s.name::text, i.server, s.engine, i.kind, i.cause, i.part_of,
        i.began_at, i.ended_at
    FROM incidents i
    JOIN tenants t ON t.id = i.tenant_id AND t.deleted_at IS NULL
    LEFT JOIN waha_sessions s ON s.id = i.session_id
    WHERE i.id IN (
        SELECT o.id FROM incidents o WHERE o.closed_at IS NULL
        UNION
        SELECT part.id FROM incidents whole JOIN incidents part ON part.part_of = whole.id WHERE whole.closed_at IS NULL
    )
    ORDER BY i.began_at, i.id
$$;

-- Whose an incident's buttons are; null for those of the installation, and for what is not there.
CREATE FUNCTION tenant_of_incident(p_incident uuid) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.tenant_id FROM incidents i JOIN tenants t ON t.id = i.tenant_id AND t.deleted_at IS NULL WHERE i.id = p_incident
$$;

-- When Slack last took something; null where that is longer ago than an hour.
CREATE FUNCTION last_posted() RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT max(p.posted_at) FROM slack_posts p WHERE p.created_at > clock_timestamp() - interval '4 days'
        AND p.posted_at > clock_timestamp() - interval '1 hour'
$$;

-- How many posts waited then.
CREATE FUNCTION posts_that_waited(p_at timestamptz) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*) FROM slack_posts p
    WHERE p.created_at <= p_at AND p.created_at > p_at - interval '4 days' AND (p.posted_at IS NULL OR p.posted_at >= p_at)
        AND (p.parked_at IS NULL OR p.parked_at >= p_at) AND p.next_attempt_at < p_at + interval '1 day'
$$;

REVOKE ALL ON FUNCTION sessions_in_trouble(timestamptz, uuid), servers_left_alone(timestamptz), incident_work(timestamptz, interval), troubles_of_all(),
    tenant_of_incident(uuid), last_posted(), posts_that_waited(timestamptz), note_wanted_since() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sessions_in_trouble(timestamptz, uuid), servers_left_alone(timestamptz), incident_work(timestamptz, interval), troubles_of_all(),
    last_posted(), posts_that_waited(timestamptz), note_wanted_since() TO switchboard_daemon;
GRANT EXECUTE ON FUNCTION tenant_of_incident(uuid) TO switchboard_bot, switchboard_daemon;
""" + PRUNE.replace("@INCIDENTS@", CLOSED_INCIDENTS)

DOWN = (
    PRUNE.replace("@INCIDENTS@", "")
    + r"""
-- What is told by status again shall not be told anew of what everybody knows.
UPDATE waha_sessions SET announced_status = status;
DROP FUNCTION posts_that_waited(timestamptz);
DROP FUNCTION last_posted();
DROP FUNCTION tenant_of_incident(uuid);
DROP FUNCTION troubles_of_all();
DROP FUNCTION incident_work(timestamptz, interval);
DROP FUNCTION servers_left_alone(timestamptz);
DROP FUNCTION sessions_in_trouble(timestamptz, uuid);
DROP TABLE outages;
DROP INDEX incidents_unclosed_idx;
ALTER TABLE incidents DROP COLUMN closed_at;
DROP TRIGGER waha_sessions_wanted_since ON waha_sessions;
DROP FUNCTION note_wanted_since();
ALTER TABLE waha_sessions DROP COLUMN wanted_since;
"""
)
