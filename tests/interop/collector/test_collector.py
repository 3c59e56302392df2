"""A real collector before duoscope: what it accepts arrives once, whatever happens to the receiver meanwhile.

Collectors with the README's configuration, which differ in transport and compression and send to a tenant each,
get spans and points over OTLP, lines of a file, and figures of this host, while duoscope is killed, frozen, stopped and
started again. Everything is counted through the API: spans, points and lines by a number that each carries; the host's
points in sum, against the collector's own count.

`make interop-collector` runs the long form; a run of the whole suite a short one.
"""

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import ExitStack

import grpc
import psutil
import pytest

from duoscope.cli import welcome
from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.settings import Settings
from duoscope.receiver.signals import METRICS, TRACES

SECOND = 10**9
LONG = bool(os.environ.get("COLLECTOR_TABLE"))
KILLS = 12 if LONG else 2
FREEZES = 3 if LONG else 1
FREEZE_S = 6.0
"""Longer than the 5 s that the gRPC exporter waits for an answer: it sends again while the first is under way."""
POSTGRES_AWAY_S = 3.0
ITEMS = 20
"""Spans, points and lines that go with each number."""
PACE_S = 0.02
DRAIN_S = 120
QUEUE_S = 2.0
QUIET_S = 1.0
"""filelog writes down how far it has read some time after it has passed the lines on, and says nothing of it."""
NAMES = ("traces", "logs", "metrics")
BLOCK = 400
"""Numbers under one metric name; a query answers up to 500 series."""
LONG_LINES = 9_000
LONG_LINE_CHARS = 9_000


class Load:
    """Gives a collector items until told to stop; each request, and each write to the file, has a number."""

    def __init__(self, collector, otlp):
        self.collector, self.otlp = collector, otlp
        self.accepted = {TRACES: [], METRICS: []}
        self.lines = 0
        self.failures = []
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(self._send, TRACES, self._spans)),
            threading.Thread(target=self._guarded, args=(self._send, METRICS, self._points)),
            threading.Thread(target=self._guarded, args=(self._write,)),
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _guarded(self, work, *arguments):
        try:
            work(*arguments)
        except Exception as error:  # noqa: BLE001 - the test shows it
            self.failures.append(error)

    def _send(self, kind, build):
        number = 0
        with grpc.insecure_channel(self.collector.otlp_target) as channel:
            export = channel.unary_unary(f"/{kind.grpc_service}/Export")
            while not self._stopping.wait(PACE_S):
                number += 1
                export(build(number).SerializeToString(), timeout=DRAIN_S)
                self.accepted[kind].append(number)

    def _write(self):
        with self.collector.lines.open("a") as file:
            while not self._stopping.wait(PACE_S):
                file.writelines(f"line {self.lines + n}\n" for n in range(ITEMS))
                file.flush()
                self.lines += ITEMS

    def _spans(self, number):
        now = now_unix_nano()
        return self.otlp.spans(
            "interop",
            *(
                {
                    "trace_id": number.to_bytes(16, "big"),
                    "span_id": (item + 1).to_bytes(8, "big"),
                    "name": "work",
                    "start_time_unix_nano": now,
                    "end_time_unix_nano": now + 1000,
                }
                for item in range(ITEMS)
            ),
        )

    def _points(self, number):
        metric = METRICS.request().resource_metrics.add().scope_metrics.add().metrics.add(name=metric_name(number))
        for item in range(ITEMS):
            metric.gauge.data_points.add(
                time_unix_nano=now_unix_nano(), as_int=item, attributes=self.otlp.attributes({"n": number})
            )
        return self.otlp.metrics("interop", metric)


def metric_name(number):
    return f"interop.points.{number // BLOCK}"


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


def point_counts(api, name, step, *group_by, end=None):
    """Points of a metric by labels, up to `end` in Unix nanoseconds."""
    body = {"metric": name, "aggregation": "count", "group_by": list(group_by), "step": step, "end": end}
    answer = api.post("/metrics/query", json=body)
    assert answer.status_code == 200, answer.text
    assert not answer.json()["truncated"]
    return {
        tuple(series["labels"].values()): int(sum(value for _, value in series["points"] if value is not None))
        for series in answer.json()["series"]
    }


