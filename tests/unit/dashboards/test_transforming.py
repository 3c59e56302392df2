"""Transformations, each on small tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duoscope.dashboards import frames, merging
from duoscope.dashboards import transformations as t
from duoscope.dashboards.flights import Failure, Found
from duoscope.dashboards.planning import Planned
from duoscope.dashboards.transforming import transformed
from duoscope.kernel.errors import DuoscopeError
from duoscope.telemetry.questions.answers import Steps

END_NS = 3_600_000_000_000


def asked(name, series, *, table=True, count=1, error=None):
    """A query's answer: numbers by labels."""
    planned = Planned(name, "table" if table else "series", "", Steps(END_NS, 60 * 10**9, count), None, error)
    labels = [tuple(sorted(of.items())) for of, _ in series]
    values = np.array([numbers for _, numbers in series], float).reshape(len(series), count)
    return planned, Found(labels, values)


def shown(tables):
    return [{column.name: column.values for column in table.columns} for table in tables]


CPU = asked("A", [({"pod": "a"}, [1]), ({"pod": "b"}, [2])])
MEMORY = asked("B", [({"pod": "b"}, [20]), ({"pod": "c"}, [30])])
LINES = asked("A", [({"pod": "a"}, [1, 3]), ({"pod": "b"}, [np.nan, 2])], table=False, count=2)
FIELDS = ['{pod="a"}', '{pod="b"}']
NO_TIME = t.Organize(exclude=("Time",))


@pytest.mark.parametrize(
    ("steps", "answers", "expected"),
    [
        ([], [CPU], [{"Time": [3_600_000] * 2, "pod": ["a", "b"], "Value": [1, 2]}]),
        (
            [t.Organize(exclude=("Time",), order=("Value",), rename={"pod": "Pod"})],
            [CPU],
            [{"Value": [1, 2], "Pod": ["a", "b"]}],
        ),
        (
            [t.Merge(), NO_TIME],
            [CPU, MEMORY],
            [{"pod": ["a", "b", "c"], "Value #A": [1, 2, None], "Value #B": [None, 20, 30]}],
        ),
        (
            [t.Join("pod"), t.Organize(exclude=("Time 1", "Time 2"))],
            [CPU, MEMORY],
            [{"pod": ["a", "b", "c"], "Value #A": [1, 2, None], "Value #B": [None, 20, 30]}],
        ),
        (
            [t.Join("pod", "inner"), t.Filter(exclude_regex="^Time")],
            [CPU, MEMORY],
            [{"pod": ["b"], "Value #A": [2], "Value #B": [20]}],
        ),
        ([NO_TIME, t.Rename("(V)al(.*)", "$2-$1")], [CPU], [{"pod": ["a", "b"], "ue-V": [1, 2]}]),
        ([NO_TIME, t.Rename("Val(ue)", r"$0\1$1")], [CPU], [{"pod": ["a", "b"], r"Value\1ue": [1, 2]}]),
        ([t.Filter(include=("pod",))], [CPU], [{"pod": ["a", "b"]}]),
        (
            [t.GroupBy(("pod",), (t.Aggregate("Value", ("max", "count")),))],
            [asked("A", [({"pod": "a", "n": "1"}, [1]), ({"pod": "a", "n": "2"}, [4])])],
            [{"pod": ["a"], "Value (max)": [4], "Value (count)": [2]}],
        ),
        ([NO_TIME, t.SortBy("Value", is_descending=True)], [CPU], [{"pod": ["b", "a"], "Value": [2, 1]}]),
        (
            [NO_TIME, t.Calculate("double", "Value", "*", "2"), t.Calculate("none", "Value", "/", "0")],
            [CPU],
            [{"pod": ["a", "b"], "Value": [1, 2], "double": [2, 4], "none": [None, None]}],
        ),
        (
            [NO_TIME, t.Calculate(reducer="mean", columns=("Value",))],
            [CPU],
            [{"pod": ["a", "b"], "Value": [1, 2], "Mean": [1, 2]}],
        ),
        ([t.Reduce(("last", "sum"))], [LINES], [{"Field": FIELDS, "Last *": [3, 2], "Total": [4, 2]}]),
        ([t.Reduce(("max",), with_labels=True)], [LINES], [{"Field": FIELDS, "pod": ["a", "b"], "Max": [3, 2]}]),
        ([t.Reduce(("max",), "columns")], [LINES], [{'{pod="a"}': [3]}, {'{pod="b"}': [2]}]),
        ([NO_TIME], [asked("A", [], error=Failure("x", "x"))], []),
    ],
)  # fmt: skip
def test_a_transformation(steps, answers, expected):
    assert shown(transformed(steps, answers)) == expected


