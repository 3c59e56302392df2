-- Spans: one Null table that ClickHouse decodes OTLP into, and what is stored from it.
-- The attributes of a resource and of a scope are stored as one JSON text in a low-cardinality column: they repeat over many rows, so that a
-- row costs an index into a dictionary. resource_attributes reads it as the map of the schema document.

-- A column is the path to a field, as deep in arrays as that field is in repeated messages; events and links, which are
-- rare, are one column each, since every column of a view costs at every INSERT.
CREATE TABLE IF NOT EXISTS otlp_traces
(
    organization_id UUID,
    workspace_id UUID,
    tenant_id UUID,
    retention_days UInt16,
    digest String,
    `request.resource_spans.resource.attributes` Array(Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value Tuple(values Array(Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), kvlist_value Tuple(values Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String)))), bytes_value String)))),
    `request.resource_spans.resource.dropped_attributes_count` Array(UInt32),
    `request.resource_spans.schema_url` Array(String),
    `request.resource_spans.scope_spans.scope.name` Array(Array(String)),
    `request.resource_spans.scope_spans.scope.version` Array(Array(String)),
    `request.resource_spans.scope_spans.scope.attributes` Array(Array(Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value Tuple(values Array(Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), kvlist_value Tuple(values Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String)))), bytes_value String))))),
    `request.resource_spans.scope_spans.scope.dropped_attributes_count` Array(Array(UInt32)),
    `request.resource_spans.scope_spans.schema_url` Array(Array(String)),
    `request.resource_spans.scope_spans.spans.trace_id` Array(Array(Array(String))),
    `request.resource_spans.scope_spans.spans.span_id` Array(Array(Array(String))),
    `request.resource_spans.scope_spans.spans.trace_state` Array(Array(Array(String))),
    `request.resource_spans.scope_spans.spans.parent_span_id` Array(Array(Array(String))),
    `request.resource_spans.scope_spans.spans.flags` Array(Array(Array(UInt32))),
    `request.resource_spans.scope_spans.spans.name` Array(Array(Array(String))),
    `request.resource_spans.scope_spans.spans.kind` Array(Array(Array(Int32))),
    `request.resource_spans.scope_spans.spans.start_time_unix_nano` Array(Array(Array(UInt64))),
    `request.resource_spans.scope_spans.spans.end_time_unix_nano` Array(Array(Array(UInt64))),
    `request.resource_spans.scope_spans.spans.attributes` Array(Array(Array(Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value Tuple(values Array(Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), kvlist_value Tuple(values Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String)))), bytes_value String)))))),
    `request.resource_spans.scope_spans.spans.dropped_attributes_count` Array(Array(Array(UInt32))),
    `request.resource_spans.scope_spans.spans.events` Array(Array(Array(Array(Tuple(time_unix_nano UInt64, name String, attributes Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value Tuple(values Array(Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), kvlist_value Tuple(values Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String)))), bytes_value String))), dropped_attributes_count UInt32))))),
    `request.resource_spans.scope_spans.spans.dropped_events_count` Array(Array(Array(UInt32))),
    `request.resource_spans.scope_spans.spans.links` Array(Array(Array(Array(Tuple(trace_id String, span_id String, trace_state String, attributes Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value Tuple(values Array(Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String))), kvlist_value Tuple(values Array(Tuple(key String, value Tuple(value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7), string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, kvlist_value String, bytes_value String)))), bytes_value String))), dropped_attributes_count UInt32, flags UInt32))))),
    `request.resource_spans.scope_spans.spans.dropped_links_count` Array(Array(Array(UInt32))),
    `request.resource_spans.scope_spans.spans.status.message` Array(Array(Array(String))),
    `request.resource_spans.scope_spans.spans.status.code` Array(Array(Array(Int32)))
)
ENGINE = Null;

