DROP INDEX alert_instances_active;
ALTER TABLE alert_rules DROP COLUMN judged_since;
