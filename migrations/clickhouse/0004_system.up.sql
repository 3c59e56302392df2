-- What duoscope itself records over time: alerts, the audit trail and uptime checks.

CREATE TABLE IF NOT EXISTS alert_history
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    alert_rule_id UUID CODEC(ZSTD(1)),
    alert_rule_name String CODEC(ZSTD(1)),
    severity LowCardinality(String) CODEC(ZSTD(1)),
    status Enum8('triggered' = 1, 'resolved' = 2) CODEC(ZSTD(1)),
    message String CODEC(ZSTD(1)),
    metadata String CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = MergeTree
PARTITION BY (toStartOfMonth(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, alert_rule_id, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS audit_logs
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    user_id UUID CODEC(ZSTD(1)),
    action LowCardinality(String) CODEC(ZSTD(1)),
    resource_type LowCardinality(String) CODEC(ZSTD(1)),
    resource_id String CODEC(ZSTD(1)),
    ip_address String CODEC(ZSTD(1)),
    user_agent String CODEC(ZSTD(1)),
    result Enum8('success' = 1, 'failure' = 2, 'error' = 3) CODEC(ZSTD(1)),
    metadata String CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = MergeTree
PARTITION BY (toStartOfMonth(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS uptime_checks
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    monitor_id UUID CODEC(ZSTD(1)),
    monitor_name String CODEC(ZSTD(1)),
    status Enum8('up' = 1, 'down' = 2, 'degraded' = 3) CODEC(ZSTD(1)),
    response_time_ms Int32 CODEC(ZSTD(1)),
    status_code LowCardinality(String) CODEC(ZSTD(1)),
    error_message String CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = MergeTree
PARTITION BY (toStartOfMonth(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, monitor_id, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS non_replicated_deduplication_window = 1000;

-- The only way to read them: for one tenant, which must be named.
CREATE VIEW IF NOT EXISTS alert_events AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM alert_history
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS audit_events AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM audit_logs
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS uptime_results AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM uptime_checks
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
