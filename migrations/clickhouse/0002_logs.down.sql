DROP VIEW IF EXISTS logs_by_trace;

DROP VIEW IF EXISTS logs;

DROP VIEW IF EXISTS logs_v3_to_logs_v3_by_trace;

DROP TABLE IF EXISTS logs_v3_by_trace;

DROP TABLE IF EXISTS logs_v3;
