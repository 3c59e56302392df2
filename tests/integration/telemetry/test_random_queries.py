"""Random trees and random text in the search language, on items of every kind: answers that agree with each other, or
an error that points at a character.
"""

import random

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.telemetry import logs, traces
from duoscope.telemetry.aggregates.measures import Measure
from duoscope.telemetry.aggregates.table import Asked, aggregate
from duoscope.telemetry.language import Signal
from duoscope.telemetry.metrics import labels
from duoscope.telemetry.times import TimeRange
from duoscope.telemetry.traces.structure import Wanted

_START_NS = (now_unix_nano() // (3600 * 10**9) - 2) * 3600 * 10**9
HOUR = TimeRange(_START_NS, _START_NS + 3600 * 10**9)
TEXTS = ("timeout", "数据库", "", "a b", '"said"', "/cart", "50%_x", "Ünïcode", "\\", "{json}", "🔥", "x" * 300)
VALUES = (*TEXTS, 0, 500, -1, 0.5, True, None, [1, "a"], {"team": "red"}, 2**63 - 1, 1e300)
NAMES = ("code", "took", "user.id", "labels", "labels.team", "resource.k8s.pod", "scope.name", "event.name", "größe",
         '"odd name"', "body.text", "link.trace_id", "attributes.status")  # fmt: skip
FIELDS = {
    Signal.LOGS: ("service", "scope", "body", "severity", "severity_text", "event", "trace_id", "span_id"),
    Signal.TRACES: ("service", "scope", "name", "kind", "status", "duration", "parent_span_id", "status_message"),
}
WORDS = ("timeout", "库", '"a b"', "*ime*", '"said \\"no\\""', "50%_x", "ünïcode", "https://x/y?z", "🔥", "*", "/cart")
LITERALS = (*WORDS, "500", "-1", "0.5", "1e300", "true", '""', "error", "warn", "server", "250ms", "9" * 30, "red",
            "/t.*t$/", "/(/", "/(?i)RED|[0-9]+/", "(500 OR red)", "(>=1 NOT 500)", "(a AND /b/)", "00" * 8,
            "NaN")  # fmt: skip
PIECES = (*WORDS, *LITERALS, *NAMES, "(", ")", "-", "NOT", "AND", "OR", ":", "!=", ">", '"', "\\", "/", "\n", "\u3000",
          "\x00", "'", "--", ";", "{q1:String}", "@traces", "%s", "\u202e", "\ud83d\ude00")  # fmt: skip


@pytest.fixture
async def reader(stored, otlp):
    pick = random.Random(1)

    def attributes():
        return {
            name.strip('"').removeprefix("attributes."): pick.choice(VALUES) for name in NAMES if pick.random() < 0.4
        }

    records = [
        {"time_unix_nano": _START_NS + pick.randrange(3600 * 10**9), "severity_number": pick.choice((0, 9, 17, 24)),
         "severity_text": pick.choice(("", "WARN", "odd")), "attributes": attributes(),
         "body": pick.choice((*VALUES, {"text": pick.choice(TEXTS)})), "trace_id": pick.choice((b"", b"t" * 16))}
        for _ in range(120)
    ]  # fmt: skip
    spans = [
        {"trace_id": (number // 4 + 1).to_bytes(16, "big"), "span_id": (number + 1).to_bytes(8, "big"),
         "parent_span_id": (number).to_bytes(8, "big") if number % 4 else b"", "name": pick.choice(TEXTS),
         "kind": pick.randrange(6), "status": pick.randrange(3), "attributes": attributes(),
         "start_time_unix_nano": (at := _START_NS + pick.randrange(3600 * 10**9)),
         "end_time_unix_nano": at + pick.randrange(10**9)}
        for number in range(120)
    ]  # fmt: skip
    return await stored(otlp.logs("shop", *records), otlp.spans("shop", *spans), otlp.spans("cart", *spans[::7]))


def _tree(chance, signal, depth=3):
    kind = chance.random()
    if depth and kind < 0.5:
        parts = [_tree(chance, signal, depth - 1) for _ in range(chance.randint(1, 3))]
        return f"({chance.choice((' ', ' AND ', ' OR ')).join(parts)})"
    if depth and kind < 0.65:
        return f"{chance.choice(('-', 'NOT '))}{_tree(chance, signal, depth - 1)}"
    if kind < 0.75:
        return chance.choice(WORDS)
    name = chance.choice((*NAMES, *FIELDS[signal]))
    return f"{name}{chance.choice((':', '=', '!=', '>', '>=', '<', '<='))}{chance.choice(LITERALS)}"


async def _answered(asked):
    """What is answered; None for an error, which must say where the mistake is."""
    try:
        return await asked
    except DuoscopeError as error:
        if (error.kind, error.code) != (ErrorKind.INVALID, "invalid-query") or "character" not in error.message:
            raise
        return None


async def _count(reader, signal, query):
    found = await aggregate(reader, Asked(signal, HOUR, query, (Measure(),)))
    return found.total[0]


@pytest.mark.parametrize("signal", [Signal.LOGS, Signal.TRACES])
@pytest.mark.parametrize("seed", range(2))
async def test_a_tree_and_its_opposite_are_all_items(reader, signal, seed):
    chance, answered = random.Random(f"{signal}{seed}"), 0
    everything = await _count(reader, signal, "")
    while answered < 10:
        query = _tree(chance, signal)
        count = await _answered(_count(reader, signal, query))
        if count is None:
            continue
        answered += 1
        assert count + await _count(reader, signal, f"NOT ({query})") == everything, query
        if signal is Signal.LOGS:
            page = await logs.search(reader, HOUR, query, limit=1000)
            # What finds nothing is looked for as text, too, and says so.
            assert len(page.items) == count or (not count and page.hint), query


@pytest.mark.parametrize("seed", range(2))
async def test_any_text_is_answered_or_refused_at_a_place(reader, seed):
    chance = random.Random(seed)

    def text():
        return chance.choice(("", " ")).join(chance.choice(PIECES) for _ in range(chance.randint(1, 8)))

    refused = 0
    for _ in range(12):
        query = text()
        refused += await _answered(logs.search(reader, HOUR, query)) is None
        await _answered(labels.list_labels(reader, HOUR, query=query))
        wanted = Wanted(*(chance.choice(("", "", text())) for _ in range(5)), chance.choice(("", text(), "spans>1")))
        refused += await _answered(traces.search(reader, HOUR, chance.choice(("", query)), wanted)) is None
    assert refused
