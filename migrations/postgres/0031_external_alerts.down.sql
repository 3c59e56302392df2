ALTER TABLE api_key_permissions NO FORCE ROW LEVEL SECURITY;
DELETE FROM api_key_permissions WHERE permission IN ('alerts:read', 'alerts:write');
ALTER TABLE api_key_permissions FORCE ROW LEVEL SECURITY, DROP CONSTRAINT api_key_permissions_permission_check,
    ADD CONSTRAINT api_key_permissions_permission_check CHECK (permission IN (
        'traces:write', 'metrics:write', 'logs:write', 'monitors:report', 'traces:read', 'metrics:read', 'logs:read'));
ALTER TABLE notifications NO FORCE ROW LEVEL SECURITY;
DELETE FROM notifications WHERE alert_rule_id IS NULL;
ALTER TABLE notifications ALTER COLUMN alert_rule_id SET NOT NULL, FORCE ROW LEVEL SECURITY;
ALTER TABLE notification_groups DROP COLUMN external_matchers;
DROP TABLE external_alerts;