def stored_lines(api):
    return Counter(int(record["body"].split()[1]) for record in pages(api, "/logs/search", "log.file.name:app.log"))


def compared(expected, found):
    """(accepted, stored, doubled, lost) of items by number."""
    doubled = sum(max(0, count - expected.get(number, 0)) for number, count in found.items())
    lost = sum(max(0, count - found.get(number, 0)) for number, count in expected.items())
    return sum(expected.values()), sum(found.values()), doubled, lost


def numbered(api, load):
    """The accepted items beside the stored ones, of items with a number, by kind."""
    spans = Counter(
        {int(found["trace_id"], 16): found["span_count"] for found in pages(api, "/traces/search", "service:interop")}
    )
    yield "traces", compared(dict.fromkeys(load.accepted[TRACES], ITEMS), spans)
    yield "logs, a file", compared(dict.fromkeys(range(load.lines), 1), stored_lines(api))
    numbers = dict.fromkeys(load.accepted[METRICS], ITEMS)
    for kind, step in (("metrics", "1m"), ("metrics, 1 h", "1h")):
        points = Counter()
        for name in sorted({metric_name(number) for number in numbers}):
            points.update({int(n): count for (n,), count in point_counts(api, name, step, "n").items()})
        yield kind, compared(numbers, points)


def of_the_host(api, accepted, end_s):
    """The same of the host's figures up to a second of Unix time."""
    names = [metric["name"] for metric in api.get("/metrics", params={"prefix": "system."}).json()["items"]]
    stored = sum(sum(point_counts(api, name, "1s", end=end_s * SECOND).values()) for name in names)
    return "host metrics", (accepted, stored, max(0, stored - accepted), max(0, accepted - stored))


def host_points(collector):
    """How many points of the host the collector had accepted at a whole second of Unix time, and that second."""
    count = "receiver_accepted", "metrics", "hostmetrics"
    while True:
        before = collector.counts()[count]
        while (accepted := collector.counts()[count]) == before:
            time.sleep(0.05)
        # The next scrape is 3 s away: the second after the next one begins before it.
        end_s = int(time.time()) + 2
        while time.time() < end_s:
            time.sleep(0.05)
        if collector.counts()[count] == accepted:
            return accepted, end_s


def faults(up, chance):
    """Yields the name of each, after it is over."""
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.2, 3))
        up.kill()
        up.start()
        yield "killed"
    for _ in range(FREEZES):
        time.sleep(chance.uniform(0.2, 1))
        up.process.send_signal(signal.SIGSTOP)
        time.sleep(FREEZE_S)
        up.process.send_signal(signal.SIGCONT)
        yield "frozen"
    (postmaster,) = (child for child in psutil.Process(up.process.pid).children() if child.name() == "postgres")
    postmaster.suspend()
    time.sleep(POSTGRES_AWAY_S)
    postmaster.resume()
    yield "PostgreSQL frozen"
    up.stop(signal.SIGTERM)
    up.start()
    yield "stopped and started"


def wait_for(collector, name, items):
    """Waits until the collector has taken so many items of a signal."""
    deadline = time.monotonic() + DRAIN_S
    while (taken := collector.counts()["receiver_accepted", name]) < items:
        assert time.monotonic() < deadline, f"the collector took {taken} of {items} {name}"
        time.sleep(0.2)


def drained(collector, before=None):
    """Waits until it has sent whatever it accepted, and what was in its queue `before` it started."""
    deadline = time.monotonic() + DRAIN_S
    before = before or Counter()
    while True:
        counts = collector.counts()
        left = {
            name: before[name] + counts["receiver_accepted", name] - counts["exporter_sent", name] for name in NAMES
        }
        if not any(left.values()):
            return
        assert collector.refused() == []
        assert time.monotonic() < deadline, (left, collector.log.read_text()[-5000:])
        time.sleep(0.2)


def queued(collector):
    """Waits until all that it accepted is in its queue on disk; answers how much that is, by signal."""
    deadline = time.monotonic() + DRAIN_S
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < QUIET_S:
        assert time.monotonic() < deadline, "the collector's batches do not come to rest"
        counts = collector.counts()
        accepted = {name: counts["receiver_accepted", name] for name in NAMES}
        if sum(accepted.values()) != counts["batched"]:
            quiet_since = time.monotonic()
        time.sleep(0.05)
    return accepted


