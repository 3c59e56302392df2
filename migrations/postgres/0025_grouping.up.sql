-- Which alerts are told together, when, and how often (docs/adr/0038).
--
-- Alerts whose labels of `group_by` are the same are told to a channel in one message. Their message waits for others, comes
-- no sooner than an interval after the last one, and is repeated while they fire.

ALTER TABLE notification_groups
    ADD COLUMN group_by text[] NOT NULL DEFAULT '{alertname}' CHECK (cardinality(group_by) <= 20),
    ADD COLUMN group_wait_seconds integer NOT NULL DEFAULT 0 CHECK (group_wait_seconds BETWEEN 0 AND 3600),
    ADD COLUMN group_interval_seconds integer NOT NULL DEFAULT 0 CHECK (group_interval_seconds BETWEEN 0 AND 86400),
    -- 0 repeats nothing.
    ADD COLUMN repeat_interval_seconds integer NOT NULL DEFAULT 0
        CHECK (repeat_interval_seconds BETWEEN 0 AND 2592000);

-- One group of alerts at one channel. Rows of `notifications` that were not attempted yet wait for `next_at`.
CREATE TABLE aggregation_groups (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    channel_id uuid NOT NULL,
    group_key text NOT NULL,
    labels jsonb NOT NULL CHECK (jsonb_typeof(labels) = 'object'),
    interval_seconds integer NOT NULL,
    -- NULL while nothing waits.
    next_at timestamptz,
    last_at timestamptz NOT NULL DEFAULT '-infinity',
    repeated_at timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (tenant_id, channel_id, group_key),
    FOREIGN KEY (organization_id, workspace_id, tenant_id, channel_id)
        REFERENCES notification_channels (organization_id, workspace_id, tenant_id, channel_id) ON DELETE CASCADE
);

ALTER TABLE notifications
    ADD COLUMN group_key text NOT NULL DEFAULT '',
    -- Told again, because it still fires: it has the number of the beginning.
    ADD COLUMN is_repeat boolean NOT NULL DEFAULT false;
ALTER TABLE notifications NO FORCE ROW LEVEL SECURITY;
ALTER TABLE notification_channels NO FORCE ROW LEVEL SECURITY;
UPDATE notifications n SET group_key = CASE WHEN c.channel_type IN ('pagerduty', 'opsgenie') THEN n.instance_id
    ELSE n.alert_rule_id END::text
FROM notification_channels c WHERE c.tenant_id = n.tenant_id AND c.channel_id = n.channel_id;
ALTER TABLE notifications FORCE ROW LEVEL SECURITY;
ALTER TABLE notification_channels FORCE ROW LEVEL SECURITY;
CREATE INDEX notifications_told ON notifications (tenant_id, channel_id, group_key)
    WHERE status = 'firing' AND state = 'sent' AND NOT is_repeat;
CREATE INDEX notifications_grouped ON notifications (tenant_id, channel_id, group_key) WHERE settled_at IS NULL;

-- Messages that a tenant sent in the hour that began at `hour`.
CREATE TABLE message_budgets (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL PRIMARY KEY,
    hour timestamptz NOT NULL,
    messages integer NOT NULL,
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE
);
-- When the channel was last sent a summary of what is beyond the tenant's limit.
ALTER TABLE notification_channels ADD COLUMN summarized_at timestamptz NOT NULL DEFAULT '-infinity';

ALTER TABLE aggregation_groups ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE message_budgets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON aggregation_groups
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope ON message_budgets
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
-- Whoever owes and sends works across tenants.
CREATE POLICY platform ON aggregation_groups TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON message_budgets TO duoscope_platform USING (true) WITH CHECK (true);
GRANT SELECT ON aggregation_groups, message_budgets TO duoscope_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON aggregation_groups TO duoscope_platform;
GRANT SELECT, INSERT, UPDATE ON message_budgets TO duoscope_platform;
-- What a channel that is switched off was owed is given up, with the reason.
GRANT UPDATE (last_answer) ON notifications TO duoscope_service;
