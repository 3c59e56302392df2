DROP TABLE own_dashboard_templates;
DROP POLICY scope_workspace ON widgets;
DROP POLICY scope_workspace ON dashboards;
DROP INDEX dashboards_workspace;
ALTER TABLE dashboards DROP COLUMN visibility;
CREATE INDEX dashboards_workspace ON dashboards (workspace_id);
