-- What was sent: a row a request, written in the same batch as its items. A request whose digest is here was stored, so
-- the same bytes sent again are answered and not stored again; and usage is counted from what was stored.
CREATE TABLE IF NOT EXISTS ingest_ledger
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    digest UUID CODEC(LZ4),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    signal Enum8('traces' = 1, 'logs' = 2, 'metrics' = 3) CODEC(ZSTD(1)),
    api_key_id UUID CODEC(ZSTD(1)),
    bytes UInt64 CODEC(ZSTD(1)),
    items UInt64 CODEC(ZSTD(1)),
    stored UInt64 CODEC(ZSTD(1)),
    rejected Map(LowCardinality(String), UInt64) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = MergeTree
PARTITION BY toDate(received_at)
ORDER BY (workspace_id, tenant_id, digest)
TTL toDateTime(received_at) + toIntervalDay(2)
SETTINGS index_granularity = 256, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- Metering: sums by hour, kept longer than any telemetry. Days are sums of hours: a table more is a part more an INSERT.
CREATE TABLE IF NOT EXISTS ingest_usage_hourly
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    hour DateTime('UTC') CODEC(ZSTD(1)),
    signal Enum8('traces' = 1, 'logs' = 2, 'metrics' = 3) CODEC(ZSTD(1)),
    api_key_id UUID CODEC(ZSTD(1)),
    requests SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    bytes SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    items SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    stored SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = AggregatingMergeTree
PARTITION BY toStartOfMonth(hour)
ORDER BY (workspace_id, tenant_id, hour, signal, api_key_id, organization_id)
TTL hour + toIntervalDay(400)
SETTINGS non_replicated_deduplication_window = 1000;

-- What was refused and why, for the tenant that sent it.
CREATE TABLE IF NOT EXISTS ingest_rejections
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    minute DateTime('UTC') CODEC(ZSTD(1)),
    signal Enum8('traces' = 1, 'logs' = 2, 'metrics' = 3) CODEC(ZSTD(1)),
    api_key_id UUID CODEC(ZSTD(1)),
    reason LowCardinality(String) CODEC(ZSTD(1)),
    requests SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    items SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = AggregatingMergeTree
PARTITION BY toStartOfMonth(minute)
ORDER BY (workspace_id, tenant_id, minute, signal, api_key_id, reason, organization_id)
TTL minute + toIntervalDay(30)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS ingest_ledger_to_ingest_usage_hourly TO ingest_usage_hourly AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    toStartOfHour(received_at) AS hour,
    signal,
    api_key_id,
    count() AS requests,
    sum(bytes) AS bytes,
    sum(items) AS items,
    sum(stored) AS stored
FROM ingest_ledger
GROUP BY organization_id, workspace_id, tenant_id, hour, signal, api_key_id;

CREATE MATERIALIZED VIEW IF NOT EXISTS ingest_ledger_to_ingest_rejections TO ingest_rejections AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    toStartOfMinute(received_at) AS minute,
    signal,
    api_key_id,
    reason,
    count() AS requests,
    sum(refused) AS items
FROM ingest_ledger
ARRAY JOIN mapKeys(rejected) AS reason, mapValues(rejected) AS refused
GROUP BY organization_id, workspace_id, tenant_id, minute, signal, api_key_id, reason;

-- The only way to read them: for one tenant, which must be named.
CREATE VIEW IF NOT EXISTS usage_hourly AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM ingest_usage_hourly
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS usage_daily AS
SELECT
    toDate(hour) AS date,
    signal,
    api_key_id,
    sum(requests) AS requests,
    sum(bytes) AS bytes,
    sum(items) AS items,
    sum(stored) AS stored
FROM ingest_usage_hourly
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
GROUP BY date, signal, api_key_id;

CREATE VIEW IF NOT EXISTS rejections AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM ingest_rejections
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
