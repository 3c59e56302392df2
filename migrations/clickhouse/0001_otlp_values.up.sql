-- How an OTLP AnyValue becomes text. A value is a tuple: (1) which field was set, (2) string, (3) bool, (4) int,
-- (5) double, (6) array, (7) key-value list, (8) bytes; the number in (1) is one less than the position of that field.
--
-- These are inlined wherever they are used and analysed anew at every INSERT, so they are written for few nodes: a
-- nested call more costs milliseconds a batch. One nested level is decoded; what lies deeper is kept as the message's
-- own bytes, {"@otlp.array_value": "<base64>"}, and the reader opens it. Attributes of scopes, events, links and exemplars
-- are rare: they are kept as toJSONString() prints the decoded tuple, and the reader opens that too.

-- A value inside an array or a key-value list, as JSON.
CREATE FUNCTION IF NOT EXISTS otlpNestedJson AS (v) ->
    multiIf(
        tupleElement(v, 1) = 1, toJSONString(tupleElement(v, 2)),
        tupleElement(v, 1) = 2, toString(tupleElement(v, 3)),
        tupleElement(v, 1) = 3, toString(tupleElement(v, 4)),
        tupleElement(v, 1) = 4, toJSONString(tupleElement(v, 5)),
        tupleElement(v, 1) = 0, 'null',
        concat('{"@otlp.', toString(tupleElement(v, 1)), '":"',
            base64Encode(concat(tupleElement(v, 6), tupleElement(v, 7), tupleElement(v, 8))), '"}'));

-- A value as text: a string as it is, bytes in base64, an array or a key-value list as JSON. Arrays and lists go one
-- way: an array is a list whose keys print nothing.
CREATE FUNCTION IF NOT EXISTS otlpText AS (v) ->
    multiIf(
        tupleElement(v, 1) = 1, tupleElement(v, 2),
        tupleElement(v, 1) = 2, toString(tupleElement(v, 3)),
        tupleElement(v, 1) = 3, toString(tupleElement(v, 4)),
        tupleElement(v, 1) = 4, toString(tupleElement(v, 5)),
        tupleElement(v, 1) = 7, base64Encode(tupleElement(v, 8)),
        tupleElement(v, 1) = 0, '',
        concat(
            if(tupleElement(v, 1) = 5, '[', '{'),
            arrayStringConcat(arrayMap(
                (k, x) -> concat(k, otlpNestedJson(x)),
                arrayConcat(
                    arrayMap(x -> '', tupleElement(tupleElement(v, 6), 1)),
                    arrayMap(k -> concat(toJSONString(k), ':'), tupleElement(tupleElement(tupleElement(v, 7), 1), 1))),
                arrayConcat(tupleElement(tupleElement(v, 6), 1), tupleElement(tupleElement(tupleElement(v, 7), 1), 2))), ','),
            if(tupleElement(v, 1) = 5, ']', '}')));

-- Attributes as a map of texts, in the order sent; otlpKinds says in the same order what each value was.
CREATE FUNCTION IF NOT EXISTS otlpAttributes AS (attributes) ->
    mapFromArrays(tupleElement(attributes, 1), arrayMap(v -> otlpText(v), tupleElement(attributes, 2)));

CREATE FUNCTION IF NOT EXISTS otlpKinds AS (attributes) -> tupleElement(tupleElement(attributes, 2), 1);

-- The same for attributes whose values are leaves from the start (metric points).
CREATE FUNCTION IF NOT EXISTS otlpLeafAttributes AS (attributes) ->
    mapFromArrays(
        tupleElement(attributes, 1),
        arrayMap(
            v -> multiIf(
                tupleElement(v, 1) = 1, tupleElement(v, 2),
                tupleElement(v, 1) = 2, toString(tupleElement(v, 3)),
                tupleElement(v, 1) = 3, toString(tupleElement(v, 4)),
                tupleElement(v, 1) = 4, toString(tupleElement(v, 5)),
                tupleElement(v, 1) = 0, '',
                base64Encode(concat(tupleElement(v, 6), tupleElement(v, 7), tupleElement(v, 8)))),
            tupleElement(attributes, 2)));

-- Resource attributes as one JSON object that keeps their types; bytes print as a nested value does.
CREATE FUNCTION IF NOT EXISTS otlpObject AS (attributes) ->
    concat('{', arrayStringConcat(arrayMap(
        (k, kind, t) -> concat(toJSONString(k), ':', multiIf(
            kind = 1, toJSONString(t), kind = 0, 'null', kind = 7, concat('{"@otlp.bytes_value":"', t, '"}'), t)),
        tupleElement(attributes, 1),
        tupleElement(tupleElement(attributes, 2), 1),
        arrayMap(v -> otlpText(v), tupleElement(attributes, 2))), ','), '}');

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

-- One number a time series: attributes in another order are the same series.
CREATE FUNCTION IF NOT EXISTS otlpSeriesId AS (resource, scope, attributes) ->
    cityHash64(resource, scope, arraySum(arrayMap((k, v) -> cityHash64(k, v), mapKeys(attributes), mapValues(attributes))));
