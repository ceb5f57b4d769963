"""Who a Slack user is to a tenant: invited, as Slack knows them, with the tenant they chose, logged in.

Each door (a command, a click, a reply) asks `tenants_of` alone, which says all that decides whether somebody may come in.
"""

TABLES = r"""
-- What Slack says of a person, whatever the tenant.
CREATE TABLE slack_people (
    id uuid PRIMARY KEY,
    slack_team_id text NOT NULL,
    slack_user_id text NOT NULL,
    outside text,  -- why nobody lets them in; null: a full member of the workspace
    checked_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT slack_people_key UNIQUE (slack_team_id, slack_user_id),
    CONSTRAINT slack_people_outside_check CHECK (outside IN ('guest', 'stranger', 'deactivated', 'bot'))
);

-- Only the Slack user named here can accept it.
CREATE TABLE invitations (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    slack_team_id text NOT NULL,
    slack_user_id text NOT NULL,
    email varchar(255) NOT NULL,
    first_name varchar(50) NOT NULL DEFAULT '',
    last_name varchar(50) NOT NULL DEFAULT '',
    role text NOT NULL,
    invited_by text NOT NULL,
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    declined_at timestamptz,
    withdrawn_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT invitations_role_check CHECK (role IN ('TENANT_ADMIN', 'MANAGER', 'AGENT', 'AUDITOR'))
);
CREATE UNIQUE INDEX invitations_open_key ON invitations (tenant_id, slack_team_id, slack_user_id)
    WHERE accepted_at IS NULL AND declined_at IS NULL AND withdrawn_at IS NULL;

CREATE TABLE tenant_choices (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    slack_team_id text NOT NULL,
    slack_user_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tenant_choices_key UNIQUE (slack_team_id, slack_user_id)
);
CREATE INDEX tenant_choices_tenant_idx ON tenant_choices (tenant_id);

-- A link to a page that works once. What is kept is a fingerprint: whoever reads the row cannot use it.
CREATE TABLE page_links (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    user_id uuid NOT NULL,
    slack_team_id text NOT NULL,
    slack_user_id text NOT NULL,
    purpose text NOT NULL,
    token_hash text NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT page_links_token_hash_key UNIQUE (token_hash),
    CONSTRAINT page_links_user_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT page_links_purpose_check CHECK (purpose IN ('set_password', 'log_in'))
);
CREATE INDEX page_links_user_idx ON page_links (tenant_id, user_id);

CREATE TABLE logins (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    user_id uuid NOT NULL,
    slack_team_id text NOT NULL,
    slack_user_id text NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT logins_user_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX logins_user_idx ON logins (tenant_id, user_id, expires_at) WHERE ended_at IS NULL;

ALTER TABLE users ADD COLUMN failed_logins integer NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN locked_until timestamptz;
"""

POLICIES = r"""
DO $$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['invitations', 'tenant_choices', 'page_links', 'logins'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', guarded);
        EXECUTE format('CREATE POLICY %I ON %I USING (tenant_id = NULLIF(current_setting(''switchboard.tenant_id'', true), '''')::uuid)', guarded || '_tenant', guarded);
    END LOOP;
END
$$;
GRANT SELECT, INSERT, UPDATE ON slack_people, invitations, page_links, logins TO switchboard_bot, switchboard_daemon;
GRANT SELECT ON tenant_choices TO switchboard_bot, switchboard_daemon;
"""

FUNCTIONS = r"""
DROP FUNCTION tenants_of(text, text);
CREATE FUNCTION tenants_of(p_team text, p_user text)
RETURNS TABLE (
    tenant_id uuid, tenant_name text, tenant_status text, user_id uuid, role text, is_active boolean, is_chosen boolean,
    needs_login boolean, outside text
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.id, t.name::text, t.status, u.id, u.role, u.is_active,
        EXISTS (
            SELECT 1 FROM tenant_choices c
            WHERE c.slack_team_id = p_team AND c.slack_user_id = p_user AND c.tenant_id = t.id
        ),
        coalesce(t.settings->>'login', '') = 'password' AND NOT EXISTS (
            SELECT 1 FROM logins l
            WHERE l.tenant_id = t.id AND l.user_id = u.id AND l.slack_team_id = p_team AND l.slack_user_id = p_user
                AND l.ended_at IS NULL AND l.expires_at > clock_timestamp()
        ),
        coalesce((SELECT p.outside FROM slack_people p WHERE p.slack_team_id = p_team AND p.slack_user_id = p_user), '')
    FROM slack_identities i
    JOIN users u ON u.id = i.user_id AND u.deleted_at IS NULL
    JOIN tenants t ON t.id = i.tenant_id AND t.deleted_at IS NULL
    WHERE i.slack_team_id = p_team AND i.slack_user_id = p_user AND i.deleted_at IS NULL
    ORDER BY t.name
$$;

-- The person's choice stands across tenants: it is written and read before there is one.
CREATE FUNCTION choose_tenant(p_id uuid, p_team text, p_user text, p_tenant uuid)
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO tenant_choices (id, tenant_id, slack_team_id, slack_user_id) VALUES (p_id, p_tenant, p_team, p_user)
    ON CONFLICT (slack_team_id, slack_user_id) DO UPDATE SET tenant_id = excluded.tenant_id, created_at = clock_timestamp()
$$;

CREATE FUNCTION chosen_tenant(p_team text, p_user text)
RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.tenant_id
    FROM tenant_choices c
    JOIN tenants t ON t.id = c.tenant_id AND t.deleted_at IS NULL
    WHERE c.slack_team_id = p_team AND c.slack_user_id = p_user
$$;

-- Nobody but the invited learns that there is one.
CREATE FUNCTION tenant_of_invitation(p_id uuid, p_team text, p_user text)
RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.tenant_id
    FROM invitations i
    JOIN tenants t ON t.id = i.tenant_id AND t.deleted_at IS NULL
    WHERE i.id = p_id AND i.slack_team_id = p_team AND i.slack_user_id = p_user
$$;

CREATE FUNCTION tenant_of_page_link(p_token_hash text)
RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT l.tenant_id
    FROM page_links l
    JOIN tenants t ON t.id = l.tenant_id AND t.deleted_at IS NULL
    WHERE l.token_hash = p_token_hash
$$;

REVOKE ALL ON FUNCTION tenants_of(text, text), choose_tenant(uuid, text, text, uuid), chosen_tenant(text, text),
    tenant_of_invitation(uuid, text, text), tenant_of_page_link(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenants_of(text, text), choose_tenant(uuid, text, text, uuid), chosen_tenant(text, text),
    tenant_of_invitation(uuid, text, text) TO switchboard_bot, switchboard_daemon;
GRANT EXECUTE ON FUNCTION tenant_of_page_link(text) TO switchboard_daemon;
"""

UP = TABLES + POLICIES + FUNCTIONS

DOWN = r"""
DROP FUNCTION tenant_of_page_link(text), tenant_of_invitation(uuid, text, text), chosen_tenant(text, text),
    choose_tenant(uuid, text, text, uuid), tenants_of(text, text);
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
REVOKE ALL ON FUNCTION tenants_of(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenants_of(text, text) TO switchboard_bot, switchboard_daemon;
ALTER TABLE users DROP COLUMN locked_until;
ALTER TABLE users DROP COLUMN failed_logins;
DROP TABLE logins, page_links, tenant_choices, invitations, slack_people;
"""
