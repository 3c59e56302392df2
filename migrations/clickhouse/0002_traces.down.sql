DROP VIEW IF EXISTS spans;

DROP VIEW IF EXISTS traces;

DROP VIEW IF EXISTS otlp_traces_to_spans_v3;

DROP VIEW IF EXISTS otlp_traces_to_traces_v3;

DROP TABLE IF EXISTS spans_v3;

DROP TABLE IF EXISTS traces_v3;

DROP TABLE IF EXISTS otlp_traces;
