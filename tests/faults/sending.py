"""Senders that behave as collectors do, and the books they keep."""

import itertools
import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

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


@dataclass
class Books:
    """The sent requests by number, and their outcomes. Each number is one request of `ITEMS` items."""

    sent: dict[int, tuple[object, bytes]] = field(default_factory=dict)
    acknowledged: dict[int, int] = field(default_factory=dict)
    rejected: set[int] = field(default_factory=set)
    retries: int = 0
    unexpected: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """How long each request took that was acknowledged, from its first try."""

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

    def send_all_again(self, receiver, senders=8):
        """The bytes of every request to one receiver, until it takes them."""
        left = list(self.books.sent.values())
        refused = []

        def send():
            with Wire(self._tenant.key, [receiver], over_grpc=True) as wire, suppress(IndexError):
                while True:
                    kind, raw = left.pop()
                    deadline = time.monotonic() + self._patience_s
                    while (outcome := wire.send(kind, raw)) is None and time.monotonic() < deadline:
                        time.sleep(0.1)
                    if outcome != 0:
                        refused.append(outcome)

        threads = [threading.Thread(target=send) for _ in range(senders)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert refused == []
        self.books.acknowledged = dict.fromkeys(self.books.sent, 0)

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
                    self.books.sent[number] = kind, raw
                self._send(wire, number, kind, raw)
                time.sleep(self._pause_s)

    def _send(self, wire, number, kind, raw):
        began = time.monotonic()
        deadline = began + self._patience_s
        while time.monotonic() < deadline:
            outcome = wire.send(kind, raw)
            if isinstance(outcome, int):
                with self._lock:
                    self.books.acknowledged[number] = outcome
                    self.books.seconds.append(time.monotonic() - began)
                if random.random() < self._duplicates:
                    wire.send(kind, raw)
                    wire.turn()
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
        self.turn()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._http.close()
        self._channel.close()

    def turn(self):
        """Go to the next receiver."""
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
            self.turn()
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