def test_a_series_in_a_cell_counts_as_its_last_number():
    steps = [t.SeriesToTable(), t.SortBy("Trend #A"), t.Calculate("more", "Trend #A", "+", "1")]
    (table,) = shown(transformed(steps, [LINES]))
    assert (table["pod"], table["more"]) == (["b", "a"], [3, 4])
    assert [(each.value, each.values) for each in table["Trend #A"]] == [(2, [None, 2]), (3, [1, 3])]


GROWN = (t.Rename("(.*)", "$1" * 200),) * 3


@pytest.mark.parametrize(
    ("steps", "code", "place"),
    [
        (GROWN, "invalid-transformation", "Transformation 2: 'Value"),
        ((t.Rename("$", "x" * 996),), "invalid-transformation", "Transformation 1: 'Value'"),
        ((t.Rename("V", "$9"),), "invalid-transformation", "Transformation 1: the pattern names the group $9"),
        ((NO_TIME, t.Rename("(")), "invalid-transformation", "Transformation 2: error parsing regexp"),
    ],
)
def test_a_wrong_name_is_told_with_its_place(steps, code, place):
    with pytest.raises(DuoscopeError) as raised:
        transformed(steps, [asked("A", [({}, [1])])])
    assert raised.value.code == code
    assert raised.value.message.startswith(place)


def test_a_long_name_may_stay():
    labels = {f"label{n}": "x" * 90 for n in range(20)}
    (table,) = transformed([t.Rename("label", "l")], [asked("A", [(labels, [1])], table=False)])
    assert len(table.columns[1].name) > 1_000


def table_of(name, **columns):
    return frames.Table(name, [frames.Column(key, "number", values) for key, values in columns.items()])


def like(found):
    """The rows of `merge`, each compared with all before it."""
    rows = []
    for table in found:
        for values in zip(*(column.values for column in table.columns), strict=True):
            row = dict(zip((column.name for column in table.columns), values, strict=True))
            other = next((each for each in rows if all(each.get(k, v) == v for k, v in row.items())), None)
            rows.append(row) if other is None else other.update(row)
    return rows


CELLS = st.integers(0, 2)
TABLES = st.lists(
    st.integers(1, 6).flatmap(
        lambda rows: st.dictionaries(st.sampled_from("abcd"), st.lists(CELLS, min_size=rows, max_size=rows), min_size=1)
    ),
    min_size=2,
    max_size=5,
)


@given(TABLES)
def test_merged_rows_are_those_of_comparing_each_with_each(columns):
    found = [table_of(str(number), **each) for number, each in enumerate(columns)]
    expected = [{**dict.fromkeys(name for each in columns for name in each), **row} for row in like(found)]
    (made,) = merging.merged(found)
    names = [column.name for column in made.columns]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*(each.values for each in made.columns), strict=True)]
    shared = [name for name in names if all(name in each for each in columns)]
    first = [tuple(row[name] for name in shared) for row in expected]
    assert rows == sorted(expected, key=lambda row: first.index(tuple(row[name] for name in shared)))


def test_merging_is_linear():
    ones, others = list(range(5_000)), list(range(5_000, 10_000))
    (made,) = merging.merged([table_of("A", k=[0] * 5_000, a=ones), table_of("B", k=[0] * 5_000, a=others)])
    assert made.rows == 10_000
    with pytest.raises(DuoscopeError) as raised:
        merging.merged([table_of(str(n), k=[*range(10_000)], a=[n] * 10_000) for n in range(100)])
    assert raised.value.code == "table-too-large"


@pytest.mark.parametrize(
    ("steps", "count"),
    [
        ((t.GroupBy(("pod",), (t.Aggregate("Value #A", ("max",) * 20),) * 500),), 5_000),
        ((t.Join("pod"),), 6_000),
    ],
)
def test_work_is_bounded_before_it_is_done(steps, count):
    answers = [asked(name, [({"pod": f"{name}{n}"}, [n]) for n in range(count)]) for name in "AB"]
    with pytest.raises(DuoscopeError) as raised:
        transformed(steps, answers)
    assert raised.value.code == "table-too-large"


def test_tables_are_bounded():
    many = asked("A", [({"pod": str(n)}, [n]) for n in range(10_001)])
    with pytest.raises(DuoscopeError) as raised:
        transformed([t.Merge()], [many])
    assert raised.value.code == "table-too-large"


@pytest.mark.parametrize("step", [t.Rename("("), t.Filter(include_regex="[")])
def test_what_is_no_expression_is_told(step):
    assert "error parsing regexp" in t.problem_of(step)


@pytest.mark.parametrize(("pattern", "is_wrong"), [("$2", True), ("$9x", True), ("$0$1", False), ("$", False)])
def test_a_group_that_is_not_there_is_told(pattern, is_wrong):
    assert ("the expression has 1" in t.problem_of(t.Rename("(a)", pattern))) == is_wrong
