"""Lines folded into patterns, and what is new or gone between two ranges."""

from uuid import UUID

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.telemetry import log_patterns
from duoscope.telemetry.times import TimeRange
from duoscope.telemetry.values import rfc3339

_START_NS = (now_unix_nano() // (3600 * 10**9) - 3) * 3600 * 10**9
BEFORE = TimeRange(_START_NS, _START_NS + 3600 * 10**9)
HOUR = TimeRange(BEFORE.end_ns, BEFORE.end_ns + 3600 * 10**9)
NAMES = ("ann", "bob", "cid", "dot", "eve")
LINES = {
    "GET /api/orders/<*> took <*>ms": [f"GET /api/orders/{n} took {n * 1.5}ms" for n in range(9)],
    "request <*> done": [f"request {UUID(int=n << 64 | 7)} done" for n in range(8)],
    "peer <*> closed at <*>": [f"peer 10.0.{n}.1:80{n} closed at 2026-01-0{n + 1}T10:00:00.5Z" for n in range(7)],
    "key <*> not found": [f'key "k {name}" not found' for name in NAMES],
    "user <*> logged in": [f"user {name} logged in" for name in NAMES],
    "cache at <*> is cold": ["cache at 0xDEADBEEF is cold", "cache at 0x1 is cold"],
    "order was created": ["order was created"] * 6,
    "order was deleted": ["order was deleted"] * 4,
    '{"n":<*>,"msg":"it can\'t be"}': [f'{{"n":{n},"msg":"it can\'t be"}}' for n in range(3)],
    "don't know what it's about": ["don't know what it's about"],
    "red text over lines": ["\x1b[31mred text\x1b[0m\n  over\tlines"],
    "": [""],
}  # fmt: skip


def _records(lines, start_ns):
    return [{"time_unix_nano": start_ns + n, "body": line} for n, line in enumerate(lines)]


async def test_lines_are_folded(stored, otlp):
    lines = [line for of in LINES.values() for line in of]
    reader = await stored(
        otlp.logs("a", *_records(lines, HOUR.start_ns)), otlp.logs("b", *_records(lines, HOUR.start_ns))
    )
    found = await log_patterns.patterns(reader, HOUR)
    assert {p.pattern: p.count for p in found.items} == {pattern: 2 * len(of) for pattern, of in LINES.items()}
    assert [p.count for p in found.items] == sorted((p.count for p in found.items), reverse=True)
    first = found.items[0]
    assert first == log_patterns.Pattern(
        "GET /api/orders/<*> took <*>ms", 18, None, None, "GET /api/orders/8 took 12.0ms",
        rfc3339(HOUR.start_ns), rfc3339(HOUR.start_ns + 8), ["a", "b"], [18] + [0] * 23,
    )  # fmt: skip
    assert (found.pattern_count, found.lines.matched, found.lines.read) == (len(LINES), 2 * len(lines), 2 * len(lines))
    some = await log_patterns.patterns(reader, HOUR, "service:a order", limit=1)
    assert ([(p.pattern, p.count) for p in some.items], some.pattern_count) == ([("order was created", 6)], 2)


async def test_the_newest_lines_are_read(stored, otlp, monkeypatch):
    monkeypatch.setattr(log_patterns, "LINES_MAX", 3)
    lines = [f"kind {'abcdefgh'[n]}" for n in range(8)]
    reader = await stored(otlp.logs("a", *_records(lines, HOUR.start_ns)))
    found = await log_patterns.patterns(reader, HOUR)
    assert {p.pattern for p in found.items} == {"kind f", "kind g", "kind h"}
    assert (found.lines.matched, found.lines.read) == (8, 3)


async def test_what_is_new_and_what_is_gone(stored, otlp):
    then = ["stays 1", "stays 2", "went 3"]
    now = ["stays 4", "came 5", "came 6"]
    reader = await stored(otlp.logs("a", *_records(then, BEFORE.start_ns), *_records(now, HOUR.start_ns)))
    found = await log_patterns.patterns(reader, HOUR, compared=BEFORE)
    assert [(p.pattern, p.count, p.compared_count, p.change) for p in found.items] == [
        ("came <*>", 2, 0, "new"),
        ("went <*>", 0, 1, "gone"),
        ("stays <*>", 1, 2, None),
    ]
    assert found.compared_lines == log_patterns.Read(3, 3)
    with pytest.raises(DuoscopeError, match="must not overlap"):
        await log_patterns.patterns(reader, HOUR, compared=TimeRange(BEFORE.start_ns, HOUR.start_ns + 1))


async def test_nothing_found_and_refused(api, new_scope, telemetry_store):
    reader = telemetry_store.bind(new_scope())
    found = await log_patterns.patterns(reader, TimeRange(0, 1), "nosuch", compared=TimeRange(1, 2))
    assert (found.items, found.lines) == ([], log_patterns.Read(0, 0))
    assert "No log records" in (found.hint or "")
    headers = await api.headers(new_scope())
    for bad in (
        "query=(",
        "limit=0",
        "compare_start=1",
        "compare_end=soon",
        "compare_end=2200-01-01T00:00:00Z&start=x",
    ):
        assert (await api.client.get(f"/api/v1/logs/patterns?{bad}", headers=headers)).status_code == 400, bad
