-- Signing in: sessions, links sent by e-mail, devices, what slows guessing down, and the mail that waits to go out.
--
-- Sessions, links and devices are a person's, not a tenant's: a user at work in two tenants lists the sessions of both.
-- Their policy wants the organization and, in app.user_id, the user: unset, it shows nothing.

CREATE FUNCTION app_user_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('app.user_id', true), '')::uuid;

-- A device whose user asked to be remembered there.
CREATE TABLE trusted_devices (
    organization_id uuid NOT NULL,
    device_id uuid NOT NULL,
    user_id uuid NOT NULL,
    -- SHA-256, hexadecimal, of the token that the device keeps.
    device_fingerprint text NOT NULL UNIQUE CHECK (device_fingerprint ~ '^[0-9a-f]{64}$'),
    device_name text NOT NULL DEFAULT '' CHECK (length(device_name) <= 200),
    -- A second factor was shown from it: the time limits for how long it may stand in for one.
    mfa_at timestamptz,
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, device_id),
    FOREIGN KEY (organization_id, user_id) REFERENCES users ON DELETE CASCADE
);
CREATE INDEX trusted_devices_user ON trusted_devices (organization_id, user_id);
CREATE INDEX trusted_devices_expires_at ON trusted_devices (expires_at);

-- One login and what descends from it. Every request of an access token looks here whether its session still lives.
CREATE TABLE user_sessions (
    organization_id uuid NOT NULL,
    -- The family of its refresh tokens, and the `sid` of its access tokens.
    session_id uuid NOT NULL,
    user_id uuid NOT NULL,
    -- Where it works.
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    -- SHA-256, hexadecimal, of the refresh token it began with: the secret itself is not kept.
    session_token text NOT NULL UNIQUE CHECK (session_token ~ '^[0-9a-f]{64}$'),
    -- How the user showed who they are: password, otp, backup-code, device, oidc.
    methods text[] NOT NULL,
    device_id uuid,
    ip_address text,
    user_agent text CHECK (length(user_agent) <= 400),
    is_active boolean NOT NULL DEFAULT true,
    ended_at timestamptz,
    ended_reason text,
    -- However much it is used, it ends then.
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- The last refresh.
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, session_id),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE,
    FOREIGN KEY (organization_id, user_id) REFERENCES users ON DELETE CASCADE,
    FOREIGN KEY (organization_id, device_id) REFERENCES trusted_devices ON DELETE SET NULL (device_id),
    CHECK (is_active = (ended_at IS NULL)),
    CHECK (is_active = (ended_reason IS NULL))
);
CREATE INDEX user_sessions_user ON user_sessions (organization_id, user_id, created_at);
CREATE INDEX user_sessions_tenant ON user_sessions (tenant_id);
CREATE INDEX user_sessions_device ON user_sessions (organization_id, device_id) WHERE device_id IS NOT NULL;
CREATE INDEX user_sessions_expires_at ON user_sessions (expires_at);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON user_sessions FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- Sessions from before this table: they go on, and can be listed and ended like the others.
INSERT INTO user_sessions (organization_id, session_id, user_id, workspace_id, tenant_id, session_token, methods,
    expires_at, created_at)
SELECT DISTINCT ON (family_id) organization_id, family_id, user_id, workspace_id, tenant_id, token_hash, '{password}',
    created_at + interval '30 days', created_at
FROM refresh_tokens r
WHERE NOT is_revoked AND expires_at > now()
    AND NOT EXISTS (SELECT FROM refresh_tokens o WHERE o.family_id = r.family_id AND o.is_revoked)
ORDER BY family_id, created_at;

-- Links sent to an address to see whether its user reads it.
CREATE TABLE email_verifications (
    organization_id uuid NOT NULL,
    verification_id uuid NOT NULL,
    user_id uuid NOT NULL,
    -- SHA-256, hexadecimal.
    token text NOT NULL UNIQUE CHECK (token ~ '^[0-9a-f]{64}$'),
    email text NOT NULL,
    is_used boolean NOT NULL DEFAULT false,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, verification_id),
    FOREIGN KEY (organization_id, user_id) REFERENCES users ON DELETE CASCADE
);
CREATE INDEX email_verifications_user ON email_verifications (organization_id, user_id);
CREATE INDEX email_verifications_expires_at ON email_verifications (expires_at);

