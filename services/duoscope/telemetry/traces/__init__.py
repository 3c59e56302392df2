"""Traces: one by its id, as columns or whole; search for them; comparison of their spans."""

from duoscope.telemetry.traces.columns import TraceColumns, get_columns
from duoscope.telemetry.traces.comparison import Comparison, Selection, compare
from duoscope.telemetry.traces.finding import TracePage, TraceSummary, search
from duoscope.telemetry.traces.spans import Span
from duoscope.telemetry.traces.structure import Wanted
from duoscope.telemetry.traces.whole import TRACE_SERVICES_MAX, SpansOfId, Trace, get, get_spans

__all__ = [
    "TRACE_SERVICES_MAX",
    "Comparison",
    "Selection",
    "Span",
    "SpansOfId",
    "Trace",
    "TraceColumns",
    "TracePage",
    "TraceSummary",
    "Wanted",
    "compare",
    "get",
    "get_columns",
    "get_spans",
    "search",
]