CREATE TABLE IF NOT EXISTS traces_v3
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    end_timestamp DateTime64(9, 'UTC') ALIAS timestamp + toIntervalNanosecond(duration_nano),
    trace_id FixedString(16) CODEC(LZ4),
    span_id FixedString(8) CODEC(LZ4),
    parent_span_id FixedString(8) CODEC(LZ4),
    trace_state LowCardinality(String) CODEC(ZSTD(1)),
    flags UInt32 CODEC(ZSTD(1)),
    span_name LowCardinality(String) CODEC(ZSTD(1)),
    span_kind Enum8('unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, 'producer' = 4, 'consumer' = 5) CODEC(ZSTD(1)),
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
    span_attributes_json String CODEC(ZSTD(1)),
    span_attributes Map(String, String) ALIAS JSONExtract(span_attributes_json, 'Map(String, String)'),
    duration_nano UInt64 CODEC(ZSTD(1)),
    status_code Enum8('unset' = 0, 'ok' = 1, 'error' = 2) CODEC(ZSTD(1)),
    status_message LowCardinality(String) CODEC(ZSTD(1)),
    dropped_attributes_count UInt32 CODEC(ZSTD(1)),
    dropped_events_count UInt32 CODEC(ZSTD(1)),
    dropped_links_count UInt32 CODEC(ZSTD(1)),
    events Nested(
        timestamp DateTime64(9, 'UTC'),
        name LowCardinality(String),
        attributes String,
        dropped_attributes_count UInt32) CODEC(ZSTD(1)),
    links Nested(
        trace_id FixedString(16),
        span_id FixedString(8),
        trace_state String,
        attributes String,
        dropped_attributes_count UInt32,
        flags UInt32) CODEC(ZSTD(1)),
    INDEX by_duration duration_nano TYPE minmax GRANULARITY 1,
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, toStartOfFiveMinutes(timestamp), service_name, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS enable_vertical_merge_algorithm = 0, merge_selector_base = 10, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- The narrow twin in the order of trace ids: finds a trace, draws its waterfall, joins callers with callees.
CREATE TABLE IF NOT EXISTS spans_v3
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    span_id FixedString(8) CODEC(LZ4),
    parent_span_id FixedString(8) CODEC(LZ4),
    span_name LowCardinality(String) CODEC(ZSTD(1)),
    span_kind Enum8('unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, 'producer' = 4, 'consumer' = 5) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    duration_nano UInt64 CODEC(ZSTD(1)),
    status_code Enum8('unset' = 0, 'ok' = 1, 'error' = 2) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, trace_id, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS enable_vertical_merge_algorithm = 0, merge_selector_base = 10, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- Each view goes down the message a level at a time: what belongs to a resource or a scope is computed once there, and
-- repeated as a dictionary index. A span without ids of the right length, or out of time, is left out.
CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_traces_to_traces_v3 TO traces_v3 AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    otlpTime(s_start_time_unix_nano) AS timestamp,
    otlpTraceId(s_trace_id) AS trace_id,
    otlpSpanId(s_span_id) AS span_id,
    otlpSpanId(s_parent_span_id) AS parent_span_id,
    s_trace_state AS trace_state,
    s_flags AS flags,
    s_name AS span_name,
    if(s_kind BETWEEN 0 AND 5, s_kind, 0) AS span_kind,
    service_name,
    resource,
    resource_dropped_attributes_count,
    resource_schema_url,
    scope_name,
    scope_version,
    scope_attributes,
    scope_dropped_attributes_count,
    scope_schema_url,
    otlpObject(s_attributes) AS span_attributes_json,
    if(s_end_time_unix_nano > s_start_time_unix_nano, s_end_time_unix_nano - s_start_time_unix_nano, 0) AS duration_nano,
    if(s_status_code BETWEEN 0 AND 2, s_status_code, 0) AS status_code,
    s_status_message AS status_message,
    s_dropped_attributes_count AS dropped_attributes_count,
    s_dropped_events_count AS dropped_events_count,
    s_dropped_links_count AS dropped_links_count,
    arrayMap(t -> otlpTime(t), tupleElement(s_events, 'time_unix_nano')) AS `events.timestamp`,
    tupleElement(s_events, 'name') AS `events.name`,
    arrayMap(a -> toJSONString(a), tupleElement(s_events, 'attributes')) AS `events.attributes`,
    tupleElement(s_events, 'dropped_attributes_count') AS `events.dropped_attributes_count`,
    arrayMap(id -> otlpTraceId(id), tupleElement(s_links, 'trace_id')) AS `links.trace_id`,
    arrayMap(id -> otlpSpanId(id), tupleElement(s_links, 'span_id')) AS `links.span_id`,
    tupleElement(s_links, 'trace_state') AS `links.trace_state`,
    arrayMap(a -> toJSONString(a), tupleElement(s_links, 'attributes')) AS `links.attributes`,
    tupleElement(s_links, 'dropped_attributes_count') AS `links.dropped_attributes_count`,
    tupleElement(s_links, 'flags') AS `links.flags`
FROM otlp_traces
ARRAY JOIN
    arrayMap(a -> toLowCardinality(otlpServiceName(a)), `request.resource_spans.resource.attributes`) AS service_name,
    arrayMap(a -> toLowCardinality(otlpObject(a)), `request.resource_spans.resource.attributes`) AS resource,
    `request.resource_spans.resource.dropped_attributes_count` AS resource_dropped_attributes_count,
    arrayMap(u -> toLowCardinality(u), `request.resource_spans.schema_url`) AS resource_schema_url,
    arrayMap(ss -> arrayMap(n -> toLowCardinality(n), ss), `request.resource_spans.scope_spans.scope.name`) AS scope_name_,
    arrayMap(ss -> arrayMap(n -> toLowCardinality(n), ss), `request.resource_spans.scope_spans.scope.version`) AS scope_version_,
    arrayMap(ss -> arrayMap(a -> toLowCardinality(toJSONString(a)), ss), `request.resource_spans.scope_spans.scope.attributes`) AS scope_attributes_,
    `request.resource_spans.scope_spans.scope.dropped_attributes_count` AS scope_dropped_attributes_count_,
    arrayMap(ss -> arrayMap(u -> toLowCardinality(u), ss), `request.resource_spans.scope_spans.schema_url`) AS scope_schema_url_,
    `request.resource_spans.scope_spans.spans.trace_id` AS s_trace_id__,
    `request.resource_spans.scope_spans.spans.span_id` AS s_span_id__,
    `request.resource_spans.scope_spans.spans.trace_state` AS s_trace_state__,
    `request.resource_spans.scope_spans.spans.parent_span_id` AS s_parent_span_id__,
    `request.resource_spans.scope_spans.spans.flags` AS s_flags__,
    `request.resource_spans.scope_spans.spans.name` AS s_name__,
    `request.resource_spans.scope_spans.spans.kind` AS s_kind__,
    `request.resource_spans.scope_spans.spans.start_time_unix_nano` AS s_start_time_unix_nano__,
    `request.resource_spans.scope_spans.spans.end_time_unix_nano` AS s_end_time_unix_nano__,
    `request.resource_spans.scope_spans.spans.attributes` AS s_attributes__,
    `request.resource_spans.scope_spans.spans.dropped_attributes_count` AS s_dropped_attributes_count__,
    `request.resource_spans.scope_spans.spans.events` AS s_events__,
    `request.resource_spans.scope_spans.spans.dropped_events_count` AS s_dropped_events_count__,
    `request.resource_spans.scope_spans.spans.links` AS s_links__,
    `request.resource_spans.scope_spans.spans.dropped_links_count` AS s_dropped_links_count__,
    `request.resource_spans.scope_spans.spans.status.message` AS s_status_message__,
    `request.resource_spans.scope_spans.spans.status.code` AS s_status_code__
ARRAY JOIN
    scope_name_ AS scope_name,
    scope_version_ AS scope_version,
    scope_attributes_ AS scope_attributes,
    scope_dropped_attributes_count_ AS scope_dropped_attributes_count,
    scope_schema_url_ AS scope_schema_url,
    s_trace_id__ AS s_trace_id_,
    s_span_id__ AS s_span_id_,
    s_trace_state__ AS s_trace_state_,
    s_parent_span_id__ AS s_parent_span_id_,
    s_flags__ AS s_flags_,
    s_name__ AS s_name_,
    s_kind__ AS s_kind_,
    s_start_time_unix_nano__ AS s_start_time_unix_nano_,
    s_end_time_unix_nano__ AS s_end_time_unix_nano_,
    s_attributes__ AS s_attributes_,
    s_dropped_attributes_count__ AS s_dropped_attributes_count_,
    s_events__ AS s_events_,
    s_dropped_events_count__ AS s_dropped_events_count_,
    s_links__ AS s_links_,
    s_dropped_links_count__ AS s_dropped_links_count_,
    s_status_message__ AS s_status_message_,
    s_status_code__ AS s_status_code_
ARRAY JOIN
    s_trace_id_ AS s_trace_id,
    s_span_id_ AS s_span_id,
    s_trace_state_ AS s_trace_state,
    s_parent_span_id_ AS s_parent_span_id,
    s_flags_ AS s_flags,
    s_name_ AS s_name,
    s_kind_ AS s_kind,
    s_start_time_unix_nano_ AS s_start_time_unix_nano,
    s_end_time_unix_nano_ AS s_end_time_unix_nano,
    s_attributes_ AS s_attributes,
    s_dropped_attributes_count_ AS s_dropped_attributes_count,
    s_events_ AS s_events,
    s_dropped_events_count_ AS s_dropped_events_count,
    s_links_ AS s_links,
    s_dropped_links_count_ AS s_dropped_links_count,
    s_status_message_ AS s_status_message,
    s_status_code_ AS s_status_code
WHERE trace_id != toFixedString('', 16) AND span_id != toFixedString('', 8) AND otlpIsTimely(s_start_time_unix_nano);

CREATE MATERIALIZED VIEW IF NOT EXISTS otlp_traces_to_spans_v3 TO spans_v3 AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    otlpTime(s_start_time_unix_nano) AS timestamp,
    otlpTraceId(s_trace_id) AS trace_id,
    otlpSpanId(s_span_id) AS span_id,
    otlpSpanId(s_parent_span_id) AS parent_span_id,
    s_name AS span_name,
    if(s_kind BETWEEN 0 AND 5, s_kind, 0) AS span_kind,
    service_name,
    if(s_end_time_unix_nano > s_start_time_unix_nano, s_end_time_unix_nano - s_start_time_unix_nano, 0) AS duration_nano,
    if(s_status_code BETWEEN 0 AND 2, s_status_code, 0) AS status_code
FROM otlp_traces
ARRAY JOIN
    arrayMap(a -> toLowCardinality(otlpServiceName(a)), `request.resource_spans.resource.attributes`) AS service_name,
    `request.resource_spans.scope_spans.spans.trace_id` AS s_trace_id__,
    `request.resource_spans.scope_spans.spans.span_id` AS s_span_id__,
    `request.resource_spans.scope_spans.spans.parent_span_id` AS s_parent_span_id__,
    `request.resource_spans.scope_spans.spans.name` AS s_name__,
    `request.resource_spans.scope_spans.spans.kind` AS s_kind__,
    `request.resource_spans.scope_spans.spans.start_time_unix_nano` AS s_start_time_unix_nano__,
    `request.resource_spans.scope_spans.spans.end_time_unix_nano` AS s_end_time_unix_nano__,
    `request.resource_spans.scope_spans.spans.status.code` AS s_status_code__
ARRAY JOIN
    s_trace_id__ AS s_trace_id_,
    s_span_id__ AS s_span_id_,
    s_parent_span_id__ AS s_parent_span_id_,
    s_name__ AS s_name_,
    s_kind__ AS s_kind_,
    s_start_time_unix_nano__ AS s_start_time_unix_nano_,
    s_end_time_unix_nano__ AS s_end_time_unix_nano_,
    s_status_code__ AS s_status_code_
ARRAY JOIN
    s_trace_id_ AS s_trace_id,
    s_span_id_ AS s_span_id,
    s_parent_span_id_ AS s_parent_span_id,
    s_name_ AS s_name,
    s_kind_ AS s_kind,
    s_start_time_unix_nano_ AS s_start_time_unix_nano,
    s_end_time_unix_nano_ AS s_end_time_unix_nano,
    s_status_code_ AS s_status_code
WHERE trace_id != toFixedString('', 16) AND span_id != toFixedString('', 8) AND otlpIsTimely(s_start_time_unix_nano);

-- The only way to read spans: for one tenant, which must be named.
CREATE VIEW IF NOT EXISTS traces AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), end_timestamp, resource_attributes, span_attributes
FROM traces_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS spans AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM spans_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
