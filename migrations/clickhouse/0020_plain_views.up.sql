-- The views of spans and log records without the columns that few statements name: single attributes, and text as it is compared with
-- phrases. Whatever a view has is analysed for every statement that names the view, before anything is read; readers take the one that
-- has what they name (`scoped_sql`).
CREATE VIEW IF NOT EXISTS traces_plain AS
WITH toJSONString(stored.span_attributes_typed) AS typed_json
SELECT
    stored.* EXCEPT (organization_id, workspace_id, tenant_id, span_attributes_json),
    end_timestamp, resource_attributes, span_attributes,
    multiIf(
        length(stored.span_attributes_json) <= 2, typed_json,
        length(typed_json) <= 2, stored.span_attributes_json,
        concat(substring(typed_json, 1, length(typed_json) - 1), ',', substring(stored.span_attributes_json, 2))) AS span_attributes_json,
    stored.span_attributes_json AS span_attributes_other,
    arrayFilter(name -> NOT JSONHas(stored.span_attributes_json, name), arrayMap(path -> replaceAll(path, '%2E', '.'),
        mapKeys(mapFilter((path, type) -> type = 'Float64', JSONAllPathsWithTypes(stored.span_attributes_typed))))) AS span_attributes_doubles
FROM traces_v3 AS stored
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
SETTINGS json_type_escape_dots_in_keys = 1, output_format_json_quote_denormals = 1;

CREATE VIEW IF NOT EXISTS logs_plain AS
WITH toJSONString(stored.log_attributes_typed) AS typed_json
SELECT
    stored.* EXCEPT (organization_id, workspace_id, tenant_id, log_attributes_json),
    observed_timestamp, resource_attributes, log_attributes,
    stored.body_words AS body_words,
    multiIf(
        length(stored.log_attributes_json) <= 2, typed_json,
        length(typed_json) <= 2, stored.log_attributes_json,
        concat(substring(typed_json, 1, length(typed_json) - 1), ',', substring(stored.log_attributes_json, 2))) AS log_attributes_json,
    stored.log_attributes_json AS log_attributes_other,
    arrayFilter(name -> NOT JSONHas(stored.log_attributes_json, name), arrayMap(path -> replaceAll(path, '%2E', '.'),
        mapKeys(mapFilter((path, type) -> type = 'Float64', JSONAllPathsWithTypes(stored.log_attributes_typed))))) AS log_attributes_doubles
FROM logs_v3 AS stored
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
SETTINGS json_type_escape_dots_in_keys = 1, output_format_json_quote_denormals = 1;
