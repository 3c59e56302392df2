"""What the telemetry routes share: the bodies of searches, and parameters of time ranges."""

from typing import Annotated, Literal

import msgspec
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation
from msgspec import Meta, Struct

from duoscope.kernel.errors import invalid
from duoscope.kernel.limits import (
    METRIC_SERIES_MAX,
    QUERY_TEXT_CHARS_MAX,
    SEARCH_LIMIT_DEFAULT,
    SEARCH_LIMIT_MAX,
)
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.aggregates.buckets import STEP, Step, buckets
from duoscope.telemetry.aggregates.histogram import VALUES_MAX
from duoscope.telemetry.aggregates.measures import MEASURES_MAX, Measure
from duoscope.telemetry.aggregates.table import GROUP_BY_MAX as AGGREGATE_GROUP_BY_MAX
from duoscope.telemetry.aggregates.table import GROUPS_DEFAULT, GROUPS_MAX, Asked
from duoscope.telemetry.language import Signal
from duoscope.telemetry.metrics.formulas import (
    AT_STEP,
    FORMULAS_MAX,
    QUERIES_MAX,
    Fill,
    Query,
    Rank,
    is_name,
    newest_step,
)
from duoscope.telemetry.metrics.frames import GROUP_BY_MAX
from duoscope.telemetry.metrics.query import How
from duoscope.telemetry.times import TimeRange, time_range, unix_nano
from duoscope.telemetry.traces.comparison import FIELDS_DEFAULT, FIELDS_MAX, Selection
from duoscope.telemetry.traces.structure import Wanted

Reader = NamedDependency[SkipValidation[TelemetryReader]]

_TIME = "RFC 3339 with up to nine digits of a second, or nanoseconds since the Unix epoch."
Start = Annotated[
    str | int | None,
    Meta(description=f"From, included; an hour before `end` unless given. {_TIME}", examples=["2026-11-21T08:00:00Z"]),
]
End = Annotated[
    str | int | None, Meta(description=f"To, excluded; now unless given. {_TIME}", examples=["2026-11-21T09:00:00Z"])
]
StartParameter = Annotated[
    str | None, QueryParameter(description=f"From, included; an hour before `end` unless given. {_TIME}")
]
EndParameter = Annotated[str | None, QueryParameter(description=f"To, excluded; now unless given. {_TIME}")]
QueryTextParameter = Annotated[
    str, QueryParameter(name="query", max_length=QUERY_TEXT_CHARS_MAX, description="A query as for the search.")
]
StepParameter = Annotated[str | None, QueryParameter(description=f"{STEP} By default `auto`.")]
ByParameter = Annotated[
    str | None, QueryParameter(description="A field or an attribute, as a query names it: `severity`, `http.route`.")
]
ValuesParameter = Annotated[
    int,
    QueryParameter(ge=1, le=VALUES_MAX, description="The most frequent values of `by` that are shown by themselves."),
]


class LogSearch(Struct, forbid_unknown_fields=True):
    """A search for log records."""

    start: Start = None
    end: End = None
    query: Annotated[
        str,
        Meta(
            max_length=QUERY_TEXT_CHARS_MAX,
            description="Words of the body, quoted phrases and field:value, joined by AND (implied), OR, NOT (or -) "
            "and parentheses. Fields: service, severity, severity_text, body, event, scope, trace_id, span_id; any "
            "other is an attribute (of the record with `attributes.`, of the resource with `resource.`, of the scope "
            "with `scope.`, in a structured body with `body.`), an element of a list, or `map.member`. Operators : = "
            "!= > >= < <=; * stands for any characters.",
            examples=['service:checkout severity>=warn "connection refused" -http.route:/health*'],
        ),
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=SEARCH_LIMIT_MAX)] = SEARCH_LIMIT_DEFAULT
    cursor: Annotated[str | None, Meta(description="`next_cursor` of the previous page of the same search.")] = None


class TraceSearch(Struct, forbid_unknown_fields=True):
    """A search for traces with a matching span."""

    start: Start = None
    end: End = None
    query: Annotated[
        str,
        Meta(
            max_length=QUERY_TEXT_CHARS_MAX,
            description="As for logs, about one span; words are parts of its name. Fields: service, name, kind, "
            "status, status_message, duration (with a unit: 100ms), event, scope, trace_id, span_id, parent_span_id; "
            "`event.x` and `link.x` are attributes of events and links.",
            examples=["service:checkout status:error duration>100ms"],
        ),
    ] = ""
    child: Annotated[
        str,
        Meta(
            max_length=QUERY_TEXT_CHARS_MAX,
            description="A query about another span, whose parent is the matching one.",
            examples=["service:payment status:error"],
        ),
    ] = ""
    descendant: Annotated[
        str, Meta(max_length=QUERY_TEXT_CHARS_MAX, description="The same, of a span anywhere below it.")
    ] = ""
    without_child: Annotated[
        str, Meta(max_length=QUERY_TEXT_CHARS_MAX, description="A query that no child of the matching span matches.")
    ] = ""
    without_descendant: Annotated[
        str, Meta(max_length=QUERY_TEXT_CHARS_MAX, description="A query that no span below it matches.")
    ] = ""
    without: Annotated[
        str, Meta(max_length=QUERY_TEXT_CHARS_MAX, description="A query that no span of the trace matches.")
    ] = ""
    trace: Annotated[
        str,
        Meta(
            max_length=QUERY_TEXT_CHARS_MAX,
            description="A query about the whole trace: spans, errors and services (how many), duration, service, "
            "root.service, root.name.",
            examples=["spans>100 errors>0 duration>1s"],
        ),
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=SEARCH_LIMIT_MAX)] = SEARCH_LIMIT_DEFAULT
    cursor: Annotated[str | None, Meta(description="`next_cursor` of the previous page of the same search.")] = None

    @property
    def wanted(self) -> Wanted:
        """The questions about a trace beyond the matching span."""
        return Wanted(
            self.child, self.descendant, self.without_child, self.without_descendant, self.without, self.trace
        )


