"""Requests of random extremes over all three transports, while somebody else sends sound ones.

Nothing is set aside, no item is refused by the store that the decoder took, nobody loses anything or has it twice, no
answer is a 5xx, and what was stored can be read. A few hundred of them are part of the suite, always the same ones;
`make extremes` sends 10,000 new ones. EXTREMES_SEED, which is printed, makes them the same again.
"""

import os
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import httpx
import pytest
from extreme_requests import MARK, Requests, as_json, items_of
from google.rpc import status_pb2
from google.rpc.error_details_pb2 import RetryInfo

from duoscope.kernel.clock import now_unix_nano
from duoscope.receiver.signals import LOGS, METRICS, SIGNALS, TRACES

LONG = "EXTREMES_N" in os.environ
COUNT = int(os.environ.get("EXTREMES_N", "300"))
SEED = int(os.environ.get("EXTREMES_SEED", "0")) or (random.getrandbits(32) if LONG else 1)
TRANSPORTS = ("grpc", "protobuf", "json")
SENDERS = 48 if LONG else 12
BYSTANDS_EVERY = 4
"""Requests of extremes to one of the bystander's."""
PATIENCE_S = 120
"""How long an answer is waited for, and a request sent again to a receiver that is busy."""
SERIES = 10
TRACE_ID = bytes(range(1, 17))
"""Of the bystander's spans."""


class BusyError(Exception):
    """The receiver asks to come again."""

    def __init__(self, after_s):
        super().__init__(after_s)
        self.after_s = after_s


class Sender:
    """Sends over each transport, as one key; again when the receiver says so."""

    def __init__(self, up, key):
        self._headers = {"x-api-key": key}
        self._client = httpx.Client(base_url=up.otlp_url, headers=self._headers, timeout=PATIENCE_S)
        self._channel = grpc.insecure_channel(up.grpc_target, [("grpc.use_local_subchannel_pool", 1)])
        self.retries = 0

    def close(self):
        self._client.close()
        self._channel.close()

    def send(self, transport, signal, request):
        """How many items were rejected; or a text: another answer than success."""
        send, body = {
            "grpc": (self._grpc, request.SerializeToString),
            "protobuf": (self._protobuf, request.SerializeToString),
            "json": (self._json, lambda: as_json(request)),
        }[transport]
        raw, deadline = body(), time.monotonic() + PATIENCE_S
        while True:
            try:
                return send(signal, raw)
            except BusyError as busy:
                if time.monotonic() > deadline:
                    return f"busy for {PATIENCE_S} s"
                self.retries += 1
                time.sleep(busy.after_s)

    def _grpc(self, signal, raw):
        export = self._channel.unary_unary(f"/{signal.grpc_service}/Export")
        try:
            answer = export(raw, metadata=[*self._headers.items()], timeout=PATIENCE_S)
        except grpc.RpcError as error:
            details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
            retry = RetryInfo()
            if any(each.Unpack(retry) for each in status_pb2.Status.FromString(details).details):
                raise BusyError(retry.retry_delay.ToTimedelta().total_seconds()) from error
            return f"{error.code().name} {error.details()}"
        return _rejected(signal, answer)

    def _protobuf(self, signal, raw):
        answer = self._post(signal, raw, "application/x-protobuf")
        return answer if isinstance(answer, str) else _rejected(signal, answer.content)

    def _json(self, signal, raw):
        answer = self._post(signal, raw, "application/json")
        if isinstance(answer, str):
            return answer
        partial = answer.json().get("partialSuccess", {})
        return sum(int(count) for name, count in partial.items() if name != "errorMessage")

    def _post(self, signal, raw, kind):
        answer = self._client.post(signal.http_path, content=raw, headers={"content-type": kind})
        if answer.status_code == 503 and (after_s := answer.headers.get("retry-after")):
            raise BusyError(float(after_s))
        return answer if answer.status_code == 200 else f"{answer.status_code} {answer.content!r:.200}"


def _rejected(signal, raw):
    partial = signal.response.FromString(raw).partial_success
    return getattr(partial, partial.DESCRIPTOR.fields_by_number[1].name)


