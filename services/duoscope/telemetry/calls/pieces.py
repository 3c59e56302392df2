"""Maps of pieces of time, and the map of a range, which is their sum.

What a piece has is counted from its own spans and those near them, never from what is asked for: the same call is one
in every range. So the pieces that are whole quarters of an hour can be kept, and need not be counted again while there
are as many spans as when they were.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from duoscope.telemetry.calls.joining import calls
from duoscope.telemetry.calls.spans import Ints, Spans
from duoscope.telemetry.times import TimeRange

EXACT_MAX: Final = 64
"""Calls of a piece from one service to another whose durations are kept as they are."""
_KEPT_BITS: Final = 6
"""Of the durations of more calls so many bits are kept, which is to 1.6%."""
_EDGE_BYTES: Final = 200
_CHAR_BYTES: Final = 4
PERCENTS: Final = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Piece:
    """The calls of a time.

    Attributes:
        edges: caller and callee.
        errors: of each edge.
        edge: of each duration that occurs, the place of its edge.
        duration: in nanoseconds, in order within an edge.
        count: how many calls of the edge took so long.
    """

    edges: Sequence[tuple[str, str]]
    errors: Ints
    edge: Ints
    duration: Ints
    count: Ints

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        names = {name for edge in self.edges for name in edge}
        return sum(map(len, names)) * _CHAR_BYTES + len(self.edges) * _EDGE_BYTES + 3 * self.edge.nbytes


@dataclass(frozen=True, slots=True)
class Edge:
    """Calls from one service to another."""

    caller: str
    callee: str
    calls: int
    errors: int
    durations: tuple[int, ...]


def pieces_of(spans: Spans, times: Sequence[TimeRange]) -> list[Piece]:
    """Count the calls of some pieces, in order of time, none of which overlaps another."""
    starts = np.array([each.start_ns for each in times])
    ends = np.array([each.end_ns for each in times])
    piece = np.searchsorted(starts, spans.at, "right") - 1
    found = calls(spans, (piece >= 0) & (spans.at < ends[piece]))
    names = len(spans.names)
    edge = found.caller * names + found.callee
    texts = [name.decode(errors="replace") for name in spans.names]
    durations = np.minimum(spans.duration[found.span], np.uint64(2**63 - 1)).astype(np.int64)
    failed, of_piece = spans.failed[found.span], piece[found.span]
    made: list[Piece] = []
    for number in range(len(times)):
        here = of_piece == number
        edges, of, counts = np.unique(edge[here], return_inverse=True, return_counts=True)
        pairs: list[tuple[int, int]] = list(zip((edges // names).tolist(), (edges % names).tolist(), strict=True))
        shown = [(texts[caller], texts[callee]) for caller, callee in pairs]
        errors = np.bincount(of[failed[here]], minlength=len(edges))
        took = durations[here]
        many = counts[of] > EXACT_MAX
        took[many] = _rounded(took[many])
        made.append(Piece(shown, errors, *_counted(of, took, np.ones(len(of), np.int64))))
    return made


def summed(pieces: Iterable[tuple[Piece, int]]) -> list[Edge]:
    """The edges of pieces, each of which stands for a number of its like, busiest first."""
    places: dict[tuple[str, str], int] = {}
    parts: list[tuple[Ints, Ints, Ints]] = []
    failed: list[tuple[Ints, Ints]] = []
    for piece, times in pieces:
        own = np.array([places.setdefault(edge, len(places)) for edge in piece.edges], np.int64)
        failed.append((own, piece.errors * times))
        parts.append((own[piece.edge], piece.duration, piece.count * times))
    if not places:
        return []
    edge, duration, count = _counted(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    errors = np.zeros(len(places), np.int64)
    np.add.at(errors, *(np.concatenate(part) for part in zip(*failed, strict=True)))
    before = np.concatenate(([0], np.cumsum(count)))
    first = np.searchsorted(edge, np.arange(len(places) + 1))
    totals = before[first[1:]] - before[first[:-1]]
    ranks = [before[first[:-1]] + (totals * percent + 99) // 100 for percent in PERCENTS]
    took = [duration[np.searchsorted(before, rank) - 1].tolist() for rank in ranks]
    edges = [
        Edge(*names, total, failures, durations)
        for names, total, failures, durations in zip(
            places, totals.tolist(), errors.tolist(), zip(*took, strict=True), strict=True
        )
    ]
    return sorted(edges, key=lambda each: (-each.calls, each.caller, each.callee))


def _counted(edge: Ints, duration: Ints, count: Ints) -> tuple[Ints, Ints, Ints]:
    """Equal durations of an edge as one, in order."""
    order = np.lexsort((duration, edge))
    edge, duration, count = edge[order], duration[order], count[order]
    if not len(edge):
        return edge, duration, count
    first = np.flatnonzero(np.concatenate(([True], (edge[1:] != edge[:-1]) | (duration[1:] != duration[:-1]))))
    return edge[first], duration[first], np.add.reduceat(count, first)


def _rounded(durations: Ints) -> Ints:
    """Durations of which the first bits are kept, in the middle of those that have the same."""
    exponent = np.frexp(durations.astype(np.float64))[1].astype(np.int64)
    cut = np.maximum(exponent - _KEPT_BITS, 0)
    return ((durations >> cut) << cut) + ((1 << cut) >> 1)
