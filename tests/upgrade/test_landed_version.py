"""A data folder of an earlier version, made by that version's own code, is taken over with all that is in it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from benchmarks import payloads

from duoscope.kernel.clock import now_unix_nano
from duoscope.receiver.signals import METRICS
from duoscope.telemetry.values import rfc3339
from support.up import Up

LANDED = "7eaab02ed223078ec06675df69bd3e7a4202f980"
"""The version that others may have data of."""
ROOT = Path(__file__).parents[2]
DECODER = Path("services/duoscope/receiver/decoder")


@pytest.fixture(scope="module")
def landed(tmp_path_factory):
    """The earlier version's files, with its decoder compiled."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler for the earlier version's decoder")
    folder = tmp_path_factory.mktemp("landed")
    archive = subprocess.run(["git", "archive", LANDED], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"needs the repository's history: there is no {LANDED[:7]} here")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    sources = sorted(map(str, (folder / DECODER).glob("*.c")))
    flags = ["-std=c11", "-O1", "-fPIC", "-shared", "-fvisibility=hidden"]
    subprocess.run([compiler, *flags, "-o", str(folder / DECODER / "libdecoder.so"), *sources, "-lm"], check=True)
    return folder


def _send(up, signal, request):
    answer = httpx.post(
        f"{up.otlp_url}/v1/{signal}",
        content=request,
        headers={"content-type": "application/x-protobuf", "x-api-key": up.key},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text


def _seen(up):
    """Everything that a reader finds, and that an admin set up."""
    with up.api() as api:

        def search(path, **body):
            answer = api.post(path, json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        records = search("/logs/search", query="")["items"]
        found = {
            query: sorted(record["body"] for record in search("/logs/search", query=query)["items"])
            for query in ("n:0", "n:1", "n>=2", "a.b:true", '"odd name":-1', "n:*", "-n:0", "n:2*", "b0 n:0")
        }
        by_attribute = len(search("/traces/search", query="n:2.5 OR a.b:true")["items"])
        traces = search("/traces/search", query="")["items"]
        numbers = [
            search("/metrics/query", metric="load", group_by=[label], step="1h", aggregation=aggregation)["series"]
            for label in ("service", "n")
            for aggregation in ("count", "sum")
        ]
        series = api.get("/ingest/cardinality").json()
        keys = api.get("/api-keys").json()["items"]
        users = api.get("/users").json()["items"]
    return {
        "bodies": sorted(record["body"] for record in records),
        "attributes": sorted(json.dumps(record["attributes"], sort_keys=True) for record in records),
        "found": found,
        "by_attribute": by_attribute,
        "traces": sorted((trace["trace_id"], trace["span_count"], trace["duration_ns"]) for trace in traces),
        "points": [[point for series in found for point in series["points"]] for found in numbers],
        "series": [series[name] for name in ("active_series", "metrics", "labels")],
        "keys": sorted((key["api_key_id"], key["name"]) for key in keys),
        "users": sorted((user["user_id"], user["email"]) for user in users),
    }


def test_what_was_stored_acknowledged_and_set_up_is_there(landed, tmp_path, otlp):
    now = now_unix_nano()
    kinds = [
        {"n": 0},
        {"n": "1"},
        {"n": 2.5},
        {"n": [-3, None], "a.b": True},
        {"n": {"x": b"4"}, "": "", "odd name": -1},
    ]
    records = ({"time_unix_nano": now, "body": f"b{n}", "attributes": each} for n, each in enumerate(kinds))
    logs = otlp.logs("shop", *records)
    spans = otlp.spans(
        "shop",
        *(
            {"trace_id": b"t" * 15 + bytes([n]), "span_id": b"s" * 8, "name": "x", "start_time_unix_nano": now,
             "end_time_unix_nano": now + 10**6, "attributes": kinds[n]}
            for n in range(5)
        ),
    )  # fmt: skip
    metric = METRICS.request().resource_metrics.add().scope_metrics.add().metrics.add(name="load")
    for n in range(5):
        metric.gauge.data_points.add(time_unix_nano=now, as_double=n, attributes=otlp.attributes({"n": n}))
    requests = {
        signal: request.SerializeToString()
        for signal, request in (("logs", logs), ("traces", spans), ("metrics", otlp.metrics("shop", metric)))
    }
    old = Up(tmp_path / "data")
    old.environment = {"PYTHONPATH": str(landed / "services")}
    try:
        old.start()
        for signal, request in requests.items():
            _send(old, signal, request)
        before = _seen(old)
        assert [len(before[name]) for name in ("bodies", "traces", "points", "keys", "users")] == [5, 5, 4, 1, 1]
        assert all(before["points"])
    finally:
        old.kill()
    new = Up(tmp_path / "data")
    try:
        new.start()
        assert _seen(new) == before
        for signal, request in requests.items():
            _send(new, signal, request)
        assert _seen(new) == before, "the same requests again are the same items"
        new.stop()
    finally:
        new.kill()


REQUEST_ITEMS = 5000
DIFFERENT_REQUESTS = 40
"""To make one takes longer than to store it."""
ITEMS = int(os.environ.get("UPGRADE_ITEMS", "0"))
"""How many items of each signal the large folder has."""


def _answers(up, first, last):
    """What a reader is told of the time from `first` to `last`, in nanoseconds since 1970."""
    within = {"start": rfc3339(first), "end": rfc3339(last)}
    with up.api() as api:

        def ask(path, **body):
            answer = api.post(path, json=within | body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        def get(path, **query):
            answer = api.get(path, params=within | query)
            assert answer.status_code == 200, answer.text
            return answer.json()

        services = get("/services")["items"]
        names = sorted({metric["name"] for metric in get("/metrics")["items"]})
        answers = {
            "services": sorted(json.dumps(each, sort_keys=True) for each in services),
            "usage": sorted(
                (day["signal"], day["stored"]) for day in api.get("/usage?group_by=signal").json()["items"]
            ),
            "metrics": names,
        }
        for query in (
            "",
            "severity>=error",
            "http.response.status_code:404",
            "http.response.status_code>=500",
            "failed",
        ):
            page = ask("/logs/search", query=query, limit=1000)
            answers[f"logs {query}"] = sorted((each["timestamp"], each["body"]) for each in page["items"])
        for query in ("", "status:error", "http.response.status_code>=500", "duration>100ms"):
            page = ask("/traces/search", query=query, limit=1000)
            answers[f"traces {query}"] = sorted((each["trace_id"], each["span_count"]) for each in page["items"])
        for name in names:
            series = ask("/metrics/query", metric=name, group_by=["service"], step="1m", aggregation="count")["series"]
            answers[f"points of {name}"] = [(each["labels"], each["points"]) for each in series]
    return answers


@pytest.mark.skipif(not ITEMS, reason="takes long: `make upgrade`")
def test_a_large_folder_answers_as_before(landed, tmp_path):
    old = Up(tmp_path / "data")
    old.environment = {"PYTHONPATH": str(landed / "services")}
    first = now_unix_nano() - 3600 * 10**9
    try:
        old.start()
        for signal in payloads.BUILDERS:
            made = list(payloads.serialized(signal, requests=DIFFERENT_REQUESTS, items=REQUEST_ITEMS))
            for number in range(ITEMS // REQUEST_ITEMS):
                # A field that OTLP does not have makes it another request of the same items.
                other = b"\xba\x3e\x04" + number.to_bytes(4, "big")
                _send(old, signal, made[number % DIFFERENT_REQUESTS] + other)
        last = now_unix_nano()
        before = _answers(old, first, last)
        assert all(before.values()), [name for name, answer in before.items() if not answer]
        old.stop()
    finally:
        old.kill()
    new = Up(tmp_path / "data")
    try:
        seconds = new.start()
        after = _answers(new, first, last)
        assert [name for name in before if before[name] != after[name]] == []
        new.stop()
    finally:
        new.kill()
    print(f"{len(payloads.BUILDERS) * ITEMS:,} items: started after {seconds:.1f} s, {len(before)} answers alike")  # noqa: T201
