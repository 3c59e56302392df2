"""The catalogue of names to search for; and exemplars of metrics."""

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
)

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.kernel.ids import new_id
from duoscope.receiver.decoder import Decoder, Due, Kind, MalformedError
from duoscope.telemetry import catalogue, services
from duoscope.telemetry.metrics import exemplars
from duoscope.telemetry.times import TimeRange

S = 10**9
DAY = 86_400 * S
NOW = now_unix_nano()
TODAY = NOW // DAY * DAY
LATELY = TimeRange(NOW - 3600 * S, NOW)


def span(name, at=NOW, **attributes):
    return {
        "trace_id": b"t" * 16,
        "span_id": b"s" * 8,
        "name": name,
        "start_time_unix_nano": at,
        "attributes": attributes,
    }


@pytest.fixture
async def reader(telemetry_store, deliver, otlp, new_scope):
    scope = new_scope()
    every = {"text": "x", "flag": True, "n": 1, "ratio": 0.5, "list": [1], "map": {"a": 1}, "raw": b"x", "none": None}
    point = NumberDataPoint(time_unix_nano=NOW, as_double=1, attributes=otlp.attributes({"queue": "a"}))
    took = HistogramDataPoint(time_unix_nano=NOW, count=1, attributes=otlp.attributes({"route": "/"}))
    await deliver(
        scope,
        otlp.spans("cart", span("GET /", **every), span("GET /", **every, more=1), span("POST /"), region="eu"),
        otlp.spans("front", span("GET /", n="a text here"), span("old", at=NOW - 3 * DAY, once=1), zone=7),
        otlp.logs("cart", {"time_unix_nano": NOW, "body": "x", "attributes": {"thread": 1}}, region="eu"),
        otlp.metrics(
            "cart",
            Metric(name="depth", gauge=Gauge(data_points=[point])),
            Metric(name="took", histogram=Histogram(aggregation_temporality=1, data_points=[took])),
        ),
    )
    return telemetry_store.bind(scope)


async def attributes(reader, signal, times=LATELY, **options):
    page = await catalogue.list_attributes(reader, times, signal, **options)
    return {(found.place, found.name): found.types for found in page.items}


async def test_attributes_with_places_and_types(reader):
    assert await attributes(reader, "traces", service="cart") == {
        ("attributes", "text"): ["string"], ("attributes", "flag"): ["bool"], ("attributes", "n"): ["int"],
        ("attributes", "ratio"): ["double"], ("attributes", "list"): ["array"], ("attributes", "map"): ["kvlist"],
        ("attributes", "raw"): ["bytes"], ("attributes", "none"): ["none"], ("attributes", "more"): ["int"],
        ("resource", "service.name"): ["string"], ("resource", "region"): ["string"],
    }  # fmt: skip
    assert (await attributes(reader, "traces", prefix="n"))[("attributes", "n")] == ["int", "string"]
    assert await attributes(reader, "logs") == {
        ("attributes", "thread"): ["int"], ("resource", "region"): ["string"], ("resource", "service.name"): ["string"]
    }  # fmt: skip
    assert await attributes(reader, "metrics") == {
        ("attributes", "queue"): ["string"],
        ("attributes", "route"): ["string"],
        ("resource", "service.name"): ["string"],
    }
    assert await attributes(reader, "logs", service="front") == {}


async def test_by_day(reader):
    old = TimeRange(NOW - 3 * DAY - 1, NOW - 3 * DAY + 1)
    assert await attributes(reader, "traces", old) == {
        ("attributes", "once"): ["int"], ("resource", "service.name"): ["string"], ("resource", "zone"): ["int"]
    }  # fmt: skip
    assert [o.name for o in (await catalogue.list_operations(reader, old)).items] == ["old"]
    assert await attributes(reader, "traces", TimeRange(1, 2)) == {}
    assert ("attributes", "once") not in await attributes(reader, "traces", TimeRange(TODAY, NOW))


async def test_operations(reader):
    found = (await catalogue.list_operations(reader, LATELY)).items
    assert [(o.service, o.name) for o in found] == [("cart", "GET /"), ("cart", "POST /"), ("front", "GET /")]
    found = (await catalogue.list_operations(reader, LATELY, service="cart", prefix="P")).items
    assert [o.name for o in found] == ["POST /"]


