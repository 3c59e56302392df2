"""Templates of dashboards: each is alive on telemetry with the names of OpenTelemetry's semantic conventions."""

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)

from duoscope.kernel.clock import now_unix_nano

RIGHTS = ("dashboard:read", "dashboard:write", "metric:read", "log:read", "trace:read", "alert:read")
SCRAPE_NS = 15 * 10**9
END_NS = now_unix_nano() // (60 * 10**9) * 60 * 10**9 - 60 * 10**9
SCRAPES = 60
HOST = {"host.name": "h1"}


def times(number):
    return {"time_unix_nano": END_NS - number * SCRAPE_NS, "start_time_unix_nano": END_NS - 3600 * 10**9}


def gauge(otlp, name, unit, **attributes):
    of = otlp.attributes({key.replace("_", "."): value for key, value in attributes.items()})
    points = [NumberDataPoint(**times(n), as_double=0.5, attributes=of) for n in range(SCRAPES)]
    return Metric(name=name, unit=unit, gauge=Gauge(data_points=points))


def total(otlp, name, unit, *, is_monotonic=True, **attributes):
    of = otlp.attributes({key.replace("_", "."): value for key, value in attributes.items()})
    points = [NumberDataPoint(**times(n), as_double=float(SCRAPES - n), attributes=of) for n in range(SCRAPES)]
    made = Sum(aggregation_temporality=2, is_monotonic=is_monotonic, data_points=points)
    return Metric(name=name, unit=unit, sum=made)


def durations(otlp, name, attributes):
    points = [
        HistogramDataPoint(
            **times(n), count=2 * (SCRAPES - n), sum=1.0, bucket_counts=[SCRAPES - n] * 2, explicit_bounds=[0.1],
            attributes=otlp.attributes(attributes),
        )
        for n in range(SCRAPES)
    ]  # fmt: skip
    return Metric(name=name, unit="s", histogram=Histogram(aggregation_temporality=2, data_points=points))


def exponential_durations(otlp, name, attributes):
    points = []
    for n in range(SCRAPES):
        of = otlp.attributes(attributes)
        point = ExponentialHistogramDataPoint(**times(n), count=SCRAPES - n, sum=1.0, attributes=of)
        point.positive.bucket_counts.append(SCRAPES - n)
        points.append(point)
    made = ExponentialHistogram(aggregation_temporality=2, data_points=points)
    return Metric(name=name, unit="s", exponential_histogram=made)


@pytest.fixture
async def scope(new_scope, deliver, otlp):
    made = new_scope()
    span = {"trace_id": b"t" * 16, "name": "POST /carts", "status": 2, "start_time_unix_nano": END_NS - 10**9,
            "end_time_unix_nano": END_NS - 9 * 10**8}  # fmt: skip
    outgoing = span | {"span_id": b"2" * 8, "kind": 3, "attributes": {"server.address": "pay"}}
    await deliver(
        made,
        otlp.spans("cart", span | {"span_id": b"1" * 8, "kind": 2}, outgoing, **{"service.version": "1.2"}),
        otlp.logs("cart", {"time_unix_nano": END_NS - 1, "body": "refused", "severity_number": 17}),
        otlp.metrics(
            "cart",
            durations(otlp, "http.server.request.duration", {"http.route": "/", "http.response.status_code": 500}),
            durations(otlp, "db.client.operation.duration", {"db.system.name": "redis", "db.operation.name": "GET"}),
            exponential_durations(otlp, "http.server.request.duration", {"http.route": "/native"}),
            exponential_durations(otlp, "db.client.operation.duration", {"db.system.name": "postgresql"}),
            gauge(otlp, "process.cpu.utilization", "1"),
            total(otlp, "process.memory.usage", "By", is_monotonic=False),
        ),
        otlp.metrics(
            "host",
            total(otlp, "system.cpu.time", "s", state="user"),
            total(otlp, "system.memory.usage", "By", is_monotonic=False, state="used"),
            total(otlp, "system.disk.io", "By", direction="read"),
            total(otlp, "system.filesystem.usage", "By", is_monotonic=False, state="used", mountpoint="/"),
            total(otlp, "system.network.io", "By", direction="receive", device="eth0"),
            total(otlp, "system.network.packets", "{packets}", direction="receive", device="eth0"),
            total(otlp, "system.network.errors", "{errors}", direction="receive", device="eth0"),
            total(otlp, "system.network.connections", "{connections}", is_monotonic=False, state="LISTEN"),
            **HOST,
        ),
        with_values=True,
    )
    return made


async def test_every_template_is_alive(api, scope):
    headers = await api.headers(scope, *RIGHTS)
    listed = (await api.client.get("/api/v1/dashboard-templates", headers=headers)).json()["items"]
    categories = [each["category"] for each in listed]
    assert all(categories.count(each) >= 2 for each in ("apm", "infrastructure", "network"))
    assert all(each["is_default"] for each in listed)
    empty = []
    percentiles = {}
    for template in listed:
        path = f"/api/v1/dashboard-templates/{template['template_id']}"
        read = (await api.client.get(path, headers=headers)).json()
        assert {name: value for name, value in read.items() if name != "template_config"} == template
        made = await api.client.post(f"{path}/dashboards", json={"name": "Mine"}, headers=headers)
        assert made.status_code == 201, made.text
        assert made.json()["dashboard"]["name"] == "Mine"
        path = f"/api/v1/dashboards/{made.json()['dashboard_id']}"
        body = {"start": str(END_NS - 900 * 10**9), "end": str(END_NS)}
        variables = (await api.client.post(f"{path}/variables", json=body, headers=headers)).json()["variables"]
        assert [(each["name"], bool(each["options"]), each["error"]) for each in variables] == [
            (each["name"], True, None) for each in variables
        ]
        answer = (await api.client.post(f"{path}/data", json=body, headers=headers)).json()
        assert "Alerts" in [each["annotation"] for each in answer["annotations"] if each["error"] is None]
        if any(each["name"] == "service" for each in variables):
            (released,) = answer["annotations"][0]["marks"]
            assert released["title"] == "cart 1.2"
        for widget in answer["widgets"]:
            for query in widget["queries"]:
                assert query["error"] is None, (template["name"], widget["key"], query["error"])
                values = [value for each in query["series"] for value in each["values"] if value is not None]
                if "histogram_quantile" in str(read["template_config"]) and widget["key"] in ("latency", "took"):
                    percentiles[widget["key"]] = sorted(next(iter(each["labels"].values())) for each in query["series"])
                if not any(values) and not query["records"]:
                    empty.append((template["name"], widget["key"], query["name"]))
    assert empty == []
    # Of classic histograms and of native ones.
    assert percentiles == {"latency": ["/", "/native"], "took": ["postgresql", "redis"]}
    some = await api.client.get("/api/v1/dashboard-templates", params={"category": "custom"}, headers=headers)
    assert some.json() == {"items": [], "next_cursor": None}
