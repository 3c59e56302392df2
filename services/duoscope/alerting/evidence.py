"""What there is to see of an alert: the page of the UI that asks its question, and traces in which it happened."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Protocol
from urllib.parse import urlencode
from uuid import UUID

from msgspec import Meta, Struct

from duoscope.alerting import definitions
from duoscope.alerting.composites import WatchedRules
from duoscope.alerting.definitions import Watched
from duoscope.kernel.clock import rfc3339, unix_ns
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import logs
from duoscope.telemetry.metrics.exemplars import list_exemplars
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.stored import exemplars
from duoscope.telemetry.promql.stored.clickhouse import ClickHouseStorage
from duoscope.telemetry.questions.formula import FormulaQuestion
from duoscope.telemetry.questions.items import LogQuestion, TraceQuestion
from duoscope.telemetry.questions.kinds import Question
from duoscope.telemetry.questions.metric import MetricQuestion
from duoscope.telemetry.questions.promql import PromqlQuestion, parsed
from duoscope.telemetry.times import TimeRange
from duoscope.telemetry.traces import finding

PATH_CHARS_MAX: Final = 1000
"""A longer one would leave no room for words in a message."""
TRACES_MAX: Final = 5
LOOKED_AT: Final = 50
"""Exemplars or log records among which these traces are."""
BEFORE: Final = timedelta(minutes=15)
AFTER: Final = timedelta(minutes=5)
_SERVICE_LABELS: Final = ("service", "service_name", "job")


class ExemplarTrace(Struct, frozen=True):
    """A trace in which it happened."""

    trace_id: Annotated[str, Meta(description="32 hexadecimal digits.")]
    timestamp: str
    service: str
    value: Annotated[float | None, Meta(description="The measurement, where it is one.")]


def path(question: Watched, labels: Mapping[str, str], start: datetime, end: datetime) -> str:
    """The page of the UI, below that of the tenant, that asks a question of an alert in a range; "" for none."""
    place = _place(question, labels)
    if place is None:
        return ""
    page, query = place
    made = f"{page}?{urlencode(query | {'from': rfc3339(start), 'to': rfc3339(end)})}"
    return made if len(made) <= PATH_CHARS_MAX else ""


class Placed(definitions.Stored, Protocol):
    """A rule with the tenant whose it is."""

    @property
    def tenant_id(self) -> UUID:
        """The tenant."""
        ...


def url(rule: Placed, labels: Mapping[str, str], active_at: datetime, end: datetime, public_url: str) -> str:
    """The address of that page, for an alert of a rule whose breach began at `active_at`; "" for none."""
    try:
        made = path(definitions.parsed(rule).question, labels, active_at - BEFORE, end)
    except DuoscopeError:
        return ""
    return f"{public_url.rstrip('/')}/t/{rule.tenant_id}/{made}" if made else ""


def _place(question: Watched, labels: Mapping[str, str]) -> tuple[str, dict[str, str]] | None:
    match question:
        case LogQuestion():
            return "logs", {"q": narrowed(question.query, question.group_by, labels)}
        case TraceQuestion():
            return "traces", {"q": narrowed(question.query, question.group_by, labels)}
        case PromqlQuestion():
            return "metrics", {"promql": question.expression}
        case MetricQuestion():
            asked: dict[str, Any] = {"m": question.metric, "a": question.aggregation or "", "q": question.query}
            shown = {name: value for name, value in asked.items() if value}
            return "metrics", {"m": json.dumps([shown | ({"by": question.group_by} if question.group_by else {})])}
        case FormulaQuestion():
            return _place(next(iter(question.of.values())), labels)
        case WatchedRules():
            return None


def narrowed(query: str, group_by: tuple[str, ...], labels: Mapping[str, str]) -> str:
    """The search for the items of one group."""
    terms = [f"{name}:{json.dumps(labels[name], ensure_ascii=False)}" for name in group_by if name in labels]
    if not terms:
        return query
    return " ".join([f"({query})", *terms] if query.strip() else terms)


async def traces(
    reader: TelemetryReader, question: Watched, labels: Mapping[str, str], start: datetime, end: datetime
) -> list[ExemplarTrace]:
    """Traces in which the alert of a question happened, the latest first: of the spans or log records that it counts,
    or of the exemplars of its metrics. None where there are none.

    Raises:
        DuoscopeError: UNAVAILABLE.
    """
    if isinstance(question, WatchedRules):
        return []
    times = TimeRange(unix_ns(start), unix_ns(end))
    try:
        return await _traces(reader, question, labels, times)
    except ExpressionError:
        return []
    except DuoscopeError as error:
        if error.kind is ErrorKind.INVALID:  # so is the rule, and its problem says it
            return []
        raise


async def _traces(
    reader: TelemetryReader, question: Question, labels: Mapping[str, str], times: TimeRange
) -> list[ExemplarTrace]:
    match question:
        case TraceQuestion():
            query = narrowed(question.query, question.group_by, labels)
            page = await finding.search(reader, times, query, limit=TRACES_MAX)
            return [ExemplarTrace(each.trace_id, each.start, each.root_service, None) for each in page.items]
        case LogQuestion():
            query = narrowed(question.query, question.group_by, labels)
            records = (await logs.search(reader, times, query, limit=LOOKED_AT)).items
            return _different(
                ExemplarTrace(each.trace_id, each.timestamp, each.service_name, None)
                for each in records
                if each.trace_id
            )
        case MetricQuestion():
            found = await list_exemplars(reader, times, question.metric, service=labels.get("service"), limit=LOOKED_AT)
            return _different(
                ExemplarTrace(each.trace_id, each.timestamp, each.service, each.value)
                for each in found.items
                if each.trace_id
            )
        case PromqlQuestion():
            return await _of_promql(reader, question, labels, times)
        case FormulaQuestion():
            for one in question.of.values():
                if of_one := await _traces(reader, one, labels, times):
                    return of_one
            return []


async def _of_promql(
    reader: TelemetryReader, question: PromqlQuestion, labels: Mapping[str, str], times: TimeRange
) -> list[ExemplarTrace]:
    node = parsed(question.expression)
    series = await exemplars.of_expression(
        ClickHouseStorage(reader), node, times.start_ns // 1_000_000, times.end_ns // 1_000_000
    )
    wanted = {labels[name] for name in _SERVICE_LABELS if name in labels}
    found = [
        (each["timestamp"], each["labels"]["trace_id"], one["seriesLabels"]["service_name"], float(each["value"]))
        for one in series
        if not wanted or one["seriesLabels"]["service_name"] in wanted
        for each in one["exemplars"]
        if "trace_id" in each["labels"]
    ]
    found.sort(reverse=True)
    return _different(
        ExemplarTrace(trace_id, rfc3339(datetime.fromtimestamp(at, UTC)), service, value)
        for at, trace_id, service, value in found
    )


def _different(found: Iterable[ExemplarTrace]) -> list[ExemplarTrace]:
    return list({each.trace_id: each for each in found}.values())[:TRACES_MAX]
