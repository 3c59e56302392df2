"""Traces: one by its id, as columns or whole; search for them; comparison of their spans."""

from duoscope.telemetry.traces.columns import TraceColumns, get_columns
from duoscope.telemetry.traces.finding import TracePage, TraceSummary, search
from duoscope.telemetry.traces.spans import Span
from duoscope.telemetry.traces.whole import TRACE_SERVICES_MAX, SpansOfId, Trace, get, get_spans

__all__ = [
    "TRACE_SERVICES_MAX",
    "Span",
    "SpansOfId",
    "Trace",
    "TraceColumns",
    "TracePage",
    "TraceSummary",
    "get",
    "get_columns",
    "get_spans",
    "search",
]
