"""The names of the telemetry database: stored tables, tables that the receiver fills, views that a reader may name.

A test compares them with a migrated database. `scoped_sql` is the one place where a view's call is written.
"""

import re
from typing import Final

DATABASE: Final = "duoscope"

VIEWS: Final = frozenset(
    {
        "traces",
        "traces_plain",
        "traces_resources",
        "trace_summaries",
        "spans_v3",
        "logs",
        "logs_plain",
        "logs_resources",
        "logs_v3_by_trace",
        "log_arrivals",
        "metrics",
        "histograms",
        "exponential_histograms",
        "summaries",
        "exemplars",
        "metrics_hourly",
        "metrics_v3_daily",
        "metric_names",
        "series",
        "counters_hourly",
        "histograms_hourly",
        "exponential_histograms_hourly",
        "figures",
        "catalogue",
        "field_counts",
        "alert_events",
        "audit_events",
        "uptime_results",
        "usage_hourly",
        "usage_daily",
        "rejections",
        "arrivals",
    }
)
"""The views that a reader may name; each takes the workspace and the tenant as parameters."""

FORMER: Final = {
    "number_points": "metrics_v3",
    "histogram_points": "metric_histograms",
    "exponential_histogram_points": "metric_exponential_histograms",
    "summary_points": "metric_summaries",
}
"""Tables of before points were sorted by the hour, by those that took their place; they keep rows until they expire."""

INGESTED: Final = frozenset(
    {
        *FORMER,
        *FORMER.values(),
        "traces_v3",
        "logs_v3",
        "exemplars_v3",
        "metric_catalogue",
        "metric_series",
        "telemetry_catalogue",
        "field_values",
        "ingest_ledger",
        "ingest_rejections",
    }
)
"""The tables that the receiver inserts into. Views fill the other tables from these, most of them from the last one."""

LEDGER: Final = "ingest_ledger"
"""One row per stored request, written last, so that everything it names is stored."""

REJECTIONS: Final = "ingest_rejections"
"""What was rejected of requests, and requests that were refused whole, counted per minute."""

CATALOGUES: Final = frozenset({"metric_catalogue", "metric_series", "telemetry_catalogue", "field_values"})
"""Those of them whose rows belong to many requests at once."""

BESIDE_ITEMS: Final = CATALOGUES | {"exemplars_v3"}
"""Those of them whose rows accompany items, which are stored even without them."""

SHIPPED: Final = frozenset({"alert_history", "audit_logs"})
"""The tables that are filled from PostgreSQL, and from no request."""

STORED: Final = (
    INGESTED
    | SHIPPED
    | {
        "ingest_usage_hourly",
        "metric_counter_totals",
        "metric_exponential_histogram_sums",
        "metric_exponential_histogram_totals",
        "metric_histogram_sums",
        "metric_histogram_totals",
        "metrics_v3_hourly",
        "span_figures",
        "trace_summaries_v3",
        "uptime_checks",
    }
)
"""All tables that hold rows. No statement of a reader names one."""

ATTRIBUTE_COLUMNS: Final = 8
"""Attributes whose columns one query may read alone: `attribute_1`, … of a view, named by parameters of that name."""

WITH_ATTRIBUTES: Final = frozenset({"traces", "logs", "log_arrivals"})
"""The views that have them."""

PLAIN: Final = {"traces": "traces_plain", "logs": "logs_plain"}
"""Views without the columns that cost most to analyse, which stand for the whole ones where no such column is named."""

ATTRIBUTE_NAME: Final = re.compile(r"[A-Za-z0-9_./-]{1,255}", re.ASCII)
"""The names of attributes that may have a column: `object_takes` in receiver/decoder/columns/object.c."""

NO_ATTRIBUTE: Final = "-"
"""The parameter of one that is not used."""

_VIEW = re.compile(r"@(\w+)")
_NOT_PLAIN = re.compile(r"\b(?:attribute_\d|body_folded\b)")
_SCOPE = "workspace_id = {workspace_id:UUID}, tenant_id = {tenant_id:UUID}"
_ATTRIBUTES = "".join(f", attribute_{n} = {{attribute_{n}:String}}" for n in range(1, ATTRIBUTE_COLUMNS + 1))
_TABLE = re.compile(rf"(?<!@)\b(?:{'|'.join(sorted(STORED))})\b|\bsystem\s*\.")


def scoped_sql(sql: str) -> str:
    """Replace every `@view` in SQL with the view's call for the bound tenant. Raw tables are refused.

    Raises:
        ValueError: the SQL names a table, or a view that is not in `VIEWS`: a defect of the caller.
    """
    if found := _TABLE.search(sql):
        raise ValueError(f"Stored tables are read through views: {found.group()!r} is a table")

    plain = {} if _NOT_PLAIN.search(sql) else PLAIN

    def call(match: re.Match[str]) -> str:
        view = plain.get(match.group(1), match.group(1))
        if view not in VIEWS:
            raise ValueError(f"No such view: {view!r}")
        attributes = _ATTRIBUTES if view in WITH_ATTRIBUTES else ""
        return f"{view}({_SCOPE}{attributes})"

    return _VIEW.sub(call, sql)
