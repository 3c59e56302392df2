"""The shape of a trace: its tree, what its clocks say, self times and the critical path, computed on arrays.

Pure functions over one element a span. Nothing is recursive and nothing loops over spans: relations over many levels
come from pointers that are doubled, so that a chain of 100,000 spans costs what a bush of them does.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Ids: TypeAlias = NDArray[np.uint64]
Mask: TypeAlias = NDArray[np.bool_]

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
"""Kinds of spans, as OTLP numbers them."""

ORPHAN: Final = 1
"""The span names a parent that is not there."""
MOVED: Final = 2
"""The start of the span was corrected."""
CRITICAL: Final = 4
"""The span is on the critical path."""
REPEATED: Final = 8
"""An earlier span of the same service and kind has the same id."""
CYCLE: Final = 16
"""The span was its own ancestor, and was made a root."""

CLOCK_CROSSINGS_MAX: Final = 1000
"""From one clock to another, on the way from a root: what is below is not moved."""
_TIME_MAX: Final = 2**61
"""Of what is computed with, in nanoseconds: 73 years, so that sums do not overflow."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans of one trace in the order of their start.

    Attributes:
        span_id: any number that stands for the id.
        parent_id: the same, of the parent; 0 for none.
        start_ns: since any moment that is not later than the first start.
        duration_ns: up to 2**64 - 1.
        kind: as OTLP numbers them.
        service: a number from 0 for each service.
        clock: any number; spans of one number were timed by one clock.
    """

    span_id: Ids
    parent_id: Ids
    start_ns: Ints
    duration_ns: Ids
    kind: Ints
    service: Ints
    clock: Ids


@dataclass(frozen=True, slots=True)
class Shape:
    """The relations of spans to one another, in the order of the spans.

    Attributes:
        parent: the index of each span's parent; -1 for roots, orphans, and where a cycle was cut.
        depth: 0 for those.
        order: the indices in the order of a waterfall: parents before their children, siblings by start.
        shift_ns: what was added to the start.
        self_ns: the duration without what children within it took.
        flags: ORPHAN and the others, added up.
    """

    parent: Ints
    depth: Ints
    order: Ints
    shift_ns: Ints
    self_ns: Ids
    flags: Ints


def shape_of(spans: Spans) -> Shape:
    """Compute the shape of a trace."""
    parent, flags = parents(spans)
    duration = np.minimum(spans.duration_ns, _TIME_MAX).astype(np.int64)
    shift = shifts(spans, parent, duration)
    start = np.clip(spans.start_ns + shift, -_TIME_MAX, _TIME_MAX)
    shift = start - spans.start_ns
    flags |= np.where(shift != 0, MOVED, 0)
    flags |= np.where(critical_path(parent, start, duration, _main_root(spans, parent)), CRITICAL, 0)
    covered = covered_by_children(parent, start, duration)
    own = spans.duration_ns - covered.astype(np.uint64)
    return Shape(parent, depths(parent), waterfall_order(parent, start), shift, own, flags)


def parents(spans: Spans) -> tuple[Ints, Ints]:
    """The index of each span's parent, or -1, and flags: ORPHAN, REPEATED, CYCLE.

    Where several spans have the parent's id, one of the own service is the parent, else the serving one, the earliest.
    A serving span that shares its id with a calling one, as with Zipkin, is the child of that.
    """
    count = len(spans.span_id)
    if not count:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    index = np.arange(count)
    serves = np.isin(spans.kind, (SERVER, CONSUMER))
    calls = np.isin(spans.kind, (CLIENT, PRODUCER))
    ids, of_id = np.unique(spans.span_id, return_inverse=True)
    by_preference = np.lexsort((index, ~serves))

    wanted = np.minimum(np.searchsorted(ids, spans.parent_id), len(ids) - 1)
    named = spans.parent_id != 0
    exists = named & (ids[wanted] == spans.parent_id)
    anyone = _first(of_id, by_preference, len(ids))
    parent = np.where(exists, anyone[wanted], -1)
    # One of the own service, if there is one.
    services = int(spans.service.max()) + 1
    places, of_place = np.unique(of_id * services + spans.service, return_inverse=True)
    own = _first(of_place, by_preference, len(places))
    at = np.minimum(np.searchsorted(places, wanted * services + spans.service), len(places) - 1)
    is_own = exists & (places[at] == wanted * services + spans.service)
    parent = np.where(is_own, own[at], parent)
    caller = _first(of_id, index[calls], len(ids))[of_id]
    parent = np.where(serves & (caller >= 0), caller, parent)

    flags = np.where(named & (parent < 0), ORPHAN, 0)
    _, first, same = np.unique(of_place * 8 + spans.kind, return_index=True, return_inverse=True)
    flags |= np.where(first[same] != index, REPEATED, 0)
    cut = _cycle_heads(parent)
    flags |= np.where(cut, CYCLE, 0)
    return np.where(cut, -1, parent), flags


def depths(parent: Ints) -> Ints:
    """How many ancestors each span has."""
    return _sum_of_ancestors(parent, np.ones(len(parent), np.int64)) - 1


def shifts(spans: Spans, parent: Ints, duration: Ints) -> Ints:
    """Compute what to add to each start, so that children of another clock lie within their parents' bounds.

    A call cannot begin before its caller did. Nor does the served side of a call end after the calling side, if it is
    no longer than that. One that does is put in the middle of its caller, or at the caller's start if it is longer or a
    message. Spans of one clock below it move with it. Other spans stay: work may outlive what began it.
    """
    shift = np.zeros(len(parent), np.int64)
    crosses = (parent >= 0) & (spans.clock != spans.clock[parent])
    if not crosses.any():
        return shift
    crossings = _sum_of_ancestors(parent, crosses.astype(np.int64))
    head = np.where(crosses | (parent < 0), np.arange(len(parent)), parent)
    for _ in range(_doublings(len(parent))):
        head = head[head]
    heads = np.nonzero(crosses & (crossings <= CLOCK_CROSSINGS_MAX))[0]
    heads = heads[np.argsort(crossings[heads], kind="stable")]
    levels = np.searchsorted(crossings[heads], np.arange(1, CLOCK_CROSSINGS_MAX + 2))
    for begin, end in pairwise(levels):
        if begin == end:
            break
        child = heads[begin:end]
        above = parent[child]
        parent_start = np.clip(spans.start_ns[above] + shift[head[above]], -_TIME_MAX, _TIME_MAX)
        start, longer = spans.start_ns[child], duration[child] > duration[above]
        is_late = start + duration[child] > parent_start + duration[above]
        is_served = (spans.kind[above] == CLIENT) & (spans.kind[child] == SERVER)
        is_message = (spans.kind[above] == PRODUCER) | (spans.kind[child] == CONSUMER)
        middle = parent_start + (duration[above] - duration[child]) // 2
        moved = np.where(longer | is_message, parent_start, middle)
        is_wrong = (start < parent_start) | (is_late & is_served & ~longer)
        shift[child] = np.where(is_wrong, moved - start, 0)
    return shift[head]


def covered_by_children(parent: Ints, start: Ints, duration: Ints) -> Ints:
    """How much of each span's time its children cover, overlapping ones once, and only within the span."""
    covered = np.zeros(len(parent), np.int64)
    child, begin, end = _within_parents(parent, start, duration)
    if not len(child):
        return covered
    by_start = np.lexsort((begin, parent[child]))
    above, begin, end = parent[child][by_start], begin[by_start], end[by_start]
    by_end = np.lexsort((end, above))
    rank = np.empty(len(by_end), np.int64)
    rank[by_end] = np.arange(len(by_end))
    # Ranks grow from one parent to the next: the greatest so far is the latest end so far of the same parent.
    latest = end[by_end[np.maximum.accumulate(rank)]]
    is_next = np.concatenate(([False], above[1:] == above[:-1]))
    before = np.where(is_next, np.concatenate(([0], latest[:-1])), begin)
    np.add.at(covered, above, np.maximum(end - np.maximum(begin, before), 0))
    return covered


