-- Attributes of spans and log records as columns (docs/adr/0026). The new column holds what type JSON keeps exactly: texts, integers,
-- doubles and booleans under names of plain characters, one value a name. Everything else stays JSON text in `*_attributes_json`, which
-- is empty in most rows, and so do all attributes of rows that were stored before: they are read as they are.
ALTER TABLE traces_v3
    ADD COLUMN IF NOT EXISTS span_attributes_typed JSON(max_dynamic_paths = 64) CODEC(ZSTD(1)) AFTER span_attributes_json;

ALTER TABLE logs_v3
    ADD COLUMN IF NOT EXISTS log_attributes_typed JSON(max_dynamic_paths = 64) CODEC(ZSTD(1)) AFTER log_attributes_json;

-- In paths a dot is escaped, so that `a.b` and the member b of a stay apart; no other name has a percent sign.
ALTER TABLE traces_v3
    MODIFY COLUMN span_attributes Map(String, String) ALIAS mapUpdate(
        mapApply((name, value) -> (replaceAll(name, '%2E', '.'), value), JSONExtract(toJSONString(span_attributes_typed), 'Map(String, String)')),
        JSONExtract(span_attributes_json, 'Map(String, String)'));

ALTER TABLE logs_v3
    MODIFY COLUMN log_attributes Map(String, String) ALIAS mapUpdate(
        mapApply((name, value) -> (replaceAll(name, '%2E', '.'), value), JSONExtract(toJSONString(log_attributes_typed), 'Map(String, String)')),
        JSONExtract(log_attributes_json, 'Map(String, String)'));

DROP VIEW IF EXISTS traces;

DROP VIEW IF EXISTS logs;

DROP VIEW IF EXISTS log_arrivals;

-- `attribute_1` to `attribute_8` are columns of attributes whose names the reader gives, escaped, as he gives the tenant: a name
-- outside of a view cannot be one of a column that it reads alone. Readers find all attributes where they were, as one JSON object. `*_attributes_other` are those of them that have no column;
-- `*_attributes_doubles` the names of those that are doubles even where they are whole, which JSON does not tell.
CREATE VIEW IF NOT EXISTS traces AS
WITH toJSONString(stored.span_attributes_typed) AS typed_json
SELECT
    stored.span_attributes_typed.{attribute_1:Identifier} AS attribute_1,
    stored.span_attributes_typed.{attribute_1:Identifier}.:Bool AS attribute_1_bool,
    stored.span_attributes_typed.{attribute_1:Identifier}.:Int64 AS attribute_1_int,
    stored.span_attributes_typed.{attribute_1:Identifier}.:Float64 AS attribute_1_double,
    stored.span_attributes_typed.{attribute_1:Identifier}.:String AS attribute_1_text,
    stored.span_attributes_typed.{attribute_2:Identifier} AS attribute_2,
    stored.span_attributes_typed.{attribute_2:Identifier}.:Bool AS attribute_2_bool,
    stored.span_attributes_typed.{attribute_2:Identifier}.:Int64 AS attribute_2_int,
    stored.span_attributes_typed.{attribute_2:Identifier}.:Float64 AS attribute_2_double,
    stored.span_attributes_typed.{attribute_2:Identifier}.:String AS attribute_2_text,
    stored.span_attributes_typed.{attribute_3:Identifier} AS attribute_3,
    stored.span_attributes_typed.{attribute_3:Identifier}.:Bool AS attribute_3_bool,
    stored.span_attributes_typed.{attribute_3:Identifier}.:Int64 AS attribute_3_int,
    stored.span_attributes_typed.{attribute_3:Identifier}.:Float64 AS attribute_3_double,
    stored.span_attributes_typed.{attribute_3:Identifier}.:String AS attribute_3_text,
    stored.span_attributes_typed.{attribute_4:Identifier} AS attribute_4,
    stored.span_attributes_typed.{attribute_4:Identifier}.:Bool AS attribute_4_bool,
    stored.span_attributes_typed.{attribute_4:Identifier}.:Int64 AS attribute_4_int,
    stored.span_attributes_typed.{attribute_4:Identifier}.:Float64 AS attribute_4_double,
    stored.span_attributes_typed.{attribute_4:Identifier}.:String AS attribute_4_text,
    stored.span_attributes_typed.{attribute_5:Identifier} AS attribute_5,
    stored.span_attributes_typed.{attribute_5:Identifier}.:Bool AS attribute_5_bool,
    stored.span_attributes_typed.{attribute_5:Identifier}.:Int64 AS attribute_5_int,
    stored.span_attributes_typed.{attribute_5:Identifier}.:Float64 AS attribute_5_double,
    stored.span_attributes_typed.{attribute_5:Identifier}.:String AS attribute_5_text,
    stored.span_attributes_typed.{attribute_6:Identifier} AS attribute_6,
    stored.span_attributes_typed.{attribute_6:Identifier}.:Bool AS attribute_6_bool,
    stored.span_attributes_typed.{attribute_6:Identifier}.:Int64 AS attribute_6_int,
    stored.span_attributes_typed.{attribute_6:Identifier}.:Float64 AS attribute_6_double,
    stored.span_attributes_typed.{attribute_6:Identifier}.:String AS attribute_6_text,
    stored.span_attributes_typed.{attribute_7:Identifier} AS attribute_7,
    stored.span_attributes_typed.{attribute_7:Identifier}.:Bool AS attribute_7_bool,
    stored.span_attributes_typed.{attribute_7:Identifier}.:Int64 AS attribute_7_int,
    stored.span_attributes_typed.{attribute_7:Identifier}.:Float64 AS attribute_7_double,
    stored.span_attributes_typed.{attribute_7:Identifier}.:String AS attribute_7_text,
    stored.span_attributes_typed.{attribute_8:Identifier} AS attribute_8,
    stored.span_attributes_typed.{attribute_8:Identifier}.:Bool AS attribute_8_bool,
    stored.span_attributes_typed.{attribute_8:Identifier}.:Int64 AS attribute_8_int,
    stored.span_attributes_typed.{attribute_8:Identifier}.:Float64 AS attribute_8_double,
    stored.span_attributes_typed.{attribute_8:Identifier}.:String AS attribute_8_text,
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

