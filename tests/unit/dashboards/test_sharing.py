"""What the holder of a link may choose: each value once."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from duoscope.dashboards import model
from duoscope.dashboards.sharing import Opened
from duoscope.dashboards.variables import ListVariable, Option, chosen
from duoscope.kernel.errors import DuoscopeError

VARIABLE = ListVariable(name="service", multi=True, options=(Option("cart"), Option("pay"), Option("cart")))


@pytest.mark.parametrize(
    ("listed", "wanted", "expected"),
    [
        (["cart", "pay"], {"service": ["cart"] * 1000}, ("cart",)),
        (["cart", "pay"], {"service": ["pay", "cart", "pay"]}, ("pay", "cart")),
        (["pay"] * 1000, {}, ("pay",)),
        (["cart"], {"service": ["pay"]}, None),
    ],
)
def test_a_value_is_chosen_once(listed, wanted, expected):
    link, dashboard = SimpleNamespace(variables={"service": listed}), SimpleNamespace(variables=[VARIABLE])
    opened = Opened(cast("Any", None), cast("Any", link), {}, cast("Any", dashboard))
    if expected is None:
        with pytest.raises(DuoscopeError, match="not let you"):
            opened.chosen(wanted)
    else:
        assert opened.chosen(wanted) == {"service": expected}


def test_no_widget_looks_further_back_than_the_link_lets():
    place = {"x": 0, "y": 0, "width": 1, "height": 1}
    ranges = {"a": None, "b": 60, "c": 86_400}
    document = model.parsed(
        {"name": "D", "sections": [{"places": [place | {"widget": key} for key in ranges]}],
         "widgets": [{"key": key, "type": "text", "range_seconds": length} for key, length in ranges.items()]}
    )  # fmt: skip
    opened = Opened(cast("Any", None), cast("Any", SimpleNamespace(range_seconds_max=3600)), {}, document)
    assert [each.range_seconds for each in opened.bounded().widgets] == [None, 60, 3600]


@pytest.mark.parametrize("values", [("cart",) * 1001, ("cart", "cart")])
def test_a_variable_takes_each_value_once(values):
    assert chosen(VARIABLE, values).values == ("cart",)
