"""The series of a metric that have points in a time range, to the half hour, and their labels.

They come from the table of series (docs/adr/0028), never from points.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from duoscope.kernel.limits import PROMQL_SERIES_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.numerals import plain
from duoscope.telemetry.promql.stored.attributes import series_labels, target_labels
from duoscope.telemetry.promql.stored.naming import Family, Part
from duoscope.telemetry.sql.seen import SEEN, half_hours

NS_PER_MS: Final = 1_000_000
_LATEST_MS: Final = 9_000_000_000_000
_IDS_MAX: Final = 5_000
"""Series that a statement may name; above that all are read and the others left out."""
_VIEWS: Final = {
    "gauge": "metrics",
    "counter": "metrics",
    "histogram": "histograms",
    "exponential_histogram": "exponential_histograms",
    "summary": "summaries",
}
OWN_VALUES_MAX: Final = 10_000
"""Buckets or quantiles of one series that are told apart, as in the table."""
OWN_LABELS: Final[dict[Part, str]] = {"bucket": "le", "quantile": "quantile"}
_OWN_VALUES: Final[dict[Part, str]] = {
    "bucket": f"arrayConcat(groupUniqArrayArray({OWN_VALUES_MAX})(own_values), [inf])",
    "quantile": f"groupUniqArrayArray({OWN_VALUES_MAX})(own_values)",
}
_OF_DISTRIBUTION: Final = "temporality = {temporality:String} AND unit = {unit:String}"
_OF_SHAPE: Final = {
    "metrics": f"metric_type = {{kind:String}} AND is_monotonic = {{monotonic:UInt8}} AND {_OF_DISTRIBUTION}",
    "summaries": "unit = {unit:String}",
}
_SHAPE: Final = "toString(metric_type), toString(temporality), toString(is_monotonic), toString(unit)"
TIME: Final = (
    "timestamp >= fromUnixTimestamp64Nano({start_ns:Int64}, 'UTC') "
    "AND timestamp < fromUnixTimestamp64Nano({end_ns:Int64}, 'UTC')"
)


@dataclass(frozen=True, slots=True)
class Read:
    """Families of one view, part and way of naming, which are read together.

    Attributes:
        view: where their points are.
        part: of the points.
        is_plain: whether names are OTLP's own.
        families: by OTLP name, type, temporality, monotony and unit.
    """

    view: str
    part: Part
    is_plain: bool
    families: dict[tuple[str, ...], Family]

    @property
    def own_label(self) -> str:
        """The label that is not an attribute, or the empty text."""
        return OWN_LABELS.get(self.part, "")

    @property
    def names(self) -> list[str]:
        """The OTLP names of the families."""
        return sorted({family.shape.name for family in self.families.values()})

    @property
    def kinds(self) -> list[str]:
        """The types of the families."""
        return sorted({family.shape.kind for family in self.families.values()})

    @property
    def key(self) -> str:
        """SQL of the number of a point's series: from its metric, its shape, its attributes.

        The attributes are enough where all is of one family, and take half of the time.
        """
        return _key(self, self._shape)

    @property
    def condition(self) -> str:
        """SQL of what is true for points of these families, with `parameters`."""
        named = "metric_name IN {names:Array(String)}"
        return f"{named} AND {_OF_SHAPE.get(self.view, _OF_DISTRIBUTION)}" if len(self.families) == 1 else named

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of `condition`."""
        found: dict[str, object] = {"names": self.names}
        if len(self.families) == 1:
            (_, kind, temporality, monotonic, unit), *_ = self.families
            found |= {"kind": kind, "temporality": temporality, "monotonic": monotonic, "unit": unit}
        return found

    @property
    def _shape(self) -> str:
        match self.view:
            case "metrics":
                return _SHAPE
            case "summaries":
                return "'summary', 'unspecified', '0', toString(unit)"
            case _:
                kind = "histogram" if self.view == "histograms" else "exponential_histogram"
                return f"'{kind}', toString(temporality), '0', toString(unit)"


def _key(read: Read, shape: str) -> str:
    return "series_id" if len(read.families) == 1 else f"cityHash64(metric_name, {shape}, series_id)"


@dataclass(slots=True)
class Series:
    """One series as it is stored.

    Attributes:
        key: its number.
        stored_id: the number of its attributes.
        service: whose it is.
        labels: without the one that its points contain.
        own: values of that one.
        is_delta: whether its points are increments.
    """

    key: int
    stored_id: int
    service: str
    labels: Labels
    own: Sequence[float]
    is_delta: bool

    def with_own(self, read: Read) -> Iterator[Labels]:
        """The labels of each series that its points make."""
        if not read.own_label:
            yield self.labels
        for value in self.own:
            yield label_sets.replaced(self.labels, read.own_label, plain(value))