CREATE VIEW IF NOT EXISTS logs AS
WITH toJSONString(stored.log_attributes_typed) AS typed_json
SELECT
    stored.log_attributes_typed.{attribute_1:Identifier} AS attribute_1,
    stored.log_attributes_typed.{attribute_1:Identifier}.:Bool AS attribute_1_bool,
    stored.log_attributes_typed.{attribute_1:Identifier}.:Int64 AS attribute_1_int,
    stored.log_attributes_typed.{attribute_1:Identifier}.:Float64 AS attribute_1_double,
    stored.log_attributes_typed.{attribute_1:Identifier}.:String AS attribute_1_text,
    stored.log_attributes_typed.{attribute_2:Identifier} AS attribute_2,
    stored.log_attributes_typed.{attribute_2:Identifier}.:Bool AS attribute_2_bool,
    stored.log_attributes_typed.{attribute_2:Identifier}.:Int64 AS attribute_2_int,
    stored.log_attributes_typed.{attribute_2:Identifier}.:Float64 AS attribute_2_double,
    stored.log_attributes_typed.{attribute_2:Identifier}.:String AS attribute_2_text,
    stored.log_attributes_typed.{attribute_3:Identifier} AS attribute_3,
    stored.log_attributes_typed.{attribute_3:Identifier}.:Bool AS attribute_3_bool,
    stored.log_attributes_typed.{attribute_3:Identifier}.:Int64 AS attribute_3_int,
    stored.log_attributes_typed.{attribute_3:Identifier}.:Float64 AS attribute_3_double,
    stored.log_attributes_typed.{attribute_3:Identifier}.:String AS attribute_3_text,
    stored.log_attributes_typed.{attribute_4:Identifier} AS attribute_4,
    stored.log_attributes_typed.{attribute_4:Identifier}.:Bool AS attribute_4_bool,
    stored.log_attributes_typed.{attribute_4:Identifier}.:Int64 AS attribute_4_int,
    stored.log_attributes_typed.{attribute_4:Identifier}.:Float64 AS attribute_4_double,
    stored.log_attributes_typed.{attribute_4:Identifier}.:String AS attribute_4_text,
    stored.log_attributes_typed.{attribute_5:Identifier} AS attribute_5,
    stored.log_attributes_typed.{attribute_5:Identifier}.:Bool AS attribute_5_bool,
    stored.log_attributes_typed.{attribute_5:Identifier}.:Int64 AS attribute_5_int,
    stored.log_attributes_typed.{attribute_5:Identifier}.:Float64 AS attribute_5_double,
    stored.log_attributes_typed.{attribute_5:Identifier}.:String AS attribute_5_text,
    stored.log_attributes_typed.{attribute_6:Identifier} AS attribute_6,
    stored.log_attributes_typed.{attribute_6:Identifier}.:Bool AS attribute_6_bool,
    stored.log_attributes_typed.{attribute_6:Identifier}.:Int64 AS attribute_6_int,
    stored.log_attributes_typed.{attribute_6:Identifier}.:Float64 AS attribute_6_double,
    stored.log_attributes_typed.{attribute_6:Identifier}.:String AS attribute_6_text,
    stored.log_attributes_typed.{attribute_7:Identifier} AS attribute_7,
    stored.log_attributes_typed.{attribute_7:Identifier}.:Bool AS attribute_7_bool,
    stored.log_attributes_typed.{attribute_7:Identifier}.:Int64 AS attribute_7_int,
    stored.log_attributes_typed.{attribute_7:Identifier}.:Float64 AS attribute_7_double,
    stored.log_attributes_typed.{attribute_7:Identifier}.:String AS attribute_7_text,
    stored.log_attributes_typed.{attribute_8:Identifier} AS attribute_8,
    stored.log_attributes_typed.{attribute_8:Identifier}.:Bool AS attribute_8_bool,
    stored.log_attributes_typed.{attribute_8:Identifier}.:Int64 AS attribute_8_int,
    stored.log_attributes_typed.{attribute_8:Identifier}.:Float64 AS attribute_8_double,
    stored.log_attributes_typed.{attribute_8:Identifier}.:String AS attribute_8_text,
    stored.* EXCEPT (organization_id, workspace_id, tenant_id, log_attributes_json),
    observed_timestamp, resource_attributes, log_attributes,
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

