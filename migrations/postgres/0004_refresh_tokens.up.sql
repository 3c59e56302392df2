-- Refresh tokens: each is used once and names its family, so that a stolen one betrays itself when it is used again.

CREATE TABLE refresh_tokens (
    organization_id uuid NOT NULL,
    -- The tenant the session works in.
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    token_id uuid NOT NULL,
    user_id uuid NOT NULL,
    -- All tokens that descend from one login.
    family_id uuid NOT NULL,
    -- SHA-256, hexadecimal; the token itself has 256 random bits.
    token_hash text NOT NULL UNIQUE CHECK (token_hash ~ '^[0-9a-f]{64}$'),
    device_fingerprint text,
    expires_at timestamptz NOT NULL,
    -- When its successor was issued.
    rotated_at timestamptz,
    is_revoked boolean NOT NULL DEFAULT false,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, token_id),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants,
    FOREIGN KEY (organization_id, user_id) REFERENCES users ON DELETE CASCADE,
    CHECK (is_revoked = (revoked_at IS NOT NULL))
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (tenant_id, family_id);
CREATE INDEX refresh_tokens_user ON refresh_tokens (organization_id, user_id);
CREATE INDEX refresh_tokens_expires_at ON refresh_tokens (expires_at);

ALTER TABLE refresh_tokens ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY scope ON refresh_tokens
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
-- A presented token names no tenant; expired ones are purged across tenants.
CREATE POLICY platform ON refresh_tokens TO duoscope_platform USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON refresh_tokens TO duoscope_service, duoscope_platform;
