-- Metric points keep the schema URLs that they came under, as spans and log records do.
ALTER TABLE metrics_v3
    ADD COLUMN IF NOT EXISTS resource_schema_url LowCardinality(String) DEFAULT '' CODEC(ZSTD(1)) AFTER scope_attributes,
    ADD COLUMN IF NOT EXISTS scope_schema_url LowCardinality(String) DEFAULT '' CODEC(ZSTD(1)) AFTER resource_schema_url;

ALTER TABLE metric_histograms
    ADD COLUMN IF NOT EXISTS resource_schema_url LowCardinality(String) DEFAULT '' CODEC(ZSTD(1)) AFTER scope_attributes,
    ADD COLUMN IF NOT EXISTS scope_schema_url LowCardinality(String) DEFAULT '' CODEC(ZSTD(1)) AFTER resource_schema_url;

ALTER TABLE metric_exponential_histograms
    ADD COLUMN IF NOT EXISTS resource_schema_url LowCardinality(String) DEFAULT '' CODEC(ZSTD(1)) AFTER scope_attributes,
    ADD COLUMN IF NOT EXISTS scope_schema_url LowCardinality(String) DEFAULT '' CODEC(ZSTD(1)) AFTER resource_schema_url;

ALTER TABLE metric_summaries
    ADD COLUMN IF NOT EXISTS resource_schema_url LowCardinality(String) DEFAULT '' CODEC(ZSTD(1)) AFTER scope_attributes,
    ADD COLUMN IF NOT EXISTS scope_schema_url LowCardinality(String) DEFAULT '' CODEC(ZSTD(1)) AFTER resource_schema_url;

-- Readers see the new columns.
DROP VIEW IF EXISTS metrics;

DROP VIEW IF EXISTS histograms;

DROP VIEW IF EXISTS exponential_histograms;

DROP VIEW IF EXISTS summaries;

CREATE VIEW IF NOT EXISTS metrics AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metrics_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS histograms AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metric_histograms
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS exponential_histograms AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metric_exponential_histograms
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS summaries AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metric_summaries
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
