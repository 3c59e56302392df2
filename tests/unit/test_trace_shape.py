"""The shape of a trace, on arrays, is what walking over its spans one by one finds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from duoscope.telemetry.traces import shape

SERVING, CALLING = (shape.SERVER, shape.CONSUMER), (shape.CLIENT, shape.PRODUCER)

# Few ids and services, so that spans share them, miss their parents and are their own ancestors.
SPAN = st.tuples(
    st.integers(1, 12),  # span id
    st.integers(0, 14),  # parent id
    st.integers(0, 40),  # start
    st.one_of(st.integers(0, 30), st.sampled_from([2**63, 2**64 - 1])),  # duration
    st.integers(0, 5),  # kind
    st.integers(0, 2),  # service
    st.integers(0, 2),  # clock
)
TRACES = st.lists(SPAN, max_size=30)


def _spans(rows):
    rows = sorted(rows, key=lambda row: row[2])
    types = (np.uint64, np.uint64, np.int64, np.uint64, np.int64, np.int64, np.uint64)
    columns = [np.array([row[n] for row in rows], kind) for n, kind in enumerate(types)]
    return shape.Spans(*columns), rows


def _parents(rows):
    """The parent of each span, and which are orphans; cycles are cut at their first span."""
    parents, orphans = [], []
    for span_id, parent_id, _, _, kind, service, _ in rows:
        named = [n for n, row in enumerate(rows) if parent_id and row[0] == parent_id]
        best = min(named, key=lambda n: (rows[n][5] != service, rows[n][4] not in SERVING, n), default=-1)
        callers = [n for n, row in enumerate(rows) if row[0] == span_id and row[4] in CALLING]
        if kind in SERVING and callers:
            best = callers[0]
        parents.append(best)
        orphans.append(bool(parent_id) and best < 0)
    cut = set()
    for n in range(len(rows)):
        way, at = [], n
        while at >= 0 and at not in way:
            way.append(at)
            at = parents[at]
        if at >= 0:
            cut.add(min(way[way.index(at) :]))
    return [-1 if n in cut else parent for n, parent in enumerate(parents)], orphans, cut


def _shifts(rows, parents):
    shifts = {}

    def shift(n):
        _, _, start, took, kind, _, clock = rows[n]
        above = parents[n]
        if above < 0:
            return 0
        base = shifts[above]
        _, _, above_start, above_took, above_kind, _, above_clock = rows[above]
        if clock == above_clock:
            return base
        took, above_took = min(took, 2**61), min(above_took, 2**61)
        above_start = min(above_start + base, 2**61)
        is_message = above_kind == shape.PRODUCER or kind == shape.CONSUMER
        late = start + took > above_start + above_took and took <= above_took
        if start < above_start or (late and above_kind == shape.CLIENT and kind == shape.SERVER):
            fits = took <= above_took and not is_message
            return above_start + ((above_took - took) // 2 if fits else 0) - start
        return 0

    for n in _downwards(parents):
        shifts[n] = shift(n)
    return [shifts[n] for n in range(len(rows))]


def _downwards(parents):
    order, waiting = [], [n for n, parent in enumerate(parents) if parent < 0]
    while waiting:
        n = waiting.pop(0)
        order.append(n)
        waiting += [m for m, parent in enumerate(parents) if parent == n]
    return order


def _depth(parents, n):
    return 0 if parents[n] < 0 else 1 + _depth(parents, parents[n])


def _waterfall(parents, start):
    def below(n):
        for child in sorted((m for m, parent in enumerate(parents) if parent == n), key=lambda m: (start[m], m)):
            yield child
            yield from below(child)

    return list(below(-1))


def _bounds(parents, start, took, n):
    above = parents[n]
    return max(start[n], start[above]), min(start[n] + took[n], start[above] + took[above])


def _covered(parents, start, took, n):
    within = sorted(_bounds(parents, start, took, m) for m, parent in enumerate(parents) if parent == n)
    covered, until = 0, start[n]
    for begin, end in within:
        covered += max(0, end - max(begin, until))
        until = max(until, end)
    return covered


def _path(parents, start, took, root):
    path, waiting = set(), [root]
    while waiting:
        n = waiting.pop()
        path.add(n)
        children = [m for m, parent in enumerate(parents) if parent == n]
        windows = {m: _bounds(parents, start, took, m) for m in children}
        left = [m for m in children if windows[m][1] >= windows[m][0]]
        cursor = start[n] + took[n]
        while fitting := [m for m in left if windows[m][1] <= cursor]:
            last = max(fitting, key=lambda m: (windows[m][1], -windows[m][0], m))
            waiting.append(last)
            # Those that end later are past; so are equal ones, of which one is enough.
            order = (windows[last][1], -windows[last][0], last)
            left = [m for m in left if (windows[m][1], -windows[m][0], m) < order]
            cursor = windows[last][0]
    return path


@settings(max_examples=500, deadline=None)
@given(TRACES)
def test_the_shape_on_arrays_is_what_a_walk_finds(rows):
    spans, rows = _spans(rows)
    found = shape.shape_of(spans)
    parents, orphans, cut = _parents(rows)
    assert found.parent.tolist() == parents
    assert [bool(flags & shape.ORPHAN) for flags in found.flags] == orphans
    assert {n for n, flags in enumerate(found.flags) if flags & shape.CYCLE} == cut
    assert found.depth.tolist() == [_depth(parents, n) for n in range(len(rows))]
    shifts = _shifts(rows, parents)
    took = [min(row[3], 2**61) for row in rows]
    start = [min(row[2] + shift, 2**61) for row, shift in zip(rows, shifts, strict=True)]
    assert (found.shift_ns + spans.start_ns).tolist() == start
    assert found.order.tolist() == _waterfall(parents, start)
    assert found.self_ns.tolist() == [row[3] - _covered(parents, start, took, n) for n, row in enumerate(rows)]
    seen = set()
    for row, flags in zip(rows, found.flags, strict=True):
        assert bool(flags & shape.REPEATED) == ((row[0], row[4], row[5]) in seen)
        seen.add((row[0], row[4], row[5]))
    if rows:
        roots = [n for n, parent in enumerate(parents) if parent < 0]
        root = min(roots, key=lambda n: (rows[n][1] != 0, -rows[n][3], n))
        on_path = {n for n, flags in enumerate(found.flags) if flags & shape.CRITICAL}
        assert on_path == _path(parents, start, took, root)


def test_no_chain_is_too_deep():
    count = 100_000
    index = np.arange(count)
    chain = shape.Spans(
        span_id=(index + 1).astype(np.uint64), parent_id=index.astype(np.uint64), start_ns=index * 2,
        duration_ns=(4 * count - 4 * index).astype(np.uint64), kind=np.where(index % 2, shape.SERVER, shape.CLIENT),
        service=index % 7, clock=(index % 3).astype(np.uint64),
    )  # fmt: skip
    found = shape.shape_of(chain)
    assert found.depth.tolist() == list(range(count))
    assert found.order.tolist() == list(range(count))
    assert found.self_ns.tolist() == [4] * (count - 1) + [4]
    assert (found.flags == shape.CRITICAL).all()


def test_a_clock_that_is_behind_is_set_right_with_all_that_it_timed():
    # A client of 100 ms; its server, whose clock is 10 s behind, took 60 of them, and a child of that 20.
    spans, _ = _spans([
        (2, 1, 0, 60, shape.SERVER, 1, 1), (3, 2, 15, 20, 1, 1, 1), (1, 0, 10_000, 100, shape.CLIENT, 0, 0),
    ])  # fmt: skip
    found = shape.shape_of(spans)
    assert found.shift_ns.tolist() == [10_020, 10_020, 0]
    assert [bool(flags & shape.MOVED) for flags in found.flags] == [True, True, False]
    assert found.self_ns.tolist() == [40, 20, 40]


def test_what_outlives_its_caller_stays():
    # A server that went on after its client gave up, and a message that was consumed later.
    spans, _ = _spans([
        (1, 0, 0, 100, shape.CLIENT, 0, 0), (2, 1, 10, 500, shape.SERVER, 1, 1),
        (3, 0, 20, 5, shape.PRODUCER, 0, 0), (4, 3, 900, 50, shape.CONSUMER, 1, 1),
    ])  # fmt: skip
    assert shape.shape_of(spans).shift_ns.tolist() == [0, 0, 0, 0]
