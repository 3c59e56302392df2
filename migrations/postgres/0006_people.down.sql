-- What the older schema cannot hold goes: organization-wide assignments, and custom roles of organizations.
ALTER TABLE roles NO FORCE ROW LEVEL SECURITY;
ALTER TABLE user_roles NO FORCE ROW LEVEL SECURITY;
DELETE FROM user_roles WHERE tenant_id IS NULL;
DELETE FROM roles WHERE role_type IS NULL AND tenant_id IS NULL OR deleted_at IS NOT NULL;
ALTER TABLE roles FORCE ROW LEVEL SECURITY;
ALTER TABLE user_roles FORCE ROW LEVEL SECURITY;

DROP POLICY purge ON organizations;
DROP POLICY purge ON workspaces;
DROP POLICY purge ON tenants;
DROP POLICY purge ON users;
DROP POLICY purge ON roles;
DROP POLICY purge ON audit_logs;
REVOKE ALL ON regions, organizations, workspaces, tenants, users, roles, user_roles FROM duoscope_purge;
REVOKE INSERT (content) ON audit_logs FROM duoscope_purge;

DROP POLICY organization ON organizations;
DROP POLICY organization ON workspaces;
DROP POLICY organization ON tenants;
DROP POLICY organization_read ON users;
DROP POLICY organization_update ON users;
DROP POLICY organization_read ON roles;
DROP POLICY organization_insert ON roles;
DROP POLICY organization_update ON roles;
DROP POLICY organization ON user_roles;
DROP POLICY organization_read ON role_permissions;
DROP POLICY organization_insert ON role_permissions;
DROP POLICY organization_delete ON role_permissions;
DROP POLICY organization ON audit_logs;
DROP TABLE invitation_roles, invitations;
REVOKE ALL ON regions, permissions, organizations, workspaces, tenants, users, roles, user_roles, role_permissions,
    audit_chains, audit_logs FROM duoscope_organization;
REVOKE INSERT (content) ON audit_logs FROM duoscope_organization;
REVOKE UPDATE, DELETE ON user_roles FROM duoscope_platform;

DROP POLICY scope_read ON users;
CREATE POLICY scope_read ON users FOR SELECT
    USING (organization_id = app_organization_id() AND (
        tenant_id = app_tenant_id()
        OR EXISTS (
            SELECT FROM user_roles ur
            WHERE ur.organization_id = users.organization_id AND ur.user_id = users.user_id
                AND ur.tenant_id = app_tenant_id()
        )
    ));
DROP POLICY scope_read ON user_roles;
DROP POLICY scope_insert ON user_roles;
DROP POLICY scope_update ON user_roles;
DROP POLICY scope_delete ON user_roles;
CREATE POLICY scope ON user_roles
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
REVOKE UPDATE (name, domain, settings) ON tenants FROM duoscope_service;
GRANT UPDATE ON organizations TO duoscope_service;
GRANT INSERT, UPDATE ON workspaces, tenants TO duoscope_service;
DROP POLICY scope ON tenants;
CREATE POLICY scope ON tenants
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id());
DROP POLICY scope ON workspaces;
CREATE POLICY scope ON workspaces
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());

ALTER TABLE refresh_tokens DROP CONSTRAINT refresh_tokens_organization_id_workspace_id_tenant_id_fkey,
    ADD FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants;
ALTER TABLE api_keys DROP CONSTRAINT api_keys_organization_id_workspace_id_tenant_id_fkey,
    ADD FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants;
ALTER TABLE user_roles
    DROP CONSTRAINT user_roles_owner,
    DROP CONSTRAINT user_roles_place,
    DROP CONSTRAINT user_roles_once,
    DROP CONSTRAINT user_roles_pkey,
    DROP CONSTRAINT user_roles_organization_id_workspace_id_tenant_id_fkey,
    ALTER COLUMN workspace_id SET NOT NULL,
    ALTER COLUMN tenant_id SET NOT NULL,
    ADD PRIMARY KEY (tenant_id, user_role_id),
    ADD UNIQUE (tenant_id, user_id, role_id),
    ADD CONSTRAINT user_roles_check CHECK (role_owner_id IN (organization_id, tenant_id)),
    ADD FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants;
ALTER TABLE roles DROP CONSTRAINT roles_built_in,
    DROP CONSTRAINT roles_organization_id_fkey,
    DROP CONSTRAINT roles_organization_id_workspace_id_tenant_id_fkey,
    ADD CONSTRAINT roles_check1 CHECK ((role_type IS NOT NULL) = (tenant_id IS NULL)),
    ADD FOREIGN KEY (organization_id) REFERENCES organizations,
    ADD FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants;
ALTER TABLE users DROP CONSTRAINT users_organization_id_fkey,
    DROP CONSTRAINT users_organization_id_workspace_id_tenant_id_fkey,
    ADD FOREIGN KEY (organization_id) REFERENCES organizations,
    ADD FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants;
ALTER TABLE tenants DROP CONSTRAINT tenants_organization_id_workspace_id_fkey,
    ADD FOREIGN KEY (organization_id, workspace_id) REFERENCES workspaces;
ALTER TABLE workspaces DROP CONSTRAINT workspaces_organization_id_fkey,
    ADD FOREIGN KEY (organization_id) REFERENCES organizations;
ALTER TABLE roles DROP COLUMN deleted_at;
ALTER TABLE regions DROP COLUMN deleted_at;
