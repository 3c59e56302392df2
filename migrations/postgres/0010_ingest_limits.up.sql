-- A tenant's own ingest limits: settings.limits, numbers by name (kernel/ingest_limits.py says which there are and how
-- large). What is not there, the instance's defaults say. A change goes out to the receivers with the notice of
-- migration 0008, as every change of a tenant's settings does.
CREATE FUNCTION are_ingest_limits(limits jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN jsonb_typeof(limits) = 'object' THEN NOT EXISTS (
        SELECT FROM jsonb_each_text(limits) AS own WHERE own.value !~ '^[0-9]{1,15}$'
    ) ELSE false END;

ALTER TABLE tenants ADD CONSTRAINT tenants_limits
    CHECK (settings -> 'limits' IS NULL OR are_ingest_limits(settings -> 'limits'));
