-- Secrets and second factors: the keys that encrypt and sign, TOTP, and login through an organization's own provider.

-- Data keys of the secret box (identity/secret_box.py), each sealed by the instance's own secret, which no database has.
-- The newest seals; the others open until everything is sealed anew.
CREATE TABLE encryption_keys (
    version integer PRIMARY KEY CHECK (version > 0),
    key_encrypted text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Nothing is sealed with it any more.
    retired_at timestamptz
);

-- Keys of access tokens. One signs from the moment it becomes active, when every process knows it, until the next one
-- is active; it verifies until it expires, when the last token it signed has.
CREATE TABLE signing_keys (
    kid text PRIMARY KEY CHECK (kid ~ '^[0-9a-f]{16}$'),
    key_encrypted text NOT NULL,
    active_at timestamptz NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE mfa_secrets (
    organization_id uuid NOT NULL,
    mfa_id uuid NOT NULL,
    user_id uuid NOT NULL,
    secret_encrypted text NOT NULL,
    -- Argon2id hashes of those that were not used yet.
    backup_codes_encrypted text,
    is_enabled boolean NOT NULL DEFAULT false,
    enabled_at timestamptz,
    -- The newest TOTP time step that was accepted: it and all before it are used up.
    last_step bigint NOT NULL DEFAULT 0,
    failed_attempts integer NOT NULL DEFAULT 0 CHECK (failed_attempts >= 0),
    locked_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, mfa_id),
    UNIQUE (organization_id, user_id),
    FOREIGN KEY (organization_id, user_id) REFERENCES users ON DELETE CASCADE,
    CHECK (is_enabled = (enabled_at IS NOT NULL)),
    CHECK (is_enabled = (backup_codes_encrypted IS NOT NULL))
);

-- OpenID Connect providers, each of one organization.
CREATE TABLE identity_providers (
    organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    identity_provider_id uuid NOT NULL,
    -- In the addresses of its login. Made by us with a random part, so that it tells nothing of other organizations'.
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text NOT NULL CHECK (name <> ''),
    issuer text NOT NULL CHECK (issuer ~ '^https?://'),
    client_id text NOT NULL CHECK (client_id <> ''),
    client_secret_encrypted text NOT NULL,
    scopes text[] NOT NULL DEFAULT '{openid,email,profile}' CHECK ('openid' = ANY (scopes)),
    allowed_email_domains text[] NOT NULL CHECK (cardinality(allowed_email_domains) > 0),
    group_claim text NOT NULL DEFAULT 'groups' CHECK (group_claim <> ''),
    is_active boolean NOT NULL DEFAULT true,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, identity_provider_id)
);

-- Which group of the provider means which role, and where; without a tenant, organization-wide.
CREATE TABLE identity_provider_roles (
    organization_id uuid NOT NULL,
    identity_provider_role_id uuid NOT NULL,
    identity_provider_id uuid NOT NULL,
    -- '*' is everybody who logs in through the provider.
    group_name text NOT NULL CHECK (group_name <> ''),
    role_owner_id uuid NOT NULL,
    role_id uuid NOT NULL,
    workspace_id uuid,
    tenant_id uuid,
    PRIMARY KEY (organization_id, identity_provider_role_id),
    UNIQUE NULLS NOT DISTINCT (organization_id, identity_provider_id, group_name, role_id, tenant_id),
    FOREIGN KEY (organization_id, identity_provider_id) REFERENCES identity_providers ON DELETE CASCADE,
    FOREIGN KEY (organization_id, role_owner_id, role_id) REFERENCES roles (organization_id, owner_id, role_id)
        ON DELETE CASCADE,
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE,
    CHECK ((workspace_id IS NULL) = (tenant_id IS NULL)),
    -- As in user_roles: the role is the organization's or that tenant's own.
    CHECK (role_owner_id = organization_id OR coalesce(role_owner_id = tenant_id, false))
);
CREATE INDEX identity_provider_roles_role ON identity_provider_roles (organization_id, role_owner_id, role_id);

-- A role that a provider's group gave, and that the next login takes back if the group is gone. NULL: given by people.
ALTER TABLE user_roles ADD COLUMN identity_provider_id uuid,
    ADD CONSTRAINT user_roles_identity_provider FOREIGN KEY (organization_id, identity_provider_id)
        REFERENCES identity_providers ON DELETE CASCADE;

-- Whom a provider's subject is here.
CREATE TABLE user_identities (
    organization_id uuid NOT NULL,
    identity_provider_id uuid NOT NULL,
    subject text NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_login_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, identity_provider_id, subject),
    UNIQUE (organization_id, identity_provider_id, user_id),
    FOREIGN KEY (organization_id, identity_provider_id) REFERENCES identity_providers ON DELETE CASCADE,
    FOREIGN KEY (organization_id, user_id) REFERENCES users ON DELETE CASCADE
);
CREATE INDEX user_identities_user ON user_identities (organization_id, user_id);

