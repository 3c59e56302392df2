-- Alerts that others post, as to an Alertmanager: each ends at its `ends_at` unless it is posted again.
CREATE TABLE external_alerts (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    external_alert_id uuid NOT NULL,
    -- A hash of the labels.
    fingerprint text NOT NULL CHECK (fingerprint ~ '^[0-9a-f]{16}$'),
    labels jsonb NOT NULL CHECK (jsonb_typeof(labels) = 'object' AND labels <> '{}'),
    annotations jsonb NOT NULL CHECK (jsonb_typeof(annotations) = 'object'),
    generator_url text NOT NULL DEFAULT '',
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    -- Of the last transition that notification has taken up, and whether that was the beginning.
    number integer NOT NULL DEFAULT 0,
    is_told boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, external_alert_id),
    UNIQUE (tenant_id, fingerprint),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE
);
CREATE INDEX external_alerts_to_begin ON external_alerts (ends_at) WHERE NOT is_told;
CREATE INDEX external_alerts_to_end ON external_alerts (ends_at) WHERE is_told;

-- A group is told of those that meet these matchers; NULL: of none.
ALTER TABLE notification_groups ADD COLUMN external_matchers jsonb
    CHECK (external_matchers IS NULL OR jsonb_typeof(external_matchers) = 'array');
-- Such an alert has no rule.
ALTER TABLE notifications ALTER COLUMN alert_rule_id DROP NOT NULL;

ALTER TABLE api_key_permissions DROP CONSTRAINT api_key_permissions_permission_check,
    ADD CONSTRAINT api_key_permissions_permission_check CHECK (permission IN (
        'traces:write', 'metrics:write', 'logs:write', 'monitors:report', 'traces:read', 'metrics:read', 'logs:read',
        'alerts:read', 'alerts:write'));

ALTER TABLE external_alerts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON external_alerts
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
-- Whoever owes messages does so across tenants.
CREATE POLICY platform ON external_alerts TO duoscope_platform USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON external_alerts TO duoscope_service;
GRANT SELECT, DELETE, UPDATE (number, is_told) ON external_alerts TO duoscope_platform;
