DROP VIEW IF EXISTS number_points_to_metrics_v3_hourly;

DROP VIEW IF EXISTS number_points_to_metric_counter_totals;

DROP VIEW IF EXISTS histogram_points_to_metric_histogram_totals;

DROP VIEW IF EXISTS exponential_histogram_points_to_metric_exponential_histogram_totals;

DROP VIEW IF EXISTS histogram_points_to_metric_histogram_sums;

DROP VIEW IF EXISTS exponential_histogram_points_to_metric_exponential_histogram_sums;

DROP VIEW IF EXISTS metrics;

CREATE VIEW IF NOT EXISTS metrics AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metrics_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

DROP VIEW IF EXISTS histograms;

CREATE VIEW IF NOT EXISTS histograms AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metric_histograms
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

DROP VIEW IF EXISTS exponential_histograms;

CREATE VIEW IF NOT EXISTS exponential_histograms AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metric_exponential_histograms
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

DROP VIEW IF EXISTS summaries;

CREATE VIEW IF NOT EXISTS summaries AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), start_timestamp, resource_attributes, attributes
FROM metric_summaries
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

DROP TABLE IF EXISTS number_points;

DROP TABLE IF EXISTS histogram_points;

DROP TABLE IF EXISTS exponential_histogram_points;

DROP TABLE IF EXISTS summary_points;