def test_what_is_accepted_arrives_once_whatever_happens(  # noqa: PLR0917 - fixtures
    start_up, collectors, new_tenant, ways, otlp, rows
):
    chance = random.Random(7)
    with start_up() as up, ExitStack() as loads:
        sending = []
        for way in ways:
            log_in, key = new_tenant(up, str(way))
            collector = collectors(up, key, way)
            sending.append((way, log_in, collector, loads.enter_context(Load(collector, otlp))))
        happened = Counter(faults(up, chance))
        loads.close()
        assert happened["killed"] == KILLS
        found = []
        for way, log_in, collector, load in sending:
            assert load.failures == []
            wait_for(collector, "logs", load.lines)
            drained(collector)
            host = host_points(collector)
            drained(collector)
            with log_in() as api:
                found += [(kind, way, *counts) for kind, counts in (*numbered(api, load), of_the_host(api, *host))]
            collector.stop()
        rows.extend(found)
        assert [row for row in found if row[-2:] != (0, 0) or not row[2]] == []
        up.stop()


def test_what_is_in_the_queue_outlives_the_collector(start_up, collectors, new_tenant, ways, otlp, rows):  # noqa: PLR0917 - fixtures
    """The receiver is frozen with requests under way, and the collector killed: the next one sends the same again."""
    with start_up() as up, ExitStack() as logged_in:
        for way in (ways[0], ways[-1]):
            log_in, key = new_tenant(up, f"queue-{way}")
            api = logged_in.enter_context(log_in())
            collector = collectors(up, key, way)
            up.process.send_signal(signal.SIGSTOP)
            with Load(collector, otlp) as load:
                time.sleep(QUEUE_S)
            assert load.failures == []
            wait_for(collector, "logs", load.lines)
            accepted = queued(collector)
            collector.kill()
            up.process.send_signal(signal.SIGCONT)
            collector.start()
            drained(collector, accepted)
            found = [(f"{kind}, queue", way, *counts) for kind, counts in numbered(api, load)]
            rows.extend(found)
            assert [row for row in found if row[-2:] != (0, 0) or not row[2]] == []
            collector.stop()
        up.stop()


def test_a_backlog_of_long_lines_fits_into_requests(start_up, collectors, new_tenant, ways, rows):
    """More than 64 MiB of text at once, and a batch that is sent when it is full: 8,192 such lines would be refused."""
    way = ways[0]
    with start_up() as up:
        log_in, key = new_tenant(up, "backlog")
        collector = collectors(up, key, way, batch_s=5)
        text = "x" * LONG_LINE_CHARS
        # Renamed into place when it is whole, so that the collector finds all of it at once.
        whole = collector.folder / "whole"
        with whole.open("w") as file:
            file.writelines(f"line {number} {text}\n" for number in range(LONG_LINES))
        whole.rename(collector.lines)
        wait_for(collector, "logs", LONG_LINES)
        drained(collector)
        with log_in() as api:
            counts = compared(dict.fromkeys(range(LONG_LINES), 1), stored_lines(api))
        rows.append(("logs, 9 kB each", way, *counts))
        assert counts == (LONG_LINES, LONG_LINES, 0, 0)
        collector.stop()
        up.stop()


@pytest.mark.parametrize(
    "tls", [{}, {"otlp_tls_cert": "cert.pem"}, {"otlp_tls_cert": "cert.pem", "otlp_tls_client_ca": "ca.pem"}]
)
def test_the_configuration_that_a_first_start_prints_is_one(binary, tmp_path, tls):
    http = f"{'https' if tls else 'http'}://127.0.0.1:4318"
    printed = welcome.collector_configuration(Settings(**tls), grpc="127.0.0.1:4317", http=http, key="tfk-x")
    assert printed.count("ca_file:") == (2 if tls else 0)
    path = tmp_path / "collector.yaml"
    path.write_text(printed.replace("/var/lib/otelcol", str(tmp_path)))
    checked = subprocess.run([binary, "validate", "--config", str(path)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
