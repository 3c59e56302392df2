-- Organizations that run themselves: roles held organization-wide, custom roles of an organization, invitations, and
-- removal for good 90 days after a soft deletion.
--
-- Two roles join duoscope_platform (the migrator makes them):
-- * duoscope_organization acts for one whole organization, named by app.organization_id, and sees no other;
-- * duoscope_purge may remove what was deleted 90 days ago, and row level security shows it nothing younger.

ALTER TABLE regions ADD COLUMN deleted_at timestamptz;
ALTER TABLE roles ADD COLUMN deleted_at timestamptz;

-- A custom role is a tenant's own or, without a tenant, the organization's.
ALTER TABLE roles DROP CONSTRAINT roles_check1;
ALTER TABLE roles ADD CONSTRAINT roles_built_in CHECK (role_type IS NULL OR tenant_id IS NULL);

-- A role without a tenant is held in every tenant of the organization, those to come included.
ALTER TABLE user_roles
    DROP CONSTRAINT user_roles_pkey,
    DROP CONSTRAINT user_roles_tenant_id_user_id_role_id_key,
    DROP CONSTRAINT user_roles_check,
    ALTER COLUMN workspace_id DROP NOT NULL,
    ALTER COLUMN tenant_id DROP NOT NULL,
    ADD PRIMARY KEY (organization_id, user_role_id),
    ADD CONSTRAINT user_roles_once UNIQUE NULLS NOT DISTINCT (organization_id, tenant_id, user_id, role_id),
    ADD CONSTRAINT user_roles_place CHECK ((workspace_id IS NULL) = (tenant_id IS NULL)),
    -- The role is the organization's or this tenant's own, never a sister tenant's.
    ADD CONSTRAINT user_roles_owner
        CHECK (role_owner_id = organization_id OR coalesce(role_owner_id = tenant_id, false));

CREATE TABLE invitations (
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    invitation_id uuid NOT NULL,
    -- Where the roles will be held and the user be at home; NULL for organization-wide.
    workspace_id uuid,
    tenant_id uuid,
    email text NOT NULL CHECK (email ~ '^[^@[:space:]]+@[^@[:space:]]+$' AND length(email) <= 254),
    -- SHA-256, hexadecimal; the token itself has 256 random bits and is in the message only.
    token_hash text NOT NULL UNIQUE CHECK (token_hash ~ '^[0-9a-f]{64}$'),
    -- NULL for an operator. A platform admin invites from another organization: hence no foreign key.
    invited_by uuid,
    invited_by_organization_id uuid,
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    accepted_by uuid,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, invitation_id),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE,
    CHECK ((workspace_id IS NULL) = (tenant_id IS NULL)),
    CHECK ((invited_by IS NULL) = (invited_by_organization_id IS NULL)),
    CHECK ((accepted_at IS NULL) = (accepted_by IS NULL)),
    CHECK (accepted_at IS NULL OR revoked_at IS NULL)
);
CREATE UNIQUE INDEX invitations_open ON invitations (organization_id, coalesce(tenant_id, organization_id), lower(email))
    WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX invitations_tenant_id ON invitations (tenant_id, invitation_id);

CREATE TABLE invitation_roles (
    organization_id uuid NOT NULL,
    invitation_id uuid NOT NULL,
    role_owner_id uuid NOT NULL,
    role_id uuid NOT NULL,
    PRIMARY KEY (organization_id, invitation_id, role_id),
    FOREIGN KEY (organization_id, invitation_id) REFERENCES invitations ON DELETE CASCADE,
    FOREIGN KEY (organization_id, role_owner_id, role_id) REFERENCES roles (organization_id, owner_id, role_id)
        ON DELETE CASCADE
);
CREATE INDEX invitation_roles_role ON invitation_roles (organization_id, role_owner_id, role_id);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON invitations FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE invitations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE invitation_roles ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY scope ON invitations
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope ON invitation_roles
    USING (organization_id = app_organization_id() AND EXISTS (
        SELECT FROM invitations i
        WHERE i.organization_id = invitation_roles.organization_id
            AND i.invitation_id = invitation_roles.invitation_id AND i.tenant_id = app_tenant_id()
    ))
    WITH CHECK (organization_id = app_organization_id() AND role_owner_id IN (app_organization_id(), app_tenant_id())
        AND EXISTS (
            SELECT FROM invitations i
            WHERE i.organization_id = invitation_roles.organization_id
                AND i.invitation_id = invitation_roles.invitation_id AND i.tenant_id = app_tenant_id()
        ));

