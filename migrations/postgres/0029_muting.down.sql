REVOKE SELECT ON alert_instances FROM duoscope_platform;
DROP POLICY platform ON alert_instances;
-- Whoever waits for maintenance, or for another alert, is told now.
ALTER TABLE notifications NO FORCE ROW LEVEL SECURITY;
UPDATE notifications SET state = 'queued', next_attempt_at = now() WHERE state = 'muted' AND silence_id IS NULL;
ALTER TABLE notifications
    DROP CONSTRAINT notifications_muted_check,
    DROP COLUMN muted_at,
    DROP COLUMN inhibited_by,
    DROP COLUMN inhibition_rule_id,
    DROP COLUMN maintenance_window_id,
    ADD CONSTRAINT notifications_muted_check
        CHECK ((state = 'muted') = (next_attempt_at = 'infinity') AND (state <> 'muted' OR silence_id IS NOT NULL)),
    FORCE ROW LEVEL SECURITY;
DROP TABLE inhibition_rules;
DROP TABLE maintenance_windows;
