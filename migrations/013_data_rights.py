"""What is kept no longer: what a customer wants erased, and what a tenant's own setting ends.

Neither role may DELETE. These functions may, of the running transaction's tenant alone.
"""

TABLES = r"""
-- That a chat was erased, and until when what was written in it stays away: a fingerprint, never the number.
CREATE TABLE erasures (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    fingerprint text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erasures_chat_idx ON erasures (tenant_id, fingerprint, created_at);
CREATE INDEX erasures_newest_idx ON erasures (tenant_id, created_at);
ALTER TABLE erasures ENABLE ROW LEVEL SECURITY;
CREATE POLICY erasures_tenant ON erasures USING (tenant_id = NULLIF(current_setting('switchboard.tenant_id', true), '')::uuid);
GRANT SELECT, INSERT ON erasures TO switchboard_bot, switchboard_daemon;

-- What fingerprints are made with, encrypted: there are too few numbers for a fingerprint without a secret.
CREATE TABLE fingerprint_keys (
    id uuid PRIMARY KEY,
    purpose text NOT NULL,
    sealed_key text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT fingerprint_keys_purpose_key UNIQUE (purpose)
);
GRANT SELECT, INSERT, UPDATE ON fingerprint_keys TO switchboard_bot, switchboard_daemon;

-- Few are: what nobody could handle is found by its chat all the same.
CREATE INDEX webhook_events_parked_idx ON webhook_events (lane) WHERE parked_at IS NOT NULL;
"""

FUNCTIONS = r"""
CREATE FUNCTION tenant_of_transaction()
RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    found uuid := NULLIF(current_setting('switchboard.tenant_id', true), '')::uuid;
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION 'Nothing is deleted without a tenant';
    END IF;
    RETURN found;
END
$$;

-- With their posts. A message that was sent again in place of one of them stays.
CREATE FUNCTION delete_messages(p_ids uuid[])
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    tenant uuid := tenant_of_transaction();
    gone bigint;
BEGIN
    UPDATE messages SET replay_of = NULL
    WHERE tenant_id = tenant AND replay_of = ANY (p_ids) AND id <> ALL (p_ids);
    DELETE FROM messages WHERE tenant_id = tenant AND id = ANY (p_ids);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;

-- What stands in conversations, without the heads of threads, by which an answer in an old thread is still understood.
CREATE FUNCTION delete_old_posts(p_before timestamptz, p_limit integer)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    tenant uuid := tenant_of_transaction();
    gone bigint;
BEGIN
    DELETE FROM slack_posts WHERE id = ANY (ARRAY(
        SELECT p.id FROM slack_posts p
        WHERE p.tenant_id = tenant AND p.conversation_id IS NOT NULL AND p.created_at < p_before
            AND p.posted_at IS NOT NULL AND NOT p.payload ? 'root'
        LIMIT p_limit
    ));
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;

-- Conversations take their chats, messages and posts along.
CREATE FUNCTION delete_customer(p_contacts uuid[], p_conversations uuid[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    tenant uuid := tenant_of_transaction();
BEGIN
    DELETE FROM conversations WHERE tenant_id = tenant AND id = ANY (p_conversations);
    DELETE FROM contacts WHERE tenant_id = tenant AND id = ANY (p_contacts);
END
$$;

-- What arrived is emptied and not deleted: its key keeps it from coming again. In the chats of groups only what holds
-- one of these names of the customer, and was handled: of what waits, whoever handles it sees who wrote it.
CREATE FUNCTION empty_webhooks(p_lanes text[], p_group_lanes text[], p_names text[])
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    tenant uuid := tenant_of_transaction();
    emptied bigint;
BEGIN
    WITH arrived AS (
        SELECT e.id, e.lane, e.body FROM webhook_events e WHERE e.tenant_id = tenant AND e.lane = ANY (p_lanes || p_group_lanes)
        UNION ALL
        SELECT e.id, e.lane, e.body FROM webhook_events e
        WHERE e.processed_at IS NULL AND e.parked_at IS NULL AND e.lane = ANY (p_lanes || p_group_lanes)
            AND e.session IN (SELECT s.external_session_id FROM waha_sessions s WHERE s.tenant_id = tenant)
        UNION ALL
        SELECT e.id, e.lane, e.body FROM webhook_events e
        WHERE e.parked_at IS NOT NULL AND e.lane = ANY (p_lanes || p_group_lanes)
            AND e.session IN (SELECT s.external_session_id FROM waha_sessions s WHERE s.tenant_id = tenant)
    )
    UPDATE webhook_events w SET body = '', processed_at = coalesce(w.processed_at, clock_timestamp())
    FROM arrived WHERE w.id = arrived.id AND arrived.body <> '' AND (
        arrived.lane = ANY (p_lanes)
        OR (w.processed_at IS NOT NULL OR w.parked_at IS NOT NULL)
        AND EXISTS (SELECT 1 FROM unnest(p_names) AS name WHERE position(convert_to(name, 'UTF8') IN arrived.body) > 0)
    );
    GET DIAGNOSTICS emptied = ROW_COUNT;
    RETURN emptied;
END
$$;

-- Replies in these threads, and what people asked for by these commands, clicks and forms.
CREATE FUNCTION empty_slack_events(p_threads text[], p_asked uuid[])
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    tenant uuid := tenant_of_transaction();
    emptied bigint;
BEGIN
    UPDATE slack_events SET body = '{"event": {}}', answer = CASE WHEN answer IS NOT NULL THEN '{"text": "", "blocks": null}'::jsonb END
    WHERE processed_at IS NOT NULL
        AND ((kind = 'event' AND tenant_id = tenant AND lane = ANY (p_threads))
            OR (kind <> 'event' AND answered_at IS NOT NULL AND id = ANY (p_asked) AND (tenant_id = tenant OR tenant_id IS NULL)));
    GET DIAGNOSTICS emptied = ROW_COUNT;
    RETURN emptied;
END
$$;

-- A deleted tenant's too: it may come back, and what is too old does not.
CREATE FUNCTION retention_settings()
RETURNS TABLE (tenant_id uuid, keep_messages_days integer, keep_audit_days integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.id, (t.settings->>'keep_messages_days')::integer, (t.settings->>'keep_audit_days')::integer
    FROM tenants t
    WHERE t.settings->>'keep_messages_days' IS NOT NULL OR t.settings->>'keep_audit_days' IS NOT NULL
    ORDER BY t.id
$$;

REVOKE ALL ON FUNCTION tenant_of_transaction(), delete_messages(uuid[]), delete_old_posts(timestamptz, integer),
    delete_customer(uuid[], uuid[]), empty_webhooks(text[], text[], text[]), empty_slack_events(text[], uuid[]),
    retention_settings() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION delete_messages(uuid[]), delete_customer(uuid[], uuid[]), empty_webhooks(text[], text[], text[]),
    empty_slack_events(text[], uuid[]) TO switchboard_bot, switchboard_daemon;
GRANT EXECUTE ON FUNCTION tenant_of_transaction(), delete_old_posts(timestamptz, integer), retention_settings() TO switchboard_daemon;
"""

UP = TABLES + FUNCTIONS

DOWN = r"""
DROP FUNCTION retention_settings(), empty_slack_events(text[], uuid[]), empty_webhooks(text[], text[], text[]),
    delete_customer(uuid[], uuid[]), delete_old_posts(timestamptz, integer), delete_messages(uuid[]), tenant_of_transaction();
DROP INDEX webhook_events_parked_idx;
DROP TABLE fingerprint_keys, erasures;
"""
