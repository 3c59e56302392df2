"""Calls of functions that see one moment: by name, to their implementation."""

from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError, not_there
from duoscope.telemetry.promql.functions import buckets, information, instant, native, relabel
from duoscope.telemetry.promql.grids import Times
from duoscope.telemetry.promql.histograms import Histogram
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.numerals import formatted
from duoscope.telemetry.promql.syntax import tree
from duoscope.telemetry.promql.syntax.tree import unwrapped
from duoscope.telemetry.promql.values import Bools, Floats, Ints, Notes, Scalar, String, Value, Vector, anywhere

_OF_NATIVE: Final[dict[str, Callable[[Histogram], float]]] = {
    "histogram_count": lambda found: found.count,
    "histogram_sum": lambda found: found.sum,
    "histogram_avg": native.mean_of,
    "histogram_stdvar": native.variance,
    "histogram_stddev": lambda found: native.variance(found) ** 0.5,
}
_MS: Final = 1000.0


class Evaluator(Protocol):
    """The part of the evaluation that a call needs."""

    times: Times
    notes: Notes

    def value(self, node: tree.Node, moments: Ints) -> Value:
        """The value of a node at each moment."""
        ...

    def newest(self, node: tree.Selector, moments: Ints) -> tuple[Vector, Ints]:
        """The newest point of each series at each moment, and its time."""
        ...


def called(evaluator: Evaluator, node: tree.Call, moments: Ints) -> Value:
    """The result of a function at each moment.

    Raises:
        ExpressionError: the data do not allow it, or there is no such function.
    """
    function = node.function
    if function in ("timestamp", "info") or function.startswith("start_timestamp"):
        return _of_points(evaluator, node, moments)
    arguments = [evaluator.value(argument, moments) for argument in node.arguments]
    if not any(isinstance(argument, Vector) for argument in arguments) and function not in instant.DATES:
        return _of_numbers(evaluator, function, arguments, moments)
    vector = next((argument for argument in arguments if isinstance(argument, Vector)), None)
    if vector is None:
        return instant.dated(function, Vector([()], moments[None, :] / _MS, np.ones((1, len(moments)), np.bool_)))
    if function.startswith("histogram_"):
        return _of_histograms(evaluator, node, vector, arguments)
    return _of_vector(node, vector, arguments)


def absent(node: tree.Node, is_there: Bools) -> Vector:
    """1 where there is no sample, with the labels that the selector determines."""
    labels: Labels = ()
    node = node.selector if isinstance(node, tree.Matrix) else node
    if isinstance(node, tree.Selector) and len(node.groups) == 1:
        sure: dict[str, str] = {}
        seen: set[str] = set()
        for matcher in node.groups[0]:
            if matcher.name == label_sets.NAME:
                continue
            if matcher.type == "=" and matcher.name not in seen:
                sure[matcher.name] = matcher.value
                seen.add(matcher.name)
            else:
                sure.pop(matcher.name, None)
        labels = label_sets.of(sure)
    return Vector([labels], np.ones((1, len(is_there))), ~is_there[None, :]).present()


def _of_points(evaluator: Evaluator, node: tree.Call, moments: Ints) -> Vector:
    if node.function == "info":
        vector = evaluator.value(node.arguments[0], moments)
        selector = node.arguments[1]
        assert isinstance(vector, Vector)
        assert isinstance(selector, tree.Selector)
        return information.enriched(vector, selector, *evaluator.newest(selector, moments))
    if node.function != "timestamp":
        raise not_there(f"the function {node.function}")
    inner = unwrapped(node.arguments[0])
    if isinstance(inner, tree.Selector):
        vector, times = evaluator.newest(inner, moments)
    else:
        value = evaluator.value(inner, moments)
        assert isinstance(value, Vector)
        vector, times = value, np.broadcast_to(moments[None, :], value.values.shape)
    return Vector(vector.labels, times / _MS, vector.has, drop=np.ones(len(vector.labels), np.bool_))


