"""Attributes of spans and log records come out of their columns as they were put in, whatever they are called."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native import shown
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from duoscope.kernel import limits
from duoscope.receiver.decoder import DEFAULT_BOUNDS, Kind
from duoscope.receiver.signals import LOGS

PATHS_MAX = 64
TYPES = {"Bool": "bool_value", "Int64": "int_value", "Float64": "double_value", "String": "string_value"}

names = st.one_of(
    st.sampled_from(
        ["a", "a.b", "a.b.c", "a.", ".a", ".", "..", "", "a/b", "a-b", "A", "a%2Eb", "a`b", "a b", "é", "a\0"]
    ),
    st.text(max_size=8),
    st.integers(0, 200).map("name.{}".format),
)
scalars = st.one_of(
    st.builds(AnyValue, string_value=st.text(max_size=10)),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
    st.builds(AnyValue, double_value=st.one_of(st.floats(), st.integers(-100, 100).map(float), st.just(-0.0))),
)
values = st.recursive(
    st.one_of(scalars, st.just(AnyValue()), st.builds(AnyValue, bytes_value=st.binary(max_size=6))),
    lambda inner: st.one_of(
        st.builds(lambda items: AnyValue(array_value=ArrayValue(values=items)), st.lists(inner, max_size=3)),
        st.builds(
            lambda items: AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=k, value=v) for k, v in items])),
            st.lists(st.tuples(st.text(max_size=3), inner), max_size=3),
        ),
    ),
    max_leaves=5,
)
records = st.lists(st.lists(st.builds(lambda k, v: KeyValue(key=k, value=v), names, values), max_size=12), min_size=1)


def request_of(oracle, rows):
    request = LOGS.request()
    scope = request.resource_logs.add().scope_logs.add()
    for attributes in rows:
        scope.log_records.add(time_unix_nano=oracle.NOW_NS).attributes.extend(attributes)
    return request.SerializeToString()


def plain(value):
    """A value as Python has it, with its type."""
    kind = value.WhichOneof("value")
    match kind:
        case "array_value":
            return kind, [plain(each) for each in value.array_value.values]
        case "kvlist_value":
            return kind, [(pair.key, plain(pair.value)) for pair in value.kvlist_value.values]
        case None:
            return kind, None
        case "double_value" if (
            value.double_value in (float("inf"), float("-inf")) or value.double_value != value.double_value
        ):
            return "string_value", str(value.double_value)  # in lists and maps, where JSON has no such numbers
        case "bytes_value":
            return kind, value.bytes_value.hex()
        case _:
            return kind, getattr(value, kind)


def from_json(value):  # noqa: PLR0911 - one a kind
    """What `plain` makes of the value that a JSON text, read with its pairs, is of."""
    match value:
        case tuple():
            pairs = list(value)
            if len(pairs) == 1 and pairs[0][0] == "@otlp.bytes_value":
                return "bytes_value", base64.b64decode(pairs[0][1]).hex()
            return "kvlist_value", [(name, from_json(inner)) for name, inner in pairs]
        case list():
            return "array_value", [from_json(each) for each in value]
        case bool():
            return "bool_value", value
        case int():
            return "int_value", value
        case float():
            return "double_value", value
        case str():
            return "string_value", value
        case _:
            return None, None


def stored(row):
    """The attributes of a row by name: the values that it had under each, in order."""
    found = {}
    for name, (kind, value) in row["log_attributes_typed"].items():
        plain_value = value.decode() if kind == "String" else bool(value) if kind == "Bool" else value
        found.setdefault(name.decode(), []).append((TYPES[kind], plain_value))
    text = row["log_attributes_json"]
    for name, value in json.loads(text, object_pairs_hook=tuple) if text else ():
        found.setdefault(name, []).append(from_json(value))
    return found


@settings(max_examples=300, deadline=None)
@given(rows=records)
def test_every_value_comes_back(oracle, rows):
    _, found = oracle.decode(Kind.LOGS, request_of(oracle, rows), bounds=DEFAULT_BOUNDS)
    for attributes, row in zip(rows, found["logs_v3"], strict=True):
        sent = {}
        for pair in attributes:
            sent.setdefault(pair.key, []).append(plain(pair.value))
        back = stored(row)
        assert back.keys() == sent.keys()
        for name, wanted in sent.items():
            assert repr(back[name]) in {repr(wanted), repr([_finite(value) for value in wanted])}


def _finite(value):
    kind, inner = value
    return ("double_value", float(inner)) if kind == "string_value" and inner in ("nan", "inf", "-inf") else value


def test_ordinary_attributes_leave_no_text(oracle):
    attributes = [KeyValue(key=f"http.{n}", value=AnyValue(int_value=n)) for n in range(20)]
    _, found = oracle.decode(Kind.LOGS, request_of(oracle, [attributes] * 3), bounds=DEFAULT_BOUNDS)
    assert {row["log_attributes_json"] for row in found["logs_v3"]} == {b""}


def test_a_thousand_names_have_few_columns(oracle, block_of_logs):
    names = [f"n{number}.x" for number in range(limits.INGEST_ATTRIBUTES_MAX)]
    rows = [[KeyValue(key=name, value=AnyValue(string_value=name)) for name in order] for order in (names, names[::-1])]
    raw = request_of(oracle, rows)
    _, found = oracle.decode(Kind.LOGS, raw, bounds=DEFAULT_BOUNDS)
    for row in found["logs_v3"]:
        assert shown(row, "log") == {name: name for name in names}
        assert row["log_attributes_json"] == b""
    assert len(block_of_logs(raw)) < 3 * len(raw)


def test_many_names_take_no_more_than_their_bytes(oracle, block_of_logs):
    """Ten thousand names, one a record: not a column of all records for each."""
    rows = [[KeyValue(key=f"name.{number}", value=AnyValue(bool_value=True))] for number in range(10_000)]
    empty = block_of_logs(request_of(oracle, [[]] * len(rows)))
    assert (len(block_of_logs(request_of(oracle, rows))) - len(empty)) / len(rows) < PATHS_MAX + 8 + 30


@pytest.fixture
def block_of_logs(oracle):
    """The block of the log records of a request."""

    def block(raw):
        decoder = oracle.Decoder(Kind.LOGS)
        decoder.add(raw, oracle.SCOPE, oracle.RETENTION_DAYS, now_ns=oracle.NOW_NS, bounds=DEFAULT_BOUNDS)
        return next(each.native for each in decoder.blocks() if each.table == "logs_v3")

    return block