-- A tenant sees itself and its own workspace, not their neighbours, and changes of itself what is its own to choose.
DROP POLICY scope ON workspaces;
CREATE POLICY scope ON workspaces
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id());
DROP POLICY scope ON tenants;
CREATE POLICY scope ON tenants
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
REVOKE UPDATE ON organizations FROM duoscope_service;
REVOKE INSERT, UPDATE ON workspaces, tenants FROM duoscope_service;
GRANT UPDATE (name, domain, settings) ON tenants TO duoscope_service;

-- Who holds a role organization-wide holds it here: a tenant sees that, and cannot change it.
DROP POLICY scope ON user_roles;
CREATE POLICY scope_read ON user_roles FOR SELECT
    USING (organization_id = app_organization_id()
        AND (workspace_id = app_workspace_id() AND tenant_id = app_tenant_id() OR tenant_id IS NULL));
CREATE POLICY scope_insert ON user_roles FOR INSERT
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope_update ON user_roles FOR UPDATE
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope_delete ON user_roles FOR DELETE
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
DROP POLICY scope_read ON users;
CREATE POLICY scope_read ON users FOR SELECT
    USING (organization_id = app_organization_id() AND (
        tenant_id = app_tenant_id()
        OR EXISTS (
            SELECT FROM user_roles ur
            WHERE ur.organization_id = users.organization_id AND ur.user_id = users.user_id
                AND (ur.tenant_id = app_tenant_id() OR ur.tenant_id IS NULL)
        )
    ));

CREATE POLICY organization ON organizations TO duoscope_organization
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());
CREATE POLICY organization ON workspaces TO duoscope_organization
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());
CREATE POLICY organization ON tenants TO duoscope_organization
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());
CREATE POLICY organization_read ON users FOR SELECT TO duoscope_organization
    USING (organization_id = app_organization_id());
CREATE POLICY organization_update ON users FOR UPDATE TO duoscope_organization
    USING (organization_id = app_organization_id() AND NOT is_platform_admin)
    WITH CHECK (organization_id = app_organization_id() AND NOT is_platform_admin);
CREATE POLICY organization_read ON roles FOR SELECT TO duoscope_organization
    USING (organization_id = app_organization_id());
CREATE POLICY organization_insert ON roles FOR INSERT TO duoscope_organization
    WITH CHECK (organization_id = app_organization_id() AND role_type IS NULL);
CREATE POLICY organization_update ON roles FOR UPDATE TO duoscope_organization
    USING (organization_id = app_organization_id() AND role_type IS NULL)
    WITH CHECK (organization_id = app_organization_id() AND role_type IS NULL);
CREATE POLICY organization ON user_roles TO duoscope_organization
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());
CREATE POLICY organization_read ON role_permissions FOR SELECT TO duoscope_organization
    USING (organization_id = app_organization_id());
CREATE POLICY organization_insert ON role_permissions FOR INSERT TO duoscope_organization
    WITH CHECK (organization_id = app_organization_id() AND EXISTS (
        SELECT FROM roles r WHERE r.organization_id = role_permissions.organization_id
            AND r.role_id = role_permissions.role_id AND r.role_type IS NULL));
CREATE POLICY organization_delete ON role_permissions FOR DELETE TO duoscope_organization
    USING (organization_id = app_organization_id() AND EXISTS (
        SELECT FROM roles r WHERE r.organization_id = role_permissions.organization_id
            AND r.role_id = role_permissions.role_id AND r.role_type IS NULL));
CREATE POLICY organization ON invitations TO duoscope_organization
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());
CREATE POLICY organization ON invitation_roles TO duoscope_organization
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());
CREATE POLICY organization ON audit_logs FOR SELECT TO duoscope_organization
    USING (organization_id = app_organization_id());

-- An invitation's token names no organization.
CREATE POLICY platform ON invitations TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON invitation_roles TO duoscope_platform USING (true) WITH CHECK (true);