_MEASURES = Meta(
    min_length=1,
    max_length=MEASURES_MAX,
    description="The numbers of each group; its count unless given.",
    examples=[[{"function": "count"}, {"function": "p95", "field": "duration"}]],
)
_GROUP_BY = Meta(
    max_length=AGGREGATE_GROUP_BY_MAX,
    description="Fields and attributes, as a query names them.",
    examples=[["service", "http.response.status_code"]],
)


class AggregateQuery(Struct, forbid_unknown_fields=True):
    """Numbers of log records or of spans, by fields and by time."""

    start: Start = None
    end: End = None
    query: Annotated[
        str,
        Meta(max_length=QUERY_TEXT_CHARS_MAX, description="As for the search.", examples=["service:checkout"]),
    ] = ""
    measures: Annotated[list[Measure], _MEASURES] = msgspec.field(default_factory=lambda: [Measure()])
    group_by: Annotated[list[str], _GROUP_BY] = []
    limit: Annotated[int, Meta(ge=1, le=GROUPS_MAX, description="Groups that are shown by themselves.")] = (
        GROUPS_DEFAULT
    )
    order_by: Annotated[
        int, Meta(ge=0, lt=MEASURES_MAX, description="The measure that ranks the groups, by its place, from 0.")
    ] = 0
    order: Annotated[Literal["desc", "asc"], Meta(description="Whether the greatest or the least come first.")] = "desc"
    step: Annotated[Step, Meta(description="Without it, no `series`.")] = None

    def asked(self, signal: Signal, times: TimeRange) -> Asked:
        """The question, over the items of a signal."""
        cut = None if self.step is None else buckets(times, self.step)
        measures, group_by = self.measures, self.group_by
        return Asked(signal, times, self.query, measures, group_by, self.limit, self.order_by, self.order, cut)


# 104 days: beyond it the numbers of JSON are not exact for everybody (RFC 8259, section 6).
_Nanoseconds = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class TraceSelection(Struct, forbid_unknown_fields=True):
    """Spans to compare with others: such that all of this holds. A box of a heatmap is times and durations."""

    query: Annotated[str, Meta(max_length=QUERY_TEXT_CHARS_MAX, examples=["status:error"])] = ""
    start: Annotated[str | int | None, Meta(description="From, included; with `end`.")] = None
    end: Annotated[str | int | None, Meta(description="To, excluded; with `start`.")] = None
    min_duration_ns: Annotated[_Nanoseconds, Meta(description="Included.")] = 0
    max_duration_ns: Annotated[_Nanoseconds | None, Meta(description="Excluded.")] = None

    @property
    def selection(self) -> Selection:
        """The selection.

        Raises:
            DuoscopeError: INVALID for times or durations that no span can have.
        """
        if (self.start is None) != (self.end is None):
            raise invalid("`selection` has a `start` and an `end`, or neither.")
        if self.max_duration_ns is not None and self.max_duration_ns <= self.min_duration_ns:
            raise invalid("`max_duration_ns` must be greater than `min_duration_ns`.")
        times = None if self.start is None else time_range(self.start, self.end)
        return Selection(self.query, times, self.min_duration_ns, self.max_duration_ns)


class TraceComparison(Struct, forbid_unknown_fields=True):
    """Two sets of spans: those selected, and the rest."""

    selection: TraceSelection
    start: Start = None
    end: End = None
    query: Annotated[
        str,
        Meta(
            max_length=QUERY_TEXT_CHARS_MAX,
            description="What both sets match; as for the search.",
            examples=["service:checkout kind:server"],
        ),
    ] = ""
    against: Annotated[
        str,
        Meta(
            max_length=QUERY_TEXT_CHARS_MAX,
            description="What the other spans must match to be in the other set; they all are, unless given.",
        ),
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=FIELDS_MAX, description="Fields that are shown.")] = FIELDS_DEFAULT


