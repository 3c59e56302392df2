"""Answers in Prometheus' JSON: written by hand, since a matrix may have hundreds of thousands of pairs."""

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final

import numpy as np
from litestar import MediaType, Response
from msgspec import Meta, Struct

from duoscope.telemetry.promql.engine import Answer
from duoscope.telemetry.promql.histograms import Bucket, Histogram
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.numerals import formatted, plain
from duoscope.telemetry.promql.values import Points, Scalar, String, Vector

_MS: Final = 1000
_SMALL: Final = 1e-6
_LARGE: Final = 1e21


class PrometheusAnswer(Struct, frozen=True):
    """A successful answer."""

    status: Annotated[str, Meta(examples=["success"])]
    data: Any
    warnings: Annotated[list[str], Meta(description="What makes the answer doubtful; absent if there is nothing.")] = []
    infos: Annotated[list[str], Meta(description="What may not be as intended; absent if there is nothing.")] = []


class PrometheusProblem(Struct, frozen=True):
    """A failed answer."""

    status: Annotated[str, Meta(examples=["error"])]
    errorType: Annotated[str, Meta(examples=["bad_data"])]  # noqa: N815 - Prometheus' name
    error: Annotated[
        str, Meta(description="The error and its position.", examples=["1:5: parse error: unexpected ')'"])
    ]


def success(data: str, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> Response[bytes]:
    """An answer with data that is already JSON."""
    parts = [f'{{"status":"success","data":{data}']
    for name, notes in (("warnings", warnings), ("infos", infos)):
        if notes:
            parts.append(f',"{name}":{json.dumps(list(notes))}')
    return Response(("".join(parts) + "}").encode(), media_type=MediaType.JSON)


def of_values(values: Any, warnings: Sequence[str] = ()) -> Response[bytes]:
    """An answer with data of plain values."""
    return success(json.dumps(values, ensure_ascii=False, separators=(",", ":")), warnings)


def limited(names: Sequence[Any], limit: int) -> tuple[Sequence[Any], list[str]]:
    """The first `limit` names, and a warning if there are more."""
    if limit and len(names) > limit:
        return names[:limit], ["results truncated due to limit"]
    return names, []


def of_answer(answer: Answer, *, is_range: bool, limit: int, stats: dict[str, Any] | None) -> Response[bytes]:
    """The answer to a query."""
    warnings = list(answer.warnings)
    kind, result = _result(answer, is_range=is_range)
    result, more = limited(result, limit) if isinstance(result, list) else (result, [])
    text = result if isinstance(result, str) else f"[{','.join(result)}]"
    data = f'{{"resultType":"{kind}","result":{text}'
    if stats is not None:
        data += f',"stats":{json.dumps(stats)}'
    return success(data + "}", warnings + more, answer.infos)


def _result(answer: Answer, *, is_range: bool) -> tuple[str, list[str] | str]:
    value, times = answer.value, answer.times
    match value:
        case String():
            return "string", f"[{_time(int(times[0]))},{json.dumps(value.value)}]"
        case Scalar():
            if is_range:
                vector = Vector([()], value.values[None, :], np.ones((1, len(times)), np.bool_))
                return "matrix", _matrix(vector, times)
            return "scalar", f"[{_time(int(times[0]))},{_text(float(value.values[0]))}]"
        case Points():
            return "matrix", _points(value)
        case Vector():
            return ("matrix", _matrix(value, times)) if is_range else ("vector", _vector(value, int(times[0])))


def _vector(vector: Vector, time_ms: int) -> list[str]:
    at = _time(time_ms)
    made: list[str] = []
    for row, labels in enumerate(vector.labels):
        hist = vector.hist[row, 0] if vector.hist is not None else None
        if hist is None:
            made.append(f'{{"metric":{_metric(labels)},"value":[{at},{_text(float(vector.values[row, 0]))}]}}')
        else:
            made.append(f'{{"metric":{_metric(labels)},"histogram":[{at},{_histogram(hist)}]}}')
    return made


def _matrix(vector: Vector, times: "np.ndarray[Any, np.dtype[np.int64]]") -> list[str]:
    moments = [_time(time) for time in times.tolist()]
    floats, hists = vector.is_float, vector.is_hist
    order = sorted(range(len(vector.labels)), key=vector.labels.__getitem__)
    made: list[str] = []
    for row in order:
        steps = np.flatnonzero(floats[row])
        pairs = zip(steps.tolist(), vector.values[row, steps].tolist(), strict=True)
        parts = _samples((moments[step], value) for step, value in pairs)
        series = f'{{"metric":{_metric(vector.labels[row])}'
        if parts:
            series += f',"values":[{parts}]'
        if vector.hist is not None and hists[row].any():
            found = (
                f"[{moments[step]},{_histogram(vector.hist[row, step])}]"
                for step in np.flatnonzero(hists[row]).tolist()
            )
            series += f',"histograms":[{",".join(found)}]'
        made.append(series + "}")
    return made


def _points(points: Points) -> list[str]:
    made: list[str] = []
    for row, labels in enumerate(points.labels):
        part = slice(int(points.bounds[row]), int(points.bounds[row + 1]))
        times = [_time(time) for time in points.times[part].tolist()]
        hists = points.hist[part].tolist() if points.hist is not None else [None] * len(times)
        if not times:
            continue
        given = list(zip(times, points.values[part].tolist(), hists, strict=True))
        floats = _samples((time, value) for time, value, hist in given if hist is None)
        series = f'{{"metric":{_metric(labels)}'
        if floats:
            series += f',"values":[{floats}]'
        if found := [f"[{time},{_histogram(hist)}]" for time, _, hist in given if hist is not None]:
            series += f',"histograms":[{",".join(found)}]'
        made.append(series + "}")
    return made


def _samples(pairs: Iterable[tuple[str, float]]) -> str:
    return ",".join([f"[{time},{_text(value)}]" for time, value in pairs])


def _metric(labels: Labels) -> str:
    return json.dumps(dict(labels), ensure_ascii=False, separators=(",", ":"))


def _time(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, _MS)
    if not rest:
        return str(seconds)
    return repr(milliseconds / _MS) if seconds < 0 else f"{seconds}.{rest:03d}".rstrip("0")


def _text(value: float) -> str:
    text = repr(value)
    if text.endswith(".0"):
        return f'"{text[:-2]}"'
    if "e" in text or "n" in text:
        size = abs(value)
        text = formatted(value) if value and (size < _SMALL or size >= _LARGE) else plain(value)
    return f'"{text}"'


def _histogram(hist: Histogram) -> str:
    parts = [f'"count":{_text(hist.count)}', f'"sum":{_text(hist.sum)}']
    if buckets := ",".join(_bucket(bucket) for bucket in hist.buckets()):
        parts.append(f'"buckets":[{buckets}]')
    return "{" + ",".join(parts) + "}"


def _bucket(bucket: Bucket) -> str:
    kind = {(False, True): 0, (True, False): 1, (False, False): 2, (True, True): 3}
    included = kind[bucket.lower_included, bucket.upper_included]
    return f"[{included},{_text(bucket.lower)},{_text(bucket.upper)},{_text(bucket.count)}]"
