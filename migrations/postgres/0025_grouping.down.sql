REVOKE UPDATE (last_answer) ON notifications FROM duoscope_service;
ALTER TABLE notification_channels DROP COLUMN summarized_at;
DROP TABLE message_budgets;
ALTER TABLE notifications NO FORCE ROW LEVEL SECURITY;
DELETE FROM notifications WHERE is_repeat;
ALTER TABLE notifications FORCE ROW LEVEL SECURITY;
ALTER TABLE notifications DROP COLUMN is_repeat, DROP COLUMN group_key;
DROP TABLE aggregation_groups;
ALTER TABLE notification_groups
    DROP COLUMN repeat_interval_seconds,
    DROP COLUMN group_interval_seconds,
    DROP COLUMN group_wait_seconds,
    DROP COLUMN group_by;
