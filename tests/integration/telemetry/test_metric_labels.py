"""Labels of series and their values, as fields of metrics."""

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.telemetry.fields import Field
from duoscope.telemetry.metrics.labels import list_label_values, list_labels
from duoscope.telemetry.times import TimeRange

NOW = now_unix_nano()
HALF_HOUR_NS = 1800 * 10**9
AROUND = TimeRange(NOW - 1, NOW + 1)


@pytest.fixture
async def reader(otlp, stored):
    def gauge(name, at, *attributes):
        points = [NumberDataPoint(time_unix_nano=at, as_int=1, attributes=otlp.attributes(each)) for each in attributes]
        return Metric(name=name, gauge=Gauge(data_points=points))

    routes = [{"route": f"/r{n}", "code": 200, "is_new": n == 0} for n in range(3)]
    return await stored(
        otlp.metrics("shop", gauge("took", NOW, *routes, *routes, {"route": "/r0", "code": "200"}), region="eu"),
        otlp.metrics(
            "cart", gauge("took", NOW, {"route": "/r0"}), gauge("depth", NOW, {"route": "Queue", "share": 0.5})
        ),
        otlp.metrics("old", gauge("took", NOW - 3 * HALF_HOUR_NS, {"route": "/gone", "gone": 1})),
    )


async def told(reader, name, **how):
    found = await list_label_values(reader, how.pop("times", AROUND), name, **how)
    assert (found.counted, found.other_count) == ("series", 0)
    return [(each.value, each.type, each.count) for each in found.items], found.is_complete


async def test_labels_with_their_values_and_series(reader):
    by_name = {(each.name, each.place): each for each in (await list_labels(reader, AROUND)).items}
    assert by_name["route", "attributes"] == Field("route", "attributes", ["string"], 4, "few", 6)
    assert by_name["code", "attributes"] == Field("code", "attributes", ["int", "string"], 2, "few", 4)
    assert by_name["is_new", "attributes"] == Field("is_new", "attributes", ["bool"], 2, "few", 3)
    assert by_name["share", "attributes"] == Field("share", "attributes", ["double"], 1, "few", 1)
    assert by_name["region", "resource"] == Field("region", "resource", ["string"], 1, "few", 4)
    assert by_name["service", "field"].values == 2
    assert ("gone", "attributes") not in by_name
    of_depth = await list_labels(reader, AROUND, "depth", prefix="s", limit=9)
    assert [(each.name, each.count) for each in of_depth.items] == [
        ("scope", 1), ("service", 1), ("service.name", 1), ("share", 1)
    ]  # fmt: skip


async def test_labels_of_the_series_that_match(reader):
    for query in ("service:cart", "code:200 is_new:true"):
        found = {each.name: each.count for each in (await list_labels(reader, AROUND, query=query)).items}
        for name in ("route", "code", "is_new", "share"):
            told_of, _ = await told(reader, name, query=query)
            assert sum(count for _, _, count in told_of) == found.get(name, 0), (query, name)
    assert (await list_labels(reader, AROUND, query="service:nobody")).items == []
    page = await list_labels(reader, AROUND, query="service:cart", limit=1)
    with pytest.raises(DuoscopeError, match="cursor"):
        await list_labels(reader, AROUND, limit=1, cursor=page.next_cursor)


async def test_pages_of_labels_are_the_whole_list(reader):
    whole, cursor, pages = (await list_labels(reader, AROUND)).items, None, []
    while True:
        page = await list_labels(reader, AROUND, limit=2, cursor=cursor)
        pages += page.items
        if (cursor := page.next_cursor) is None:
            break
    assert pages == whole


async def test_values_of_a_label(reader):
    assert await told(reader, "route") == (
        [("/r0", "string", 3), ("/r1", "string", 1), ("/r2", "string", 1), ("Queue", "string", 1)], True
    )  # fmt: skip
    assert await told(reader, "code") == ([("200", "int", 3), ("200", "string", 1)], True)
    assert await told(reader, "service", metric="depth") == ([("cart", "string", 1)], True)
    assert await told(reader, "resource.region") == ([("eu", "string", 4)], True)
    assert await told(reader, "route", prefix="QU") == ([("Queue", "string", 1)], True)
    assert await told(reader, "route", query="service:cart") == ([("/r0", "string", 1), ("Queue", "string", 1)], True)
    assert await told(reader, "route", query="code:200 is_new:true", limit=1) == ([("/r0", "string", 1)], True)
    assert await told(reader, "route", limit=1) == ([("/r0", "string", 3)], False)
    assert await told(reader, "route", times=TimeRange(NOW - 4 * HALF_HOUR_NS, NOW - 2 * HALF_HOUR_NS)) == (
        [("/gone", "string", 1)], True
    )  # fmt: skip
    with pytest.raises(DuoscopeError, match="`limit`"):
        await told(reader, "route", limit=0)
