-- What the narrow tables had is in traces_v3 and metrics_v3_hourly. Codecs and settings stay: nothing that is read or
-- written depends on them.
DROP TABLE IF EXISTS spans_v3;

DROP VIEW IF EXISTS trace_summaries;

DROP VIEW IF EXISTS traces_v3_to_trace_summaries_v3;

DROP TABLE IF EXISTS trace_summaries_v3;

DROP TABLE IF EXISTS spans_v3_before_0007;

CREATE TABLE IF NOT EXISTS spans_v3
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(T64, ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    span_id FixedString(8) CODEC(LZ4),
    parent_span_id FixedString(8) CODEC(LZ4),
    span_name LowCardinality(String) CODEC(ZSTD(1)),
    span_kind Enum8('unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, 'producer' = 4, 'consumer' = 5) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    duration_nano UInt64 CODEC(T64, ZSTD(1)),
    status_code Enum8('unset' = 0, 'ok' = 1, 'error' = 2) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, trace_id, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 16, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

TRUNCATE TABLE IF EXISTS spans_v3;

INSERT INTO spans_v3
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    timestamp,
    trace_id,
    span_id,
    parent_span_id,
    span_name,
    span_kind,
    service_name,
    duration_nano,
    status_code
FROM traces_v3
SETTINGS max_partitions_per_insert_block = 0;

CREATE MATERIALIZED VIEW IF NOT EXISTS traces_v3_to_spans_v3 TO spans_v3 AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    timestamp,
    trace_id,
    span_id,
    parent_span_id,
    span_name,
    span_kind,
    service_name,
    duration_nano,
    status_code
FROM traces_v3;

CREATE VIEW IF NOT EXISTS spans AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM spans_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

DROP TABLE IF EXISTS metrics_v3_daily;

CREATE TABLE IF NOT EXISTS metrics_v3_daily
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    date Date CODEC(ZSTD(1)),
    metric_name LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    metric_type Enum8('gauge' = 1, 'counter' = 2, 'histogram' = 3, 'summary' = 4, 'exponential_histogram' = 5) CODEC(ZSTD(1)),
    temporality Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2) CODEC(ZSTD(1)),
    is_monotonic UInt8 CODEC(ZSTD(1)),
    sum_value SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    min_value SimpleAggregateFunction(min, Float64) CODEC(ZSTD(1)),
    max_value SimpleAggregateFunction(max, Float64) CODEC(ZSTD(1)),
    count SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    avg_value Float64 ALIAS sum_value / count,
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = AggregatingMergeTree
PARTITION BY (toStartOfMonth(date), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, service_name, date, metric_type, temporality, is_monotonic, organization_id, retention_days)
TTL date + toIntervalDay(retention_days)
SETTINGS non_replicated_deduplication_window = 1000;

TRUNCATE TABLE IF EXISTS metrics_v3_daily;

INSERT INTO metrics_v3_daily
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    toDate(hour) AS date,
    metric_name,
    service_name,
    metric_type,
    temporality,
    is_monotonic,
    sum_value,
    min_value,
    max_value,
    count
FROM metrics_v3_hourly
SETTINGS max_partitions_per_insert_block = 0;

CREATE MATERIALIZED VIEW IF NOT EXISTS metrics_v3_to_metrics_v3_daily TO metrics_v3_daily AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    toDate(timestamp) AS date,
    metric_name,
    service_name,
    metric_type,
    temporality,
    is_monotonic,
    sum(value) AS sum_value,
    min(value) AS min_value,
    max(value) AS max_value,
    count() AS count
FROM metrics_v3
WHERE metric_type = 'gauge' OR temporality = 'delta' OR NOT is_monotonic
GROUP BY organization_id, workspace_id, tenant_id, retention_days, metric_name, service_name, metric_type, temporality, is_monotonic, date;

CREATE VIEW IF NOT EXISTS metrics_daily AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), avg_value
FROM metrics_v3_daily
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
