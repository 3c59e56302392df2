DROP TABLE tenants, workspaces, organizations, regions;
DROP FUNCTION set_updated_at(), app_tenant_id(), app_workspace_id(), app_organization_id();