class _OfMetric(Struct, forbid_unknown_fields=True):
    metric: Annotated[str, Meta(min_length=1, max_length=1024, examples=["http.server.request.duration"])]
    type: Annotated[
        str | None,
        Meta(
            description="gauge, counter, histogram, exponential_histogram or summary; by default the type seen last.",
            examples=["histogram"],
        ),
    ] = None
    unit: Annotated[
        Annotated[str, Meta(max_length=1024)] | None,
        Meta(
            description="For a name sent in several units; by default that of the latest point. Units without a "
            "dimension (none, 1, {request}) are one.",
            examples=["s"],
        ),
    ] = None
    aggregation: Annotated[
        str | None,
        Meta(
            description="Gauges and counters: avg, sum, min, max, count, last. Counters also: rate, increase. "
            "Histograms and summaries: count, sum, avg, rate, increase; histograms also min, max. All: "
            "p0 to p100, also with decimals: p99.9. Of counters, avg, sum, min, max and percentiles are over what was "
            "counted between points, in either temporality. Unless given: rate of monotonic counters, avg of others.",
            examples=["p95"],
        ),
    ] = None
    query: Annotated[
        str,
        Meta(
            max_length=QUERY_TEXT_CHARS_MAX,
            description="field:value terms as for logs. Fields: service, scope; any other is an attribute.",
            examples=["service:checkout -http.route:/health*"],
        ),
    ] = ""
    group_by: Annotated[
        list[str],
        Meta(
            max_length=GROUP_BY_MAX, description="service, scope or attributes.", examples=[["service", "http.route"]]
        ),
    ] = []

    @property
    def how(self) -> How:
        """How the metric is read."""
        return How(
            metric_type=self.type,
            unit=self.unit,
            aggregation=self.aggregation,
            query_text=self.query,
            group_by=self.group_by,
        )


MetricStep = Annotated[
    str | int | None,
    Meta(
        description="Seconds, or a text such as 5m; by default such that there are about 200 points.",
        examples=["1m"],
    ),
]


class MetricsQuery(_OfMetric, forbid_unknown_fields=True):
    """A metric, and how to aggregate it."""

    start: Start = None
    end: End = None
    step: MetricStep = None
    with_schema_urls: Annotated[
        bool, Meta(description="Whether the answer names the schema URLs of the points, which takes a query more.")
    ] = False


class NamedMetricsQuery(_OfMetric, forbid_unknown_fields=True):
    """One of several queries of metrics."""

    name: Annotated[
        str,
        Meta(pattern="^[a-z][a-z0-9_]{0,31}$", description="By which formulas name it.", examples=["errors"]),
    ] = "a"
    fill: Annotated[
        Fill,
        Meta(
            description="What stands in steps without a value: null, zero, the previous value, or one on the line "
            "between its neighbours."
        ),
    ] = "null"


class MetricFormulas(Struct, forbid_unknown_fields=True):
    """Queries of metrics, and formulas over their results."""

    queries: Annotated[
        list[NamedMetricsQuery],
        Meta(
            min_length=1,
            max_length=QUERIES_MAX,
            description="Each of another name.",
            examples=[
                [
                    {"name": "errors", "metric": "http.server.errors", "group_by": ["service"], "fill": "zero"},
                    {"name": "requests", "metric": "http.server.requests", "group_by": ["service"]},
                ]
            ],
        ),
    ]
    formulas: Annotated[
        list[str],
        Meta(
            max_length=FORMULAS_MAX,
            description="PromQL over the results of the queries, by their names.",
            examples=[["100 * errors / requests"]],
        ),
    ] = []
    start: Start = None
    end: End = None
    at: Annotated[
        str | int | None,
        Meta(description=f"In place of a range: only the newest step that had ended then. {_TIME}"),
    ] = None
    step: MetricStep = None
    limit: Annotated[int, Meta(ge=1, le=METRIC_SERIES_MAX, description="Series of each result.")] = METRIC_SERIES_MAX
    top_by: Annotated[
        Rank | None,
        Meta(description="Series are ordered by this of their values, and not by their labels."),
    ] = None
    order: Literal["desc", "asc"] = "desc"

    @property
    def frame(self) -> tuple[TimeRange, str | int | None]:
        """The range, and the step.

        Raises:
            DuoscopeError: INVALID for times or a step that are none.
        """
        if self.at is None:
            return time_range(self.start, self.end), self.step
        if self.start is not None or self.end is not None:
            raise invalid("`at` stands in place of `start` and `end`.")
        step = AT_STEP if self.step is None else self.step
        return newest_step(unix_nano(self.at, "at"), step), step

    @property
    def by_name(self) -> dict[str, Query]:
        """The queries.

        Raises:
            DuoscopeError: INVALID for two of one name.
        """
        found = {query.name: Query(query.metric, query.how, query.fill) for query in self.queries}
        if len(found) < len(self.queries):
            raise invalid("`queries`: each has a `name` of its own.")
        if word := next((name for name in found if not is_name(name)), None):
            raise invalid(f"`queries`: {word!r} is a word of PromQL; take another `name`.")
        return found