GRANT SELECT ON regions, permissions TO duoscope_organization;
GRANT SELECT, UPDATE ON organizations, users TO duoscope_organization;
GRANT SELECT, INSERT, UPDATE ON workspaces, tenants, roles, invitations TO duoscope_organization;
GRANT SELECT, INSERT, UPDATE, DELETE ON user_roles TO duoscope_organization;
GRANT SELECT, INSERT, DELETE ON role_permissions TO duoscope_organization;
GRANT SELECT, INSERT ON invitation_roles TO duoscope_organization;
GRANT SELECT ON audit_chains, audit_logs TO duoscope_organization;
GRANT INSERT (content) ON audit_logs TO duoscope_organization;
GRANT SELECT, INSERT, UPDATE ON invitations TO duoscope_service, duoscope_platform;
GRANT SELECT, INSERT ON invitation_roles TO duoscope_service, duoscope_platform;
GRANT UPDATE, DELETE ON user_roles TO duoscope_platform;

-- Removal for good takes along what belongs to the thing removed. A user outlives the home tenant.
ALTER TABLE workspaces DROP CONSTRAINT workspaces_organization_id_fkey,
    ADD FOREIGN KEY (organization_id) REFERENCES organizations ON DELETE CASCADE;
ALTER TABLE tenants DROP CONSTRAINT tenants_organization_id_workspace_id_fkey,
    ADD FOREIGN KEY (organization_id, workspace_id) REFERENCES workspaces ON DELETE CASCADE;
ALTER TABLE users DROP CONSTRAINT users_organization_id_fkey,
    ADD FOREIGN KEY (organization_id) REFERENCES organizations ON DELETE CASCADE,
    DROP CONSTRAINT users_organization_id_workspace_id_tenant_id_fkey,
    ADD FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants
        ON DELETE SET NULL (workspace_id, tenant_id);
ALTER TABLE roles DROP CONSTRAINT roles_organization_id_fkey,
    ADD FOREIGN KEY (organization_id) REFERENCES organizations ON DELETE CASCADE,
    DROP CONSTRAINT roles_organization_id_workspace_id_tenant_id_fkey,
    ADD FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE;
ALTER TABLE user_roles DROP CONSTRAINT user_roles_organization_id_workspace_id_tenant_id_fkey,
    ADD FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE;
ALTER TABLE api_keys DROP CONSTRAINT api_keys_organization_id_workspace_id_tenant_id_fkey,
    ADD FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE;
ALTER TABLE refresh_tokens DROP CONSTRAINT refresh_tokens_organization_id_workspace_id_tenant_id_fkey,
    ADD FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE;

CREATE POLICY purge ON organizations TO duoscope_purge USING (deleted_at < now() - interval '90 days');
CREATE POLICY purge ON workspaces TO duoscope_purge USING (deleted_at < now() - interval '90 days');
CREATE POLICY purge ON tenants TO duoscope_purge USING (deleted_at < now() - interval '90 days');
CREATE POLICY purge ON users TO duoscope_purge USING (deleted_at < now() - interval '90 days');
CREATE POLICY purge ON roles TO duoscope_purge USING (deleted_at < now() - interval '90 days');
CREATE POLICY purge ON invitations TO duoscope_purge
    USING (least(accepted_at, revoked_at, expires_at) < now() - interval '90 days');
CREATE POLICY purge ON audit_logs FOR INSERT TO duoscope_purge WITH CHECK (true);
GRANT SELECT, DELETE ON regions, organizations, workspaces, tenants, users, roles, invitations TO duoscope_purge;
-- The policy of users looks into user_roles, of which it finds nothing.
GRANT SELECT ON user_roles TO duoscope_purge;
GRANT INSERT (content) ON audit_logs TO duoscope_purge;

-- Whoever runs the platform runs their own organization too. The owner of the tables is bound by forced row level
-- security like everybody else, so it is lifted for this one statement.
ALTER TABLE users NO FORCE ROW LEVEL SECURITY;
ALTER TABLE roles NO FORCE ROW LEVEL SECURITY;
ALTER TABLE user_roles NO FORCE ROW LEVEL SECURITY;
INSERT INTO user_roles (organization_id, user_role_id, user_id, role_id, role_owner_id)
SELECT u.organization_id, gen_random_uuid(), u.user_id, r.role_id, r.owner_id
FROM users u JOIN roles r ON r.organization_id = u.organization_id AND r.role_type = 'admin'
WHERE u.is_platform_admin AND u.deleted_at IS NULL;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
ALTER TABLE roles FORCE ROW LEVEL SECURITY;
ALTER TABLE user_roles FORCE ROW LEVEL SECURITY;
