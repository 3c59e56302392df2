"""All labels that the series of a time range have, without the series: what people choose from before they choose any.

Resources and the attributes of series are listed each by themselves, for of each there are far fewer than of series.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from duoscope.kernel.limits import PROMQL_SERIES_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import execution
from duoscope.telemetry.promql.stored.attributes import own_labels, resource_labels
from duoscope.telemetry.promql.stored.series import seen_parameters
from duoscope.telemetry.sql.seen import SEEN

_MADE: Final = frozenset({label_sets.NAME, "le", "quantile"})
"""Labels that are no attributes."""
_SEEN: Final = f"""
SELECT groupUniqArray({PROMQL_SERIES_MAX + 1})(toString(resource)) AS resources,
    groupUniqArray({PROMQL_SERIES_MAX + 1})((toString(scope_name), attributes_json)) AS own,
    countIf(metric_type = 'histogram') > 0 AS has_buckets,
    countIf(metric_type = 'summary' AND notEmpty(own_values)) > 0 AS has_quantiles
FROM @series WHERE {SEEN}"""


@dataclass(frozen=True, slots=True)
class SeenLabels:
    """Labels of series, under translated names.

    Attributes:
        of_resources: name and value of those that come from resources.
        own: name and value of those that come from scopes and from the series' own attributes.
        names: of all, with those that are made of values: of metrics, buckets, quantiles.
    """

    of_resources: frozenset[tuple[str, str]]
    own: frozenset[tuple[str, str]]
    names: frozenset[str]

    def values(self, name: str) -> set[str] | None:
        """The values of a label; None if only the series themselves tell, as where some override their resource's."""
        of_resources = {value for label, value in self.of_resources if label == name}
        own = {value for label, value in self.own if label == name}
        return None if name in _MADE or (of_resources and own) else of_resources | own


async def seen_labels(reader: TelemetryReader, start_ms: int, end_ms: int) -> SeenLabels:
    """The labels of all series that have a point in the half hours from `start_ms` to `end_ms`.

    Raises:
        ExpressionError: there are more than one query may read.
        DuoscopeError: UNAVAILABLE, or INVALID for a query that is too expensive.
    """
    (row,) = await reader.query(_SEEN, seen_parameters(start_ms, end_ms), name="promql.seen_labels")
    if max(len(row["resources"]), len(row["own"])) > PROMQL_SERIES_MAX:
        raise execution(f"more than {PROMQL_SERIES_MAX} series match: select fewer")
    return await asyncio.to_thread(_of, row)


def _of(row: dict[str, Any]) -> SeenLabels:
    of_resources = frozenset(label for resource in row["resources"] for label in resource_labels(resource))
    own = frozenset(label for scope, attributes in row["own"] for label in own_labels(scope, attributes))
    made = {
        label_sets.NAME: bool(row["own"]),
        "le": bool(row["has_buckets"]),
        "quantile": bool(row["has_quantiles"]),
    }
    names = {name for name, _ in of_resources | own} | {name for name, is_there in made.items() if is_there}
    return SeenLabels(of_resources, own, frozenset(names))
