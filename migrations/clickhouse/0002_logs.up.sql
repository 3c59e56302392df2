-- Log records, and those of a trace in the order of trace ids.

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

CREATE MATERIALIZED VIEW IF NOT EXISTS logs_v3_to_logs_v3_by_trace TO logs_v3_by_trace AS
SELECT
    organization_id,
    workspace_id,
    tenant_id,
    retention_days,
    trace_id,
    timestamp,
    span_id,
    severity_text,
    severity_number,
    service_name,
    body
FROM logs_v3
WHERE trace_id != toFixedString('', 16);

-- The only way to read log records: for one tenant, which must be named.
CREATE VIEW IF NOT EXISTS logs AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), resource_attributes, log_attributes
FROM logs_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS logs_by_trace AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM logs_v3_by_trace
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
