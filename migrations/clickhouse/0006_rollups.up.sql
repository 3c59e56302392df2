-- What follows from points and spans, for reading over long times (docs/adr/0011). Filled by the INSERT of its source.
--
-- Totals: of every cumulative series the last point of an hour, of each of its lives (a life begins at a start time). Within
-- a life totals only grow by what was counted, so the difference of two last points is what the hours between them
-- counted; and a row that no merge has replaced yet is one more true point. Adding exports up would be wrong.
-- A point that begins a life at its own time says where to count from, and is kept beside the last one.

CREATE TABLE IF NOT EXISTS metric_counter_totals
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    start_timestamp DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    metric_name LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    series_id UInt64 CODEC(ZSTD(1)),
    temporality Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2) CODEC(ZSTD(1)),
    is_monotonic UInt8 CODEC(ZSTD(1)),
    value Float64 CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = ReplacingMergeTree(timestamp)
PARTITION BY (toStartOfMonth(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, service_name, series_id, temporality, start_timestamp, toStartOfHour(timestamp), start_timestamp = timestamp, organization_id, retention_days)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 10, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS metric_histogram_totals
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    start_timestamp DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    metric_name LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    series_id UInt64 CODEC(ZSTD(1)),
    temporality Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2) CODEC(ZSTD(1)),
    bucket_bounds Array(Float64) CODEC(ZSTD(1)),
    bucket_counts Array(UInt64) CODEC(ZSTD(1)),
    sum Nullable(Float64) CODEC(ZSTD(1)),
    count UInt64 CODEC(ZSTD(1)),
    min Nullable(Float64) CODEC(ZSTD(1)),
    max Nullable(Float64) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = ReplacingMergeTree(timestamp)
