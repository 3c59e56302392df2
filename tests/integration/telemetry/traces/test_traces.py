"""Traces by id and by search, services and the map of who calls whom."""

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.telemetry import services, traces
from duoscope.telemetry.times import TimeRange
from duoscope.telemetry.values import rfc3339

# A whole hour that is over, and young enough for the shortest retention.
_START_NS = (now_unix_nano() // (3600 * 10**9) - 2) * 3600 * 10**9
HOUR = TimeRange(_START_NS, _START_NS + 3600 * 10**9)
MS = 1_000_000
SERVER, CLIENT = 2, 3


def _id(number, length=8):
    return number.to_bytes(length, "big")


@pytest.fixture
async def scope(deliver, otlp, new_scope):
    made = new_scope()
    start = HOUR.start_ns
    trace, other = _id(1, 16), _id(2, 16)
    front = otlp.spans(
        "front",
        {"trace_id": trace, "span_id": _id(1), "name": "GET /cart", "kind": SERVER, "start_time_unix_nano": start,
         "end_time_unix_nano": start + 90 * MS, "attributes": {"http.route": "/cart", "code": 500}, "status": 2},
        {"trace_id": trace, "span_id": _id(2), "parent_span_id": _id(1), "name": "call cart", "kind": CLIENT,
         "start_time_unix_nano": start + 1, "end_time_unix_nano": start + 60 * MS},
        {"trace_id": other, "span_id": _id(5), "parent_span_id": _id(99), "name": "orphan", "kind": SERVER,
         "start_time_unix_nano": start + 5 * MS, "end_time_unix_nano": start + 6 * MS},
        **{"cloud.region": "eu"},
    )  # fmt: skip
    cart = otlp.spans(
        "cart",
        {"trace_id": trace, "span_id": _id(3), "parent_span_id": _id(2), "name": "GET", "kind": SERVER, "status": 2,
         "start_time_unix_nano": start + 2, "end_time_unix_nano": start + 100 * MS, "trace_state": "a=b"},
    )  # fmt: skip
    span = cart.resource_spans[0].scope_spans[0].spans[0]
    span.status.message = "upstream failed"
    span.events.add(name="exception", time_unix_nano=start + 3, attributes=otlp.attributes({"type": "Timeout"}))
    span.links.add(trace_id=other, span_id=_id(5), trace_state="c=d", flags=1, attributes=otlp.attributes({"why": [1]}))
    await deliver(made, front, cart)
    return made


@pytest.fixture
def reader(telemetry_store, scope):
    return telemetry_store.bind(scope)


async def test_a_trace_in_full(reader):
    trace = await traces.get(reader, _id(1, 16).hex().upper())
    assert (trace.span_count, trace.error_count, trace.services, trace.truncated) == (3, 2, ["cart", "front"], False)
    assert (trace.start, trace.duration_ns) == (rfc3339(_START_NS + 0), 100 * MS)
    root, call, served = trace.spans
    assert (root.name, root.kind, root.status, root.parent_span_id) == ("GET /cart", "server", "error", None)
    assert root.attributes == {"http.route": "/cart", "code": 500}
    assert root.resource.attributes == {"service.name": "front", "cloud.region": "eu"}
    assert (call.parent_span_id, call.duration_ns) == (root.span_id, 60 * MS - 1)
    assert (served.status_message, served.trace_state, served.scope.name) == ("upstream failed", "a=b", "test.tracer")
    (event,) = served.events
    assert (event.name, event.timestamp, event.attributes) == (
        "exception", rfc3339(_START_NS + 3), {"type": "Timeout"},
    )  # fmt: skip
    (link,) = served.links
    assert (link.trace_id, link.span_id) == (_id(2, 16).hex(), _id(5).hex())
    assert (link.trace_state, link.flags, link.attributes) == ("c=d", 1, {"why": [1]})


async def test_a_trace_of_more_services_than_are_named_has_all_its_spans(telemetry_store, deliver, otlp, new_scope):
    scope = new_scope()
    many = traces.TRACE_SERVICES_MAX + 200
    await deliver(
        scope,
        *(
            otlp.spans(f"service {n}", {"trace_id": _id(1, 16), "span_id": _id(n), "parent_span_id": _id(many + 1),
                       "name": "x", "start_time_unix_nano": _START_NS + n, "end_time_unix_nano": _START_NS + n})
            for n in range(1, many + 1)
        ),
    )  # fmt: skip
    trace = await traces.get(telemetry_store.bind(scope), _id(1, 16).hex())
    assert (trace.span_count, len(trace.services), trace.truncated) == (many, traces.TRACE_SERVICES_MAX, False)
    assert [span.span_id for span in trace.spans] == [_id(n).hex() for n in range(1, many + 1)]


async def test_a_trace_whose_spans_have_expired_before_its_summary_is_none(telemetry_store, scope, reader):
    trace_id = _id(1, 16).hex()
    assert (await traces.get(reader, trace_id)).span_count == 3
    expire = f"DELETE FROM traces_v3 WHERE tenant_id = '{scope.tenant_id}'"
    await telemetry_store._writers.run(lambda client: client.command(expire))
    with pytest.raises(DuoscopeError, match="No such trace"):
        await traces.get(reader, trace_id)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_pages_of_a_trace_are_all_its_spans(stored, otlp, monkeypatch, size):
    trace = _id(7, 16)
    plain = {"trace_id": trace, "span_id": _id(1), "name": "x", "start_time_unix_nano": _START_NS}
    others = (
        {}, {"span_id": _id(2)}, {"parent_span_id": _id(9)}, {"name": "y"}, {"kind": 2}, {"flags": 1}, {"status": 2},
        {"trace_state": "a=b"}, {"end_time_unix_nano": _START_NS + 5}, {"attributes": {"a": 1}},
        {"dropped_events_count": 1}, {"start_time_unix_nano": _START_NS + 1},
    )  # fmt: skip
    spans = [{"end_time_unix_nano": _START_NS + 1} | plain | other for other in others for _ in range(2)]
    reader = await stored(otlp.spans("s", *spans), otlp.spans("t", spans[0]))
    whole = await traces.get(reader, trace.hex())
    assert (len(whole.spans), whole.truncated, whole.next_cursor) == (25, False, None)
    monkeypatch.setattr(traces.whole, "TRACE_SPANS_MAX", size)
    shown, cursor = [], None
    while True:
        page = await traces.get(reader, trace.hex(), cursor=cursor)
        assert (page.span_count, page.services, page.truncated) == (25, ["s", "t"], size < 25)
        shown += page.spans
        if not (cursor := page.next_cursor):
            break
        assert len(page.spans) == size
    assert [repr(span) for span in shown] == [repr(span) for span in whole.spans]


async def test_the_cursor_of_a_trace_is_of_no_other(telemetry_store, reader, monkeypatch):
    monkeypatch.setattr(traces.whole, "TRACE_SPANS_MAX", 1)
    cursor = (await traces.get(reader, _id(1, 16).hex())).next_cursor
    for trace_id, wrong in ((_id(2, 16).hex(), cursor), (_id(1, 16).hex(), "x")):
        with pytest.raises(DuoscopeError, match="does not belong"):
            await traces.get(reader, trace_id, cursor=wrong)


async def test_a_list_shows_the_figures_of_whole_traces(telemetry_store, deliver, otlp, new_scope):
    scope, day = new_scope(), 86_400 * 10**9
    # A short root, work five days later, and something in between that failed.
    parts = [("first", 5 * day, b"", 0), ("then", 3 * day, _id(1), 2), ("last", 0, _id(1), 0)]
    for number, (name, ago, parent, status) in enumerate(parts, start=1):
        start = _START_NS - ago
        await deliver(
            scope,
            otlp.spans(name, {"trace_id": _id(1, 16), "span_id": _id(number), "parent_span_id": parent, "name": name,
                              "start_time_unix_nano": start, "end_time_unix_nano": start + 9, "status": status}),
        )  # fmt: skip
    reader = telemetry_store.bind(scope)
    for _, ago, _, _ in parts:
        (found,) = (await traces.search(reader, TimeRange(_START_NS - ago, _START_NS - ago + 1))).items
        assert (found.root_service, found.root_name, found.span_count, found.error_count) == ("first", "first", 3, 1)
        assert (found.services, found.start) == (["first", "last", "then"], rfc3339(_START_NS - 5 * day))
        assert found.duration_ns == 5 * day + 9


async def test_pasted_text_is_looked_for_in_span_names_too(telemetry_store, deliver, otlp, new_scope):
    scope = new_scope()
    span = {
        "trace_id": _id(1, 16),
        "span_id": _id(1),
        "name": "GET /cart?user_id=42",
        "start_time_unix_nano": _START_NS,
    }
    await deliver(scope, otlp.spans("s", span))
    reader = telemetry_store.bind(scope)
    page = await traces.search(reader, HOUR, "user_id=42")
    assert len(page.items) == 1
    assert page.hint
    assert "the text in the span's name" in page.hint
    page = await traces.search(reader, HOUR, "user_id=43 status:error")
    assert page.items == []
    assert page.hint == (
        f"No traces from {rfc3339(HOUR.start_ns)} to {rfc3339(HOUR.end_ns)} match. Looked for: an attribute user_id of "
        "the span or its resource = 43, or the text in the span's name; the field status = error."
    )


async def test_no_such_trace(reader):
    with pytest.raises(DuoscopeError) as raised:
        await traces.get(reader, "ab" * 16)
    assert raised.value.kind is ErrorKind.NOT_FOUND
    for wrong in ("", "ab", "xy" * 16, "é" * 32):
        with pytest.raises(DuoscopeError, match="32 hexadecimal digits"):
            await traces.get(reader, wrong)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [2, 1]),
        ("status:error", [1]),
        ("service:front -status:error", [2, 1]),
        ("cart", [1]),
        ("name:GET", [1]),
        ("kind:client", [1]),
        ("duration>99ms", [1]),
        ("duration<2ms", [2]),
        ("event:exc*", [1]),
        ("code:500 http.route:/cart", [1]),
        ("cloud.region:eu", [2, 1]),
        ("parent_span_id:" + _id(99).hex(), [2]),
        ("status_message:up*", [1]),
        ("status:ok", []),
    ],
)
async def test_search(reader, query, found):
    page = await traces.search(reader, HOUR, query)
    assert [int(trace.trace_id, 16) for trace in page.items] == found


