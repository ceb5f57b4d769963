"""Finding messages by their words: an index that knows the tenant, and the one function that may use it.

`@@` is not leakproof, so that under row security no index answers it: PostgreSQL asks the policy first, and turns each message
of the tenant into words again to compare them.
The function runs as the table owner, whom no policy binds, and so filters by the tenant itself; it refuses every tenant
but the transaction's own.

The tenant is a word of each message (one with a space in front, which no text can contain): a search reads what both lists
of the index have in common, whoever else wrote the same words. btree_gin would do the same, and is an extension that
some servers do not offer.
"""

# What is compared: letters without their accents, and no mark that would glue words together where PostgreSQL takes every
# foreign character for a letter. The query is put through the same.
# A quarter of WhatsApp's longest text: one sign may become 18 letters of 33 bytes together, a word with a hyphen or an
# address counts twice, and words of more than 1 MB together are refused, the message with them.
_PLAIN = (
    r"regexp_replace(regexp_replace(normalize(left({text}, 16384), NFKD), '[\u0300-\u036f]+', '', 'g'), "
    r"'[\u0080-\u00bf\u2000-\u2bff\u3000-\u303f\ufe00-\ufe0f\ufff0-\uffff\U0001f000-\U0001faff]+', ' ', 'g')"
)
_WORDS = (
    f"to_tsvector('pg_catalog.simple', {_PLAIN.format(text='{table}body')}) "
    "|| array_to_tsvector(ARRAY[' ' || {table}tenant_id::text])"
)

# New words wait in a list that PostgreSQL sorts in later (fastupdate): a search reads at most 4 MB of it, in some milliseconds,
# and without it every message costs half as much again.
UP = rf"""
CREATE INDEX messages_words_idx ON messages USING gin (({_WORDS.format(table="")}));

-- Found by the words alone, and chosen and sorted afterwards: any other index would have PostgreSQL take a message's text to
-- words again to compare them, which costs more than all else and is more than it believes.
CREATE FUNCTION search_messages(
    p_tenant uuid, p_words text, p_session uuid, p_since timestamptz, p_before timestamptz, p_before_id uuid, p_limit integer
)
RETURNS TABLE (message_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    words tsquery := websearch_to_tsquery('pg_catalog.simple', {_PLAIN.format(text="p_words")});
BEGIN
    IF p_tenant IS DISTINCT FROM NULLIF(current_setting('switchboard.tenant_id', true), '')::uuid THEN
        RAISE insufficient_privilege USING MESSAGE = 'search_messages: only the tenant of this transaction is searched';
    END IF;
    IF numnode(words) = 0 THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH found AS MATERIALIZED (
        SELECT m.id, m.tenant_id, m.session_id, m.created_at, m.deleted_at
        FROM messages m
        WHERE {_WORDS.format(table="m.")} @@ (words && format(''' %s''', p_tenant)::tsquery)
    )
    SELECT f.id
    FROM found f
    WHERE f.tenant_id = p_tenant AND f.deleted_at IS NULL
        AND (p_session IS NULL OR f.session_id = p_session)
        AND (p_since IS NULL OR f.created_at >= p_since)
        AND (p_before IS NULL OR (f.created_at, f.id) < (p_before, p_before_id))
    ORDER BY f.created_at DESC, f.id DESC
    LIMIT p_limit;
END
$$;

REVOKE ALL ON FUNCTION search_messages(uuid, text, uuid, timestamptz, timestamptz, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_messages(uuid, text, uuid, timestamptz, timestamptz, uuid, integer)
    TO switchboard_bot, switchboard_daemon;
"""

DOWN = r"""
DROP FUNCTION search_messages(uuid, text, uuid, timestamptz, timestamptz, uuid, integer);
DROP INDEX messages_words_idx;
"""
