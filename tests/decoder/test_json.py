"""OTLP/JSON becomes the request that google.protobuf reads in it, and what it refuses is refused."""

import contextlib
import resource
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_oracle import MARK, TWINS, RefusedError, Texts, message_of
from otlp_oracle import SCOPE

from duoscope.receiver.decoder import JSON_GROWTH_MAX, Decoder, Kind, NoRoomError, NotJsonError, from_json

EXAMPLES = 60
KINDS = pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name.lower())
SEEDS = st.integers(0, 2**64 - 1)
NOW_NS = 1_750_000_000 * 10**9
MIB = 1 << 20
SECONDS_MAX = 4.0


def read(kind, raw):
    """The message that ours reads, as one whose texts may be any bytes, and the first fault that was passed over."""
    made, fault = from_json(kind, raw, JSON_GROWTH_MAX * len(raw))
    return TWINS[kind].FromString(made), fault


def same(message, other):
    return message.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)


def agree(kind, raw):
    """Hold ours against google.protobuf; answers whether the text is a request."""
    try:
        due = message_of(kind, raw)
    except RefusedError:
        with pytest.raises(NotJsonError) as caught:
            read(kind, raw)
        assert caught.value.fault.what
        assert caught.value.fault.at <= len(raw)
        return False
    message, fault = read(kind, raw)
    assert same(message, due)
    assert fault or MARK not in due.SerializeToString()
    return True


def outcome_of(kind, raw):
    """The decoder's outcome for the items of a text."""
    made, _ = from_json(kind, raw, JSON_GROWTH_MAX * len(raw))
    return Decoder(kind).add(made, SCOPE, 7, now_ns=NOW_NS)


@KINDS
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=SEEDS)
def test_sound_requests(kind, seed):
    texts = Texts(kind, seed, NOW_NS)
    message = texts.message()
    raw = texts.text(texts.document(message))
    assert agree(kind, raw)
    if b"NaN" not in raw:  # of what is no number, JSON does not keep the bits
        assert same(read(kind, raw)[0], message)


@KINDS
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=SEEDS)
def test_documents_that_are_odd_somewhere(kind, seed):
    texts = Texts(kind, seed, NOW_NS)
    agree(kind, texts.text(texts.changed(texts.document(texts.message()))))


@KINDS
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=SEEDS)
def test_damaged_texts(kind, seed):
    texts = Texts(kind, seed, NOW_NS)
    one, other = (texts.text(texts.document(texts.message())) for _ in range(2))
    agree(kind, texts.damaged(one, other))


def span(members):
    return b'{"resourceSpans":[{"scopeSpans":[{"spans":[{%b}]}]}]}' % members


def metrics(members):
    return b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{%b}]}]}]}' % members


def value(content):
    return span(b'"attributes":[{"value":%b}]' % content)


REQUESTS = "raw", [b'"text"', b"[]", b'{"resourceSpans":{}}', b'{"resourceSpans":[],"resource_spans":[]}', b'{"x":NaN}']


def test_a_document_of_another_signal_is_refused():
    for kind in Kind:
        for other in ("resourceSpans", "resourceLogs", "resource_metrics"):
            raw = b'{"%b":[{}]}' % other.encode()
            if (
                other.lower().replace("_", "")[8:]
                in {Kind.TRACES: "spans", Kind.LOGS: "logs", Kind.METRICS: "metrics"}[kind]
            ):
                assert agree(kind, raw)
            else:
                assert not agree(kind, raw)


@pytest.mark.parametrize(*REQUESTS)
def test_what_is_no_request_is_refused_whole(raw):
    with pytest.raises(NotJsonError):
        read(Kind.TRACES, raw)


SOUND = b'"traceId":"%b","spanId":"%b","startTimeUnixNano":"%d"' % (b"1" * 32, b"2" * 16, NOW_NS)


@pytest.mark.parametrize(
    "fault",
    [
        b'"name":"a","name":"a"',
        b'"name":5',
        b'"parentSpanId":"","parent_span_id":null',
        b'"attributes":{}',
        b'"attributes":[null]',
        b'"attributes":[{"key":1}]',
        b'"attributes":[{"value":{"intValue":1,"stringValue":""}}]',
        b'"events":[[]]',
        b'"links":[{"flags":4294967296}]',
        b'"kind":1.5',
        b'"kind":true',
        b'"kind":4294967296',
        b'"endTimeUnixNano":-1',
        b'"status":"error"',
        *(
            b'"attributes":[{"value":{%b}}]' % value
            for value in (
                b'"intValue":"1_000"',
                b'"intValue":9223372036854775808',
                b'"intValue":"\n1"',
                b'"doubleValue":true',
                b'"doubleValue":"1e999"',
                b'"doubleValue":"inf"',
                b'"bytesValue":"not base64"',
                b'"doubleValue":0.%b1' % (b"0" * 2000),
                b'"arrayValue":{"values":[{"boolValue":0}]}',
            )
        ),
    ],
    ids=lambda raw: repr(raw[:90]),
)
def test_a_fault_costs_the_item_that_it_is_in(fault):
    fault = fault.replace(b"\n", rb"\n")
    raw = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{%b},{%b,%b},{%b}]}]}]}' % (SOUND, SOUND, fault, SOUND)
    found = outcome_of(Kind.TRACES, raw)
    assert (found.items, found.stored, found.rejected) == (3, 2, {"invalid-json-value": 1})
    assert read(Kind.TRACES, raw)[1].where.startswith("resourceSpans[0].scopeSpans[0].spans[1].")


