-- Keys that pages in browsers send with. What is in a page is public, so such a key only sends.
ALTER TABLE api_keys
    -- Origins of pages, as browsers write them, or one '*'; empty: no page may read an answer, and Origin is not looked at.
    ADD COLUMN allowed_origins text[] NOT NULL DEFAULT '{}' CHECK (cardinality(allowed_origins) <= 50),
    ADD COLUMN is_browser_only boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT api_keys_browser_only
        CHECK (NOT is_browser_only OR rate_limit IS NOT NULL AND allowed_origins <> '{}');

-- A preflight carries no key: it is answered from the origins of all keys.
CREATE INDEX api_keys_allowed_origins ON api_keys (tenant_id) WHERE allowed_origins <> '{}';

-- What was public once never becomes a key of servers.
CREATE FUNCTION refuse_another_kind_of_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an API key stays for browsers only, or not, as it was made' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER refuse_another_kind_of_key BEFORE UPDATE ON api_keys FOR EACH ROW
    WHEN (OLD.is_browser_only <> NEW.is_browser_only) EXECUTE FUNCTION refuse_another_kind_of_key();

DROP TRIGGER notify_of_change ON api_keys;
CREATE TRIGGER notify_of_change AFTER DELETE OR UPDATE OF status, expires_at, secret_hash, previous_secret_hash,
    grace_period_expires_at, name, rate_limit, allowed_addresses, allowed_origins ON api_keys
    FOR EACH ROW EXECUTE FUNCTION notify_of_api_key();
-- Receivers look up a new key when it is used; its origins they must know before that.
CREATE TRIGGER notify_of_creation AFTER INSERT ON api_keys
    FOR EACH ROW WHEN (NEW.allowed_origins <> '{}') EXECUTE FUNCTION notify_of_api_key();
