"""The values of templates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of a query's answer."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class AlertData:
    """An alert as its template reads it (`.Labels`, `.Value` and so on)."""

    labels: Mapping[str, str]
    value: float
    external_labels: Mapping[str, str] = field(default_factory=dict[str, str])
    external_url: str = ""


Value: TypeAlias = "str | int | float | bool | Sample | AlertData | Mapping[str, str] | Sequence[Value] | None"
