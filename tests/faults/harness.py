"""A deployment whose parts can be killed one by one, senders that behave as collectors do, and the books they keep."""

import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from duoscope.kernel.clock import now_unix_nano
from duoscope.receiver.signals import LOGS, METRICS, TRACES

ITEMS = 10
"""In each request."""
PATIENCE_S = 300
"""How long a collector tries to send a request."""
START_S = 60
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "3"))
THOROUGH = ROUNDS > 10
"""Whether this is `make faults`; a short form of it is part of the suite."""
RETRYABLE_HTTP = frozenset({429, 502, 503, 504})
RETRYABLE_GRPC = frozenset(
    getattr(grpc.StatusCode, name)
    for name in ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"]
)
RESPONSES = {
    LOGS: (ExportLogsServiceResponse, "rejected_log_records"),
    TRACES: (ExportTraceServiceResponse, "rejected_spans"),
    METRICS: (ExportMetricsServiceResponse, "rejected_data_points"),
}
_numbers = itertools.count(1)


COMMAND = (sys.executable, "-c", "import sys; from duoscope.cli import run; sys.exit(run())")


def free_ports(count):
    """Ports that no one listens on; all are held until all are found, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Process:
    """A part of the deployment."""

    def __init__(self, command, log, env=None):
        self._command, self.log, self._env = command, log, env
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._env)

    def kill(self, number=signal.SIGKILL):
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(START_S)

    def signal(self, number):
        self.process.send_signal(number)

    def wait_for(self, is_ready):
        deadline = time.monotonic() + START_S
        while not is_ready():
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            assert time.monotonic() < deadline, self.log.read_text()[-4000:]
            time.sleep(0.02)


def answers(url):
    try:
        return httpx.get(url, timeout=5).status_code < 500
    except httpx.TransportError:
        return False


class Receiver(Process):
    """An OTLP receiver of its own process and folder."""

    def __init__(self, command, env, folder, ports, log=None):
        self.grpc_port, self.http_port = ports
        self.folder = folder
        options = ["--otlp-grpc-port", str(ports[0]), "--otlp-http-port", str(ports[1]), "--data-dir", str(folder)]
        super().__init__([*command, "receiver", *options], log or folder.with_suffix(".log"), env)

    def start(self):
        super().start()
        self.wait_for(lambda: answers(f"http://127.0.0.1:{self.http_port}/v1/logs"))

    def batches(self, suffix=".spooled"):
        return sorted((self.folder / "ingest").glob(f"*{suffix}"))


class Deployment:
    """Two receivers and an API over PostgreSQL and a ClickHouse front; see clickhouse_front.py."""

    def __init__(self, folder: Path, postgres, receivers):
        self.folder, self._command = folder, COMMAND
        command, ports = COMMAND, free_ports(2 + 2 * receivers)
        self.front_port, self.api_port, *receiver_ports = ports
        self.env = os.environ | {
            "DUOSCOPE_POSTGRES_DSN": postgres.service_dsn,
            "DUOSCOPE_POSTGRES_ADMIN_DSN": postgres.admin_dsn,
            "DUOSCOPE_CLICKHOUSE_DSN": f"clickhouse://d:d@127.0.0.1:{self.front_port}/default?compress=0",
            "DUOSCOPE_SECRET_KEY": "f" * 64,
        }
        front = [sys.executable, str(Path(__file__).with_name("clickhouse_front.py")), str(folder / "clickhouse")]
        self.front = Process([*front, str(self.front_port)], folder / "front.log")
        data = str(folder / "api")
        self.api_process = Process(
            [*command, "api", "--api-port", str(self.api_port), "--data-dir", data], folder / "api.log", self.env
        )
        pairs = zip(receiver_ports[::2], receiver_ports[1::2], strict=True)
        self.receivers = [Receiver(command, self.env, folder / f"receiver{n}", pair) for n, pair in enumerate(pairs, 1)]

    @property
    def processes(self):
        return [*self.receivers, self.api_process, self.front]

    def start(self):
        (self.folder / "clickhouse").mkdir(parents=True)
        self.start_front()
        self.run("migrate", "up")
        self.api_process.start()
        self.api_process.wait_for(lambda: answers(f"http://127.0.0.1:{self.api_port}/health/ready"))
        for receiver in self.receivers:
            receiver.start()

    def start_front(self):
        self.front.start()
        self.front.wait_for(lambda: answers(f"http://127.0.0.1:{self.front_port}/ping"))

    def stop(self):
        for each in self.processes:
            if each.process is not None and each.process.poll() is None:
                each.signal(signal.SIGCONT)
                each.kill()

    def fault(self, **options):
        httpx.post(f"http://127.0.0.1:{self.front_port}/fault", params=options).raise_for_status()

    def run(self, *arguments, env=None):
        done = subprocess.run(
            [*self._command, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=START_S,
            env=self.env | (env or {}),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def known(self):
        return json.loads((self.folder / "api" / "credentials.json").read_text())

    def tenant(self, name):
        """A new tenant: its key, its key's id, and a way to read it over the API."""
        arguments = ("--organization", "Faults", "--mfa-optional", "--json")
        made = json.loads(self.run("admin", "create-tenant", name, *arguments))
        tenant_id = made["tenant_id"]
        key = json.loads(self.run("admin", "create-api-key", "--name", name, "--tenant", tenant_id, "--json"))
        email = f"{name}@example.com"
        arguments = ("--tenant", tenant_id, "--role", "admin", "--generate", "--json")
        user = json.loads(self.run("admin", "create-user", email, *arguments))
        return Tenant(self, name, key["api_key"], key.get("api_key_id", ""), email, user["password"])


