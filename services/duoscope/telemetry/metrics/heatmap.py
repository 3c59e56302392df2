"""Distributions of a metric over time: how many observations of each step were in which band of values."""

from typing import Annotated, Any, Final, Unpack

import numpy as np
from msgspec import Meta, Struct

from duoscope.kernel.errors import invalid
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import items
from duoscope.telemetry.metrics import bands, distributions
from duoscope.telemetry.metrics.frames import second
from duoscope.telemetry.metrics.query import UNITS_NAMED_MAX, How, Sought, in_one_unit, sought
from duoscope.telemetry.promql.values import Floats
from duoscope.telemetry.times import TimeRange

STEPS_MAX: Final = 1500
_BANDS: Final = {"histogram": bands.explicit, "exponential_histogram": bands.exponential}
_Bound = Annotated[float | None, Meta(description="In the metric's unit; null for none.")]


class MetricHeatmap(Struct, frozen=True):
    """The cells that have observations, by step and then by band of values: `steps`, `bands` and `counts`, of equal
    length.
    """

    metric: str
    type: Annotated[
        str | None, Meta(description="histogram or exponential_histogram; null for a metric that was never seen.")
    ]
    unit: Annotated[str, Meta(description="Of the bounds.", examples=["s"])]
    other_units: Annotated[
        list[str],
        Meta(description=f"Of points that are left out, as for metrics/query. The latest {UNITS_NAMED_MAX}."),
    ]
    start: Annotated[str, Meta(description="`start`, rounded down to a whole step.")]
    end: Annotated[str, Meta(description="`end`, rounded up to a whole step.")]
    step_s: Annotated[int, Meta(description="Seconds of a step.", examples=[60])]
    step_count: int
    count: Annotated[float, Meta(description="All observations, with those of histograms without bounds.")]
    lower: Annotated[
        list[_Bound],
        Meta(
            description="For each band, from the lowest, the bound above which its values are: those of the "
            f"histograms, or fewer of them: {bands.BANDS_MAX} bands at most.",
            examples=[[0, 0.1, 0.25]],
        ),
    ]
    upper: Annotated[
        list[_Bound],
        Meta(description="For each band the greatest value that is in it.", examples=[[0.1, 0.25, None]]),
    ]
    steps: Annotated[list[int], Meta(description="For each cell the number of its step, from 0.", examples=[[0, 0, 2]])]
    bands: Annotated[list[int], Meta(description="For each cell the number of its band, from 0.", examples=[[0, 1, 1]])]
    counts: Annotated[
        list[float],
        Meta(
            description="For each cell its observations. Where bounds of histograms differ, those of a bucket count as "
            "spread evenly in it.",
            examples=[[17, 4, 3]],
        ),
    ]


async def heatmap(
    reader: TelemetryReader, times: TimeRange, metric: str, *, step: str | int | None = None, **how: Unpack[How]
) -> MetricHeatmap:
    """Count the observations of a histogram by step and by value.

    Args:
        reader: the tenant's.
        times: the range, which is widened to whole steps.
        metric: its name.
        step: as for `query`.
        how: type, unit and filter; see `How`.

    Raises:
        DuoscopeError: INVALID for a metric that is no histogram, for too many steps, and as `query`; UNAVAILABLE.
    """
    meant = await sought(reader, times, metric, step=step, **how)
    steps = (meant.frame.end_s - meant.frame.start_s) // meant.frame.step_s
    if steps > STEPS_MAX:
        raise invalid(f"A step of {meant.frame.step_s} s makes more than {STEPS_MAX} columns; take a larger `step`.")
    if meant.kind is not None and meant.kind not in _BANDS:
        raise invalid(f"A heatmap is of a histogram, and this metric is a {meant.kind}: it has no buckets.")
    if meant.kind is None or not meant.shapes:
        return _answer(meant, "", [], [])
    frame, unit, others, rolled_up = await in_one_unit(reader, meant, **how)
    rows = await distributions.added_up(reader, frame, meant.kind, rolled_up=rolled_up)
    return await items.decoded(rows, lambda found: _answer(meant, unit, others, found))


def _answer(meant: Sought, unit: str, others: list[str], rows: list[dict[str, Any]]) -> MetricHeatmap:
    frame = meant.frame
    steps = (frame.end_s - frame.start_s) // frame.step_s
    numbers = [(row["bucket"] - frame.start_s) // frame.step_s for row in rows]
    found = _BANDS.get(meant.kind or "", bands.explicit)(rows, numbers, steps)
    at = np.nonzero(found.counts)
    return MetricHeatmap(
        frame.metric,
        meant.kind,
        unit,
        others,
        second(frame.start_s),
        second(frame.end_s),
        frame.step_s,
        steps,
        sum(row["added_count"] for row in rows),
        _bounds(found.lower),
        _bounds(found.upper),
        at[0].tolist(),
        at[1].tolist(),
        found.counts[at].tolist(),
    )


def _bounds(values: Floats) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]
