-- What else holds messages back, and changes no state of an alert: maintenance, which recurs, and alerts that make others
-- needless to tell.

-- Begins and ends by the clock on the wall of a time zone, once or as a rule of RFC 5545 says.
CREATE TABLE maintenance_windows (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    maintenance_window_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    comment text NOT NULL DEFAULT '',
    -- Objects with name, operator and value, all of which must match; empty for all alerts.
    matchers jsonb NOT NULL CHECK (jsonb_typeof(matchers) = 'array'),
    starts_at timestamp NOT NULL,
    ends_at timestamp NOT NULL,
    time_zone text NOT NULL,
    recurrence text NOT NULL DEFAULT '',
    is_enabled boolean NOT NULL DEFAULT true,
    version integer NOT NULL DEFAULT 1,
    -- The current or the next time, made from what is above; NULL if there is none any more.
    active_from timestamptz,
    active_until timestamptz,
    created_by uuid,
    -- As it was then: the user may be gone.
    created_by_email text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, maintenance_window_id),
    UNIQUE (tenant_id, name),
    CHECK (ends_at > starts_at),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE,
    FOREIGN KEY (organization_id, created_by) REFERENCES users (organization_id, user_id)
        ON DELETE SET NULL (created_by)
);
CREATE INDEX maintenance_windows_active_until ON maintenance_windows (active_until) WHERE active_until IS NOT NULL;
CREATE INDEX maintenance_windows_created_by ON maintenance_windows (organization_id, created_by)
    WHERE created_by IS NOT NULL;
-- That its next time was found is no change.
CREATE TRIGGER set_updated_at BEFORE UPDATE ON maintenance_windows
    FOR EACH ROW WHEN (OLD.version IS DISTINCT FROM NEW.version) EXECUTE FUNCTION set_updated_at();

-- While an alert fires that meets `source_matchers`, none is told that meets `target_matchers` and has the same values of
-- the labels `equal`.
CREATE TABLE inhibition_rules (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    inhibition_rule_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    source_matchers jsonb NOT NULL CHECK (jsonb_typeof(source_matchers) = 'array' AND source_matchers <> '[]'),
    target_matchers jsonb NOT NULL CHECK (jsonb_typeof(target_matchers) = 'array' AND target_matchers <> '[]'),
    equal text[] NOT NULL DEFAULT '{}' CHECK (cardinality(equal) <= 20),
    is_enabled boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, inhibition_rule_id),
    UNIQUE (tenant_id, name),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE
);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON inhibition_rules FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE notifications
    -- By which a beginning is held back, or was last; one of these and `silence_id`.
    ADD COLUMN maintenance_window_id uuid,
    ADD COLUMN inhibition_rule_id uuid,
    -- The instance that inhibits it.
    ADD COLUMN inhibited_by uuid,
    ADD COLUMN muted_at timestamptz,
    DROP CONSTRAINT notifications_muted_check,
    ADD CONSTRAINT notifications_muted_check CHECK ((state = 'muted') = (next_attempt_at = 'infinity')
        AND (state <> 'muted' OR num_nonnulls(silence_id, maintenance_window_id, inhibition_rule_id) = 1));

ALTER TABLE maintenance_windows ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE inhibition_rules ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON maintenance_windows
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope ON inhibition_rules
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
-- Whoever owes messages does so across tenants, and looks for what inhibits others.
CREATE POLICY platform ON maintenance_windows TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON inhibition_rules TO duoscope_platform USING (true);
CREATE POLICY platform ON alert_instances TO duoscope_platform USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON maintenance_windows, inhibition_rules TO duoscope_service;
GRANT SELECT, UPDATE (active_from, active_until) ON maintenance_windows TO duoscope_platform;
GRANT SELECT ON inhibition_rules, alert_instances TO duoscope_platform;
