-- Points that are no numbers count nowhere, and integers beyond 2^53 keep their last digits (docs/adr/0016).

-- What an integer lost when it became a double: `value` and this together are what was sent.
ALTER TABLE metrics_v3 ADD COLUMN IF NOT EXISTS value_rest Int16 CODEC(ZSTD(1)) AFTER value;

ALTER TABLE metric_counter_totals ADD COLUMN IF NOT EXISTS value_rest Int16 CODEC(ZSTD(1)) AFTER value;

ALTER TABLE exemplars_v3 ADD COLUMN IF NOT EXISTS value_rest Int16 CODEC(ZSTD(1)) AFTER value;

-- Of the observations in `count` those that are in `sum`: a sender may leave the sum out.
ALTER TABLE metric_histogram_sums ADD COLUMN IF NOT EXISTS summed_count SimpleAggregateFunction(sum, UInt64) DEFAULT count CODEC(ZSTD(1));

ALTER TABLE metric_exponential_histogram_sums ADD COLUMN IF NOT EXISTS summed_count SimpleAggregateFunction(sum, UInt64) DEFAULT count CODEC(ZSTD(1));

-- Flag 1 of a point is NO_RECORDED_VALUE: its series ended, or has no value at this time. It is stored, since a reader may
-- want to know that; but no rollup takes it in, nor a value that is no number.
-- A view is made anew: after MODIFY QUERY it deduplicates under another name until the server starts again.
DROP VIEW IF EXISTS metrics_v3_to_metrics_v3_hourly;

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
WHERE (metric_type = 'gauge' OR temporality = 'delta' OR NOT is_monotonic) AND bitAnd(flags, 1) = 0 AND isFinite(value)
GROUP BY organization_id, workspace_id, tenant_id, retention_days, metric_name, service_name, metric_type, temporality, is_monotonic, hour;

DROP VIEW IF EXISTS metrics_v3_to_metric_counter_totals;

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
    value,
    value_rest
FROM metrics_v3
WHERE metric_type = 'counter' AND temporality != 'delta' AND bitAnd(flags, 1) = 0 AND isFinite(value);

DROP VIEW IF EXISTS metric_histograms_to_metric_histogram_totals;

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
WHERE temporality != 'delta' AND bitAnd(flags, 1) = 0;

DROP VIEW IF EXISTS metric_exponential_histograms_to_metric_exponential_histogram_totals;

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
WHERE temporality != 'delta' AND bitAnd(flags, 1) = 0;

DROP VIEW IF EXISTS metric_histograms_to_metric_histogram_sums;

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
    sumIf(points.sum, isFinite(points.sum)) AS sum,
    sum(points.count) AS count,
    minIf(points.min, isFinite(points.min)) AS min,
    maxIf(points.max, isFinite(points.max)) AS max,
    sumIf(points.count, isFinite(points.sum)) AS summed_count
FROM metric_histograms AS points
WHERE temporality = 'delta' AND bitAnd(flags, 1) = 0
GROUP BY organization_id, workspace_id, tenant_id, retention_days, timestamp, metric_name, service_name, bucket_bounds;

DROP VIEW IF EXISTS metric_exponential_histograms_to_metric_exponential_histogram_sums;

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
    max(if(isFinite(points.zero_threshold), points.zero_threshold, 0)) AS zero_threshold,
    sumMap(arrayMap(i -> toInt64(i) + positive_offset, range(length(positive_bucket_counts))), positive_bucket_counts) AS positive_buckets,
    sumMap(arrayMap(i -> toInt64(i) + negative_offset, range(length(negative_bucket_counts))), negative_bucket_counts) AS negative_buckets,
    sumIf(points.sum, isFinite(points.sum)) AS sum,
    sum(points.count) AS count,
    minIf(points.min, isFinite(points.min)) AS min,
    maxIf(points.max, isFinite(points.max)) AS max,
    sumIf(points.count, isFinite(points.sum)) AS summed_count
FROM metric_exponential_histograms AS points
WHERE temporality = 'delta' AND bitAnd(flags, 1) = 0
GROUP BY organization_id, workspace_id, tenant_id, retention_days, timestamp, metric_name, service_name, scale;

-- Readers see the new columns.
DROP VIEW IF EXISTS metrics;

CREATE VIEW IF NOT EXISTS metrics AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metrics_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

DROP VIEW IF EXISTS exemplars;

CREATE VIEW IF NOT EXISTS exemplars AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM exemplars_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

DROP VIEW IF EXISTS counters_hourly;

CREATE VIEW IF NOT EXISTS counters_hourly AS
SELECT timestamp, start_timestamp, metric_name, service_name, '' AS scope_name, '' AS resource, '' AS attributes_json, series_id, temporality, is_monotonic, value, value_rest, 'counter' AS metric_type
FROM metric_counter_totals
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
UNION ALL
SELECT toDateTime64(hour, 9, 'UTC'), toDateTime64(0, 9, 'UTC'), metric_name, service_name, '' AS scope_name, '' AS resource, '' AS attributes_json, 0::UInt64, temporality, is_monotonic, sum_value, 0::Int16, 'counter'
FROM metrics_v3_hourly
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID} AND metric_type = 'counter' AND temporality = 'delta';

DROP VIEW IF EXISTS histograms_hourly;

CREATE VIEW IF NOT EXISTS histograms_hourly AS
SELECT timestamp, start_timestamp, metric_name, service_name, '' AS scope_name, '' AS resource, '' AS attributes_json, series_id, temporality, bucket_bounds, bucket_counts, sum, count, min, max,
    if(isFinite(sum), count, 0) AS summed_count
FROM metric_histogram_totals
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
UNION ALL
SELECT timestamp, toDateTime64(0, 9, 'UTC'), metric_name, service_name, '' AS scope_name, '' AS resource, '' AS attributes_json, 0::UInt64, 'delta', bucket_bounds, finalizeAggregation(bucket_counts), sum, count, min, max, summed_count
FROM metric_histogram_sums
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

DROP VIEW IF EXISTS exponential_histograms_hourly;

CREATE VIEW IF NOT EXISTS exponential_histograms_hourly AS
SELECT timestamp, start_timestamp, metric_name, service_name, '' AS scope_name, '' AS resource, '' AS attributes_json, series_id, temporality, scale, zero_count, zero_threshold,
    arrayMap(i -> toInt64(i) + positive_offset, range(length(positive_bucket_counts))) AS positive_indexes, positive_bucket_counts,
    arrayMap(i -> toInt64(i) + negative_offset, range(length(negative_bucket_counts))) AS negative_indexes, negative_bucket_counts,
    sum, count, min, max, if(isFinite(sum), count, 0) AS summed_count
FROM metric_exponential_histogram_totals
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
UNION ALL
SELECT timestamp, toDateTime64(0, 9, 'UTC'), metric_name, service_name, '' AS scope_name, '' AS resource, '' AS attributes_json, 0::UInt64, 'delta', scale, zero_count, zero_threshold,
    positive_buckets.1, positive_buckets.2, negative_buckets.1, negative_buckets.2, sum, count, min, max, summed_count
FROM metric_exponential_histogram_sums
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