@dataclass(frozen=True, slots=True)
class Chosen:
    """The series of a read that match.

    Attributes:
        series: those that do.
        of: how many there are, with those that do not.
    """

    series: list[Series]
    of: int

    def condition(self) -> tuple[str, dict[str, object]]:
        """SQL of what is true for their points, and its parameters.

        Nothing where all match, since to compare ids costs half as much as to read points.
        """
        ids = sorted({one.stored_id for one in self.series})
        if len(self.series) == self.of or len(ids) > _IDS_MAX:
            return "", {}
        services = sorted({one.service for one in self.series})
        return (
            " AND service_name IN {services:Array(String)} AND series_id IN {ids:Array(UInt64)}",
            {"services": services, "ids": ids},
        )


def reads(families: Sequence[Family]) -> list[Read]:
    """Group families that are read together."""
    found: dict[tuple[str, Part, bool], Read] = {}
    for family in families:
        view = _VIEWS.get(family.shape.kind, "")
        read = found.setdefault((view, family.part, family.is_plain), Read(view, family.part, family.is_plain, {}))
        read.families[_shape_key(family)] = family
    return list(found.values())


def _shape_key(family: Family) -> tuple[str, ...]:
    shape = family.shape
    # Only numbers can be monotonic, and summaries have no temporality.
    monotonic = str(int(shape.is_monotonic)) if shape.kind in ("gauge", "counter") else "0"
    temporality = shape.temporality if shape.kind != "summary" else "unspecified"
    return (shape.name, shape.kind, temporality, monotonic, shape.unit)


def bounds(start_ms: int, end_ms: int) -> dict[str, object]:
    """The parameters of TIME, for points after a time and up to another."""
    return {
        "start_ns": max(0, start_ms + 1) * NS_PER_MS,
        "end_ns": min(max(0, end_ms + 1), _LATEST_MS) * NS_PER_MS,
    }


def seen_parameters(start_ms: int, end_ms: int) -> dict[str, object]:
    """The parameters of SEEN, for the half hours of points after a time and up to another."""
    return half_hours((start_ms + 1) * NS_PER_MS, (min(end_ms, _LATEST_MS) + 1) * NS_PER_MS)


async def series(reader: TelemetryReader, read: Read, start_ms: int, end_ms: int) -> list[Series]:
    """The series of families that have a point in the half hours from `start_ms` to `end_ms`.

    Raises:
        DuoscopeError: UNAVAILABLE, or INVALID for a query that is too expensive.
    """
    if read.part == "info":
        return await _targets(reader, start_ms, end_ms)
    own = _OWN_VALUES.get(read.part, "[]::Array(Float64)")
    if len(read.families) == 1:
        of_families, parameters = f"metric_name IN {{names:Array(String)}} AND {_OF_SHAPE['metrics']}", read.parameters
    else:
        of_families = "metric_name IN {names:Array(String)} AND metric_type IN {kinds:Array(String)}"
        parameters = {"names": read.names, "kinds": read.kinds}
    rows = await reader.query(
        f"SELECT {_key(read, _SHAPE)} AS key, any(series_id) AS stored_id, "
        "any(toString(service_name)) AS service, any(metric_name) AS otlp_name, "
        f"any([{_SHAPE}]) AS shape, any(toString(resource)) AS resource_text, any(toString(scope_name)) AS scope, "
        f"any(attributes_json) AS attributes_text, {own} AS own "
        f"FROM @series WHERE {of_families} AND {SEEN} GROUP BY key LIMIT {{rows:UInt64}}",
        seen_parameters(start_ms, end_ms) | parameters | {"rows": PROMQL_SERIES_MAX + 1},
        name="promql.series",
    )
    # In a thread: ten thousand series take a tenth of a second.
    return await asyncio.to_thread(lambda: [found for row in rows if (found := _series(read, row)) is not None])


def _series(read: Read, row: dict[str, Any]) -> Series | None:
    family = read.families.get((row["otlp_name"], *row["shape"]))
    if family is None:
        return None
    labels = series_labels(row["resource_text"], row["scope"], row["attributes_text"], is_plain=read.is_plain)
    named = label_sets.replaced(labels, label_sets.NAME, family.name)
    return Series(row["key"], row["stored_id"], row["service"], named, row["own"], family.shape.temporality == "delta")


TARGETS: Final = " UNION ALL ".join(
    f"SELECT toString(resource) AS resource, timestamp FROM @{view} "
    f"WHERE service_name IN {{services:Array(String)}} AND {TIME}"
    for view in ("metrics", "histograms", "exponential_histograms", "summaries")
)
"""The points by which resources are targets, of some services."""


async def _targets(reader: TelemetryReader, start_ms: int, end_ms: int) -> list[Series]:
    rows = await reader.query(
        "SELECT cityHash64(resource_text) AS key, toString(resource) AS resource_text, "
        "any(toString(service_name)) AS service FROM @series "
        f"WHERE {SEEN} GROUP BY resource_text LIMIT {{rows:UInt64}}",
        seen_parameters(start_ms, end_ms) | {"rows": PROMQL_SERIES_MAX + 1},
        name="promql.targets",
    )
    return await asyncio.to_thread(lambda: [_target(row) for row in rows])


def _target(row: dict[str, Any]) -> Series:
    labels = label_sets.replaced(target_labels(row["resource_text"]), label_sets.NAME, "target_info")
    return Series(row["key"], 0, row["service"], labels, (), is_delta=False)
