-- How OTLP attributes become text: one JSON object with typed values, {"http.route":"/cart","http.response.status_code":200},
-- in the order sent and without spaces, so that '"http.route":"/cart"' finds it. A value is a tuple: (1) which field was
-- set, (2) string, (3) bool, (4) int, (5) double, (6) array, (7) key-value list, (8) bytes; the number in (1) is one less
-- than the position of that field.
--
-- These are inlined wherever they are used and analysed anew at every INSERT, so they are written for few nodes: a nested
-- call more costs milliseconds a batch. One nested level is decoded; what lies deeper, and bytes, are kept in base64,
-- {"@otlp.array_value":"…"}, {"@otlp.kvlist_value":"…"}, {"@otlp.bytes_value":"…"}, and the reader opens them. Attributes of
-- scopes, events, links and exemplars are rare: toJSONString() prints their tuples, and the reader opens those too.

-- Whether any key or text value holds what JSON must escape. Few do, so this is asked once a row.
CREATE FUNCTION IF NOT EXISTS otlpNeedsEscape AS (keys, texts) ->
    multiMatchAny(concat(arrayStringConcat(keys), arrayStringConcat(texts)), ['[\\x00-\\x1F"\\\\]']);

-- Texts as they stand between quotes in JSON.
CREATE FUNCTION IF NOT EXISTS otlpEscaped AS (texts) ->
    arrayMap(j -> substring(j, 2, length(j) - 2), arrayMap(t -> toJSONString(t), texts));

-- A value inside an array or a key-value list, as JSON.
CREATE FUNCTION IF NOT EXISTS otlpLeaf AS (v) ->
    multiIf(
        tupleElement(v, 1) = 1, toJSONString(tupleElement(v, 2)),
        tupleElement(v, 1) = 2, toString(tupleElement(v, 3)),
        tupleElement(v, 1) = 3, toString(tupleElement(v, 4)),
        tupleElement(v, 1) = 4, if(isFinite(tupleElement(v, 5)), toString(tupleElement(v, 5)), concat('"', toString(tupleElement(v, 5)), '"')),
        tupleElement(v, 1) = 0, 'null',
        concat('{"@otlp.', toString(tupleElement(v, 1)), '":"',
            base64Encode(concat(tupleElement(v, 6), tupleElement(v, 7), tupleElement(v, 8))), '"}'));

-- An array or a key-value list, as JSON. Both go one way: an array is a list whose keys print nothing.
CREATE FUNCTION IF NOT EXISTS otlpNested AS (v) ->
    concat(
        if(tupleElement(v, 1) = 5, '[', '{'),
        arrayStringConcat(arrayMap(
            (k, x) -> concat(k, otlpLeaf(x)),
            arrayConcat(
                arrayMap(x -> '', tupleElement(tupleElement(v, 6), 1)),
                arrayMap(k -> concat(toJSONString(k), ':'), tupleElement(tupleElement(tupleElement(v, 7), 1), 1))),
            arrayConcat(tupleElement(tupleElement(v, 6), 1), tupleElement(tupleElement(tupleElement(v, 7), 1), 2))), ','),
        if(tupleElement(v, 1) = 5, ']', '}'));

-- The object that attributes become. Every member is put together in the same way, as a branch an element is dear.
CREATE FUNCTION IF NOT EXISTS otlpMembers AS (keys, values, texts) ->
    arrayMap(
        (k, v, t) -> concat(
            '"', k, if(tupleElement(v, 1) = 1, '":"', '":'),
            multiIf(
                tupleElement(v, 1) = 1, t,
                tupleElement(v, 1) = 3, toString(tupleElement(v, 4)),
                tupleElement(v, 1) = 2, toString(tupleElement(v, 3)),
                tupleElement(v, 1) = 4, if(isFinite(tupleElement(v, 5)), toString(tupleElement(v, 5)), concat('"', toString(tupleElement(v, 5)), '"')),
                tupleElement(v, 1) = 7, concat('{"@otlp.bytes_value":"', base64Encode(tupleElement(v, 8)), '"}'),
                tupleElement(v, 1) = 0, 'null',
                otlpNested(v)),
            if(tupleElement(v, 1) = 1, '"', '')),
        keys, values, texts);

CREATE FUNCTION IF NOT EXISTS otlpObjectOf AS (keys, values, texts, escape) ->
    concat('{', arrayStringConcat(
        otlpMembers(if(escape, otlpEscaped(keys), keys), values, if(escape, otlpEscaped(texts), texts)), ','), '}');

CREATE FUNCTION IF NOT EXISTS otlpObject AS (attributes) ->
    otlpObjectOf(
        tupleElement(attributes, 1),
        tupleElement(attributes, 2),
        tupleElement(tupleElement(attributes, 2), 2),
        otlpNeedsEscape(tupleElement(attributes, 1), tupleElement(tupleElement(attributes, 2), 2)));

