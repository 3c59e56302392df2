"""What the questions to logs and traces are in SQL, compared with search/statements.txt; DUOSCOPE_TESTS_REGENERATE=1
writes it anew.
"""

import os
from pathlib import Path

import pytest

from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.aggregates.buckets import buckets
from duoscope.telemetry.aggregates.heatmap import heatmap
from duoscope.telemetry.aggregates.histogram import histogram
from duoscope.telemetry.aggregates.measures import Measure
from duoscope.telemetry.aggregates.table import Asked, aggregate
from duoscope.telemetry.language import Signal
from duoscope.telemetry.times import SECOND_NS, TimeRange

_SNAPSHOT = Path(__file__).parent / "search" / "statements.txt"
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

    monkeypatch.setattr(TelemetryReader, "query", recorded)
    return ran


async def test_statements_are_as_committed(telemetry_store, new_scope, statements):
    reader = telemetry_store.bind(new_scope())
    cut = buckets(TIMES, "1m")
    await histogram(reader, Signal.LOGS, TIMES, "", cut)
    await histogram(reader, Signal.TRACES, TIMES, "service:checkout", cut, by="http.route")
    await aggregate(reader, Asked(Signal.TRACES, TIMES, "", _RED, ("service", "event.exception.type"), buckets=cut))
    await aggregate(reader, Asked(Signal.LOGS, TIMES, "", _OF_LOGS, ("scope.name", "trace_id"), order="asc"))
    await heatmap(reader, TIMES, "kind:server", cut)
    report = "\n".join(statements)
    if os.environ.get("DUOSCOPE_TESTS_REGENERATE"):
        _SNAPSHOT.write_text(report)
    assert report == _SNAPSHOT.read_text()
