DROP VIEW IF EXISTS field_counts;

DROP TABLE IF EXISTS field_values;
