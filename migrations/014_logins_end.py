"""Links to pages and logins that are over are deleted by age, like whatever else is done with."""

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
@LOGINS@    END;
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

LOGINS = r"""
        WHEN 'page_links' THEN 'expires_at < clock_timestamp()'
        WHEN 'logins' THEN '(expires_at < clock_timestamp() OR ended_at IS NOT NULL)'
""".removeprefix("\n")

UP = PRUNE.replace("@LOGINS@", LOGINS)

DOWN = PRUNE.replace("@LOGINS@", "")
