DROP TRIGGER notify_of_creation ON api_keys;
DROP TRIGGER notify_of_change ON api_keys;
CREATE TRIGGER notify_of_change AFTER DELETE OR UPDATE OF status, expires_at, secret_hash, previous_secret_hash,
    grace_period_expires_at, name, rate_limit, allowed_addresses ON api_keys
    FOR EACH ROW EXECUTE FUNCTION notify_of_api_key();
DROP TRIGGER refuse_another_kind_of_key ON api_keys;
DROP FUNCTION refuse_another_kind_of_key();
DROP INDEX api_keys_allowed_origins;
-- Without these columns a browser's key would be a key of servers. Forced row level security would hide the rows.
ALTER TABLE api_keys NO FORCE ROW LEVEL SECURITY;
UPDATE api_keys SET status = 'revoked', revoked_at = now(), revoked_reason = 'keys for browsers were taken out'
WHERE is_browser_only AND status <> 'revoked';
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE api_keys DROP CONSTRAINT api_keys_browser_only, DROP COLUMN is_browser_only, DROP COLUMN allowed_origins;
