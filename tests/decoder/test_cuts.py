"""A part that is too large is cut or dropped, marked and counted; its item is stored."""

import json

import pytest
from native import shown

from duoscope.kernel import limits
from duoscope.receiver.decoder import DEFAULT_BOUNDS, Kind
from duoscope.receiver.signals import LOGS, METRICS, TRACES

LARGE = 301_000
LIST = limits.INGEST_ATTRIBUTES_MAX + 1
ROOM = limits.INGEST_ATTRIBUTE_BYTES_MAX


@pytest.fixture
def stored(oracle):
    """The outcome and the rows of a request, with the limits of a tenant."""

    def decode(kind, message):
        (outcome,), rows = oracle.decode(kind, message.SerializeToString(), bounds=DEFAULT_BOUNDS)
        assert (outcome.items, outcome.rejected) == (outcome.stored, {})
        return outcome, rows

    return decode


@pytest.fixture
def span(oracle):
    """A request and its one span."""
    request = TRACES.request()
    one = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    one.start_time_unix_nano = oracle.NOW_NS
    return request, one


@pytest.mark.parametrize("text", ["prompt " * 43_000, "é" * (LARGE // 2), "\n" * LARGE, "😀" * (LARGE // 4)], ids=len)
def test_a_text_is_cut_where_a_character_ends(stored, span, text):
    request, one = span
    one.attributes.add(key="input").value.string_value = text
    one.attributes.add(key="tokens").value.int_value = 60_000
    outcome, rows = stored(Kind.TRACES, request)
    (row,) = rows["traces_v3"]
    found = shown(row, "span")
    mark = f"…[cut from {len(text.encode())} bytes]"
    assert found["tokens"] == 60_000
    assert found["input"].endswith(mark)
    assert text.startswith(found["input"].removesuffix(mark))
    assert ROOM - 8 < len(json.dumps(found["input"], ensure_ascii=False).encode()) <= ROOM
    assert (outcome.cut, row["dropped_attributes_count"]) == ({"attribute-cut": 1}, 0)


def test_what_is_no_text_is_dropped_and_counted(stored, span):
    request, one = span
    one.dropped_attributes_count = 2
    one.attributes.add(key="image").value.bytes_value = bytes(LARGE)
    values = one.attributes.add(key="list").value.array_value.values
    for number in range(ROOM // 2 + 1):
        values.add().int_value = number % 10
    one.attributes.add(key="k" * (ROOM + 1)).value.int_value = 1
    one.attributes.add(key="kept").value.int_value = 1
    outcome, rows = stored(Kind.TRACES, request)
    (row,) = rows["traces_v3"]
    assert shown(row, "span") == {"kept": 1}
    assert (outcome.cut, row["dropped_attributes_count"]) == ({"attribute-cut": 1}, 2 + 3)
    names = {entry["name"] for entry in rows["telemetry_catalogue"]}
    assert b"kept" in names
    assert not names & {b"image", b"list"}


def test_lists_keep_their_first_entries(stored, span):
    request, one = span
    for number in range(LIST):
        one.events.add(name=f"e{number}")
        one.links.add(trace_id=b"t" * 16, span_id=b"s" * 8)
        one.attributes.add(key=f"k{number}").value.int_value = number
    one.events[0].attributes.extend(one.attributes)
    outcome, rows = stored(Kind.TRACES, request)
    (row,) = rows["traces_v3"]
    assert row["events.name"] == [f"e{number}".encode() for number in range(LIST - 1)]
    assert len(row["links.span_id"]) == len(shown(row, "span")) == LIST - 1
    dropped = [row[f"dropped_{of}_count"] for of in ("attributes", "events", "links")]
    assert dropped == [1, 1, 1]
    assert row["events.dropped_attributes_count"][:2] == [1, 0]
    assert outcome.cut == {"list-cut": 1}


@pytest.mark.parametrize("kind", ["string_value", "bytes_value", "kvlist_value"])
def test_a_body_is_cut(stored, oracle, kind):
    request = LOGS.request()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=oracle.NOW_NS)
    large = "x" * (limits.INGEST_BODY_BYTES_MAX + 1)
    if kind == "string_value":
        record.body.string_value = large
    elif kind == "bytes_value":
        record.body.bytes_value = large.encode()
    else:
        record.body.kvlist_value.values.add(key="prompt").value.string_value = large
    outcome, rows = stored(Kind.LOGS, request)
    (row,) = rows["logs_v3"]
    begins = {"string_value": b"xxx", "bytes_value": b"eHh4", "kvlist_value": b'{"prompt":"xxx'}[kind]
    assert row["body"].startswith(begins)
    assert b"\xe2\x80\xa6[cut from " in row["body"][-40:]
    assert limits.INGEST_BODY_BYTES_MAX - 50 < len(row["body"]) <= limits.INGEST_BODY_BYTES_MAX
    assert (row["body_kind"], outcome.cut) == (1, {"body-cut": 1})


def test_series_that_differ_only_in_what_was_cut_stay_apart(stored, oracle):
    request = METRICS.request()
    points = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m").gauge.data_points
    for last in ("a", "b"):
        point = points.add(time_unix_nano=oracle.NOW_NS, as_int=1)
        point.attributes.add(key="sql").value.string_value = "x" * LARGE + last
        for _ in range(LIST):
            point.exemplars.add(as_int=1, time_unix_nano=oracle.NOW_NS)
    outcome, rows = stored(Kind.METRICS, request)
    one, other = rows["number_points"]
    assert one["attributes_json"] == other["attributes_json"]
    assert one["series_id"] != other["series_id"]
    assert outcome.cut == {"attribute-cut": 2, "list-cut": 2}
    assert len(rows["exemplars_v3"]) == 2 * (LIST - 1)


@pytest.mark.parametrize(
    ("kind", "value", "service"),
    [
        ("string_value", "shop", b"shop"),
        ("int_value", 42, b"42"),
        ("double_value", 1.5, b"1.5"),
        ("bool_value", True, b"true"),
        ("bytes_value", b"abc", b"YWJj"),
    ],
)
def test_a_service_name_that_is_no_text_is_a_service(stored, span, kind, value, service):
    request, _ = span
    setattr(request.resource_spans[0].resource.attributes.add(key="service.name").value, kind, value)
    _, rows = stored(Kind.TRACES, request)
    assert rows["traces_v3"][0]["service_name"] == service
