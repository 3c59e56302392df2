"""Steps of time: the range of a question cut into buckets that begin at multiples of the step."""

import re
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.telemetry.times import RANGE_MAX_NS, SECOND_NS, TimeRange, duration_ns

BUCKETS_MAX: Final = 11_000
"""Buckets of one answer."""
_WANTED: Final = 120
"""Buckets at most where nobody asks for a step."""
_MINUTE_NS: Final = 60 * SECOND_NS
_DAY_NS: Final = 86_400 * SECOND_NS
_STEPS_NS: Final = (
    *(first * 10**zeros for zeros in range(9) for first in (1, 2, 5)),
    *(seconds * SECOND_NS for seconds in (1, 2, 5, 10, 15, 30)),
    *(minutes * _MINUTE_NS for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720)),
    *(days * _DAY_NS for days in (1, 2, 7)),
)

STEP: Final = (
    f"Seconds, or a text such as 100ms, 30s, 5m or 1h; `auto` for one that makes at most {_WANTED} buckets. Buckets "
    "begin at multiples of it since the Unix epoch."
)
Step = Annotated[str | int | None, Meta(description=STEP, examples=["1m"])]
BucketStart: TypeAlias = Annotated[
    str, Meta(description="Start of the first bucket: `start`, rounded down to a multiple of the step.")
]
StepNs: TypeAlias = Annotated[int, Meta(description="Nanoseconds from one bucket to the next.", examples=[60 * 10**9])]


@dataclass(frozen=True, slots=True)
class Buckets:
    """`count` buckets of `step_ns`, from `start_ns` on. The first and the last may reach beyond the range."""

    start_ns: int
    step_ns: int
    count: int

    SQL = "intDiv(toUnixTimestamp64Nano(timestamp) - {first_ns:Int64}, {step_ns:Int64})"
    """The number of a row's bucket, from 0; `parameters` binds it."""

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of SQL."""
        return {"first_ns": self.start_ns, "step_ns": self.step_ns}


def buckets(times: TimeRange, step: str | int | None) -> Buckets:
    """Cut a range into buckets.

    Args:
        times: the range.
        step: as asked for; None or `auto` for a step that makes a readable chart.

    Raises:
        DuoscopeError: INVALID `invalid-step` for another form, and for too many buckets.
    """
    step_ns = _chosen(times) if step is None or step == "auto" else _parsed(step)
    first = times.start_ns // step_ns
    count = -(-times.end_ns // step_ns) - first
    if count > BUCKETS_MAX:
        least = -(-(times.end_ns - times.start_ns) // (BUCKETS_MAX - 1))
        raise _invalid(
            f"`step` of {step_ns} ns makes {count} buckets of this range, more than {BUCKETS_MAX}; take at least "
            f"{next((_shown(s) for s in _STEPS_NS if s >= least), '7d')}, a shorter range, or `auto`."
        )
    return Buckets(first * step_ns, step_ns, count)


def _chosen(times: TimeRange) -> int:
    length = times.end_ns - times.start_ns
    return next((step for step in _STEPS_NS if length <= step * _WANTED), _STEPS_NS[-1])


def _parsed(step: str | int) -> int:
    if isinstance(step, int):
        nanos = step * SECOND_NS
    elif re.fullmatch(r"\d{1,9}", step, re.ASCII):
        nanos = int(step) * SECOND_NS
    else:
        nanos = duration_ns(step) or 0
    if not 1 <= nanos <= RANGE_MAX_NS:
        raise _invalid(
            "`step` must be seconds, or a text such as 100ms, 30s, 5m or 1h, of at least 1ns and at most 400d, or "
            f"`auto`; not {str(step)[:40]!r}."
        )
    return nanos


def _shown(nanos: int) -> str:
    units = (("d", _DAY_NS), ("h", 60 * _MINUTE_NS), ("m", _MINUTE_NS), ("s", SECOND_NS), ("ms", 10**6), ("us", 1000))
    return next((f"{nanos // of}{unit}" for unit, of in units if nanos % of == 0), f"{nanos}ns")


def _invalid(message: str) -> DuoscopeError:
    return invalid(message, code="invalid-step")