@pytest.mark.parametrize("text", [b"\\ud83d", b"\\ude00", b"\xf0\x9f", b"\xed\xa0\x80", b"\xff"])
@pytest.mark.parametrize("place", [b'"name":"%b"', b'"attributes":[{"key":"%b"}]', b'"events":[{"name":"%b"}]'])
def test_a_text_that_is_no_utf8_costs_its_item(text, place):
    raw = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{%b},{%b,%b}]}]}]}' % (SOUND, SOUND, place % text)
    found = outcome_of(Kind.TRACES, raw)
    assert (found.stored, found.rejected) == (1, {"invalid-utf8": 1})


@pytest.mark.parametrize("spans", [b"7", b"null", b"[]", b'"text"', b"true"])
def test_what_should_be_an_item_and_is_none_counts_as_one(spans):
    raw = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{%b},%b]}]}]}' % (SOUND, spans)
    found = outcome_of(Kind.TRACES, raw)
    assert (found.items, found.stored, found.rejected) == (2, 1, {"invalid-json-value": 1})


@pytest.mark.parametrize(
    "members",
    [b'"resource":5', b'"schemaUrl":5', b'"resource":{"attributes":[5]}', b'"resource":{"droppedAttributesCount":-1}'],
)
def test_a_fault_of_a_resource_costs_what_it_has(members):
    of = b'{%b,"scopeSpans":[{"spans":[{%b},{%b}]}]}' % (members, SOUND, SOUND)
    sound = b'{"scopeSpans":[{"spans":[{%b}]}]}' % SOUND
    found = outcome_of(Kind.TRACES, b'{"resourceSpans":[%b,%b]}' % (of, sound))
    assert (found.items, found.stored, found.rejected) == (3, 1, {"invalid-json-value": 2})


@pytest.mark.parametrize("place", [b'{"resourceSpans":[{"scopeSpans":7}]}', b'{"resourceSpans":[[]]}'])
def test_what_should_hold_items_and_holds_none_counts_as_one(place):
    found = outcome_of(Kind.TRACES, place)
    assert (found.items, found.rejected) == (1, {"invalid-json-value": 1})


POINT = b'{"timeUnixNano":"%d","asInt":1}' % NOW_NS


@pytest.mark.parametrize(
    ("metric", "rejected", "stored"),
    [
        (b'"name":5,"gauge":{"dataPoints":[%b,%b]}' % (POINT, POINT), 2, 0),
        (b'"gauge":{"dataPoints":[%b,%b]},"sum":{}' % (POINT, POINT), 2, 0),
        (b'"gauge":{"dataPoints":[%b,7]}' % POINT, 1, 1),
        (b'"gauge":{"dataPoints":[%b,{"asInt":"x"}]}' % POINT, 1, 1),
        (b'"gauge":{"dataPoints":7}', 1, 0),
        (b'"gauge":7', 1, 0),
        (b'"sum":{"isMonotonic":"yes","dataPoints":[%b]}' % POINT, 1, 0),
        (b'"histogram":{"dataPoints":[{"bucketCounts":[1,-1]}]}', 1, 0),
    ],
)
def test_a_fault_of_a_metric_costs_its_points_and_one_of_a_point_the_point(metric, rejected, stored):
    found = outcome_of(Kind.METRICS, metrics(metric))
    assert (found.stored, found.rejected) == (stored, {"invalid-json-value": rejected})


def test_an_id_that_is_no_hex_is_left_out_and_the_sender_told():
    raw = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"a-b","spanId":7}]}]}]}'
    assert outcome_of(Kind.LOGS, raw).stored == 1
    assert str(read(Kind.LOGS, raw)[1]).startswith("resourceLogs[0].scopeLogs[0].logRecords[0].traceId, at byte ")
    found = outcome_of(Kind.TRACES, span(SOUND.replace(b"1" * 32, b"order-4711")))
    assert found.rejected == {"invalid-id": 1}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"x":1,"x":2}',
        b'{"[a.b]":1}',
        b'{"x":1e999}',
        b'{"x":%b}' % (b"9" * 5000),
        b'{"x":"\\ud800"}',
        b'{"x":%b}' % (b"[" * 100_000 + b"]" * 100_000),
        b'{"x":%b1%b}' % (b'{"a":[' * 5000, b"]}" * 5000),
    ],
    ids=len,
)
def test_what_only_we_take(raw):
    assert read(Kind.TRACES, raw) == (TWINS[Kind.TRACES](), None)


