-- Log records: the Null table that ClickHouse decodes OTLP into, and what is stored from it.

-- A column is the path to a field, as deep in arrays as that field is in repeated messages.
CREATE TABLE IF NOT EXISTS otlp_logs
(
    organization_id UUID,
    workspace_id UUID,
    tenant_id UUID,
    retention_days UInt16,
    digest String,
    `request.resource_logs.resource.attributes` Array(Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value Tuple(values Array(Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), kvlist_value Tuple(values Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String)))), bytes_value String)))),
    `request.resource_logs.resource.dropped_attributes_count` Array(UInt32),
    `request.resource_logs.schema_url` Array(String),
    `request.resource_logs.scope_logs.scope.name` Array(Array(String)),
    `request.resource_logs.scope_logs.scope.version` Array(Array(String)),
    `request.resource_logs.scope_logs.scope.attributes` Array(Array(Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value Tuple(values Array(Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), kvlist_value Tuple(values Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String)))), bytes_value String))))),
    `request.resource_logs.scope_logs.scope.dropped_attributes_count` Array(Array(UInt32)),
    `request.resource_logs.scope_logs.schema_url` Array(Array(String)),
    `request.resource_logs.scope_logs.log_records.time_unix_nano` Array(Array(Array(UInt64))),
    `request.resource_logs.scope_logs.log_records.observed_time_unix_nano` Array(Array(Array(UInt64))),
    `request.resource_logs.scope_logs.log_records.severity_number` Array(Array(Array(Int32))),
    `request.resource_logs.scope_logs.log_records.severity_text` Array(Array(Array(String))),
    `request.resource_logs.scope_logs.log_records.body` Array(Array(Array(Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value Tuple(values Array(Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), kvlist_value Tuple(values Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String)))), bytes_value String)))),
    `request.resource_logs.scope_logs.log_records.attributes` Array(Array(Array(Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value Tuple(values Array(Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), kvlist_value Tuple(values Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String)))), bytes_value String)))))),
    `request.resource_logs.scope_logs.log_records.dropped_attributes_count` Array(Array(Array(UInt32))),
    `request.resource_logs.scope_logs.log_records.flags` Array(Array(Array(UInt32))),
    `request.resource_logs.scope_logs.log_records.trace_id` Array(Array(Array(String))),
    `request.resource_logs.scope_logs.log_records.span_id` Array(Array(Array(String))),
    `request.resource_logs.scope_logs.log_records.event_name` Array(Array(Array(String)))
)
ENGINE = Null;

