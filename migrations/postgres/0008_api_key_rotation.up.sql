-- Keys that rotate, that read, that work from some addresses only, and whose end every receiver hears of at once.

ALTER TABLE api_keys
    -- Where it may be used from; empty for everywhere.
    ADD COLUMN allowed_addresses cidr[] NOT NULL DEFAULT '{}' CHECK (cardinality(allowed_addresses) <= 100),
    -- The secret before the last rotation works until grace_period_expires_at. There is no third.
    ADD COLUMN previous_secret_hash text,
    ADD COLUMN rotated_at timestamptz,
    ADD CONSTRAINT api_keys_previous_secret CHECK (previous_secret_hash IS NULL OR grace_period_expires_at IS NOT NULL),
    -- Taken back never: a secret that had to be revoked stays revoked.
    ADD CONSTRAINT api_keys_revoked CHECK ((status = 'revoked') = (revoked_at IS NOT NULL));

ALTER TABLE api_key_permissions DROP CONSTRAINT api_key_permissions_permission_check,
    ADD CONSTRAINT api_key_permissions_permission_check CHECK (permission IN (
        'traces:write', 'metrics:write', 'logs:write', 'monitors:report', 'traces:read', 'metrics:read', 'logs:read'));

-- One row tells of many requests: receivers count in memory and write every few seconds. created_at is the end of that
-- time; status_code is what authentication made of the requests, 200 or 403.
ALTER TABLE api_key_usage_logs ADD COLUMN request_count integer NOT NULL DEFAULT 1 CHECK (request_count > 0);
CREATE INDEX api_key_usage_logs_created_at ON api_key_usage_logs (created_at);

CREATE FUNCTION refuse_unrevoking() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a revoked API key stays revoked' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER refuse_unrevoking BEFORE UPDATE ON api_keys FOR EACH ROW
    WHEN (OLD.status = 'revoked' AND NEW.status <> 'revoked') EXECUTE FUNCTION refuse_unrevoking();

-- What a key may do depends on these columns. The notice goes out with the commit, to every receiver that listens.
CREATE FUNCTION notify_of_api_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.status = 'revoked' THEN
        PERFORM pg_notify('duoscope_api_keys', 'revoked:' || OLD.api_key_id);
    ELSE
        PERFORM pg_notify('duoscope_api_keys', 'key:' || NEW.api_key_id);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION notify_of_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('duoscope_api_keys',
        TG_ARGV[0] || ':' || (to_jsonb(coalesce(NEW, OLD)) ->> (TG_ARGV[0] || '_id')));
    RETURN NULL;
END $$;
CREATE TRIGGER notify_of_change AFTER DELETE OR UPDATE OF status, expires_at, secret_hash, previous_secret_hash,
    grace_period_expires_at, name, rate_limit, allowed_addresses ON api_keys
    FOR EACH ROW EXECUTE FUNCTION notify_of_api_key();
CREATE TRIGGER notify_of_change AFTER UPDATE OF is_active, deleted_at, settings ON tenants
    FOR EACH ROW EXECUTE FUNCTION notify_of_place('tenant');
CREATE TRIGGER notify_of_change AFTER UPDATE OF is_active, deleted_at ON workspaces
    FOR EACH ROW EXECUTE FUNCTION notify_of_place('workspace');
CREATE TRIGGER notify_of_change AFTER UPDATE OF is_active, deleted_at ON organizations
    FOR EACH ROW EXECUTE FUNCTION notify_of_place('organization');

-- Counts of use come for many tenants at once, and old ones are removed across tenants.
CREATE POLICY platform ON api_key_usage_logs TO duoscope_platform USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, DELETE ON api_key_usage_logs TO duoscope_platform;
