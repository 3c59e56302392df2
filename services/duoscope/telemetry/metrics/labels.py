"""The labels of series, and their values: from the table of series (docs/adr/0028), to the half hour."""

from typing import Any, Final

from duoscope.kernel.limits import FIELD_VALUES_MAX, LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import fields, items, language
from duoscope.telemetry.fields import VALUES_DEFAULT, FieldPage, FieldValue, FieldValues
from duoscope.telemetry.sql.seen import SEEN, half_hours
from duoscope.telemetry.times import TimeRange

_OWN: Final = ("service", "scope")
_PLACES: Final = ("attributes", "resource")
# A row a label of a series, (name, place, value as JSON). Of what a request repeats, each series counts once.
_LABELS: Final = """
SELECT arrayJoin(arrayConcat(
    [('service', 'field', toJSONString(service)), ('scope', 'field', toJSONString(scope))],
    arrayMap(pair -> (pair.1, 'attributes', pair.2), JSONExtractKeysAndValuesRaw(own)),
    arrayMap(pair -> (pair.1, 'resource', pair.2), JSONExtractKeysAndValuesRaw(of_resource)))) AS label,
    label.1 AS name, label.2 AS place, label.3 AS raw,
    multiIf(startsWith(raw, '"'), 'string', raw IN ('true', 'false'), 'bool', match(raw, '^-?[0-9]+$'), 'int',
        match(raw, '^-?[0-9]'), 'double', '') AS type
FROM (
    SELECT any(attributes_json) AS own, any(resource) AS of_resource, any(toString(service_name)) AS service,
        any(toString(scope_name)) AS scope
    FROM @series WHERE {where} GROUP BY metric_name, series_id)
WHERE NOT (place = 'field' AND raw = '""')"""
_VALUE: Final = "if(type = 'string', JSONExtractString(raw), raw)"


async def list_labels(
    reader: TelemetryReader,
    times: TimeRange,
    metric: str | None = None,
    *,
    prefix: str = "",
    query: str = "",
    limit: int = LIST_LIMIT_DEFAULT,
    cursor: str | None = None,
) -> FieldPage:
    """List the labels whose names start with `prefix` of the series that had points and meet a query, of one metric or
    of all.

    Counts are of series.

    Raises:
        DuoscopeError: INVALID for the limit, the query or the cursor; UNAVAILABLE.
    """
    items.checked_limit(limit, LIST_LIMIT_MAX)
    search = ("fields", "metrics", metric, prefix, query)
    conditions = ["startsWith(name, {prefix:String})"]
    parameters: dict[str, object] = {"prefix": prefix, "rows": limit + 1}
    if cursor:
        conditions.append(fields.AFTER)
        parameters |= fields.after(cursor, search)
    labels, of_series = _labels(times, metric, query)
    rows = await reader.query(
        "SELECT name, place, arraySort(groupUniqArrayIf(type, type != '')) AS types, uniq(raw) AS values, "
        f"'few' AS cardinality, count() AS count FROM ({labels}) WHERE {' AND '.join(conditions)} "
        "GROUP BY name, place ORDER BY name, place LIMIT {rows:UInt64}",
        parameters | of_series,
        name="metrics.labels",
    )
    return fields.page(rows, limit, search)


async def list_label_values(
    reader: TelemetryReader,
    times: TimeRange,
    name: str,
    metric: str | None = None,
    *,
    prefix: str = "",
    query: str = "",
    limit: int = VALUES_DEFAULT,
) -> FieldValues:
    """List the values of a label that start with `prefix`, in any case, those of the most series first.

    Args:
        reader: of the tenant.
        times: in which the series had points, to the half hour.
        name: a label, as a query names it.
        metric: of whose series; of all unless given.
        prefix: the beginning of the values.
        query: that the series meet.
        limit: values at most.

    Raises:
        DuoscopeError: INVALID for the limit, the query or the label; UNAVAILABLE.
    """
    items.checked_limit(limit, FIELD_VALUES_MAX)
    language.value_of(name, language.Signal.METRICS)  # refuses what is no label
    place, _, own = name.partition(".")
    is_placed = place in _PLACES and bool(own)
    places = ["field"] if name in _OWN else [place] if is_placed else list(_PLACES)
    labels, of_series = _labels(times, metric, query)
    rows: list[dict[str, Any]] = await reader.query(
        f"SELECT {_VALUE} AS value, if(type = '', 'string', type) AS type, count() AS count FROM ({labels}) "
        "WHERE name = {label:String} AND place IN {places:Array(String)} "
        "AND startsWith(lowerUTF8(value), lowerUTF8({prefix:String})) "
        "GROUP BY value, type ORDER BY count DESC, value, type LIMIT {rows:UInt64}",
        of_series | {"label": own if is_placed else name, "places": places, "prefix": prefix, "rows": limit + 1},
        name="metrics.label_values",
    )
    values = [FieldValue(**row) for row in rows[:limit]]
    return FieldValues(values, "series", len(rows) <= limit, 0)


def _labels(times: TimeRange, metric: str | None, query: str = "") -> tuple[str, dict[str, object]]:
    conditions, parameters = [SEEN], half_hours(times.start_ns, times.end_ns)
    if metric is not None:
        conditions.append("metric_name = {metric:String}")
        parameters["metric"] = metric
    if condition := language.compile_query(query, language.Signal.METRICS):
        conditions.append(condition.sql)
        parameters |= condition.parameters
    return _LABELS.replace("{where}", " AND ".join(conditions)), parameters
