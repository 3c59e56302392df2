"""The matchers in Alertmanager's parameter `filter`."""

import time

import pytest

from duoscope.api.compat.alertmanager.forms import filters
from duoscope.kernel.errors import DuoscopeError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a=b", ("a", "=", "b")), (' a =~ "b|c" ', ("a", "=~", "b|c")), ('"a b"!="c"', ("a b", "!=", "c")),
        ("a!~b c", ("a", "!~", "b c")), ('a="b\\"c"', ("a", "=", 'b"c')), ("a=", ("a", "=", "")),
    ],
)  # fmt: skip
def test_a_matcher(text, found):
    (matcher,) = filters([text])
    assert (matcher.name, matcher.operator, matcher.value) == found


@pytest.mark.parametrize(
    "text", ["", "a", "=b", 'a="', '"a', "a" * 100_000, '"' + "\\a" * 900, "a" + " " * 1900, "a=" + "b" * 2000]
)
def test_what_is_none_is_refused_soon(text):
    began = time.process_time()
    with pytest.raises(DuoscopeError, match="filter"):
        filters([text])
    assert time.process_time() - began < 0.1
