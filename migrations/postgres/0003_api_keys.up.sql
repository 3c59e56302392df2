-- Keys of machines that send telemetry. The secret is kept as an Argon2id hash only.

CREATE TABLE api_keys (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    api_key_id uuid NOT NULL,
    key_id text NOT NULL UNIQUE CHECK (key_id ~ '^tfk-[a-z2-7]{16}$'),
    secret_hash text NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    description text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'rotated', 'revoked', 'expired')),
    expires_at timestamptz,
    last_used_at timestamptz,
    last_used_ip text,
    usage_count integer NOT NULL DEFAULT 0 CHECK (usage_count >= 0),
    -- Requests a minute; NULL for no limit of its own.
    rate_limit integer CHECK (rate_limit > 0),
    -- A rotated key goes on working until then.
    grace_period_expires_at timestamptz,
    revoked_reason text,
    revoked_by uuid,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, api_key_id),
    UNIQUE (organization_id, workspace_id, tenant_id, api_key_id),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants,
    FOREIGN KEY (organization_id, revoked_by) REFERENCES users (organization_id, user_id)
        ON DELETE SET NULL (revoked_by)
);
CREATE INDEX api_keys_workspace ON api_keys (workspace_id, tenant_id, created_at);
CREATE INDEX api_keys_revoked_by ON api_keys (organization_id, revoked_by) WHERE revoked_by IS NOT NULL;

CREATE TABLE api_key_permissions (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    permission_id uuid NOT NULL DEFAULT gen_random_uuid(),
    api_key_id uuid NOT NULL,
    permission text NOT NULL
        CHECK (permission IN ('traces:write', 'metrics:write', 'logs:write', 'monitors:report')),
    granted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, permission_id),
    UNIQUE (tenant_id, api_key_id, permission),
    FOREIGN KEY (organization_id, workspace_id, tenant_id, api_key_id)
        REFERENCES api_keys (organization_id, workspace_id, tenant_id, api_key_id) ON DELETE CASCADE
);

CREATE TABLE api_key_usage_logs (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    usage_id uuid NOT NULL,
    api_key_id uuid NOT NULL,
    endpoint text NOT NULL,
    method text NOT NULL,
    ip_address text,
    status_code integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, usage_id),
    FOREIGN KEY (organization_id, workspace_id, tenant_id, api_key_id)
        REFERENCES api_keys (organization_id, workspace_id, tenant_id, api_key_id) ON DELETE CASCADE
);
CREATE INDEX api_key_usage_logs_key ON api_key_usage_logs (tenant_id, api_key_id, created_at);

CREATE TRIGGER set_updated_at BEFORE UPDATE ON api_keys FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE api_key_permissions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE api_key_usage_logs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY scope ON api_keys
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope ON api_key_permissions
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope ON api_key_usage_logs
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());

-- A presented key names no tenant: it is looked up across them. The first start makes one beside its tenant.
CREATE POLICY platform ON api_keys TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON api_key_permissions TO duoscope_platform USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON api_keys TO duoscope_service;
GRANT SELECT, INSERT, DELETE ON api_key_permissions TO duoscope_service;
GRANT SELECT, INSERT, DELETE ON api_key_usage_logs TO duoscope_service;
GRANT SELECT, INSERT, UPDATE ON api_keys TO duoscope_platform;
GRANT SELECT, INSERT ON api_key_permissions TO duoscope_platform;
