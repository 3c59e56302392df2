-- A part is one file until it has 16 MiB, and on the disk when its INSERT returns (docs/adr/0024).
--
-- Otherwise a part of a few rows is 14 to 22 files. To create and remove them is up to half of what an INSERT costs, and
-- each would need a sync of its own.

ALTER TABLE traces_v3 MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE trace_summaries_v3 MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE span_figures MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE telemetry_catalogue MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE logs_v3 MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE metrics_v3 MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE metric_histograms MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE metric_exponential_histograms MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE metric_summaries MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE exemplars_v3 MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE metric_catalogue MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE metrics_v3_hourly MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE metric_counter_totals MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE metric_histogram_totals MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE metric_exponential_histogram_totals MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE metric_histogram_sums MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE metric_exponential_histogram_sums MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE ingest_ledger MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE ingest_usage_hourly MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE ingest_rejections MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE audit_logs MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE alert_history MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE uptime_checks MODIFY SETTING min_bytes_for_full_part_storage = 16777216, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