PARTITION BY (toStartOfMonth(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, service_name, series_id, temporality, start_timestamp, toStartOfHour(timestamp), start_timestamp = timestamp, organization_id, retention_days)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 10, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS metric_exponential_histogram_totals
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    start_timestamp DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    metric_name LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    series_id UInt64 CODEC(ZSTD(1)),
    temporality Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2) CODEC(ZSTD(1)),
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
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = ReplacingMergeTree(timestamp)
PARTITION BY (toStartOfMonth(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, service_name, series_id, temporality, start_timestamp, toStartOfHour(timestamp), start_timestamp = timestamp, organization_id, retention_days)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 10, non_replicated_deduplication_window = 1000;

-- Sums: what delta histograms of equal buckets counted in an hour, over all series of a metric and a service.
CREATE TABLE IF NOT EXISTS metric_histogram_sums
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    metric_name LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    bucket_bounds Array(Float64) CODEC(ZSTD(1)),
    bucket_counts AggregateFunction(sumForEach, Array(UInt64)) CODEC(ZSTD(1)),
    sum SimpleAggregateFunction(sum, Nullable(Float64)) CODEC(ZSTD(1)),
    count SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    min SimpleAggregateFunction(min, Nullable(Float64)) CODEC(ZSTD(1)),
    max SimpleAggregateFunction(max, Nullable(Float64)) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = AggregatingMergeTree
PARTITION BY (toStartOfMonth(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, service_name, timestamp, bucket_bounds, organization_id, retention_days)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 10, non_replicated_deduplication_window = 1000;

-- Of exponential buckets those of equal scale; they meet at the coarsest scale when they are read.
CREATE TABLE IF NOT EXISTS metric_exponential_histogram_sums
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    metric_name LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    scale Int32 CODEC(ZSTD(1)),
    zero_count SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    zero_threshold SimpleAggregateFunction(max, Float64) CODEC(ZSTD(1)),
    positive_buckets SimpleAggregateFunction(sumMap, Tuple(Array(Int64), Array(UInt64))) CODEC(ZSTD(1)),
    negative_buckets SimpleAggregateFunction(sumMap, Tuple(Array(Int64), Array(UInt64))) CODEC(ZSTD(1)),
    sum SimpleAggregateFunction(sum, Nullable(Float64)) CODEC(ZSTD(1)),
    count SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    min SimpleAggregateFunction(min, Nullable(Float64)) CODEC(ZSTD(1)),
    max SimpleAggregateFunction(max, Nullable(Float64)) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = AggregatingMergeTree
PARTITION BY (toStartOfMonth(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, service_name, timestamp, scale, organization_id, retention_days)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 10, non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS metrics_v3_to_metric_counter_totals TO metric_counter_totals AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    timestamp,
    start_timestamp,
    metric_name,
    service_name,
    series_id,
    temporality,
    is_monotonic,
    value
FROM metrics_v3
WHERE metric_type = 'counter' AND temporality != 'delta';

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_histograms_to_metric_histogram_totals TO metric_histogram_totals AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    timestamp,
    start_timestamp,
    metric_name,
    service_name,
    series_id,
    temporality,
    bucket_bounds,
    bucket_counts,
    sum,
    count,
    min,
    max
FROM metric_histograms
WHERE temporality != 'delta';

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_exponential_histograms_to_metric_exponential_histogram_totals TO metric_exponential_histogram_totals AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    timestamp,
    start_timestamp,
    metric_name,
    service_name,
    series_id,
    temporality,
    scale,
    zero_count,
    zero_threshold,
    positive_offset,
    positive_bucket_counts,
    negative_offset,
    negative_bucket_counts,
    sum,
    count,
    min,
    max
FROM metric_exponential_histograms
WHERE temporality != 'delta';

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_histograms_to_metric_histogram_sums TO metric_histogram_sums AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    toDateTime64(toStartOfHour(points.timestamp), 9, 'UTC') AS timestamp,
    metric_name,
    service_name,
    bucket_bounds,
    sumForEachState(points.bucket_counts) AS bucket_counts,
    sum(points.sum) AS sum,
    sum(points.count) AS count,
    min(points.min) AS min,
    max(points.max) AS max
FROM metric_histograms AS points
WHERE temporality = 'delta'
GROUP BY organization_id, workspace_id, tenant_id, retention_days, timestamp, metric_name, service_name, bucket_bounds;

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_exponential_histograms_to_metric_exponential_histogram_sums TO metric_exponential_histogram_sums AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    toDateTime64(toStartOfHour(points.timestamp), 9, 'UTC') AS timestamp,
    metric_name,
    service_name,
    scale,
    sum(points.zero_count) AS zero_count,
    max(points.zero_threshold) AS zero_threshold,
    sumMap(arrayMap(i -> toInt64(i) + positive_offset, range(length(positive_bucket_counts))), positive_bucket_counts) AS positive_buckets,
    sumMap(arrayMap(i -> toInt64(i) + negative_offset, range(length(negative_bucket_counts))), negative_bucket_counts) AS negative_buckets,
    sum(points.sum) AS sum,
    sum(points.count) AS count,
    min(points.min) AS min,
    max(points.max) AS max
FROM metric_exponential_histograms AS points
WHERE temporality = 'delta'
GROUP BY organization_id, workspace_id, tenant_id, retention_days, timestamp, metric_name, service_name, scale;

-- Requests, errors and durations by minute. A request is a span of kind server or consumer, or one without a parent.
-- Duration bucket i holds those from 2^(i/8) to 2^((i+1)/8) ns: 9% wide.
CREATE TABLE IF NOT EXISTS span_figures
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    minute DateTime('UTC') CODEC(Delta, ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    span_name LowCardinality(String) CODEC(ZSTD(1)),
    span_kind Enum8('unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, 'producer' = 4, 'consumer' = 5) CODEC(ZSTD(1)),
    status_code Enum8('unset' = 0, 'ok' = 1, 'error' = 2) CODEC(ZSTD(1)),
    is_root Bool CODEC(ZSTD(1)),
    is_request Bool ALIAS is_root OR span_kind IN ('server', 'consumer'),
    count SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    errors UInt64 ALIAS if(status_code = 'error', count, 0),
    duration_sum SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    duration_max SimpleAggregateFunction(max, UInt64) CODEC(ZSTD(1)),
    duration_buckets SimpleAggregateFunction(sumMap, Tuple(Array(UInt16), Array(UInt64))) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = AggregatingMergeTree
PARTITION BY (toDate(minute), retention_days)
ORDER BY (workspace_id, tenant_id, service_name, minute, span_name, span_kind, status_code, is_root, organization_id, retention_days)
TTL minute + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 134217728, merge_selector_base = 10, non_replicated_deduplication_window = 1000;

-- Names are grouped by their hashes, which is a third cheaper. Tenants are not: whoever made hashes collide on purpose
-- would spoil the figures of nobody else.
CREATE MATERIALIZED VIEW IF NOT EXISTS traces_v3_to_span_figures TO span_figures AS
WITH groupArray(toUInt16(log2(greatest(spans.duration_nano, 1)) * 8)) AS every_bucket, arrayDistinct(every_bucket) AS found_buckets
SELECT
    any(spans.organization_id) AS organization_id,
    any(spans.workspace_id) AS workspace_id,
    spans.tenant_id AS tenant_id,
    any(spans.retention_days) AS retention_days,
    any(toStartOfMinute(spans.timestamp)) AS minute,
    any(spans.service_name) AS service_name,
    any(spans.span_name) AS span_name,
    any(spans.span_kind) AS span_kind,
    any(spans.status_code) AS status_code,
    any(spans.parent_span_id = toFixedString('', 8)) AS is_root,
    count() AS count,
    sum(spans.duration_nano) AS duration_sum,
    max(spans.duration_nano) AS duration_max,
    (found_buckets, arrayMap(bucket -> countEqual(every_bucket, bucket), found_buckets)) AS duration_buckets
FROM traces_v3 AS spans
GROUP BY
    spans.tenant_id,
    cityHash64(
        spans.retention_days, toStartOfMinute(spans.timestamp), sipHash64(spans.service_name), sipHash64(spans.span_name),
        spans.span_kind, spans.status_code, spans.parent_span_id = toFixedString('', 8));

-- Which services, operations (names of spans) and attributes there are, a row a day. The decoder inserts them.
CREATE TABLE IF NOT EXISTS telemetry_catalogue
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    date Date CODEC(ZSTD(1)),
    signal Enum8('traces' = 1, 'logs' = 2, 'metrics' = 3) CODEC(ZSTD(1)),
    entry Enum8('service' = 1, 'operation' = 2, 'resource_attribute' = 3, 'attribute' = 4) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    name String CODEC(ZSTD(1)),
    type Enum8('none' = 0, 'string' = 1, 'bool' = 2, 'int' = 3, 'double' = 4, 'array' = 5, 'kvlist' = 6, 'bytes' = 7) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = ReplacingMergeTree
PARTITION BY (toStartOfMonth(date), retention_days)
ORDER BY (workspace_id, tenant_id, signal, entry, service_name, name, type, date, organization_id, retention_days)
TTL date + toIntervalDay(retention_days)
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 10, non_replicated_deduplication_window = 1000;

-- The only way to read them: for one tenant, which must be named. Rollups show as points do, those of all temporalities
-- together; they know of no attributes.
CREATE VIEW IF NOT EXISTS counters_hourly AS
SELECT timestamp, start_timestamp, metric_name, service_name, '' AS scope_name, '' AS resource, '' AS attributes_json, series_id, temporality, is_monotonic, value, 'counter' AS metric_type
FROM metric_counter_totals
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
UNION ALL
SELECT toDateTime64(hour, 9, 'UTC'), toDateTime64(0, 9, 'UTC'), metric_name, service_name, '' AS scope_name, '' AS resource, '' AS attributes_json, 0::UInt64, temporality, is_monotonic, sum_value, 'counter'
FROM metrics_v3_hourly
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID} AND metric_type = 'counter' AND temporality = 'delta';

CREATE VIEW IF NOT EXISTS histograms_hourly AS
SELECT timestamp, start_timestamp, metric_name, service_name, '' AS scope_name, '' AS resource, '' AS attributes_json, series_id, temporality, bucket_bounds, bucket_counts, sum, count, min, max
FROM metric_histogram_totals
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
UNION ALL
SELECT timestamp, toDateTime64(0, 9, 'UTC'), metric_name, service_name, '' AS scope_name, '' AS resource, '' AS attributes_json, 0::UInt64, 'delta', bucket_bounds, finalizeAggregation(bucket_counts), sum, count, min, max
FROM metric_histogram_sums
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS exponential_histograms_hourly AS
SELECT timestamp, start_timestamp, metric_name, service_name, '' AS scope_name, '' AS resource, '' AS attributes_json, series_id, temporality, scale, zero_count, zero_threshold,
    arrayMap(i -> toInt64(i) + positive_offset, range(length(positive_bucket_counts))) AS positive_indexes, positive_bucket_counts,
    arrayMap(i -> toInt64(i) + negative_offset, range(length(negative_bucket_counts))) AS negative_indexes, negative_bucket_counts,
    sum, count, min, max
FROM metric_exponential_histogram_totals
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
UNION ALL
SELECT timestamp, toDateTime64(0, 9, 'UTC'), metric_name, service_name, '' AS scope_name, '' AS resource, '' AS attributes_json, 0::UInt64, 'delta', scale, zero_count, zero_threshold,
    positive_buckets.1, positive_buckets.2, negative_buckets.1, negative_buckets.2, sum, count, min, max
FROM metric_exponential_histogram_sums
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS figures AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), is_request, errors
FROM span_figures
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS catalogue AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM telemetry_catalogue
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
