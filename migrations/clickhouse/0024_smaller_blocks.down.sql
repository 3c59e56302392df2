ALTER TABLE traces_v3 MODIFY COLUMN span_attributes_typed CODEC(ZSTD(1));

ALTER TABLE logs_v3 MODIFY COLUMN body CODEC(ZSTD(1)), MODIFY COLUMN log_attributes_typed CODEC(ZSTD(1));
