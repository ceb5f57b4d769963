"""What keeps a phone number from being restricted: when a chat was begun, by which id WhatsApp knows a number, and pauses.

`lease_messages` passes over messages to new contacts while their account pauses, gives a message that is typed first a
longer lease by just that time, and says what the sender needs to decide on the rest without asking again.
"""

TABLES = r"""
ALTER TABLE conversations ADD COLUMN begun_at timestamptz;  -- when we first wrote to somebody who had not written
UPDATE conversations c SET begun_at = (
    SELECT min(m.sent_at) FROM messages m WHERE m.conversation_id = c.id AND m.direction = 'outbound' AND m.sent_at IS NOT NULL
)
WHERE c.last_inbound_at IS NULL AND c.created_at > now() - interval '8 days';
CREATE INDEX conversations_begun_idx ON conversations (session_id, begun_at) WHERE begun_at IS NOT NULL;

ALTER TABLE conversation_chats ADD COLUMN checked_at timestamptz;  -- when WhatsApp was asked for the number
ALTER TABLE conversation_chats ADD COLUMN known_as text;           -- the chat id that it answered; null: it knows none

ALTER TABLE messages ADD COLUMN promised_for timestamptz;  -- when its writer was told that it leaves

-- What left lately, and whether WhatsApp confirmed it, without reading the messages.
CREATE INDEX messages_sent_idx ON messages (session_id, sent_at) INCLUDE (status) WHERE direction = 'outbound' AND sent_at IS NOT NULL;
"""

FUNCTIONS = r"""
-- Why a message waits that its writer was told of, and by when it leaves.
CREATE FUNCTION reasons_to_wait() RETURNS text[]
LANGUAGE sql IMMUTABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT ARRAY['no new chats', 'quiet hours', 'new contacts of the day', 'unanswered so far']
$$;

-- Somebody wrote: what waited for this, or for the morning, is looked at again.
CREATE FUNCTION note_answer() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE messages SET next_attempt_at = clock_timestamp()
    WHERE conversation_id = NEW.id AND tenant_id = NEW.tenant_id AND status = 'queued' AND direction = 'outbound'
        AND parked_at IS NULL AND next_attempt_at > clock_timestamp() AND hold_reason = ANY (reasons_to_wait());
    RETURN NULL;
END
$$;
CREATE TRIGGER conversations_answered
AFTER UPDATE OF last_inbound_at ON conversations
FOR EACH ROW WHEN (NEW.sends_from IS NOT NULL AND NEW.last_inbound_at IS DISTINCT FROM OLD.last_inbound_at)
EXECUTE FUNCTION note_answer();

-- Accounts in which something happened since they were last measured, and those that are watched, now and then.
CREATE FUNCTION numbers_to_measure(p_limit integer, p_now timestamptz)
RETURNS TABLE (tenant_id uuid, session_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id, s.id
    FROM waha_sessions s
    JOIN tenants t ON t.id = s.tenant_id AND t.status = 'active' AND t.deleted_at IS NULL
    LEFT JOIN number_healths h ON h.tenant_id = s.tenant_id AND h.session_id = s.id
    WHERE s.deleted_at IS NULL AND CASE
        WHEN h.measured_at IS NULL THEN h.id IS NOT NULL OR s.last_activity_at IS NOT NULL OR s.paced_until IS NOT NULL OR s.restricted_until IS NOT NULL
        WHEN h.measured_at > p_now - interval '1 minute' THEN false
        ELSE s.last_activity_at >= h.measured_at OR s.paced_until >= h.measured_at
            OR s.restricted_until >= h.measured_at AND h.level <> 'stopped'
            OR h.level IN ('watch', 'slow', 'stopped') AND h.measured_at < p_now - interval '5 minutes'
            OR h.measured_at < p_now - interval '6 hours'
    END
    ORDER BY h.measured_at NULLS FIRST
    LIMIT p_limit
$$;

-- What WhatsApp was last heard to allow, of the accounts of a server of which it said anything.
CREATE FUNCTION limits_told(p_server text)
RETURNS TABLE (external_session_id text, restricted_until timestamptz, capping jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.external_session_id::text, h.restricted_until, h.capping
    FROM number_healths h
    JOIN waha_sessions s ON s.id = h.session_id AND s.tenant_id = h.tenant_id AND s.deleted_at IS NULL
    WHERE s.server = p_server AND (h.restricted_until IS NOT NULL OR h.capping IS NOT NULL)
$$;

CREATE FUNCTION numbers_called(p_server text, p_names text[])
RETURNS TABLE (tenant_id uuid, session_id uuid, external_session_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id, s.id, s.external_session_id::text
    FROM waha_sessions s
    WHERE s.server = p_server AND s.external_session_id = ANY (p_names) AND s.deleted_at IS NULL
$$;
"""

