-- Metric points of every type, their exemplars, rollups and catalogue.

-- Gauges and sums, a row a point.
CREATE TABLE IF NOT EXISTS metrics_v3
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    -- Nanoseconds from the start to `timestamp`; the least number says that there is no start.
    since_start Int64 CODEC(Delta, ZSTD(1)),
    start_timestamp DateTime64(9, 'UTC') ALIAS if(since_start = -9223372036854775808, toDateTime64(0, 9, 'UTC'), timestamp - toIntervalNanosecond(since_start)),
    metric_name LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    resource LowCardinality(String) CODEC(ZSTD(1)),
    resource_attributes Map(String, String) ALIAS JSONExtract(resource, 'Map(String, String)'),
    scope_name LowCardinality(String) CODEC(ZSTD(1)),
    scope_version LowCardinality(String) CODEC(ZSTD(1)),
    scope_attributes LowCardinality(String) CODEC(ZSTD(1)),
    attributes_json LowCardinality(String) CODEC(ZSTD(1)),
    attributes Map(String, String) ALIAS JSONExtract(attributes_json, 'Map(String, String)'),
    series_id UInt64 CODEC(ZSTD(1)),
    unit LowCardinality(String) CODEC(ZSTD(1)),
    value Float64 CODEC(ZSTD(1)),
    value_is_int Bool CODEC(ZSTD(1)),
    metric_type Enum8('gauge' = 1, 'counter' = 2, 'histogram' = 3, 'summary' = 4, 'exponential_histogram' = 5) CODEC(ZSTD(1)),
    temporality Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2) CODEC(ZSTD(1)),
    is_monotonic UInt8 CODEC(ZSTD(1)),
    flags UInt32 CODEC(ZSTD(1)),
    exemplar_trace_id FixedString(16) CODEC(ZSTD(1)),
    exemplar_span_id FixedString(8) CODEC(ZSTD(1)),
    exemplar_timestamp DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    exemplar_value Float64 CODEC(ZSTD(1)),
    exemplar_attributes String CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, service_name, series_id, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 8, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- Histograms with explicit bounds.
