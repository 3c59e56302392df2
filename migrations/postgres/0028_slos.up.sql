-- Service level objectives, with the rules that watch how fast their budgets burn; and what rules wait for: receivers
-- with telemetry on their disks, evaluators that died, the tenant's share of query time (docs/adr/0041).

CREATE TABLE slos (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    slo_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    description text NOT NULL DEFAULT '',
    -- Questions that count good events and all of them.
    good_config jsonb NOT NULL CHECK (jsonb_typeof(good_config) = 'object'),
    total_config jsonb NOT NULL CHECK (jsonb_typeof(total_config) = 'object'),
    objective double precision NOT NULL CHECK (objective > 0 AND objective < 1),
    period_days integer NOT NULL CHECK (period_days > 0),
    min_events integer NOT NULL CHECK (min_events > 0),
    -- Pairs of windows with factor and severity; an empty list makes no rules.
    windows jsonb NOT NULL CHECK (jsonb_typeof(windows) = 'array'),
    labels jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(labels) = 'object'),
    version integer NOT NULL DEFAULT 1,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, slo_id),
    UNIQUE (organization_id, workspace_id, tenant_id, slo_id),
    UNIQUE (tenant_id, name),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE,
    FOREIGN KEY (organization_id, created_by) REFERENCES users (organization_id, user_id)
        ON DELETE SET NULL (created_by)
);
CREATE INDEX slos_created_by ON slos (organization_id, created_by) WHERE created_by IS NOT NULL;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON slos FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE alert_rules
    -- The objective whose rule it is.
    ADD COLUMN slo_id uuid,
    -- What came of the last evaluation, and what else is to know of it.
    ADD COLUMN last_outcome text NOT NULL DEFAULT ''
        CHECK (last_outcome IN ('', 'judged', 'learning', 'late', 'failed')),
    ADD COLUMN last_note text NOT NULL DEFAULT '',
    -- The number of the evaluator that has the lease: it holds an advisory lock of that number while it lives.
    ADD COLUMN leased_by integer,
    ADD FOREIGN KEY (organization_id, workspace_id, tenant_id, slo_id)
        REFERENCES slos (organization_id, workspace_id, tenant_id, slo_id) ON DELETE SET NULL (slo_id),
    DROP CONSTRAINT alert_rules_query_type_check,
    ADD CONSTRAINT alert_rules_query_type_check
        CHECK (query_type IN ('metric', 'log', 'trace', 'promql', 'formula', 'rules'));
CREATE INDEX alert_rules_slo ON alert_rules (organization_id, workspace_id, tenant_id, slo_id) WHERE slo_id IS NOT NULL;

-- How long the questions of a tenant's rules took in a minute, and when that was last more than its limit.
CREATE TABLE alert_query_seconds (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    minute timestamptz NOT NULL,
    seconds double precision NOT NULL,
    exhausted_at timestamptz,
    PRIMARY KEY (tenant_id),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE
);

-- When the oldest request was acknowledged that is on the receiver's disk and not in ClickHouse; NULL for none.
ALTER TABLE receivers ADD COLUMN waiting_since timestamptz;

ALTER TABLE slos ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE alert_query_seconds ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON slos
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope ON alert_query_seconds
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
-- Leases go by what each tenant has used.
CREATE POLICY platform ON alert_query_seconds TO duoscope_platform USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON slos TO duoscope_service;
GRANT SELECT, INSERT, UPDATE ON alert_query_seconds TO duoscope_service;
GRANT SELECT ON alert_query_seconds TO duoscope_platform;
GRANT UPDATE (leased_by) ON alert_rules TO duoscope_platform;