class Bystander:
    """Somebody whose items have numbers."""

    def __init__(self, otlp):
        self._otlp = otlp
        self.sent = Counter()

    def request(self, number):
        """A request of one item: signals take turns."""
        signal, now_ns = SIGNALS[number % len(SIGNALS)], now_unix_nano()
        self.sent[f"{signal.name} {number}"] += 1
        if signal is TRACES:
            span = {"name": f"{MARK} {number}", "trace_id": TRACE_ID, "span_id": (number + 1).to_bytes(8, "big")}
            times = {"start_time_unix_nano": now_ns - 1000, "end_time_unix_nano": now_ns}
            return signal, self._otlp.spans(MARK, span | times)
        if signal is LOGS:
            return signal, self._otlp.logs(MARK, {"time_unix_nano": now_ns, "body": f"{MARK} {number}"})
        metric = METRICS.request().resource_metrics.add().scope_metrics.add().metrics.add(name=MARK)
        attributes = self._otlp.attributes({"number": str(number % SERIES)})
        metric.gauge.data_points.add(time_unix_nano=now_ns, as_int=number, attributes=attributes)
        return signal, self._otlp.metrics(MARK, metric)

    def expected(self):
        """As `found`, of what was sent."""
        items = Counter({name: n for name, n in self.sent.items() if not name.startswith("metrics")})
        points = {"count": Counter(), "sum": Counter()}
        for number in (int(name.split()[1]) for name in self.sent if name.startswith("metrics")):
            points["count"][str(number % SERIES)] += 1
            points["sum"][str(number % SERIES)] += number
        return items, points

    def found(self, api, since_ns):
        """What the API shows: items by signal and number; points, which have none, by series, and their sums."""
        items = Counter(f"logs {each['body'].split()[1]}" for each in _pages(api, "/logs/search", since_ns))
        cursor = {}
        while cursor is not None:
            trace = _ask(api, "GET", f"/traces/{TRACE_ID.hex()}", params=cursor)
            items.update(f"traces {span['name'].split()[1]}" for span in trace["spans"])
            cursor = trace["next_cursor"] and {"cursor": trace["next_cursor"]}
        points = {}
        for aggregation in ("count", "sum"):
            query = {"metric": MARK, "group_by": ["number"], "step": "1h", "start": since_ns}
            series = _ask(api, "POST", "/metrics/query", json=query | {"aggregation": aggregation})["series"]
            points[aggregation] = Counter(
                {each["labels"]["number"]: sum(value or 0 for _, value in each["points"]) for each in series}
            )
        return items, points


@dataclass
class Odd:
    """The outcome of the requests with extremes."""

    items: Counter
    rejected: Counter
    answers: Counter


def _ask(api, method, path, **options):
    answer = api.request(method, path, **options)
    assert answer.status_code == 200, (path, answer.text)
    return answer.json()


def _pages(api, path, since_ns):
    body = {"limit": 1000, "start": since_ns}
    while True:
        page = _ask(api, "POST", path, json=body)
        yield from page["items"]
        if page["next_cursor"] is None:
            return
        body["cursor"] = page["next_cursor"]


@pytest.fixture
def up(start_up):
    with start_up() as made:
        yield made
        made.stop()


@pytest.fixture
def neighbour(up):
    """Another tenant: its key, and who may read it."""
    tenant_id = up.admin("create-tenant", "Neighbour")["tenant_id"]
    email = "neighbour@example.com"
    user = up.admin("create-user", email, "--tenant", tenant_id, "--role", "viewer", "--generate")
    return up.admin("create-api-key", "--tenant", tenant_id)["api_key"], (email, user["password"])


