"""The series of a metric that have points in a time range, and their labels."""

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

NS_PER_MS: Final = 1_000_000
_LATEST_MS: Final = 9_000_000_000_000
_VIEWS: Final = {
    "gauge": "metrics",
    "counter": "metrics",
    "histogram": "histograms",
    "exponential_histogram": "exponential_histograms",
    "summary": "summaries",
}
OWN_LABELS: Final[dict[Part, str]] = {"bucket": "le", "quantile": "quantile"}
_OWN_VALUES: Final[dict[Part, str]] = {
    "bucket": "arrayConcat(groupUniqArrayArray(bucket_bounds), [inf])",
    "quantile": "groupUniqArrayArray(quantiles)",
}
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
    def key(self) -> str:
        """SQL of a series' number: from its metric, its shape, its attributes."""
        if self.part == "info":
            return "cityHash64(resource)"
        return f"cityHash64(metric_name, {self.shape}, series_id)"

    @property
    def shape(self) -> str:
        """SQL of what tells metrics of one name apart."""
        match self.view:
            case "metrics":
                return "toString(metric_type), toString(temporality), toString(is_monotonic), toString(unit)"
            case "summaries":
                return "'summary', 'unspecified', '0', toString(unit)"
            case _:
                kind = "histogram" if self.view == "histograms" else "exponential_histogram"
                return f"'{kind}', toString(temporality), '0', toString(unit)"


@dataclass(slots=True)
class Series:
    """One series as it is stored.

    Attributes:
        key: its number.
        stored_id: the number of its attributes.
        labels: without the one that its points contain.
        own: values of that one.
        is_delta: whether its points are increments.
    """

    key: int
    stored_id: int
    labels: Labels
    own: Sequence[float]
    is_delta: bool

    def with_own(self, read: Read) -> Iterator[Labels]:
        """The labels of each series that its points make."""
        if not read.own_label:
            yield self.labels
        for value in self.own:
            yield label_sets.replaced(self.labels, read.own_label, plain(value))


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


async def series(reader: TelemetryReader, read: Read, start_ms: int, end_ms: int) -> list[Series]:
    """The series of families that have a point after `start_ms` and up to `end_ms`.

    Raises:
        DuoscopeError: UNAVAILABLE, or INVALID for a query that is too expensive.
    """
    if read.part == "info":
        return await _targets(reader, start_ms, end_ms)
    own = _OWN_VALUES.get(read.part, "[]::Array(Float64)")
    rows = await reader.query(
        f"SELECT {read.key} AS key, any(series_id) AS stored_id, any(metric_name) AS otlp_name, "
        f"any([{read.shape}]) AS shape, any(toString(resource)) AS resource_text, any(toString(scope_name)) AS scope, "
        f"any(toString(attributes_json)) AS attributes_text, {own} AS own "
        f"FROM @{read.view} WHERE metric_name IN {{names:Array(String)}} AND {TIME} GROUP BY key "
        "LIMIT {rows:UInt64}",
        bounds(start_ms, end_ms) | {"names": read.names, "rows": PROMQL_SERIES_MAX + 1},
        name="promql.series",
    )
    return [found for row in rows if (found := _series(read, row)) is not None]


def _series(read: Read, row: dict[str, Any]) -> Series | None:
    family = read.families.get((row["otlp_name"], *row["shape"]))
    if family is None:
        return None
    labels = series_labels(row["resource_text"], row["scope"], row["attributes_text"], is_plain=read.is_plain)
    named = label_sets.replaced(labels, label_sets.NAME, family.name)
    return Series(row["key"], row["stored_id"], named, row["own"], family.shape.temporality == "delta")


TARGETS: Final = " UNION ALL ".join(
    f"SELECT toString(resource) AS resource, timestamp FROM @{view} WHERE {TIME}"
    for view in ("metrics", "histograms", "exponential_histograms", "summaries")
)


async def _targets(reader: TelemetryReader, start_ms: int, end_ms: int) -> list[Series]:
    rows = await reader.query(
        f"SELECT cityHash64(resource) AS key, resource FROM ({TARGETS}) GROUP BY resource LIMIT {{rows:UInt64}}",
        bounds(start_ms, end_ms) | {"rows": PROMQL_SERIES_MAX + 1},
        name="promql.targets",
    )
    return [
        Series(
            row["key"], 0, label_sets.replaced(target_labels(row["resource"]), label_sets.NAME, "target_info"), (),
            is_delta=False,
        )
        for row in rows
    ]  # fmt: skip