CREATE TABLE IF NOT EXISTS logs_v3
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    observed_timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    trace_id FixedString(16) CODEC(LZ4),
    span_id FixedString(8) CODEC(LZ4),
    trace_flags UInt32 CODEC(ZSTD(1)),
    severity_text LowCardinality(String) CODEC(ZSTD(1)),
    severity_number UInt8 CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    resource LowCardinality(String) CODEC(ZSTD(1)),
    resource_attributes Map(String, String) ALIAS JSONExtract(resource, 'Map(String, String)'),
    resource_dropped_attributes_count UInt32 CODEC(ZSTD(1)),
    resource_schema_url LowCardinality(String) CODEC(ZSTD(1)),
    scope_name LowCardinality(String) CODEC(ZSTD(1)),
    scope_version LowCardinality(String) CODEC(ZSTD(1)),
    scope_attributes LowCardinality(String) CODEC(ZSTD(1)),
    scope_dropped_attributes_count UInt32 CODEC(ZSTD(1)),
    scope_schema_url LowCardinality(String) CODEC(ZSTD(1)),
    body String CODEC(ZSTD(1)),
    body_kind Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7) CODEC(ZSTD(1)),
    log_attributes_json String CODEC(ZSTD(1)),
    log_attributes Map(String, String) ALIAS JSONExtract(log_attributes_json, 'Map(String, String)'),
    event_name LowCardinality(String) CODEC(ZSTD(1)),
    dropped_attributes_count UInt32 CODEC(ZSTD(1)),
    INDEX by_severity severity_number TYPE minmax GRANULARITY 1,
    INDEX by_word body TYPE text(tokenizer = 'splitByNonAlpha', preprocessor = lower(body)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, toStartOfFiveMinutes(timestamp), service_name, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS enable_vertical_merge_algorithm = 0, merge_selector_base = 10, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- The records of a trace, in the order of trace ids.
CREATE TABLE IF NOT EXISTS logs_v3_by_trace
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    span_id FixedString(8) CODEC(LZ4),
    severity_text LowCardinality(String) CODEC(ZSTD(1)),
    severity_number UInt8 CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    body String CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, trace_id, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS enable_vertical_merge_algorithm = 0, merge_selector_base = 10, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- A record without a time takes the time it was observed at, or that of its arrival. Ids of a wrong length become zeros,
-- which means "none".
CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_logs_to_logs_v3 TO logs_v3 AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    otlpLogTime(l_time_unix_nano, l_observed_time_unix_nano) AS timestamp,
    otlpTime(l_observed_time_unix_nano) AS observed_timestamp,
    otlpTraceId(l_trace_id) AS trace_id,
    otlpSpanId(l_span_id) AS span_id,
    l_flags AS trace_flags,
    l_severity_text AS severity_text,
    if(l_severity_number BETWEEN 0 AND 24, l_severity_number, 0) AS severity_number,
    service_name,
    resource,
    resource_dropped_attributes_count,
    resource_schema_url,
    scope_name,
    scope_version,
    scope_attributes,
    scope_dropped_attributes_count,
    scope_schema_url,
    otlpBody(l_body) AS body,
    tupleElement(l_body, 1) AS body_kind,
    otlpObject(l_attributes) AS log_attributes_json,
    l_event_name AS event_name,
    l_dropped_attributes_count AS dropped_attributes_count
FROM otlp_logs
ARRAY JOIN
    arrayMap(a -> toLowCardinality(otlpServiceName(a)), `request.resource_logs.resource.attributes`) AS service_name,
    arrayMap(a -> toLowCardinality(otlpObject(a)), `request.resource_logs.resource.attributes`) AS resource,
    `request.resource_logs.resource.dropped_attributes_count` AS resource_dropped_attributes_count,
    arrayMap(u -> toLowCardinality(u), `request.resource_logs.schema_url`) AS resource_schema_url,
    arrayMap(ss -> arrayMap(n -> toLowCardinality(n), ss), `request.resource_logs.scope_logs.scope.name`) AS scope_name_,
    arrayMap(ss -> arrayMap(n -> toLowCardinality(n), ss), `request.resource_logs.scope_logs.scope.version`) AS scope_version_,
    arrayMap(ss -> arrayMap(a -> toLowCardinality(toJSONString(a)), ss), `request.resource_logs.scope_logs.scope.attributes`) AS scope_attributes_,
    `request.resource_logs.scope_logs.scope.dropped_attributes_count` AS scope_dropped_attributes_count_,
    arrayMap(ss -> arrayMap(u -> toLowCardinality(u), ss), `request.resource_logs.scope_logs.schema_url`) AS scope_schema_url_,
    `request.resource_logs.scope_logs.log_records.time_unix_nano` AS l_time_unix_nano__,
    `request.resource_logs.scope_logs.log_records.observed_time_unix_nano` AS l_observed_time_unix_nano__,
    `request.resource_logs.scope_logs.log_records.severity_number` AS l_severity_number__,
    `request.resource_logs.scope_logs.log_records.severity_text` AS l_severity_text__,
    `request.resource_logs.scope_logs.log_records.body` AS l_body__,
    `request.resource_logs.scope_logs.log_records.attributes` AS l_attributes__,
    `request.resource_logs.scope_logs.log_records.dropped_attributes_count` AS l_dropped_attributes_count__,
    `request.resource_logs.scope_logs.log_records.flags` AS l_flags__,
    `request.resource_logs.scope_logs.log_records.trace_id` AS l_trace_id__,
    `request.resource_logs.scope_logs.log_records.span_id` AS l_span_id__,
    `request.resource_logs.scope_logs.log_records.event_name` AS l_event_name__
ARRAY JOIN
    scope_name_ AS scope_name,
    scope_version_ AS scope_version,
    scope_attributes_ AS scope_attributes,
    scope_dropped_attributes_count_ AS scope_dropped_attributes_count,
    scope_schema_url_ AS scope_schema_url,
    l_time_unix_nano__ AS l_time_unix_nano_,
    l_observed_time_unix_nano__ AS l_observed_time_unix_nano_,
    l_severity_number__ AS l_severity_number_,
    l_severity_text__ AS l_severity_text_,
    l_body__ AS l_body_,
    l_attributes__ AS l_attributes_,
    l_dropped_attributes_count__ AS l_dropped_attributes_count_,
    l_flags__ AS l_flags_,
    l_trace_id__ AS l_trace_id_,
    l_span_id__ AS l_span_id_,
    l_event_name__ AS l_event_name_
ARRAY JOIN
    l_time_unix_nano_ AS l_time_unix_nano,
    l_observed_time_unix_nano_ AS l_observed_time_unix_nano,
    l_severity_number_ AS l_severity_number,
    l_severity_text_ AS l_severity_text,
    l_body_ AS l_body,
    l_attributes_ AS l_attributes,
    l_dropped_attributes_count_ AS l_dropped_attributes_count,
    l_flags_ AS l_flags,
    l_trace_id_ AS l_trace_id,
    l_span_id_ AS l_span_id,
    l_event_name_ AS l_event_name
WHERE ((l_time_unix_nano = 0 AND l_observed_time_unix_nano = 0) OR otlpIsTimely(if(l_time_unix_nano != 0, l_time_unix_nano, l_observed_time_unix_nano)));

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_logs_to_logs_v3_by_trace TO logs_v3_by_trace AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    otlpTraceId(l_trace_id) AS trace_id,
    otlpLogTime(l_time_unix_nano, l_observed_time_unix_nano) AS timestamp,
    otlpSpanId(l_span_id) AS span_id,
    l_severity_text AS severity_text,
    if(l_severity_number BETWEEN 0 AND 24, l_severity_number, 0) AS severity_number,
    service_name,
    otlpBody(l_body) AS body
FROM otlp_logs
ARRAY JOIN
    arrayMap(a -> toLowCardinality(otlpServiceName(a)), `request.resource_logs.resource.attributes`) AS service_name,
    `request.resource_logs.scope_logs.log_records.time_unix_nano` AS l_time_unix_nano__,
    `request.resource_logs.scope_logs.log_records.observed_time_unix_nano` AS l_observed_time_unix_nano__,
    `request.resource_logs.scope_logs.log_records.severity_number` AS l_severity_number__,
    `request.resource_logs.scope_logs.log_records.severity_text` AS l_severity_text__,
    `request.resource_logs.scope_logs.log_records.body` AS l_body__,
    `request.resource_logs.scope_logs.log_records.trace_id` AS l_trace_id__,
    `request.resource_logs.scope_logs.log_records.span_id` AS l_span_id__
ARRAY JOIN
    l_time_unix_nano__ AS l_time_unix_nano_,
    l_observed_time_unix_nano__ AS l_observed_time_unix_nano_,
    l_severity_number__ AS l_severity_number_,
    l_severity_text__ AS l_severity_text_,
    l_body__ AS l_body_,
    l_trace_id__ AS l_trace_id_,
    l_span_id__ AS l_span_id_
ARRAY JOIN
    l_time_unix_nano_ AS l_time_unix_nano,
    l_observed_time_unix_nano_ AS l_observed_time_unix_nano,
    l_severity_number_ AS l_severity_number,
    l_severity_text_ AS l_severity_text,
    l_body_ AS l_body,
    l_trace_id_ AS l_trace_id,
    l_span_id_ AS l_span_id
WHERE trace_id != toFixedString('', 16) AND ((l_time_unix_nano = 0 AND l_observed_time_unix_nano = 0) OR otlpIsTimely(if(l_time_unix_nano != 0, l_time_unix_nano, l_observed_time_unix_nano)));

-- The only way to read log records: for one tenant, which must be named.
CREATE VIEW IF NOT EXISTS logs AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), resource_attributes, log_attributes
FROM logs_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS logs_by_trace AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM logs_v3_by_trace
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
