DROP VIEW IF EXISTS alert_events;

ALTER TABLE alert_history DELETE WHERE status NOT IN ('triggered', 'resolved') SETTINGS mutations_sync = 2;

ALTER TABLE alert_history
    DROP COLUMN IF EXISTS transition_id,
    DROP COLUMN IF EXISTS instance_id,
    DROP COLUMN IF EXISTS number,
    DROP COLUMN IF EXISTS reason,
    DROP COLUMN IF EXISTS value,
    DROP COLUMN IF EXISTS threshold,
    DROP COLUMN IF EXISTS labels;

ALTER TABLE alert_history MODIFY COLUMN status Enum8('triggered' = 1, 'resolved' = 2) CODEC(ZSTD(1));

CREATE VIEW IF NOT EXISTS alert_events AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id)
FROM alert_history
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
