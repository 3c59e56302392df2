DROP VIEW IF EXISTS metric_names;

DROP VIEW IF EXISTS metrics_daily;

DROP VIEW IF EXISTS metrics_hourly;

DROP VIEW IF EXISTS exemplars;

DROP VIEW IF EXISTS summaries;

DROP VIEW IF EXISTS exponential_histograms;

DROP VIEW IF EXISTS histograms;

DROP VIEW IF EXISTS metrics;

DROP VIEW IF EXISTS metrics_v3_to_metrics_v3_daily;

DROP VIEW IF EXISTS metrics_v3_to_metrics_v3_hourly;

DROP TABLE IF EXISTS metric_catalogue;

DROP TABLE IF EXISTS metrics_v3_daily;

DROP TABLE IF EXISTS metrics_v3_hourly;

DROP TABLE IF EXISTS exemplars_v3;

DROP TABLE IF EXISTS metric_summaries;

DROP TABLE IF EXISTS metric_exponential_histograms;

DROP TABLE IF EXISTS metric_histograms;

DROP TABLE IF EXISTS metrics_v3;
