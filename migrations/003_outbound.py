"""What the sender's rules stand on: a conversation knows from when it sends, and a message who confirmed what of it.

`lease_messages` found the heads of conversations by asking each waiting message whether an earlier one waits, which takes
half a second where one conversation holds 100,000. The conversation carries the answer now, in `sends_from`.
"""

TABLES = r"""
ALTER TABLE messages
    ADD COLUMN confirmed_at timestamptz,                     -- a person wants it sent, however long it has waited
    ADD COLUMN id_confirmed boolean NOT NULL DEFAULT false,  -- WAHA itself told the id, in its answer or in an event
    ADD COLUMN awaits_ack_since timestamptz,                 -- WAHA has it, and nobody has said that WhatsApp has it too
    ADD COLUMN resent_at timestamptz;                        -- the one time that it went again under the same id
UPDATE messages SET id_confirmed = true WHERE direction = 'outbound' AND status <> 'queued' AND waha_message_id IS NOT NULL;
-- A message is replayed once, however often and by however many it is asked for; the replay can be replayed in turn.
CREATE UNIQUE INDEX messages_replay_of_key ON messages (tenant_id, replay_of) WHERE replay_of IS NOT NULL;
CREATE INDEX messages_unacknowledged_idx ON messages (awaits_ack_since) WHERE awaits_ack_since IS NOT NULL AND status = 'sent';
CREATE INDEX messages_dead_idx ON messages (tenant_id, created_at) WHERE direction = 'outbound' AND (status = 'failed' OR parked_at IS NOT NULL);

ALTER TABLE waha_sessions ADD COLUMN restricted_until timestamptz;  -- WhatsApp lets the account start no new chats (463)

-- When the head of the queue is due, or a time before that; null: nothing waits. Never later than the truth.
ALTER TABLE conversations ADD COLUMN sends_from timestamptz;
UPDATE conversations SET sends_from = waiting.since
FROM (
    SELECT conversation_id, min(next_attempt_at) AS since FROM messages
    WHERE status = 'queued' AND direction = 'outbound' AND parked_at IS NULL AND conversation_id IS NOT NULL
    GROUP BY conversation_id
) waiting
WHERE conversations.id = waiting.conversation_id;
CREATE INDEX conversations_due_idx ON conversations (session_id, sends_from) WHERE sends_from IS NOT NULL;
DROP INDEX messages_due_idx;
"""

# Whoever makes a message wait, wherever in the code, makes its conversation be looked at. The row is written, and so locked,
# even where it says so already: a sender that finds nothing waiting is about to empty it.
TRIGGER = r"""
CREATE FUNCTION note_waiting_message() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE conversations SET sends_from = least(sends_from, NEW.next_attempt_at)
    WHERE id = NEW.conversation_id AND tenant_id = NEW.tenant_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER messages_waiting
AFTER INSERT OR UPDATE OF status, direction, parked_at, next_attempt_at, conversation_id ON messages
FOR EACH ROW WHEN (NEW.status = 'queued' AND NEW.direction = 'outbound' AND NEW.parked_at IS NULL)
EXECUTE FUNCTION note_waiting_message();
"""

# Two statements on purpose: the second has a fresh snapshot, so that an outcome recorded meanwhile is seen. The lock is NO KEY
# UPDATE, else every insert of a message (whose foreign key holds a share lock) would hide its conversation from the sender.
# A conversation whose `sends_from` was too early is put right and the next ones are looked at, so that none waits for a poll.
LEASE_MESSAGES = r"""
DROP FUNCTION lease_messages(integer, integer, interval, text[]);
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
"""