def _of_numbers(evaluator: Evaluator, function: str, arguments: list[Value], moments: Ints) -> Value:
    times = evaluator.times
    numbers = [argument.values for argument in arguments if isinstance(argument, Scalar)]
    fixed = {
        "pi": np.pi,
        "start": times.start_ms / _MS,
        "end": times.end_ms / _MS,
        "range": (times.end_ms - times.start_ms) / _MS,
        "step": times.step_ms / _MS,
    }
    if function in fixed:
        return Scalar(np.full(len(moments), fixed[function]))
    match function:
        case "time":
            return Scalar(moments / _MS)
        case "vector":
            return Vector([()], numbers[0][None, :], np.ones((1, len(moments)), np.bool_))
        case "min_of":
            return Scalar(np.minimum(*numbers))
        case "max_of":
            return Scalar(np.maximum(*numbers))
        case _:
            raise not_there(f"the function {function}")


def _of_vector(  # noqa: C901, PLR0911 - a branch for each function
    node: tree.Call, vector: Vector, arguments: list[Value]
) -> Value:
    function = node.function
    texts = [argument.value for argument in arguments if isinstance(argument, String)]
    if function in instant.MATHEMATICS:
        return instant.numbers(vector, instant.MATHEMATICS[function])
    if function in instant.DATES:
        return instant.dated(function, vector)
    match function:
        case "clamp" | "clamp_min" | "clamp_max":
            return instant.clamped(function, arguments)
        case "round":
            to = arguments[1] if len(arguments) > 1 else None
            return instant.rounded(vector, to if isinstance(to, Scalar) else None)
        case "scalar":
            return instant.single(vector)
        case "absent":
            return absent(unwrapped(node.arguments[0]), anywhere(vector.has))
        case "sort" | "sort_desc":
            return relabel.by_value(vector, descending=function == "sort_desc")
        case "sort_by_label" | "sort_by_label_desc":
            return relabel.by_label(vector, texts, descending=function == "sort_by_label_desc")
        case "label_replace":
            target, template, source, expression = texts
            return relabel.replace(vector, target, template, source, expression)
        case "label_join":
            return relabel.join(vector, texts[0], texts[1], texts[2:])
        case _:
            raise not_there(f"the function {function}")


def _of_histograms(evaluator: Evaluator, node: tree.Call, vector: Vector, arguments: list[Value]) -> Vector:
    function, notes = node.function, evaluator.notes
    numbers = [argument.values for argument in arguments if isinstance(argument, Scalar)]
    places = [argument.position for argument in node.arguments]
    if function in _OF_NATIVE:
        return _each_native(vector, _OF_NATIVE[function])
    match function:
        case "histogram_quantile":
            return buckets.quantile(vector, numbers[0], notes, places[1], places[0])
        case "histogram_fraction":
            return buckets.fraction(vector, numbers[0], numbers[1], notes, places[2])
        case "histogram_quantiles":
            return _quantiles(vector, arguments, numbers, notes, places)
        case _:
            raise not_there(f"the function {function}")


def _quantiles(
    vector: Vector, arguments: list[Value], numbers: list[Floats], notes: Notes, places: list[int]
) -> Vector:
    name = arguments[1]
    assert isinstance(name, String)
    if not label_sets.is_name(name.value):
        raise ExpressionError(f"invalid label name {name.value!r}", "execution")
    labels: list[Labels] = []
    parts: list[Vector] = []
    for q, place in zip(numbers, places[2:], strict=True):
        part = buckets.quantile(vector, q, notes, places[0], place)
        text = formatted(float(q[0])) if len(q) else ""
        text += ".0" if text.removeprefix("-").isdigit() else ""
        labels += [label_sets.replaced(one, name.value, text) for one in part.labels]
        parts.append(part)
    return Vector(
        labels,
        np.vstack([part.values for part in parts]),
        np.vstack([part.has for part in parts]),
        drop=np.ones(len(labels), np.bool_),
    )


def _each_native(vector: Vector, of: Callable[[Histogram], float]) -> Vector:
    has = vector.is_hist
    values = np.zeros(has.shape)
    for row, step in zip(*np.nonzero(has), strict=True):
        values[row, step] = of(vector.hist[row, step])
    return Vector(vector.labels, values, has, drop=np.ones(len(vector.labels), np.bool_)).present()
