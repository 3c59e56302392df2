REVOKE SELECT, INSERT, DELETE ON api_key_usage_logs FROM duoscope_platform;
DROP POLICY platform ON api_key_usage_logs;
DROP TRIGGER notify_of_change ON organizations;
DROP TRIGGER notify_of_change ON workspaces;
DROP TRIGGER notify_of_change ON tenants;
DROP TRIGGER notify_of_change ON api_keys;
DROP TRIGGER refuse_unrevoking ON api_keys;
DROP FUNCTION notify_of_place(), notify_of_api_key(), refuse_unrevoking();
DROP INDEX api_key_usage_logs_created_at;
ALTER TABLE api_key_usage_logs DROP COLUMN request_count;
DELETE FROM api_key_permissions WHERE permission IN ('traces:read', 'metrics:read', 'logs:read');
ALTER TABLE api_key_permissions DROP CONSTRAINT api_key_permissions_permission_check,
    ADD CONSTRAINT api_key_permissions_permission_check
        CHECK (permission IN ('traces:write', 'metrics:write', 'logs:write', 'monitors:report'));
ALTER TABLE api_keys DROP CONSTRAINT api_keys_revoked, DROP COLUMN rotated_at, DROP COLUMN previous_secret_hash,
    DROP COLUMN allowed_addresses;