@dataclass
class Tenant:
    """Somebody who sends and reads."""

    deployment: Deployment
    name: str
    key: str
    key_id: str
    email: str
    password: str

    @contextmanager
    def api(self):
        url = f"http://127.0.0.1:{self.deployment.api_port}/api/v1"
        with httpx.Client(base_url=url, timeout=60) as client:
            answer = client.post("/auth/login", json={"email": self.email, "password": self.password})
            assert answer.status_code == 200, answer.text
            client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
            yield client


@dataclass
class Books:
    """What was sent under which number, and what became of it."""

    sent: dict[int, object] = field(default_factory=dict)
    acknowledged: dict[int, int] = field(default_factory=dict)
    rejected: set[int] = field(default_factory=set)
    retries: int = 0
    unexpected: list[str] = field(default_factory=list)

    @property
    def unknown(self):
        return self.sent.keys() - self.acknowledged.keys() - self.rejected


class Load:
    """Senders that go on until told to stop, and try each request until somebody takes it or they lose patience."""

    def __init__(self, otlp, tenant, receivers, *, senders=4, duplicates=0.0, patience_s=PATIENCE_S, pause_s=0.0):
        self._otlp, self._tenant, self._receivers = otlp, tenant, receivers
        self._duplicates, self._patience_s, self._pause_s = duplicates, patience_s, pause_s
        self.books = Books()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send_on, args=(n,)) for n in range(senders)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.finish()

    def finish(self):
        """Send nothing new, and wait until what was sent has an answer."""
        self._stop.set()
        for thread in self._threads:
            thread.join(self._patience_s + 60)
        assert not any(thread.is_alive() for thread in self._threads)

    def wait_for(self, requests, timeout_s=60):
        """Until that many more requests are acknowledged."""
        until, deadline = len(self.books.acknowledged) + requests, time.monotonic() + timeout_s
        while len(self.books.acknowledged) < until:
            assert time.monotonic() < deadline, (len(self.books.acknowledged), until, self.books.unexpected[:3])
            time.sleep(0.01)

    def build(self, number):
        """A request of each signal in turn, whose items say which request they are of."""
        now, otlp, name = now_unix_nano(), self._otlp, self._tenant.name
        match number % 3:
            case 0:
                spans = (
                    {
                        "trace_id": number.to_bytes(16, "big"),
                        "span_id": (item + 1).to_bytes(8, "big"),
                        "name": f"r{number} i{item}",
                        "start_time_unix_nano": now,
                    }
                    for item in range(ITEMS)
                )
                return TRACES, otlp.spans(name, *spans).SerializeToString()
            case 1:
                records = ({"time_unix_nano": now, "body": f"r{number} i{item}"} for item in range(ITEMS))
                return LOGS, otlp.logs(name, *records).SerializeToString()
            case _:
                metric = METRICS.request().resource_metrics.add().scope_metrics.add().metrics.add(name=f"n.{name}")
                for item in range(ITEMS):
                    attributes = otlp.attributes({"i": str(item)})
                    metric.gauge.data_points.add(time_unix_nano=now, as_int=number, attributes=attributes)
                return METRICS, otlp.metrics(name, metric).SerializeToString()

    def _send_on(self, sender):
        with Wire(self._tenant.key, self._receivers, over_grpc=sender % 2 == 0) as wire:
            while not self._stop.is_set():
                number = next(_numbers)
                kind, raw = self.build(number)
                with self._lock:
                    self.books.sent[number] = kind
                self._send(wire, number, kind, raw)
                time.sleep(self._pause_s)

    def _send(self, wire, number, kind, raw):
        deadline = time.monotonic() + self._patience_s
        while time.monotonic() < deadline:
            outcome = wire.send(kind, raw)
            if isinstance(outcome, int):
                with self._lock:
                    self.books.acknowledged[number] = outcome
                for _ in range(2 if random.random() < self._duplicates else 0):
                    wire.send(kind, raw)
                return
            if outcome:
                with self._lock:
                    self.books.rejected.add(number)
                    self.books.unexpected.append(outcome)
                return
            with self._lock:
                self.books.retries += 1
            time.sleep(0.1 + random.random() * 0.3)


