-- Spans: as they came, and a narrow twin. The receiver inserts ready columns; `traces_v3_to_...` views do the rest.

CREATE TABLE IF NOT EXISTS traces_v3
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    end_timestamp DateTime64(9, 'UTC') ALIAS timestamp + toIntervalNanosecond(duration_nano),
    trace_id FixedString(16) CODEC(ZSTD(1)),
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
    duration_nano UInt64 CODEC(T64, ZSTD(1)),
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
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 16, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- The narrow twin in the order of trace ids: finds a trace, draws its waterfall, joins callers with callees.
CREATE TABLE IF NOT EXISTS spans_v3
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(T64, ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    span_id FixedString(8) CODEC(LZ4),
    parent_span_id FixedString(8) CODEC(LZ4),
    span_name LowCardinality(String) CODEC(ZSTD(1)),
    span_kind Enum8('unspecified' = 0, 'internal' = 1, 'server' = 2, 'client' = 3, 'producer' = 4, 'consumer' = 5) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    duration_nano UInt64 CODEC(T64, ZSTD(1)),
    status_code Enum8('unset' = 0, 'ok' = 1, 'error' = 2) CODEC(ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
ORDER BY (workspace_id, tenant_id, trace_id, timestamp)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 16, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- Views of a stored table are filled by the INSERT that fills it, and never chain: one step deep.
CREATE MATERIALIZED VIEW IF NOT EXISTS traces_v3_to_spans_v3 TO spans_v3 AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    timestamp,
    trace_id,
    span_id,
    parent_span_id,
    span_name,
    span_kind,
    service_name,
    duration_nano,
    status_code
FROM traces_v3;

-- The only way to read spans: for one tenant, which must be named.
CREATE VIEW IF NOT EXISTS traces AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), end_timestamp, resource_attributes, span_attributes
FROM traces_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS spans AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM spans_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
