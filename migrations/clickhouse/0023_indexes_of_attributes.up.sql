-- An equality asks for the column of an attribute, for what has no column beside it, and for resources. An index of the column's values
-- is used where the others can be excluded too: values beside columns by this index, and resources by reading them alone, which takes a
-- thousandth of a microsecond a row (docs/adr/0026). Which columns have an index is chosen while duoscope runs.
ALTER TABLE traces_v3 ADD INDEX IF NOT EXISTS by_other_attributes length(span_attributes_json) TYPE minmax GRANULARITY 1;

ALTER TABLE logs_v3 ADD INDEX IF NOT EXISTS by_other_attributes length(log_attributes_json) TYPE minmax GRANULARITY 1;

CREATE VIEW IF NOT EXISTS traces_resources AS
SELECT timestamp, resource FROM traces_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};

CREATE VIEW IF NOT EXISTS logs_resources AS
SELECT timestamp, resource FROM logs_v3
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID};
