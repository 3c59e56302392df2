DROP VIEW IF EXISTS rejections;

DROP VIEW IF EXISTS usage_daily;

DROP VIEW IF EXISTS usage_hourly;

DROP VIEW IF EXISTS ingest_ledger_to_ingest_rejections;

DROP VIEW IF EXISTS ingest_ledger_to_ingest_usage_hourly;

DROP TABLE IF EXISTS ingest_rejections;

DROP TABLE IF EXISTS ingest_usage_hourly;

DROP TABLE IF EXISTS ingest_ledger;
