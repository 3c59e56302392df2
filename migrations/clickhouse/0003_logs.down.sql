DROP VIEW IF EXISTS logs_by_trace;

DROP VIEW IF EXISTS logs;

DROP VIEW IF EXISTS otlp_logs_to_logs_v3_by_trace;

DROP VIEW IF EXISTS otlp_logs_to_logs_v3;

DROP TABLE IF EXISTS logs_v3_by_trace;

DROP TABLE IF EXISTS logs_v3;

DROP TABLE IF EXISTS otlp_logs;
