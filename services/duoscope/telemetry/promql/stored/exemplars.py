"""Exemplars of the metrics that an expression selects, in the form of Prometheus' API."""

from typing import Any, Final

from duoscope.kernel.limits import SEARCH_LIMIT_MAX
from duoscope.telemetry import values
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.numerals import plain
from duoscope.telemetry.promql.stored.attributes import text_of
from duoscope.telemetry.promql.stored.clickhouse import ClickHouseStorage
from duoscope.telemetry.promql.stored.naming import label_name
from duoscope.telemetry.promql.stored.series import TIME, bounds
from duoscope.telemetry.promql.syntax import tree

_MS: Final = 1000
_PARTS: Final = frozenset({"value", "bucket", "native"})


async def of_expression(
    storage: ClickHouseStorage, node: tree.Node, start_ms: int, end_ms: int
) -> list[dict[str, Any]]:
    """Exemplars by series, as far as an exemplar identifies it: by metric and service.

    Raises:
        DuoscopeError: UNAVAILABLE.
    """
    found: dict[str, str] = {}
    services: list[tuple[tree.Matcher, ...]] = []
    for selector in tree.selectors(node):
        for family in await storage.matching(selector.groups):
            if family.part in _PARTS:
                found[family.shape.name] = family.name
        services += [tuple(m for m in group if m.name in ("job", "service_name")) for group in selector.groups]
    if not found:
        return []
    rows = await storage.reader.query(
        "SELECT metric_name, service_name, toUnixTimestamp64Milli(timestamp) AS at, value, hex(trace_id) AS trace, "
        "hex(span_id) AS span, attributes FROM @exemplars WHERE metric_name IN {names:Array(String)} "
        f"AND {TIME} ORDER BY timestamp DESC LIMIT {{rows:UInt64}}",
        bounds(start_ms - 1, end_ms) | {"names": sorted(found), "rows": SEARCH_LIMIT_MAX},
        name="promql.exemplars",
    )
    series: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in reversed(rows):
        job = row["service_name"]
        if not any(all(_is_of(matcher, job) for matcher in group) for group in services):
            continue
        series.setdefault((found[row["metric_name"]], job), []).append(_exemplar(row))
    return [
        {
            "seriesLabels": dict(label_sets.of({label_sets.NAME: name, "job": job, "service_name": job})),
            "exemplars": exemplars,
        }
        for (name, job), exemplars in sorted(series.items())
    ]


def _is_of(matcher: tree.Matcher, service: str) -> bool:
    """Whether a matcher of `job` may match a service: the part before a slash is its namespace."""
    if matcher.name == "job" and matcher.type == "=":
        return matcher.value.rpartition("/")[2] == service
    return matcher.name == "job" or matcher.matches(service)


def _exemplar(row: dict[str, Any]) -> dict[str, Any]:
    labels = {label_name(name): text_of(value) for name, value in values.attributes(row["attributes"]).items()}
    if row["trace"].strip("0"):
        labels |= {"trace_id": row["trace"].lower(), "span_id": row["span"].lower()}
    return {"labels": labels, "value": plain(row["value"]), "timestamp": row["at"] / _MS}