CREATE TABLE IF NOT EXISTS metric_histograms
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    -- Nanoseconds from the start to `timestamp`; the least number says that there is no start.
    since_start Int64 CODEC(Delta, ZSTD(1)),
    start_timestamp DateTime64(9, 'UTC') ALIAS if(since_start = -9223372036854775808, toDateTime64(0, 9, 'UTC'), timestamp - toIntervalNanosecond(since_start)),
    metric_name LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    resource LowCardinality(String) CODEC(ZSTD(1)),
    resource_attributes Map(String, String) ALIAS JSONExtract(resource, 'Map(String, String)'),
    scope_name LowCardinality(String) CODEC(ZSTD(1)),
    scope_version LowCardinality(String) CODEC(ZSTD(1)),
    scope_attributes LowCardinality(String) CODEC(ZSTD(1)),
    attributes_json LowCardinality(String) CODEC(ZSTD(1)),
    attributes Map(String, String) ALIAS JSONExtract(attributes_json, 'Map(String, String)'),
    series_id UInt64 CODEC(ZSTD(1)),
    unit LowCardinality(String) CODEC(ZSTD(1)),
    temporality Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2) CODEC(ZSTD(1)),
    flags UInt32 CODEC(ZSTD(1)),
    bucket_bounds Array(Float64) CODEC(ZSTD(1)),
    bucket_counts Array(UInt64) CODEC(ZSTD(1)),
    sum Nullable(Float64) CODEC(ZSTD(1)),
    count UInt64 CODEC(ZSTD(1)),
    min Nullable(Float64) CODEC(ZSTD(1)),
    max Nullable(Float64) CODEC(ZSTD(1)),
    exemplar_timestamps Array(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    exemplar_values Array(Float64) CODEC(ZSTD(1)),
    exemplar_trace_ids Array(FixedString(16)) CODEC(ZSTD(1)),
    exemplar_span_ids Array(FixedString(8)) CODEC(ZSTD(1)),
    exemplar_attributes Array(String) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, service_name, series_id, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 8, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- Histograms with exponential buckets: bucket i of scale s covers (2^(i/2^s), 2^((i+1)/2^s)].
CREATE TABLE IF NOT EXISTS metric_exponential_histograms
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    -- Nanoseconds from the start to `timestamp`; the least number says that there is no start.
    since_start Int64 CODEC(Delta, ZSTD(1)),
    start_timestamp DateTime64(9, 'UTC') ALIAS if(since_start = -9223372036854775808, toDateTime64(0, 9, 'UTC'), timestamp - toIntervalNanosecond(since_start)),
    metric_name LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    resource LowCardinality(String) CODEC(ZSTD(1)),
    resource_attributes Map(String, String) ALIAS JSONExtract(resource, 'Map(String, String)'),
    scope_name LowCardinality(String) CODEC(ZSTD(1)),
    scope_version LowCardinality(String) CODEC(ZSTD(1)),
    scope_attributes LowCardinality(String) CODEC(ZSTD(1)),
    attributes_json LowCardinality(String) CODEC(ZSTD(1)),
    attributes Map(String, String) ALIAS JSONExtract(attributes_json, 'Map(String, String)'),
    series_id UInt64 CODEC(ZSTD(1)),
    unit LowCardinality(String) CODEC(ZSTD(1)),
    temporality Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2) CODEC(ZSTD(1)),
    flags UInt32 CODEC(ZSTD(1)),
    scale Int32 CODEC(ZSTD(1)),
    zero_count UInt64 CODEC(ZSTD(1)),
    zero_threshold Float64 CODEC(ZSTD(1)),
    positive_offset Int32 CODEC(ZSTD(1)),
    positive_bucket_counts Array(UInt64) CODEC(ZSTD(1)),
    negative_offset Int32 CODEC(ZSTD(1)),
    negative_bucket_counts Array(UInt64) CODEC(ZSTD(1)),
    sum Nullable(Float64) CODEC(ZSTD(1)),
    count UInt64 CODEC(ZSTD(1)),
    min Nullable(Float64) CODEC(ZSTD(1)),
    max Nullable(Float64) CODEC(ZSTD(1)),
    exemplar_timestamps Array(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    exemplar_values Array(Float64) CODEC(ZSTD(1)),
    exemplar_trace_ids Array(FixedString(16)) CODEC(ZSTD(1)),
    exemplar_span_ids Array(FixedString(8)) CODEC(ZSTD(1)),
    exemplar_attributes Array(String) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, service_name, series_id, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 8, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS metric_summaries
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    -- Nanoseconds from the start to `timestamp`; the least number says that there is no start.
    since_start Int64 CODEC(Delta, ZSTD(1)),
    start_timestamp DateTime64(9, 'UTC') ALIAS if(since_start = -9223372036854775808, toDateTime64(0, 9, 'UTC'), timestamp - toIntervalNanosecond(since_start)),
    metric_name LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    resource LowCardinality(String) CODEC(ZSTD(1)),
    resource_attributes Map(String, String) ALIAS JSONExtract(resource, 'Map(String, String)'),
    scope_name LowCardinality(String) CODEC(ZSTD(1)),
    scope_version LowCardinality(String) CODEC(ZSTD(1)),
    scope_attributes LowCardinality(String) CODEC(ZSTD(1)),
    attributes_json LowCardinality(String) CODEC(ZSTD(1)),
    attributes Map(String, String) ALIAS JSONExtract(attributes_json, 'Map(String, String)'),
    series_id UInt64 CODEC(ZSTD(1)),
    unit LowCardinality(String) CODEC(ZSTD(1)),
    flags UInt32 CODEC(ZSTD(1)),
    sum Float64 CODEC(ZSTD(1)),
    count UInt64 CODEC(ZSTD(1)),
    quantiles Array(Float64) CODEC(ZSTD(1)),
    quantile_values Array(Float64) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, service_name, series_id, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 8, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS exemplars_v3
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    metric_name LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    span_id FixedString(8) CODEC(ZSTD(1)),
    value Float64 CODEC(ZSTD(1)),
    attributes String CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 8, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- Rollups over all series of a metric and a service, added to by every INSERT: of gauges, of counters that go up and down,
-- and of what delta counters counted. Totals of counters that only grow say nothing when they are added up export by
-- export: 0006 keeps the last one of every series instead.
CREATE TABLE IF NOT EXISTS metrics_v3_hourly
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    hour DateTime('UTC') CODEC(ZSTD(1)),
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
PARTITION BY (toStartOfMonth(hour), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, service_name, hour, metric_type, temporality, is_monotonic, organization_id, retention_days)
TTL hour + toIntervalDay(retention_days)
SETTINGS non_replicated_deduplication_window = 1000;

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

-- Which metrics there are: a row a metric, service and shape.
CREATE TABLE IF NOT EXISTS metric_catalogue
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    metric_name String CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    metric_type Enum8('gauge' = 1, 'counter' = 2, 'histogram' = 3, 'summary' = 4, 'exponential_histogram' = 5) CODEC(ZSTD(1)),
    temporality Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2) CODEC(ZSTD(1)),
    is_monotonic UInt8 CODEC(ZSTD(1)),
    unit LowCardinality(String) CODEC(ZSTD(1)),
    description SimpleAggregateFunction(anyLast, String) CODEC(ZSTD(1)),
    first_seen SimpleAggregateFunction(min, DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    last_seen SimpleAggregateFunction(max, DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = AggregatingMergeTree
PARTITION BY retention_days
ORDER BY (workspace_id, tenant_id, metric_name, service_name, metric_type, temporality, is_monotonic, unit, organization_id, retention_days)
TTL toDateTime(last_seen) + toIntervalDay(retention_days)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS metrics_v3_to_metrics_v3_hourly TO metrics_v3_hourly AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    toStartOfHour(timestamp) AS hour,
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
GROUP BY organization_id, workspace_id, tenant_id, retention_days, metric_name, service_name, metric_type, temporality, is_monotonic, hour;

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

-- The only way to read metrics: for one tenant, which must be named.
CREATE VIEW IF NOT EXISTS metrics AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metrics_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS histograms AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metric_histograms
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS exponential_histograms AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metric_exponential_histograms
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS summaries AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metric_summaries
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS exemplars AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM exemplars_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS metrics_hourly AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), avg_value
FROM metrics_v3_hourly
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS metrics_daily AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), avg_value
FROM metrics_v3_daily
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS metric_names AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM metric_catalogue
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
