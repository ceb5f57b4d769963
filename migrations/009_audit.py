"""The audit says from where and about whom, is read by the page, and is changed by nobody.

Rights keep the two roles from it. The triggers keep from it whoever may do anything, until they say that they mean it:
`prune_audit` does, and deletes by range what a tenant keeps no longer.
"""

UP = r"""
ALTER TABLE audit_entries ADD COLUMN subject_name text NOT NULL DEFAULT '';
DROP INDEX audit_entries_tenant_id_idx;
CREATE INDEX audit_entries_page_idx ON audit_entries (tenant_id, created_at, id);
CREATE INDEX audit_entries_subject_idx ON audit_entries (tenant_id, subject_id, created_at);

CREATE FUNCTION refuse_audit_change()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('switchboard.prunes_audit', true) = 'yes' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'The audit is append-only: % of audit_entries is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- One tenant's entries, and those of the running transaction's tenant alone.
CREATE FUNCTION prune_audit(p_before timestamptz, p_limit integer)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    tenant uuid := NULLIF(current_setting('switchboard.tenant_id', true), '')::uuid;
    gone bigint;
BEGIN
    PERFORM set_config('switchboard.prunes_audit', 'yes', true);
    DELETE FROM audit_entries WHERE id = ANY (ARRAY(
        SELECT e.id FROM audit_entries e
        WHERE e.tenant_id = tenant AND e.created_at < p_before ORDER BY e.created_at LIMIT p_limit
    ));
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM set_config('switchboard.prunes_audit', '', true);
    RETURN gone;
END
$$;

-- As it was, without the audit, which is deleted by its own function.
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

REVOKE ALL ON FUNCTION refuse_audit_change(), prune_audit(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION refuse_audit_change(), prune_audit(timestamptz, integer) TO switchboard_daemon;
"""

DOWN = r"""
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
DROP FUNCTION prune_audit(timestamptz, integer);
DROP TRIGGER audit_entries_append_only ON audit_entries;
DROP FUNCTION refuse_audit_change();
DROP INDEX audit_entries_subject_idx;
DROP INDEX audit_entries_page_idx;
CREATE INDEX audit_entries_tenant_id_idx ON audit_entries (tenant_id, created_at);
ALTER TABLE audit_entries DROP COLUMN subject_name;
"""
