"""Several queries of metrics and formulas over them; and the same questions as PromQL."""

import random

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint, Sum

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.telemetry.metrics import formulas
from duoscope.telemetry.metrics.formulas import Query, Shown
from duoscope.telemetry.promql import engine
from duoscope.telemetry.promql.stored.clickhouse import ClickHouseStorage
from duoscope.telemetry.promql.syntax.parse import parse
from duoscope.telemetry.times import TimeRange

S = 10**9
START_S = (now_unix_nano() // (3600 * S) - 3) * 3600
FOUR_MINUTES = TimeRange(START_S * S, (START_S + 240) * S)


@pytest.fixture
async def ask(otlp, stored):
    def points(*given):
        return [
            NumberDataPoint(
                time_unix_nano=(START_S + second) * S, as_double=value, attributes=otlp.attributes({"route": route})
            )
            for second, value, route in given
        ]

    def counted(name, *given):
        return Metric(
            name=name, unit="1", sum=Sum(data_points=points(*given), aggregation_temporality=1, is_monotonic=True)
        )

    reader = await stored(
        otlp.metrics(
            "shop",
            counted("errors", (10, 1, "a"), (130, 3, "a"), (20, 5, "b")),
            counted("requests", *((60 * m + 30, 10, r) for m in range(4) for r in "ab"), (35, 7, "c")),
            Metric(name="depth", unit="1", gauge=Gauge(data_points=points((5, 2, "a"), (185, 8, "a")))),
        )
    )

    async def asking(queries, *expressions, times=FOUR_MINUTES, **how):
        queries = {
            name: Query(query["metric"], query["how"], query.get("fill", "null")) for name, query in queries.items()
        }
        found = await formulas.evaluate(reader, times, queries, expressions, step="1m", **how)
        assert (found.step_s, found.step_count) == (60, times.seconds // 60)
        return {
            one.name: {"".join(labels.values()): row for labels, row in zip(one.labels, one.values, strict=True)}
            for one in found.results
        }

    return asking


def increase(metric, *by, fill="null"):
    return {"metric": metric, "how": {"aggregation": "increase", "group_by": list(by)}, "fill": fill}


async def test_formulas_see_each_step_of_each_series(ask):
    found = await ask(
        {"errors": increase("errors", "route"), "requests": increase("requests", "route"), "all": increase("requests")},
        "100 * errors / requests", "errors or requests * 0", "sum(errors)", "scalar(all) + 1", "topk(1, requests)",
        "max_over_time(errors[3m])",
    )  # fmt: skip
    assert found["errors"] == {"a": [1, None, 3, None], "b": [5, None, None, None]}
    assert found["requests"]["c"] == [7, None, None, None]
    assert found["all"] == {"": [27, 20, 20, 20]}
    assert found["100 * errors / requests"] == {"a": [10, None, 30, None], "b": [50, None, None, None]}
    assert found["errors or requests * 0"]["a"] == [1, 0, 3, 0]
    assert found["sum(errors)"] == {"": [6, None, 3, None]}
    assert found["scalar(all) + 1"] == {"": [28, 21, 21, 21]}
    assert found["topk(1, requests)"]["a"] == [10, 10, 10, 10]
    assert found["max_over_time(errors[3m])"]["a"] == [1, 1, 3, 3]


async def test_gaps_are_filled_as_asked(ask):
    depth = {"metric": "depth", "how": {"aggregation": "last"}}
    for fill, due in {
        "null": [2, None, None, 8], "zero": [2, 0, 0, 8], "previous": [2, 2, 2, 8], "linear": [2, 4, 6, 8]
    }.items():  # fmt: skip
        assert await ask({"a": depth | {"fill": fill}}, "a * 2") == {
            "a": {"": due}, "a * 2": {"": [each and each * 2 for each in due]},
        }  # fmt: skip
    errors = increase("errors", "route", fill="previous")
    assert (await ask({"a": errors}))["a"] == {"a": [1, 1, 3, 3], "b": [5, 5, 5, 5]}


async def test_the_first_series_by_their_values(ask):
    requests = {"a": increase("requests", "route")}
    for rank, descending, due in (
        ("sum", True, ["a", "b"]), ("sum", False, ["c", "a"]), ("last", True, ["a", "b"]), ("last", False, ["c", "a"]),
        ("avg", False, ["c", "a"]), ("max", True, ["a", "b"]), ("min", False, ["c", "a"]),
    ):  # fmt: skip
        found = await ask(requests, "-a", shown=Shown(2, rank, descending))
        assert list(found["a"]) == due
    assert list((await ask(requests, shown=Shown(2)))["a"]) == ["a", "b"]


async def test_the_newest_step_at_a_moment(ask):
    times = formulas.newest_step((START_S + 185) * S, "1m")
    assert times == TimeRange((START_S + 120) * S, (START_S + 180) * S)
    assert await ask({"a": increase("errors")}, "a + 1", times=times) == {"a": {"": [3]}, "a + 1": {"": [4]}}
    with pytest.raises(DuoscopeError, match="before the end of the first step"):
        formulas.newest_step(59 * S, "1m")


@pytest.mark.parametrize(
    ("formula", "why"),
    [
        ("a +", "1:4: parse error"),
        ("c", "there is no query 'c'; queries are a"),
        ('{route="a"}', "each selector names a query"),
        ("a[1m]", "range vector"),
        ("a / on() a", "1: .*many-to-many"),
        ("a" * 2000, "at most 1000 characters"),
        ("(" * 999, "parse error"),
        ("a offset 9999999y", "a duration is out of range"),
        ("sum_over_time(a[10y:1s])", "too many steps"),
        ("max_over_time(" * 9 + "a" + "[9000000s:1s])" * 9, "too many steps"),
    ],
)
async def test_a_mistake_in_a_formula_is_shown(ask, formula, why):
    with pytest.raises(DuoscopeError, match=why) as caught:
        await ask({"a": increase("requests", "route")}, formula)
    assert caught.value.code == "invalid-formula"


@pytest.mark.parametrize("name", ["on", "inf", "nan", "bool", "group_left", "a\n", "1a", "A"])
def test_words_of_promql_are_no_names(name):
    assert not formulas.is_name(name)
    assert formulas.is_name("errors")


async def test_more_values_than_are_held_are_refused(ask, monkeypatch):
    monkeypatch.setattr(formulas, "CELLS_MAX", 12)
    assert len((await ask({"a": increase("requests", "route")}))["a"]) == 3
    with pytest.raises(DuoscopeError, match="more than 12 values") as caught:
        await ask({"a": increase("requests", "route"), "b": increase("errors", "route")})
    assert caught.value.code == "query-too-expensive"


async def test_a_mistake_in_a_query_names_it(ask):
    queries = {"a": increase("requests"), "b": {"metric": "depth", "how": {"aggregation": "rate"}}}
    with pytest.raises(DuoscopeError, match="Query b: `aggregation` of a gauge is one of"):
        await ask(queries)


async def test_the_same_questions_as_promql_have_the_same_answers(otlp, stored):
    """Over points that lie within steps: PromQL's windows are open at their start, steps at their end."""
    r = random.Random(7)
    gauges, deltas = [], []
    for series in range(6):
        attributes = otlp.attributes({"route": f"r{series % 3}", "pod": f"p{series}"})
        for second in sorted(r.sample(range(1, 1200), 150)):
            if second % 60:
                point = NumberDataPoint(
                    time_unix_nano=(START_S + second) * S, as_double=r.randrange(1000), attributes=attributes
                )
                r.choice((gauges, deltas)).append(point)
    reader = await stored(
        otlp.metrics(
            "shop",
            Metric(name="depth", gauge=Gauge(data_points=gauges)),
            Metric(name="hits", sum=Sum(data_points=deltas, aggregation_temporality=1, is_monotonic=True)),
        )
    )
    times = TimeRange(START_S * S, (START_S + 1200) * S)
    storage = ClickHouseStorage(reader)
    for metric, aggregation, promql in (
        ("depth", "sum", "sum{by} (sum_over_time(depth[{step}s]))"),
        ("depth", "max", "max{by} (max_over_time(depth[{step}s]))"),
        ("depth", "min", "min{by} (min_over_time(depth[{step}s]))"),
        ("depth", "count", "sum{by} (count_over_time(depth[{step}s]))"),
        ("depth", "last", "sum{by} (last_over_time(depth[{step}s]))"),
        ("hits", "increase", "sum{by} (increase(hits_total[{step}s]))"),
        ("hits", "rate", "sum{by} (rate(hits_total[{step}s]))"),
    ):
        step, group_by = r.choice((60, 120, 300)), r.choice(([], ["route"], ["route", "pod"]))
        text = promql.format(by=f" by ({', '.join(group_by)})", step=step)
        query = Query(metric, {"aggregation": aggregation, "group_by": group_by})
        found = (await formulas.evaluate(reader, times, {"a": query}, ["a"], step=step)).results
        first = (START_S + step) * 1000
        answer = await engine.over_range(storage, text, parse(text), first, (START_S + 1200) * 1000, step * 1000)
        due = {
            tuple(sorted(dict(labels).items())): [value if has else None for value, has in zip(row, there, strict=True)]
            for labels, row, there in zip(answer.value.labels, answer.value.values, answer.value.has, strict=True)
        }
        for one in found:
            got = {tuple(sorted(labels.items())): row for labels, row in zip(one.labels, one.values, strict=True)}
            assert got == pytest.approx(due) if not due else got.keys() == due.keys(), text
            for key, row in got.items():
                assert row == [None if value is None else pytest.approx(value) for value in due[key]], (text, key)
