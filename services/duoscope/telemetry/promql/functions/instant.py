"""Functions of one vector, sample by sample: mathematics, parts of dates, bounds. They skip histograms."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from duoscope.telemetry.promql.values import Bools, Floats, Ints, Scalar, Value, Vector

_DAY_S: Final = 86_400
_SECONDS_MAX: Final = 2.0**53
_FEBRUARY: Final = 2
_MARCH_TO_DECEMBER: Final = 10


def _half_up(values: Floats, to: Floats) -> Floats:
    inverse = 1.0 / to
    return np.floor(values * inverse + 0.5) / inverse


def _sign(values: Floats) -> Floats:
    return np.where(values < 0, -1.0, np.where(values > 0, 1.0, values))


MATHEMATICS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "abs": np.abs, "ceil": np.ceil, "floor": np.floor, "exp": np.exp, "sqrt": np.sqrt, "ln": np.log, "log2": np.log2,
    "log10": np.log10, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh, "sgn": _sign, "rad": lambda values: values * np.pi / 180,
    "deg": lambda values: values * 180 / np.pi,
}  # fmt: skip


def _days(values: Floats) -> Ints:
    return _seconds(values) // _DAY_S


def _seconds(values: Floats) -> Ints:
    return np.where(np.abs(values) < _SECONDS_MAX, np.nan_to_num(np.trunc(values)), 0).astype(np.int64)


def _civil(days: Ints) -> tuple[Ints, Ints, Ints]:
    """Year, month and day of days since 1970, in the proleptic Gregorian calendar."""
    shifted = days + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    part = (5 * of_year + 2) // 153
    month = np.where(part < _MARCH_TO_DECEMBER, part + 3, part - 9)
    return year + era * 400 + (month <= _FEBRUARY), month, of_year - (153 * part + 2) // 5 + 1


def _is_leap(year: Ints) -> Bools:
    return (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))


_LENGTHS: Final = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def _days_in_month(values: Floats) -> Ints:
    year, month, _ = _civil(_days(values))
    return _LENGTHS[month] + ((month == _FEBRUARY) & _is_leap(year))


def _day_of_year(values: Floats) -> Ints:
    year, month, day = _civil(_days(values))
    return np.cumsum(_LENGTHS)[month - 1] + day + ((month > _FEBRUARY) & _is_leap(year))


DATES: Final[dict[str, Callable[[Floats], Ints]]] = {
    "minute": lambda values: _seconds(values) // 60 % 60,
    "hour": lambda values: _seconds(values) // 3600 % 24,
    "day_of_week": lambda values: (_days(values) + 4) % 7,
    "day_of_month": lambda values: _civil(_days(values))[2],
    "day_of_year": _day_of_year,
    "days_in_month": _days_in_month,
    "month": lambda values: _civil(_days(values))[1],
    "year": lambda values: _civil(_days(values))[0],
}


def numbers(vector: Vector, change: Callable[[Floats], Floats]) -> Vector:
    """A vector with every number changed, and no histograms."""
    return Vector(
        vector.labels, change(vector.values), vector.is_float, drop=np.ones(len(vector.labels), np.bool_)
    ).present()


def dated(function: str, vector: Vector) -> Vector:
    """A part of the date of every number, which is in seconds since 1970, UTC."""

    def change(values: Floats) -> Floats:
        return np.where(np.isnan(values), np.nan, DATES[function](values).astype(np.float64))

    return numbers(vector, change)


def rounded(vector: Vector, to: Scalar | None) -> Vector:
    """Round to the nearest multiple, halves upward."""
    nearest = to.values[None, :] if to is not None else np.ones((1, vector.values.shape[1]))
    return numbers(vector, lambda values: _half_up(values, nearest))


def clamped(function: str, arguments: Sequence[Value]) -> Vector:
    """`clamp`, `clamp_min` and `clamp_max`: move numbers into bounds; crossed bounds give no sample."""
    vector = arguments[0]
    assert isinstance(vector, Vector)
    bounds = [argument.values[None, :] for argument in arguments[1:] if isinstance(argument, Scalar)]
    if function == "clamp_min":
        return numbers(vector, lambda values: np.maximum(values, bounds[0]))
    if function == "clamp_max":
        return numbers(vector, lambda values: np.minimum(values, bounds[0]))
    low, high = bounds
    made = numbers(vector, lambda values: np.maximum(low, np.minimum(high, values)))
    made.has = made.has & ~(low > high)
    return made.present()


def single(vector: Vector) -> Scalar:
    """The number of the only series that has one; else NaN."""
    has = vector.is_float
    if not len(vector.labels):
        return Scalar(np.full(len(vector.values.T), np.nan))
    first = np.argmax(has, axis=0)
    values = vector.values[first, np.arange(len(vector.values.T))]
    return Scalar(np.where(has.sum(axis=0) == 1, values, np.nan))
