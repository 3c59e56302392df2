-- What a span, a point and every merge cost (docs/adr/0014).

-- A trace by its id: a row a trace, day and INSERT, and after merges a row a trace and day. Spans themselves are in
-- traces_v3 alone; `first_timestamp` to `last_timestamp` and the services say where.
CREATE TABLE IF NOT EXISTS trace_summaries_v3
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    date Date CODEC(ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    first_timestamp SimpleAggregateFunction(min, DateTime64(9, 'UTC')) CODEC(T64, ZSTD(1)),
    last_timestamp SimpleAggregateFunction(max, DateTime64(9, 'UTC')) CODEC(T64, ZSTD(1)),
    end_timestamp SimpleAggregateFunction(max, DateTime64(9, 'UTC')) CODEC(T64, ZSTD(1)),
    span_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    error_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    service_names SimpleAggregateFunction(groupUniqArrayArray, Array(String)) CODEC(ZSTD(1)),
    -- Of the first span without a parent, or else of the first span.
    root_service AggregateFunction(argMin, String, Int64) CODEC(ZSTD(1)),
    root_name AggregateFunction(argMin, String, Int64) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = AggregatingMergeTree
PARTITION BY (date, retention_days)
ORDER BY (workspace_id, tenant_id, trace_id, date, organization_id, retention_days)
TTL date + toIntervalDay(retention_days + 1)
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 134217728, merge_selector_base = 24, auto_statistics_types = '',
    non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS traces_v3_to_trace_summaries_v3 TO trace_summaries_v3 AS
WITH toUnixTimestamp64Nano(spans.timestamp) + if(spans.parent_span_id = toFixedString('', 8), 0, 4611686018427387904) AS rank
SELECT
    any(spans.organization_id) AS organization_id,
    any(spans.workspace_id) AS workspace_id,
    spans.tenant_id AS tenant_id,
    spans.retention_days AS retention_days,
    toDate(spans.timestamp) AS date,
    spans.trace_id AS trace_id,
    min(spans.timestamp) AS first_timestamp,
    max(spans.timestamp) AS last_timestamp,
    max(spans.end_timestamp) AS end_timestamp,
    count() AS span_count,
    countIf(spans.status_code = 'error') AS error_count,
    groupUniqArray(spans.service_name) AS service_names,
    argMinState(toString(spans.service_name), rank) AS root_service,
    argMinState(toString(spans.span_name), rank) AS root_name
FROM traces_v3 AS spans
GROUP BY tenant_id, retention_days, date, trace_id;

-- The narrow twin of traces_v3 is filled no longer. What it has stays readable until it expires.
DROP VIEW IF EXISTS traces_v3_to_spans_v3;

DROP VIEW IF EXISTS spans;

RENAME TABLE IF EXISTS spans_v3 TO spans_v3_before_0007;

CREATE VIEW IF NOT EXISTS trace_summaries AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM trace_summaries_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
UNION ALL
SELECT
    retention_days, toDate(timestamp) AS date, trace_id, timestamp, timestamp,
    timestamp + toIntervalNanosecond(duration_nano),
    1, status_code = 'error', [toString(service_name)],
    initializeAggregation('argMinState', toString(service_name), toUnixTimestamp64Nano(timestamp) + if(parent_span_id = toFixedString('', 8), 0, 4611686018427387904)),
    initializeAggregation('argMinState', toString(span_name), toUnixTimestamp64Nano(timestamp) + if(parent_span_id = toFixedString('', 8), 0, 4611686018427387904))
FROM spans_v3_before_0007
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

-- Narrow spans, by the name and the columns that the schema gives them.
CREATE VIEW IF NOT EXISTS spans_v3 AS
SELECT
    retention_days, timestamp, trace_id, span_id, parent_span_id, span_name, span_kind, service_name, duration_nano,
    status_code, workspace_id, tenant_id
FROM traces_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

-- Days are sums of hours, which are few.
DROP VIEW IF EXISTS metrics_v3_to_metrics_v3_daily;

DROP VIEW IF EXISTS metrics_daily;

DROP TABLE IF EXISTS metrics_v3_daily;

CREATE VIEW IF NOT EXISTS metrics_v3_daily AS
SELECT
    retention_days,
    toDate(hour) AS date,
    metric_name,
    service_name,
    metric_type,
    temporality,
    is_monotonic,
    sum(hours.sum_value) AS sum_value,
    min(hours.min_value) AS min_value,
    max(hours.max_value) AS max_value,
    sum(hours.count) AS count,
    sum_value / count AS avg_value
FROM metrics_v3_hourly AS hours
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
GROUP BY retention_days, date, metric_name, service_name, metric_type, temporality, is_monotonic;

-- Measured values have few decimals: as such they take two thirds of the bytes, and less time.
ALTER TABLE metrics_v3 MODIFY COLUMN value Float64 CODEC(ALP) SETTINGS enable_alp_codec = 1;

ALTER TABLE metric_counter_totals MODIFY COLUMN value Float64 CODEC(ALP) SETTINGS enable_alp_codec = 1;

-- Merges pay for no statistics, which no query uses, and take 24 parts at once: each row is written less often. A token
-- is remembered for 10,000 blocks: a batch may come again from a receiver that was dead for hours.
ALTER TABLE traces_v3 MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE logs_v3 MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE metrics_v3 MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE metric_histograms MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE metric_exponential_histograms MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE metric_summaries MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE exemplars_v3 MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE metrics_v3_hourly MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE metric_catalogue MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE alert_history MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE audit_logs MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE uptime_checks MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE ingest_ledger MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE ingest_usage_hourly MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE ingest_rejections MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE metric_counter_totals MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE metric_histogram_totals MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE metric_exponential_histogram_totals MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE metric_histogram_sums MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE metric_exponential_histogram_sums MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE span_figures MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;

ALTER TABLE telemetry_catalogue MODIFY SETTING auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000;
