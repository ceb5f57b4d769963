"""What looking after sessions needs to remember: incidents, rhythms, the health of numbers, restarts, limits, slots.

An incident of a session or a server is open once, whoever notices it first; `part_of` makes one of many.
"""

TABLES = r"""
CREATE TABLE incidents (
    id uuid PRIMARY KEY,
    tenant_id uuid REFERENCES tenants (id) ON DELETE CASCADE,  -- null: of the installation, for its operators
    session_id uuid,           -- null: of a server, or of several sessions
    server text,
    kind text NOT NULL,
    cause text NOT NULL DEFAULT '',
    part_of uuid,              -- the incident that says it for all, which then is the only one that people read
    began_at timestamptz NOT NULL,
    ended_at timestamptz,
    done jsonb NOT NULL DEFAULT '[]',     -- what was done about it, in order: [{"at": "…", "what": "…"}]
    details jsonb NOT NULL DEFAULT '{}',
    blind_from timestamptz,    -- what customers wrote in this time was not seen as they wrote it
    blind_to timestamptz,
    recovered integer NOT NULL DEFAULT 0,
    muted_at timestamptz,
    muted_by text,
    post_id uuid,              -- the message that tells of it and is brought up to date until it is over
    said text,                 -- what that message says by now
    told_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT incidents_session_fkey FOREIGN KEY (tenant_id, session_id) REFERENCES waha_sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT incidents_kind_check CHECK (kind IN (
        'failed', 'stopped', 'stuck', 'needs_scan', 'silent', 'number', 'several_sessions', 'server_away', 'key_refused'
    ))
);
CREATE UNIQUE INDEX incidents_of_session_key ON incidents (tenant_id, session_id, kind)
    WHERE ended_at IS NULL AND session_id IS NOT NULL;
CREATE UNIQUE INDEX incidents_of_server_key ON incidents (coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'), server, kind)
    WHERE ended_at IS NULL AND session_id IS NULL;
CREATE INDEX incidents_tenant_id_idx ON incidents (tenant_id, began_at);
CREATE INDEX incidents_open_idx ON incidents (server) WHERE ended_at IS NULL;
CREATE INDEX incidents_part_of_idx ON incidents (part_of) WHERE part_of IS NOT NULL;
CREATE INDEX incidents_session_idx ON incidents (tenant_id, session_id);

CREATE TABLE session_watches (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    session_id uuid NOT NULL,
    rhythm jsonb NOT NULL DEFAULT '{}',   -- the longest usual silence in seconds, by hour of the week in UTC: {"0": 900, …}
    learned_at timestamptz,
    checked_at timestamptz,               -- when WAHA's view of the chats was last compared
    suspected_at timestamptz,             -- since when WAHA knows more than it told
    restarted_at timestamptz,             -- restarted because of it, once
    canary_id text,                       -- the message to itself that is awaited
    canary_sent_at timestamptz,
    canary_seen_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT session_watches_session_key UNIQUE (tenant_id, session_id),
    CONSTRAINT session_watches_session_fkey FOREIGN KEY (tenant_id, session_id) REFERENCES waha_sessions (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE number_healths (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    session_id uuid NOT NULL,
    level text NOT NULL DEFAULT 'unknown',
    reasons jsonb NOT NULL DEFAULT '[]',  -- sentences, the gravest first
    new_contacts integer NOT NULL DEFAULT 0,         -- of the tenant's day so far
    unanswered_share real,                           -- of the chats that we began in the last week; null: too few to say
    ack_failure_share real,                          -- of what was sent in the last day
    ack_failure_share_before real,                   -- of the week before it
    restricted_until timestamptz,
    capping jsonb,                                   -- as WAHA told it, {"cappingStatus", "totalQuota", "usedQuota", …}
    slow_factor real NOT NULL DEFAULT 1,             -- how many times longer than usual the pauses between messages are
    told_level text,
    measured_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT number_healths_session_key UNIQUE (tenant_id, session_id),
    CONSTRAINT number_healths_session_fkey FOREIGN KEY (tenant_id, session_id) REFERENCES waha_sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT number_healths_level_check CHECK (level IN ('unknown', 'good', 'watch', 'slow', 'stopped'))
);

-- A person's home in Slack, for a person of several tenants too; what it shows is asked for anew each time.
CREATE TABLE home_views (
    id uuid PRIMARY KEY,
    slack_team_id text NOT NULL,
    slack_user_id text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    fingerprint text NOT NULL DEFAULT '',  -- of what it shows, so that nothing is published twice
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT home_views_key UNIQUE (slack_team_id, slack_user_id)
);

ALTER TABLE waha_servers ADD COLUMN draining_since timestamptz;
ALTER TABLE waha_servers ADD COLUMN worker_id text;       -- the WAHA process behind the address; others' sessions are not its to tell of
ALTER TABLE waha_servers ADD COLUMN last_webhook_at timestamptz;

ALTER TABLE waha_sessions ADD COLUMN limits jsonb NOT NULL DEFAULT '{}';  -- what people set about sending: models.session_limits
ALTER TABLE waha_sessions ADD COLUMN restarts integer NOT NULL DEFAULT 0; -- by ourselves, on the day `restarts_on`
ALTER TABLE waha_sessions ADD COLUMN restarts_on date;
ALTER TABLE waha_sessions ADD COLUMN paced_until timestamptz;            -- the next message of this account leaves then

ALTER TABLE waha_actions DROP CONSTRAINT waha_actions_kind_check;
ALTER TABLE waha_actions ADD CONSTRAINT waha_actions_kind_check CHECK (kind IN (
    'qr', 'restart', 'logout', 'pair', 'edit', 'delete', 'react', 'seen', 'check_exists', 'remove', 'adopt', 'configure', 'canary'
));

ALTER TABLE report_schedules ADD COLUMN last_slot timestamptz;          -- the newest slot that was posted or passed over
ALTER TABLE report_schedules ADD COLUMN unanswered_hours integer NOT NULL DEFAULT 4;
ALTER TABLE report_schedules ADD COLUMN said_as text NOT NULL DEFAULT '';  -- as it was typed: every weekday 09:00
"""

