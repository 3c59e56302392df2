"""RED metrics of services by minute, compared with plain Python over the same spans."""

import math
import random

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.stores.clickhouse import SchemaAccount
from duoscope.telemetry import services, span_metrics
from duoscope.telemetry.metrics.frames import second
from duoscope.telemetry.times import TimeRange

S = 10**9
_START_S = (now_unix_nano() // (3600 * S) - 30) * 3600
SERVER, CLIENT, INTERNAL, CONSUMER = 2, 3, 1, 5
ERROR = 2


@pytest.fixture(scope="module")
def spans():
    """(service, name, kind, status, is_root, second, duration) over 26 hours."""
    rng = random.Random(5)
    return [
        (
            rng.choice(("checkout", "cart")),
            rng.choice(("GET /", "POST /orders", "charge")),
            rng.choice((SERVER, CLIENT, INTERNAL, CONSUMER)),
            rng.choices((0, 1, ERROR), (70, 20, 10))[0],
            rng.random() < 0.3,
            rng.randrange(26 * 3600),
            round(rng.lognormvariate(16, 2)) if rng.random() < 0.98 else 0,
        )
        for _ in range(4000)
    ]


@pytest.fixture
async def reader(telemetry_store, deliver, otlp, new_scope, spans):
    scope = new_scope()
    rng = random.Random(6)
    for part in range(4):
        for service in ("checkout", "cart"):
            made = [
                {
                    "trace_id": rng.randbytes(16),
                    "span_id": rng.randbytes(8),
                    "parent_span_id": b"" if is_root else rng.randbytes(8),
                    "name": name,
                    "kind": kind,
                    "status": status,
                    "start_time_unix_nano": (_START_S + at) * S + 5,
                    "end_time_unix_nano": (_START_S + at) * S + 5 + duration,
                }
                for of, name, kind, status, is_root, at, duration in spans[part::4]
                if of == service
            ]
            await deliver(scope, otlp.spans(service, *made))
    return telemetry_store.bind(scope)


def wanted(spans, step, matches):
    found = {}
    for service, name, kind, status, is_root, at, duration in spans:
        if matches(service, name, kind, is_root):
            found.setdefault(second((_START_S + at) // step * step), []).append((duration, status == ERROR))
    return found


def same(point, of_step):
    durations = sorted(duration for duration, _ in of_step)
    assert (point.count, point.error_count) == (len(of_step), sum(failed for _, failed in of_step))
    assert (point.duration_avg_ns, point.duration_max_ns) == (round(sum(durations) / len(durations)), durations[-1])
    for q, found in ((0.5, point.duration_p50_ns), (0.95, point.duration_p95_ns), (0.99, point.duration_p99_ns)):
        exact = durations[max(0, math.ceil(q * len(durations)) - 1)]
        assert exact / 1.1 - 1 <= found <= exact * 1.1 + 1


def is_request(kind, is_root):
    return is_root or kind in (SERVER, CONSUMER)


TIMES = TimeRange(_START_S * S, (_START_S + 26 * 3600) * S)


@pytest.mark.parametrize("step", [1800, 3600, 86_400])
async def test_requests_of_a_service(reader, spans, step):
    found = await span_metrics.service_figures(reader, TIMES, "checkout", step=step)
    due = wanted(spans, step, lambda service, _, kind, root: service == "checkout" and is_request(kind, root))
    assert [point.time for point in found.points] == sorted(due)
    for point in found.points:
        same(point, due[point.time])


async def test_an_operation_and_a_kind_count_every_span(reader, spans):
    found = await span_metrics.service_figures(reader, TIMES, "cart", operation="charge", step="1h")
    due = wanted(spans, 3600, lambda service, name, *_: (service, name) == ("cart", "charge"))
    assert [point.time for point in found.points] == sorted(due)
    for point in found.points:
        same(point, due[point.time])
    found = await span_metrics.service_figures(reader, TIMES, "cart", operation="GET /", kind="client", step="1d")
    due = wanted(spans, 86_400, lambda service, name, kind, _: (service, name, kind) == ("cart", "GET /", CLIENT))
    for point in found.points:
        same(point, due[point.time])


async def test_merges_change_nothing(reader, telemetry_store):
    before = await span_metrics.service_figures(reader, TIMES, "checkout", step="1h")
    account = SchemaAccount.open(telemetry_store._settings)
    account.execute("OPTIMIZE TABLE span_figures FINAL")
    account.close()
    assert await span_metrics.service_figures(reader, TIMES, "checkout", step="1h") == before


async def test_services_are_of_whole_minutes(reader, spans):
    start, end = _START_S + 3600 + 59, _START_S + 7200 + 1
    listed = await services.list_services(reader, TimeRange(start * S, end * S))
    for service in listed.items:
        due = [
            (duration, status == ERROR)
            for of, _, kind, status, root, at, duration in spans
            if of == service.name and is_request(kind, root) and 3600 <= at < 7260
        ]
        assert (service.request_count, service.error_count) == (len(due), sum(failed for _, failed in due))
        exact = sorted(duration for duration, _ in due)[math.ceil(0.95 * len(due)) - 1]
        assert exact / 1.1 - 1 <= service.duration_p95_ns <= exact * 1.1 + 1
    assert [service.name for service in listed.items] == ["cart", "checkout"]


async def test_steps(reader):
    hour = TimeRange(_START_S * S, (_START_S + 3600) * S)
    assert (await span_metrics.service_figures(reader, hour, "cart")).step_s == 60
    assert (await span_metrics.service_figures(reader, TIMES, "cart")).step_s == 600
    assert (await span_metrics.service_figures(reader, hour, "nobody")).points == []
    for step in ("30s", 90):
        with pytest.raises(DuoscopeError, match="whole minutes"):
            await span_metrics.service_figures(reader, hour, "cart", step=step)


@pytest.mark.parametrize(("hours", "points", "step_s"), [(26, 24, 3900), (2, 120, 60), (1, 7, 540), (26, 1, 93_600)])
async def test_services_over_time_add_up_to_the_whole(reader, spans, hours, points, step_s):
    listed = await services.list_services(reader, TimeRange(_START_S * S, (_START_S + hours * 3600) * S), points)
    assert (listed.start, listed.step_s) == (second(_START_S), step_s)
    for one in listed.items:
        counts = [[0] * -(-hours * 3600 // step_s) for _ in range(2)]
        for service, _, kind, status, is_root, at, _ in spans:
            if service == one.name and is_request(kind, is_root) and at < hours * 3600:
                counts[0][at // step_s] += 1
                counts[1][at // step_s] += status == ERROR
        assert [one.request_counts, one.error_counts] == counts
        assert (sum(one.request_counts), sum(one.error_counts)) == (one.request_count, one.error_count)
