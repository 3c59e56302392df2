DROP VIEW IF EXISTS uptime_results;

DROP VIEW IF EXISTS audit_events;

DROP VIEW IF EXISTS alert_events;

DROP TABLE IF EXISTS uptime_checks;

DROP TABLE IF EXISTS audit_logs;

DROP TABLE IF EXISTS alert_history;
