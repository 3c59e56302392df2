"""Transformations, each on small tables."""

import numpy as np
import pytest

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


def test_tables_are_bounded():
    many = asked("A", [({"pod": str(n)}, [n]) for n in range(10_001)])
    with pytest.raises(DuoscopeError) as raised:
        transformed([t.Merge()], [many])
    assert raised.value.code == "table-too-large"


@pytest.mark.parametrize("step", [t.Rename("("), t.Filter(include_regex="[")])
def test_what_is_no_expression_is_told(step):
    assert "error parsing regexp" in t.problem_of(step)
