"""Slack workspaces besides the one of the settings, each with tokens of its own, and the one that a tenant belongs to."""

UP = r"""
CREATE TABLE slack_workspaces (
    id uuid PRIMARY KEY,
    slack_team_id text NOT NULL,
    name text NOT NULL,
    bot_user_id text NOT NULL,
    bot_id text NOT NULL,
    bot_token text,       -- these three are envelopes, and gone with the app
    app_token text,       -- null: the app of the settings, whose sockets bring what happens there
    signing_secret text,  -- null: the same, in http mode
    state text NOT NULL DEFAULT 'active',
    why text NOT NULL DEFAULT '',
    added_by text NOT NULL,
    active_since timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz,
    told_at timestamptz,  -- when operators were told that it was removed
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT slack_workspaces_team_key UNIQUE (slack_team_id),
    CONSTRAINT slack_workspaces_state_check CHECK (state IN ('active', 'removed')),
    CONSTRAINT slack_workspaces_token_check CHECK (state = 'active' OR coalesce(bot_token, app_token, signing_secret) IS NULL)
);
GRANT SELECT, INSERT, UPDATE ON slack_workspaces TO switchboard_bot, switchboard_daemon;

-- Null: the workspace of the settings.
ALTER TABLE tenants ADD COLUMN slack_team_id text;

-- How many posts wait for a workspace, over all tenants.
CREATE FUNCTION posts_waiting_for(p_team text)
RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*) FROM slack_posts p
    WHERE p.slack_team_id = p_team AND p.posted_at IS NULL AND p.parked_at IS NULL
$$;

CREATE FUNCTION tenants_of_workspace(p_team text)
RETURNS TABLE (tenant_id uuid, tenant_name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.id, t.name::text FROM tenants t WHERE t.slack_team_id = p_team AND t.deleted_at IS NULL ORDER BY t.name
$$;

-- Not tried before the app is back, nor looked at by each lease.
CREATE FUNCTION hold_posts_of(p_team text)
RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH held AS (
        UPDATE slack_posts p SET next_attempt_at = clock_timestamp() + interval '10 years'
        WHERE p.slack_team_id = p_team AND p.posted_at IS NULL AND p.parked_at IS NULL
        RETURNING p.id
    )
    SELECT count(*) FROM held
$$;

-- What waits is due again. What was only of its day, such as a report, is not posted after it; what is to go from Slack
-- goes, however late. Without an age nothing is too old.
CREATE FUNCTION resume_posts_of(p_team text, p_stale interval)
RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH stale AS (
        UPDATE slack_posts p SET parked_at = clock_timestamp(), error = 'It was too old when the app came back.'
        WHERE p.slack_team_id = p_team AND p.posted_at IS NULL AND p.parked_at IS NULL AND p.conversation_id IS NULL
            AND p.kind <> 'delete' AND p.post_started_at IS NULL AND p.created_at < clock_timestamp() - p_stale
        RETURNING p.id
    ),
    due AS (
        UPDATE slack_posts p SET next_attempt_at = clock_timestamp()
        WHERE p.slack_team_id = p_team AND p.posted_at IS NULL AND p.parked_at IS NULL AND p.id NOT IN (SELECT id FROM stale)
        RETURNING p.id
    )
    SELECT count(*) FROM due
$$;

REVOKE ALL ON FUNCTION posts_waiting_for(text), tenants_of_workspace(text), hold_posts_of(text), resume_posts_of(text, interval)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION posts_waiting_for(text), tenants_of_workspace(text), hold_posts_of(text), resume_posts_of(text, interval)
    TO switchboard_bot, switchboard_daemon;
"""

DOWN = r"""
DROP FUNCTION resume_posts_of(text, interval), hold_posts_of(text), tenants_of_workspace(text), posts_waiting_for(text);
ALTER TABLE tenants DROP COLUMN slack_team_id;
DROP TABLE slack_workspaces;
"""
