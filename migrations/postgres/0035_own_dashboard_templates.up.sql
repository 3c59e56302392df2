-- Dashboards that the other tenants of a workspace see, and templates that a tenant made (docs/adr/0045).

ALTER TABLE dashboards
    -- Who reads it: its tenant, or every tenant of its workspace. Its tenant alone changes it.
    ADD COLUMN visibility text NOT NULL DEFAULT 'tenant' CHECK (visibility IN ('tenant', 'workspace'));
DROP INDEX dashboards_workspace;
CREATE INDEX dashboards_workspace ON dashboards (workspace_id) WHERE visibility = 'workspace';
CREATE POLICY scope_workspace ON dashboards FOR SELECT
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND visibility = 'workspace' AND deleted_at IS NULL);
CREATE POLICY scope_workspace ON widgets FOR SELECT
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id() AND EXISTS (
        SELECT FROM dashboards d WHERE d.tenant_id = widgets.tenant_id AND d.dashboard_id = widgets.dashboard_id
            AND d.visibility = 'workspace' AND d.deleted_at IS NULL));

-- `dashboard_templates` are those that came with duoscope, which are nobody's.
CREATE TABLE own_dashboard_templates (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    template_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    description text NOT NULL DEFAULT '',
    category text NOT NULL CHECK (category IN ('apm', 'infrastructure', 'network', 'custom')),
    template_config jsonb NOT NULL CHECK (jsonb_typeof(template_config) = 'object'),
    visibility text NOT NULL DEFAULT 'tenant' CHECK (visibility IN ('tenant', 'workspace')),
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, template_id),
    UNIQUE (tenant_id, name),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE,
    FOREIGN KEY (organization_id, created_by) REFERENCES users (organization_id, user_id)
        ON DELETE SET NULL (created_by)
);
CREATE INDEX own_dashboard_templates_workspace ON own_dashboard_templates (workspace_id)
    WHERE visibility = 'workspace';
CREATE INDEX own_dashboard_templates_created_by ON own_dashboard_templates (organization_id, created_by)
    WHERE created_by IS NOT NULL;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON own_dashboard_templates
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE own_dashboard_templates ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON own_dashboard_templates
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope_workspace ON own_dashboard_templates FOR SELECT
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND visibility = 'workspace');
GRANT SELECT, INSERT, UPDATE, DELETE ON own_dashboard_templates TO duoscope_service;
