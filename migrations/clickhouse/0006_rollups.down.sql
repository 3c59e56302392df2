DROP VIEW IF EXISTS catalogue;

DROP VIEW IF EXISTS figures;

DROP VIEW IF EXISTS exponential_histograms_hourly;

DROP VIEW IF EXISTS histograms_hourly;

DROP VIEW IF EXISTS counters_hourly;

DROP VIEW IF EXISTS traces_v3_to_span_figures;

DROP VIEW IF EXISTS metric_exponential_histograms_to_metric_exponential_histogram_sums;

DROP VIEW IF EXISTS metric_histograms_to_metric_histogram_sums;

DROP VIEW IF EXISTS metric_exponential_histograms_to_metric_exponential_histogram_totals;

DROP VIEW IF EXISTS metric_histograms_to_metric_histogram_totals;

DROP VIEW IF EXISTS metrics_v3_to_metric_counter_totals;

DROP TABLE IF EXISTS telemetry_catalogue;

DROP TABLE IF EXISTS span_figures;

DROP TABLE IF EXISTS metric_exponential_histogram_sums;

DROP TABLE IF EXISTS metric_histogram_sums;

DROP TABLE IF EXISTS metric_exponential_histogram_totals;

DROP TABLE IF EXISTS metric_histogram_totals;

DROP TABLE IF EXISTS metric_counter_totals;
