ALTER TABLE tenants DROP CONSTRAINT tenants_limits;
DROP FUNCTION are_ingest_limits;
