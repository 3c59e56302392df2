-- Which series there are, apart from their points (docs/adr/0028): a row a series and day, with the half hours of the day in which it
-- has points. The receiver writes a row when a series is new to it in a half hour; written again it is the same row.
CREATE TABLE IF NOT EXISTS metric_series
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    date Date CODEC(ZSTD(1)),
    metric_name LowCardinality(String) CODEC(ZSTD(1)),
    metric_type Enum8('gauge' = 1, 'counter' = 2, 'histogram' = 3, 'summary' = 4, 'exponential_histogram' = 5) CODEC(ZSTD(1)),
    temporality Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2) CODEC(ZSTD(1)),
    is_monotonic UInt8 CODEC(ZSTD(1)),
    unit LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    -- These are the same in all rows of a series.
    resource SimpleAggregateFunction(any, LowCardinality(String)) CODEC(ZSTD(1)),
    scope_name SimpleAggregateFunction(any, LowCardinality(String)) CODEC(ZSTD(1)),
    attributes_json SimpleAggregateFunction(any, String) CODEC(ZSTD(1)),
    series_id UInt64 CODEC(ZSTD(1)),
    -- Bit n: it has a point in half hour n of the day. One that only says that the series ended is none.
    seen SimpleAggregateFunction(groupBitOr, UInt64) CODEC(ZSTD(1)),
    -- The values of the label by which points of one series differ: bounds of buckets, quantiles of a summary. As many as one point
    -- may have: a sender whose buckets change with every point fills no row without end.
    own_values SimpleAggregateFunction(groupUniqArrayArray(10000), Array(Float64)) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = AggregatingMergeTree
PARTITION BY (toStartOfMonth(date), retention_days)
ORDER BY (workspace_id, tenant_id, date, metric_name, service_name, series_id, metric_type, temporality, is_monotonic, unit, organization_id, retention_days)
TTL date + toIntervalDay(retention_days)
SETTINGS min_bytes_for_wide_part = 134217728, auto_statistics_types = '', merge_selector_base = 24, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

CREATE VIEW IF NOT EXISTS series AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM metric_series
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

-- The series of points that are there already.
INSERT INTO metric_series
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    toDate(timestamp) AS date,
    metric_name,
    metric_type,
    temporality,
    is_monotonic,
    unit,
    any(service_name),
    any(resource),
    any(scope_name),
    any(attributes_json),
    series_id,
    groupBitOr(bitShiftLeft(1::UInt64, intDiv(toUInt32(toUnixTimestamp(timestamp)) % 86400, 1800))),
    []::Array(Float64)
FROM metrics_v3
WHERE bitAnd(flags, 1) = 0
GROUP BY organization_id, workspace_id, tenant_id, retention_days, date, metric_name, metric_type, temporality, is_monotonic, unit, series_id
SETTINGS max_bytes_before_external_group_by = 268435456;

INSERT INTO metric_series
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    toDate(timestamp) AS date,
    metric_name,
    'histogram',
    temporality,
    0,
    unit,
    any(service_name),
    any(resource),
    any(scope_name),
    any(attributes_json),
    series_id,
    groupBitOr(bitShiftLeft(1::UInt64, intDiv(toUInt32(toUnixTimestamp(timestamp)) % 86400, 1800))),
    groupUniqArrayArray(10000)(bucket_bounds)
FROM metric_histograms
WHERE bitAnd(flags, 1) = 0
GROUP BY organization_id, workspace_id, tenant_id, retention_days, date, metric_name, temporality, unit, series_id
SETTINGS max_bytes_before_external_group_by = 268435456;

INSERT INTO metric_series
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    toDate(timestamp) AS date,
    metric_name,
    'exponential_histogram',
    temporality,
    0,
    unit,
    any(service_name),
    any(resource),
    any(scope_name),
    any(attributes_json),
    series_id,
    groupBitOr(bitShiftLeft(1::UInt64, intDiv(toUInt32(toUnixTimestamp(timestamp)) % 86400, 1800))),
    []::Array(Float64)
FROM metric_exponential_histograms
WHERE bitAnd(flags, 1) = 0
GROUP BY organization_id, workspace_id, tenant_id, retention_days, date, metric_name, temporality, unit, series_id
SETTINGS max_bytes_before_external_group_by = 268435456;

INSERT INTO metric_series
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    toDate(timestamp) AS date,
    metric_name,
    'summary',
    'unspecified',
    0,
    unit,
    any(service_name),
    any(resource),
    any(scope_name),
    any(attributes_json),
    series_id,
    groupBitOr(bitShiftLeft(1::UInt64, intDiv(toUInt32(toUnixTimestamp(timestamp)) % 86400, 1800))),
    groupUniqArrayArray(10000)(quantiles)
FROM metric_summaries
WHERE bitAnd(flags, 1) = 0
GROUP BY organization_id, workspace_id, tenant_id, retention_days, date, metric_name, unit, series_id
SETTINGS max_bytes_before_external_group_by = 268435456;
