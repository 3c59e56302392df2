-- Log records. Those of a trace are found by a Bloom filter on trace ids: a second table in their order, with the bodies
-- again, cost a third of all that a record costs (docs/adr/0010).

CREATE TABLE IF NOT EXISTS logs_v3
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    -- Nanoseconds since `timestamp`: mostly the same few microseconds. The least number says that there is no time.
    observed_after Int64 CODEC(ZSTD(1)),
    observed_timestamp DateTime64(9, 'UTC') ALIAS if(observed_after = -9223372036854775808, toDateTime64(0, 9, 'UTC'), timestamp + toIntervalNanosecond(observed_after)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    span_id FixedString(8) CODEC(ZSTD(1)),
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
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
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
SETTINGS min_bytes_for_wide_part = 134217728, merge_selector_base = 16, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- The only way to read log records: for one tenant, which must be named.
CREATE VIEW IF NOT EXISTS logs AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), observed_timestamp, resource_attributes, log_attributes
FROM logs_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

-- The records that belong to a trace, by the name and the columns that the schema gives them.
CREATE VIEW IF NOT EXISTS logs_v3_by_trace AS
SELECT trace_id, timestamp, span_id, severity_text, severity_number, service_name, body, workspace_id, tenant_id
FROM logs_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID} AND trace_id != toFixedString('', 16);