async def test_summaries(reader):
    orphan, whole = (await traces.search(reader, HOUR)).items
    assert (whole.root_service, whole.root_name, whole.span_count, whole.error_count) == ("front", "GET /cart", 3, 2)
    assert (whole.services, whole.duration_ns) == (["cart", "front"], 100 * MS)
    assert (orphan.root_service, orphan.root_name, orphan.span_count) == ("front", "orphan", 1)


@pytest.mark.parametrize("limit", [1, 2, 3, 20])
async def test_pages_show_every_trace_once(telemetry_store, deliver, otlp, new_scope, limit):
    scope = new_scope()
    # Twenty traces whose spans lie between one another's, five traces in each nanosecond.
    spans = [
        {
            "trace_id": _id(1 + number % 20, 16),
            "span_id": _id(1 + number),
            "start_time_unix_nano": HOUR.start_ns + number // 5,
        }
        for number in range(60)
    ]
    await deliver(scope, otlp.spans("s", *spans))
    reader = telemetry_store.bind(scope)
    found, cursor = [], None
    while True:
        page = await traces.search(reader, HOUR, limit=limit, cursor=cursor)
        found += [int(trace.trace_id, 16) for trace in page.items]
        if not (cursor := page.next_cursor):
            break
    assert found == list(range(20, 0, -1))


