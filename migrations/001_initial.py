"""Every table, index, role, policy and function that the first version stands on.

Tables come in the order of their foreign keys. Statuses are text with a CHECK (a native enum's new value cannot be used in
the transaction that adds it). Every table with a tenant has row-level security; what must look across tenants is a named
SECURITY DEFINER function at the end, because such a function runs as the table owner, whom the policies do not bind.
"""

ROLES = r"""
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['switchboard_bot', 'switchboard_daemon'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER', wanted);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN
                    NULL;  -- another database of this cluster was migrated at the same moment
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'The login % may not create roles. Let an administrator run: CREATE ROLE switchboard_bot NOLOGIN; CREATE ROLE switchboard_daemon NOLOGIN; GRANT switchboard_bot, switchboard_daemon TO %;', current_user, quote_ident(current_user);
            END;
        END IF;
        BEGIN
            EXECUTE format('GRANT %I TO %I', wanted, current_user);
        EXCEPTION
            WHEN insufficient_privilege THEN
                IF NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
                    RAISE;
                END IF;
        END;
    END LOOP;
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    GRANT USAGE ON SCHEMA public TO switchboard_bot, switchboard_daemon;
END
$$;
"""

TABLES = r"""
CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    name varchar(100) NOT NULL,
    status text NOT NULL DEFAULT 'active',
    description text,
    settings jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    deletion_id uuid,
    CONSTRAINT tenants_name_not_empty CHECK (btrim(name) <> ''),
    CONSTRAINT tenants_status_check CHECK (status IN ('active', 'inactive'))
);
-- A deleted name can be used again.
CREATE UNIQUE INDEX tenants_name_key ON tenants (name) WHERE deleted_at IS NULL;

CREATE TABLE users (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    email varchar(255) NOT NULL,
    password_hash varchar(255),  -- null until a tenant asks for passwords
    first_name varchar(50) NOT NULL DEFAULT '',
    last_name varchar(50) NOT NULL DEFAULT '',
    role text NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    last_login_at timestamptz,
    preferences jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    deletion_id uuid,
    CONSTRAINT users_tenant_id_id_key UNIQUE (tenant_id, id),
    CONSTRAINT users_email_lower CHECK (email = lower(email) AND email <> ''),
    CONSTRAINT users_role_check CHECK (role IN ('TENANT_ADMIN', 'MANAGER', 'AGENT', 'AUDITOR'))
);
CREATE UNIQUE INDEX users_email_tenant_id_key ON users (email, tenant_id) WHERE deleted_at IS NULL;
CREATE INDEX users_tenant_id_idx ON users (tenant_id);

CREATE TABLE slack_identities (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    user_id uuid NOT NULL,
    slack_team_id text NOT NULL,
    slack_user_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    deletion_id uuid,
    CONSTRAINT slack_identities_user_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX slack_identities_person_key ON slack_identities (slack_team_id, slack_user_id, tenant_id) WHERE deleted_at IS NULL;
CREATE INDEX slack_identities_user_idx ON slack_identities (tenant_id, user_id);

CREATE TABLE waha_servers (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    state text NOT NULL DEFAULT 'unknown',
    error_message text,
    version text,
    engine text,
    start_timestamp bigint,  -- milliseconds since 1970 by WAHA's clock; a new value means that WAHA was restarted
    webhook_hmac_key text,   -- encrypted; null while the settings give one
    observed_at timestamptz,
    state_changed_at timestamptz,
    announced_state text,    -- the last state that people were told; null before the first
    poll_lease_token uuid,
    poll_lease_expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT waha_servers_name_key UNIQUE (name),
    CONSTRAINT waha_servers_state_check CHECK (state IN ('unknown', 'up', 'down', 'key_refused'))
);

CREATE TABLE waha_sessions (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    external_session_id varchar(255) NOT NULL,  -- WAHA's name of the session; made by us and never used again
    name varchar(40) NOT NULL,                  -- what people call it
    status text NOT NULL DEFAULT 'stopped',
    engine text NOT NULL DEFAULT 'GOWS',
    metadata jsonb NOT NULL DEFAULT '{}',
    config jsonb NOT NULL DEFAULT '{}',
    last_activity_at timestamptz,
    error_message text,
    server text NOT NULL,
    desired_state text NOT NULL DEFAULT 'running',
    status_observed_at timestamptz,
    status_changed_at timestamptz,
    announced_status text,        -- the last status that people were told; null before the first
    caught_up_to timestamptz,     -- moved by a completed catch-up only, never by a live event
    ids_refused_at timestamptz,   -- an answer carried another id than ours: ids of this session are not trusted
    hold_until timestamptz,       -- WAHA said that the session cannot send now: the queue waits, no attempt is used
    control_attempts integer NOT NULL DEFAULT 0,
    next_control_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    deletion_id uuid,
    CONSTRAINT waha_sessions_external_session_id_key UNIQUE (external_session_id),
    CONSTRAINT waha_sessions_tenant_id_id_key UNIQUE (tenant_id, id),
    CONSTRAINT waha_sessions_name_not_empty CHECK (btrim(name) <> ''),
    CONSTRAINT waha_sessions_status_check CHECK (status IN ('starting', 'scan_qr', 'working', 'failed', 'stopped')),
    CONSTRAINT waha_sessions_engine_check CHECK (engine IN ('WEBJS', 'NOWEB', 'GOWS')),
    CONSTRAINT waha_sessions_desired_state_check CHECK (desired_state IN ('running', 'stopped'))
);
CREATE INDEX waha_sessions_tenant_id_idx ON waha_sessions (tenant_id);
CREATE INDEX waha_sessions_status_idx ON waha_sessions (status);
CREATE INDEX waha_sessions_server_idx ON waha_sessions (server) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX waha_sessions_name_key ON waha_sessions (tenant_id, name) WHERE deleted_at IS NULL;

CREATE TABLE contacts (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name text NOT NULL DEFAULT '',
    msisdn varchar(20),
    lid text,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    deletion_id uuid,
    CONSTRAINT contacts_tenant_id_id_key UNIQUE (tenant_id, id),
    CONSTRAINT contacts_msisdn_check CHECK (msisdn ~ '^[0-9]+$')
);
CREATE UNIQUE INDEX contacts_msisdn_key ON contacts (tenant_id, msisdn) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX contacts_lid_key ON contacts (tenant_id, lid) WHERE deleted_at IS NULL;

CREATE TABLE conversations (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    session_id uuid NOT NULL,
    contact_id uuid,
    title text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'open',
    assignee_id uuid,
    slack_team_id text,
    slack_channel_id text,
    slack_thread_ts text,
    next_message_seq bigint NOT NULL DEFAULT 0,
    send_lease_token uuid,
    send_lease_expires_at timestamptz,
    last_inbound_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    deletion_id uuid,
    CONSTRAINT conversations_tenant_id_id_key UNIQUE (tenant_id, id),
    CONSTRAINT conversations_session_fkey FOREIGN KEY (tenant_id, session_id) REFERENCES waha_sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT conversations_contact_fkey FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT conversations_assignee_fkey FOREIGN KEY (tenant_id, assignee_id) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT conversations_state_check CHECK (state IN ('open', 'closed'))
);
CREATE INDEX conversations_session_idx ON conversations (tenant_id, session_id);
CREATE INDEX conversations_sending_idx ON conversations (session_id) WHERE send_lease_token IS NOT NULL;
CREATE UNIQUE INDEX conversations_thread_key ON conversations (slack_team_id, slack_channel_id, slack_thread_ts) WHERE slack_thread_ts IS NOT NULL;

CREATE TABLE conversation_chats (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    session_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    chat_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT conversation_chats_chat_key UNIQUE (session_id, chat_id),
    CONSTRAINT conversation_chats_session_fkey FOREIGN KEY (tenant_id, session_id) REFERENCES waha_sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT conversation_chats_conversation_fkey FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX conversation_chats_conversation_idx ON conversation_chats (tenant_id, conversation_id);

CREATE TABLE channel_routes (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    session_id uuid,  -- null: all sessions of the tenant
    slack_team_id text NOT NULL,
    slack_channel_id text NOT NULL,
    slack_channel_name text NOT NULL DEFAULT '',
    purpose text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    deletion_id uuid,
    CONSTRAINT channel_routes_session_fkey FOREIGN KEY (tenant_id, session_id) REFERENCES waha_sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT channel_routes_purpose_check CHECK (purpose IN ('conversations', 'alerts', 'reports'))
);
CREATE UNIQUE INDEX channel_routes_channel_key ON channel_routes (slack_team_id, slack_channel_id, purpose) WHERE deleted_at IS NULL;
-- A session has at most one conversation channel, and so have "all sessions of the tenant".
CREATE UNIQUE INDEX channel_routes_session_key ON channel_routes (tenant_id, session_id) WHERE deleted_at IS NULL AND purpose = 'conversations' AND session_id IS NOT NULL;
CREATE UNIQUE INDEX channel_routes_tenant_key ON channel_routes (tenant_id, purpose) WHERE deleted_at IS NULL AND session_id IS NULL;
CREATE INDEX channel_routes_session_idx ON channel_routes (tenant_id, session_id);

CREATE TABLE messages (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    session_id uuid NOT NULL,
    conversation_id uuid,
    seq bigint,  -- order inside the conversation: commit order, see operations.queueing
    direction text NOT NULL,
    to_msisdn varchar(20),
    from_msisdn varchar(20),
    chat_id text,
    body text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT 'queued',
    waha_message_id varchar(255),
    raw_payload jsonb,
    message_type varchar(50) NOT NULL DEFAULT 'text',
    media_url varchar(500),
    metadata jsonb NOT NULL DEFAULT '{}',
    error_message text,
    sent_at timestamptz,
    delivered_at timestamptz,
    read_at timestamptz,
    slack_team_id text,
    slack_channel_id text,
    slack_ts text,
    slack_part integer,  -- a reply with three files is four parts
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    lease_token uuid,
    lease_expires_at timestamptz,
    send_started_at timestamptz,  -- set before the call, so that an interrupted one is looked up
    blocks_since timestamptz,     -- since when it fails and keeps the later ones of its chat waiting
    parked_at timestamptz,        -- waits for a person
    hold_reason text,
    replay_of uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    deletion_id uuid,
    CONSTRAINT messages_tenant_id_id_key UNIQUE (tenant_id, id),
    CONSTRAINT messages_session_fkey FOREIGN KEY (tenant_id, session_id) REFERENCES waha_sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT messages_conversation_fkey FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT messages_replay_of_fkey FOREIGN KEY (tenant_id, replay_of) REFERENCES messages (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT messages_direction_check CHECK (direction IN ('inbound', 'outbound')),
    CONSTRAINT messages_status_check CHECK (status IN ('queued', 'sent', 'delivered', 'failed')),
    CONSTRAINT messages_to_msisdn_check CHECK (to_msisdn ~ '^[0-9]+$'),
    CONSTRAINT messages_from_msisdn_check CHECK (from_msisdn ~ '^[0-9]+$')
) WITH (fillfactor = 80);  -- every message is updated several times: room on the page keeps the heap small
CREATE INDEX messages_tenant_id_idx ON messages (tenant_id);
CREATE INDEX messages_session_id_idx ON messages (session_id);
CREATE INDEX messages_to_msisdn_idx ON messages (to_msisdn);
CREATE INDEX messages_from_msisdn_idx ON messages (from_msisdn);
CREATE INDEX messages_status_idx ON messages (status);
CREATE INDEX messages_created_at_idx ON messages (created_at);
-- Two tenants of one installation who write to each other share a WhatsApp id: unique inside the session and direction only.
CREATE UNIQUE INDEX messages_waha_message_id_key ON messages (session_id, direction, waha_message_id) WHERE waha_message_id IS NOT NULL;
CREATE UNIQUE INDEX messages_slack_reply_key ON messages (slack_team_id, slack_channel_id, slack_ts, slack_part) WHERE slack_ts IS NOT NULL;
CREATE UNIQUE INDEX messages_conversation_seq_key ON messages (conversation_id, seq) WHERE seq IS NOT NULL;
CREATE INDEX messages_due_idx ON messages (session_id, next_attempt_at) WHERE status = 'queued' AND direction = 'outbound' AND parked_at IS NULL;
CREATE INDEX messages_head_idx ON messages (conversation_id, seq) WHERE status = 'queued' AND direction = 'outbound' AND parked_at IS NULL;
CREATE INDEX messages_conversation_idx ON messages (tenant_id, conversation_id);

CREATE TABLE webhook_events (
    id uuid PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    tenant_id uuid REFERENCES tenants (id) ON DELETE CASCADE,  -- known after processing
    server text NOT NULL,
    session text NOT NULL,
    event_id text NOT NULL,  -- WAHA's, or sha256: of a body without one
    event_name text NOT NULL,
    lane text NOT NULL,      -- what must be handled in order: a chat of a session, or the session
    body bytea NOT NULL,     -- as it arrived: jsonb refuses \u0000
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    processed_at timestamptz,
    parked_at timestamptz,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhook_events_key UNIQUE (server, session, event_id, event_name)
);
CREATE INDEX webhook_events_due_idx ON webhook_events (position) WHERE processed_at IS NULL AND parked_at IS NULL;
CREATE INDEX webhook_events_lane_idx ON webhook_events (lane, position) WHERE processed_at IS NULL AND parked_at IS NULL;
CREATE INDEX webhook_events_tenant_id_idx ON webhook_events (tenant_id);
CREATE INDEX webhook_events_created_at_idx ON webhook_events (created_at);

CREATE TABLE slack_events (
    id uuid PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    tenant_id uuid REFERENCES tenants (id) ON DELETE CASCADE,
    key text NOT NULL,
    kind text NOT NULL,
    slack_team_id text NOT NULL,
    slack_channel_id text NOT NULL DEFAULT '',
    slack_user_id text NOT NULL DEFAULT '',
    lane text NOT NULL,  -- the thread
    body bytea NOT NULL,
    answer jsonb,        -- written with what the command changed, in one transaction
    answered_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    processed_at timestamptz,
    parked_at timestamptz,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT slack_events_key UNIQUE (key),
    CONSTRAINT slack_events_kind_check CHECK (kind IN ('event', 'command', 'interaction'))
);
CREATE INDEX slack_events_due_idx ON slack_events (position) WHERE kind = 'event' AND processed_at IS NULL AND parked_at IS NULL;
CREATE INDEX slack_events_lane_idx ON slack_events (lane, position) WHERE kind = 'event' AND processed_at IS NULL AND parked_at IS NULL;
CREATE INDEX slack_events_unanswered_idx ON slack_events (position) WHERE kind <> 'event' AND answered_at IS NULL;
CREATE INDEX slack_events_tenant_id_idx ON slack_events (tenant_id);
CREATE INDEX slack_events_created_at_idx ON slack_events (created_at);

CREATE TABLE post_lanes (
    id uuid PRIMARY KEY,
    name text NOT NULL,  -- a conversation, a channel, a person: what is posted in order
    next_seq bigint NOT NULL DEFAULT 1,
    lease_token uuid,
    lease_expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT post_lanes_name_key UNIQUE (name)
);

CREATE TABLE slack_posts (
    id uuid PRIMARY KEY,
    tenant_id uuid REFERENCES tenants (id) ON DELETE CASCADE,  -- null: about the installation, as when a WAHA server is away
    conversation_id uuid,
    message_id uuid,
    lane_id uuid NOT NULL REFERENCES post_lanes (id) ON DELETE CASCADE,
    seq bigint NOT NULL,
    kind text NOT NULL,
    slot text,  -- what may exist once: a report of a schedule and minute, a receipt of a message
    slack_team_id text NOT NULL,
    slack_channel_id text NOT NULL,  -- a person's id for direct posts
    thread_ts text,
    payload jsonb NOT NULL,
    slack_ts text,
    file_id text,  -- kept before an upload is completed: it is the key by which an unknown outcome is looked up
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    lease_token uuid,
    lease_expires_at timestamptz,
    post_started_at timestamptz,
    posted_at timestamptz,
    parked_at timestamptz,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT slack_posts_conversation_fkey FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT slack_posts_message_fkey FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT slack_posts_kind_check CHECK (kind IN ('post', 'update', 'delete', 'react', 'upload', 'direct', 'publish', 'ephemeral'))
);
CREATE UNIQUE INDEX slack_posts_slot_key ON slack_posts (slot) WHERE slot IS NOT NULL;
CREATE UNIQUE INDEX slack_posts_lane_seq_key ON slack_posts (lane_id, seq);
CREATE INDEX slack_posts_due_idx ON slack_posts (next_attempt_at) WHERE posted_at IS NULL AND parked_at IS NULL;
CREATE INDEX slack_posts_head_idx ON slack_posts (lane_id, seq) WHERE posted_at IS NULL AND parked_at IS NULL;
CREATE INDEX slack_posts_conversation_idx ON slack_posts (tenant_id, conversation_id);
CREATE INDEX slack_posts_message_idx ON slack_posts (tenant_id, message_id);
CREATE INDEX slack_posts_root_idx ON slack_posts (slack_channel_id, slack_ts) WHERE slack_ts IS NOT NULL AND payload ? 'root';
CREATE INDEX slack_posts_created_at_idx ON slack_posts (created_at);

CREATE TABLE waha_actions (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    session_id uuid NOT NULL,
    kind text NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}',
    result jsonb,
    slack_team_id text NOT NULL DEFAULT '',
    slack_user_id text NOT NULL DEFAULT '',  -- who asked, and who alone is answered
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    lease_token uuid,
    lease_expires_at timestamptz,
    done_at timestamptz,
    parked_at timestamptz,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT waha_actions_session_fkey FOREIGN KEY (tenant_id, session_id) REFERENCES waha_sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT waha_actions_kind_check CHECK (kind IN ('qr', 'restart', 'logout', 'pair', 'edit', 'delete', 'react', 'seen', 'check_exists'))
);
CREATE INDEX waha_actions_due_idx ON waha_actions (next_attempt_at) WHERE done_at IS NULL AND parked_at IS NULL;
CREATE INDEX waha_actions_session_idx ON waha_actions (tenant_id, session_id);
CREATE INDEX waha_actions_created_at_idx ON waha_actions (created_at);

CREATE TABLE session_checks (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    session_id uuid NOT NULL,
    status text NOT NULL,
    raw_status text NOT NULL,
    source text NOT NULL,
    observed_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT session_checks_session_fkey FOREIGN KEY (tenant_id, session_id) REFERENCES waha_sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT session_checks_source_check CHECK (source IN ('poll', 'webhook'))
);
CREATE INDEX session_checks_session_idx ON session_checks (tenant_id, session_id, observed_at);
CREATE INDEX session_checks_created_at_idx ON session_checks (created_at);

CREATE TABLE report_schedules (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name varchar(40) NOT NULL,
    cron text NOT NULL,
    time_zone text NOT NULL DEFAULT 'UTC',
    is_paused boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    deletion_id uuid
);
CREATE UNIQUE INDEX report_schedules_name_key ON report_schedules (tenant_id, name) WHERE deleted_at IS NULL;

CREATE TABLE audit_entries (
    id uuid PRIMARY KEY,
    tenant_id uuid,  -- no foreign key: an audit outlives what it speaks of
    actor text NOT NULL,
    action text NOT NULL,
    subject_table text NOT NULL,
    subject_id uuid,
    before jsonb,
    after jsonb,
    source text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_entries_tenant_id_idx ON audit_entries (tenant_id, created_at);

CREATE TABLE templates (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name varchar(40) NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    deletion_id uuid
);
CREATE UNIQUE INDEX templates_name_key ON templates (tenant_id, name) WHERE deleted_at IS NULL;
"""

