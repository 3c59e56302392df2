-- Dashboards, the widgets of each, and what each was in every version (docs/adr/0037).

CREATE TABLE dashboards (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    dashboard_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    description text NOT NULL DEFAULT '',
    -- Sections without their widgets, tags, the range and the refresh.
    layout_config jsonb NOT NULL CHECK (jsonb_typeof(layout_config) = 'object'),
    variables jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(variables) = 'array'),
    is_public boolean NOT NULL DEFAULT false,
    view_count integer NOT NULL DEFAULT 0 CHECK (view_count >= 0),
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    created_by uuid,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, dashboard_id),
    UNIQUE (organization_id, workspace_id, tenant_id, dashboard_id),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE,
    FOREIGN KEY (organization_id, created_by) REFERENCES users (organization_id, user_id)
        ON DELETE SET NULL (created_by)
);
CREATE INDEX dashboards_workspace ON dashboards (workspace_id);
CREATE INDEX dashboards_created_by ON dashboards (organization_id, created_by) WHERE created_by IS NOT NULL;
-- Looking is no change.
CREATE TRIGGER set_updated_at BEFORE UPDATE ON dashboards
    FOR EACH ROW WHEN (OLD.view_count = NEW.view_count) EXECUTE FUNCTION set_updated_at();

CREATE TABLE widgets (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    dashboard_id uuid NOT NULL,
    widget_id uuid NOT NULL,
    -- Its name within the dashboard, and its place among the widgets.
    widget_key text NOT NULL CHECK (widget_key <> ''),
    number integer NOT NULL CHECK (number >= 0),
    title text NOT NULL DEFAULT '',
    widget_type text NOT NULL CHECK (widget_type IN (
        'line_chart', 'bar_chart', 'gauge', 'stat', 'table', 'logs', 'heatmap', 'graph', 'text'
    )),
    query_config jsonb NOT NULL CHECK (jsonb_typeof(query_config) = 'object'),
    visualization_config jsonb NOT NULL CHECK (jsonb_typeof(visualization_config) = 'object'),
    position_config jsonb NOT NULL CHECK (jsonb_typeof(position_config) = 'object'),
    -- Seconds; NULL is as often as the dashboard.
    refresh_interval integer CHECK (refresh_interval > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, widget_id),
    UNIQUE (tenant_id, dashboard_id, widget_key),
    FOREIGN KEY (organization_id, workspace_id, tenant_id, dashboard_id)
        REFERENCES dashboards (organization_id, workspace_id, tenant_id, dashboard_id) ON DELETE CASCADE
);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON widgets FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TABLE dashboard_versions (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    dashboard_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    version_id uuid NOT NULL,
    document jsonb NOT NULL CHECK (jsonb_typeof(document) = 'object'),
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, dashboard_id, version),
    FOREIGN KEY (organization_id, workspace_id, tenant_id, dashboard_id)
        REFERENCES dashboards (organization_id, workspace_id, tenant_id, dashboard_id) ON DELETE CASCADE,
    FOREIGN KEY (organization_id, created_by) REFERENCES users (organization_id, user_id)
        ON DELETE SET NULL (created_by)
);
CREATE INDEX dashboard_versions_created_by ON dashboard_versions (organization_id, created_by)
    WHERE created_by IS NOT NULL;

ALTER TABLE dashboards ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE widgets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE dashboard_versions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY scope ON dashboards
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope ON widgets
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope ON dashboard_versions
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY purge ON dashboards TO duoscope_purge USING (deleted_at < now() - interval '90 days');

GRANT SELECT, INSERT, UPDATE ON dashboards TO duoscope_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON widgets TO duoscope_service;
GRANT SELECT, INSERT, DELETE ON dashboard_versions TO duoscope_service;
GRANT SELECT, DELETE ON dashboards TO duoscope_purge;
