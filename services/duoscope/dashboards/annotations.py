"""Annotations: what happened while the curves of a dashboard were drawn, as marks on all of them.

Alerts are those of the history of our rules; deployments are the first sights of a `service.version`; and whatever else
PromQL can tell is a mark wherever an expression has a value but 0.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import numpy as np
from msgspec import Meta, Struct

from duoscope.dashboards.filling import Values, plain, promql, several
from duoscope.dashboards.widgets import Color, ShortText
from duoscope.kernel.limits import QUERY_TEXT_CHARS_MAX
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import releases
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.values import Floats
from duoscope.telemetry.questions.promql import PromqlQuestion
from duoscope.telemetry.times import SECOND_NS, TimeRange, unix_nano

MARKS_MAX: Final = 500
"""Of one annotation; the newest are shown."""
ANNOTATIONS_MAX: Final = 20
_READ_MAX: Final = 5000
_BEFORE_DAYS: Final = 30
"""An alert that began to fire earlier, and to which nothing happened since, is not seen."""
_LABEL: Final = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}", re.ASCII)
_WHERE: Final = (
    "status IN ('triggered', 'no_data', 'resolved') AND JSONExtractString(metadata, 'subject') != 'health' "
    "AND (empty({rule:String}) OR positionCaseInsensitiveUTF8(alert_rule_name, {rule:String}) > 0)"
)
_SELECT: Final = """
SELECT toString(instance_id) AS instance, alert_rule_name, toString(severity) AS severity, toString(status) AS status,
    labels, toUnixTimestamp(toDateTime(timestamp)) AS at_s, number FROM @alert_events WHERE {where} AND """
_HAPPENED: Final = (
    "timestamp > fromUnixTimestamp64Nano({start:Int64}) AND timestamp <= fromUnixTimestamp64Nano({end:Int64}) "
    "ORDER BY timestamp DESC, number DESC LIMIT {rows:UInt32}"
)
_HELD: Final = (
    "timestamp <= fromUnixTimestamp64Nano({start:Int64}) "
    f"AND timestamp > fromUnixTimestamp64Nano({{start:Int64}}) - INTERVAL {_BEFORE_DAYS} DAY "
    "ORDER BY number DESC LIMIT 1 BY instance_id LIMIT {rows:UInt32}"
)


class _Marks(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$", examples=["Deployments"])]
    color: Color = ""
    is_shown: Annotated[bool, Meta(description="It is asked.")] = True


class AlertMarks(_Marks, frozen=True, kw_only=True, tag_field="kind", tag="alerts"):
    """Alerts of the tenant's rules, from when they fired until they were resolved."""

    rule: Annotated[ShortText, Meta(description="A part of the rule's name.")] = ""
    labels: Annotated[
        dict[ShortText, ShortText],
        Meta(max_length=20, description="Labels with the value that they must have.", examples=[{"team": "shop"}]),
    ] = {}


class DeploymentMarks(_Marks, frozen=True, kw_only=True, tag_field="kind", tag="deployments"):
    """The first sights of versions of services, by their spans."""

    services: Annotated[
        tuple[ShortText, ...], Meta(max_length=100, description="Of these; empty for all.", examples=[["$service"]])
    ] = ()


class ExpressionMarks(_Marks, frozen=True, kw_only=True, tag_field="kind", tag="promql"):
    """Times at which an expression has a value but 0, for each series."""

    expression: Annotated[
        str, Meta(min_length=1, max_length=QUERY_TEXT_CHARS_MAX, examples=['ALERTS{alertstate="firing"}'])
    ]
    title: Annotated[ShortText, Meta(description="Of a mark: `{{pod}}` is its label.", examples=["{{pod}}"])] = ""


Annotation = AlertMarks | DeploymentMarks | ExpressionMarks


class AskedAlerts(Struct, frozen=True, tag="marks-of-alerts"):
    """The question for alerts: any of the values for each label."""

    rule: str
    labels: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def permissions(self) -> frozenset[str]:
        """The permissions that asking it needs."""
        return frozenset({"alert:read"})


class AskedDeployments(Struct, frozen=True, tag="marks-of-deployments"):
    """The question for deployments: of any of the services, or of all if there are none."""

    services: tuple[str, ...]

    @property
    def permissions(self) -> frozenset[str]:
        """The permissions that asking it needs."""
        return frozenset({"trace:read"})


AskedMarks = AskedAlerts | AskedDeployments


class Mark(Struct, frozen=True):
    """Something that happened at a moment, or lasted."""

    time: Annotated[int, Meta(description="When it began, in seconds since 1970; perhaps before the range.")]
    end: Annotated[int | None, Meta(description="When it was over; null for a moment, or what goes on.")]
    title: str
    labels: dict[str, str]


