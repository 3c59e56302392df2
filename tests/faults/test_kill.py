"""Nothing that was acknowledged is lost by a stop under load; by kill -9 neither, see test_embedded.py.

Senders of all three signals write down what was acknowledged; after the next start every such item is looked for. What
was sent and not acknowledged may be there or not.
"""

import itertools
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import grpc
import httpx
import psutil
import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.receiver.signals import LOGS, METRICS, TRACES

ITEMS_PER_REQUEST = 20
REQUESTS_BEFORE_FAULT = 25
SENDERS_PER_SIGNAL = 3
FAULT_S = 30
START_AGAIN_S = 10

_numbers = itertools.count(1)


@dataclass
class Load:
    """Senders that go on until the server does not. Each request has a number of its own, which its items carry."""

    up: object
    build: dict[object, Callable[[int], bytes]]
    acknowledged: dict[str, list[int]] = field(default_factory=dict)
    unexpected: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(each,)) for each in self.build for _ in range(SENDERS_PER_SIGNAL)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def wait_until_it_flows(self) -> None:
        assert self._flowing.wait(FAULT_S)

    def __exit__(self, *_) -> None:
        for thread in self._threads:
            thread.join(FAULT_S)
        assert not any(thread.is_alive() for thread in self._threads)

    def _send(self, kind) -> None:
        metadata = [("authorization", f"Bearer {self.up.key}")]
        with grpc.insecure_channel(self.up.grpc_target) as channel:
            export = channel.unary_unary(f"/{kind.grpc_service}/Export")
            while True:
                number = next(_numbers)
                try:
                    export(self.build[kind](number), metadata=metadata, timeout=FAULT_S)
                except grpc.RpcError as error:
                    # The server went away or is going: a client is told to come again, never that data is bad.
                    if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                        self.unexpected.append(error)
                    return
                with self._lock:
                    acknowledged = self.acknowledged.setdefault(kind.name, [])
                    acknowledged.append(number)
                    enough = [len(each) >= REQUESTS_BEFORE_FAULT for each in self.acknowledged.values()]
                    if len(enough) == len(self.build) and all(enough):
                        self._flowing.set()


@pytest.fixture
def load(otlp):
    """Makes a load on a running duoscope; `run` tells its items from those of other loads."""

    def spans(run, number):
        return otlp.spans(
            run,
            *(
                {
                    "trace_id": number.to_bytes(16, "big"),
                    "span_id": (item + 1).to_bytes(8, "big"),
                    "name": "work",
                    "start_time_unix_nano": now_unix_nano(),
                    "attributes": {"item": item},
                }
                for item in range(ITEMS_PER_REQUEST)
            ),
        )

    def records(run, number):
        now = now_unix_nano()
        return otlp.logs(
            run,
            *(
                {"time_unix_nano": now, "body": f"request r{number} item {item}", "attributes": {"n": number}}
                for item in range(ITEMS_PER_REQUEST)
            ),
        )

    def points(run, number):
        metric = METRICS.request().resource_metrics.add().scope_metrics.add().metrics.add(name=f"points.{run}")
        for item in range(ITEMS_PER_REQUEST):
            metric.gauge.data_points.add(
                time_unix_nano=now_unix_nano(), as_int=item, attributes=otlp.attributes({"n": number})
            )
        return otlp.metrics(run, metric)

    def make(up, run):
        builders = {TRACES: spans, LOGS: records, METRICS: points}
        build = {
            kind: lambda number, builder=builder: builder(run, number).SerializeToString()
            for kind, builder in builders.items()
        }
        return Load(up, build)

    return make


def pages(api, path, query):
    cursor = None
    while True:
        answer = api.post(path, json={"query": query, "limit": 1000, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        yield from page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def assert_all_there(up, run, acknowledged):
    """Every item of every acknowledged request, once."""
    with up.api() as api:
        spans = {
            int(found["trace_id"], 16): found["span_count"] for found in pages(api, "/traces/search", f"service:{run}")
        }
        records: dict[int, set[str]] = {}
        for record in pages(api, "/logs/search", f"service:{run}"):
            records.setdefault(record["attributes"]["n"], set()).add(record["body"])
        answer = api.post(
            "/metrics/query",
            json={"metric": f"points.{run}", "aggregation": "count", "group_by": ["n"], "step": "1h"},
        )
        assert not answer.json()["truncated"]
        points: dict[int, float] = {}
        for series in answer.json()["series"]:
            points[int(series["labels"]["n"])] = sum(value for _, value in series["points"] if value is not None)
    assert {n for n in acknowledged["traces"] if spans.get(n) != ITEMS_PER_REQUEST} == set()
    assert {n for n in acknowledged["logs"] if len(records.get(n, ())) != ITEMS_PER_REQUEST} == set()
    assert {n for n in acknowledged["metrics"] if points.get(n) != ITEMS_PER_REQUEST} == set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_is_clean_and_loses_nothing_acknowledged(start_up, load, number):
    with start_up() as up:
        with load(up, "stopped") as stopped:
            stopped.wait_until_it_flows()
            up.stop(number)
        assert stopped.unexpected == []
        assert "Traceback" not in up.log.read_text()
        assert up.start() < START_AGAIN_S
        assert_all_there(up, "stopped", stopped.acknowledged)
        up.stop()


def test_two_instances_run_side_by_side_and_a_folder_has_one(running, start_up, otlp):
    with start_up() as second:
        assert second.known["tenant_id"] != running.known["tenant_id"]
        request = otlp.logs("side", {"time_unix_nano": now_unix_nano(), "body": "sidebyside"}).SerializeToString()
        for up in (running, second):
            with grpc.insecure_channel(up.grpc_target) as channel:
                export = channel.unary_unary(f"/{LOGS.grpc_service}/Export")
                export(request, metadata=[("x-api-key", up.key)], timeout=10)
                other = second if up is running else running
                with pytest.raises(grpc.RpcError) as caught:
                    export(request, metadata=[("x-api-key", other.key)], timeout=10)
                assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            with up.api() as api:
                assert len(list(pages(api, "/logs/search", "sidebyside"))) == 1
        otlp_ports = ("--otlp-grpc-port", "0", "--otlp-http-port", "0")
        said = second.run("up", "--api-port", "0", *otlp_ports, code=1)
        assert "in use by another duoscope" in said
        assert "Traceback" not in said
        taken = subprocess.run(
            [
                *second.COMMAND,
                "up",
                "--api-port",
                str(second.api_port),
                *otlp_ports,
                "--data-dir",
                f"{second.data_dir}2",
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=second.START_S,
        )
        assert taken.returncode == 1
        assert f"Cannot listen on 127.0.0.1:{second.api_port}" in taken.stderr
        assert "Traceback" not in taken.stderr
        second.stop()


def test_a_postgresql_that_dies_is_started_again(start_up):
    with start_up() as up:
        (postmaster,) = (child for child in psutil.Process(up.process.pid).children() if child.name() == "postgres")
        postmaster.kill()
        postmaster.wait(FAULT_S)
        deadline = time.monotonic() + FAULT_S
        while (ready := httpx.get(f"{up.api_url}/health/ready")).status_code != 200:
            assert time.monotonic() < deadline, ready.text
            time.sleep(0.1)
        up.stop()
