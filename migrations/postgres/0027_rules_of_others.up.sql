-- Rules that come from files of others, the expressions that such files name, and who has taken note of an alert.

ALTER TABLE alert_rules
    -- The file, group and rule that it was imported from; empty for one that was written here. The same file again
    -- changes that rule.
    ADD COLUMN source text NOT NULL DEFAULT '';
CREATE UNIQUE INDEX alert_rules_source ON alert_rules (tenant_id, source) WHERE source <> '' AND deleted_at IS NULL;

-- What others record: a name for an expression, which PromQL may use like a metric (docs/adr/0039). Several may have one
-- name, with different labels.
CREATE TABLE named_expressions (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    named_expression_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    expression text NOT NULL CHECK (expression <> ''),
    labels jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(labels) = 'object'),
    interval_seconds integer NOT NULL CHECK (interval_seconds > 0),
    source text NOT NULL CHECK (source <> ''),
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, named_expression_id),
    UNIQUE (tenant_id, source),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE,
    FOREIGN KEY (organization_id, created_by) REFERENCES users (organization_id, user_id)
        ON DELETE SET NULL (created_by)
);
CREATE INDEX named_expressions_created_by ON named_expressions (organization_id, created_by)
    WHERE created_by IS NOT NULL;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON named_expressions FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- Who has taken note of an alert. It is of the episode that began at `fired_at`, and means nothing for the next one.
CREATE TABLE alert_acknowledgements (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    instance_id uuid NOT NULL,
    fired_at timestamptz NOT NULL,
    comment text NOT NULL,
    acknowledged_by uuid,
    -- As it was then: the user may be gone.
    acknowledged_by_email text NOT NULL,
    acknowledged_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, instance_id),
    FOREIGN KEY (tenant_id, instance_id) REFERENCES alert_instances (tenant_id, instance_id) ON DELETE CASCADE,
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE,
    FOREIGN KEY (organization_id, acknowledged_by) REFERENCES users (organization_id, user_id)
        ON DELETE SET NULL (acknowledged_by)
);
CREATE INDEX alert_acknowledgements_by ON alert_acknowledgements (organization_id, acknowledged_by)
    WHERE acknowledged_by IS NOT NULL;

ALTER TABLE named_expressions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE alert_acknowledgements ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON named_expressions
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope ON alert_acknowledgements
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON named_expressions TO duoscope_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON alert_acknowledgements TO duoscope_service;
