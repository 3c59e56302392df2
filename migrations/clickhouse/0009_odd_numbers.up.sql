-- What a view cannot take of a number costs everybody whose rows share the INSERT. The decoder refuses such items; rows
-- that are there already, and batches that were set aside, may still have them.

-- An end beyond what a time can be is the last time there is.
ALTER TABLE traces_v3 MODIFY COLUMN end_timestamp DateTime64(9, 'UTC') ALIAS fromUnixTimestamp64Nano(toInt64(least(toUInt64(toUnixTimestamp64Nano(timestamp)) + least(duration_nano, 9223372036854775807), 9223372036854775807)), 'UTC');

DROP VIEW IF EXISTS trace_summaries;

CREATE VIEW IF NOT EXISTS trace_summaries AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM trace_summaries_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
UNION ALL
SELECT
    retention_days, toDate(timestamp) AS date, trace_id, timestamp, timestamp,
    fromUnixTimestamp64Nano(toInt64(least(toUInt64(toUnixTimestamp64Nano(timestamp)) + least(duration_nano, 9223372036854775807), 9223372036854775807)), 'UTC'),
    1, status_code = 'error', [toString(service_name)],
    initializeAggregation('argMinState', toString(service_name), toUnixTimestamp64Nano(timestamp) + if(parent_span_id = toFixedString('', 8), 0, 4611686018427387904)),
    initializeAggregation('argMinState', toString(span_name), toUnixTimestamp64Nano(timestamp) + if(parent_span_id = toFixedString('', 8), 0, 4611686018427387904))
FROM spans_v3_before_0007
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

-- Sums of durations go beyond 64 bits where spans take months.
DROP VIEW IF EXISTS traces_v3_to_span_figures;

ALTER TABLE span_figures MODIFY COLUMN duration_sum SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1));

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
    sum(toFloat64(spans.duration_nano)) AS duration_sum,
    max(spans.duration_nano) AS duration_max,
    (found_buckets, arrayMap(bucket -> countEqual(every_bucket, bucket), found_buckets)) AS duration_buckets
FROM traces_v3 AS spans
GROUP BY
    spans.tenant_id,
    cityHash64(
        spans.retention_days, toStartOfMinute(spans.timestamp), sipHash64(spans.service_name), sipHash64(spans.span_name),
        spans.span_kind, spans.status_code, spans.parent_span_id = toFixedString('', 8));
