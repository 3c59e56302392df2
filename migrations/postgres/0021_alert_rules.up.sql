-- What is watched, where each instance of it stands, and what happened to it (docs/adr/0034).
--
-- People write a rule's question, condition and policy; the evaluator writes when it was evaluated. Whoever evaluates a
-- rule holds a lease, whose number (the fence) grows with every lease and every change of the rule: a write under an old
-- number changes nothing.

CREATE TABLE alert_rules (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    alert_rule_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    description text NOT NULL DEFAULT '',
    -- The kind of question; `query_config` is all of it.
    query_type text NOT NULL CHECK (query_type IN ('metric', 'log', 'trace', 'promql', 'formula')),
    query_config jsonb NOT NULL CHECK (jsonb_typeof(query_config) = 'object'),
    condition_config jsonb NOT NULL CHECK (jsonb_typeof(condition_config) = 'object'),
    policy_config jsonb NOT NULL CHECK (jsonb_typeof(policy_config) = 'object'),
    severity text NOT NULL CHECK (severity IN ('critical', 'error', 'warning', 'info')),
    cooldown_minutes integer NOT NULL DEFAULT 0 CHECK (cooldown_minutes >= 0),
    interval_seconds integer NOT NULL CHECK (interval_seconds > 0),
    labels jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(labels) = 'object'),
    annotations jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(annotations) = 'object'),
    runbook_url text NOT NULL DEFAULT '',
    dashboard_url text NOT NULL DEFAULT '',
    is_enabled boolean NOT NULL DEFAULT true,
    version integer NOT NULL DEFAULT 1,
    -- Of the last slot that was evaluated; NULL before the first.
    last_evaluated_at timestamptz,
    last_duration_ms double precision,
    -- What is wrong with the last evaluation, for the rule's authors; empty if nothing is.
    last_problem text NOT NULL DEFAULT '',
    -- The next slot. All slots of a rule are whole intervals apart.
    due_at timestamptz NOT NULL,
    leased_until timestamptz,
    fence bigint NOT NULL DEFAULT 0,
    created_by uuid,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, alert_rule_id),
    UNIQUE (organization_id, workspace_id, tenant_id, alert_rule_id),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE,
    FOREIGN KEY (organization_id, created_by) REFERENCES users (organization_id, user_id)
        ON DELETE SET NULL (created_by)
);
CREATE INDEX alert_rules_workspace ON alert_rules (workspace_id, is_enabled);
CREATE UNIQUE INDEX alert_rules_name ON alert_rules (tenant_id, name) WHERE deleted_at IS NULL;
CREATE INDEX alert_rules_due ON alert_rules (due_at) WHERE is_enabled AND deleted_at IS NULL;
CREATE INDEX alert_rules_leased ON alert_rules (tenant_id) WHERE leased_until IS NOT NULL;
CREATE INDEX alert_rules_created_by ON alert_rules (organization_id, created_by) WHERE created_by IS NOT NULL;
-- Evaluations are no changes.
CREATE TRIGGER set_updated_at BEFORE UPDATE ON alert_rules
    FOR EACH ROW WHEN (OLD.version IS DISTINCT FROM NEW.version) EXECUTE FUNCTION set_updated_at();

-- The state of alerting/instances.py. What could be forgotten has no row.
CREATE TABLE alert_instances (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    alert_rule_id uuid NOT NULL,
    instance_id uuid NOT NULL,
    subject text NOT NULL CHECK (subject IN ('series', 'data', 'health')),
    -- A hash of the labels.
    fingerprint text NOT NULL CHECK (fingerprint ~ '^[0-9a-f]{32}$'),
    labels jsonb NOT NULL CHECK (jsonb_typeof(labels) = 'object'),
    status text NOT NULL CHECK (status IN ('inactive', 'pending', 'firing', 'no_data', 'error')),
    number integer NOT NULL,
    since timestamptz,
    value double precision,
    seen_at timestamptz,
    judged_at timestamptz,
    active_at timestamptz,
    held interval NOT NULL,
    fired_at timestamptz,
    recovering_at timestamptz,
    resolved_at timestamptz,
    recent bigint NOT NULL,
    missing integer NOT NULL,
    failures integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, instance_id),
    UNIQUE (tenant_id, alert_rule_id, subject, fingerprint),
    FOREIGN KEY (organization_id, workspace_id, tenant_id, alert_rule_id)
        REFERENCES alert_rules (organization_id, workspace_id, tenant_id, alert_rule_id) ON DELETE CASCADE
);

-- What happened, in the order of each instance's numbers, with all that whoever tells of it needs to know: the rule may
-- be another by then, or gone. Rows stay until history has them and notification is through with them.
CREATE TABLE alert_transitions (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    transition_id uuid NOT NULL,
    alert_rule_id uuid NOT NULL,
    alert_rule_name text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('critical', 'error', 'warning', 'info')),
    instance_id uuid NOT NULL,
    number integer NOT NULL,
    subject text NOT NULL CHECK (subject IN ('series', 'data', 'health', 'rule')),
    kind text NOT NULL
        CHECK (kind IN ('pending', 'cleared', 'firing', 'no_data', 'error', 'resolved', 'missed')),
    reason text NOT NULL,
    -- Of the slot; recorded_at is the clock's.
    at timestamptz NOT NULL,
    active_at timestamptz,
    fired_at timestamptz,
    value double precision,
    threshold double precision,
    labels jsonb NOT NULL CHECK (jsonb_typeof(labels) = 'object'),
    annotations jsonb NOT NULL CHECK (jsonb_typeof(annotations) = 'object'),
    -- Links of the rule, the cost of the question, slots that were missed.
    details jsonb NOT NULL CHECK (jsonb_typeof(details) = 'object'),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The part of history under which it is inserted, and whether that is done.
    history_part uuid,
    shipped_at timestamptz,
    -- When notification had taken it up.
    notified_at timestamptz,
    PRIMARY KEY (tenant_id, transition_id),
    UNIQUE (tenant_id, instance_id, number),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE
);
CREATE INDEX alert_transitions_unshipped ON alert_transitions (recorded_at) WHERE shipped_at IS NULL;
CREATE INDEX alert_transitions_unnotified ON alert_transitions (recorded_at) WHERE notified_at IS NULL;
CREATE INDEX alert_transitions_part ON alert_transitions (history_part) WHERE shipped_at IS NULL;

ALTER TABLE alert_rules ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE alert_instances ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE alert_transitions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY scope ON alert_rules
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope ON alert_instances
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope ON alert_transitions
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());

-- Due rules are found across tenants, and so is what history and notification have not taken up.
CREATE POLICY platform ON alert_rules TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON alert_transitions TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY purge ON alert_rules TO duoscope_purge USING (deleted_at < now() - interval '90 days');

GRANT SELECT, INSERT, UPDATE ON alert_rules TO duoscope_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON alert_instances TO duoscope_service;
GRANT SELECT, INSERT ON alert_transitions TO duoscope_service;
GRANT UPDATE (notified_at) ON alert_transitions TO duoscope_service;
GRANT SELECT, UPDATE (fence, leased_until) ON alert_rules TO duoscope_platform;
GRANT SELECT, DELETE, UPDATE (history_part, shipped_at, notified_at) ON alert_transitions TO duoscope_platform;
GRANT SELECT, DELETE ON alert_rules TO duoscope_purge;
