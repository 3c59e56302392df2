DROP VIEW IF EXISTS traces;

DROP VIEW IF EXISTS logs;

DROP VIEW IF EXISTS log_arrivals;

ALTER TABLE traces_v3
    MODIFY COLUMN span_attributes Map(String, String) ALIAS JSONExtract(span_attributes_json, 'Map(String, String)');

ALTER TABLE logs_v3
    MODIFY COLUMN log_attributes Map(String, String) ALIAS JSONExtract(log_attributes_json, 'Map(String, String)');

ALTER TABLE traces_v3
    DROP COLUMN IF EXISTS span_attributes_typed;

ALTER TABLE logs_v3
    DROP COLUMN IF EXISTS log_attributes_typed;

CREATE VIEW IF NOT EXISTS traces AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), end_timestamp, resource_attributes, span_attributes
FROM traces_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS logs AS
SELECT * EXCEPT (organization_id, workspace_id, tenant_id), observed_timestamp, resource_attributes, log_attributes
FROM logs_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS log_arrivals AS
SELECT
    * EXCEPT (organization_id, workspace_id, tenant_id), observed_timestamp, resource_attributes, log_attributes,
    _partition_id AS block_partition,
    toInt64(_block_number) AS block,
    toInt64(splitByChar('_', _part)[2]) AS part_first_block,
    toInt64(splitByChar('_', _part)[3]) AS part_last_block
FROM logs_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
