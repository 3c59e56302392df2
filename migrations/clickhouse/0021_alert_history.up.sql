-- All that happens to alerts, each with the instance and the number by which it is known.
ALTER TABLE alert_history MODIFY COLUMN status Enum8('triggered' = 1, 'resolved' = 2, 'pending' = 3, 'cleared' = 4, 'no_data' = 5, 'error' = 6, 'silenced' = 7, 'missed' = 8) CODEC(ZSTD(1));

ALTER TABLE alert_history
    ADD COLUMN IF NOT EXISTS transition_id UUID CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS instance_id UUID CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS number UInt32 CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS reason LowCardinality(String) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS value Nullable(Float64) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS threshold Nullable(Float64) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS labels Map(LowCardinality(String), String) CODEC(ZSTD(1));

DROP VIEW IF EXISTS alert_events;

CREATE VIEW IF NOT EXISTS alert_events AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM alert_history
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
