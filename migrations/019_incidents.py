"""What telling of incidents needs: since when a session is wanted as it is, what is not told to its end, outages of Slack."""

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

-- Whose incidents have to be looked at.
CREATE FUNCTION incident_work(p_now timestamptz, p_settled interval)
RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.tenant_id FROM incidents i WHERE i.closed_at IS NULL AND i.tenant_id IS NOT NULL
    UNION
    SELECT s.tenant_id FROM sessions_in_trouble(p_now) s WHERE s.since <= p_now - p_settled
    UNION
    SELECT s.tenant_id FROM waha_servers v
    JOIN waha_sessions s ON s.server = v.name AND s.deleted_at IS NULL AND s.desired_state = 'running'
    JOIN tenants t ON t.id = s.tenant_id AND t.deleted_at IS NULL
    WHERE v.state IN ('down', 'key_refused') AND v.state_changed_at <= p_now - p_settled
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
    WHERE i.closed_at IS NULL OR EXISTS (SELECT 1 FROM incidents whole WHERE whole.id = i.part_of AND whole.closed_at IS NULL)
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

REVOKE ALL ON FUNCTION sessions_in_trouble(timestamptz, uuid), incident_work(timestamptz, interval), troubles_of_all(),
    tenant_of_incident(uuid), last_posted(), posts_that_waited(timestamptz), note_wanted_since() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sessions_in_trouble(timestamptz, uuid), incident_work(timestamptz, interval), troubles_of_all(),
    last_posted(), posts_that_waited(timestamptz), note_wanted_since() TO switchboard_daemon;
GRANT EXECUTE ON FUNCTION tenant_of_incident(uuid) TO switchboard_bot, switchboard_daemon;
"""

DOWN = r"""
DROP FUNCTION posts_that_waited(timestamptz);
DROP FUNCTION last_posted();
DROP FUNCTION tenant_of_incident(uuid);
DROP FUNCTION troubles_of_all();
DROP FUNCTION incident_work(timestamptz, interval);
DROP FUNCTION sessions_in_trouble(timestamptz, uuid);
DROP TABLE outages;
DROP INDEX incidents_unclosed_idx;
ALTER TABLE incidents DROP COLUMN closed_at;
DROP TRIGGER waha_sessions_wanted_since ON waha_sessions;
DROP FUNCTION note_wanted_since();
ALTER TABLE waha_sessions DROP COLUMN wanted_since;
"""