CREATE VIEW IF NOT EXISTS log_arrivals AS
WITH toJSONString(stored.log_attributes_typed) AS typed_json
SELECT
    stored.log_attributes_typed.{attribute_1:Identifier} AS attribute_1,
    stored.log_attributes_typed.{attribute_1:Identifier}.:Bool AS attribute_1_bool,
    stored.log_attributes_typed.{attribute_1:Identifier}.:Int64 AS attribute_1_int,
    stored.log_attributes_typed.{attribute_1:Identifier}.:Float64 AS attribute_1_double,
    stored.log_attributes_typed.{attribute_1:Identifier}.:String AS attribute_1_text,
    stored.log_attributes_typed.{attribute_2:Identifier} AS attribute_2,
    stored.log_attributes_typed.{attribute_2:Identifier}.:Bool AS attribute_2_bool,
    stored.log_attributes_typed.{attribute_2:Identifier}.:Int64 AS attribute_2_int,
    stored.log_attributes_typed.{attribute_2:Identifier}.:Float64 AS attribute_2_double,
    stored.log_attributes_typed.{attribute_2:Identifier}.:String AS attribute_2_text,
    stored.log_attributes_typed.{attribute_3:Identifier} AS attribute_3,
    stored.log_attributes_typed.{attribute_3:Identifier}.:Bool AS attribute_3_bool,
    stored.log_attributes_typed.{attribute_3:Identifier}.:Int64 AS attribute_3_int,
    stored.log_attributes_typed.{attribute_3:Identifier}.:Float64 AS attribute_3_double,
    stored.log_attributes_typed.{attribute_3:Identifier}.:String AS attribute_3_text,
    stored.log_attributes_typed.{attribute_4:Identifier} AS attribute_4,
    stored.log_attributes_typed.{attribute_4:Identifier}.:Bool AS attribute_4_bool,
    stored.log_attributes_typed.{attribute_4:Identifier}.:Int64 AS attribute_4_int,
    stored.log_attributes_typed.{attribute_4:Identifier}.:Float64 AS attribute_4_double,
    stored.log_attributes_typed.{attribute_4:Identifier}.:String AS attribute_4_text,
    stored.log_attributes_typed.{attribute_5:Identifier} AS attribute_5,
    stored.log_attributes_typed.{attribute_5:Identifier}.:Bool AS attribute_5_bool,
    stored.log_attributes_typed.{attribute_5:Identifier}.:Int64 AS attribute_5_int,
    stored.log_attributes_typed.{attribute_5:Identifier}.:Float64 AS attribute_5_double,
    stored.log_attributes_typed.{attribute_5:Identifier}.:String AS attribute_5_text,
    stored.log_attributes_typed.{attribute_6:Identifier} AS attribute_6,
    stored.log_attributes_typed.{attribute_6:Identifier}.:Bool AS attribute_6_bool,
    stored.log_attributes_typed.{attribute_6:Identifier}.:Int64 AS attribute_6_int,
    stored.log_attributes_typed.{attribute_6:Identifier}.:Float64 AS attribute_6_double,
    stored.log_attributes_typed.{attribute_6:Identifier}.:String AS attribute_6_text,
    stored.log_attributes_typed.{attribute_7:Identifier} AS attribute_7,
    stored.log_attributes_typed.{attribute_7:Identifier}.:Bool AS attribute_7_bool,
    stored.log_attributes_typed.{attribute_7:Identifier}.:Int64 AS attribute_7_int,
    stored.log_attributes_typed.{attribute_7:Identifier}.:Float64 AS attribute_7_double,
    stored.log_attributes_typed.{attribute_7:Identifier}.:String AS attribute_7_text,
    stored.log_attributes_typed.{attribute_8:Identifier} AS attribute_8,
    stored.log_attributes_typed.{attribute_8:Identifier}.:Bool AS attribute_8_bool,
    stored.log_attributes_typed.{attribute_8:Identifier}.:Int64 AS attribute_8_int,
    stored.log_attributes_typed.{attribute_8:Identifier}.:Float64 AS attribute_8_double,
    stored.log_attributes_typed.{attribute_8:Identifier}.:String AS attribute_8_text,
    stored.* EXCEPT (organization_id, workspace_id, tenant_id, log_attributes_json),
    observed_timestamp, resource_attributes, log_attributes,
    multiIf(
        length(stored.log_attributes_json) <= 2, typed_json,
        length(typed_json) <= 2, stored.log_attributes_json,
        concat(substring(typed_json, 1, length(typed_json) - 1), ',', substring(stored.log_attributes_json, 2))) AS log_attributes_json,
    stored.log_attributes_json AS log_attributes_other,
    arrayFilter(name -> NOT JSONHas(stored.log_attributes_json, name), arrayMap(path -> replaceAll(path, '%2E', '.'),
        mapKeys(mapFilter((path, type) -> type = 'Float64', JSONAllPathsWithTypes(stored.log_attributes_typed))))) AS log_attributes_doubles,
    _partition_id AS block_partition,
    toInt64(_block_number) AS block,
    toInt64(splitByChar('_', _part)[2]) AS part_first_block,
    toInt64(splitByChar('_', _part)[3]) AS part_last_block
FROM logs_v3 AS stored
WHERE workspace_id = {workspace_id:UUID} AND tenant_id = {tenant_id:UUID}
SETTINGS json_type_escape_dots_in_keys = 1, output_format_json_quote_denormals = 1;