_OF_LEASE = "lease_messages(integer, integer, interval, text[], interval, interval, boolean)"
_OF_FORMER_LEASE = "lease_messages(integer, integer, interval, text[], interval)"

# As it was in 003 but for the pauses, the longer lease, and what it returns.
LEASE_MESSAGES = rf"""
DROP FUNCTION {_OF_FORMER_LEASE};
CREATE FUNCTION lease_messages(
    p_limit integer, p_per_session integer, p_lease interval, p_servers text[], p_margin interval DEFAULT '0',
    p_manners interval DEFAULT '0', p_is_human_like boolean DEFAULT false
)
RETURNS TABLE (
    message_id uuid, tenant_id uuid, session_id uuid, conversation_id uuid, lease_token uuid, lease_expires_at timestamptz,
    external_session_id text, server text, engine text, ids_refused boolean, chat_id text, body text, waha_message_id text,
    attempts integer, send_started_at timestamptz, created_at timestamptz, age interval, is_confirmed boolean, id_confirmed boolean,
    is_new_contact boolean, is_human_like boolean, slow_factor real, limits jsonb, time_zone text, last_inbound_at timestamptz, known_as text,
    checked_at timestamptz, hold_reason text
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz := clock_timestamp();  -- a volatile function would be no condition of an index
    chosen uuid[];
    found bigint;
BEGIN
    FOR round IN 1..20 LOOP
        SELECT array_agg(locked.id) INTO chosen FROM (
            SELECT c.id
            FROM conversations c
            WHERE c.id = ANY (ARRAY(
                SELECT due.id
                FROM waha_sessions s
                JOIN tenants t ON t.id = s.tenant_id AND t.status = 'active' AND t.deleted_at IS NULL
                LEFT JOIN number_healths health ON health.tenant_id = s.tenant_id AND health.session_id = s.id
                CROSS JOIN LATERAL (
                    SELECT waiting.id, waiting.sends_from
                    FROM conversations waiting
                    WHERE waiting.session_id = s.id AND waiting.sends_from <= moment
                        AND (waiting.send_lease_token IS NULL OR waiting.send_lease_expires_at < clock_timestamp())
                        AND (
                            (s.restricted_until > moment OR s.paced_until > moment) IS NOT TRUE OR waiting.last_inbound_at IS NOT NULL
                            -- is_new_contact and may_have_left, spelt out: thousands may wait, and each call costs 10 us
                            OR EXISTS (
                                SELECT 1 FROM conversation_chats chat
                                WHERE chat.tenant_id = waiting.tenant_id AND chat.conversation_id = waiting.id AND chat.chat_id LIKE '%@g.us'
                            )
                            OR (
                                SELECT m.send_started_at FROM messages m
                                WHERE m.conversation_id = waiting.id AND m.status = 'queued' AND m.direction = 'outbound' AND m.parked_at IS NULL
                                ORDER BY m.seq
                                LIMIT 1
                            ) IS NOT NULL  -- it is only looked up
                        )
                    ORDER BY waiting.sends_from
                    LIMIT greatest(0, CASE
                        -- more would wait for their turn longer than their lease has for it, and leave before it
                        WHEN health.slow_factor > 2 THEN greatest(1, p_per_session / 2) ELSE p_per_session
                    END - (
                        SELECT count(*) FROM conversations busy
                        WHERE busy.session_id = s.id AND busy.send_lease_token IS NOT NULL
                            -- whose call has ended, well or not, only waits to be looked up
                            AND busy.send_lease_expires_at >= clock_timestamp() + p_margin
                    ))
                ) due
                WHERE (p_servers IS NULL OR s.server = ANY (p_servers)) AND s.status = 'working' AND s.deleted_at IS NULL
                    AND (s.hold_until IS NULL OR s.hold_until <= moment)
                ORDER BY due.sends_from  -- who waited longest, whatever its session: a busy one starves none
                LIMIT p_limit
            ))
            AND (c.send_lease_token IS NULL OR c.send_lease_expires_at < clock_timestamp())
            FOR NO KEY UPDATE SKIP LOCKED
        ) locked;
        EXIT WHEN chosen IS NULL;

        RETURN QUERY
        WITH looked AS MATERIALIZED (
            SELECT conversation.id AS conversation_id, first.id, first.next_attempt_at
            FROM unnest(chosen) AS conversation (id)
            LEFT JOIN LATERAL (
                SELECT m.id, m.next_attempt_at
                FROM messages m
                WHERE m.conversation_id = conversation.id AND m.status = 'queued' AND m.direction = 'outbound' AND m.parked_at IS NULL
                ORDER BY m.seq
                LIMIT 1
            ) first ON true
        ),
        put_right AS (
            UPDATE conversations c SET sends_from = looked.next_attempt_at
            FROM looked WHERE c.id = looked.conversation_id AND (looked.next_attempt_at <= moment) IS NOT TRUE
        ),
        head AS MATERIALIZED (
            SELECT looked.id, looked.conversation_id, gen_random_uuid() AS token,
                -- the time in which it is typed comes before the time of the call
                clock_timestamp() + p_lease + CASE WHEN coalesce((s.limits ->> 'human_like')::boolean, p_is_human_like) THEN p_manners ELSE '0' END AS expires_at
            FROM looked
            JOIN conversations its ON its.id = looked.conversation_id
            JOIN waha_sessions s ON s.id = its.session_id
            WHERE looked.next_attempt_at <= moment
        ),
        claimed AS (
            UPDATE conversations c SET send_lease_token = head.token, send_lease_expires_at = head.expires_at
            FROM head WHERE c.id = head.conversation_id
            RETURNING c.id, is_new_contact(c) AS is_new_contact
        ),
        leased AS (
            UPDATE messages m SET
                lease_token = head.token,
                lease_expires_at = head.expires_at,
                waha_message_id = coalesce(m.waha_message_id, '3EB0' || upper(substr(md5(gen_random_uuid()::text), 1, 18)))
            FROM head JOIN claimed ON claimed.id = head.conversation_id
            WHERE m.id = head.id
            RETURNING m.*, claimed.is_new_contact
        )
        SELECT m.id, m.tenant_id, m.session_id, m.conversation_id, m.lease_token, m.lease_expires_at,
            s.external_session_id::text, s.server, s.engine, s.ids_refused_at IS NOT NULL, m.chat_id, m.body, m.waha_message_id::text,
            m.attempts, m.send_started_at, m.created_at,
            -- who was told when it leaves is not asked before that, and who waits for a turn among new contacts not while they leave
            clock_timestamp() - greatest(coalesce(m.confirmed_at, m.created_at), m.promised_for, CASE
                WHEN m.send_started_at IS NULL AND (m.is_new_contact OR m.hold_reason = 'no new chats') THEN greatest(s.paced_until, s.restricted_until)
            END),
            m.confirmed_at IS NOT NULL, m.id_confirmed, m.is_new_contact, coalesce((s.limits ->> 'human_like')::boolean, p_is_human_like), coalesce(health.slow_factor, 1::real), s.limits,
            coalesce(t.settings ->> 'time_zone', 'UTC'), c.last_inbound_at, chat.known_as, chat.checked_at, m.hold_reason
        FROM leased m
        JOIN tenants t ON t.id = m.tenant_id
        JOIN conversations c ON c.id = m.conversation_id
        LEFT JOIN conversation_chats chat ON chat.tenant_id = m.tenant_id AND chat.session_id = m.session_id AND chat.chat_id = m.chat_id
        LEFT JOIN number_healths health ON health.tenant_id = m.tenant_id AND health.session_id = m.session_id
        JOIN waha_sessions s ON s.id = m.session_id;
        GET DIAGNOSTICS found = ROW_COUNT;
        EXIT WHEN found > 0;
    END LOOP;
END
$$;
"""

