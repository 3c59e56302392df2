"""Who called whom among spans: every span is joined with its caller, as arrays.

A span counts once as a call from the service of its caller: the client's (or producer's) span with the same id, where
both sides of a call share one as with Zipkin; else its parent. If several spans have the parent's id, one of the own
service is the parent, and nothing was called; else the serving one, the earliest. A span with links to messages is also
a call from each other service that produced one.

A client's or producer's span without any of these on the other side is a call of what sends no telemetry itself, and a
consumer's without a parent or a link is a call by it: its attributes name it, by the semantic conventions.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from duoscope.telemetry.calls.spans import CONSUMER, PRODUCER, Bools, Ints, Spans, U64s
from duoscope.telemetry.times import SECOND_NS

QUARTER_S: Final = 900
QUARTER_NS: Final = QUARTER_S * SECOND_NS
BEFORE: Final = 2
AFTER: Final = 1
"""Quarters of an hour before and after its own in which a span has others, whatever else was read with it."""
_NOBODY: Final = -1


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls, one a row.

    Attributes:
        caller, callee: their places in the names of the spans.
        span: the row of the callee's span; of the caller's, where the callee sends none.
    """

    caller: Ints
    callee: Ints
    span: Ints


def calls(spans: Spans, counted: Bools) -> Calls:
    """Find the calls of which the span is counted, of traces in the sample."""
    joined = _Joined(spans)
    counted = counted & spans.sampled
    rows = np.flatnonzero(counted)
    found = [joined.by_parents(rows), joined.by_links(counted), *joined.of_peers(rows)]
    caller, callee, span = (np.concatenate(parts) for parts in zip(*found, strict=True))
    is_call = (caller != callee) & (caller != _NOBODY)
    return Calls(caller[is_call], callee[is_call], span[is_call])


_Found = tuple[Ints, Ints, Ints]