async def test_services(telemetry_store, scope, deliver, otlp):
    await deliver(scope, otlp.logs("only-logs", {"time_unix_nano": HOUR.start_ns, "body": "x"}))
    reader = telemetry_store.bind(scope)
    listed = await services.list_services(reader, HOUR)
    cart, front, logging = listed.items
    assert (cart.name, cart.signals, cart.request_count, cart.error_count) == ("cart", ["traces"], 1, 1)
    assert cart.duration_p50_ns == pytest.approx(100 * MS, rel=0.1)
    assert cart.duration_p99_ns == pytest.approx(100 * MS, rel=0.1)
    assert (front.name, front.request_count, front.error_count) == ("front", 2, 1)
    assert (logging.name, logging.signals, logging.request_count) == ("only-logs", ["logs"], 0)
    assert logging.duration_p95_ns is None
    assert (await services.list_services(reader, TimeRange(1, 2))).items == []


async def test_service_map(reader, monkeypatch):
    found = await services.service_map(reader, HOUR)
    (edge,) = found.edges
    assert (edge.caller, edge.callee, edge.call_count, edge.error_count) == ("front", "cart", 1, 1)
    assert (found.nodes, found.sampled_one_in, found.truncated) == (["cart", "front"], 1, False)
    monkeypatch.setattr(services, "MAP_SPANS_MAX", 2)
    assert (await services.service_map(reader, HOUR)).sampled_one_in == 2