# The policies guard against a forgotten WHERE. An unset tenant reads as '' after a SET LOCAL of an earlier transaction.
POLICIES = r"""
DO $$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY[
        'users', 'slack_identities', 'waha_sessions', 'contacts', 'conversations', 'conversation_chats', 'channel_routes',
        'messages', 'waha_actions', 'session_checks', 'report_schedules', 'templates'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', guarded);
        EXECUTE format('CREATE POLICY %I ON %I USING (tenant_id = NULLIF(current_setting(''switchboard.tenant_id'', true), '''')::uuid)', guarded || '_tenant', guarded);
    END LOOP;
END
$$;
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenants_tenant ON tenants USING (id = NULLIF(current_setting('switchboard.tenant_id', true), '')::uuid);
-- Posts and audit entries about the installation have no tenant.
ALTER TABLE slack_posts ENABLE ROW LEVEL SECURITY;
CREATE POLICY slack_posts_tenant ON slack_posts USING (tenant_id IS NULL OR tenant_id = NULLIF(current_setting('switchboard.tenant_id', true), '')::uuid);
ALTER TABLE audit_entries ENABLE ROW LEVEL SECURITY;
CREATE POLICY audit_entries_tenant ON audit_entries USING (tenant_id IS NULL OR tenant_id = NULLIF(current_setting('switchboard.tenant_id', true), '')::uuid);
"""

