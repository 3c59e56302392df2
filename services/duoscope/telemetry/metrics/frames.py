"""What all metric queries share: the time buckets, the labels, the filter, and the form of the result."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from duoscope.kernel.errors import invalid
from duoscope.kernel.limits import METRIC_POINTS_MAX, METRIC_SERIES_MAX
from duoscope.telemetry.language import Condition
from duoscope.telemetry.times import SECOND_NS, TimeRange, duration_ns
from duoscope.telemetry.values import rfc3339

HOUR_S: Final = 3600
GROUP_BY_MAX: Final = 10
ROWS_MAX: Final = 200_000
"""Points over all series that one query may return."""
LOOKBACK_MIN_S: Final = 300
"""How far before the range the point is searched that the first increase is counted from."""
_STEPS_S: Final = (1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)
_POINTS_WANTED: Final = 240
INT64_MIN: Final = -(2**63)
UINT64_MAX: Final = 2**64 - 1

Point = Annotated[
    tuple[str, float | None],
    Meta(
        description="Start of the step, and the value; null if it is not a number.",
        examples=[["2026-01-31T12:00:00Z", 1.5]],
    ),
]


class Series(Struct, frozen=True):
    """One line of a chart."""

    labels: Annotated[
        dict[str, str],
        Meta(
            description="Values of `group_by`; empty if there is no such attribute.", examples=[{"service": "checkout"}]
        ),
    ]
    points: list[Point]


@dataclass(frozen=True, slots=True)
class Frame:
    """Buckets of `step_s` that begin at multiples of it and cover the requested range."""

    metric: str
    start_s: int
    end_s: int
    step_s: int
    group_by: tuple[str, ...]
    condition: Condition | None
    units: tuple[str, ...] = ()
    """The units that points must have; any if empty."""

    @property
    def lookback_s(self) -> int:
        """How many seconds before the start cumulative points are read."""
        return max(self.step_s, LOOKBACK_MIN_S)

    @property
    def of_hours_and_services(self) -> bool:
        """Whether rollups have such buckets and labels."""
        return self.step_s % HOUR_S == 0 and set(self.group_by) <= {"service"}

    @property
    def where(self) -> str:
        """Conditions that all reads share, apart from time."""
        of_units = " AND unit IN {units:Array(String)}" if self.units else ""
        return "metric_name = {metric:String}" + of_units + (f" AND {self.condition.sql}" if self.condition else "")

    @property
    def labels(self) -> str:
        """SQL of the array of label values."""
        return f"[{', '.join(_label(name, number) for number, name in enumerate(self.group_by))}]::Array(String)"

    def bucket(self, column: str = "timestamp") -> str:
        """SQL of the Unix second at which a row's bucket starts."""
        return f"intDiv(toInt64(toUnixTimestamp({column})), {{step_s:Int64}}) * {{step_s:Int64}}"

    @property
    def parameters(self) -> dict[str, object]:
        """The bound parameters of this SQL, with the range widened to whole buckets."""
        keys = {f"label{number}": _place(name)[1] for number, name in enumerate(self.group_by)}
        times = TimeRange(self.start_s * SECOND_NS, self.end_s * SECOND_NS)
        return {
            **(self.condition.parameters if self.condition else {}),
            **keys,
            **times.parameters,
            "metric": self.metric,
            "units": list(self.units),
            "step_s": self.step_s,
            "read_from_ns": max(0, self.start_s - self.lookback_s) * SECOND_NS,
            "start_s": self.start_s,
            "rows": ROWS_MAX + 1,
        }

    def series(self, rows: Sequence[dict[str, Any]]) -> tuple[list[Series], bool]:
        """Turn rows (labels, bucket, value) into series, ordered by labels and buckets. Also returns whether some were
        left out.

        Raises:
            DuoscopeError: INVALID for more rows than allowed.
        """
        refuse_too_many(rows)
        points: dict[tuple[str, ...], list[Point]] = {}
        for row in rows:
            key = tuple(row["labels"])
            if key not in points and len(points) == METRIC_SERIES_MAX:
                return self._named(points), True
            points.setdefault(key, []).append((second(row["bucket"]), _shown(row)))
        return self._named(points), False

    def _named(self, points: dict[tuple[str, ...], list[Point]]) -> list[Series]:
        return [Series(dict(zip(self.group_by, key, strict=True)), found) for key, found in points.items()]


def framed(
    metric: str, times: TimeRange, step: str | int | None, group_by: Sequence[str], condition: Condition | None
) -> Frame:
    """Make the frame of a query.

    Raises:
        DuoscopeError: INVALID for a step, or for too many buckets or labels.
    """
    if len(group_by) > GROUP_BY_MAX or len(set(group_by)) != len(group_by) or not all(group_by):
        raise invalid(f"`group_by` takes up to {GROUP_BY_MAX} different names.")
    step_s = _step(times, step)
    start_s = times.start_ns // SECOND_NS // step_s * step_s
    end_s = -(-times.end_ns // (SECOND_NS * step_s)) * step_s
    if (end_s - start_s) // step_s > METRIC_POINTS_MAX:
        raise invalid(f"A step of {step_s} s makes more than {METRIC_POINTS_MAX} points; take a larger `step`.")
    return Frame(metric, start_s, end_s, step_s, tuple(group_by), condition)


def refuse_too_many(rows: Sequence[object]) -> None:
    """Raise INVALID for more rows than a query may return."""
    if len(rows) > ROWS_MAX:
        raise invalid(f"The answer would have more than {ROWS_MAX} points; take a larger `step`, or group by less.")


def second(unix_s: int) -> str:
    """A bucket's start as the API prints it: RFC 3339 without fractions."""
    return rfc3339(unix_s * SECOND_NS)[:19] + "Z"


def _shown(row: dict[str, Any]) -> float | None:
    """The row's value; an integer that a double cannot represent exactly is returned as it is."""
    if text := row.get("whole_text"):
        whole = int(text)
        if INT64_MIN <= whole <= UINT64_MAX:
            return whole
    return row["value"]


def step_seconds(step: str | int) -> int:
    """The seconds of a step.

    Raises:
        DuoscopeError: INVALID for what is none.
    """
    if isinstance(step, str):
        nanos = int(step) * SECOND_NS if re.fullmatch(r"\d{1,9}", step, re.ASCII) else duration_ns(step)
    else:
        nanos = step * SECOND_NS
    if not nanos or nanos % SECOND_NS or not 1 <= nanos // SECOND_NS <= _STEPS_S[-1] * 31:
        raise invalid("`step` must be whole seconds, or a text such as 30s, 5m or 1h, up to 31 days.")
    return nanos // SECOND_NS


def _step(times: TimeRange, step: str | int | None) -> int:
    if step is None:
        return next((s for s in _STEPS_S if times.seconds / s <= _POINTS_WANTED), _STEPS_S[-1])
    return step_seconds(step)


def _place(name: str) -> tuple[str, str]:
    place, _, key = name.partition(".")
    return (place, key) if place in ("resource", "attributes") and key else ("", name)


def _label(name: str, number: int) -> str:
    key = f"{{label{number}:String}}"
    own, of_resource = (f"JSONExtract({column}, {key}, 'String')" for column in ("attributes_json", "resource"))
    if name in ("service", "scope"):
        return f"toString({name}_name)"
    match _place(name)[0]:
        case "resource":
            return of_resource
        case "attributes":
            return own
        case _:
            return f"if(JSONHas(attributes_json, {key}), {own}, {of_resource})"