POLICIES = r"""
DO $$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['session_watches', 'number_healths'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', guarded);
        EXECUTE format('CREATE POLICY %I ON %I USING (tenant_id = NULLIF(current_setting(''switchboard.tenant_id'', true), '''')::uuid)', guarded || '_tenant', guarded);
    END LOOP;
END
$$;
ALTER TABLE incidents ENABLE ROW LEVEL SECURITY;
CREATE POLICY incidents_tenant ON incidents USING (tenant_id IS NULL OR tenant_id = NULLIF(current_setting('switchboard.tenant_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON incidents, session_watches, number_healths, home_views TO switchboard_bot, switchboard_daemon;
GRANT SELECT (draining_since, worker_id, last_webhook_at), UPDATE (draining_since) ON waha_servers TO switchboard_bot;
"""

UP = TABLES + POLICIES

DOWN = r"""
DELETE FROM waha_actions WHERE kind IN ('remove', 'adopt', 'configure', 'canary');
ALTER TABLE waha_actions DROP CONSTRAINT waha_actions_kind_check;
ALTER TABLE waha_actions ADD CONSTRAINT waha_actions_kind_check CHECK (kind IN ('qr', 'restart', 'logout', 'pair', 'edit', 'delete', 'react', 'seen', 'check_exists'));
ALTER TABLE report_schedules DROP COLUMN said_as, DROP COLUMN unanswered_hours, DROP COLUMN last_slot;
ALTER TABLE waha_sessions DROP COLUMN paced_until, DROP COLUMN restarts_on, DROP COLUMN restarts, DROP COLUMN limits;
REVOKE UPDATE (draining_since) ON waha_servers FROM switchboard_bot;
ALTER TABLE waha_servers DROP COLUMN last_webhook_at, DROP COLUMN worker_id, DROP COLUMN draining_since;
DROP TABLE home_views, number_healths, session_watches, incidents;
"""
