"""Rows are left out of a block as if they had never been decoded."""

import itertools

import pytest
from native import Native

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.ids import new_id
from duoscope.kernel.scope import Scope
from duoscope.receiver.decoder import Decoder, Kind
from duoscope.receiver.durability.native_blocks import without_rows
from duoscope.receiver.signals import METRICS
from duoscope.stores.clickhouse import CATALOGUES

SCOPE = Scope(new_id(), new_id(), new_id())


def decoded(kind, requests):
    """Blocks by table, and each request's rows by table."""
    decoder, rows, shares = Decoder(kind), {}, []
    decoder.count_values()
    rows = decoder.rows()
    for request in requests:
        decoder.add(request.SerializeToString(), SCOPE, 30, now_ns=now_unix_nano())
        before, rows = rows, decoder.rows()
        shares.append({table: (before[table], rows[table]) for table in rows})
    decoder.flush_values()
    return {block.table: block.native for block in decoder.blocks()}, shares


@pytest.fixture
def requests(otlp):
    """Four requests of each kind, with texts and lists of different lengths."""
    now = now_unix_nano()

    def points(n):
        scope = METRICS.request().resource_metrics.add().scope_metrics.add()
        gauge = scope.metrics.add(name="g").gauge.data_points
        histogram = scope.metrics.add(name="h").histogram.data_points
        exponential = scope.metrics.add(name="e").exponential_histogram.data_points
        summary = scope.metrics.add(name="q").summary.data_points
        for item in range(n + 1):
            each = gauge.add(time_unix_nano=now + item, as_int=item, attributes=otlp.attributes({"n": n}))
            each.exemplars.add(time_unix_nano=now, as_double=n, trace_id=b"t" * 16)
            each = histogram.add(time_unix_nano=now, count=n, explicit_bounds=range(n), bucket_counts=range(n + 1))
            if n % 2:
                each.sum = n
            each = exponential.add(time_unix_nano=now, count=2 * n + 1, zero_count=1, scale=n)
            each.positive.bucket_counts.extend([1] * n)
            each.negative.bucket_counts.extend([1] * n)
            each = summary.add(time_unix_nano=now, count=n, sum=n)
            for quantile in range(n):
                each.quantile_values.add(quantile=quantile / n, value=n)
        return otlp.metrics(f"s{n}", *scope.metrics)

    def spans(n):
        made = [
            {
                "trace_id": b"t" * 16,
                "span_id": b"s" * 8,
                "name": "x" * n * 70,
                "start_time_unix_nano": now + i,
                # Names of all requests, of some, more than have columns; one with several types, one without.
                "attributes": {"all": n, f"of.{n % 2}": "v" * i, "any": (i, 0.5, True, "")[i % 4], "list": [i]}
                | {f"{n}.{i}.{number}": number for number in range(40)},
            }
            for i in range(n)
        ]
        request = otlp.spans(f"s{n}", *made)
        for i, span in enumerate(request.resource_spans[0].scope_spans[0].spans):
            for event in range(i):
                span.events.add(name=f"event {event}", time_unix_nano=now)
        return request

    def records(n):
        return otlp.logs(
            f"s{n}", *({"time_unix_nano": now, "body": "y" * i * 100, "attributes": {"i": i}} for i in range(n + 1))
        )

    builders = {Kind.METRICS: points, Kind.TRACES: spans, Kind.LOGS: records}
    return {kind: [build(n) for n in range(4)] for kind, build in builders.items()}


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name.lower())
def test_rows_are_left_out(requests, kind):
    together, shares = decoded(kind, requests[kind])
    # All of them have rows, of all the types that there are.
    assert together.keys() == Decoder(kind).rows().keys()
    for count in range(5):
        for gone in itertools.combinations(range(4), count):
            rest, _ = decoded(kind, [each for n, each in enumerate(requests[kind]) if n not in gone])
            for table, block in together.items():
                if table in CATALOGUES:
                    continue
                left = without_rows(block, [shares[n][table] for n in gone])
                assert (Native(left).rows() if left else []) == (Native(rest[table]).rows() if table in rest else [])
