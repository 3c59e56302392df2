"""The log records of a trace by its time range, and windows in searches for traces."""

import random

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.telemetry import trace_logs, traces, windows
from duoscope.telemetry.times import TimeRange

_START_NS = (now_unix_nano() // (3600 * 10**9) - 2) * 3600 * 10**9
HOUR = TimeRange(_START_NS, _START_NS + 3600 * 10**9)
MINUTE_NS = 60 * 10**9


async def test_records_of_a_trace(stored, otlp):
    trace, other, unsampled = b"t" * 16, b"o" * 16, b"u" * 16
    at = HOUR.start_ns + 20 * MINUTE_NS
    span = {"trace_id": trace, "span_id": b"1" * 8, "start_time_unix_nano": at, "end_time_unix_nano": at + MINUTE_NS}
    records = [
        {"time_unix_nano": at + offset * MINUTE_NS, "body": f"{offset}", "trace_id": of}
        for of in (trace, other, unsampled)
        for offset in (-15, -4, 0, 1, 5, 15)
    ]
    reader = await stored(otlp.spans("s", span), otlp.logs("s", *records))
    found = await trace_logs.of_trace(reader, trace.hex().upper())
    assert [(r.trace_id, r.body) for r in found.items] == [(trace.hex(), body) for body in ("5", "1", "0", "-4")]
    whole = await trace_logs.of_trace(reader, unsampled.hex())
    assert [r.body for r in whole.items] == ["15", "5", "1", "0", "-4", "-15"]
    shown, cursor = [], None
    while True:
        page = await trace_logs.of_trace(reader, trace.hex(), limit=3, cursor=cursor)
        shown += page.items
        if not (cursor := page.next_cursor):
            break
    assert shown == found.items
    with pytest.raises(DuoscopeError) as caught:
        await trace_logs.of_trace(reader, "0f" * 16)
    assert caught.value.kind is ErrorKind.NOT_FOUND
    for bad in ("", "xy" * 16, "0" * 31):
        with pytest.raises(DuoscopeError, match="32 hexadecimal digits"):
            await trace_logs.of_trace(reader, bad)


async def test_windows_change_no_traces_and_no_cursor(stored, otlp, monkeypatch):
    pick = random.Random(4)
    spans = [
        {
            "trace_id": pick.randrange(1, 40).to_bytes(16, "big"),
            "span_id": (n + 1).to_bytes(8, "big"),
            "name": "rare" if n % 9 == 0 else "common",
            "start_time_unix_nano": HOUR.end_ns - 1 - int(10 ** pick.uniform(0, 12.5)) // 10**10 * 10**10,
        }
        for n in range(120)
    ]
    reader = await stored(otlp.spans("s", *spans))
    for query in ("", "rare", "service:nobody"):
        whole = (await traces.search(reader, HOUR, query, limit=1000)).items
        for first_ns, limit in ((windows.FIRST_NS, 15), (10, 10)):
            monkeypatch.setattr(windows, "FIRST_NS", first_ns)
            shown, cursor = [], None
            while True:
                page = await traces.search(reader, HOUR, query, limit=limit, cursor=cursor)
                shown += page.items
                if not (cursor := page.next_cursor):
                    break
            assert shown == whole
