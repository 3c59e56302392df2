DROP VIEW IF EXISTS metrics;

DROP VIEW IF EXISTS histograms;

DROP VIEW IF EXISTS exponential_histograms;

DROP VIEW IF EXISTS summaries;

ALTER TABLE metrics_v3
    DROP COLUMN IF EXISTS resource_schema_url,
    DROP COLUMN IF EXISTS scope_schema_url;

ALTER TABLE metric_histograms
    DROP COLUMN IF EXISTS resource_schema_url,
    DROP COLUMN IF EXISTS scope_schema_url;

ALTER TABLE metric_exponential_histograms
    DROP COLUMN IF EXISTS resource_schema_url,
    DROP COLUMN IF EXISTS scope_schema_url;

ALTER TABLE metric_summaries
    DROP COLUMN IF EXISTS resource_schema_url,
    DROP COLUMN IF EXISTS scope_schema_url;

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
