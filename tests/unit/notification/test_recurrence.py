"""When maintenance is, above all on the days on which clocks change."""

import time
from datetime import UTC, datetime

import pytest

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.notification.recurrence import Times, between, check, current_or_next

NIGHTLY = "FREQ=DAILY"


def _at(text):
    return datetime.fromisoformat(text)


def _times(start="02:00", end="04:00", recurrence=NIGHTLY, *, day="2026-01-01", zone="Europe/Berlin"):
    return Times(_at(f"{day}T{start}"), _at(f"{day}T{end}"), zone, recurrence)


@pytest.mark.parametrize(
    ("start", "end", "after", "since", "until"),
    [
        # Clocks go from 02:00 to 03:00: the wall shows 03:00 to 04:00 of it.
        ("02:00", "04:00", "2026-03-29T00:00", "2026-03-29T01:00", "2026-03-29T02:00"),
        # 02:30 never is; as RFC 5545 says, it is an hour and a half after midnight all the same.
        ("02:30", "04:00", "2026-03-29T00:00", "2026-03-29T01:30", "2026-03-29T02:00"),
        # Clocks go from 03:00 to 02:00: two hours on the wall last three.
        ("02:00", "04:00", "2026-10-25T00:00", "2026-10-25T00:00", "2026-10-25T03:00"),
        # 02:30 is twice: from the first, or to the second.
        ("02:30", "04:00", "2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T03:00"),
        ("01:00", "02:30", "2026-10-25T00:00", "2026-10-24T23:00", "2026-10-25T01:30"),
        # The days before and after are as long as ever.
        ("02:00", "04:00", "2026-03-28T00:00", "2026-03-28T01:00", "2026-03-28T03:00"),
        ("02:00", "04:00", "2026-03-30T00:00", "2026-03-30T00:00", "2026-03-30T02:00"),
        ("02:00", "04:00", "2026-10-26T00:00", "2026-10-26T01:00", "2026-10-26T03:00"),
    ],
)
def test_clocks_change_in_berlin(start, end, after, since, until):
    found = current_or_next(_times(start, end), _at(after).replace(tzinfo=UTC))
    assert found == (_at(since).replace(tzinfo=UTC), _at(until).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("recurrence", "now", "since"),
    [
        ("", "2026-01-01T00:30", "2026-01-01T01:00"),
        ("", "2026-01-01T02:59", "2026-01-01T01:00"),
        ("", "2026-01-01T03:00", None),
        ("FREQ=WEEKLY;BYDAY=SU", "2026-06-10T12:00", "2026-06-14T00:00"),
        ("FREQ=MONTHLY;BYDAY=-1FR", "2026-06-10T12:00", "2026-06-26T00:00"),
        ("FREQ=DAILY;COUNT=3", "2026-01-03T02:00", "2026-01-03T01:00"),
        ("FREQ=DAILY;COUNT=3", "2026-01-03T03:00", None),
        ("FREQ=DAILY;UNTIL=20260103T010000Z", "2026-01-03T00:00", "2026-01-03T01:00"),
        ("FREQ=DAILY;UNTIL=20260103T005959Z", "2026-01-03T00:00", None),
        ("FREQ=DAILY;UNTIL=20260102", "2026-01-02T00:00", "2026-01-02T01:00"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2026-01-02T00:00", "2028-02-29T01:00"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "2026-01-02T00:00", None),
    ],
)
def test_windows_recur(recurrence, now, since):
    found = current_or_next(_times(recurrence=recurrence), _at(now).replace(tzinfo=UTC))
    assert (found and found[0]) == (_at(since).replace(tzinfo=UTC) if since else None)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"zone": "Berlin"}, "time_zone"), ({"zone": "localtime"}, "IANA"), ({"zone": "posixrules"}, "IANA"),
        ({"zone": "../etc/passwd"}, "time_zone"), ({"end": "01:00"}, "ends_at"),
        ({"recurrence": "FREQ=SECONDLY"}, "FREQ=SECONDLY"), ({"recurrence": "BYDAY=SU"}, "FREQ is missing"),
        ({"recurrence": "FREQ=DAILY;BYDAY=XX"}, "BYDAY"), ({"recurrence": "FREQ=DAILY;BYMONTH=13"}, "range"),
        ({"recurrence": "FREQ=DAILY\nEXDATE:20260101"}, "recurrence"),
        ({"recurrence": "", "day": "2025-01-01"}, "over"),
        ({"recurrence": "FREQ=DAILY;COUNT=1;UNTIL=20270101"}, "exclude"), ({"day": "1970-01-01"}, "ten years"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(wrong, told):
    with pytest.raises(DuoscopeError, match=told):
        check(_times(**wrong), datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("recurrence", "zone", "told"),
    [
        ("FREQ=DAILY;BYMONTH=0", "UTC", "range"), ("FREQ=DAILY;BYMONTH=13,99", "UTC", "range"),
        ("FREQ=DAILY;BYMONTHDAY=32", "UTC", "range"), ("FREQ=YEARLY;BYYEARDAY=-367", "UTC", "range"),
        ("FREQ=YEARLY;BYWEEKNO=54", "UTC", "range"), ("FREQ=MONTHLY;BYDAY=99MO", "UTC", "range"),
        ("FREQ=MONTHLY;BYDAY=0MO", "UTC", "range"), ("FREQ=DAILY;BYDAY=MO;BYSETPOS=367", "UTC", "range"),
        ("FREQ=DAILY;BYSETPOS=1", "UTC", "another BY"), ("FREQ=DAILY;BYDAY=MO;BYSETPOS=2", "UTC", "never"),
        ("FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2", "UTC", "never"), ("FREQ=WEEKLY;BYSETPOS=300;BYDAY=MO", "UTC", "never"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "UTC", "never"), ("FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6", "UTC", "."),
        ("FREQ=DAILY;UNTIL=99991231T235959Z", "Asia/Tokyo", "too far"),
        ("FREQ=DAILY;UNTIL=00010101T000000Z", "America/New_York", "too far"),
        ("FREQ=DAILY;UNTIL=00010101T000000Z", "UTC", "never"),
    ],
)  # fmt: skip
def test_what_never_comes_is_refused_soon(recurrence, zone, told):
    began = time.process_time()
    with pytest.raises(DuoscopeError, match=told) as refused:
        check(_times(recurrence=recurrence, zone=zone), datetime(2026, 1, 1, tzinfo=UTC))
    assert refused.value.kind is ErrorKind.INVALID
    assert time.process_time() - began < 2


def test_the_times_in_a_range_are_those_that_lie_in_it_at_least_in_part():
    start, end = datetime(2026, 3, 28, 2, tzinfo=UTC), datetime(2026, 3, 30, 1, tzinfo=UTC)
    found = between(_times(), start, end, most=9)
    # 02:00 to 04:00 in Berlin, of which the night of the change has one hour.
    assert [(since.hour, until.hour, since.day) for since, until in found] == [(1, 3, 28), (1, 2, 29), (0, 2, 30)]
    assert len(between(_times(), start, end, most=2)) == 2
    assert between(_times(recurrence=""), start, end, most=9) == []
