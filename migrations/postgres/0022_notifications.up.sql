-- Who is told of alerts, how, and what each channel is owed (docs/adr/0035).
--
-- A rule tells groups, a group has channels. A transition that begins or ends an episode owes each channel of the rule's
-- groups one row of `notifications`; the sender makes messages of rows, and settles them.

CREATE TABLE notification_groups (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    group_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    description text NOT NULL DEFAULT '',
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, group_id),
    UNIQUE (organization_id, workspace_id, tenant_id, group_id),
    UNIQUE (tenant_id, name),
    FOREIGN KEY (organization_id, workspace_id, tenant_id) REFERENCES tenants ON DELETE CASCADE
);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON notification_groups FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TABLE notification_channels (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    channel_id uuid NOT NULL,
    notification_group_id uuid NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    channel_type text NOT NULL CHECK (channel_type IN ('email', 'slack', 'pagerduty', 'webhook', 'msteams', 'discord',
        'telegram', 'sms', 'opsgenie', 'google_chat', 'alertmanager')),
    -- Of the secret box: all of the configuration.
    config_encrypted text NOT NULL,
    -- Where messages go, without secrets.
    target text NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    version integer NOT NULL DEFAULT 1,
    -- What the other side said when it last refused; empty once it takes a message.
    last_problem text NOT NULL DEFAULT '',
    -- Nothing is sent before that time: the other side is in trouble, or wants less.
    not_before timestamptz NOT NULL DEFAULT '-infinity',
    failures integer NOT NULL DEFAULT 0,
    -- One sender at a time sends to a channel, so that its messages stay in order.
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    fence bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, channel_id),
    UNIQUE (organization_id, workspace_id, tenant_id, channel_id),
    UNIQUE (tenant_id, notification_group_id, name),
    FOREIGN KEY (organization_id, workspace_id, tenant_id, notification_group_id)
        REFERENCES notification_groups (organization_id, workspace_id, tenant_id, group_id) ON DELETE CASCADE
);
-- Leases and failures are no changes.
CREATE TRIGGER set_updated_at BEFORE UPDATE ON notification_channels
    FOR EACH ROW WHEN (OLD.version IS DISTINCT FROM NEW.version) EXECUTE FUNCTION set_updated_at();

CREATE TABLE alert_rule_notification_groups (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    alert_rule_id uuid NOT NULL,
    notification_group_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, alert_rule_id, notification_group_id),
    FOREIGN KEY (organization_id, workspace_id, tenant_id, alert_rule_id)
        REFERENCES alert_rules (organization_id, workspace_id, tenant_id, alert_rule_id) ON DELETE CASCADE,
    FOREIGN KEY (organization_id, workspace_id, tenant_id, notification_group_id)
        REFERENCES notification_groups (organization_id, workspace_id, tenant_id, group_id) ON DELETE CASCADE
);
CREATE INDEX alert_rule_notification_groups_group
    ON alert_rule_notification_groups (tenant_id, notification_group_id);

-- One episode's beginning or end, owed to one channel. `key` names the message in every attempt: rows that were sent in
-- one message share it.
CREATE TABLE notifications (
    organization_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    notification_id uuid NOT NULL,
    channel_id uuid NOT NULL,
    -- Whose transition it tells, without a reference: the rule may be gone before its end is told.
    alert_rule_id uuid NOT NULL,
    alert_rule_name text NOT NULL,
    instance_id uuid NOT NULL,
    transition_id uuid NOT NULL,
    number integer NOT NULL,
    status text NOT NULL CHECK (status IN ('firing', 'resolved')),
    alert jsonb NOT NULL CHECK (jsonb_typeof(alert) = 'object'),
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'failed', 'sent', 'given_up', 'needless')),
    key uuid,
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- Of the first attempt's schedule: a replay begins anew.
    queued_at timestamptz NOT NULL DEFAULT now(),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    -- What the other side, or what kept us from it, said last.
    last_status integer,
    last_answer text NOT NULL DEFAULT '',
    settled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, notification_id),
    UNIQUE (tenant_id, channel_id, transition_id),
    CHECK ((state IN ('queued', 'failed')) = (settled_at IS NULL)),
    FOREIGN KEY (organization_id, workspace_id, tenant_id, channel_id)
        REFERENCES notification_channels (organization_id, workspace_id, tenant_id, channel_id) ON DELETE CASCADE
);
CREATE INDEX notifications_owed ON notifications (tenant_id, channel_id, next_attempt_at) WHERE settled_at IS NULL;
CREATE INDEX notifications_instance ON notifications (tenant_id, instance_id, channel_id, number);
CREATE INDEX notifications_created ON notifications (tenant_id, created_at, notification_id);
CREATE INDEX notifications_settled ON notifications (settled_at) WHERE settled_at IS NOT NULL;

ALTER TABLE notification_groups ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE notification_channels ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE alert_rule_notification_groups ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE notifications ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY scope ON notification_groups
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope ON notification_channels
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope ON alert_rule_notification_groups
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());
CREATE POLICY scope ON notifications
    USING (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id())
    WITH CHECK (organization_id = app_organization_id() AND workspace_id = app_workspace_id()
        AND tenant_id = app_tenant_id());

-- Who owes and who sends work across tenants; so does the secret box, which seals anew.
CREATE POLICY platform ON notification_groups TO duoscope_platform USING (true);
CREATE POLICY platform ON notification_channels TO duoscope_platform USING (true) WITH CHECK (true);
CREATE POLICY platform ON alert_rule_notification_groups TO duoscope_platform USING (true);
CREATE POLICY platform ON notifications TO duoscope_platform USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON notification_groups TO duoscope_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON notification_channels TO duoscope_service;
GRANT SELECT, INSERT, DELETE ON alert_rule_notification_groups TO duoscope_service;
GRANT SELECT ON notifications TO duoscope_service;
GRANT UPDATE (state, attempts, key, queued_at, next_attempt_at, settled_at) ON notifications TO duoscope_service;
GRANT SELECT ON notification_groups, alert_rule_notification_groups TO duoscope_platform;
GRANT SELECT, UPDATE ON notification_channels TO duoscope_platform;
GRANT SELECT, INSERT, UPDATE, DELETE ON notifications TO duoscope_platform;
