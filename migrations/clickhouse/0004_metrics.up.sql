-- Metrics: the Null tables that ClickHouse decodes OTLP into, one table a kind of point, rollups, exemplars and a catalogue.
-- Every view costs at every INSERT, so there are two ways in: otlp_metrics for gauges and sums, which nearly every request
-- has, and otlp_distributions for histograms and summaries. The receiver inserts a request into the second one only if it
-- has any. series_id hashes resource, scope and attributes; attributes in another order are the same series: their hashes are summed.

-- A column is the path to a field, as deep in arrays as that field is in repeated messages.
CREATE TABLE IF NOT EXISTS otlp_metrics
(
    organization_id UUID,
    workspace_id UUID,
    tenant_id UUID,
    retention_days UInt16,
    digest String,
    `request.resource_metrics.resource.attributes` Array(Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value Tuple(values Array(Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), kvlist_value Tuple(values Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String)))), bytes_value String)))),
    `request.resource_metrics.resource.dropped_attributes_count` Array(UInt32),
    `request.resource_metrics.schema_url` Array(String),
    `request.resource_metrics.scope_metrics.scope.name` Array(Array(String)),
    `request.resource_metrics.scope_metrics.scope.version` Array(Array(String)),
    `request.resource_metrics.scope_metrics.scope.attributes` Array(Array(Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value Tuple(values Array(Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), kvlist_value Tuple(values Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String)))), bytes_value String))))),
    `request.resource_metrics.scope_metrics.scope.dropped_attributes_count` Array(Array(UInt32)),
    `request.resource_metrics.scope_metrics.schema_url` Array(Array(String)),
    `request.resource_metrics.scope_metrics.metrics.name` Array(Array(Array(String))),
    `request.resource_metrics.scope_metrics.metrics.description` Array(Array(Array(String))),
    `request.resource_metrics.scope_metrics.metrics.unit` Array(Array(Array(String))),
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.attributes.key` Array(Array(Array(Array(Array(String))))),
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.attributes.value` Array(Array(Array(Array(Array(String))))),
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.start_time_unix_nano` Array(Array(Array(Array(UInt64)))),
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.time_unix_nano` Array(Array(Array(Array(UInt64)))),
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.value` Array(Array(Array(Array(Enum8('none' = 0, 'as_double' = 4, 'as_int' = 6))))),
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.as_double` Array(Array(Array(Array(Float64)))),
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.as_int` Array(Array(Array(Array(Int64)))),
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.exemplars` Array(Array(Array(Array(Array(Tuple(filtered_attributes Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), time_unix_nano UInt64, value Enum8('none' = 0, 'as_double' = 3, 'as_int' = 6), as_double Float64, as_int Int64, span_id String, trace_id String)))))),
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.flags` Array(Array(Array(Array(UInt32)))),
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.attributes.key` Array(Array(Array(Array(Array(String))))),
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.attributes.value` Array(Array(Array(Array(Array(String))))),
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.start_time_unix_nano` Array(Array(Array(Array(UInt64)))),
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.time_unix_nano` Array(Array(Array(Array(UInt64)))),
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.value` Array(Array(Array(Array(Enum8('none' = 0, 'as_double' = 4, 'as_int' = 6))))),
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.as_double` Array(Array(Array(Array(Float64)))),
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.as_int` Array(Array(Array(Array(Int64)))),
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.exemplars` Array(Array(Array(Array(Array(Tuple(filtered_attributes Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), time_unix_nano UInt64, value Enum8('none' = 0, 'as_double' = 3, 'as_int' = 6), as_double Float64, as_int Int64, span_id String, trace_id String)))))),
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.flags` Array(Array(Array(Array(UInt32)))),
    `request.resource_metrics.scope_metrics.metrics.sum.aggregation_temporality` Array(Array(Array(Int32))),
    `request.resource_metrics.scope_metrics.metrics.sum.is_monotonic` Array(Array(Array(Bool)))
)
ENGINE = Null;

