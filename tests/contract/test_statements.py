"""What the questions to logs and traces are in SQL, compared with search/*.txt; DUOSCOPE_TESTS_REGENERATE=1 writes
these anew.
"""

import os
import re
from pathlib import Path

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import log_context, log_patterns, logs, services, trace_logs, traces
from duoscope.telemetry.aggregates.buckets import buckets
from duoscope.telemetry.aggregates.heatmap import heatmap
from duoscope.telemetry.aggregates.histogram import histogram
from duoscope.telemetry.aggregates.measures import Measure
from duoscope.telemetry.aggregates.table import Asked, aggregate
from duoscope.telemetry.calls import spans
from duoscope.telemetry.language import Signal
from duoscope.telemetry.times import SECOND_NS, TimeRange

_SNAPSHOTS = Path(__file__).parent / "search"
_TIMES = re.compile(r"\b1\d{18}\b|(?<=_day': )\d+|(?<=[td]_s': )\d+")
TIMES = TimeRange(1_700_000_000 * SECOND_NS, 1_700_003_600 * SECOND_NS)
_RED = (Measure(), Measure(query="status:error"), Measure("p50", "duration"), Measure("p99", "duration"))
_OF_LOGS = (Measure("distinct", "user.id"), Measure("avg", "body.size"), Measure("p100", "took", "severity:error"))


@pytest.fixture
def statements(monkeypatch):
    """Records what the readers of a test run."""
    ran: list[str] = []
    query = TelemetryReader.query

    async def recorded(self, sql, parameters=None, *, name, settings=None):
        ran.append(f"> {name}\n{sql}\n{parameters}\n")
        return await query(self, sql, parameters, name=name, settings=settings)

    row_binary = TelemetryReader.row_binary

    async def recorded_binary(self, sql, parameters=None, *, name):
        ran.append(f"> {name}\n{sql}\n{parameters}\n")
        return await row_binary(self, sql, parameters, name=name)

    monkeypatch.setattr(TelemetryReader, "query", recorded)
    monkeypatch.setattr(TelemetryReader, "row_binary", recorded_binary)
    return ran


async def test_statements_are_as_committed(telemetry_store, new_scope, statements):
    reader = telemetry_store.bind(new_scope())
    cut = buckets(TIMES, "1m")
    await histogram(reader, Signal.LOGS, TIMES, "", cut)
    await histogram(reader, Signal.TRACES, TIMES, "service:checkout", cut, by="http.route")
    await aggregate(reader, Asked(Signal.TRACES, TIMES, "", _RED, ("service", "event.exception.type"), buckets=cut))
    await aggregate(reader, Asked(Signal.LOGS, TIMES, "", _OF_LOGS, ("scope.name", "trace_id"), order="asc"))
    await heatmap(reader, TIMES, "kind:server", cut)
    await logs.search(reader, TIMES, "service:checkout")
    await log_patterns.patterns(reader, TIMES, "service:checkout", compared=TimeRange(0, TIMES.start_ns))
    _compare("statements", statements)


async def test_statements_around_a_record_are_as_committed(stored, otlp, statements):
    now = now_unix_nano()
    reader = await stored(otlp.logs("shop", {"time_unix_nano": now}))
    record = (await logs.search(reader, TimeRange(now, now + 1))).items[0]
    statements.clear()
    await log_context.context(reader, record.id, before=1, after=1)
    around = [re.sub(r"\d{16,}", "…", text) for text in statements[:3]]
    statements.clear()
    with pytest.raises(DuoscopeError, match="No such trace"):
        await trace_logs.of_trace(reader, "01" * 16)
    _compare("statements_around", [*around, statements[0]])


async def test_statements_of_traces_are_as_committed(deliver, otlp, telemetry_store, new_scope, statements):
    start = now_unix_nano() - SECOND_NS  # of what is older, nothing is kept
    times = TimeRange(start, start + 10)
    scope, span = new_scope(), {"span_id": b"1" * 8, "start_time_unix_nano": start}
    await deliver(scope, *(otlp.spans("shop", span | {"trace_id": bytes([n]) * 16}) for n in (1, 2)))
    reader = telemetry_store.bind(scope)
    trace_id = "01" * 16
    await traces.get(reader, trace_id)
    await traces.get_columns(reader, trace_id)
    await traces.get_spans(reader, trace_id, "31" * 8)
    page = await traces.search(reader, times, "service:shop", limit=1)
    await traces.search(reader, times, "service:shop", limit=1, cursor=page.next_cursor)
    wanted = traces.Wanted("kind:client", "status:error http.route:/x", trace="spans>1 root.name:a*")
    await traces.search(reader, times, "service:shop", wanted)
    await traces.search(reader, times, "service:shop", traces.Wanted(without_child="name:a", without="name:c"))
    earlier = TimeRange(start, start + 1)
    await traces.compare(reader, times, "service:shop", traces.Selection("name:a", earlier, 1, 2), "name:b")
    await traces.compare(reader, times, "service:shop", traces.Selection("trace_id:" + trace_id))
    await services.service_map(reader, times)
    named = frozenset({"peer.service", "messaging.system"})
    await spans.read(reader, [times, TimeRange(start - 20, start - 10)], named, spans.Sample(4, 2))
    _compare("statements_of_traces", [_TIMES.sub("…", text) for text in statements])


def _compare(name, statements):
    path = _SNAPSHOTS / f"{name}.txt"
    report = "\n".join(statements)
    if os.environ.get("DUOSCOPE_TESTS_REGENERATE"):
        path.write_text(report)
    assert report == path.read_text()
