"""OTLP names as Prometheus translates them: metrics with units and suffixes, attributes as labels.

The rules are Prometheus' own (`otlp.translation_strategy: UnderscoreEscapingWithSuffixes`). A metric can also be
queried by its original name, then with the attributes' original names.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

Part = Literal["value", "bucket", "sum", "count", "quantile", "native", "info"]
Kind = Literal["gauge", "counter", "histogram", "exponential_histogram", "summary", "target_info"]

_WORDS: Final = re.compile(r"[a-zA-Z0-9:]+")
_UNITS: Final = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius",
    "Hz": "hertz", "1": "", "%": "percent",
}  # fmt: skip
_PER_UNITS: Final = {
    "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year",
}  # fmt: skip
_PARTS: Final[dict[Kind, tuple[Part, ...]]] = {
    "gauge": ("value",),
    "counter": ("value",),
    "histogram": ("bucket", "sum", "count"),
    "exponential_histogram": ("native", "sum", "count"),
    "summary": ("quantile", "sum", "count"),
    "target_info": ("info",),
}
_SUFFIXES: Final[dict[Part, str]] = {"bucket": "_bucket", "sum": "_sum", "count": "_count"}


@dataclass(frozen=True, slots=True)
class Shape:
    """A metric as it was sent.

    Attributes:
        name: OTLP's.
        kind: its type.
        temporality: cumulative, delta or unspecified.
        is_monotonic: of a counter, whether it only grows.
        unit: OTLP's.
    """

    name: str
    kind: Kind
    temporality: str = "unspecified"
    is_monotonic: bool = False
    unit: str = ""

    @property
    def translated(self) -> str:
        """The name of the metric's family in Prometheus."""
        return metric_name(self.name, self.unit, self.kind, is_monotonic=self.is_monotonic)

    @property
    def type(self) -> str:
        """The type in Prometheus' terms."""
        match self.kind:
            case "counter":
                return "counter" if self.is_monotonic else "gauge"
            case "exponential_histogram":
                return "histogram"
            case "target_info":
                return "gauge"
            case _:
                return self.kind


@dataclass(frozen=True, slots=True)
class Family:
    """One name under which a part of a metric can be queried.

    Attributes:
        name: the value of `__name__`.
        shape: of the metric.
        part: of it.
        is_plain: whether the names are OTLP's own.
    """

    name: str
    shape: Shape
    part: Part
    is_plain: bool


TARGET_INFO: Final = Shape("target_info", "target_info")


def families(shape: Shape) -> Iterator[Family]:
    """All names under which a metric's parts can be queried."""
    for part in _PARTS[shape.kind]:
        suffix = _SUFFIXES.get(part, "")
        yield Family(shape.translated + suffix, shape, part, is_plain=False)
        if shape.name != shape.translated:
            yield Family(shape.name + suffix, shape, part, is_plain=True)


def metric_name(name: str, unit: str, kind: Kind, *, is_monotonic: bool) -> str:
    """The name of a metric in Prometheus."""
    words: list[str] = _WORDS.findall(name)
    main, _, per = unit.partition("/")
    if "{" not in main:
        _add_unit(words, "", _UNITS.get(main.strip(), main.strip()))
    if per and "{" not in per:
        _add_unit(words, "per", _PER_UNITS.get(per.strip(), per.strip()))
    if kind == "counter" and is_monotonic:
        words = [word for word in words if word != "total"] + ["total"]
    if kind == "gauge" and unit == "1":
        words = [word for word in words if word != "ratio"] + ["ratio"]
    found = "_".join(words)
    return f"_{found}" if found[:1].isdigit() else found


def _add_unit(words: list[str], before: str, unit: str) -> None:
    unit = "_".join(_WORDS.findall(unit))
    if unit and unit not in words:
        words += [before, unit] if before else [unit]


def label_name(name: str) -> str:
    """The name of an attribute as a label."""
    found = re.sub(r"_{2,}", "_", re.sub(r"[^a-zA-Z0-9_]", "_", name)) if not name.startswith("__") else name
    if not found:
        return found
    if found[0].isdigit():
        return f"key_{found}"
    if found.startswith("_") and not found.startswith("__"):
        return f"key{found}"
    return re.sub(r"[^a-zA-Z0-9_]", "_", found)