def filled(annotation: Annotation, values: Values) -> AskedMarks | PromqlQuestion:
    """The question of an annotation, with values for its variables, without what only tells how it is drawn.

    Raises:
        DuoscopeError: INVALID `invalid-variable` for a value that cannot stand where it would.
    """
    match annotation:
        case AlertMarks():
            labels = ((name, several(wanted, values)) for name, wanted in sorted(annotation.labels.items()))
            return AskedAlerts(
                plain(annotation.rule, values), tuple((name, tuple(sorted(of))) for name, of in labels if of)
            )
        case DeploymentMarks():
            wanted = [several(each, values) for each in annotation.services]
            services = () if None in wanted else tuple(sorted({name for each in wanted for name in each or ()}))
            return AskedDeployments(services)
        case ExpressionMarks():
            return PromqlQuestion(promql(annotation.expression, values))


async def read(reader: TelemetryReader, times: TimeRange, asked: AskedMarks) -> tuple[list[Mark], bool]:
    """The marks of a range, oldest first, and whether these are all. Raises UNAVAILABLE, and what limits raise."""
    return await (
        _alerts(reader, times, asked) if isinstance(asked, AskedAlerts) else _deployments(reader, times, asked.services)
    )


async def _alerts(reader: TelemetryReader, times: TimeRange, asked: AskedAlerts) -> tuple[list[Mark], bool]:
    where = _WHERE
    bound: dict[str, object] = {"rule": asked.rule, "start": times.start_ns, "end": times.end_ns}
    for number, (name, wanted) in enumerate(asked.labels):
        where += f" AND labels[{{label_{number}:String}}] IN {{values_{number}:Array(String)}}"
        bound |= {f"label_{number}": name, f"values_{number}": list(wanted)}
    bound["rows"] = _READ_MAX + 1
    select = _SELECT.format(where=where)
    held = await reader.query(select + _HELD, bound, name="annotations.alerts_held")
    happened = await reader.query(select + _HAPPENED, bound, name="annotations.alerts_happened")
    began: dict[str, Mapping[str, Any]] = {each["instance"]: each for each in held if each["status"] != "resolved"}
    marks: list[Mark] = []
    for row in sorted(happened, key=lambda each: (each["at_s"], each["number"])):
        if row["status"] != "resolved":
            began.setdefault(row["instance"], row)
        elif begun := began.pop(row["instance"], None):
            marks.append(_mark(begun, row["at_s"]))
    marks += [_mark(each, None) for each in began.values()]
    return _newest(marks, is_complete=max(len(held), len(happened)) <= _READ_MAX)


def _mark(row: Mapping[str, Any], end_s: int | None) -> Mark:
    return Mark(row["at_s"], end_s, row["alert_rule_name"], {**row["labels"], "severity": row["severity"]})


async def _deployments(reader: TelemetryReader, times: TimeRange, services: tuple[str, ...]) -> tuple[list[Mark], bool]:
    first_ns = max(times.start_ns, times.end_ns - releases.RELEASES_RANGE_MAX_NS)
    one = services[0] if len(services) == 1 else None
    found = await releases.list_releases(reader, TimeRange(first_ns, times.end_ns), one)
    marks = [
        Mark(
            unix_nano(each.first_seen, "first_seen") // SECOND_NS,
            None,
            f"{each.service} {each.version}",
            {"service": each.service, "version": each.version} | ({"before": each.before} if each.before else {}),
        )
        for each in found.items
        if not services or each.service in services
    ]
    return _newest(marks, is_complete=not found.truncated and first_ns == times.start_ns)


def of_series(
    labels: Iterable[Labels], values: Floats, *, start_s: int, step_s: int, title: str
) -> tuple[list[Mark], bool]:
    """Marks where series have a value but 0, one for each run of them.

    Args:
        labels: of each series.
        values: series by steps; NaN where there is none.
        start_s: the first moment.
        step_s: how far apart they are.
        title: of a mark, with labels in braces.
    """
    has = np.pad(np.nan_to_num(values) != 0, ((0, 0), (1, 1)))
    turns = np.diff(has.astype(np.int8), axis=1)
    rows, firsts = np.nonzero(turns == 1)
    lasts = np.nonzero(turns == -1)[1] - 1
    # Each row has as many beginnings as ends, in the same order.
    newest = np.argsort(firsts, kind="stable")[-MARKS_MAX:]
    named = [dict(each) for each in labels]
    marks = [
        Mark(
            start_s + int(firsts[at]) * step_s,
            start_s + int(lasts[at]) * step_s if lasts[at] > firsts[at] else None,
            _LABEL.sub(lambda found, of=named[rows[at]]: of.get(found[1], ""), title)[:1000],
            named[rows[at]],
        )
        for at in newest
    ]
    return _newest(marks, is_complete=len(firsts) <= MARKS_MAX)


def _newest(marks: list[Mark], *, is_complete: bool) -> tuple[list[Mark], bool]:
    marks.sort(key=lambda each: each.time)
    return marks[-MARKS_MAX:], is_complete and len(marks) <= MARKS_MAX