CREATE TABLE password_reset_tokens (
    organization_id uuid NOT NULL,
    reset_id uuid NOT NULL,
    user_id uuid NOT NULL,
    -- SHA-256, hexadecimal.
    token text NOT NULL UNIQUE CHECK (token ~ '^[0-9a-f]{64}$'),
    -- Where it was sent: it proves that address and no later one.
    email text NOT NULL,
    is_used boolean NOT NULL DEFAULT false,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, reset_id),
    FOREIGN KEY (organization_id, user_id) REFERENCES users ON DELETE CASCADE
);
CREATE INDEX password_reset_tokens_user ON password_reset_tokens (organization_id, user_id);
CREATE INDEX password_reset_tokens_expires_at ON password_reset_tokens (expires_at);

-- Counters of attempts that must not be made too often. An account has one for each client network, so that a
-- stranger's failures are the stranger's own. Whether the account exists makes no difference here.
CREATE TABLE login_attempts (
    -- Of the account at stake, where there is one and its owner may ever ask.
    organization_id uuid REFERENCES organizations ON DELETE CASCADE,
    -- A keyed hash of what is counted: neither addresses of people nor of machines are kept.
    counter bytea NOT NULL UNIQUE CHECK (length(counter) = 32),
    failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    blocked_until timestamptz NOT NULL DEFAULT now(),
    -- The last success: this client is known here.
    succeeded_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX login_attempts_updated_at ON login_attempts (updated_at);

-- Mail that is sent once the change it tells of has been committed, and tried again until it is.
CREATE TABLE mail_outbox (
    -- NULL where the address may be nobody's.
    organization_id uuid REFERENCES organizations ON DELETE CASCADE,
    mail_id uuid NOT NULL UNIQUE,
    -- `text` is sent as it stands; others are written when they are sent.
    kind text NOT NULL DEFAULT 'text' CHECK (kind IN ('text', 'password-forgotten')),
    recipient text NOT NULL CHECK (recipient <> '' AND length(recipient) <= 254),
    subject text NOT NULL DEFAULT '',
    -- AES-GCM: the links in it are secrets. Emptied when the mail was given up.
    sealed_text bytea NOT NULL DEFAULT '',
    -- What the writer of another kind needs to know: the request's client.
    context jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(context) = 'object'),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    last_error text,
    -- It cannot be delivered; kept for a while for whoever looks for it.
    failed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX mail_outbox_due ON mail_outbox (next_attempt_at) WHERE failed_at IS NULL;
CREATE INDEX mail_outbox_failed_at ON mail_outbox (failed_at) WHERE failed_at IS NOT NULL;

ALTER TABLE trusted_devices ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE user_sessions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE email_verifications ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE password_reset_tokens ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE login_attempts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE mail_outbox ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY scope ON trusted_devices
    USING (organization_id = app_organization_id() AND user_id = app_user_id())
    WITH CHECK (organization_id = app_organization_id() AND user_id = app_user_id());
CREATE POLICY scope ON user_sessions
    USING (organization_id = app_organization_id() AND user_id = app_user_id())
    WITH CHECK (organization_id = app_organization_id() AND user_id = app_user_id());
CREATE POLICY scope ON email_verifications
    USING (organization_id = app_organization_id() AND user_id = app_user_id())
    WITH CHECK (organization_id = app_organization_id() AND user_id = app_user_id());
CREATE POLICY scope ON password_reset_tokens
    USING (organization_id = app_organization_id() AND user_id = app_user_id())
    WITH CHECK (organization_id = app_organization_id() AND user_id = app_user_id());
CREATE POLICY scope ON login_attempts
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());
CREATE POLICY scope ON mail_outbox
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());

-- Whoever logs in or follows a link has no scope yet, the worker sends and purges for all.
CREATE POLICY platform ON trusted_devices TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON user_sessions TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON email_verifications TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON password_reset_tokens TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON login_attempts TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON mail_outbox TO duoscope_platform USING (true) WITH CHECK (true);

GRANT SELECT, UPDATE ON user_sessions TO duoscope_service;
GRANT SELECT, UPDATE, DELETE ON trusted_devices TO duoscope_service;
GRANT SELECT, INSERT, UPDATE ON email_verifications, password_reset_tokens TO duoscope_service;
-- A tenant and an organization post mail and never read the box.
GRANT INSERT ON mail_outbox TO duoscope_service, duoscope_organization;
-- An organization's admin ends the sessions of a user who is shut out.
CREATE POLICY organization ON user_sessions TO duoscope_organization
    USING (organization_id = app_organization_id()) WITH CHECK (organization_id = app_organization_id());
GRANT SELECT, UPDATE ON user_sessions TO duoscope_organization;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON trusted_devices, user_sessions, email_verifications, password_reset_tokens, login_attempts, mail_outbox
    TO duoscope_platform;
