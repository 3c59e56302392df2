-- Who works here and what they may do: users, roles, permissions.

CREATE TABLE users (
    organization_id uuid NOT NULL REFERENCES organizations,
    user_id uuid NOT NULL,
    -- The home tenant, whose admins manage this user. NULL: the organization's own, managed across tenants only.
    workspace_id uuid,
    tenant_id uuid,
    email text NOT NULL CHECK (email ~ '^[^@[:space:]]+@[^@[:space:]]+$' AND length(email) <= 254),
    password_hash text NOT NULL,
    first_name text NOT NULL DEFAULT '',
    last_name text NOT NULL DEFAULT '',
    avatar_url text NOT NULL DEFAULT '',
    timezone text NOT NULL DEFAULT 'UTC',
    language text NOT NULL DEFAULT 'en',
    email_verified boolean NOT NULL DEFAULT false,
    email_verified_at timestamptz,
    is_active boolean NOT NULL DEFAULT true,
    is_locked boolean NOT NULL DEFAULT false,
    failed_attempts integer NOT NULL DEFAULT 0 CHECK (failed_attempts >= 0),
    locked_until timestamptz,
    last_login_at timestamptz,
    -- Holds the platform's permissions on top of those of the roles. Given across tenants only.
    is_platform_admin boolean NOT NULL DEFAULT false,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, user_id),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants,
    CHECK ((workspace_id IS NULL) = (tenant_id IS NULL))
);
-- A login names no organization: an address belongs to one living user on the whole platform.
CREATE UNIQUE INDEX users_email ON users (lower(email)) WHERE deleted_at IS NULL;
CREATE INDEX users_organization_id_is_active ON users (organization_id, is_active);
CREATE INDEX users_tenant_id ON users (tenant_id, deleted_at) WHERE deleted_at IS NULL;

CREATE TABLE permissions (
    permission_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    resource text NOT NULL,
    action text NOT NULL CHECK (action IN ('read', 'write', 'delete', 'admin')),
    name text NOT NULL UNIQUE GENERATED ALWAYS AS (resource || ':' || action) STORED,
    description text NOT NULL DEFAULT '',
    -- Reaches beyond an organization: no role can carry it.
    is_platform boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (permission_id, is_platform)
);

CREATE TABLE roles (
    organization_id uuid NOT NULL REFERENCES organizations,
    role_id uuid NOT NULL,
    -- NULL for the built-in roles, which the organization's tenants share; otherwise the tenant that made it.
    workspace_id uuid,
    tenant_id uuid,
    owner_id uuid NOT NULL GENERATED ALWAYS AS (coalesce(tenant_id, organization_id)) STORED,
    name text NOT NULL CHECK (name <> ''),
    description text NOT NULL DEFAULT '',
    -- NULL for custom roles.
    role_type text CHECK (role_type IN ('admin', 'developer', 'viewer', 'demo', 'service')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, role_id),
    UNIQUE (organization_id, owner_id, role_id),
    UNIQUE (organization_id, owner_id, name),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants,
    CHECK ((workspace_id IS NULL) = (tenant_id IS NULL)),
    CHECK ((role_type IS NOT NULL) = (tenant_id IS NULL))
);

CREATE TABLE user_roles (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    user_role_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role_id uuid NOT NULL,
    role_owner_id uuid NOT NULL,
    assigned_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    PRIMARY KEY (tenant_id, user_role_id),
    UNIQUE (tenant_id, user_id, role_id),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants,
    FOREIGN KEY (organization_id, user_id) REFERENCES users ON DELETE CASCADE,
    -- The role is the organization's or this tenant's own, never a sister tenant's.
    CHECK (role_owner_id IN (organization_id, tenant_id)),
    FOREIGN KEY (organization_id, role_owner_id, role_id) REFERENCES roles (organization_id, owner_id, role_id)
        ON DELETE CASCADE
);
CREATE INDEX user_roles_user ON user_roles (organization_id, user_id);
CREATE INDEX user_roles_role ON user_roles (organization_id, role_owner_id, role_id);

CREATE TABLE role_permissions (
    organization_id uuid NOT NULL,
    role_owner_id uuid NOT NULL,
    role_permission_id uuid NOT NULL DEFAULT gen_random_uuid(),
    role_id uuid NOT NULL,
    permission_id uuid NOT NULL,
    is_platform boolean NOT NULL DEFAULT false CHECK (NOT is_platform),
    granted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, role_permission_id),
    UNIQUE (organization_id, role_owner_id, role_id, permission_id),
    FOREIGN KEY (organization_id, role_owner_id, role_id) REFERENCES roles (organization_id, owner_id, role_id)
        ON DELETE CASCADE,
    FOREIGN KEY (permission_id, is_platform) REFERENCES permissions (permission_id, is_platform) ON DELETE CASCADE
);
CREATE INDEX role_permissions_permission ON role_permissions (permission_id);

CREATE TRIGGER set_updated_at BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER set_updated_at BEFORE UPDATE ON roles FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE roles ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE user_roles ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE role_permissions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- A tenant sees the users at home in it and those with a role in it; it changes only the former, and never makes or
-- changes a platform admin.
CREATE POLICY scope_read ON users FOR SELECT
    USING (organization_id = app_organization_id() AND (
        tenant_id = app_tenant_id()
        OR EXISTS (
            SELECT FROM user_roles ur
            WHERE ur.organization_id = users.organization_id AND ur.user_id = users.user_id
                AND ur.tenant_id = app_tenant_id()
        )
    ));
