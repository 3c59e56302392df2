"""Numbers as people read them: Grafana's names of units, the prefixes that each takes, and the marks of an axis."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

_SI: Final = (("p", 1e-12), ("n", 1e-9), ("µ", 1e-6), ("m", 1e-3), ("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9),
              ("T", 1e12), ("P", 1e15))  # fmt: skip
_IEC: Final = tuple((prefix, 1024.0**power) for power, prefix in enumerate(("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")))
_LARGE: Final = tuple(each for each in _SI if each[1] >= 1)
_SECONDS: Final = (("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("min", 60.0), ("h", 3600.0), ("d", 86_400.0))
_TIMES: Final = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0,
                 "dtdurations": 1.0, "dtdurationms": 1e-3, "clocks": 1.0, "clockms": 1e-3}  # fmt: skip
_BINARY: Final[Mapping[str, tuple[float, str]]] = {
    "bytes": (1, "B"), "binBps": (1, "B/s"), "bits": (1, "b"), "binbps": (1, "b/s"), "kbytes": (1024, "B"),
    "mbytes": (1024**2, "B"), "gbytes": (1024**3, "B"), "tbytes": (1024**4, "B"),
    "KiBs": (1024, "B/s"), "MiBs": (1024**2, "B/s"), "GiBs": (1024**3, "B/s"),
}  # fmt: skip
_DECIMAL: Final[Mapping[str, tuple[float, str]]] = {
    "decbytes": (1, "B"), "deckbytes": (1e3, "B"), "decmbytes": (1e6, "B"), "decgbytes": (1e9, "B"),
    "decbits": (1, "b"), "Bps": (1, "B/s"), "bps": (1, "b/s"), "KBs": (1e3, "B/s"), "MBs": (1e6, "B/s"),
    "Kbits": (1e3, "b/s"), "Mbits": (1e6, "b/s"), "Gbits": (1e9, "b/s"),
    "hertz": (1, "Hz"), "watt": (1, "W"), "volt": (1, "V"), "amp": (1, "A"), "joule": (1, "J"), "ohm": (1, "Ω"),
}  # fmt: skip
_COUNTED: Final[Mapping[str, str]] = {
    "reqps": "req/s", "ops": "ops/s", "rps": "rd/s", "wps": "wr/s", "iops": "io/s", "pps": "p/s", "cps": "c/s",
    "eps": "evt/s", "mps": "msg/s", "recps": "rec/s", "rowsps": "rows/s", "opm": "ops/min", "rpm": "rd/min",
    "reqpm": "req/min", "cpm": "c/min", "short": "", "": "", "none": "", "sishort": "",
}  # fmt: skip
_FIXED: Final[Mapping[str, str]] = {
    "celsius": "°C", "fahrenheit": "°F", "kelvin": "K", "humidity": "%H", "rotrpm": "rpm", "degree": "°", "dB": "dB",
    "currencyUSD": "$", "currencyEUR": "€", "currencyGBP": "£", "currencyJPY": "¥", "pressurehpa": "hPa",
}  # fmt: skip
_YES_NO: Final = {"bool": ("True", "False"), "bool_yes_no": ("Yes", "No"), "bool_on_off": ("On", "Off")}
_UNIT_CHARS_MAX: Final = 24
_PLAIN_MAX: Final = 100_000
"""A number without a unit has no prefix up to this."""
_DATE_MS: Final = 8.64e15
_DIGITS: Final = ((100.0, 0), (10.0, 1), (1.0, 2))
_NICE: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


class Scale(NamedTuple):
    """How numbers of about one size are written: divided by `factor`, with what stands behind them."""

    factor: float
    suffix: str


def scale(unit: str, size: float) -> Scale:
    """The scale for numbers of a unit of which the largest is about `size`."""
    size = abs(size)
    if unit in _TIMES:
        prefix, factor = _fitting(_SECONDS, size * _TIMES[unit])
        return Scale(factor / _TIMES[unit], f" {prefix}")
    if unit in _BINARY:
        of, name = _BINARY[unit]
        prefix, factor = _fitting(_IEC, size * of)
        return Scale(factor / of, f" {prefix}{name}")
    if unit in _DECIMAL:
        of, name = _DECIMAL[unit]
        prefix, factor = _fitting(_LARGE, size * of)
        return Scale(factor / of, f" {prefix}{name}")
    if unit in _COUNTED:
        prefix, factor = _fitting(_LARGE, size) if size >= _PLAIN_MAX or (size >= 1000 and unit) else ("", 1.0)  # noqa: PLR2004
        name = _COUNTED[unit]
        return Scale(factor, f"{prefix} {name}".rstrip())
    if unit in ("percent", "percentunit"):
        return Scale(0.01 if unit == "percentunit" else 1.0, " %")
    name = _FIXED.get(unit, unit.removeprefix("suffix:").strip()[:_UNIT_CHARS_MAX])
    return Scale(1.0, f" {name}")


def shown(value: float | None, unit: str = "", decimals: int | None = None) -> str:
    """A number with its unit; a dash if there is none."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if unit in _YES_NO:
        return _YES_NO[unit][0 if value else 1]
    if unit.startswith("dateTime"):
        return moment(value) if abs(value) < _DATE_MS else "-"
    of = scale(unit, value)
    return _written(value / of.factor, decimals) + of.suffix


def moment(ms: float) -> str:
    """A time, in milliseconds since 1970, in UTC; a dash beyond the calendar."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "-"


def duration(seconds: float) -> str:
    """A length of time in whole words: `15 minutes`."""
    for name, of in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= of and seconds % of == 0:
            count = int(seconds // of)
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{seconds:g} seconds"


def axis(low: float, high: float, unit: str, marks: int) -> list[tuple[float, str]]:
    """Round values from at most `low` to at least `high`, evenly apart, each with its label.

    Those alone where floats have no round values between them.
    """
    of = scale(unit, max(abs(low), abs(high)))
    bottom, top = low / of.factor, high / of.factor
    step = _step(top / marks - bottom / marks)
    ends = bottom / step, top / step
    if not all(map(math.isfinite, ends)) or ends[1] - ends[0] > 2 * marks:
        return [(low, shown(low, unit)), (high, shown(high, unit))]
    first, last = math.floor(ends[0] + 1e-9), math.ceil(ends[1] - 1e-9)
    decimals = max(0, min(6, -math.floor(math.log10(step) + 1e-9)))
    if not math.isclose(step * 10**decimals, round(step * 10**decimals)):
        decimals += 1  # steps of 2.5
    return [
        (number * step * of.factor, f"{number * step:.{decimals}f}{of.suffix}")
        for number in range(first, max(last, first + 1) + 1)
    ]


def _step(least: float) -> float:
    if least <= 0 or not math.isfinite(least):
        return 1.0
    power = 10.0 ** math.floor(math.log10(least)) or least
    return next((nice * power for nice in _NICE if nice * power >= least * (1 - 1e-9)), 10 * power)


def _fitting(prefixes: tuple[tuple[str, float], ...], size: float) -> tuple[str, float]:
    """The largest prefix that is no more than the size; for none and for zero the one of one."""
    if not size:
        return next(each for each in prefixes if each[1] == 1)
    return next((each for each in reversed(prefixes) if size >= each[1] * 0.9999), prefixes[0])


def _written(number: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{number:.{decimals}f}"
    size = abs(number)
    if size >= 1e15:  # noqa: PLR2004 - beyond what a float counts
        return f"{number:.3g}"
    if number == int(number):
        return f"{int(number)}"
    digits = next((count for bound, count in _DIGITS if size >= bound), None)
    text = f"{number:.3g}" if digits is None else f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