GRANTS = r"""
GRANT SELECT, INSERT, UPDATE ON tenants, users, slack_identities, waha_sessions, contacts, conversations, conversation_chats,
    channel_routes, messages, report_schedules, templates, post_lanes, slack_posts, waha_actions TO switchboard_bot, switchboard_daemon;
GRANT SELECT, INSERT ON audit_entries TO switchboard_bot, switchboard_daemon;
GRANT SELECT ON session_checks TO switchboard_bot;
GRANT SELECT, INSERT ON session_checks TO switchboard_daemon;
GRANT SELECT (id, name, state, error_message, version, engine, start_timestamp, observed_at, state_changed_at, created_at) ON waha_servers TO switchboard_bot;
GRANT SELECT, INSERT, UPDATE ON waha_servers, webhook_events, slack_events TO switchboard_daemon;
GRANT SELECT, INSERT ON slack_events TO switchboard_bot;
GRANT UPDATE (tenant_id, answer, answered_at, processed_at, error) ON slack_events TO switchboard_bot;
"""

# What the bot may ask before it knows a tenant.
BOT_FUNCTIONS = r"""
CREATE FUNCTION tenants_of(p_team text, p_user text)
RETURNS TABLE (tenant_id uuid, tenant_name text, tenant_status text, user_id uuid, role text, is_active boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.id, t.name::text, t.status, u.id, u.role, u.is_active
    FROM slack_identities i
    JOIN users u ON u.id = i.user_id AND u.deleted_at IS NULL
    JOIN tenants t ON t.id = i.tenant_id AND t.deleted_at IS NULL
    WHERE i.slack_team_id = p_team AND i.slack_user_id = p_user AND i.deleted_at IS NULL
    ORDER BY t.name
$$;

CREATE FUNCTION route_of(p_team text, p_channel text)
RETURNS TABLE (tenant_id uuid, tenant_name text, session_id uuid, purpose text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.tenant_id, t.name::text, r.session_id, r.purpose
    FROM channel_routes r
    JOIN tenants t ON t.id = r.tenant_id AND t.deleted_at IS NULL
    WHERE r.slack_team_id = p_team AND r.slack_channel_id = p_channel AND r.deleted_at IS NULL
    ORDER BY r.purpose
$$;

CREATE FUNCTION list_tenants()
RETURNS TABLE (tenant_id uuid, tenant_name text, tenant_status text, sessions bigint, users bigint, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.id, t.name::text, t.status,
        (SELECT count(*) FROM waha_sessions s WHERE s.tenant_id = t.id AND s.deleted_at IS NULL),
        (SELECT count(*) FROM users u WHERE u.tenant_id = t.id AND u.deleted_at IS NULL),
        t.created_at
    FROM tenants t
    WHERE t.deleted_at IS NULL
    ORDER BY t.name
$$;
"""