async def test_pages(reader):
    whole = (await catalogue.list_attributes(reader, LATELY, "traces")).items
    found, cursor = [], None
    while True:
        page = await catalogue.list_attributes(reader, LATELY, "traces", limit=2, cursor=cursor)
        found += page.items
        if not (cursor := page.next_cursor):
            break
    assert found == whole
    assert [(a.name, a.place) for a in whole] == sorted((a.name, a.place) for a in whole)
    first = await catalogue.list_operations(reader, LATELY, limit=2)
    rest = await catalogue.list_operations(reader, LATELY, limit=2, cursor=first.next_cursor)
    assert [o.service for o in rest.items] == ["front"]
    with pytest.raises(DuoscopeError, match="does not belong"):
        await catalogue.list_attributes(reader, LATELY, "traces", cursor=first.next_cursor)


async def test_services_say_what_they_sent(reader):
    found = (await services.list_services(reader, LATELY)).items
    assert [(s.name, s.signals) for s in found] == [("cart", ["logs", "metrics", "traces"]), ("front", ["traces"])]


def test_a_decoder_lists_a_name_once_until_it_forgets(otlp, new_scope):
    scope, other, decoder = new_scope(), new_scope(), Decoder(Kind.TRACES)

    def listed(*requests, scope=scope):
        for request in requests:
            raw = request if isinstance(request, bytes) else request.SerializeToString()
            decoder.add(raw, scope, 30, now_ns=NOW)
        rows = {block.table: block.rows for block in decoder.blocks()}
        decoder.clear()
        return rows.get("telemetry_catalogue", 0)

    one = otlp.spans("s", span("a", x=1))
    assert listed(one, one) == 4  # the service, the operation, service.name and x
    assert listed(one) == 0
    assert listed(otlp.spans("s", span("a", x=1, y=2), span("b", y=2, x=1))) == 2
    assert listed(otlp.spans("s", span("a", x="other type"))) == 1
    assert listed(one, scope=other) == 4
    with pytest.raises(MalformedError):
        listed(otlp.spans("s", span("c", z=1)).SerializeToString() + b"\x0a\x7f")
    assert listed(otlp.spans("s", span("c", z=1))) == 2
    decoder.forget()
    assert listed(one) == 4


def test_a_decoder_puts_a_series_once_in_half_an_hour(otlp, new_scope):
    scope, other, decoder, half_hour = new_scope(), new_scope(), Decoder(Kind.METRICS), NOW // (1800 * S) * 1800 * S

    def put(*values, at=half_hour, name="g", scope=scope, retention_days=30, tail=b"", unit=""):
        metric = Metric(name=name, unit=unit)
        for n in values:
            metric.gauge.data_points.add(time_unix_nano=at, as_int=n, attributes=otlp.attributes({"n": n}))
        request = otlp.metrics("s", metric).SerializeToString() + tail
        try:
            decoder.add(request, scope, retention_days, now_ns=NOW)
        finally:
            rows = {block.table: block.rows for block in decoder.blocks()}
            decoder.clear()
        return rows.get("metric_series", 0)

    assert [put(1, 1, 2), put(2, 1), put(3)] == [2, 0, 1]
    assert [put(1, at=half_hour - 1), put(1, at=half_hour + 1800 * S - 1), put(1, at=half_hour - 1)] == [1, 0, 0]
    assert [put(1, name="h"), put(1, unit="s"), put(1, scope=other), put(1, retention_days=7), put(1)] == [
        1,
        1,
        1,
        1,
        0,
    ]
    with pytest.raises(MalformedError):
        put(1, *range(10, 5000), tail=b"\x0a\x7f")
    assert [put(1, *range(10, 5000)), put(*range(5000))] == [4990, 7]
    assert [put(*range(10_000, 20_000)), put(*range(10_000, 20_000))] == [10_000, 0]
    decoder.forget(Due.METRICS_SEEN)
    decoder.forget(Due.NAMES)
    assert put(*range(2)) == 0, "they were there in the last period"
    decoder.forget(Due.NAMES)
    assert [put(*range(4)), put(*range(4))] == [2, 0]
    decoder.forget()
    assert put(*range(4)) == 4


def test_names_without_end_make_no_rows_without_end(otlp, new_scope):
    decoder = Decoder(Kind.TRACES)
    request = otlp.spans("s", *(span(f"GET /{new_id()}") for _ in range(6000)), span("x" * 2000))
    decoder.add(request.SerializeToString(), new_scope(), 30, now_ns=NOW)
    rows = {block.table: block.rows for block in decoder.blocks()}
    assert rows == {"traces_v3": 6001, "telemetry_catalogue": 4096}


