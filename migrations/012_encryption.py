"""Which keys for secrets are needed, and which JSON fields a tenant wants encrypted."""

# The ids of keys, never keys. One that is not retired has to be in the settings, or what it encrypted is lost.
KEYS = r"""
CREATE TABLE keys_in_use (
    id uuid PRIMARY KEY,
    key_id text NOT NULL,
    retired_at timestamptz,  -- nothing is encrypted under it any more
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT keys_in_use_key_id_key UNIQUE (key_id)
);
GRANT SELECT, INSERT, UPDATE ON keys_in_use TO switchboard_bot, switchboard_daemon;
"""

# A writer that forgets to encrypt such a field is refused: which writers there are, nobody has to remember.
FIELDS = r"""
CREATE FUNCTION refuse_plain_json()
RETURNS trigger
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    field text := TG_ARGV[0];
    written jsonb := to_jsonb(NEW) -> field;
    is_sealed boolean := CASE WHEN jsonb_typeof(written) = 'object'
        THEN written - 'enc' = '{}' AND (written = '{}' OR written ->> 'enc' LIKE 'v1.%') ELSE jsonb_typeof(written) = 'null' END;
BEGIN
    IF NOT is_sealed
        AND EXISTS (
            SELECT 1 FROM tenants t
            WHERE t.id = NEW.tenant_id AND t.settings -> 'encrypted_fields' ? (TG_TABLE_NAME || '.' || field)
        )
    THEN
        RAISE EXCEPTION '%.% is encrypted for this tenant, and something else was written', TG_TABLE_NAME, field;
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION refuse_plain_json() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION refuse_plain_json() TO switchboard_daemon;

CREATE TRIGGER contacts_metadata_encrypted BEFORE INSERT OR UPDATE OF metadata ON contacts
    FOR EACH ROW WHEN (NEW.metadata <> '{}') EXECUTE FUNCTION refuse_plain_json('metadata');
CREATE TRIGGER users_preferences_encrypted BEFORE INSERT OR UPDATE OF preferences ON users
    FOR EACH ROW WHEN (NEW.preferences <> '{}') EXECUTE FUNCTION refuse_plain_json('preferences');
CREATE TRIGGER messages_raw_payload_encrypted BEFORE INSERT OR UPDATE OF raw_payload ON messages
    FOR EACH ROW WHEN (NEW.raw_payload IS NOT NULL) EXECUTE FUNCTION refuse_plain_json('raw_payload');
"""

UP = KEYS + FIELDS

DOWN = r"""
DROP TRIGGER messages_raw_payload_encrypted ON messages;
DROP TRIGGER users_preferences_encrypted ON users;
DROP TRIGGER contacts_metadata_encrypted ON contacts;
DROP FUNCTION refuse_plain_json();
DROP TABLE keys_in_use;
"""