# What only the daemon may do across tenants.
DAEMON_FUNCTIONS = r"""
CREATE FUNCTION session_of(p_external_session_id text)
RETURNS TABLE (tenant_id uuid, session_id uuid, server text, is_deleted boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id, s.id, s.server, s.deleted_at IS NOT NULL OR t.deleted_at IS NOT NULL
    FROM waha_sessions s
    JOIN tenants t ON t.id = s.tenant_id
    WHERE s.external_session_id = p_external_session_id
$$;

CREATE FUNCTION conversation_of_thread(p_team text, p_channel text, p_thread_ts text)
RETURNS TABLE (tenant_id uuid, conversation_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.tenant_id, c.id
    FROM conversations c
    WHERE c.slack_team_id = p_team AND c.slack_channel_id = p_channel AND c.slack_thread_ts = p_thread_ts
$$;

-- Where a conversation was shown before its channel was unlinked or its thread deleted: an answer there would go nowhere.
CREATE FUNCTION conversation_of_former_thread(p_team text, p_channel text, p_thread_ts text)
RETURNS TABLE (tenant_id uuid, conversation_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT p.tenant_id, p.conversation_id
    FROM slack_posts p
    WHERE p.slack_channel_id = p_channel AND p.slack_ts = p_thread_ts AND p.slack_team_id = p_team AND p.payload ? 'root'
        AND p.conversation_id IS NOT NULL
    LIMIT 1
$$;

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

CREATE FUNCTION live_report_schedules()
RETURNS TABLE (tenant_id uuid, schedule_id uuid, cron text, time_zone text, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.tenant_id, r.id, r.cron, r.time_zone, r.updated_at
    FROM report_schedules r
    JOIN tenants t ON t.id = r.tenant_id AND t.deleted_at IS NULL AND t.status = 'active'
    WHERE r.deleted_at IS NULL AND NOT r.is_paused
    ORDER BY r.id
$$;

-- Two statements on purpose: the second has a fresh snapshot, so that an outcome recorded meanwhile is seen. The lock is NO KEY
-- UPDATE, else every insert of a message (whose foreign key holds a share lock) would hide its conversation from the sender.
CREATE FUNCTION lease_messages(p_limit integer, p_per_session integer, p_lease interval, p_servers text[])
RETURNS TABLE (
    message_id uuid, tenant_id uuid, session_id uuid, conversation_id uuid, lease_token uuid, lease_expires_at timestamptz,
    external_session_id text, server text, engine text, ids_refused boolean, chat_id text, body text, waha_message_id text,
    attempts integer, send_started_at timestamptz, created_at timestamptz, age interval
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    chosen uuid[];
BEGIN
    SELECT array_agg(locked.id) INTO chosen FROM (
        SELECT c.id
        FROM conversations c
        WHERE c.id = ANY (ARRAY(
            SELECT due.conversation_id
            FROM waha_sessions s
            JOIN tenants t ON t.id = s.tenant_id AND t.status = 'active' AND t.deleted_at IS NULL
            CROSS JOIN LATERAL (
                SELECT m.conversation_id, m.next_attempt_at
                FROM messages m
                JOIN conversations free ON free.id = m.conversation_id
                    AND (free.send_lease_token IS NULL OR free.send_lease_expires_at < clock_timestamp())
                WHERE m.session_id = s.id AND m.status = 'queued' AND m.direction = 'outbound' AND m.parked_at IS NULL
                    AND m.next_attempt_at <= clock_timestamp()
                    AND NOT EXISTS (
                        SELECT 1 FROM messages earlier
                        WHERE earlier.conversation_id = m.conversation_id AND earlier.seq < m.seq
                            AND earlier.status = 'queued' AND earlier.direction = 'outbound' AND earlier.parked_at IS NULL
                    )
                ORDER BY m.next_attempt_at
                LIMIT greatest(0, p_per_session - (
                    SELECT count(*) FROM conversations busy
                    WHERE busy.session_id = s.id AND busy.send_lease_token IS NOT NULL AND busy.send_lease_expires_at >= clock_timestamp()
                ))
            ) due
            WHERE (p_servers IS NULL OR s.server = ANY (p_servers)) AND s.status = 'working' AND s.deleted_at IS NULL
                AND (s.hold_until IS NULL OR s.hold_until <= clock_timestamp())
            ORDER BY due.next_attempt_at  -- who waited longest, whatever its session: a busy one starves none
            LIMIT p_limit
        ))
        AND (c.send_lease_token IS NULL OR c.send_lease_expires_at < clock_timestamp())
        FOR NO KEY UPDATE SKIP LOCKED
    ) locked;

    RETURN QUERY
    WITH head AS MATERIALIZED (
        SELECT first.id, first.conversation_id, gen_random_uuid() AS token, clock_timestamp() + p_lease AS expires_at
        FROM unnest(chosen) AS conversation (id)
        CROSS JOIN LATERAL (
            SELECT m.id, m.conversation_id, m.next_attempt_at
            FROM messages m
            WHERE m.conversation_id = conversation.id AND m.status = 'queued' AND m.direction = 'outbound' AND m.parked_at IS NULL
            ORDER BY m.seq
            LIMIT 1
        ) first
        WHERE first.next_attempt_at <= clock_timestamp()
    ),
    claimed AS (
        UPDATE conversations c SET send_lease_token = head.token, send_lease_expires_at = head.expires_at
        FROM head WHERE c.id = head.conversation_id
        RETURNING c.id
    ),
    leased AS (
        UPDATE messages m SET
            lease_token = head.token,
            lease_expires_at = head.expires_at,
            waha_message_id = coalesce(m.waha_message_id, '3EB0' || upper(substr(md5(gen_random_uuid()::text), 1, 18)))
        FROM head JOIN claimed ON claimed.id = head.conversation_id
        WHERE m.id = head.id
        RETURNING m.*
    )
    SELECT m.id, m.tenant_id, m.session_id, m.conversation_id, m.lease_token, m.lease_expires_at,
        s.external_session_id::text, s.server, s.engine, s.ids_refused_at IS NOT NULL, m.chat_id, m.body, m.waha_message_id::text,
        m.attempts, m.send_started_at, m.created_at, clock_timestamp() - m.created_at
    FROM leased m
    JOIN waha_sessions s ON s.id = m.session_id;
END
$$;

-- What Slack's limits do not let through now is left out by the caller, so that nobody holds a lease only to wait.
CREATE FUNCTION lease_posts(
    p_limit integer, p_lease interval, p_lease_of_files interval, p_full_channels text[], p_with_posts boolean,
    p_with_reactions boolean
)
RETURNS TABLE (
    post_id uuid, tenant_id uuid, conversation_id uuid, message_id uuid, lease_token uuid, lease_expires_at timestamptz, kind text,
    slack_team_id text, slack_channel_id text, thread_ts text, payload jsonb, slack_ts text, file_id text, attempts integer,
    post_started_at timestamptz, created_at timestamptz
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    chosen uuid[];
BEGIN
    SELECT array_agg(locked.id) INTO chosen FROM (
        SELECT l.id
        FROM post_lanes l
        WHERE l.id = ANY (ARRAY(
            SELECT p.lane_id
            FROM slack_posts p
            JOIN post_lanes free ON free.id = p.lane_id AND (free.lease_token IS NULL OR free.lease_expires_at < clock_timestamp())
            WHERE p.posted_at IS NULL AND p.parked_at IS NULL AND p.next_attempt_at <= clock_timestamp()
                AND CASE WHEN p.kind = 'react' THEN p_with_reactions
                    ELSE p_with_posts AND p.slack_channel_id <> ALL (p_full_channels) END
                AND NOT EXISTS (
                    SELECT 1 FROM slack_posts earlier
                    WHERE earlier.lane_id = p.lane_id AND earlier.seq < p.seq AND earlier.posted_at IS NULL AND earlier.parked_at IS NULL
                )
            ORDER BY p.next_attempt_at
            LIMIT p_limit
        ))
        AND (l.lease_token IS NULL OR l.lease_expires_at < clock_timestamp())
        FOR NO KEY UPDATE SKIP LOCKED
    ) locked;

    RETURN QUERY
    WITH head AS MATERIALIZED (
        SELECT first.id, first.lane_id, gen_random_uuid() AS token,
            clock_timestamp() + CASE WHEN first.payload ? 'file' THEN p_lease_of_files ELSE p_lease END AS expires_at
        FROM unnest(chosen) AS lane (id)
        CROSS JOIN LATERAL (
            SELECT p.id, p.lane_id, p.next_attempt_at, p.payload
            FROM slack_posts p
            WHERE p.lane_id = lane.id AND p.posted_at IS NULL AND p.parked_at IS NULL
            ORDER BY p.seq
            LIMIT 1
        ) first
        WHERE first.next_attempt_at <= clock_timestamp()
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
        RETURNING p.*
    )
    SELECT p.id, p.tenant_id, p.conversation_id, p.message_id, p.lease_token, p.lease_expires_at, p.kind,
        p.slack_team_id, p.slack_channel_id, coalesce(p.thread_ts, c.slack_thread_ts), p.payload, p.slack_ts, p.file_id, p.attempts,
        p.post_started_at, p.created_at
    FROM leased p
    -- A conversation that moved to another channel has its thread there; what was queued for the old one stands alone.
    LEFT JOIN conversations c ON c.id = p.conversation_id AND c.slack_channel_id = p.slack_channel_id;
END
$$;

CREATE FUNCTION lease_actions(p_limit integer, p_lease interval, p_servers text[])
RETURNS TABLE (
    action_id uuid, tenant_id uuid, session_id uuid, lease_token uuid, lease_expires_at timestamptz, kind text, payload jsonb,
    attempts integer, slack_team_id text, slack_user_id text, external_session_id text, session_name text, status text, server text,
    created_at timestamptz
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH leased AS (
        UPDATE waha_actions a SET lease_token = gen_random_uuid(), lease_expires_at = clock_timestamp() + p_lease
        WHERE a.id = ANY (ARRAY(
            SELECT due.id
            FROM waha_actions due
            JOIN waha_sessions asked ON asked.id = due.session_id AND (p_servers IS NULL OR asked.server = ANY (p_servers))
            WHERE due.done_at IS NULL AND due.parked_at IS NULL AND due.next_attempt_at <= clock_timestamp()
                AND (due.lease_token IS NULL OR due.lease_expires_at < clock_timestamp())
            ORDER BY due.next_attempt_at
            LIMIT p_limit
            FOR NO KEY UPDATE OF due SKIP LOCKED
        ))
        RETURNING a.*
    )
    SELECT a.id, a.tenant_id, a.session_id, a.lease_token, a.lease_expires_at, a.kind, a.payload,
        a.attempts, a.slack_team_id, a.slack_user_id, s.external_session_id::text, s.name::text, s.status, s.server, a.created_at
    FROM leased a
    JOIN waha_sessions s ON s.id = a.session_id;
END
$$;

-- Rows that are done with are deleted by range, and by this function alone: neither role may DELETE.
CREATE FUNCTION prune(p_table text, p_before timestamptz, p_limit integer)
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
        WHEN 'audit_entries' THEN 'true'
    END;
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

FUNCTION_GRANTS = r"""
REVOKE ALL ON FUNCTION tenants_of(text, text), route_of(text, text), list_tenants(), session_of(text), conversation_of_thread(text, text, text),
    conversation_of_former_thread(text, text, text),
    sessions_of_server(text), live_report_schedules(), lease_messages(integer, integer, interval, text[]), lease_posts(integer, interval, interval, text[], boolean, boolean),
    lease_actions(integer, interval, text[]), prune(text, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenants_of(text, text), route_of(text, text), list_tenants() TO switchboard_bot, switchboard_daemon;
GRANT EXECUTE ON FUNCTION session_of(text), conversation_of_thread(text, text, text),
    conversation_of_former_thread(text, text, text), sessions_of_server(text), live_report_schedules(),
    lease_messages(integer, integer, interval, text[]), lease_posts(integer, interval, interval, text[], boolean, boolean), lease_actions(integer, interval, text[]), prune(text, timestamptz, integer) TO switchboard_daemon;
"""

UP = ROLES + TABLES + POLICIES + GRANTS + BOT_FUNCTIONS + DAEMON_FUNCTIONS + FUNCTION_GRANTS

# The roles stay: they belong to the cluster, and another database may use them.
DOWN = r"""
DROP FUNCTION prune(text, timestamptz, integer), lease_actions(integer, interval, text[]), lease_posts(integer, interval, interval, text[], boolean, boolean),
    lease_messages(integer, integer, interval, text[]), live_report_schedules(), sessions_of_server(text), conversation_of_thread(text, text, text),
    conversation_of_former_thread(text, text, text),
    session_of(text), list_tenants(), route_of(text, text), tenants_of(text, text);
DROP TABLE templates, audit_entries, report_schedules, session_checks, waha_actions, slack_posts, post_lanes, slack_events, webhook_events,
    messages, channel_routes, conversation_chats, conversations, contacts, waha_sessions, waha_servers, slack_identities, users, tenants;
REVOKE USAGE ON SCHEMA public FROM switchboard_bot, switchboard_daemon;
"""