def critical_path(parent: Ints, start: Ints, duration: Ints, root: int) -> Mask:
    """Find the spans that the end of the root waited for.

    From the end of a span back: its child that ends last, then the child that ends last before that one began, and so
    on; in each of these likewise. Children count within their parents' bounds.
    """
    count = len(parent)
    if not count:
        return np.zeros(0, np.bool_)
    is_chosen = np.zeros(count, np.bool_)
    is_chosen[root] = True
    child, begin, end = _within_parents(parent, start, duration)
    if len(child):
        # Of those that end at once, the longest is last.
        by_end = np.lexsort((-begin, end, parent[child]))
        child, begin, end = child[by_end], begin[by_end], end[by_end]
        is_chosen[child[_chosen(parent[child], begin, end)]] = True
    is_on_path = np.append(is_chosen, True)
    up = _up(parent)
    is_on_path[:-1] &= (parent >= 0) | (np.arange(count) == root)
    for _ in range(_doublings(count)):
        is_on_path &= is_on_path[up]
        up = up[up]
    return is_on_path[:-1]


def have_child(parent: Ints, marked: Mask) -> Mask:
    """Find the spans that are the parent of a marked one."""
    has = np.zeros(len(parent), np.bool_)
    has[parent[marked & (parent >= 0)]] = True
    return has