-- Authorization requests that have been answered: each may be once. A row is of no use after its time.
CREATE TABLE oidc_used_states (
    organization_id uuid NOT NULL,
    identity_provider_id uuid NOT NULL,
    -- SHA-256, hexadecimal.
    state_hash text NOT NULL CHECK (state_hash ~ '^[0-9a-f]{64}$'),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, state_hash),
    FOREIGN KEY (organization_id, identity_provider_id) REFERENCES identity_providers ON DELETE CASCADE
);
CREATE INDEX oidc_used_states_expires_at ON oidc_used_states (expires_at);

CREATE TRIGGER set_updated_at BEFORE UPDATE ON mfa_secrets FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER set_updated_at BEFORE UPDATE ON identity_providers FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE mfa_secrets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE identity_providers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE identity_provider_roles ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE user_identities ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE oidc_used_states ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- A tenant reaches the second factors of the users it sees.
CREATE POLICY scope ON mfa_secrets TO duoscope_service
    USING (organization_id = app_organization_id() AND EXISTS (
        SELECT FROM users u
        WHERE u.organization_id = mfa_secrets.organization_id AND u.user_id = mfa_secrets.user_id))
    WITH CHECK (organization_id = app_organization_id() AND EXISTS (
        SELECT FROM users u
        WHERE u.organization_id = mfa_secrets.organization_id AND u.user_id = mfa_secrets.user_id));
CREATE POLICY organization ON mfa_secrets TO duoscope_organization
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());

-- Providers are the organization's as a whole: a tenant's transaction sees none of them.
CREATE POLICY scope_organization ON identity_providers TO duoscope_organization
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());
CREATE POLICY scope_organization ON identity_provider_roles TO duoscope_organization
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());
CREATE POLICY scope_organization ON user_identities TO duoscope_organization
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());
CREATE POLICY scope_organization ON oidc_used_states TO duoscope_organization
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());

-- Whoever logs in has no scope yet; keys of the secret box are changed under the secrets of all.
CREATE POLICY platform ON mfa_secrets TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON identity_providers TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON identity_provider_roles TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON user_identities TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON oidc_used_states TO duoscope_platform USING (true) WITH CHECK (true);

GRANT SELECT ON encryption_keys TO duoscope_service, duoscope_organization;
GRANT SELECT, INSERT, UPDATE, DELETE ON encryption_keys, signing_keys TO duoscope_platform;
GRANT SELECT, INSERT, UPDATE, DELETE ON mfa_secrets TO duoscope_service, duoscope_platform;
GRANT SELECT, DELETE ON mfa_secrets TO duoscope_organization;
GRANT SELECT ON identity_providers, identity_provider_roles, user_identities, oidc_used_states TO duoscope_service;
GRANT SELECT, INSERT, UPDATE ON identity_providers TO duoscope_organization;
GRANT SELECT, INSERT, DELETE ON identity_provider_roles TO duoscope_organization;
GRANT SELECT ON user_identities TO duoscope_organization;
GRANT SELECT, UPDATE ON identity_providers TO duoscope_platform;
GRANT SELECT ON identity_provider_roles TO duoscope_platform;
GRANT SELECT, INSERT, UPDATE ON user_identities TO duoscope_platform;
GRANT SELECT, INSERT, DELETE ON oidc_used_states TO duoscope_platform;

CREATE POLICY purge ON identity_providers TO duoscope_purge USING (deleted_at < now() - interval '90 days');
GRANT SELECT, DELETE ON identity_providers TO duoscope_purge;

-- Whoever manages providers decides who signs in as whom: an admin's matter.
INSERT INTO permissions (resource, action, description)
SELECT 'identity-provider', action, initcap(action) || ' identity providers.'
FROM unnest(ARRAY['read', 'write', 'delete', 'admin']) AS action;
INSERT INTO built_in_role_permissions (role_type, permission_id)
SELECT 'admin', permission_id FROM permissions WHERE resource = 'identity-provider';
ALTER TABLE roles NO FORCE ROW LEVEL SECURITY;
ALTER TABLE role_permissions NO FORCE ROW LEVEL SECURITY;
INSERT INTO role_permissions (organization_id, role_owner_id, role_id, permission_id)
SELECT r.organization_id, r.owner_id, r.role_id, p.permission_id
FROM roles r, permissions p WHERE r.role_type = 'admin' AND p.resource = 'identity-provider';
ALTER TABLE role_permissions FORCE ROW LEVEL SECURITY;
ALTER TABLE roles FORCE ROW LEVEL SECURITY;