FUNCTIONS = r"""
-- To WhatsApp a chat is new while the other side has never written in it; a group is none.
CREATE FUNCTION is_new_contact(p_conversation conversations) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT p_conversation.last_inbound_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM conversation_chats chat
        WHERE chat.tenant_id = p_conversation.tenant_id AND chat.conversation_id = p_conversation.id AND chat.chat_id LIKE '%@g.us'
    )
$$;

-- Whether the head's call was begun, and what became of it is to be found out.
CREATE FUNCTION may_have_left(p_conversation conversations) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT (
        SELECT m.send_started_at FROM messages m
        WHERE m.conversation_id = p_conversation.id AND m.status = 'queued' AND m.direction = 'outbound' AND m.parked_at IS NULL
        ORDER BY m.seq
        LIMIT 1
    ) IS NOT NULL
$$;

CREATE FUNCTION tenant_of_message(p_message uuid) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT m.tenant_id FROM messages m
    JOIN tenants t ON t.id = m.tenant_id AND t.deleted_at IS NULL
    WHERE m.id = p_message AND m.deleted_at IS NULL
$$;

-- Messages that WAHA took and WhatsApp has not confirmed for a while; the lease is the message's own, since its conversation goes on.
CREATE FUNCTION lease_unacknowledged(p_limit integer, p_wait interval, p_lease interval, p_servers text[])
RETURNS TABLE (
    message_id uuid, tenant_id uuid, session_id uuid, lease_token uuid, external_session_id text, server text, engine text,
    ids_refused boolean, chat_id text, body text, waha_message_id text, is_resent boolean
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    since timestamptz := clock_timestamp() - p_wait;
BEGIN
    RETURN QUERY
    WITH leased AS (
        UPDATE messages m SET lease_token = gen_random_uuid(), lease_expires_at = clock_timestamp() + p_lease
        WHERE m.id = ANY (ARRAY(
            SELECT open.id
            FROM messages open
            JOIN waha_sessions s ON s.id = open.session_id AND s.status = 'working' AND s.deleted_at IS NULL
                AND (p_servers IS NULL OR s.server = ANY (p_servers)) AND (s.hold_until IS NULL OR s.hold_until <= clock_timestamp())
            JOIN tenants t ON t.id = s.tenant_id AND t.status = 'active' AND t.deleted_at IS NULL
            WHERE open.status = 'sent' AND open.awaits_ack_since <= since
                AND (open.lease_token IS NULL OR open.lease_expires_at < clock_timestamp())
            ORDER BY open.awaits_ack_since
            LIMIT p_limit
            FOR NO KEY UPDATE OF open SKIP LOCKED
        ))
        RETURNING m.*
    )
    SELECT m.id, m.tenant_id, m.session_id, m.lease_token, s.external_session_id::text, s.server, s.engine,
        s.ids_refused_at IS NOT NULL, m.chat_id, m.body, m.waha_message_id::text, m.resent_at IS NOT NULL
    FROM leased m
    JOIN waha_sessions s ON s.id = m.session_id;
END
$$;

-- Conversations with people who never wrote, whose queue waits until WhatsApp lets the account start chats, and were not told yet.
CREATE FUNCTION held_new_contacts(p_limit integer, p_reason text)
RETURNS TABLE (tenant_id uuid, conversation_id uuid, restricted_until timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.tenant_id, c.id, s.restricted_until
    FROM waha_sessions s
    JOIN conversations c ON c.session_id = s.id AND c.sends_from IS NOT NULL AND is_new_contact(c)
        AND (c.send_lease_token IS NULL OR c.send_lease_expires_at < clock_timestamp())
    WHERE s.restricted_until > clock_timestamp() AND s.deleted_at IS NULL AND EXISTS (
        SELECT 1 FROM messages m
        WHERE m.conversation_id = c.id AND m.status = 'queued' AND m.direction = 'outbound' AND m.parked_at IS NULL
            AND m.send_started_at IS NULL AND m.hold_reason IS DISTINCT FROM p_reason
    )
    LIMIT p_limit
$$;

-- What nobody could send for so long, as while its session was stopped; what may have left already is looked up as long as
-- the session works.
CREATE FUNCTION outdated_messages(p_limit integer, p_age interval)
RETURNS TABLE (tenant_id uuid, conversation_id uuid, message_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    before timestamptz := clock_timestamp() - p_age;
BEGIN
    RETURN QUERY
    SELECT m.tenant_id, m.conversation_id, m.id
    FROM conversations c
    JOIN waha_sessions s ON s.id = c.session_id
    JOIN messages m ON m.conversation_id = c.id AND m.status = 'queued' AND m.direction = 'outbound' AND m.parked_at IS NULL
    WHERE c.sends_from <= before AND (c.send_lease_token IS NULL OR c.send_lease_expires_at < clock_timestamp())
        AND coalesce(m.confirmed_at, m.created_at) <= before
        AND (m.send_started_at IS NULL OR s.status <> 'working' OR s.deleted_at IS NOT NULL)
    ORDER BY m.conversation_id, m.seq
    LIMIT p_limit;
END
$$;
"""

GRANTS = r"""
REVOKE ALL ON FUNCTION lease_messages(integer, integer, interval, text[], interval), tenant_of_message(uuid),
    lease_unacknowledged(integer, interval, interval, text[]), held_new_contacts(integer, text),
    outdated_messages(integer, interval), is_new_contact(conversations), may_have_left(conversations), note_waiting_message() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenant_of_message(uuid) TO switchboard_bot, switchboard_daemon;
GRANT EXECUTE ON FUNCTION is_new_contact(conversations), may_have_left(conversations), note_waiting_message(), lease_messages(integer, integer, interval, text[], interval),
    lease_unacknowledged(integer, interval, interval, text[]),
    held_new_contacts(integer, text), outdated_messages(integer, interval) TO switchboard_daemon;
"""

UP = TABLES + TRIGGER + FUNCTIONS + LEASE_MESSAGES + GRANTS

FORMER_LEASE_MESSAGES = r"""
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
REVOKE ALL ON FUNCTION lease_messages(integer, integer, interval, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lease_messages(integer, integer, interval, text[]) TO switchboard_daemon;
"""

DOWN = (
    r"""
DROP FUNCTION lease_messages(integer, integer, interval, text[], interval), tenant_of_message(uuid),
    lease_unacknowledged(integer, interval, interval, text[]), held_new_contacts(integer, text), outdated_messages(integer, interval),
    is_new_contact(conversations), may_have_left(conversations);
DROP TRIGGER messages_waiting ON messages;
DROP FUNCTION note_waiting_message();
DROP INDEX messages_replay_of_key, messages_unacknowledged_idx, messages_dead_idx, conversations_due_idx;
ALTER TABLE conversations DROP COLUMN sends_from;
ALTER TABLE waha_sessions DROP COLUMN restricted_until;
ALTER TABLE messages DROP COLUMN confirmed_at, DROP COLUMN id_confirmed, DROP COLUMN awaits_ack_since, DROP COLUMN resent_at;
CREATE INDEX messages_due_idx ON messages (session_id, next_attempt_at) WHERE status = 'queued' AND direction = 'outbound' AND parked_at IS NULL;
"""
    + FORMER_LEASE_MESSAGES
)