def have_descendant(parent: Ints, marked: Mask) -> Mask:
    """Find the spans that are above a marked one."""
    has, up = np.append(have_child(parent, marked), False), _up(parent)
    for _ in range(_doublings(len(parent))):
        has[up[has]] = True
        up = up[up]
    return has[:-1]


def waterfall_order(parent: Ints, start: Ints) -> Ints:
    """The indices, parents before their children, siblings and roots by their start."""
    count = len(parent)
    # A tour around the tree below a root of all roots: into each span, through its children, and out of it.
    up = np.where(parent < 0, count, parent)
    siblings = np.lexsort((np.arange(count), start, up))
    above = up[siblings]
    into, out = np.arange(count + 1), np.arange(count + 1, 2 * count + 2)
    follows = np.concatenate((out, np.append(out[up], out[count])))
    is_first = np.concatenate((np.ones(min(count, 1), np.bool_), above[1:] != above[:-1]))
    follows[above[is_first]] = into[siblings[is_first]]
    follows[out[siblings[:-1][~is_first[1:]]]] = into[siblings[1:][~is_first[1:]]]
    to_end = np.ones(2 * count + 2, np.int64)
    to_end[out[count]] = 0
    for _ in range(_doublings(2 * count + 2)):
        to_end += to_end[follows]
        follows = follows[follows]
    return np.argsort(-to_end[:count], kind="stable")


def _first(groups: NDArray[Any], order: NDArray[Any], count: int) -> Ints:
    """The first index of each group, in an order that may lack some; -1 for groups without any."""
    first = np.full(count, -1, np.int64)
    first[groups[order[::-1]]] = order[::-1]
    return first


def _main_root(spans: Spans, parent: Ints) -> int:
    """The root whose critical path is shown: one without a parent rather than an orphan, then the longest."""
    roots = np.nonzero(parent < 0)[0]
    if not len(roots):
        return 0
    durations = spans.duration_ns[roots]
    longest = np.lexsort((roots, np.iinfo(np.uint64).max - durations, spans.parent_id[roots] != 0))
    return int(roots[longest[0]])


def _doublings(count: int) -> int:
    """How often pointers must be doubled to reach over `count` elements."""
    return max(1, int(count).bit_length())


def _up(parent: Ints) -> Ints:
    """Pointers to parents, and of roots to an element behind the last, which points to itself."""
    return np.append(np.where(parent < 0, len(parent), parent), len(parent))


def _sum_of_ancestors(parent: Ints, values: Ints) -> Ints:
    """The sum of the values of each span and all its ancestors."""
    up, total = _up(parent), np.append(values, 0)
    for _ in range(_doublings(len(parent))):
        total += total[up]
        up = up[up]
    return total[:-1]


def _cycle_heads(parent: Ints) -> Mask:
    """Of each cycle of parents, the first span."""
    count = len(parent)
    up = _up(parent)
    first = np.arange(count + 1)
    for _ in range(_doublings(count)):
        first = np.minimum(first, first[up])
        up = up[up]
    is_in_cycle = np.zeros(count + 1, np.bool_)
    is_in_cycle[up] = True
    return is_in_cycle[:count] & (first[:count] == np.arange(count))


def _within_parents(parent: Ints, start: Ints, duration: Ints) -> tuple[Ints, Ints, Ints]:
    """The children whose time touches their parents', and where it begins and ends within these."""
    child = np.nonzero(parent >= 0)[0]
    above = parent[child]
    begin = np.maximum(start[child], start[above])
    end = np.minimum(start[child] + duration[child], start[above] + duration[above])
    touches = end >= begin
    return child[touches], begin[touches], end[touches]


def _chosen(above: Ints, begin: Ints, end: Ints) -> Mask:
    """Which children their parents waited for last, of children in the order of parent and end."""
    count = len(above)
    index = np.arange(count)
    is_last = np.append(above[1:] != above[:-1], True)
    group_start = np.searchsorted(above, above)
    # How many end at or before the beginning of each, over all parents up to its own.
    moments = np.lexsort((np.repeat((0, 1), count), np.concatenate((end, begin)), np.tile(above, 2)))
    is_end = moments < count
    ended = np.empty(count, np.int64)
    ended[moments[~is_end] - count] = np.cumsum(is_end)[~is_end]
    before = np.minimum(ended, index) - 1
    before = np.append(np.where(before < group_start, count, before), count)
    is_chosen = np.append(is_last, False)
    for _ in range(_doublings(count)):
        reached = before[is_chosen.nonzero()[0]]
        is_chosen[reached] = True
        before = before[before]
    return is_chosen[:-1]
