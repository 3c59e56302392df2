-- Links by which strangers see a dashboard (docs/adr/0043).

CREATE TABLE dashboard_links (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    dashboard_id uuid NOT NULL,
    dashboard_link_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    -- SHA-256 of the token, in hex. The token itself is shown once, and kept nowhere.
    token_hash text NOT NULL UNIQUE CHECK (length(token_hash) = 64),
    -- What its questions may read: held by whoever made the link.
    permissions text[] NOT NULL,
    -- The values that a stranger may choose, by variable.
    variables jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(variables) = 'object'),
    range_seconds_max integer NOT NULL CHECK (range_seconds_max > 0),
    -- Of pages that may show it in a frame.
    embed_origins text[] NOT NULL DEFAULT '{}',
    expires_at timestamptz,
    revoked_at timestamptz,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, dashboard_link_id),
    FOREIGN KEY (organization_id, workspace_id, tenant_id, dashboard_id)
        REFERENCES dashboards (organization_id, workspace_id, tenant_id, dashboard_id) ON DELETE CASCADE,
    FOREIGN KEY (organization_id, created_by) REFERENCES users (organization_id, user_id)
        ON DELETE SET NULL (created_by)
);
CREATE INDEX dashboard_links_dashboard ON dashboard_links (tenant_id, dashboard_id);
CREATE INDEX dashboard_links_created_by ON dashboard_links (organization_id, created_by) WHERE created_by IS NOT NULL;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON dashboard_links FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE dashboard_links ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON dashboard_links
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
-- A stranger's token names no tenant.
CREATE POLICY platform ON dashboard_links TO duoscope_platform USING (true);
GRANT SELECT, INSERT, UPDATE ON dashboard_links TO duoscope_service;
GRANT SELECT ON dashboard_links TO duoscope_platform;
