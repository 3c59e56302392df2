-- The hierarchy region > organization > workspace > tenant, and how a row finds its way to one tenant only.
--
-- Conventions of every migration here:
-- * A scoped table carries the ids of its whole ancestry. Primary, unique and foreign keys include them, because those
--   checks look past row level security: a reference to another tenant's row cannot even be written down.
-- * Row level security is enabled and forced. The scope comes from settings that are local to the transaction; unset
--   reads as '' or NULL, both become NULL, and NULL equals nothing: no scope, no row.
-- * duoscope_platform sees across tenants in tables with a policy of its own, to the extent of its grants.
-- * Soft deletion (deleted_at) never frees what a constraint protects, unless the index says so.

CREATE FUNCTION app_organization_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('app.organization_id', true), '')::uuid;
CREATE FUNCTION app_workspace_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('app.workspace_id', true), '')::uuid;
CREATE FUNCTION app_tenant_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('app.tenant_id', true), '')::uuid;

CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;

-- Regions are the platform's own: everybody may read them, nobody's data is in them.
CREATE TABLE regions (
    region_id uuid PRIMARY KEY,
    name text NOT NULL CHECK (name <> ''),
    code text NOT NULL UNIQUE CHECK (code ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    description text NOT NULL DEFAULT '',
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE organizations (
    organization_id uuid PRIMARY KEY,
    region_id uuid NOT NULL REFERENCES regions,
    name text NOT NULL CHECK (name <> ''),
    code text NOT NULL UNIQUE CHECK (code ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    description text NOT NULL DEFAULT '',
    settings jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    is_active boolean NOT NULL DEFAULT true,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX organizations_region_id ON organizations (region_id);

-- Telemetry is filed under (workspace_id, tenant_id): both are unique on their own as well.
CREATE TABLE workspaces (
    organization_id uuid NOT NULL REFERENCES organizations,
    workspace_id uuid NOT NULL UNIQUE,
    name text NOT NULL CHECK (name <> ''),
    code text NOT NULL CHECK (code ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    description text NOT NULL DEFAULT '',
    datasource_config jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(datasource_config) = 'object'),
    is_active boolean NOT NULL DEFAULT true,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, workspace_id),
    UNIQUE (organization_id, code)
);

CREATE TABLE tenants (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL UNIQUE,
    name text NOT NULL CHECK (name <> ''),
    code text NOT NULL CHECK (code ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    domain text NOT NULL DEFAULT '',
    -- retention_days is one of the classes of kernel/limits.py: partitions are (day, class).
    settings jsonb NOT NULL DEFAULT '{"retention_days": 30}' CHECK (
        jsonb_typeof(settings) = 'object'
        AND coalesce(settings -> 'retention_days' IN ('3', '7', '14', '30', '90', '400'), false)
    ),
    is_active boolean NOT NULL DEFAULT true,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, workspace_id, tenant_id),
    UNIQUE (organization_id, workspace_id, code),
    FOREIGN KEY (organization_id, workspace_id) REFERENCES workspaces
);

CREATE TRIGGER set_updated_at BEFORE UPDATE ON regions FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER set_updated_at BEFORE UPDATE ON organizations FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER set_updated_at BEFORE UPDATE ON workspaces FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER set_updated_at BEFORE UPDATE ON tenants FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE organizations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE workspaces ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY scope ON organizations
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());
CREATE POLICY scope ON workspaces
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());
CREATE POLICY scope ON tenants
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id());

CREATE POLICY platform ON organizations TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON workspaces TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON tenants TO duoscope_platform USING (true) WITH CHECK (true);

-- Regions and organizations are made by the platform's admin alone. Nothing here is ever removed by a service.
GRANT SELECT ON regions TO duoscope_service;
GRANT SELECT, UPDATE ON organizations TO duoscope_service;
GRANT SELECT, INSERT, UPDATE ON workspaces, tenants TO duoscope_service;
GRANT SELECT, INSERT, UPDATE ON regions, organizations, workspaces, tenants TO duoscope_platform;
