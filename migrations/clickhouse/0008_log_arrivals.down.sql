DROP VIEW IF EXISTS log_arrivals SYNC;

ALTER TABLE logs_v3 RESET SETTING enable_block_number_column;
