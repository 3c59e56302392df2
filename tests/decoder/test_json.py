"""OTLP/JSON becomes the request that google.protobuf reads in it, and what it refuses is refused."""

import contextlib
import resource
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_oracle import RefusedError, Texts, message_of

from duoscope.receiver.decoder import JSON_GROWTH_MAX, Kind, NoRoomError, NotJsonError, from_json
from duoscope.receiver.signals import SIGNALS, TRACES

EXAMPLES = 60
KINDS = pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name.lower())
SEEDS = st.integers(0, 2**64 - 1)
NOW_NS = 1_750_000_000 * 10**9
MIB = 1 << 20
SECONDS_MAX = 4.0


def read(kind, raw):
    """The message that ours reads."""
    return SIGNALS[kind].request.FromString(from_json(kind, raw, JSON_GROWTH_MAX * len(raw)))


def same(message, other):
    return message.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)


def agree(kind, raw):
    """Hold ours against google.protobuf; answers whether the text is a request."""
    try:
        due = message_of(kind, raw)
    except RefusedError:
        with pytest.raises(NotJsonError) as caught:
            read(kind, raw)
        assert caught.value.what
        assert caught.value.at <= len(raw)
        return False
    assert same(read(kind, raw), due)
    return True


@KINDS
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=SEEDS)
def test_sound_requests(kind, seed):
    texts = Texts(kind, seed, NOW_NS)
    message = texts.message()
    raw = texts.text(texts.document(message))
    assert agree(kind, raw)
    if b"NaN" not in raw:  # of what is no number, JSON does not keep the bits
        assert same(read(kind, raw), message)


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


@pytest.mark.parametrize(
    "raw",
    [
        span(b'"name":"a","name":"a"'),
        span(b'"traceId":"","trace_id":null'),
        value(b'{"intValue":1,"stringValue":""}'),
        b'{"resourceSpans":[{"resource":"text"}]}',
        b'{"resourceSpans":[{"resource":[]}]}',
        b'{"resourceSpans":[[]]}',
        span(b'"kind":1.5'),
        span(b'"kind":true'),
        span(b'"kind":4294967296'),
        value(b'{"intValue":"1_000"}'),
        value(b'{"intValue":"\n1"}'),
        value(b'{"doubleValue":true}'),
        value(b'{"doubleValue":"1e999"}'),
        value(b'{"doubleValue":"inf"}'),
        value(b'{"bytesValue":"not base64"}'),
        value(b'{"doubleValue":0.%b1}' % (b"0" * 2000)),
        b'{"x":"\\ud800"}',
        b'{"x":%b}' % (b"[" * 101 + b"]" * 101),
    ],
    ids=lambda raw: repr(raw[:90]),
)
def test_what_only_google_protobuf_takes(raw):
    with pytest.raises(NotJsonError):
        read(Kind.TRACES, raw)


@pytest.mark.parametrize(
    "raw", [b'{"x":1,"x":2}', b'{"[a.b]":1}', b'{"x":1e999}', b'{"x":%b}' % (b"9" * 5000)], ids=len
)
def test_what_only_we_take(raw):
    assert read(Kind.TRACES, raw) == TRACES.request()


def test_messages_nest_as_deep_as_in_protobuf():
    levels = 48  # each is two messages; four are around them
    for depth, is_sound in ((levels - 1, True), (levels + 1, False)):
        deep = b'{"arrayValue":{"values":[' * depth + b"{}" + b"]}}" * depth
        assert agree(Kind.TRACES, value(deep)) is is_sound


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
            "deep",
        ),
    ],
)
def test_a_fault_says_where_it_is(raw, where, what):
    with pytest.raises(NotJsonError) as caught:
        read(Kind.TRACES, raw)
    assert caught.value.where.startswith(where)
    assert len(caught.value.where) < len(where) + 130
    assert caught.value.where == where or caught.value.where.endswith("...")
    assert what in caught.value.what


@pytest.mark.parametrize(
    "raw",
    [
        b'{"resourceMetrics":[%b]}' % b",".join([b"{}"] * 1000),
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
    size = len(from_json(Kind.METRICS, raw, JSON_GROWTH_MAX * len(raw)))
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