async def test_exemplars(telemetry_store, deliver, otlp, new_scope):
    scope = new_scope()
    made = [
        Exemplar(
            time_unix_nano=NOW - n * S,
            as_double=float(n),
            trace_id=b"t" * 16 if n % 2 else b"",
            span_id=b"s" * 8 if n % 2 else b"",
            filtered_attributes=otlp.attributes({"user.id": n}),
        )
        for n in range(5)
    ]
    point = HistogramDataPoint(
        time_unix_nano=NOW, count=5, bucket_counts=[5, 0], explicit_bounds=[9], exemplars=[*made, made[3]]
    )
    histogram = Histogram(aggregation_temporality=1, data_points=[point])
    gauge = Gauge(data_points=[NumberDataPoint(time_unix_nano=NOW, as_double=1, exemplars=made[:1])])
    await deliver(scope, otlp.metrics("cart", Metric(name="took", histogram=histogram), Metric(name="g", gauge=gauge)))
    reader = telemetry_store.bind(scope)
    times = TimeRange(NOW - 60 * S, NOW + 1)
    found = (await exemplars.list_exemplars(reader, times, "took")).items
    assert [e.value for e in found] == [0, 1, 2, 3, 4]
    assert (found[1].trace_id, found[1].span_id, found[1].attributes) == ("74" * 16, "73" * 8, {"user.id": 1})
    assert (found[0].trace_id, found[0].span_id, found[0].service) == (None, None, "cart")
    assert [e.value for e in (await exemplars.list_exemplars(reader, times, "g")).items] == [0]
    least = (await exemplars.list_exemplars(reader, times, "took", least=3, service="cart")).items
    assert [e.value for e in least] == [3, 4]
    paged, cursor = [], None
    while True:
        page = await exemplars.list_exemplars(reader, times, "took", limit=2, cursor=cursor)
        paged += page.items
        if not (cursor := page.next_cursor):
            break
    assert [e.value for e in paged] == [0, 1, 2, 3, 4]
    assert (await exemplars.list_exemplars(reader, times, "took", service="other")).items == []


async def test_who_reads_a_signal_sees_its_attributes_alone(api, new_scope):
    headers = await api.headers(new_scope(), "log:read")
    codes = {}
    for query in ("signal=logs", "signal=traces", "signal=metrics", "signal=", ""):
        codes[query] = (await api.client.get(f"/api/v1/attributes?{query}", headers=headers)).status_code
    assert codes == {"signal=logs": 200, "signal=traces": 403, "signal=metrics": 403, "signal=": 403, "": 403}
    headers = await api.headers(new_scope())
    for query in ("signal=loud", "", "signal=logs&limit=0", "signal=logs&cursor=x", "signal=logs&start=x"):
        assert (await api.client.get(f"/api/v1/attributes?{query}", headers=headers)).status_code == 400, query
    for path in ("service-figures", "service-figures?service=a&step=30s", "service-figures?service=a&kind=x"):
        assert (await api.client.get(f"/api/v1/{path}", headers=headers)).status_code == 400, path
    assert (await api.client.get("/api/v1/metrics/exemplars", headers=headers)).status_code == 400
    found = await api.client.get("/api/v1/service-figures?service=a%2Fb", headers=headers)
    assert (found.status_code, found.json()["service"], found.json()["points"]) == (200, "a/b", [])


async def test_an_exemplar_of_half_a_span_shows_the_half_that_there_is(api, deliver, otlp, new_scope):
    scope, trace, span_id = new_scope(), b"t" * 16, b"s" * 8
    halves = [(trace, b""), (b"", span_id), (trace, bytes(8)), (bytes(16), span_id), (b"", b""), (trace, span_id)]
    made = [
        Exemplar(time_unix_nano=NOW - n, as_double=n, trace_id=of_trace, span_id=of_span)
        for n, (of_trace, of_span) in enumerate(halves)
    ]
    gauge = Gauge(data_points=[NumberDataPoint(time_unix_nano=NOW, as_double=1, exemplars=made)])
    await deliver(scope, otlp.metrics("cart", Metric(name="g", gauge=gauge)))
    asked = {"metric": "g", "start": NOW - S, "end": NOW + 1}
    answer = await api.client.get("/api/v1/metrics/exemplars", headers=await api.headers(scope), params=asked)
    shown = [(item["trace_id"], item["span_id"]) for item in answer.json()["items"]]
    there = ("74" * 16, "73" * 8)
    assert shown == [
        (there[0], None), (None, there[1]), (there[0], None), (None, there[1]), (None, None), there
    ]  # fmt: skip
