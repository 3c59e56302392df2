"""Metadata: series, labels and their values, metrics; and the build information of a Prometheus."""

import asyncio
from typing import Annotated, Any, Final

from litestar import Request, Response, get
from litestar.params import PathParameter

import duoscope
from duoscope.api.compat.prometheus.answers import limited, of_values
from duoscope.api.compat.prometheus.handlers import ROOT, by_url, get_and_post, shared
from duoscope.api.compat.prometheus.parameters import Parameters, documents, given, unescaped
from duoscope.api.searching import Reader
from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.storage import Request as Selection
from duoscope.telemetry.promql.stored.clickhouse import ClickHouseStorage
from duoscope.telemetry.promql.stored.naming import families
from duoscope.telemetry.promql.stored.seen_labels import SeenLabels, seen_labels

_VERSION: Final = "3.0.0"
"""The version of Prometheus whose API and language this matches; clients decide by it what they may use."""
_ANY: Final = (((),),)
_RANGE: Final = ("start", "end", "match[]", "limit")


async def _found(parameters: Parameters, reader: TelemetryReader, *, needs_selector: bool) -> set[Labels]:
    selectors = parameters.selectors()
    if needs_selector and not selectors:
        raise ExpressionError("no match[] parameter provided")
    start, end = parameters.range_ms()
    wanted = [Selection(groups, start - 1, end) for groups in selectors or _ANY]
    found = await ClickHouseStorage(reader).series(wanted)
    return {labels for series in found for labels in series}


async def _series(parameters: Parameters, reader: TelemetryReader) -> Response[bytes]:
    limit = parameters.number("limit")
    found = sorted(await _found(parameters, reader, needs_selector=True))
    shown, warnings = limited(found, limit)
    return of_values([dict(labels) for labels in shown], warnings)


async def _labels(parameters: Parameters, reader: TelemetryReader) -> Response[bytes]:
    limit = parameters.number("limit")
    if parameters.selectors():
        found = await _found(parameters, reader, needs_selector=False)
        names = await asyncio.to_thread(lambda: {name for labels in found for name, _ in labels})
    else:
        names = (await _seen(parameters, reader)).names
    return of_values(*limited(sorted(names), limit))


async def _seen(parameters: Parameters, reader: TelemetryReader) -> SeenLabels:
    start, end = parameters.range_ms()
    return await seen_labels(reader, start - 1, end)


async def _values(parameters: Parameters, reader: TelemetryReader, name: str) -> Response[bytes]:
    limit = parameters.number("limit")
    if name == label_sets.NAME and not parameters.all("match[]"):
        described = await ClickHouseStorage(reader).described()
        names = {family.name for one in described for family in families(one.shape) if not family.is_plain}
        return of_values(*limited(sorted(names | ({"target_info"} if names else set())), limit))
    values = None if parameters.selectors() else (await _seen(parameters, reader)).values(name)
    if values is None:
        found = await _found(parameters, reader, needs_selector=False)
        values = await asyncio.to_thread(lambda: {value for one in found if (value := label_sets.get(one, name))})
    return of_values(*limited(sorted(values), limit))


async def _metadata(parameters: Parameters, reader: TelemetryReader) -> Response[bytes]:
    limit, per_metric = parameters.number("limit"), parameters.number("limit_per_metric")
    wanted = parameters.text("metric")
    found: dict[str, list[dict[str, str]]] = {}
    for one in await ClickHouseStorage(reader).described():
        entry = {"type": one.shape.type, "help": one.description, "unit": one.shape.unit}
        name = one.shape.translated
        if wanted and wanted not in (name, one.shape.name):
            continue
        entries = found.setdefault(name, [])
        if entry not in entries and (not per_metric or len(entries) < per_metric):
            entries.append(entry)
    names = sorted(found)[: limit or None]
    return of_values({name: found[name] for name in names})


async def _build(_: Parameters, __: TelemetryReader) -> Response[bytes]:
    return of_values(
        {
            "version": _VERSION,
            "revision": f"duoscope {duoscope.__version__}",
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        }
    )


@get(
    f"{ROOT}/label/{{name:str}}/values",
    operation_class=documents(*_RANGE),
    **shared("label_values", "Get", "List values of a label"),
)
async def label_values(
    request: Request[Any, Any, Any],
    reader: Reader,
    name: Annotated[str, PathParameter(description="Name of the label; escaped as `U__…` if it has other characters.")],
) -> Response[Any]:
    """The values of a label, of the series that match one of the selectors; a name may be escaped as `U__…`."""
    return await _values(await given(request), reader, unescaped(name))


ROUTES: Final = (
    *get_and_post(
        "series", _series, _RANGE, summary="List series",
        description="Series that match one of the selectors and have a point in a half hour of the range.",
    ),
    *get_and_post(
        "labels", _labels, _RANGE, summary="List names of labels",
        description="Labels of series that match one of the selectors and have a point in a half hour of the range.",
    ),
    label_values,
    by_url(
        "metadata", _metadata, ("limit", "limit_per_metric", "metric"), summary="Describe metrics",
        description="Type, description and unit of metrics.",
    ),
    by_url(
        "status/buildinfo", _build, (), summary="Tell the version",
        description="The version of the Prometheus whose API this is.",
    ),
)  # fmt: skip