class Wire:
    """One sender's connections. It goes to another receiver after each failure."""

    TIMEOUT_S = 30

    def __init__(self, key, receivers, *, over_grpc):
        self._key, self._over_grpc = key, over_grpc
        self._receivers = itertools.cycle(receivers)
        self._http = httpx.Client(timeout=self.TIMEOUT_S)
        self._to = None
        self._turn()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._http.close()
        self._channel.close()

    def _turn(self):
        if self._to is not None:
            self._channel.close()
        self._to = next(self._receivers)
        # Else a channel that failed waits longer and longer before it connects again.
        options = [("grpc.max_reconnect_backoff_ms", 500), ("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{self._to.grpc_port}", options)

    def send(self, kind, raw):
        """How many items were rejected; None: to be sent again; or a text: refused for good."""
        outcome = self._grpc(kind, raw) if self._over_grpc else self._post(kind, raw)
        if outcome is None:
            self._turn()
        return outcome

    def _grpc(self, kind, raw):
        export = self._channel.unary_unary(f"/{kind.grpc_service}/Export")
        try:
            answer = export(raw, metadata=[("authorization", f"Bearer {self._key}")], timeout=self.TIMEOUT_S)
        except grpc.RpcError as error:
            return None if error.code() in RETRYABLE_GRPC else f"{error.code()} {error.details()}"
        return self._rejected(kind, answer)

    def _post(self, kind, raw):
        headers = {"content-type": "application/x-protobuf", "x-api-key": self._key}
        try:
            answer = self._http.post(
                f"http://127.0.0.1:{self._to.http_port}{kind.http_path}", content=raw, headers=headers
            )
        except httpx.TransportError:
            return None
        if answer.status_code == 200:
            return self._rejected(kind, answer.content)
        return None if answer.status_code in RETRYABLE_HTTP else f"{answer.status_code} {answer.text[:200]}"

    def _rejected(self, kind, answer):
        response, name = RESPONSES[kind]
        return getattr(response.FromString(answer).partial_success, name)


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


def found(tenant):
    """How often each item is there for the tenant, read over the API; and items that are nobody's of its own."""
    items, foreign = Counter(), 0
    with tenant.api() as api:
        for record in pages(api, "/logs/search", ""):
            foreign += record["service_name"] != tenant.name
            items[record["body"]] += 1
        for trace in pages(api, "/traces/search", ""):
            answer = api.get(f"/traces/{trace['trace_id']}")
            assert answer.status_code == 200, answer.text
            for span in answer.json()["spans"]:
                foreign += span["service_name"] != tenant.name
                items[span["name"]] += 1
        query = {"metric": f"n.{tenant.name}", "group_by": ["i"], "step": "1h"}
        totals = {}
        for aggregation in ("count", "sum"):
            answer = api.post("/metrics/query", json=query | {"aggregation": aggregation})
            assert answer.status_code == 200, answer.text
            totals[aggregation] = {
                series["labels"]["i"]: sum(value for _, value in series["points"] if value is not None)
                for series in answer.json()["series"]
            }
    return items, totals, foreign


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    fault: str
    requests: int
    acknowledged: int
    rejected: int
    unknown: int
    retries: int
    lost: int
    doubled: int
    foreign: int


def audit(fault, tenant, books):
    """Compare the books with what the API shows."""
    items, totals, foreign = found(tenant)
    lost = doubled = 0
    for number, kind in books.sent.items():
        if kind is METRICS:
            continue
        for item in range(ITEMS):
            times = items.pop(f"r{number} i{item}", 0)
            lost += number in books.acknowledged and not times
            doubled += max(times - 1, 0) if number not in books.rejected else times
    foreign += sum(items.values())
    # Points have no number of their own: every series has one of each request, and their values add up.
    points = [n for n, kind in books.sent.items() if kind is METRICS and n in books.acknowledged]
    perhaps = [n for n, kind in books.sent.items() if kind is METRICS and n in books.unknown]
    for item in range(ITEMS):
        count, total = (totals[name].get(str(item), 0) for name in ("count", "sum"))
        lost += max(len(points) - count, 0)
        doubled += max(count - len(points) - len(perhaps), 0)
        if count == len(points):
            doubled += abs(total - sum(points)) > 0.5
    return Row(
        fault,
        len(books.sent),
        len(books.acknowledged),
        len(books.rejected),
        len(books.unknown),
        books.retries,
        int(lost),
        int(doubled),
        foreign,
    )