CREATE POLICY scope_insert ON users FOR INSERT
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id() AND NOT is_platform_admin);
CREATE POLICY scope_update ON users FOR UPDATE
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id() AND NOT is_platform_admin)
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id() AND NOT is_platform_admin);

-- Built-in roles are read by all of the organization's tenants and changed by none.
CREATE POLICY scope_read ON roles FOR SELECT
    USING (organization_id = app_organization_id() AND owner_id IN (app_organization_id(), app_tenant_id()));
CREATE POLICY scope_insert ON roles FOR INSERT
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope_update ON roles FOR UPDATE
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope_delete ON roles FOR DELETE
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());

CREATE POLICY scope ON user_roles
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());

CREATE POLICY scope_read ON role_permissions FOR SELECT
    USING (organization_id = app_organization_id() AND role_owner_id IN (app_organization_id(), app_tenant_id()));
CREATE POLICY scope_insert ON role_permissions FOR INSERT
    WITH CHECK (organization_id = app_organization_id() AND role_owner_id = app_tenant_id());
CREATE POLICY scope_delete ON role_permissions FOR DELETE
    USING (organization_id = app_organization_id() AND role_owner_id = app_tenant_id());

CREATE POLICY platform ON users TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON roles TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON user_roles TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON role_permissions TO duoscope_platform USING (true) WITH CHECK (true);

GRANT SELECT ON permissions TO duoscope_service, duoscope_platform;
GRANT SELECT, INSERT, UPDATE ON users TO duoscope_service, duoscope_platform;
GRANT SELECT, INSERT, UPDATE, DELETE ON roles, user_roles TO duoscope_service;
GRANT SELECT, INSERT, DELETE ON role_permissions TO duoscope_service;
GRANT SELECT, INSERT ON roles, user_roles, role_permissions TO duoscope_platform;

-- Everything that can be permitted. `write` makes and changes, `delete` removes and restores, `admin` is what reaches
-- further: for an organization or a region, making one.
INSERT INTO permissions (resource, action, description, is_platform)
SELECT resource, action, initcap(action) || ' ' || replace(resource, '-', ' ') || 's.',
    resource = 'region' AND action <> 'read' OR resource = 'organization' AND action IN ('delete', 'admin')
FROM unnest(ARRAY[
    'region', 'organization', 'workspace', 'tenant', 'user', 'role', 'permission', 'api-key',
    'metric', 'log', 'trace', 'dashboard', 'alert', 'alert-rule', 'notification', 'silence',
    'uptime-monitor', 'agent', 'subscription', 'audit-log'
]) AS resource, unnest(ARRAY['read', 'write', 'delete', 'admin']) AS action;

-- What the built-in roles of every organization hold.
CREATE TABLE built_in_role_permissions (
    role_type text NOT NULL CHECK (role_type IN ('admin', 'developer', 'viewer', 'demo', 'service')),
    permission_id uuid NOT NULL REFERENCES permissions ON DELETE CASCADE,
    PRIMARY KEY (role_type, permission_id)
);
INSERT INTO built_in_role_permissions (role_type, permission_id)
SELECT 'admin', permission_id FROM permissions WHERE NOT is_platform
UNION ALL
SELECT 'developer', permission_id FROM permissions
WHERE action = 'read' AND resource NOT IN ('audit-log', 'subscription')
    OR action IN ('write', 'delete')
    AND resource IN ('dashboard', 'alert', 'alert-rule', 'notification', 'silence', 'uptime-monitor', 'agent')
    OR action = 'write' AND resource IN ('metric', 'log', 'trace')
UNION ALL
SELECT 'viewer', permission_id FROM permissions
WHERE action = 'read' AND resource NOT IN ('audit-log', 'subscription', 'api-key', 'user', 'role', 'permission')
UNION ALL
SELECT 'demo', permission_id FROM permissions
WHERE action = 'read' AND resource IN ('metric', 'log', 'trace', 'dashboard', 'alert', 'alert-rule')
UNION ALL
SELECT 'service', permission_id FROM permissions
WHERE action IN ('read', 'write') AND resource IN ('metric', 'log', 'trace', 'alert', 'uptime-monitor', 'agent');

CREATE FUNCTION make_built_in_roles() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO roles (organization_id, role_id, name, description, role_type)
    SELECT NEW.organization_id, gen_random_uuid(), kind, 'Built-in role ' || kind || '.', kind
    FROM unnest(ARRAY['admin', 'developer', 'viewer', 'demo', 'service']) AS kind;
    INSERT INTO role_permissions (organization_id, role_owner_id, role_id, permission_id)
    SELECT r.organization_id, r.owner_id, r.role_id, b.permission_id
    FROM roles r JOIN built_in_role_permissions b USING (role_type)
    WHERE r.organization_id = NEW.organization_id;
    RETURN NULL;
END $$;
CREATE TRIGGER make_built_in_roles AFTER INSERT ON organizations FOR EACH ROW EXECUTE FUNCTION make_built_in_roles();
GRANT SELECT ON built_in_role_permissions TO duoscope_platform;
