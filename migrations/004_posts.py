"""Which posts are next is found without reading those that wait behind them.

`lease_posts` asked every due post whether an earlier one of its lane waits: half a second where one lane holds 200,000. It
looks at the few that are due longest now. Where these lie behind each other or must not go, it steps from lane to lane
through `slack_posts_head_idx`, and reads one row of each. It also tells the lane that was leased, so that recording what
became of a post reads no other, and how often Slack failed at a post that may itself be why.
"""

from __future__ import annotations

from collections.abc import Mapping

_DECLARED = r"""
DROP FUNCTION lease_posts(integer, interval, interval, text[], boolean, boolean);
CREATE FUNCTION lease_posts(
    p_limit integer, p_lease interval, p_lease_of_files interval, p_full_channels text[], p_with_posts boolean,
    p_with_reactions boolean
)
RETURNS TABLE (
    post_id uuid, tenant_id uuid, conversation_id uuid, message_id uuid, lease_token uuid, lease_expires_at timestamptz, kind text,
    slack_team_id text, slack_channel_id text, thread_ts text, payload jsonb, slack_ts text, file_id text, attempts integer,
    post_started_at timestamptz, created_at timestamptz<and its lane>
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
"""

_CHOOSE = r"""
-- Without statistics, as when a backlog has just gathered, reading everything is taken for the shorter way.
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    window_size CONSTANT integer := 20 * p_limit;
    looked_at integer;
    found uuid[];
    chosen uuid[];
BEGIN
    WITH due AS MATERIALIZED (
        SELECT p.lane_id, p.seq, p.next_attempt_at, CASE WHEN p.kind = 'react' THEN p_with_reactions
            ELSE p_with_posts AND p.slack_channel_id <> ALL (p_full_channels) END AS may_go
        FROM slack_posts p
        WHERE p.posted_at IS NULL AND p.parked_at IS NULL AND p.next_attempt_at <= clock_timestamp()
        ORDER BY p.next_attempt_at
        LIMIT window_size
    ),
    head AS (
        SELECT due.lane_id, due.next_attempt_at
        FROM due
        JOIN post_lanes l ON l.id = due.lane_id AND (l.lease_token IS NULL OR l.lease_expires_at < clock_timestamp())
        CROSS JOIN LATERAL (
            SELECT p.seq FROM slack_posts p
            WHERE p.lane_id = due.lane_id AND p.posted_at IS NULL AND p.parked_at IS NULL
            ORDER BY p.seq
            LIMIT 1
        ) first
        WHERE due.may_go AND first.seq = due.seq
        ORDER BY due.next_attempt_at
        LIMIT p_limit
    )
    SELECT (SELECT count(*) FROM due), ARRAY(SELECT head.lane_id FROM head) INTO looked_at, found;

    IF looked_at = window_size AND cardinality(found) < p_limit THEN
        WITH RECURSIVE head AS (
            (
                SELECT p.lane_id, p.next_attempt_at, p.kind, p.slack_channel_id
                FROM slack_posts p
                WHERE p.posted_at IS NULL AND p.parked_at IS NULL
                ORDER BY p.lane_id, p.seq
                LIMIT 1
            )
            UNION ALL
            SELECT next.* FROM head CROSS JOIN LATERAL (
                SELECT p.lane_id, p.next_attempt_at, p.kind, p.slack_channel_id
                FROM slack_posts p
                WHERE p.lane_id > head.lane_id AND p.posted_at IS NULL AND p.parked_at IS NULL
                ORDER BY p.lane_id, p.seq
                LIMIT 1
            ) next
        )
        SELECT ARRAY(
            SELECT head.lane_id
            FROM head
            JOIN post_lanes l ON l.id = head.lane_id AND (l.lease_token IS NULL OR l.lease_expires_at < clock_timestamp())
            WHERE head.next_attempt_at <= clock_timestamp() AND CASE WHEN head.kind = 'react' THEN p_with_reactions
                ELSE p_with_posts AND head.slack_channel_id <> ALL (p_full_channels) END
            ORDER BY head.next_attempt_at
            LIMIT p_limit
        ) INTO found;
    END IF;

    SELECT array_agg(locked.id) INTO chosen FROM (
        SELECT l.id
        FROM post_lanes l
        WHERE l.id = ANY (found) AND (l.lease_token IS NULL OR l.lease_expires_at < clock_timestamp())
        FOR NO KEY UPDATE SKIP LOCKED
    ) locked;
"""

_CHOOSE_AS_IT_WAS = r"""
AS $$
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
"""

# A second statement, with a fresh snapshot: else a late record shows what has been posted meanwhile as still to be done.
# A receipt that failed changes its lane, perhaps while it is under way in the former one.
_LEASE = r"""
    RETURN QUERY
    WITH head AS MATERIALIZED (
        SELECT first.id, first.lane_id, gen_random_uuid() AS token,
            clock_timestamp() + CASE WHEN first.payload ? 'file' THEN p_lease_of_files ELSE p_lease END AS expires_at
        FROM unnest(chosen) AS lane (id)
        CROSS JOIN LATERAL (
            SELECT p.id, p.lane_id, p.next_attempt_at, p.payload, p.lease_expires_at
            FROM slack_posts p
            WHERE p.lane_id = lane.id AND p.posted_at IS NULL AND p.parked_at IS NULL
            ORDER BY p.seq
            LIMIT 1
        ) first
        WHERE first.next_attempt_at <= clock_timestamp()<and not under way>
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
        RETURNING p.*, head.lane_id AS claimed_lane_id
    )
    SELECT p.id, p.tenant_id, p.conversation_id, p.message_id, p.lease_token, p.lease_expires_at, p.kind,
        p.slack_team_id, p.slack_channel_id, coalesce(p.thread_ts, c.slack_thread_ts), p.payload, p.slack_ts, p.file_id, p.attempts,
        p.post_started_at, p.created_at<and the claimed lane>
    FROM leased p
    -- A conversation that moved to another channel has its thread there; what was queued for the old one stands alone.
    LEFT JOIN conversations c ON c.id = p.conversation_id AND c.slack_channel_id = p.slack_channel_id;
END
$$;
"""

_GRANTED = r"""
REVOKE ALL ON FUNCTION lease_posts(integer, interval, interval, text[], boolean, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lease_posts(integer, interval, interval, text[], boolean, boolean) TO switchboard_daemon;
"""

_ADDED = {
    "<and its lane>": ", lane_id uuid, failures integer",
    "<and the claimed lane>": ", p.claimed_lane_id, p.failures",
    "<and not under way>": "\n            AND (first.lease_expires_at IS NULL OR first.lease_expires_at < clock_timestamp())",
}


def _with(function: str, added: Mapping[str, str]) -> str:
    for mark in _ADDED:
        function = function.replace(mark, added.get(mark, ""))
    return function


_COUNTED = r"""
-- Tries at which Slack failed while it took others: the post itself may be why.
ALTER TABLE slack_posts ADD COLUMN failures integer NOT NULL DEFAULT 0;
"""

UP = _COUNTED + _with(_DECLARED + _CHOOSE + _LEASE, _ADDED) + _GRANTED
DOWN = _with(_DECLARED + _CHOOSE_AS_IT_WAS + _LEASE, {}) + _GRANTED + "ALTER TABLE slack_posts DROP COLUMN failures;"
