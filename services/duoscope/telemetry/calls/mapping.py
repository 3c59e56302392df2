"""The calls of a range, by quarters of an hour, each of which is counted once and kept while its spans stay the same.

Of a quarter the spans around it are read, too: of callers that began before it, and of what was called at its end. As
many of each quarter as there were in the table itself are noted before its calls are, and compared with the rollup by
minutes, which has the same: what arrives later makes the quarters anew that it is in or near to.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry import catalogue
from duoscope.telemetry.calls import spans
from duoscope.telemetry.calls.joining import AFTER, BEFORE, QUARTER_NS, QUARTER_S
from duoscope.telemetry.calls.peers import PEER_ATTRIBUTES
from duoscope.telemetry.calls.pieces import Edge, Piece, pieces_of, summed
from duoscope.telemetry.calls.spans import Sample
from duoscope.telemetry.times import TimeRange, within

AT_ONCE_MAX: Final = 500_000
"""Spans that are joined in one go."""
_RANGES_MAX: Final = 16
"""Separate ranges that one statement reads."""

_COUNTS: Final = f"""
SELECT intDiv(toUnixTimestamp(minute), {QUARTER_S}) AS quarter, sum(count) AS spans
FROM @figures WHERE minute >= toDateTime({{start_s:Int64}}, 'UTC') AND minute < toDateTime({{end_s:Int64}}, 'UTC')
GROUP BY quarter"""


@dataclass(frozen=True, slots=True)
class Mapped:
    """The calls of a range, busiest first; estimated from every n-th trace if `one_in` is above 1."""

    edges: list[Edge]
    one_in: int


@dataclass(frozen=True, slots=True)
class _Known:
    """The calls of a quarter, and what they were counted among.

    Attributes:
        spans: of the quarters around it and its own.
        one_in: of its traces every n-th was read.
        attributes: by which what sends no telemetry was named.
        pieces: its calls, by shards of its traces.
    """

    spans: tuple[int, ...]
    one_in: int
    attributes: frozenset[str]
    pieces: tuple[Piece, ...]


async def mapped(reader: TelemetryReader, times: TimeRange, spans_max: int) -> Mapped:
    """Count the calls between services, and of what they name that sends no telemetry. Of more than `spans_max` spans
    every n-th trace is read.

    Raises:
        DuoscopeError: UNAVAILABLE, or INVALID for a question that is too expensive.
    """
    quarters = range(times.start_ns // QUARTER_NS, -(-times.end_ns // QUARTER_NS))
    counts = await _counts(reader, quarters)
    total = sum(counts.get(quarter, 0) for quarter in quarters)
    # A power of two: quarters that are kept serve other ranges of about as many spans.
    one_in = 1 << (max(0, -(-total // spans_max) - 1)).bit_length()
    attributes = await catalogue.attributes_among(reader, times, PEER_ATTRIBUTES)
    kept = reader.kept("service_map")
    pieces: list[Piece] = []
    missing: list[int] = []
    for quarter in quarters:
        known = kept.get(quarter) if _is_whole(quarter, times) else None
        expected = (_around(counts, quarter), one_in, attributes)
        if isinstance(known, _Known) and (known.spans, known.one_in, known.attributes) == expected:
            pieces += known.pieces
        elif counts.get(quarter):
            missing.append(quarter)
    for some in _runs(missing, counts, one_in):
        found = await _counted(reader, times, some, one_in, attributes, counts)
        for quarter, known in found.items():
            pieces += known.pieces
            if _is_whole(quarter, times):
                kept.put(quarter, known, sum(piece.size for piece in known.pieces))
    return Mapped(await asyncio.to_thread(summed, [(piece, one_in) for piece in pieces]), one_in)


async def _counts(reader: TelemetryReader, quarters: range) -> Mapping[int, int]:
    last = 2**32 - 1
    parameters = {
        "start_s": max(0, min(last, (quarters.start - BEFORE) * QUARTER_S)),
        "end_s": min(last, (quarters.stop + AFTER) * QUARTER_S),
    }
    rows = await reader.query(_COUNTS, parameters, name="service_map.counts")
    return {row["quarter"]: row["spans"] for row in rows}


def _runs(missing: Sequence[int], counts: Mapping[int, int], one_in: int) -> list[list[int]]:
    """Quarters that are read together, as their spans and those around them are few enough; one at the least."""
    runs: list[list[int]] = []
    around: set[int] = set()
    for quarter in missing:
        own = set(range(quarter - BEFORE, quarter + AFTER + 1))
        size = sum(counts.get(each, 0) for each in around | own)
        if not runs or size > AT_ONCE_MAX * one_in or len(_ranges(sorted(around | own))) > _RANGES_MAX:
            runs.append([])
            around = set()
        runs[-1].append(quarter)
        around |= own
    return runs


async def _counted(  # noqa: PLR0917 - what a map is of
    reader: TelemetryReader,
    times: TimeRange,
    quarters: Sequence[int],
    one_in: int,
    attributes: frozenset[str],
    counts: Mapping[int, int],
) -> dict[int, _Known]:
    """Count the calls of quarters, or of the parts of them that are in the range."""
    around = sorted({each for quarter in quarters for each in range(quarter - BEFORE, quarter + AFTER + 1)})
    ranges = _ranges([each for each in around if each >= 0])
    cuts = [_cut(quarter, times) for quarter in quarters]
    shards = max(1, -(-sum(counts.get(each, 0) for each in around) // (AT_ONCE_MAX * one_in)))
    is_linked = True
    present: dict[int, int] = {}
    if one_in * shards > 1:  # then not all spans are read, and so not counted
        among, parameters = within(ranges)
        counted = await reader.query(
            spans.COUNT.replace("{times}", among), parameters | {"quarter_s": QUARTER_S}, name="service_map.present"
        )
        present = {row["quarter"]: row["spans"] for row in counted}
        is_linked = any(row["linked"] for row in counted)
    found: dict[int, list[Piece]] = {quarter: [] for quarter in quarters}
    for shard in range(shards):
        sample = Sample(one_in * shards, one_in * shard, is_linked)
        content = await spans.read(reader, ranges, attributes, sample)
        made, own = await _computed(reader, content, cuts)
        reader.release(len(content))
        present = present or own
        for quarter, piece in zip(quarters, made, strict=True):
            found[quarter].append(piece)
    return {
        quarter: _Known(_around(present, quarter), one_in, attributes, tuple(pieces))
        for quarter, pieces in found.items()
    }


async def _computed(
    reader: TelemetryReader, content: bytes, cuts: Sequence[TimeRange]
) -> tuple[list[Piece], dict[int, int]]:
    """The calls of each cut, and how many spans were read of each quarter."""

    def work() -> tuple[list[Piece], dict[int, int]]:
        read = spans.decoded(content)
        quarters, present = np.unique(read.at // QUARTER_NS, return_counts=True)
        return pieces_of(read, cuts), dict(zip(quarters.tolist(), present.tolist(), strict=True))

    return await reader.compute(work, threading.Event())


def _ranges(quarters: Sequence[int]) -> list[TimeRange]:
    """Quarters in order, as ranges that do not touch."""
    breaks = [number for number, (one, other) in enumerate(pairwise(quarters), 1) if other != one + 1]
    return [
        TimeRange(quarters[first] * QUARTER_NS, (quarters[last - 1] + 1) * QUARTER_NS)
        for first, last in pairwise((0, *breaks, len(quarters)))
    ]


def _cut(quarter: int, times: TimeRange) -> TimeRange:
    """The part of a quarter that is in a range."""
    return TimeRange(max(times.start_ns, quarter * QUARTER_NS), min(times.end_ns, (quarter + 1) * QUARTER_NS))


def _is_whole(quarter: int, times: TimeRange) -> bool:
    cut = _cut(quarter, times)
    return cut.end_ns - cut.start_ns == QUARTER_NS


def _around(counts: Mapping[int, int], quarter: int) -> tuple[int, ...]:
    return tuple(counts.get(each, 0) for each in range(quarter - BEFORE, quarter + AFTER + 1))
