"""Times and cursors that requests carry."""

from datetime import datetime

import pytest

from duoscope.kernel.clock import in_range
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.notification.external import posted
from duoscope.telemetry import cursor
from duoscope.telemetry.times import TimeRange, duration_ns, time_range, unix_nano


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T01:00:00.000000001+01:00", 1),
        ("2026-11-21t01:29:37z", 1_795_224_577_000_000_000),
        ("1795224577000000001", 1_795_224_577_000_000_001),
        (17, 17),
    ],
)
def test_times(text, nanos):
    assert unix_nano(text, "start") == nanos


@pytest.mark.parametrize(
    "text", ["", "now", "2026-13-01T00:00:00Z", "2026-01-01", "1969-12-31T23:59:59Z", -1, 2**63, "9" * 20]
)
def test_what_is_no_time(text):
    with pytest.raises(DuoscopeError, match="`start` must be a time"):
        unix_nano(text, "start")


def test_ranges():
    assert time_range("1", "2") == TimeRange(1, 2)
    last_hour = time_range(None, None)
    assert last_hour.seconds == 3600
    assert time_range(None, 5) == TimeRange(0, 5)
    for start, end, message in [(2, 2, "later than"), (3, 2, "later than"), (0, 10**18, "400 days")]:
        with pytest.raises(DuoscopeError, match=message):
            time_range(start, end)


def test_durations():
    assert duration_ns("1.5ms") == 1_500_000
    assert duration_ns("2h") == 7_200_000_000_000
    assert duration_ns("5") is None


def test_cursors():
    search = ("logs", "a")
    parts = (cursor.UINT64, cursor.Text())
    text = cursor.encode(search, [1, "x"])
    assert cursor.decode(text, search, parts) == [1, "x"]
    wrong = ["", "é", "a", "W10", "W1tdXQ", text[:-3], text + "AA", "W" * 4000, cursor.encode(search, [2**64, "x"])]
    for bad in [
        *wrong,
        cursor.encode(("logs", "b"), [1, "x"]),
        cursor.encode(search, [1]),
        cursor.encode(search, [1, 2]),
    ]:
        with pytest.raises(DuoscopeError, match="cursor does not belong"):
            cursor.decode(bad, search, parts)


def test_nothing_in_a_cursor_is_believed():
    search, day = ("logs", ""), 86_400 * 10**9
    parts = (cursor.UINT64, cursor.Whole(0, 10), cursor.Text("[0-9a-f]{4}"))

    def decoded(*position):
        return cursor.decode_in_range(cursor.encode(search, list(position)), search, parts)

    assert decoded(0, 400 * day, 5, 2**64 - 1, 10, "00ff") == (TimeRange(0, 400 * day), [5, 2**64 - 1, 10, "00ff"])
    for bad in [
        (0, 400 * day + 1, 5, 0, 0, "00ff"),
        (-1, day, 5, 0, 0, "00ff"),
        (0, 2**63, 2**63 - 1, 0, 0, "00ff"),
        (day, 0, 5, 0, 0, "00ff"),
        (0, day, day, 0, 0, "00ff"),
        (5, day, 4, 0, 0, "00ff"),
        (0, day, 5, -1, 0, "00ff"),
        (0, day, 5, 2**64, 0, "00ff"),
        (0, day, 5, 0, -(2**62), "00ff"),
        (0, day, 5, 0, 2**40, "00ff"),
        (0, day, 5, 0, True, "00ff"),
        (0, day, 5, 0, 0, "00fg"),
        (0, day, 5, 0, 0, "00ff\n"),
        (0, day, 5, 0, 0, 7),
        (0, day, 5, 0, 0),
    ]:
        with pytest.raises(DuoscopeError, match="cursor does not belong"):
            decoded(*bad)
    assert cursor.Text().admits("a\nb")
    assert not cursor.Text().admits("\ud800")
    assert not cursor.Text().admits("x" * 10_000)
    assert cursor.encode(search, ["x" * 10_000]) is None


@pytest.mark.parametrize(
    ("given", "is_refused"),
    [
        ("9999-12-31T23:59:59-12:00", True), ("9999-01-01T00:00:00+00:00", True), ("0001-01-01T00:00:00+14:00", True),
        ("0001-01-01T00:00:00+00:00", True), ("1970-01-01T00:00:00+14:00", True), ("9998-12-31T23:59:59-12:00", True),
        ("1970-01-01T00:00:00+00:00", False), ("9998-12-31T23:59:59+00:00", False),
    ],
)  # fmt: skip
def test_the_ends_of_time_are_refused(given, is_refused):
    moment = datetime.fromisoformat(given)
    if not is_refused:
        assert in_range("x", moment) == moment
        return
    with pytest.raises(DuoscopeError, match="`x`") as refused:
        in_range("x", moment)
    assert refused.value.kind is ErrorKind.INVALID
    if moment.year > 1:  # Go's zero time is none
        with pytest.raises(DuoscopeError, match="endsAt"):
            posted({"alertname": "x"}, {}, "", starts_at=None, ends_at=moment)
