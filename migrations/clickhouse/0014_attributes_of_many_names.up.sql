-- What attributes beyond those with columns of their own are kept in: an index of their names in every granule took, with 10,000 names, seven
-- times the CPU of a merge and four times the bytes, and saved a quarter of a search (docs/adr/0026).
ALTER TABLE traces_v3 MODIFY SETTING object_shared_data_serialization_version = 'map_with_buckets';

ALTER TABLE logs_v3 MODIFY SETTING object_shared_data_serialization_version = 'map_with_buckets';
