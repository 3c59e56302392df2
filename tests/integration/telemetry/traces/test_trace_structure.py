"""Traces found by what is below a span, by what is not there and by sums: what a walk over every trace finds."""

import random
from collections import defaultdict

import pytest

from duoscope.kernel.clock import now_unix_nano
from duoscope.kernel.errors import DuoscopeError
from duoscope.stores.clickhouse.questions import asking
from duoscope.telemetry import traces, windows
from duoscope.telemetry.times import TimeRange
from duoscope.telemetry.traces import finding, structure
from duoscope.telemetry.traces.structure import Wanted

_START_NS = (now_unix_nano() // (3600 * 10**9) - 2) * 3600 * 10**9
HOUR = TimeRange(_START_NS, _START_NS + 3600 * 10**9)
TRACES = 60
SERVICES = ("front", "cart", "payment")


def _forest():
    """Trees of up to eight spans, some of which miss their parent: (trace, span, parent, service, status, at)."""
    rng = random.Random(7)
    for trace in range(1, TRACES + 1):
        for span in range(1, rng.randint(1, 8) + 1):
            parent = rng.choice([0, *range(1, span), *range(1, span), 99])
            yield trace, span, parent, rng.choice(SERVICES), rng.choice((0, 0, 2)), rng.randrange(10**9)


@pytest.fixture(scope="module")
def forest():
    return list(_forest())


@pytest.fixture
async def reader(stored, otlp, forest):
    by_service = defaultdict(list)
    for trace, span, parent, service, status, at in forest:
        by_service[service].append(
            {"trace_id": trace.to_bytes(16, "big"), "span_id": span.to_bytes(8, "big"), "name": f"{service} {span}",
             "parent_span_id": parent.to_bytes(8, "big") if parent else b"", "status": status, "kind": 1,
             "start_time_unix_nano": _START_NS + at, "end_time_unix_nano": _START_NS + at + trace * 10**7,
             "attributes": {"failed": "yes"} if status == 2 else {}}
        )  # fmt: skip
    return await stored(*(otlp.spans(service, *spans) for service, spans in by_service.items()))


FAILED = "status:error"
QUESTIONS = [
    ("service:front", Wanted(child="service:cart")),
    ("service:front", Wanted(descendant=f"service:payment {FAILED}")),
    ("service:front", Wanted(child="service:cart", descendant="service:payment")),
    ("service:cart", Wanted(without_child="service:front")),
    ("service:front", Wanted(without_descendant="-service:front")),
    ("", Wanted(without=FAILED)),
    ("service:front", Wanted(child="service:cart", without="service:payment")),
    (FAILED, Wanted(child=FAILED, without_descendant="service:payment")),
    ("failed:yes", Wanted(child="service:cart", without_descendant="failed:yes")),
    ("service:front", Wanted(trace="spans>5 errors>0")),
    ("", Wanted(trace="duration>500ms OR spans:1")),
    ("", Wanted(trace="-service:cart services>1")),
    (FAILED, Wanted(descendant="service:cart", trace="root.service:front root.name:front*")),
]


def _matches(query, service, status):
    """Whether a span matches one of the queries above."""
    for term in query.split():
        field, value = term.split(":")
        holds = status == 2 if field in {"status", "failed"} else service == value
        if field == "-service":
            holds = service != value.removeprefix("-")
        if not holds:
            return False
    return True


def _summary_meets(spans, text):
    count, errors = len(spans), sum(status == 2 for *_, status, _ in spans)
    names = {service for _, _, _, service, _, _ in spans}
    trace = spans[0][0]
    took = (max(at for *_, at in spans) - min(at for *_, at in spans)) + trace * 10**7
    root = min(spans, key=lambda span: (span[2] != 0, span[5]))
    return {
        "": True, "spans>5 errors>0": count > 5 and errors > 0,
        "duration>500ms OR spans:1": took > 5 * 10**8 or count == 1,
        "-service:cart services>1": "cart" not in names and len(names) > 1,
        "root.service:front root.name:front*": root[3] == "front",
    }[text]  # fmt: skip


def _by_hand(forest, query, wanted, until=10**9):
    """The traces, newest first; matching spans are those before `until`."""
    by_trace = defaultdict(list)
    for span in forest:
        by_trace[span[0]].append(span)
    found = []
    for trace, spans in by_trace.items():
        below = {span[1]: [other for other in spans if other[2] == span[1]] for span in spans}

        def under(span, below=below):
            for child in below[span[1]]:
                yield child
                yield from under(child)

        def some(text, among):
            return any(_matches(text, other[3], other[4]) for other in among)

        def holds(span, spans=spans, below=below, under=under, some=some):
            return (
                span[5] < until
                and _matches(query, span[3], span[4])
                and (not wanted.child or some(wanted.child, below[span[1]]))
                and (not wanted.descendant or some(wanted.descendant, under(span)))
                and not (wanted.without_child and some(wanted.without_child, below[span[1]]))
                and not (wanted.without_descendant and some(wanted.without_descendant, under(span)))
                and not (wanted.without and some(wanted.without, spans))
            )

        if any(map(holds, spans)) and _summary_meets(spans, wanted.trace):
            newest = max(span[5] for span in spans if span[5] < until and _matches(query, span[3], span[4]))
            found.append((newest, trace))
    return [trace for _, trace in sorted(found, reverse=True)]


async def test_structure_and_sums_are_what_a_walk_finds(reader, forest, monkeypatch):
    for query, wanted in QUESTIONS:
        page = await traces.search(reader, HOUR, query, wanted)
        expected = _by_hand(forest, query, wanted)
        assert 0 < len(expected) < TRACES, (query, wanted, "proves nothing")
        assert [int(trace.trace_id, 16) for trace in page.items] == expected, (query, wanted)
        assert page.next_cursor is None
    # In small portions, and page by page, the same.
    monkeypatch.setattr(finding, "CANDIDATES_MIN", 2)
    monkeypatch.setattr(finding, "CANDIDATES_AT_ONCE_MAX", 4)
    monkeypatch.setattr(finding, "CANDIDATES_MAX", 10)
    monkeypatch.setattr(structure, "SPANS_AT_ONCE_MAX", 10)
    for query, wanted in QUESTIONS[:9:4]:
        found, cursor, hints = [], None, set()
        while True:
            page = await traces.search(reader, HOUR, query, wanted, limit=2, cursor=cursor)
            found += [int(trace.trace_id, 16) for trace in page.items]
            hints |= {page.hint} - {None}
            if not (cursor := page.next_cursor):
                break
            assert len(page.items) <= 2
        assert found == _by_hand(forest, query, wanted)
        assert all("`next_cursor` goes on from there" in hint for hint in hints)


@pytest.mark.parametrize("first_ns", [10**7, 10**8])
async def test_windows_change_no_answer(reader, forest, monkeypatch, first_ns):
    """However long windows and portions are, and wherever the range ends: the pages are what a walk finds."""
    chance = random.Random(first_ns)
    monkeypatch.setattr(windows, "FIRST_NS", first_ns)
    for query, wanted in QUESTIONS:
        until, limit = chance.choice((10**9, 5 * 10**8)), chance.choice((1, 3, 100))
        monkeypatch.setattr(finding, "CANDIDATES_MIN", chance.choice((1, 4, 200)))
        # From which on traces without what is looked for are kept out, and where a page ends.
        monkeypatch.setattr(finding, "CANDIDATES_AT_ONCE_MAX", chance.choice((1, 8, 4000)))
        monkeypatch.setattr(finding, "CANDIDATES_MAX", chance.choice((7, 20_000)))
        found, cursor = [], None
        while True:
            page = await traces.search(
                reader, TimeRange(_START_NS, _START_NS + until), query, wanted, limit=limit, cursor=cursor
            )
            found += [int(trace.trace_id, 16) for trace in page.items]
            if not (cursor := page.next_cursor):
                break
        assert found == _by_hand(forest, query, wanted, until), (query, wanted, until, limit)


async def test_a_page_of_common_structure_reads_no_more_than_it_needs(stored, otlp):
    """Of an hour with a trace a second, those of the last minutes."""
    spans = [
        {"trace_id": n.to_bytes(16, "big"), "span_id": span.to_bytes(8, "big"), "name": "x", "kind": 1,
         "parent_span_id": (1).to_bytes(8, "big") if span == 2 else b"",
         "start_time_unix_nano": _START_NS + n * 10**9, "end_time_unix_nano": _START_NS + n * 10**9 + 5}
        for n in range(3600) for span in (1, 2)
    ]  # fmt: skip
    reader = await stored(otlp.spans("front", *spans))
    with asking() as question:
        page = await traces.search(reader, HOUR, "", Wanted(child="name:x"), limit=100)
    assert [int(trace.trace_id, 16) for trace in page.items] == [*range(3599, 3499, -1)]
    assert question.windows == 1
    with asking() as question:
        assert (await traces.search(reader, HOUR, "", Wanted(child="name:y"), limit=100)).items == []
    assert question.windows == 1  # and then the traces that have such a span in the whole range


async def test_nothing_found_says_what_was_missing(reader):
    page = await traces.search(reader, HOUR, "service:front", Wanted(child="service:nobody"))
    assert page.items == []
    assert page.hint
    page = await traces.search(reader, HOUR, "service:front", Wanted(trace="spans>1000"))
    assert page.hint
    assert "none has what the other parameters ask for" in page.hint


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(child="(a"), "`child`: Query, character 1: this parenthesis is not closed"),
        (Wanted(without="severity:error"), "`without`: Query, character 1: severity is a field of logs"),
        (Wanted(trace="spans>many"), "`trace`: Query, character 1: spans takes a whole number, not 'many'."),
        (Wanted(trace="a spans>1"), "`trace`: Query, character 1: about a whole trace there are spans, errors"),
        (Wanted(trace="errors>0 duration>9"), "`trace`: Query, character 10: duration takes a number with a unit"),
        (Wanted(trace=f"duration>{'9' * 400}s"), "`trace`: Query, character 1: duration takes a number with a unit"),
        (Wanted(trace="root.name>a"), "`trace`: Query, character 1: root.name is a text and takes no >"),
        (Wanted(trace="root.name:/a/"), "`trace`: Query, character 1: root.name of a trace takes no regular"),
    ],
)
def test_mistakes_name_the_parameter_and_the_place(wanted, message):
    with pytest.raises(DuoscopeError) as raised:
        wanted.check("")
    assert raised.value.code == "invalid-query"
    assert raised.value.message.startswith(message)
    assert f"`{raised.value.place.field}`" == message.partition(":")[0]
