"""Random expressions of every function, aggregation and operator: an answer, or an error that says why."""

import random

import promql_parser
import pytest

from duoscope.telemetry.promql import engine
from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import ExpressionError
from duoscope.telemetry.promql.histograms import Histogram
from duoscope.telemetry.promql.syntax.parse import parse
from duoscope.telemetry.promql.syntax.text import AGGREGATIONS
from support import promqltest

_RANGED = [
    "rate", "increase", "delta", "irate", "idelta", "sum_over_time", "avg_over_time", "min_over_time",
    "max_over_time", "count_over_time", "present_over_time", "last_over_time", "first_over_time",
    "stdvar_over_time", "stddev_over_time", "mad_over_time", "changes", "resets", "deriv", "absent_over_time",
    "ts_of_max_over_time", "ts_of_first_over_time",
]  # fmt: skip
_OF_ONE = [
    "abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan",
    "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "sgn", "rad", "deg", "minute", "hour", "day_of_week",
    "day_of_month", "day_of_year", "days_in_month", "month", "year", "absent", "sort", "sort_desc", "timestamp",
    "round", "histogram_count", "histogram_sum", "histogram_avg", "histogram_stddev", "histogram_stdvar", "info",
]  # fmt: skip
_OPERATORS = ["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless"]


class Trees:
    """Makes expressions of a seed."""

    def __init__(self, seed):
        self._chosen = random.Random(seed)

    def _of(self, *some):
        return self._chosen.choice(some)

    def scalar(self, depth):
        if depth <= 0:
            return self._of("0", "1", "-2", "0.5", "NaN", "Inf", "1e300", "time()", "pi()")
        return self._of(
            f"scalar({self.vector(depth - 1)})", f"({self.scalar(depth - 1)} {self._of('+', '/', '^', '%')} 3)",
            f"({self.scalar(0)} >= bool {self.scalar(0)})",
        )  # fmt: skip

    def ranged(self, depth):
        moved = self._of("", "", " offset 30s", " offset -1m", " @ 60", " @ end()")
        if depth <= 0 or self._of(True, False):
            return f"{self._of('a', 'b', 'h', 'c_bucket', 'nothing')}[{self._of('30s', '2m', '1ms')}]{moved}"
        return f"({self.vector(depth - 1)})[{self._of('1m', '3m')}:{self._of('', '20s', '1m')}]{moved}"

    def vector(self, depth):
        if depth <= 0:
            return self._of("a", "b", "h", "c_bucket", "a offset 1m", 'b{x="1"}', "nothing", '{x=~".+"}', "vector(1)")
        inner = depth - 1
        one = self.vector(inner)
        return self._of(
            f"{self._of(*_RANGED)}({self.ranged(inner)})",
            f"{self._of(*_OF_ONE)}({one})",
            f"quantile_over_time({self.scalar(inner)}, {self.ranged(inner)})",
            f"predict_linear({self.ranged(inner)}, {self.scalar(inner)})",
            f"double_exponential_smoothing({self.ranged(inner)}, 0.5, 0.5)",
            f"clamp({one}, {self.scalar(inner)}, {self.scalar(inner)})",
            f"histogram_quantile({self.scalar(inner)}, {one})",
            f"histogram_fraction(0, {self.scalar(inner)}, {one})",
            f'histogram_quantiles({one}, "q", 0.1, {self.scalar(0)})',
            f'label_replace({one}, "{self._of("x", "new", "__name__")}", "$1-", "x", "(.*)")',
            f'label_join({one}, "x", "-", "x", "y")',
            f'sort_by_label({one}, "x")',
            self.aggregation(inner),
            self.binary(inner),
            self.binary(inner),
            f"-{one}",
            f"({one})",
        )

    def aggregation(self, depth):
        name = self._of(*sorted(AGGREGATIONS))
        parameter = {"count_values": '"v", '}.get(name, "")
        if name in ("topk", "bottomk", "limitk", "limit_ratio", "quantile"):
            parameter = f"{self.scalar(depth)}, "
        return f"{name}{self._of('', ' by (x)', ' without (x, le)', ' by ()')} ({parameter}{self.vector(depth)})"

    def binary(self, depth):
        operator = self._of(*_OPERATORS)
        is_set = operator in ("and", "or", "unless")
        matching = self._of("", "", " on (x)", " ignoring (y, le)", " on ()")
        if matching and not is_set:
            matching += self._of("", " group_left ()", " group_right (y)", " fill (0)")
        if operator in ("==", ">") and not is_set:
            matching = self._of(" bool", "") + matching
        right = self.scalar(depth) if not matching and not is_set and self._of(True, False) else self.vector(depth)
        return f"({self.vector(depth)} {operator}{matching} {right})"


@pytest.fixture(scope="module")
def memory():
    made = promqltest.Memory()
    for number, name in enumerate("aabbb"):
        labels = label_sets.of({"__name__": name, "x": str(number), "y": str(number % 2)})
        for time in range(0, 300_000, 15_000):
            made.add(labels, time, float("nan") if (time + number) % 7 == 0 else float(time // 1000 % 50 * number))
    for le in ("0.1", "1", "+Inf"):
        for time in range(0, 300_000, 15_000):
            made.add(label_sets.of({"__name__": "c_bucket", "le": le, "x": "1"}), time, time / 1000 * float(len(le)))
    for time in range(0, 300_000, 15_000):
        found = Histogram(schema=time % 2, count=time / 100, sum=time / 10, positive={1: time / 100})
        made.add(label_sets.of({"__name__": "h", "x": "1"}), time, found)
        made.add(label_sets.of({"__name__": "h", "x": "2"}), time, found if time % 2 else 1.0)
    return made


@pytest.mark.parametrize("seed", range(12))
async def test_random_trees(memory, seed):
    trees = Trees(seed)
    answered = 0
    for _ in range(60):
        expression = trees.vector(3)
        try:
            node = parse(expression)
        except ExpressionError:
            with pytest.raises(ValueError, match=r"."):
                promql_parser.parse(expression)
            continue
        try:
            await engine.over_range(memory, expression, node, 0, 300_000, 30_000)
            await engine.instant(memory, expression, node, 120_000)
        except ExpressionError as error:
            assert error.message, expression  # noqa: PT017 - most expressions are answered
            continue
        except Exception as error:
            raise AssertionError(expression) from error
        answered += 1
    assert answered > 15
