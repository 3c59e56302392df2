"""Telemetry in a terminal: nothing of it is obeyed, and lines keep their width."""

import math
import re

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duoscope.cli.reading import text

JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda some: st.lists(some, max_size=3))


@given(JSON)
def test_nothing_moves_the_cursor(value):
    assert text.plain(value).isprintable()


@given(st.text())
def test_a_record_is_one_line(body):
    item = {
        "timestamp": "2026-01-31T08:00:00.123456789Z",
        "severity_number": 17,
        "severity_text": body,
        "service_name": body,
        "body": body,
        "event_name": "",
        "attributes": {body: body},
    }
    assert click.unstyle(text.record(item)).isprintable()


@pytest.mark.parametrize(
    ("ns", "shown"),
    [(None, "-"), (0, "0 ns"), (999, "999 ns"), (1_234, "1.23 µs"), (5 * 10**9, "5 s"), (5_400 * 10**9, "1.5 h")],
)
def test_durations(ns, shown):
    assert text.duration(ns) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (1234567.4, "1,234,567"),
        (0.00012345, "0.000123"),
        (1e-9, "1e-09"),
        (math.nan, "NaN"),
        (-math.inf, "-Inf"),
    ],
)
def test_numbers(value, shown):
    assert text.number(value) == shown


@given(st.lists(st.none() | st.floats(), max_size=300), st.integers(1, 100))
def test_a_sparkline_fits(values, width):
    line = text.sparkline(values, width)
    assert len(line) <= width
    assert re.fullmatch("[ ▁▂▃▄▅▆▇█]*", line)


def test_a_sparkline_rises():
    assert text.sparkline([0, 1, 2, 3, 4, 5, 6, None, 7], 10) == "▁▂▃▄▅▆▇ █"


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.text(max_size=80), st.integers(-(10**12), 10**12), st.integers(0, 10**12)),
        min_size=1,
        max_size=20,
    ),
    st.integers(1, 300),
)
def test_bars_stay_in_their_place(spans, width):
    """Whatever offsets a clock that is wrong makes."""
    depths, names, offsets, durations = map(list, zip(*spans, strict=True))
    numbers = range(len(spans))
    trace = {
        "duration_ns": max(durations),
        "services": ["s"],
        "names": names,
        "statuses": ["unset", "error"],
        "spans": {
            "depth": depths,
            "name": list(numbers),
            "service": [0] * len(spans),
            "offset_ns": offsets,
            "duration_ns": durations,
            "status": [number % 2 for number in numbers],
            "flags": [number % 8 for number in numbers],
        },
    }
    lines = [click.unstyle(line) for line in text.waterfall(trace, width)]
    assert len(lines) == len(spans)
    assert all("━" in line for line in lines)