GRANTS = f"""
REVOKE ALL ON FUNCTION {_OF_LEASE}, reasons_to_wait(), note_answer(), numbers_to_measure(integer, timestamptz),
    limits_told(text), numbers_called(text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {_OF_LEASE}, reasons_to_wait(), note_answer(), numbers_to_measure(integer, timestamptz),
    limits_told(text), numbers_called(text, text[]) TO switchboard_daemon;
"""

UP = TABLES + FUNCTIONS + LEASE_MESSAGES + GRANTS

FORMER_LEASE_MESSAGES = rf"""
DROP FUNCTION {_OF_LEASE};
CREATE FUNCTION lease_messages(
    p_limit integer, p_per_session integer, p_lease interval, p_servers text[], p_margin interval DEFAULT '0'
)
RETURNS TABLE (
    message_id uuid, tenant_id uuid, session_id uuid, conversation_id uuid, lease_token uuid, lease_expires_at timestamptz,
    external_session_id text, server text, engine text, ids_refused boolean, chat_id text, body text, waha_message_id text,
    attempts integer, send_started_at timestamptz, created_at timestamptz, age interval, is_confirmed boolean, id_confirmed boolean,
    is_new_contact boolean
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz := clock_timestamp();  -- a volatile function would be no condition of an index
    chosen uuid[];
    found bigint;
BEGIN
    FOR round IN 1..20 LOOP
        SELECT array_agg(locked.id) INTO chosen FROM (
            SELECT c.id
            FROM conversations c
            WHERE c.id = ANY (ARRAY(
                SELECT due.id
                FROM waha_sessions s
                JOIN tenants t ON t.id = s.tenant_id AND t.status = 'active' AND t.deleted_at IS NULL
                CROSS JOIN LATERAL (
                    SELECT waiting.id, waiting.sends_from
                    FROM conversations waiting
                    WHERE waiting.session_id = s.id AND waiting.sends_from <= moment
                        AND (waiting.send_lease_token IS NULL OR waiting.send_lease_expires_at < clock_timestamp())
                        AND (
                            s.restricted_until IS NULL OR s.restricted_until <= moment OR waiting.last_inbound_at IS NOT NULL
                            OR NOT is_new_contact(waiting) OR may_have_left(waiting)  -- the latter is only looked up
                        )
                    ORDER BY waiting.sends_from
                    LIMIT greatest(0, p_per_session - (
                        SELECT count(*) FROM conversations busy
                        WHERE busy.session_id = s.id AND busy.send_lease_token IS NOT NULL
                            -- whose call has ended, well or not, only waits to be looked up
                            AND busy.send_lease_expires_at >= clock_timestamp() + p_margin
                    ))
                ) due
                WHERE (p_servers IS NULL OR s.server = ANY (p_servers)) AND s.status = 'working' AND s.deleted_at IS NULL
                    AND (s.hold_until IS NULL OR s.hold_until <= moment)
                ORDER BY due.sends_from  -- who waited longest, whatever its session: a busy one starves none
                LIMIT p_limit
            ))
            AND (c.send_lease_token IS NULL OR c.send_lease_expires_at < clock_timestamp())
            FOR NO KEY UPDATE SKIP LOCKED
        ) locked;
        EXIT WHEN chosen IS NULL;

        RETURN QUERY
        WITH looked AS MATERIALIZED (
            SELECT conversation.id AS conversation_id, first.id, first.next_attempt_at
            FROM unnest(chosen) AS conversation (id)
            LEFT JOIN LATERAL (
                SELECT m.id, m.next_attempt_at
                FROM messages m
                WHERE m.conversation_id = conversation.id AND m.status = 'queued' AND m.direction = 'outbound' AND m.parked_at IS NULL
                ORDER BY m.seq
                LIMIT 1
            ) first ON true
        ),
        put_right AS (
            UPDATE conversations c SET sends_from = looked.next_attempt_at
            FROM looked WHERE c.id = looked.conversation_id AND (looked.next_attempt_at <= moment) IS NOT TRUE
        ),
        head AS MATERIALIZED (
            SELECT looked.id, looked.conversation_id, gen_random_uuid() AS token, clock_timestamp() + p_lease AS expires_at
            FROM looked WHERE looked.next_attempt_at <= moment
        ),
        claimed AS (
            UPDATE conversations c SET send_lease_token = head.token, send_lease_expires_at = head.expires_at
            FROM head WHERE c.id = head.conversation_id
            RETURNING c.id, is_new_contact(c) AS is_new_contact
        ),
        leased AS (
            UPDATE messages m SET
                lease_token = head.token,
                lease_expires_at = head.expires_at,
                waha_message_id = coalesce(m.waha_message_id, '3EB0' || upper(substr(md5(gen_random_uuid()::text), 1, 18)))
            FROM head JOIN claimed ON claimed.id = head.conversation_id
            WHERE m.id = head.id
            RETURNING m.*, claimed.is_new_contact
        )
        SELECT m.id, m.tenant_id, m.session_id, m.conversation_id, m.lease_token, m.lease_expires_at,
            s.external_session_id::text, s.server, s.engine, s.ids_refused_at IS NOT NULL, m.chat_id, m.body, m.waha_message_id::text,
            m.attempts, m.send_started_at, m.created_at, clock_timestamp() - coalesce(m.confirmed_at, m.created_at),
            -- who was told that it waits for WhatsApp, and by when it leaves, is not asked again
            m.confirmed_at IS NOT NULL OR coalesce(m.hold_reason = 'no new chats', false), m.id_confirmed, m.is_new_contact
        FROM leased m
        JOIN waha_sessions s ON s.id = m.session_id;
        GET DIAGNOSTICS found = ROW_COUNT;
        EXIT WHEN found > 0;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION {_OF_FORMER_LEASE} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {_OF_FORMER_LEASE} TO switchboard_daemon;
"""

DOWN = (
    FORMER_LEASE_MESSAGES
    + r"""
DROP FUNCTION numbers_called(text, text[]), limits_told(text), numbers_to_measure(integer, timestamptz);
DROP TRIGGER conversations_answered ON conversations;
DROP FUNCTION note_answer(), reasons_to_wait();
DROP INDEX messages_sent_idx;
ALTER TABLE messages DROP COLUMN promised_for;
ALTER TABLE conversation_chats DROP COLUMN known_as, DROP COLUMN checked_at;
DROP INDEX conversations_begun_idx;
ALTER TABLE conversations DROP COLUMN begun_at;
"""
)
