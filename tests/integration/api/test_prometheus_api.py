"""Prometheus' HTTP API as Grafana and promtool use it: forms, times, errors, names, credentials."""

import base64

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Summary,
    SummaryDataPoint,
)

from duoscope.kernel.clock import now_unix_nano

S = 10**9
START_S = (now_unix_nano() // (3600 * S) - 2) * 3600
ROOT = "/api/v1/prom/api/v1"


@pytest.fixture
async def asked(api, deliver, otlp, new_scope):
    """Asks as a user of a tenant that has a gauge `depth` of 1, 2, 3 at 0, 15 and 30 s, for two queues."""
    scope = new_scope()
    points = [
        NumberDataPoint(
            time_unix_nano=(START_S + 15 * n) * S, as_double=n + 1, attributes=otlp.attributes({"queue.name": q})
        )
        for q in ("a", "b")
        for n in range(3)
    ]  # fmt: skip
    metric = Metric(name="depth", description="How deep.", unit="By", gauge=Gauge(data_points=points))
    await deliver(scope, otlp.metrics("checkout", metric))
    headers = await api.headers(scope)

    async def ask(path, *, form=None, status=200, **parameters):
        if form is None:
            answer = await api.client.get(f"{ROOT}/{path}", params=parameters, headers=headers)
        else:
            answer = await api.client.post(f"{ROOT}/{path}", data=form, headers=headers)
        assert answer.status_code == status, answer.text
        body = answer.json()
        assert body["status"] == ("success" if status == 200 else "error")
        return body["data"] if status == 200 else (body["errorType"], body["error"])

    return ask


async def test_queries(asked):
    metric = {
        "__name__": "depth_bytes", "job": "checkout", "otel_scope_name": "test.meter", "queue_name": "a",
        "service_name": "checkout",
    }  # fmt: skip
    one = {"metric": metric, "value": [START_S + 20, "2"]}
    expression = 'depth_bytes{queue_name="a"}'
    assert await asked("query", query=expression, time=START_S + 20) == {"resultType": "vector", "result": [one]}
    assert (await asked("query", form={"query": expression, "time": f"{START_S + 20}.5"}))["result"][0]["value"] == [
        START_S + 20.5, "2",
    ]  # fmt: skip
    assert await asked("query", query="1+1", time=4) == {"resultType": "scalar", "result": [4, "2"]}
    assert await asked("query", query='"x"', time=4) == {"resultType": "string", "result": [4, "x"]}
    nan = await asked("query", query="vector(0)/0 or vector(1)/0", time="1970-01-01T00:00:04Z")
    assert nan["result"] == [{"metric": {}, "value": [4, "NaN"]}]
    form = {"query": "sum(depth_bytes)", "start": START_S, "end": START_S + 30, "step": "15s"}
    matrix = {"metric": {}, "values": [[START_S, "2"], [START_S + 15, "4"], [START_S + 30, "6"]]}
    assert await asked("query_range", form=form) == {"resultType": "matrix", "result": [matrix]}
    points = await asked("query", query=f"{expression}[20s]", time=START_S + 30)
    assert points == {
        "resultType": "matrix",
        "result": [{"metric": metric, "values": [[START_S + 15, "2"], [START_S + 30, "3"]]}],
    }
    counted = await asked("query", query="depth_bytes", time=START_S + 20, stats="all", limit=1)
    assert len(counted["result"]) == 1
    assert counted["stats"]["samples"]["totalQueryableSamples"] == 4


async def test_names(asked):
    times = {"start": START_S, "end": START_S + 60}
    names = ["__name__", "job", "otel_scope_name", "queue_name", "service_name"]
    assert await asked("labels", **times, **{"match[]": "depth_bytes"}) == names
    assert await asked("label/__name__/values") == ["depth_bytes", "target_info"]
    assert await asked("label/queue_name/values", **times) == ["a", "b"]
    assert await asked("label/U__queue_2e_name/values", **times, **{"match[]": '{"depth"}'}) == ["a", "b"]
    series = await asked("series", form={"match[]": ['depth_bytes{queue_name="b"}', "nothing"], **times})
    assert [labels["queue_name"] for labels in series] == ["b"]
    assert await asked("labels", start=START_S - 7200, end=START_S - 3600) == []
    assert await asked("metadata") == {"depth_bytes": [{"type": "gauge", "help": "How deep.", "unit": "By"}]}
    assert (await asked("status/buildinfo"))["version"]
    assert await asked("rules") == {"groups": []}
    assert await asked("alerts") == {"alerts": []}
    assert (await asked("parse_query", query="sum(a) / 2"))["type"] == "binaryExpr"
    assert await asked("format_query", query="sum( a )by(b)") == "sum by (b) (a)"


async def test_labels_of_all_series_are_those_of_each(api, deliver, otlp, new_scope):
    """Without a selector labels are read without the series; the same is asked with one that matches all."""
    scope, at = new_scope(), START_S * S
    gauge = Gauge(data_points=[
        NumberDataPoint(time_unix_nano=at, as_double=1, attributes=otlp.attributes(attributes))
        for attributes in ({"zone": "own", "queue": "a"}, {"queue": "b", "job": "own"})
    ])  # fmt: skip
    buckets = Histogram(aggregation_temporality=2, data_points=[
        HistogramDataPoint(time_unix_nano=at, count=3, bucket_counts=[1, 2], explicit_bounds=[0.5],
                           attributes=otlp.attributes({"route": "/"}))
    ])  # fmt: skip
    value = SummaryDataPoint.ValueAtQuantile(quantile=0.9, value=1)
    summary = Summary(data_points=[SummaryDataPoint(time_unix_nano=at, count=1, sum=1, quantile_values=[value])])
    request = otlp.metrics(
        "shop",
        Metric(name="depth", gauge=gauge),
        Metric(name="took", unit="s", histogram=buckets),
        Metric(name="size", summary=summary),
    )
    request.resource_metrics[0].resource.attributes.extend(otlp.attributes({"zone": "resource", "host.name": "h"}))
    await deliver(scope, request)
    headers, times = await api.headers(scope), {"start": START_S, "end": START_S + 60}

    async def ask(path, **parameters):
        answer = await api.client.get(f"{ROOT}/{path}", params=times | parameters, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    each = {"match[]": '{__name__=~".+"}'}
    names = await ask("labels")
    assert names == await ask("labels", **each)
    assert {"zone", "queue", "le", "quantile", "host_name", "route", "job"} <= set(names)
    for name in names:
        assert await ask(f"label/{name}/values") == await ask(f"label/{name}/values", **each), name
    assert await ask("label/zone/values") == ["own", "resource"]
    assert await ask("label/nothing/values") == []


async def test_errors(asked):
    assert await asked("query", query="sum(x) sum(y)", status=400) == (
        "bad_data", "1:8: parse error: unexpected 'sum'",
    )  # fmt: skip
    assert (await asked("query", status=400))[0] == "bad_data"
    assert (await asked("query", query="x", time="yesterday", status=400))[0] == "bad_data"
    for step in ("0", "\uff11", "1_5", "1m\uff12s"):
        assert (await asked("query_range", query="x", start=1, end=2, step=step, status=400))[0] == "bad_data", step
    assert (await asked("query_range", query="x", start=0, end=1e9, step=1, status=400))[0] == "bad_data"
    assert (await asked("series", status=400))[0] == "bad_data"
    kind, message = await asked(
        "query", query="depth_bytes + on (job) depth_bytes", time=START_S + 20, status=422
    )  # fmt: skip
    assert kind == "execution"
    assert "many-to-many matching not allowed" in message
    kind, message = await asked("query", query="start_timestamp(depth_bytes)", status=400)
    assert message == "the function start_timestamp is not supported."


async def test_who_may_ask(api, new_scope):
    scope = new_scope()
    answer = await api.client.get(f"{ROOT}/query", params={"query": "1"})
    assert answer.status_code == 401
    assert answer.json()["status"] == "error"
    answer = await api.client.get(f"{ROOT}/query", params={"query": "1"}, headers=await api.headers(scope, "log:read"))
    assert answer.status_code == 403
    assert answer.json()["errorType"] == "forbidden"


async def test_a_key_as_a_password(api, metadata_store, inhabit):
    inhabited = await inhabit(metadata_store)
    credentials = base64.b64encode(f"grafana:{inhabited.key.api_key}".encode()).decode()
    answer = await api.client.get(
        f"{ROOT}/query", params={"query": "vector(7)"}, headers={"authorization": f"Basic {credentials}"}
    )
    # The key of ingestion is known, and may not read.
    assert (answer.status_code, answer.json()["errorType"]) == (403, "forbidden")
    wrong = base64.b64encode(b"grafana:secret").decode()
    answer = await api.client.get(
        f"{ROOT}/query", params={"query": "vector(7)"}, headers={"authorization": f"Basic {wrong}"}
    )
    assert answer.status_code == 401
