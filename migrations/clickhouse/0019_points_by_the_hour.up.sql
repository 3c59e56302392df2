-- Points sorted by the hour before the series (docs/adr/0028): a question about minutes reads one hour of its series, and no
-- longer all of the day.
--
-- The tables of before keep their rows until these expire, and take those of segments that a version of before began to
-- insert: only they know what of them is stored. Readers see both through the same views.

CREATE TABLE IF NOT EXISTS number_points AS metrics_v3
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, toStartOfHour(timestamp), service_name, series_id)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 134217728, merge_selector_base = 24, auto_statistics_types = '',
    non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1,
    fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS histogram_points AS metric_histograms
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, toStartOfHour(timestamp), service_name, series_id)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 134217728, merge_selector_base = 24, auto_statistics_types = '',
    non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1,
    fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS exponential_histogram_points AS metric_exponential_histograms
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, toStartOfHour(timestamp), service_name, series_id)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 134217728, merge_selector_base = 24, auto_statistics_types = '',
    non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1,
    fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS summary_points AS metric_summaries
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, metric_name, toStartOfHour(timestamp), service_name, series_id)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 134217728, merge_selector_base = 24, auto_statistics_types = '',
    non_replicated_deduplication_window = 10000, min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1,
    fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- The rollups are fed by both, and say what they say in 0010.

CREATE MATERIALIZED VIEW IF NOT EXISTS number_points_to_metrics_v3_hourly TO metrics_v3_hourly AS
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
FROM number_points
WHERE (metric_type = 'gauge' OR temporality = 'delta' OR NOT is_monotonic) AND bitAnd(flags, 1) = 0 AND isFinite(value)
GROUP BY organization_id, workspace_id, tenant_id, retention_days, metric_name, service_name, metric_type, temporality, is_monotonic, hour;

CREATE MATERIALIZED VIEW IF NOT EXISTS number_points_to_metric_counter_totals TO metric_counter_totals AS
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
FROM number_points
WHERE metric_type = 'counter' AND temporality != 'delta' AND bitAnd(flags, 1) = 0 AND isFinite(value);

CREATE MATERIALIZED VIEW IF NOT EXISTS histogram_points_to_metric_histogram_totals TO metric_histogram_totals AS
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
FROM histogram_points
WHERE temporality != 'delta' AND bitAnd(flags, 1) = 0;

CREATE MATERIALIZED VIEW IF NOT EXISTS exponential_histogram_points_to_metric_exponential_histogram_totals TO metric_exponential_histogram_totals AS
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
FROM exponential_histogram_points
WHERE temporality != 'delta' AND bitAnd(flags, 1) = 0;

CREATE MATERIALIZED VIEW IF NOT EXISTS histogram_points_to_metric_histogram_sums TO metric_histogram_sums AS
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
FROM histogram_points AS points
WHERE temporality = 'delta' AND bitAnd(flags, 1) = 0
GROUP BY organization_id, workspace_id, tenant_id, retention_days, timestamp, metric_name, service_name, bucket_bounds;

CREATE MATERIALIZED VIEW IF NOT EXISTS exponential_histogram_points_to_metric_exponential_histogram_sums TO metric_exponential_histogram_sums AS
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
FROM exponential_histogram_points AS points
WHERE temporality = 'delta' AND bitAnd(flags, 1) = 0
GROUP BY organization_id, workspace_id, tenant_id, retention_days, timestamp, metric_name, service_name, scale;

DROP VIEW IF EXISTS metrics;

CREATE VIEW IF NOT EXISTS metrics AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM number_points
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
UNION ALL
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metrics_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

DROP VIEW IF EXISTS histograms;

CREATE VIEW IF NOT EXISTS histograms AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM histogram_points
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
UNION ALL
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metric_histograms
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

DROP VIEW IF EXISTS exponential_histograms;

CREATE VIEW IF NOT EXISTS exponential_histograms AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM exponential_histogram_points
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
UNION ALL
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metric_exponential_histograms
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

DROP VIEW IF EXISTS summaries;

CREATE VIEW IF NOT EXISTS summaries AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM summary_points
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
UNION ALL
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metric_summaries
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
