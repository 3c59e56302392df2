"""The series of alerts, ALERTS and ALERTS_FOR_STATE, made of the history of alerts: as Prometheus writes them.

ALERTS is 1 while an alert is pending or firing, which `alertstate` says; ALERTS_FOR_STATE is when its breach began, in
seconds since 1970. A series ends when its state does. That a rule cannot be evaluated is no alert of Prometheus'.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np

from duoscope.kernel.limits import PROMQL_SERIES_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import execution
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.storage import Request
from duoscope.telemetry.promql.stored.points import Read
from duoscope.telemetry.promql.syntax.tree import Matcher
from duoscope.telemetry.promql.values import STALE

ALERTS: Final = "ALERTS"
FOR_STATE: Final = "ALERTS_FOR_STATE"
STEP_MS: Final = 30_000
"""Between two points of a series: a window of a minute has some."""
_BEFORE_DAYS: Final = 30
"""An alert that began earlier, and to which nothing happened since, is not seen."""
_STATES: Final = {"pending": "pending", "triggered": "firing", "no_data": "firing"}
_COLUMNS: Final = """toString(instance_id) AS instance, alert_rule_name, toString(severity) AS severity,
    toString(status) AS status, labels, metadata, toUnixTimestamp64Milli(toDateTime64(timestamp, 3)) AS at_ms, number"""
_WHERE: Final = (
    "status IN ('pending', 'cleared', 'triggered', 'no_data', 'resolved') "
    "AND JSONExtractString(metadata, 'subject') != 'health' "
    # Whoever asks may read metrics, and perhaps nothing else that rules are over.
    "AND JSONExtractString(metadata, 'query_type') IN ('promql', 'metric')"
)
_HAPPENED: Final = f"""
SELECT {_COLUMNS} FROM @alert_events
WHERE {_WHERE} AND timestamp > fromUnixTimestamp64Milli({{start_ms:Int64}})
    AND timestamp <= fromUnixTimestamp64Milli({{end_ms:Int64}})
LIMIT {{limit:UInt32}}"""
_HELD: Final = f"""
SELECT {_COLUMNS} FROM @alert_events
WHERE {_WHERE} AND timestamp <= fromUnixTimestamp64Milli({{start_ms:Int64}})
    AND timestamp > fromUnixTimestamp64Milli({{start_ms:Int64}}) - INTERVAL {_BEFORE_DAYS} DAY
ORDER BY number DESC LIMIT 1 BY instance_id LIMIT {{limit:UInt32}}"""


def names(groups: Sequence[tuple[Matcher, ...]]) -> frozenset[str]:
    """The names of the two that a request asks for; one that names none asks for neither."""
    found = set[str]()
    for group in groups:
        of_name = [matcher for matcher in group if matcher.name == label_sets.NAME]
        found |= {name for name in (ALERTS, FOR_STATE) if of_name and all(each.matches(name) for each in of_name)}
    return frozenset(found)


async def read(reader: TelemetryReader, request: Request) -> Read:
    """The points of both, of rules over metrics.

    Raises:
        ExpressionError: there are too many alerts.
        DuoscopeError: UNAVAILABLE.
    """
    bounds = {"start_ms": request.start_ms, "end_ms": request.end_ms, "limit": PROMQL_SERIES_MAX + 1}
    rows = [
        *await reader.query(_HELD, bounds, name="promql.alerts_held"),
        *await reader.query(_HAPPENED, bounds, name="promql.alerts_happened"),
    ]
    if len(rows) > PROMQL_SERIES_MAX:
        raise execution(f"more than {PROMQL_SERIES_MAX} changes of alerts are in the range: take a shorter one")
    of_instance: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        of_instance.setdefault(row["instance"], []).append(row)
    made = _Series(request, names(request.groups))
    for changes in of_instance.values():
        changes.sort(key=lambda row: row["number"])
        made.add(changes)
    return made.read()


class _Series:
    """Points by labels, in the order in which they are added."""

    def __init__(self, request: Request, wanted: frozenset[str]) -> None:
        self._request = request
        self._wanted = wanted
        self._times: dict[Labels, list[Any]] = {}
        self._values: dict[Labels, list[Any]] = {}

    def add(self, changes: Sequence[Mapping[str, Any]]) -> None:
        """Add what happened to one instance, oldest first."""
        ends = [*(each["at_ms"] for each in changes[1:]), None]
        for change, following, end_ms in zip(changes, [*changes[1:], None], ends, strict=True):
            state = _STATES.get(change["status"])
            if state is None:
                continue
            labels = _labels(change)
            goes_on = following is not None and following["status"] in _STATES
            self._span(label_sets.of({**labels, label_sets.NAME: ALERTS, "alertstate": state}), 1.0, change, end_ms)
            of_state = label_sets.of({**labels, label_sets.NAME: FOR_STATE})
            self._span(of_state, _since(change), change, end_ms, goes_on=goes_on)

    def _span(
        self, labels: Labels, value: float, change: Mapping[str, Any], end_ms: int | None, *, goes_on: bool = False
    ) -> None:
        if label_sets.get(labels, label_sets.NAME) not in self._wanted:
            return
        first, start, end = change["at_ms"], self._request.start_ms, self._request.end_ms
        last = end if end_ms is None else min(end, end_ms - 1)
        grid = np.arange(max(first, (start // STEP_MS + 1) * STEP_MS), last + 1, STEP_MS, dtype=np.int64)
        times = grid // STEP_MS * STEP_MS
        times = np.unique(np.concatenate([[first], times[times > first]])).astype(np.int64)
        times = times[times > start]
        times = times[times <= last]
        values = np.full(len(times), value)
        if end_ms is not None and start < end_ms <= end and not goes_on:
            times, values = np.append(times, end_ms), np.append(values, STALE)
        self._times.setdefault(labels, []).append(times)
        self._values.setdefault(labels, []).append(values)

    def read(self) -> Read:
        """All of them, as other points are read."""
        labels = list(self._times)
        times = [np.concatenate(self._times[each]) for each in labels]
        rows = np.repeat(np.arange(len(labels)), [len(each) for each in times]).astype(np.int64)
        return Read(
            labels,
            [False] * len(labels),
            rows,
            np.concatenate([np.zeros(0, np.int64), *times]),
            np.concatenate([np.zeros(0), *(value for each in labels for value in self._values[each])]),
        )


def _labels(change: Mapping[str, Any]) -> dict[str, str]:
    named = {"alertname": change["alert_rule_name"], "severity": change["severity"]}
    return named | {name: value for name, value in dict(change["labels"]).items() if name != label_sets.NAME}


def _since(change: Mapping[str, Any]) -> float:
    """When the breach began."""
    active_at = json.loads(change["metadata"]).get("active_at")
    return datetime.fromisoformat(active_at).timestamp() if active_at else change["at_ms"] / 1000
