-- The values of fields and attributes, with how many items had them, by quarters of an hour. Receivers count and insert
-- them (docs/adr/0029). Of each quarter few values are told apart; the other items of the field are in one row of type 'other'.
CREATE TABLE IF NOT EXISTS field_values
(
    organization_id UUID CODEC(ZSTD(1)),
    workspace_id UUID CODEC(ZSTD(1)),
    tenant_id UUID CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    quarter DateTime('UTC') CODEC(Delta, ZSTD(1)),
    signal Enum8('traces' = 1, 'logs' = 2, 'metrics' = 3) CODEC(ZSTD(1)),
    place Enum8('field' = 1, 'attributes' = 2, 'resource' = 3) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    type Enum8('other' = 0, 'string' = 1, 'bool' = 2, 'int' = 3, 'double' = 4) CODEC(ZSTD(1)),
    value String CODEC(ZSTD(1)),
    count UInt64 CODEC(T64, ZSTD(1)),
    CONSTRAINT scoped CHECK organization_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND workspace_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND tenant_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = SummingMergeTree(count)
PARTITION BY (toDate(quarter), retention_days)
PRIMARY KEY (workspace_id, tenant_id, signal, name, quarter)
ORDER BY (workspace_id, tenant_id, signal, name, quarter, place, type, value, organization_id, retention_days)
TTL quarter + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, auto_statistics_types = '', merge_selector_base = 24, non_replicated_deduplication_window = 10000,
    min_bytes_for_wide_part = 134217728, min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1,
    fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

CREATE VIEW IF NOT EXISTS field_counts AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM field_values
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
