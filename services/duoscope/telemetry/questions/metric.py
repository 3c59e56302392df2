"""Questions about one metric, in the terms of the API's metric queries."""

import asyncio
from typing import Annotated

from msgspec import Meta, Struct

from duoscope.kernel.limits import QUERY_TEXT_CHARS_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.language import Signal, compile_query
from duoscope.telemetry.metrics import query as metrics
from duoscope.telemetry.metrics.frames import GROUP_BY_MAX, framed
from duoscope.telemetry.metrics.tables import numbered, table_of
from duoscope.telemetry.questions.answers import Answered, Steps, of_numbers, refused
from duoscope.telemetry.times import SECOND_NS, TimeRange


class MetricQuestion(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="metric"):
    """A metric in steps that begin at multiples of their length since 1970: the newest whole ones before the moment."""

    metric: Annotated[str, Meta(min_length=1, max_length=1024, examples=["http.server.request.duration"])]
    type: Annotated[str | None, Meta(description="By default the type seen last.", examples=["histogram"])] = None
    unit: Annotated[Annotated[str, Meta(max_length=1024)] | None, Meta(examples=["s"])] = None
    aggregation: Annotated[
        Annotated[str, Meta(max_length=40)] | None,
        Meta(description="As for POST /api/v1/metrics/query.", examples=["p95"]),
    ] = None
    query: Annotated[
        str, Meta(max_length=QUERY_TEXT_CHARS_MAX, description="Which points.", examples=["service:checkout"])
    ] = ""
    group_by: Annotated[
        tuple[Annotated[str, Meta(max_length=1024)], ...],
        Meta(max_length=GROUP_BY_MAX, description="service, scope or attributes.", examples=[["service"]]),
    ] = ()

    @property
    def permissions(self) -> frozenset[str]:
        """The permissions that asking it needs."""
        return frozenset({"metric:read"})

    def check(self) -> None:
        """Raise INVALID for a query, a type or labels that no metric can have."""
        if self.type is not None and self.type not in metrics.AGGREGATIONS:
            raise refused(f"`type` is one of {', '.join(metrics.AGGREGATIONS)}, not {self.type[:40]!r}.")
        condition = compile_query(self.query, Signal.METRICS)
        framed(self.metric, TimeRange(0, SECOND_NS), 1, self.group_by, condition)

    async def read(self, reader: TelemetryReader, steps: Steps) -> Answered:
        """Ask it; a metric that was never seen has no series.

        Raises:
            DuoscopeError: INVALID; UNAVAILABLE.
        """
        if steps.step_ns % SECOND_NS:
            raise refused("`step` of a metric is whole seconds.")
        end_ns = steps.end_ns // steps.step_ns * steps.step_ns
        found = await metrics.read(
            reader,
            TimeRange(end_ns - steps.count * steps.step_ns, end_ns),
            self.metric,
            step=steps.step_ns // SECOND_NS,
            metric_type=self.type,
            unit=self.unit,
            aggregation=self.aggregation,
            query_text=self.query,
            group_by=self.group_by,
        )
        numbers = await asyncio.to_thread(numbered, found)
        table = await asyncio.to_thread(table_of, found, numbers, "null")
        return of_numbers(table.labels, table.values)
