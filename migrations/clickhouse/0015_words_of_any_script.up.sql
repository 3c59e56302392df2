-- Words of bodies by Unicode's rules (docs/adr/0027). `body_words` has the tokens of bodies that the index of bodies would misread: beyond
-- ASCII, with colours of terminals, or with escapes within quotes, as JSON and logfmt have them. Of all others it is empty, and costs nothing.
-- Text may have backslashes of its own: it has the words of both readings. `telemetry/language/words.py` has the same functions for queries.
ALTER TABLE logs_v3
    ADD COLUMN IF NOT EXISTS body_words String MATERIALIZED
        replaceRegexpAll(replaceRegexpAll(normalizeUTF8NFKCCasefold(replaceRegexpAll(
            multiIf(
                position(if(isValidASCII(body) AND position(body, '\x1B') = 0 AND (position(body, '\\') = 0 OR position(body, '"') = 0), '', body) AS marked_body, '\\') = 0 OR position(marked_body, '"') = 0, marked_body,
                body_kind IN ('array_value', 'kvlist_value'), replaceAll(replaceRegexpAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(marked_body, '\\\\', '\x01'), '\\"', '"'), '\\/', '/'), '\\n', '\n'), '\\t', '\t'), '\\r', '\r'), '\\b', ' '), '\\f', ' '), '\\u001b', '\x1B'), '\\u001B', '\x1B'), '\\\\u00[0-9a-fA-F]{2}', ' '), '\x01', '\\') AS unescaped_body,
                concat(marked_body, '\n', unescaped_body)),
            '(?:\\x1B\\[|\\x{9B})[0-?]*[ -/]*[@-~]|\\x1B\\][^\\x07\\x1B]*(?:\\x07|\\x1B\\\\)?|\\x1B[ -/]*[0-~]', '')), '[\\p{P}\\p{S}\\p{Z}\\p{Cc}\\p{Cf}\\p{Co}\\p{Me}\\x{1F300}-\\x{1FAFF}]+', ' '), '[\\p{Han}\\p{Hiragana}\\p{Katakana}\\p{Bopomofo}\\p{Yi}\\p{Thai}\\p{Lao}\\p{Khmer}\\p{Myanmar}\\p{Tibetan}\\p{Javanese}\\p{Balinese}\\p{Tai_Le}\\p{New_Tai_Lue}\\p{Tai_Tham}\\p{Tai_Viet}\\p{Ahom}\\x{3006}\\x{303C}\\x{30FC}]', ' \\0 ') CODEC(ZSTD(1)) AFTER body_kind;

ALTER TABLE logs_v3
    ADD INDEX IF NOT EXISTS by_folded_word body_words TYPE text(tokenizer = 'splitByNonAlpha');

DROP VIEW IF EXISTS logs;

DROP VIEW IF EXISTS log_arrivals;

-- `body_folded` is the text of a body as it is compared with phrases.
CREATE VIEW IF NOT EXISTS logs AS
WITH toJSONString(stored.log_attributes_typed) AS typed_json,
    replaceAll(replaceRegexpAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(stored.body, '\\\\', '\x01'), '\\"', '"'), '\\/', '/'), '\\n', '\n'), '\\t', '\t'), '\\r', '\r'), '\\b', ' '), '\\f', ' '), '\\u001b', '\x1B'), '\\u001B', '\x1B'), '\\\\u00[0-9a-fA-F]{2}', ' '), '\x01', '\\') AS unescaped_body,
    replaceRegexpAll(
        multiIf(
            position(stored.body, '\\') = 0 OR position(stored.body, '"') = 0, stored.body,
            stored.body_kind IN ('array_value', 'kvlist_value'), unescaped_body,
            concat(stored.body, '\n', unescaped_body)),
        '(?:\\x1B\\[|\\x{9B})[0-?]*[ -/]*[@-~]|\\x1B\\][^\\x07\\x1B]*(?:\\x07|\\x1B\\\\)?|\\x1B[ -/]*[0-~]', '') AS bare_body
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
    stored.body_words AS body_words, if(stored.body_words = '', lower(stored.body), normalizeUTF8NFKCCasefold(bare_body)) AS body_folded,
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
WITH toJSONString(stored.log_attributes_typed) AS typed_json,
    replaceAll(replaceRegexpAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(replaceAll(stored.body, '\\\\', '\x01'), '\\"', '"'), '\\/', '/'), '\\n', '\n'), '\\t', '\t'), '\\r', '\r'), '\\b', ' '), '\\f', ' '), '\\u001b', '\x1B'), '\\u001B', '\x1B'), '\\\\u00[0-9a-fA-F]{2}', ' '), '\x01', '\\') AS unescaped_body,
    replaceRegexpAll(
        multiIf(
            position(stored.body, '\\') = 0 OR position(stored.body, '"') = 0, stored.body,
            stored.body_kind IN ('array_value', 'kvlist_value'), unescaped_body,
            concat(stored.body, '\n', unescaped_body)),
        '(?:\\x1B\\[|\\x{9B})[0-?]*[ -/]*[@-~]|\\x1B\\][^\\x07\\x1B]*(?:\\x07|\\x1B\\\\)?|\\x1B[ -/]*[0-~]', '') AS bare_body
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
    stored.body_words AS body_words, if(stored.body_words = '', lower(stored.body), normalizeUTF8NFKCCasefold(bare_body)) AS body_folded,
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