class _Joined:
    """Spans, and the groups of those that have one id: one each as a rule.

    Spans that have something to do with a group are found by sorted numbers, each of a group, if it matters a service,
    and a quarter of an hour: those near a span are a range of them.
    """

    def __init__(self, spans: Spans) -> None:
        self.spans = spans
        self.serves, self.calls_out = spans.serves, spans.calls_out
        has_id = np.flatnonzero(spans.key)
        self._ids, first, of, counts = np.unique(
            spans.key[has_id], return_index=True, return_inverse=True, return_counts=True
        )
        self.group = np.full(len(spans.key), _NOBODY)
        self.group[has_id] = of
        self.parent = self._groups(spans.parent)
        self.parent[spans.parent == 0] = _NOBODY
        self._first = has_id[first]
        self._shared = np.flatnonzero(self.group >= 0)
        self._shared = self._shared[counts[self.group[self._shared]] > 1]
        quarters = spans.at // QUARTER_NS
        self._quarter = quarters - (quarters.min(initial=2**62) - BEFORE) if len(quarters) else quarters
        self._quarters = int(self._quarter.max(initial=0)) + AFTER + 1
        self._own = self._index(self.group, spans.service)

    def _groups(self, keys: U64s) -> Ints:
        """The groups of keys; _NOBODY for those that nobody has."""
        if not len(self._ids):
            return np.full(len(keys), _NOBODY)
        at = np.searchsorted(self._ids, keys).clip(max=len(self._ids) - 1)
        return np.where(self._ids[at] == keys, at, _NOBODY)

    def _index(self, groups: Ints, services: Ints | None = None, rows: Ints | None = None) -> Ints:
        """Numbers of what spans have to do with, in order: those of some rows, of all unless given."""
        rows = np.flatnonzero(groups >= 0) if rows is None else rows[groups[rows] >= 0]
        of = groups[rows] if services is None else groups[rows] * len(self.spans.names) + services[rows]
        return np.sort(of * self._quarters + self._quarter[rows])

    def _near(self, index: Ints, rows: Ints, groups: Ints, services: Ints | None = None) -> Ints:
        """How many spans of an index are of these groups and services, near the spans of the rows."""
        of = groups if services is None else groups * len(self.spans.names) + services
        at = of * self._quarters + self._quarter[rows]
        found = np.searchsorted(index, at + AFTER, "right") - np.searchsorted(index, at - BEFORE, "left")
        return np.where(groups >= 0, found, 0)

    def _chosen(self, rows: Ints, groups: Ints, is_second: Bools) -> Ints:
        """A service of groups, if they have it near the spans of the rows: of the first span that is not second, the
        earliest, by name.
        """
        chosen, shared = self._first, self._shared
        if len(shared):
            spans = self.spans
            order = np.lexsort((spans.service[shared], spans.at[shared], is_second[shared], self.group[shared]))
            several, first = np.unique(self.group[shared][order], return_index=True)
            chosen = chosen.copy()
            chosen[several] = shared[order[first]]
        found = np.full(len(rows), _NOBODY)
        known = groups >= 0
        span = chosen[groups[known]]
        apart = self._quarter[span] - self._quarter[rows[known]]
        found[known] = np.where((apart >= -BEFORE) & (apart <= AFTER), self.spans.service[span], _NOBODY)
        return found

    def by_parents(self, rows: Ints) -> _Found:
        """Calls by parents, and by ids that both sides share."""
        parent, service = self.parent[rows], self.spans.service[rows]
        caller = self._chosen(rows, parent, ~self.serves)
        caller[self._near(self._own, rows, parent, service) > 0] = _NOBODY  # within a service nothing is called
        if len(self._shared):
            called = self._index(self.group, rows=np.flatnonzero(self.calls_out))
            twin = self.serves[rows] & (self._near(called, rows, self.group[rows]) > 0)
            caller[twin] = self._chosen(rows, self.group[rows], ~self.calls_out)[twin]
        return caller, service, rows

    def by_links(self, counted: Bools) -> _Found:
        """Calls by messages: of each span one from each service that produced some."""
        spans = self.spans
        message = self._groups(spans.linked)
        known = counted[spans.linking] & (message >= 0)
        rows, message = spans.linking[known], message[known]
        caller = self._chosen(rows, message, ~self.calls_out)
        produced = self._index(self.group, rows=np.flatnonzero(spans.kind == PRODUCER))
        is_message = (spans.kind[rows] == CONSUMER) | (self._near(produced, rows, message) > 0)
        is_message &= (caller >= 0) & (self._near(self._own, rows, self.parent[rows], caller) == 0)
        each = np.unique(rows[is_message] * len(spans.names) + caller[is_message])
        rows, caller = each // len(spans.names), each % len(spans.names)
        return caller, spans.service[rows], rows

    def of_peers(self, rows: Ints) -> list[_Found]:
        """Calls of those who send no telemetry, and by brokers that do not."""
        spans = self.spans
        rows = rows[spans.peer[rows] >= 0]
        if not len(rows):
            return []
        has_links = np.zeros(len(spans.key), np.bool_)
        has_links[spans.linking] = True
        is_first = ~has_links & (spans.parent == 0)
        received = rows[(spans.kind[rows] == CONSUMER) & spans.names_broker[rows] & is_first[rows]]
        rows = rows[self.calls_out[rows]]
        group, service = self.group[rows], spans.service[rows]
        # What is below a span that called something is all of its own service, and does not serve.
        serving = self._index(self.parent, rows=np.flatnonzero(self.serves))
        alone = self._near(serving, rows, group) == 0
        children, of_service = self._index(self.parent), self._index(self.parent, spans.service)
        alone &= self._near(children, rows, group) == self._near(of_service, rows, group, service)
        # Nor does what is below a caller below it, as of a client that repeats a call; nor a twin.
        attempts = np.flatnonzero(self.calls_out & (self.parent >= 0))
        above = self._first[self.parent[attempts]]
        attempts = attempts[self._near(serving, above, self.group[attempts]) > 0]
        alone &= self._near(self._index(self.parent, rows=attempts), rows, group) == 0
        twins = self._index(self.group, rows=np.flatnonzero(self.serves))
        alone &= self._near(twins, rows, group) == 0
        # Above it there is none of its service that names what it called.
        naming = np.flatnonzero(self.calls_out & (spans.peer >= 0))
        alone &= self._near(self._index(self.group, spans.service, naming), rows, self.parent[rows], service) == 0
        alone &= ~self._is_received(rows)
        rows = rows[alone]
        return [
            (spans.service[rows], spans.peer[rows], rows),
            (spans.peer[received], spans.service[received], received),
        ]

    def _is_received(self, rows: Ints) -> Bools:
        """Whether a consumer has a link to a span; or anybody, if it is a message."""
        spans = self.spans
        linked = self._groups(spans.linked)

        def linking(where: Bools) -> Bools:
            where = where & (linked >= 0)
            index = np.sort(linked[where] * self._quarters + self._quarter[spans.linking[where]])
            return self._near(index, rows, self.group[rows]) > 0

        is_message = spans.kind[rows] == PRODUCER
        return linking(spans.kind[spans.linking] == CONSUMER) | (is_message & linking(linked >= 0))