def test_random_extremes(up, neighbour, otlp, capsys):
    key, reader = neighbour
    since_ns, bystander = now_unix_nano() - 10**9, Bystander(otlp)
    wires = [(Sender(up, up.key), Sender(up, key)) for _ in range(SENDERS)]
    odd, sound = Odd(Counter(), Counter(), Counter()), Counter()

    def send(number):
        chance = random.Random(f"{SEED}/{number}")
        mine, others = wires[number % SENDERS]
        transport, signal = TRANSPORTS[number % len(TRANSPORTS)], chance.choice(SIGNALS)
        request = Requests(f"odd {number}").at_random(chance, signal)
        answer = mine.send(transport, signal, request)
        beside = (
            others.send(chance.choice(TRANSPORTS), *bystander.request(number)) if not number % BYSTANDS_EVERY else 0
        )
        return transport, signal, items_of(request), answer, beside

    with ThreadPoolExecutor(SENDERS) as pool:
        for number, (transport, signal, items, answer, beside) in enumerate(pool.map(send, range(COUNT))):
            odd.items[signal.name] += items
            if isinstance(answer, int):
                odd.rejected[signal.name] += answer
                # The first item of each is sound.
                assert answer < items, (SEED, number)
            odd.answers[f"{transport} {'OK' if isinstance(answer, int) else answer}"] += 1
            sound["OK" if beside == 0 else str(beside)] += 1
    retries = sum(wire.retries for pair in wires for wire in pair)
    for wire in (wire for pair in wires for wire in pair):
        wire.close()
    with capsys.disabled():
        _print(odd, bystander, retries)
    assert odd.answers.keys() == {f"{transport} OK" for transport in TRANSPORTS}, f"seed {SEED}"
    assert sound.keys() == {"OK"}, f"seed {SEED}"
    nothing_is_set_aside(up)
    with up.api(*reader) as api:
        assert bystander.found(api, since_ns) == bystander.expected(), f"seed {SEED}"
    with up.api() as api:
        the_books_agree(api, odd)
        all_can_be_read(api, since_ns)


def _print(odd, bystander, retries):
    lines = [
        f"{COUNT:,} requests of random extremes, EXTREMES_SEED={SEED}, and {bystander.sent.total():,} of a bystander:",
        *(f"  {n:,} answered with {answer}" for answer, n in sorted(odd.answers.items())),
        *(f"  {n:,} items of {signal}, {odd.rejected[signal]:,} of them rejected" for signal, n in odd.items.items()),
        f"  {retries:,} times asked to come again",
    ]
    print("", *lines, sep="\n")  # noqa: T201 - what `make extremes` is for


def nothing_is_set_aside(up):
    folder, deadline = up.data_dir / "ingest", time.monotonic() + PATIENCE_S
    while any(path.suffix in {".growing", ".segment"} for path in folder.iterdir()):
        assert time.monotonic() < deadline, [*folder.iterdir()]
        time.sleep(0.05)
    assert [*folder.glob("*.poison")] == []
    figures = httpx.get(f"{up.api_url}/metrics").text.splitlines()
    assert "duoscope_ingest_poison_batches_total 0.0" in figures
    # Nor has the store refused an item that the decoder took.
    assert not [line for line in figures if line.startswith("duoscope_ingest_refused_rows_total")]


def the_books_agree(api, odd):
    """Every item is stored, or rejected for a reason, as its sender was told."""
    usage = {each["signal"]: each for each in _ask(api, "GET", "/usage")["items"]}
    told = {name: (n, n - odd.rejected[name]) for name, n in odd.items.items()}
    assert {name: (each["items"], each["stored"]) for name, each in usage.items()} == told
    rejections = _ask(api, "GET", "/ingest/rejections", params={"per": "day", "limit": 100})["items"]
    assert sum(each["items"] for each in rejections) == odd.rejected.total()
    assert "refused-by-store" not in {each["reason"] for each in rejections}


def all_can_be_read(api, since_ns):
    """Whatever was stored breaks no answer."""
    since_ns -= 86_400 * 10**9
    for path in ("/logs/search", "/traces/search"):
        assert next(_pages(api, path, since_ns))
    for trace in _ask(api, "POST", "/traces/search", json={"start": since_ns})["items"]:
        assert _ask(api, "GET", f"/traces/{trace['trace_id']}")["spans"]
    for path in ("/services", "/service-map", "/metrics", "/ingest/cardinality"):
        _ask(api, "GET", path)
    for metric in _ask(api, "GET", "/metrics")["items"]:
        if 0 < len(metric["name"]) <= 1024:
            query = {"metric": metric["name"], "start": since_ns}
            assert "series" in _ask(api, "POST", "/metrics/query", json=query)
            _ask(api, "GET", "/metrics/exemplars", params={"metric": metric["name"]})
