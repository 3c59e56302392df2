"""Questions about log records and spans: a number of those that match, by fields."""

from dataclasses import replace
from typing import Annotated, Final

import numpy as np
from msgspec import Meta, Struct

from duoscope.kernel.limits import QUERY_TEXT_CHARS_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.aggregates import table
from duoscope.telemetry.aggregates.buckets import Buckets
from duoscope.telemetry.aggregates.measures import Measure
from duoscope.telemetry.language import Signal
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.values import Bools, Floats
from duoscope.telemetry.questions.answers import Answered, Steps, of_numbers

_QUERY: Final = Meta(max_length=QUERY_TEXT_CHARS_MAX, description="As for the search.", examples=["service:checkout"])
_GROUP_BY: Final = Meta(max_length=table.GROUP_BY_MAX, description="Fields.", examples=[["service"]])
_Fields = tuple[Annotated[str, Meta(max_length=1024)], ...]


class _OfItems(Struct, frozen=True, forbid_unknown_fields=True):
    query: Annotated[str, _QUERY] = ""
    measure: Measure = Measure()
    group_by: Annotated[_Fields, _GROUP_BY] = ()


class LogQuestion(_OfItems, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="log"):
    """A number of the log records of each step. Without fields to group by, the count of none is 0, a value."""

    @property
    def permissions(self) -> frozenset[str]:
        """The permissions that asking it needs."""
        return frozenset({"log:read"})

    def check(self) -> None:
        """Raise INVALID for a query, a measure or fields that cannot be."""
        table.check(_asked(self, Signal.LOGS, Steps(1, 1)))

    async def read(self, reader: TelemetryReader, steps: Steps) -> Answered:
        """Ask it.

        Raises:
            DuoscopeError: INVALID; UNAVAILABLE.
        """
        return await _read(reader, _asked(self, Signal.LOGS, steps))


class TraceQuestion(_OfItems, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="trace"):
    """A number of the spans of each step. Without fields to group by, the count of none is 0, a value."""

    @property
    def permissions(self) -> frozenset[str]:
        """The permissions that asking it needs."""
        return frozenset({"trace:read"})

    def check(self) -> None:
        """Raise INVALID for a query, a measure or fields that cannot be."""
        table.check(_asked(self, Signal.TRACES, Steps(1, 1)))

    async def read(self, reader: TelemetryReader, steps: Steps) -> Answered:
        """Ask it.

        Raises:
            DuoscopeError: INVALID; UNAVAILABLE.
        """
        return await _read(reader, _asked(self, Signal.TRACES, steps))


def _asked(question: _OfItems, signal: Signal, steps: Steps) -> table.Asked:
    # The steps need not begin at multiples of their length.
    cut = Buckets(steps.times.start_ns, steps.step_ns, steps.count)
    limit = min(table.GROUPS_MAX, table.NUMBERS_MAX // steps.count - 1)
    group_by = question.group_by
    return table.Asked(signal, steps.times, question.query, [question.measure], group_by, limit, buckets=cut)


async def read_present(
    reader: TelemetryReader, question: LogQuestion | TraceQuestion, steps: Steps
) -> tuple[Answered, Bools]:
    """Ask a question, and where each series has items at all: a step without any is not there in a shorter range.

    Raises:
        DuoscopeError: INVALID; UNAVAILABLE.
    """
    signal = Signal.LOGS if isinstance(question, LogQuestion) else Signal.TRACES
    asked = _asked(question, signal, steps)
    limit = max(1, min(table.GROUPS_MAX, table.NUMBERS_MAX // (2 * steps.count) - 1))
    asked = replace(asked, measures=[question.measure, Measure()], limit=limit)
    found = await table.aggregate(reader, asked, or_text=False)
    answered = _answered(found, asked)
    if not question.group_by:
        return answered, np.ones_like(answered.has)
    counted = [row.series[1] for row in found.rows if row.series is not None]
    return answered, np.array(counted, np.float64).reshape(answered.has.shape) > 0


async def _read(reader: TelemetryReader, asked: table.Asked) -> Answered:
    # A rule asks the same each time: a query that finds nothing does not mean something else then.
    return _answered(await table.aggregate(reader, asked, or_text=False), asked)


def _answered(found: table.Aggregate, asked: table.Asked) -> Answered:
    assert asked.buckets is not None
    if not found.rows and not asked.group_by:
        nothing = np.full((1, asked.buckets.count), np.nan if found.total[0] is None else found.total[0])
        return of_numbers([label_sets.NONE], nothing)
    labels = [
        label_sets.of((name, value) for name, value in zip(asked.group_by, row.group, strict=True) if value)
        for row in found.rows
    ]
    lines = [row.series[0] for row in found.rows if row.series is not None]
    values: Floats = np.array(lines, np.float64).reshape(len(labels), asked.buckets.count)
    return of_numbers(labels, values, is_complete=found.other is None)