-- The attributes of metric points come as (key, the bytes of their AnyValue): the nine columns that a decoded value takes
-- cost more than all else about a point. An AnyValue is one field: a tag, then for text and what nests a length, then the
-- content. 10 text, 16 bool, 24 int (a varint), 33 double; 42, 50 and 58 (array, list, bytes) stay as they are in base64.
CREATE FUNCTION IF NOT EXISTS otlpRawContent AS (v) ->
    substring(v, multiIf(length(v) <= 129, 3, length(v) <= 16386, 4, length(v) <= 2097155, 5, 6));

CREATE FUNCTION IF NOT EXISTS otlpRawText AS (v) ->
    multiIf(
        ascii(v) = 10, otlpRawContent(v),
        ascii(v) = 24, toString(reinterpretAsInt64(reinterpretAsString(arraySum(arrayMap(
            i -> bitShiftLeft(toUInt64(bitAnd(ascii(substring(v, 2 + i)), 127)), 7 * i), range(length(v) - 1)))))),
        ascii(v) = 16, if(substring(v, 2) = '\x01', 'true', 'false'),
        ascii(v) = 33, if(isFinite(reinterpretAsFloat64(substring(v, 2))), toString(reinterpretAsFloat64(substring(v, 2))),
            concat('"', toString(reinterpretAsFloat64(substring(v, 2))), '"')),
        v = '', 'null',
        concat('{"@otlp.', transform(ascii(v), [42, 50], ['array_value', 'kvlist_value'], 'bytes_value'), '":"', base64Encode(otlpRawContent(v)), '"}'));

-- The members of the object that raw attributes become; texts are their values by otlpRawText. Compute those and `escape`
-- in a subquery: an alias is inlined, and analysed, once for every use.
CREATE FUNCTION IF NOT EXISTS otlpRawMembers AS (keys, values, texts, escape) ->
    arrayMap(
        (k, v, t) -> concat('"', k, if(ascii(v) = 10, '":"', '":'), t, if(ascii(v) = 10, '"', '')),
        if(escape, otlpEscaped(keys), keys),
        values,
        if(escape, arrayMap((v, t, e) -> if(ascii(v) = 10, e, t), values, texts, otlpEscaped(texts)), texts));

-- A log body: a text as it is, anything else as JSON.
CREATE FUNCTION IF NOT EXISTS otlpBody AS (v) ->
    multiIf(
        tupleElement(v, 1) = 1, tupleElement(v, 2),
        tupleElement(v, 1) = 2, toString(tupleElement(v, 3)),
        tupleElement(v, 1) = 3, toString(tupleElement(v, 4)),
        tupleElement(v, 1) = 4, toString(tupleElement(v, 5)),
        tupleElement(v, 1) = 7, base64Encode(tupleElement(v, 8)),
        tupleElement(v, 1) = 0, '',
        otlpNested(v));

-- The service that a resource names, or '' where it names none.
CREATE FUNCTION IF NOT EXISTS otlpServiceName AS (attributes) ->
    tupleElement(tupleElement(arrayFirst(a -> tupleElement(a, 1) = 'service.name', attributes), 2), 2);

-- Ids of a wrong length become the id of zeros, which means "none".
CREATE FUNCTION IF NOT EXISTS otlpTraceId AS (id) -> toFixedString(if(length(id) = 16, id, ''), 16);

CREATE FUNCTION IF NOT EXISTS otlpSpanId AS (id) -> toFixedString(if(length(id) = 8, id, ''), 8);

CREATE FUNCTION IF NOT EXISTS otlpTime AS (unix_nano) -> fromUnixTimestamp64Nano(toInt64(unix_nano), 'UTC');

-- When a log record happened: its own time, or when it was observed, or now.
CREATE FUNCTION IF NOT EXISTS otlpLogTime AS (unix_nano, observed_unix_nano) ->
    multiIf(unix_nano != 0, fromUnixTimestamp64Nano(toInt64(unix_nano), 'UTC'),
        observed_unix_nano != 0, fromUnixTimestamp64Nano(toInt64(observed_unix_nano), 'UTC'), now64(9, 'UTC'));

CREATE FUNCTION IF NOT EXISTS otlpExemplarValue AS (e) ->
    if(tupleElement(e, 'value') = 'as_int', toFloat64(tupleElement(e, 'as_int')), tupleElement(e, 'as_double'));

-- Whether a time is one to store: not over 400 days old, the longest retention, and not over a day ahead, which is a broken
-- clock. Without it one request could open a partition for each of thousands of days, and fail the INSERT it is in.
CREATE FUNCTION IF NOT EXISTS otlpIsTimely AS (unix_nano) ->
    unix_nano BETWEEN (toUnixTimestamp(now()) - 34560000) * 1000000000 AND (toUnixTimestamp(now()) + 86400) * 1000000000;
