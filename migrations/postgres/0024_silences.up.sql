-- Silences hold messages back, and change no state of an alert. What one held back is told when it ends, if it still
-- holds; so a row of `notifications` may wait for a silence.
CREATE TABLE silences (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    silence_id uuid NOT NULL,
    -- Objects with name, operator and value, all of which must match.
    matchers jsonb NOT NULL CHECK (jsonb_typeof(matchers) = 'array' AND matchers <> '[]'),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    comment text NOT NULL CHECK (comment <> ''),
    created_by uuid,
    -- As it was then: the user may be gone.
    created_by_email text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, silence_id),
    CHECK (ends_at >= starts_at),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE,
    FOREIGN KEY (organization_id, created_by) REFERENCES users (organization_id, user_id)
        ON DELETE SET NULL (created_by)
);
CREATE INDEX silences_ends_at ON silences (tenant_id, ends_at);
CREATE INDEX silences_created_by ON silences (organization_id, created_by) WHERE created_by IS NOT NULL;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON silences FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE notifications
    -- By which a beginning is held back, or was last.
    ADD COLUMN silence_id uuid,
    DROP CONSTRAINT notifications_state_check,
    DROP CONSTRAINT notifications_check,
    ADD CONSTRAINT notifications_state_check
        CHECK (state IN ('queued', 'failed', 'muted', 'sent', 'given_up', 'needless')),
    ADD CONSTRAINT notifications_settled_check
        CHECK ((state IN ('queued', 'failed', 'muted')) = (settled_at IS NULL)),
    -- A row that waits for a silence is not due at any time.
    ADD CONSTRAINT notifications_muted_check
        CHECK ((state = 'muted') = (next_attempt_at = 'infinity') AND (state <> 'muted' OR silence_id IS NOT NULL));
CREATE INDEX notifications_muted ON notifications (tenant_id, silence_id) WHERE state = 'muted';

ALTER TABLE silences ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON silences
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
-- Whoever owes messages does so across tenants.
CREATE POLICY platform ON silences TO duoscope_platform USING (true);
GRANT SELECT, INSERT, UPDATE ON silences TO duoscope_service;
GRANT SELECT, DELETE ON silences TO duoscope_platform;