@pytest.mark.parametrize(
    "raw", [b'{"x":[{"a":[1}]]}', b'{"x":[[1],}', b'{"x":{"a":1]}', b'{"x":%b' % (b"[" * 100_000)], ids=len
)
def test_containers_that_nobody_wants_must_close_as_they_open(raw):
    with pytest.raises(NotJsonError):
        read(Kind.TRACES, raw)


@pytest.mark.parametrize("levels", [31, 33, 60, 1000, 50_000])
@pytest.mark.parametrize("kind", ["array", "map"])
def test_values_that_nest_deeply_cost_no_other_item(kind, levels):
    opening = b'{"arrayValue":{"values":[' if kind == "array" else b'{"kvlistValue":{"values":[{"key":"k","value":'
    closing = b"]}}" if kind == "array" else b"}]}}"
    deep = b'"attributes":[{"value":%b{}%b}]' % (opening * levels, closing * levels)
    found = outcome_of(
        Kind.TRACES, b'{"resourceSpans":[{"scopeSpans":[{"spans":[{%b,%b},{%b}]}]}]}' % (SOUND, deep, SOUND)
    )
    assert found.items == 2
    assert (found.stored, found.reasons) == (2, {} if levels < 32 else {"nesting-cut": 1})


@pytest.mark.parametrize(
    ("raw", "where", "what"),
    [
        (span(b'"traceId":"abc"'), "resourceSpans[0].scopeSpans[0].spans[0].traceId", "hex"),
        (span(b'"links":[{},{"span_id":5}]'), "resourceSpans[0].scopeSpans[0].spans[0].links[1].spanId", "string"),
        (
            span(b'"events":[{},{"timeUnixNano":-1}]'),
            "resourceSpans[0].scopeSpans[0].spans[0].events[1].timeUnixNano",
            "range",
        ),
        (b'{"resourceSpans":[{},7]}', "resourceSpans[1]", "object"),
        (b'{"resourceSpans":{}}', "resourceSpans", "array"),
        (b'{"later":[1,2', "", "comma"),
        (b'{"resourceSpans":[]} x', "", "follow"),
        (b"", "", "object"),
        (
            value(b'{"arrayValue":{"values":[' * 60),
            "resourceSpans[0].scopeSpans[0].spans[0].attributes[0].value.arrayValue",
            "",
        ),
    ],
)
def test_a_fault_says_where_it_is(raw, where, what):
    try:
        fault = read(Kind.TRACES, raw)[1]
    except NotJsonError as error:
        fault = error.fault
    assert fault.where.startswith(where)
    assert len(fault.where) < len(where) + 130
    assert fault.where == where or fault.where.endswith("...")
    assert what in fault.what


@pytest.mark.parametrize(
    "raw",
    [
        b'{"resourceMetrics":[%b]}' % b",".join([b"{}"] * 1000),
        b'{"resourceMetrics":[%b]}' % b",".join([b"0"] * 1000),
        metrics(b'"histogram":{"dataPoints":[{"bucketCounts":[%b]}]}' % b",".join([b"0"] * 1000)),
        metrics(b'"histogram":{"dataPoints":[{"sum":0,"min":0,"max":0}]}'),
        metrics(
            b'"exponentialHistogram":{"dataPoints":[{"min":0,"positive":{"bucketCounts":[%b]}}]}'
            % b",".join([b"9"] * 200)
        ),
    ],
    ids=len,
)
def test_a_text_does_not_grow_beyond_what_is_reserved_for_it(raw):
    assert agree(Kind.METRICS, raw)
    size = len(from_json(Kind.METRICS, raw, JSON_GROWTH_MAX * len(raw))[0])
    with pytest.raises(NoRoomError):
        from_json(Kind.METRICS, raw, size - 1)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"resourceSpans":[' + b"{}," * 10_000_000 + b"{}]}",
        value(b'{"arrayValue":{"values":[' * 45 + b'{"stringValue":"%b"}' % (b"x" * 30 * MIB) + b"]}}" * 45),
        span(b'"name":"%b"' % (b"\\u00e9" * 5 * MIB)),
        value(b'{"doubleValue":%b}' % (b"1" * 30 * MIB)),
        value(b'{"intValue":"%b"}' % (b"1" * 30 * MIB)),
        b'{"' + b"\\u0061" * 5 * MIB + b'":0}',
        b'{"x":[' + b"0," * 15 * MIB + b"0]}",
        b'{"a":0,' * 1 + b'"a":0,' * 5 * MIB + b'"a":0}',
        span(b'"startTimeUnixNano":[%b' % (b"[" * 30 * MIB)),
    ],
    ids=lambda raw: repr(raw[:70]),
)
def test_a_hostile_text_costs_in_proportion_to_its_bytes(raw):
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10, time.thread_time()
    with contextlib.suppress(NotJsonError):
        from_json(Kind.TRACES, raw, len(raw))
    assert time.thread_time() - began < SECONDS_MAX
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) - before < 2 * len(raw) + 8 * MIB