-- A column is the path to a field, as deep in arrays as that field is in repeated messages.
CREATE TABLE IF NOT EXISTS otlp_distributions
(
    organization_id UUID,
    workspace_id UUID,
    tenant_id UUID,
    retention_days UInt16,
    digest String,
    `request.resource_metrics.resource.attributes` Array(Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value Tuple(values Array(Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), kvlist_value Tuple(values Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String)))), bytes_value String)))),
    `request.resource_metrics.resource.dropped_attributes_count` Array(UInt32),
    `request.resource_metrics.schema_url` Array(String),
    `request.resource_metrics.scope_metrics.scope.name` Array(Array(String)),
    `request.resource_metrics.scope_metrics.scope.version` Array(Array(String)),
    `request.resource_metrics.scope_metrics.scope.attributes` Array(Array(Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value Tuple(values Array(Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), kvlist_value Tuple(values Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String)))), bytes_value String))))),
    `request.resource_metrics.scope_metrics.scope.dropped_attributes_count` Array(Array(UInt32)),
    `request.resource_metrics.scope_metrics.schema_url` Array(Array(String)),
    `request.resource_metrics.scope_metrics.metrics.name` Array(Array(Array(String))),
    `request.resource_metrics.scope_metrics.metrics.description` Array(Array(Array(String))),
    `request.resource_metrics.scope_metrics.metrics.unit` Array(Array(Array(String))),
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.attributes.key` Array(Array(Array(Array(Array(String))))),
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.attributes.value` Array(Array(Array(Array(Array(String))))),
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.start_time_unix_nano` Array(Array(Array(Array(UInt64)))),
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.time_unix_nano` Array(Array(Array(Array(UInt64)))),
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.count` Array(Array(Array(Array(UInt64)))),
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.sum` Array(Array(Array(Array(Nullable(Float64))))),
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.bucket_counts` Array(Array(Array(Array(Array(UInt64))))),
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.explicit_bounds` Array(Array(Array(Array(Array(Float64))))),
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.exemplars` Array(Array(Array(Array(Array(Tuple(filtered_attributes Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), time_unix_nano UInt64, value Enum8('none' = 0, 'as_double' = 3, 'as_int' = 6), as_double Float64, as_int Int64, span_id String, trace_id String)))))),
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.flags` Array(Array(Array(Array(UInt32)))),
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.min` Array(Array(Array(Array(Nullable(Float64))))),
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.max` Array(Array(Array(Array(Nullable(Float64))))),
    `request.resource_metrics.scope_metrics.metrics.histogram.aggregation_temporality` Array(Array(Array(Int32))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.attributes.key` Array(Array(Array(Array(Array(String))))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.attributes.value` Array(Array(Array(Array(Array(String))))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.start_time_unix_nano` Array(Array(Array(Array(UInt64)))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.time_unix_nano` Array(Array(Array(Array(UInt64)))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.count` Array(Array(Array(Array(UInt64)))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.sum` Array(Array(Array(Array(Nullable(Float64))))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.scale` Array(Array(Array(Array(Int32)))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.zero_count` Array(Array(Array(Array(UInt64)))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.positive.offset` Array(Array(Array(Array(Int32)))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.positive.bucket_counts` Array(Array(Array(Array(Array(UInt64))))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.negative.offset` Array(Array(Array(Array(Int32)))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.negative.bucket_counts` Array(Array(Array(Array(Array(UInt64))))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.flags` Array(Array(Array(Array(UInt32)))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.exemplars` Array(Array(Array(Array(Array(Tuple(filtered_attributes Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), time_unix_nano UInt64, value Enum8('none' = 0, 'as_double' = 3, 'as_int' = 6), as_double Float64, as_int Int64, span_id String, trace_id String)))))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.min` Array(Array(Array(Array(Nullable(Float64))))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.max` Array(Array(Array(Array(Nullable(Float64))))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.zero_threshold` Array(Array(Array(Array(Float64)))),
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.aggregation_temporality` Array(Array(Array(Int32))),
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.attributes.key` Array(Array(Array(Array(Array(String))))),
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.attributes.value` Array(Array(Array(Array(Array(String))))),
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.start_time_unix_nano` Array(Array(Array(Array(UInt64)))),
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.time_unix_nano` Array(Array(Array(Array(UInt64)))),
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.count` Array(Array(Array(Array(UInt64)))),
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.sum` Array(Array(Array(Array(Float64)))),
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.quantile_values.quantile` Array(Array(Array(Array(Array(Float64))))),
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.quantile_values.value` Array(Array(Array(Array(Array(Float64))))),
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.flags` Array(Array(Array(Array(UInt32))))
)
ENGINE = Null;

-- Gauges and sums, a row a point.
CREATE TABLE IF NOT EXISTS metrics_v3
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    start_timestamp DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
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
SETTINGS enable_vertical_merge_algorithm = 0, merge_selector_base = 10, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- Histograms with explicit bounds.
CREATE TABLE IF NOT EXISTS metric_histograms
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    start_timestamp DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
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
SETTINGS enable_vertical_merge_algorithm = 0, merge_selector_base = 10, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- Histograms with exponential buckets: bucket i of scale s covers (2^(i/2^s), 2^((i+1)/2^s)].
CREATE TABLE IF NOT EXISTS metric_exponential_histograms
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    start_timestamp DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
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
SETTINGS enable_vertical_merge_algorithm = 0, merge_selector_base = 10, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS metric_summaries
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    start_timestamp DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
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
SETTINGS enable_vertical_merge_algorithm = 0, merge_selector_base = 10, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

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
SETTINGS enable_vertical_merge_algorithm = 0, merge_selector_base = 10, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- Rollups of gauges and sums over all series of a metric and a service, added to by every INSERT.
CREATE TABLE IF NOT EXISTS metrics_v3_hourly
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    hour DateTime('UTC') CODEC(ZSTD(1)),
    metric_name LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
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
ORDER BY (workspace_id, tenant_id, metric_name, service_name, hour, organization_id, retention_days)
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
ORDER BY (workspace_id, tenant_id, metric_name, service_name, date, organization_id, retention_days)
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

-- A point out of time or without a value is left out.
CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_metrics_to_metrics_v3 TO metrics_v3 AS
WITH
    arrayMap(v -> otlpRawText(v), p_attributes_value) AS texts,
    otlpRawMembers(p_attributes_key, p_attributes_value, texts, otlpNeedsEscape(p_attributes_key, texts)) AS members
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    otlpTime(p_time_unix_nano) AS timestamp,
    otlpTime(p_start_time_unix_nano) AS start_timestamp,
    m_name AS metric_name,
    service_name,
    resource,
    scope_name,
    scope_version,
    scope_attributes,
    concat('{', arrayStringConcat(members, ','), '}') AS attributes_json,
    cityHash64(resource, scope_name, arraySum(arrayMap(m -> cityHash64(m), members))) AS series_id,
    m_unit AS unit,
    if(p_value = 'as_int', toFloat64(p_as_int), p_as_double) AS value,
    p_value = 'as_int' AS value_is_int,
    if(empty(g_time_unix_nano), 'counter', 'gauge') AS metric_type,
    if(m_temporality BETWEEN 0 AND 2, m_temporality, 0) AS temporality,
    m_is_monotonic AS is_monotonic,
    p_flags AS flags,
    otlpTraceId(tupleElement(p_exemplars[1], 'trace_id')) AS exemplar_trace_id,
    otlpSpanId(tupleElement(p_exemplars[1], 'span_id')) AS exemplar_span_id,
    otlpTime(tupleElement(p_exemplars[1], 'time_unix_nano')) AS exemplar_timestamp,
    otlpExemplarValue(p_exemplars[1]) AS exemplar_value,
    if(notEmpty(p_exemplars), toJSONString(tupleElement(p_exemplars[1], 'filtered_attributes')), '') AS exemplar_attributes
FROM otlp_metrics
ARRAY JOIN
    arrayMap(a -> toLowCardinality(otlpServiceName(a)), `request.resource_metrics.resource.attributes`) AS service_name,
    arrayMap(a -> toLowCardinality(otlpObject(a)), `request.resource_metrics.resource.attributes`) AS resource,
    arrayMap(ss -> arrayMap(n -> toLowCardinality(n), ss), `request.resource_metrics.scope_metrics.scope.name`) AS scope_name_,
    arrayMap(ss -> arrayMap(n -> toLowCardinality(n), ss), `request.resource_metrics.scope_metrics.scope.version`) AS scope_version_,
    arrayMap(ss -> arrayMap(a -> toLowCardinality(toJSONString(a)), ss), `request.resource_metrics.scope_metrics.scope.attributes`) AS scope_attributes_,
    arrayMap(ss -> arrayMap(ms -> arrayMap(x -> toLowCardinality(x), ms), ss), `request.resource_metrics.scope_metrics.metrics.name`) AS m_name__,
    arrayMap(ss -> arrayMap(ms -> arrayMap(x -> toLowCardinality(x), ms), ss), `request.resource_metrics.scope_metrics.metrics.unit`) AS m_unit__,
    `request.resource_metrics.scope_metrics.metrics.sum.aggregation_temporality` AS m_temporality__,
    `request.resource_metrics.scope_metrics.metrics.sum.is_monotonic` AS m_is_monotonic__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.attributes.key` AS g_attributes_key__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.attributes.value` AS g_attributes_value__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.start_time_unix_nano` AS g_start_time_unix_nano__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.time_unix_nano` AS g_time_unix_nano__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.value` AS g_value__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.as_double` AS g_as_double__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.as_int` AS g_as_int__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.flags` AS g_flags__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.exemplars` AS g_exemplars__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.attributes.key` AS s_attributes_key__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.attributes.value` AS s_attributes_value__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.start_time_unix_nano` AS s_start_time_unix_nano__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.time_unix_nano` AS s_time_unix_nano__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.value` AS s_value__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.as_double` AS s_as_double__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.as_int` AS s_as_int__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.flags` AS s_flags__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.exemplars` AS s_exemplars__
ARRAY JOIN
    scope_name_ AS scope_name,
    scope_version_ AS scope_version,
    scope_attributes_ AS scope_attributes,
    m_name__ AS m_name_,
    m_unit__ AS m_unit_,
    m_temporality__ AS m_temporality_,
    m_is_monotonic__ AS m_is_monotonic_,
    g_attributes_key__ AS g_attributes_key_,
    g_attributes_value__ AS g_attributes_value_,
    g_start_time_unix_nano__ AS g_start_time_unix_nano_,
    g_time_unix_nano__ AS g_time_unix_nano_,
    g_value__ AS g_value_,
    g_as_double__ AS g_as_double_,
    g_as_int__ AS g_as_int_,
    g_flags__ AS g_flags_,
    g_exemplars__ AS g_exemplars_,
    s_attributes_key__ AS s_attributes_key_,
    s_attributes_value__ AS s_attributes_value_,
    s_start_time_unix_nano__ AS s_start_time_unix_nano_,
    s_time_unix_nano__ AS s_time_unix_nano_,
    s_value__ AS s_value_,
    s_as_double__ AS s_as_double_,
    s_as_int__ AS s_as_int_,
    s_flags__ AS s_flags_,
    s_exemplars__ AS s_exemplars_
ARRAY JOIN
    m_name_ AS m_name,
    m_unit_ AS m_unit,
    m_temporality_ AS m_temporality,
    m_is_monotonic_ AS m_is_monotonic,
    g_attributes_key_ AS g_attributes_key,
    g_attributes_value_ AS g_attributes_value,
    g_start_time_unix_nano_ AS g_start_time_unix_nano,
    g_time_unix_nano_ AS g_time_unix_nano,
    g_value_ AS g_value,
    g_as_double_ AS g_as_double,
    g_as_int_ AS g_as_int,
    g_flags_ AS g_flags,
    g_exemplars_ AS g_exemplars,
    s_attributes_key_ AS s_attributes_key,
    s_attributes_value_ AS s_attributes_value,
    s_start_time_unix_nano_ AS s_start_time_unix_nano,
    s_time_unix_nano_ AS s_time_unix_nano,
    s_value_ AS s_value,
    s_as_double_ AS s_as_double,
    s_as_int_ AS s_as_int,
    s_flags_ AS s_flags,
    s_exemplars_ AS s_exemplars
ARRAY JOIN
    arrayConcat(g_attributes_key, s_attributes_key) AS p_attributes_key,
    arrayConcat(g_attributes_value, s_attributes_value) AS p_attributes_value,
    arrayConcat(g_start_time_unix_nano, s_start_time_unix_nano) AS p_start_time_unix_nano,
    arrayConcat(g_time_unix_nano, s_time_unix_nano) AS p_time_unix_nano,
    arrayConcat(g_value, s_value) AS p_value,
    arrayConcat(g_as_double, s_as_double) AS p_as_double,
    arrayConcat(g_as_int, s_as_int) AS p_as_int,
    arrayConcat(g_flags, s_flags) AS p_flags,
    arrayConcat(g_exemplars, s_exemplars) AS p_exemplars
WHERE otlpIsTimely(p_time_unix_nano) AND p_value != 'none';

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_distributions_to_metric_histograms TO metric_histograms AS
WITH
    arrayMap(v -> otlpRawText(v), p_attributes_value) AS texts,
    otlpRawMembers(p_attributes_key, p_attributes_value, texts, otlpNeedsEscape(p_attributes_key, texts)) AS members
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    otlpTime(p_time_unix_nano) AS timestamp,
    otlpTime(p_start_time_unix_nano) AS start_timestamp,
    m_name AS metric_name,
    service_name,
    resource,
    scope_name,
    scope_version,
    scope_attributes,
    concat('{', arrayStringConcat(members, ','), '}') AS attributes_json,
    cityHash64(resource, scope_name, arraySum(arrayMap(m -> cityHash64(m), members))) AS series_id,
    m_unit AS unit,
    if(m_histogram_aggregation_temporality BETWEEN 0 AND 2, m_histogram_aggregation_temporality, 0) AS temporality,
    p_flags AS flags,
    p_explicit_bounds AS bucket_bounds,
    p_bucket_counts AS bucket_counts,
    p_sum AS sum,
    p_count AS count,
    p_min AS min,
    p_max AS max,
    arrayMap(e -> otlpTime(tupleElement(e, 'time_unix_nano')), p_exemplars) AS exemplar_timestamps,
    arrayMap(e -> otlpExemplarValue(e), p_exemplars) AS exemplar_values,
    arrayMap(e -> otlpTraceId(tupleElement(e, 'trace_id')), p_exemplars) AS exemplar_trace_ids,
    arrayMap(e -> otlpSpanId(tupleElement(e, 'span_id')), p_exemplars) AS exemplar_span_ids,
    arrayMap(e -> toJSONString(tupleElement(e, 'filtered_attributes')), p_exemplars) AS exemplar_attributes
FROM otlp_distributions
ARRAY JOIN
    arrayMap(a -> toLowCardinality(otlpServiceName(a)), `request.resource_metrics.resource.attributes`) AS service_name,
    arrayMap(a -> toLowCardinality(otlpObject(a)), `request.resource_metrics.resource.attributes`) AS resource,
    arrayMap(ss -> arrayMap(n -> toLowCardinality(n), ss), `request.resource_metrics.scope_metrics.scope.name`) AS scope_name_,
    arrayMap(ss -> arrayMap(n -> toLowCardinality(n), ss), `request.resource_metrics.scope_metrics.scope.version`) AS scope_version_,
    arrayMap(ss -> arrayMap(a -> toLowCardinality(toJSONString(a)), ss), `request.resource_metrics.scope_metrics.scope.attributes`) AS scope_attributes_,
    arrayMap(ss -> arrayMap(ms -> arrayMap(x -> toLowCardinality(x), ms), ss), `request.resource_metrics.scope_metrics.metrics.name`) AS m_name__,
    arrayMap(ss -> arrayMap(ms -> arrayMap(x -> toLowCardinality(x), ms), ss), `request.resource_metrics.scope_metrics.metrics.unit`) AS m_unit__,
    `request.resource_metrics.scope_metrics.metrics.histogram.aggregation_temporality` AS m_histogram_aggregation_temporality__,
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.attributes.key` AS p_attributes_key___,
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.attributes.value` AS p_attributes_value___,
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.start_time_unix_nano` AS p_start_time_unix_nano___,
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.time_unix_nano` AS p_time_unix_nano___,
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.count` AS p_count___,
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.sum` AS p_sum___,
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.bucket_counts` AS p_bucket_counts___,
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.explicit_bounds` AS p_explicit_bounds___,
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.flags` AS p_flags___,
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.min` AS p_min___,
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.max` AS p_max___,
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.exemplars` AS p_exemplars___
ARRAY JOIN
    scope_name_ AS scope_name,
    scope_version_ AS scope_version,
    scope_attributes_ AS scope_attributes,
    m_name__ AS m_name_,
    m_unit__ AS m_unit_,
    m_histogram_aggregation_temporality__ AS m_histogram_aggregation_temporality_,
    p_attributes_key___ AS p_attributes_key__,
    p_attributes_value___ AS p_attributes_value__,
    p_start_time_unix_nano___ AS p_start_time_unix_nano__,
    p_time_unix_nano___ AS p_time_unix_nano__,
    p_count___ AS p_count__,
    p_sum___ AS p_sum__,
    p_bucket_counts___ AS p_bucket_counts__,
    p_explicit_bounds___ AS p_explicit_bounds__,
    p_flags___ AS p_flags__,
    p_min___ AS p_min__,
    p_max___ AS p_max__,
    p_exemplars___ AS p_exemplars__
ARRAY JOIN
    m_name_ AS m_name,
    m_unit_ AS m_unit,
    m_histogram_aggregation_temporality_ AS m_histogram_aggregation_temporality,
    p_attributes_key__ AS p_attributes_key_,
    p_attributes_value__ AS p_attributes_value_,
    p_start_time_unix_nano__ AS p_start_time_unix_nano_,
    p_time_unix_nano__ AS p_time_unix_nano_,
    p_count__ AS p_count_,
    p_sum__ AS p_sum_,
    p_bucket_counts__ AS p_bucket_counts_,
    p_explicit_bounds__ AS p_explicit_bounds_,
    p_flags__ AS p_flags_,
    p_min__ AS p_min_,
    p_max__ AS p_max_,
    p_exemplars__ AS p_exemplars_
ARRAY JOIN
    p_attributes_key_ AS p_attributes_key,
    p_attributes_value_ AS p_attributes_value,
    p_start_time_unix_nano_ AS p_start_time_unix_nano,
    p_time_unix_nano_ AS p_time_unix_nano,
    p_count_ AS p_count,
    p_sum_ AS p_sum,
    p_bucket_counts_ AS p_bucket_counts,
    p_explicit_bounds_ AS p_explicit_bounds,
    p_flags_ AS p_flags,
    p_min_ AS p_min,
    p_max_ AS p_max,
    p_exemplars_ AS p_exemplars
WHERE otlpIsTimely(p_time_unix_nano);

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_distributions_to_metric_exponential_histograms TO metric_exponential_histograms AS
WITH
    arrayMap(v -> otlpRawText(v), p_attributes_value) AS texts,
    otlpRawMembers(p_attributes_key, p_attributes_value, texts, otlpNeedsEscape(p_attributes_key, texts)) AS members
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    otlpTime(p_time_unix_nano) AS timestamp,
    otlpTime(p_start_time_unix_nano) AS start_timestamp,
    m_name AS metric_name,
    service_name,
    resource,
    scope_name,
    scope_version,
    scope_attributes,
    concat('{', arrayStringConcat(members, ','), '}') AS attributes_json,
    cityHash64(resource, scope_name, arraySum(arrayMap(m -> cityHash64(m), members))) AS series_id,
    m_unit AS unit,
    if(m_exponential_histogram_aggregation_temporality BETWEEN 0 AND 2, m_exponential_histogram_aggregation_temporality, 0) AS temporality,
    p_flags AS flags,
    p_scale AS scale,
    p_zero_count AS zero_count,
    p_zero_threshold AS zero_threshold,
    p_positive_offset AS positive_offset,
    p_positive_bucket_counts AS positive_bucket_counts,
    p_negative_offset AS negative_offset,
    p_negative_bucket_counts AS negative_bucket_counts,
    p_sum AS sum,
    p_count AS count,
    p_min AS min,
    p_max AS max,
    arrayMap(e -> otlpTime(tupleElement(e, 'time_unix_nano')), p_exemplars) AS exemplar_timestamps,
    arrayMap(e -> otlpExemplarValue(e), p_exemplars) AS exemplar_values,
    arrayMap(e -> otlpTraceId(tupleElement(e, 'trace_id')), p_exemplars) AS exemplar_trace_ids,
    arrayMap(e -> otlpSpanId(tupleElement(e, 'span_id')), p_exemplars) AS exemplar_span_ids,
    arrayMap(e -> toJSONString(tupleElement(e, 'filtered_attributes')), p_exemplars) AS exemplar_attributes
FROM otlp_distributions
ARRAY JOIN
    arrayMap(a -> toLowCardinality(otlpServiceName(a)), `request.resource_metrics.resource.attributes`) AS service_name,
    arrayMap(a -> toLowCardinality(otlpObject(a)), `request.resource_metrics.resource.attributes`) AS resource,
    arrayMap(ss -> arrayMap(n -> toLowCardinality(n), ss), `request.resource_metrics.scope_metrics.scope.name`) AS scope_name_,
    arrayMap(ss -> arrayMap(n -> toLowCardinality(n), ss), `request.resource_metrics.scope_metrics.scope.version`) AS scope_version_,
    arrayMap(ss -> arrayMap(a -> toLowCardinality(toJSONString(a)), ss), `request.resource_metrics.scope_metrics.scope.attributes`) AS scope_attributes_,
    arrayMap(ss -> arrayMap(ms -> arrayMap(x -> toLowCardinality(x), ms), ss), `request.resource_metrics.scope_metrics.metrics.name`) AS m_name__,
    arrayMap(ss -> arrayMap(ms -> arrayMap(x -> toLowCardinality(x), ms), ss), `request.resource_metrics.scope_metrics.metrics.unit`) AS m_unit__,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.aggregation_temporality` AS m_exponential_histogram_aggregation_temporality__,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.attributes.key` AS p_attributes_key___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.attributes.value` AS p_attributes_value___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.start_time_unix_nano` AS p_start_time_unix_nano___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.time_unix_nano` AS p_time_unix_nano___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.count` AS p_count___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.sum` AS p_sum___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.scale` AS p_scale___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.zero_count` AS p_zero_count___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.positive.offset` AS p_positive_offset___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.positive.bucket_counts` AS p_positive_bucket_counts___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.negative.offset` AS p_negative_offset___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.negative.bucket_counts` AS p_negative_bucket_counts___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.flags` AS p_flags___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.exemplars` AS p_exemplars___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.min` AS p_min___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.max` AS p_max___,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.zero_threshold` AS p_zero_threshold___
ARRAY JOIN
    scope_name_ AS scope_name,
    scope_version_ AS scope_version,
    scope_attributes_ AS scope_attributes,
    m_name__ AS m_name_,
    m_unit__ AS m_unit_,
    m_exponential_histogram_aggregation_temporality__ AS m_exponential_histogram_aggregation_temporality_,
    p_attributes_key___ AS p_attributes_key__,
    p_attributes_value___ AS p_attributes_value__,
    p_start_time_unix_nano___ AS p_start_time_unix_nano__,
    p_time_unix_nano___ AS p_time_unix_nano__,
    p_count___ AS p_count__,
    p_sum___ AS p_sum__,
    p_scale___ AS p_scale__,
    p_zero_count___ AS p_zero_count__,
    p_positive_offset___ AS p_positive_offset__,
    p_positive_bucket_counts___ AS p_positive_bucket_counts__,
    p_negative_offset___ AS p_negative_offset__,
    p_negative_bucket_counts___ AS p_negative_bucket_counts__,
    p_flags___ AS p_flags__,
    p_exemplars___ AS p_exemplars__,
    p_min___ AS p_min__,
    p_max___ AS p_max__,
    p_zero_threshold___ AS p_zero_threshold__
ARRAY JOIN
    m_name_ AS m_name,
    m_unit_ AS m_unit,
    m_exponential_histogram_aggregation_temporality_ AS m_exponential_histogram_aggregation_temporality,
    p_attributes_key__ AS p_attributes_key_,
    p_attributes_value__ AS p_attributes_value_,
    p_start_time_unix_nano__ AS p_start_time_unix_nano_,
    p_time_unix_nano__ AS p_time_unix_nano_,
    p_count__ AS p_count_,
    p_sum__ AS p_sum_,
    p_scale__ AS p_scale_,
    p_zero_count__ AS p_zero_count_,
    p_positive_offset__ AS p_positive_offset_,
    p_positive_bucket_counts__ AS p_positive_bucket_counts_,
    p_negative_offset__ AS p_negative_offset_,
    p_negative_bucket_counts__ AS p_negative_bucket_counts_,
    p_flags__ AS p_flags_,
    p_exemplars__ AS p_exemplars_,
    p_min__ AS p_min_,
    p_max__ AS p_max_,
    p_zero_threshold__ AS p_zero_threshold_
ARRAY JOIN
    p_attributes_key_ AS p_attributes_key,
    p_attributes_value_ AS p_attributes_value,
    p_start_time_unix_nano_ AS p_start_time_unix_nano,
    p_time_unix_nano_ AS p_time_unix_nano,
    p_count_ AS p_count,
    p_sum_ AS p_sum,
    p_scale_ AS p_scale,
    p_zero_count_ AS p_zero_count,
    p_positive_offset_ AS p_positive_offset,
    p_positive_bucket_counts_ AS p_positive_bucket_counts,
    p_negative_offset_ AS p_negative_offset,
    p_negative_bucket_counts_ AS p_negative_bucket_counts,
    p_flags_ AS p_flags,
    p_exemplars_ AS p_exemplars,
    p_min_ AS p_min,
    p_max_ AS p_max,
    p_zero_threshold_ AS p_zero_threshold
WHERE otlpIsTimely(p_time_unix_nano);

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_distributions_to_metric_summaries TO metric_summaries AS
WITH
    arrayMap(v -> otlpRawText(v), p_attributes_value) AS texts,
    otlpRawMembers(p_attributes_key, p_attributes_value, texts, otlpNeedsEscape(p_attributes_key, texts)) AS members
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    otlpTime(p_time_unix_nano) AS timestamp,
    otlpTime(p_start_time_unix_nano) AS start_timestamp,
    m_name AS metric_name,
    service_name,
    resource,
    scope_name,
    scope_version,
    scope_attributes,
    concat('{', arrayStringConcat(members, ','), '}') AS attributes_json,
    cityHash64(resource, scope_name, arraySum(arrayMap(m -> cityHash64(m), members))) AS series_id,
    m_unit AS unit,
    p_flags AS flags,
    p_sum AS sum,
    p_count AS count,
    p_quantile_values_quantile AS quantiles,
    p_quantile_values_value AS quantile_values
FROM otlp_distributions
ARRAY JOIN
    arrayMap(a -> toLowCardinality(otlpServiceName(a)), `request.resource_metrics.resource.attributes`) AS service_name,
    arrayMap(a -> toLowCardinality(otlpObject(a)), `request.resource_metrics.resource.attributes`) AS resource,
    arrayMap(ss -> arrayMap(n -> toLowCardinality(n), ss), `request.resource_metrics.scope_metrics.scope.name`) AS scope_name_,
    arrayMap(ss -> arrayMap(n -> toLowCardinality(n), ss), `request.resource_metrics.scope_metrics.scope.version`) AS scope_version_,
    arrayMap(ss -> arrayMap(a -> toLowCardinality(toJSONString(a)), ss), `request.resource_metrics.scope_metrics.scope.attributes`) AS scope_attributes_,
    arrayMap(ss -> arrayMap(ms -> arrayMap(x -> toLowCardinality(x), ms), ss), `request.resource_metrics.scope_metrics.metrics.name`) AS m_name__,
    arrayMap(ss -> arrayMap(ms -> arrayMap(x -> toLowCardinality(x), ms), ss), `request.resource_metrics.scope_metrics.metrics.unit`) AS m_unit__,
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.attributes.key` AS p_attributes_key___,
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.attributes.value` AS p_attributes_value___,
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.start_time_unix_nano` AS p_start_time_unix_nano___,
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.time_unix_nano` AS p_time_unix_nano___,
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.count` AS p_count___,
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.sum` AS p_sum___,
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.quantile_values.quantile` AS p_quantile_values_quantile___,
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.quantile_values.value` AS p_quantile_values_value___,
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.flags` AS p_flags___
ARRAY JOIN
    scope_name_ AS scope_name,
    scope_version_ AS scope_version,
    scope_attributes_ AS scope_attributes,
    m_name__ AS m_name_,
    m_unit__ AS m_unit_,
    p_attributes_key___ AS p_attributes_key__,
    p_attributes_value___ AS p_attributes_value__,
    p_start_time_unix_nano___ AS p_start_time_unix_nano__,
    p_time_unix_nano___ AS p_time_unix_nano__,
    p_count___ AS p_count__,
    p_sum___ AS p_sum__,
    p_quantile_values_quantile___ AS p_quantile_values_quantile__,
    p_quantile_values_value___ AS p_quantile_values_value__,
    p_flags___ AS p_flags__
ARRAY JOIN
    m_name_ AS m_name,
    m_unit_ AS m_unit,
    p_attributes_key__ AS p_attributes_key_,
    p_attributes_value__ AS p_attributes_value_,
    p_start_time_unix_nano__ AS p_start_time_unix_nano_,
    p_time_unix_nano__ AS p_time_unix_nano_,
    p_count__ AS p_count_,
    p_sum__ AS p_sum_,
    p_quantile_values_quantile__ AS p_quantile_values_quantile_,
    p_quantile_values_value__ AS p_quantile_values_value_,
    p_flags__ AS p_flags_
ARRAY JOIN
    p_attributes_key_ AS p_attributes_key,
    p_attributes_value_ AS p_attributes_value,
    p_start_time_unix_nano_ AS p_start_time_unix_nano,
    p_time_unix_nano_ AS p_time_unix_nano,
    p_count_ AS p_count,
    p_sum_ AS p_sum,
    p_quantile_values_quantile_ AS p_quantile_values_quantile,
    p_quantile_values_value_ AS p_quantile_values_value,
    p_flags_ AS p_flags
WHERE otlpIsTimely(p_time_unix_nano);

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_metrics_to_exemplars_v3 TO exemplars_v3 AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    otlpTime(e.time_unix_nano) AS timestamp,
    m_name AS metric_name,
    service_name,
    otlpTraceId(e.trace_id) AS trace_id,
    otlpSpanId(e.span_id) AS span_id,
    otlpExemplarValue(e) AS value,
    toJSONString(e.filtered_attributes) AS attributes
FROM otlp_metrics
ARRAY JOIN
    arrayMap(a -> toLowCardinality(otlpServiceName(a)), `request.resource_metrics.resource.attributes`) AS service_name,
    `request.resource_metrics.scope_metrics.metrics.name` AS m_name__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.exemplars` AS m_gauge_exemplars__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.exemplars` AS m_sum_exemplars__
ARRAY JOIN
    m_name__ AS m_name_,
    m_gauge_exemplars__ AS m_gauge_exemplars_,
    m_sum_exemplars__ AS m_sum_exemplars_
ARRAY JOIN
    m_name_ AS m_name,
    m_gauge_exemplars_ AS m_gauge_exemplars,
    m_sum_exemplars_ AS m_sum_exemplars
ARRAY JOIN
    arrayConcat(m_gauge_exemplars, m_sum_exemplars) AS e_
ARRAY JOIN
    e_ AS e
WHERE otlpIsTimely(e.time_unix_nano);

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_distributions_to_exemplars_v3 TO exemplars_v3 AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    otlpTime(e.time_unix_nano) AS timestamp,
    m_name AS metric_name,
    service_name,
    otlpTraceId(e.trace_id) AS trace_id,
    otlpSpanId(e.span_id) AS span_id,
    otlpExemplarValue(e) AS value,
    toJSONString(e.filtered_attributes) AS attributes
FROM otlp_distributions
ARRAY JOIN
    arrayMap(a -> toLowCardinality(otlpServiceName(a)), `request.resource_metrics.resource.attributes`) AS service_name,
    `request.resource_metrics.scope_metrics.metrics.name` AS m_name__,
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.exemplars` AS m_histogram_exemplars__,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.exemplars` AS m_exponential_histogram_exemplars__
ARRAY JOIN
    m_name__ AS m_name_,
    m_histogram_exemplars__ AS m_histogram_exemplars_,
    m_exponential_histogram_exemplars__ AS m_exponential_histogram_exemplars_
ARRAY JOIN
    m_name_ AS m_name,
    m_histogram_exemplars_ AS m_histogram_exemplars,
    m_exponential_histogram_exemplars_ AS m_exponential_histogram_exemplars
ARRAY JOIN
    arrayConcat(m_histogram_exemplars, m_exponential_histogram_exemplars) AS e_
ARRAY JOIN
    e_ AS e
WHERE otlpIsTimely(e.time_unix_nano);

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_metrics_to_metrics_v3_hourly TO metrics_v3_hourly AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    toStartOfHour(otlpTime(time_unix_nano)) AS hour,
    m_name AS metric_name,
    service_name,
    sum(value) AS sum_value,
    min(value) AS min_value,
    max(value) AS max_value,
    count() AS count
FROM otlp_metrics
ARRAY JOIN
    arrayMap(a -> toLowCardinality(otlpServiceName(a)), `request.resource_metrics.resource.attributes`) AS service_name,
    `request.resource_metrics.scope_metrics.metrics.name` AS m_name__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.time_unix_nano` AS m_gauge_time_unix_nano__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.value` AS m_gauge_value__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.as_double` AS m_gauge_as_double__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.as_int` AS m_gauge_as_int__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.time_unix_nano` AS m_sum_time_unix_nano__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.value` AS m_sum_value__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.as_double` AS m_sum_as_double__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.as_int` AS m_sum_as_int__
ARRAY JOIN
    m_name__ AS m_name_,
    m_gauge_time_unix_nano__ AS m_gauge_time_unix_nano_,
    m_gauge_value__ AS m_gauge_value_,
    m_gauge_as_double__ AS m_gauge_as_double_,
    m_gauge_as_int__ AS m_gauge_as_int_,
    m_sum_time_unix_nano__ AS m_sum_time_unix_nano_,
    m_sum_value__ AS m_sum_value_,
    m_sum_as_double__ AS m_sum_as_double_,
    m_sum_as_int__ AS m_sum_as_int_
ARRAY JOIN
    m_name_ AS m_name,
    m_gauge_time_unix_nano_ AS m_gauge_time_unix_nano,
    m_gauge_value_ AS m_gauge_value,
    m_gauge_as_double_ AS m_gauge_as_double,
    m_gauge_as_int_ AS m_gauge_as_int,
    m_sum_time_unix_nano_ AS m_sum_time_unix_nano,
    m_sum_value_ AS m_sum_value,
    m_sum_as_double_ AS m_sum_as_double,
    m_sum_as_int_ AS m_sum_as_int
ARRAY JOIN
    arrayConcat(m_gauge_time_unix_nano, m_sum_time_unix_nano) AS time_unix_nano,
    arrayConcat(m_gauge_value, m_sum_value) AS kind,
    arrayConcat(arrayMap((kind, d, i) -> if(kind = 'as_int', toFloat64(i), d), m_gauge_value, m_gauge_as_double, m_gauge_as_int), arrayMap((kind, d, i) -> if(kind = 'as_int', toFloat64(i), d), m_sum_value, m_sum_as_double, m_sum_as_int)) AS value
WHERE otlpIsTimely(time_unix_nano) AND kind != 'none'
GROUP BY organization_id, workspace_id, tenant_id, retention_days, metric_name, service_name, hour;

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_metrics_to_metrics_v3_daily TO metrics_v3_daily AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    toDate(otlpTime(time_unix_nano)) AS date,
    m_name AS metric_name,
    service_name,
    sum(value) AS sum_value,
    min(value) AS min_value,
    max(value) AS max_value,
    count() AS count
FROM otlp_metrics
ARRAY JOIN
    arrayMap(a -> toLowCardinality(otlpServiceName(a)), `request.resource_metrics.resource.attributes`) AS service_name,
    `request.resource_metrics.scope_metrics.metrics.name` AS m_name__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.time_unix_nano` AS m_gauge_time_unix_nano__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.value` AS m_gauge_value__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.as_double` AS m_gauge_as_double__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.as_int` AS m_gauge_as_int__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.time_unix_nano` AS m_sum_time_unix_nano__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.value` AS m_sum_value__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.as_double` AS m_sum_as_double__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.as_int` AS m_sum_as_int__
ARRAY JOIN
    m_name__ AS m_name_,
    m_gauge_time_unix_nano__ AS m_gauge_time_unix_nano_,
    m_gauge_value__ AS m_gauge_value_,
    m_gauge_as_double__ AS m_gauge_as_double_,
    m_gauge_as_int__ AS m_gauge_as_int_,
    m_sum_time_unix_nano__ AS m_sum_time_unix_nano_,
    m_sum_value__ AS m_sum_value_,
    m_sum_as_double__ AS m_sum_as_double_,
    m_sum_as_int__ AS m_sum_as_int_
ARRAY JOIN
    m_name_ AS m_name,
    m_gauge_time_unix_nano_ AS m_gauge_time_unix_nano,
    m_gauge_value_ AS m_gauge_value,
    m_gauge_as_double_ AS m_gauge_as_double,
    m_gauge_as_int_ AS m_gauge_as_int,
    m_sum_time_unix_nano_ AS m_sum_time_unix_nano,
    m_sum_value_ AS m_sum_value,
    m_sum_as_double_ AS m_sum_as_double,
    m_sum_as_int_ AS m_sum_as_int
ARRAY JOIN
    arrayConcat(m_gauge_time_unix_nano, m_sum_time_unix_nano) AS time_unix_nano,
    arrayConcat(m_gauge_value, m_sum_value) AS kind,
    arrayConcat(arrayMap((kind, d, i) -> if(kind = 'as_int', toFloat64(i), d), m_gauge_value, m_gauge_as_double, m_gauge_as_int), arrayMap((kind, d, i) -> if(kind = 'as_int', toFloat64(i), d), m_sum_value, m_sum_as_double, m_sum_as_int)) AS value
WHERE otlpIsTimely(time_unix_nano) AND kind != 'none'
GROUP BY organization_id, workspace_id, tenant_id, retention_days, metric_name, service_name, date;

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_metrics_to_metric_catalogue TO metric_catalogue AS
WITH
    arrayFilter(t -> t != 0, arrayConcat(m_gauge_time_unix_nano, m_sum_time_unix_nano)) AS times
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    m_name AS metric_name,
    service_name,
    if(notEmpty(m_gauge_time_unix_nano), 'gauge', 'counter')::Enum8('gauge' = 1, 'counter' = 2, 'histogram' = 3, 'summary' = 4, 'exponential_histogram' = 5) AS metric_type,
    if(m_sum_aggregation_temporality BETWEEN 0 AND 2, m_sum_aggregation_temporality, 0) AS temporality,
    m_sum_is_monotonic AS is_monotonic,
    m_unit AS unit,
    anyLast(m_description) AS description,
    min(otlpTime(arrayMin(times))) AS first_seen,
    max(otlpTime(arrayMax(times))) AS last_seen
FROM otlp_metrics
ARRAY JOIN
    arrayMap(a -> toLowCardinality(otlpServiceName(a)), `request.resource_metrics.resource.attributes`) AS service_name,
    `request.resource_metrics.scope_metrics.metrics.name` AS m_name__,
    `request.resource_metrics.scope_metrics.metrics.description` AS m_description__,
    `request.resource_metrics.scope_metrics.metrics.unit` AS m_unit__,
    `request.resource_metrics.scope_metrics.metrics.gauge.data_points.time_unix_nano` AS m_gauge_time_unix_nano__,
    `request.resource_metrics.scope_metrics.metrics.sum.data_points.time_unix_nano` AS m_sum_time_unix_nano__,
    `request.resource_metrics.scope_metrics.metrics.sum.aggregation_temporality` AS m_sum_aggregation_temporality__,
    `request.resource_metrics.scope_metrics.metrics.sum.is_monotonic` AS m_sum_is_monotonic__
ARRAY JOIN
    m_name__ AS m_name_,
    m_description__ AS m_description_,
    m_unit__ AS m_unit_,
    m_gauge_time_unix_nano__ AS m_gauge_time_unix_nano_,
    m_sum_time_unix_nano__ AS m_sum_time_unix_nano_,
    m_sum_aggregation_temporality__ AS m_sum_aggregation_temporality_,
    m_sum_is_monotonic__ AS m_sum_is_monotonic_
ARRAY JOIN
    m_name_ AS m_name,
    m_description_ AS m_description,
    m_unit_ AS m_unit,
    m_gauge_time_unix_nano_ AS m_gauge_time_unix_nano,
    m_sum_time_unix_nano_ AS m_sum_time_unix_nano,
    m_sum_aggregation_temporality_ AS m_sum_aggregation_temporality,
    m_sum_is_monotonic_ AS m_sum_is_monotonic
WHERE notEmpty(times)
GROUP BY organization_id, workspace_id, tenant_id, retention_days, metric_name, service_name, metric_type, temporality, is_monotonic, unit;

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_distributions_to_metric_catalogue TO metric_catalogue AS
WITH
    arrayFilter(t -> t != 0, arrayConcat(m_histogram_time_unix_nano, m_exponential_histogram_time_unix_nano, m_summary_time_unix_nano)) AS times
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    m_name AS metric_name,
    service_name,
    multiIf(notEmpty(m_histogram_time_unix_nano), 'histogram', notEmpty(m_summary_time_unix_nano), 'summary', 'exponential_histogram')::Enum8('gauge' = 1, 'counter' = 2, 'histogram' = 3, 'summary' = 4, 'exponential_histogram' = 5) AS metric_type,
    if(greatest(m_histogram_aggregation_temporality, m_exponential_histogram_aggregation_temporality) BETWEEN 0 AND 2, greatest(m_histogram_aggregation_temporality, m_exponential_histogram_aggregation_temporality), 0) AS temporality,
    0 AS is_monotonic,
    m_unit AS unit,
    anyLast(m_description) AS description,
    min(otlpTime(arrayMin(times))) AS first_seen,
    max(otlpTime(arrayMax(times))) AS last_seen
FROM otlp_distributions
ARRAY JOIN
    arrayMap(a -> toLowCardinality(otlpServiceName(a)), `request.resource_metrics.resource.attributes`) AS service_name,
    `request.resource_metrics.scope_metrics.metrics.name` AS m_name__,
    `request.resource_metrics.scope_metrics.metrics.description` AS m_description__,
    `request.resource_metrics.scope_metrics.metrics.unit` AS m_unit__,
    `request.resource_metrics.scope_metrics.metrics.histogram.data_points.time_unix_nano` AS m_histogram_time_unix_nano__,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.data_points.time_unix_nano` AS m_exponential_histogram_time_unix_nano__,
    `request.resource_metrics.scope_metrics.metrics.summary.data_points.time_unix_nano` AS m_summary_time_unix_nano__,
    `request.resource_metrics.scope_metrics.metrics.histogram.aggregation_temporality` AS m_histogram_aggregation_temporality__,
    `request.resource_metrics.scope_metrics.metrics.exponential_histogram.aggregation_temporality` AS m_exponential_histogram_aggregation_temporality__
ARRAY JOIN
    m_name__ AS m_name_,
    m_description__ AS m_description_,
    m_unit__ AS m_unit_,
    m_histogram_time_unix_nano__ AS m_histogram_time_unix_nano_,
    m_exponential_histogram_time_unix_nano__ AS m_exponential_histogram_time_unix_nano_,
    m_summary_time_unix_nano__ AS m_summary_time_unix_nano_,
    m_histogram_aggregation_temporality__ AS m_histogram_aggregation_temporality_,
    m_exponential_histogram_aggregation_temporality__ AS m_exponential_histogram_aggregation_temporality_
ARRAY JOIN
    m_name_ AS m_name,
    m_description_ AS m_description,
    m_unit_ AS m_unit,
    m_histogram_time_unix_nano_ AS m_histogram_time_unix_nano,
    m_exponential_histogram_time_unix_nano_ AS m_exponential_histogram_time_unix_nano,
    m_summary_time_unix_nano_ AS m_summary_time_unix_nano,
    m_histogram_aggregation_temporality_ AS m_histogram_aggregation_temporality,
    m_exponential_histogram_aggregation_temporality_ AS m_exponential_histogram_aggregation_temporality
WHERE notEmpty(times)
GROUP BY organization_id, workspace_id, tenant_id, retention_days, metric_name, service_name, metric_type, temporality, is_monotonic, unit;

-- The only way to read metrics: for one tenant, which must be named.
CREATE VIEW IF NOT EXISTS metrics AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), resource_attributes, attributes
FROM metrics_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS histograms AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), resource_attributes, attributes
FROM metric_histograms
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS exponential_histograms AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), resource_attributes, attributes
FROM metric_exponential_histograms
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS summaries AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), resource_attributes, attributes
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

