"""The spans of which a map is made, read as arrays by one statement, with their links and what they name.

Ids are compared by hashes of 64 bits, which cost a third: that two of two million are the same is one in ten million.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from duoscope.stores.clickhouse import TelemetryReader
from duoscope.telemetry.calls import peers
from duoscope.telemetry.times import TimeRange, within

U64s = NDArray[np.uint64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = range(1, 6)
_KIND_BITS: Final = 7
_FAILED, _BROKER, _SAMPLED = 8, 16, 32
_NO_SPAN: Final = "toFixedString('', 8)"
_LINKS: Final = "arrayZip(`links.trace_id`, `links.span_id`)"
_SAMPLE: Final = "cityHash64(trace_id) % {modulus:UInt64} = {remainder:UInt64}"
COUNT: Final = """
SELECT intDiv(toUnixTimestamp(timestamp), {quarter_s:UInt32}) AS quarter, count() AS spans,
    countIf(notEmpty(`links.trace_id`)) AS linked
FROM @traces_plain WHERE {times} GROUP BY quarter"""


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans of some time, one a row of each array but for the links.

    Attributes:
        key: of its trace and id; 0 without an id.
        parent: that of its parent; 0 without one.
        at: when it began, in nanoseconds.
        duration: in nanoseconds.
        kind: 0 to 5, as in OTLP.
        failed: whether its status is error.
        sampled: whether its trace is among those that are counted.
        service: its place in `names`.
        peer: that of what its attributes name; -1 for nothing.
        names_broker: whether they name a broker.
        linking: of each link, the row of its span.
        linked: of each link, the key of what it leads to.
        names: of services and of peers, in order.
    """

    key: U64s
    parent: U64s
    at: Ints
    duration: U64s
    kind: Ints
    failed: Bools
    sampled: Bools
    service: Ints
    peer: Ints
    names_broker: Bools
    linking: Ints
    linked: U64s
    names: Sequence[bytes]

    @property
    def serves(self) -> Bools:
        """Whether a span serves a call."""
        return (self.kind == SERVER) | (self.kind == CONSUMER)

    @property
    def calls_out(self) -> Bools:
        """Whether a span is one of a caller."""
        return (self.kind == CLIENT) | (self.kind == PRODUCER)


@dataclass(frozen=True, slots=True)
class Sample:
    """The traces that are read: those whose hash leaves `remainder` when divided by `modulus`.

    Attributes:
        is_linked: whether there are links to follow from them to others.
    """

    modulus: int = 1
    remainder: int = 0
    is_linked: bool = True


async def read(
    reader: TelemetryReader, times: Sequence[TimeRange], attributes: frozenset[str], sample: Sample
) -> bytes:
    """Read the spans of some ranges that do not touch, for `decoded`.

    `attributes` are those of `PEER_ATTRIBUTES` that they may have.

    Of traces that are not in the sample those spans are read that link to others, and that are linked to.

    Raises:
        DuoscopeError: UNAVAILABLE, or INVALID for a question that is too expensive.
    """
    among, parameters = within(times)
    peer = peers.columns(attributes) if attributes else None
    parameters |= peer.parameters if peer else {}
    where = among
    if sample.modulus > 1:
        parameters |= {"modulus": sample.modulus, "remainder": sample.remainder}
        others = (
            f" OR notEmpty(`links.trace_id`) OR (trace_id, span_id) IN (SELECT arrayJoin({_LINKS}) FROM @traces_plain "
            f"WHERE {among} AND {_SAMPLE} AND notEmpty(`links.trace_id`))"
        )
        where = f"{among} AND ({_SAMPLE}{others if sample.is_linked else ''})"
    # Of the peer's many columns only two are used, and only where a span may be one of a call.
    named = f"{peer.sql}, span_kind IN ('client', 'producer', 'consumer') AS is_outer" if peer else "'' AS peer"
    has_peer = "is_outer AND peer != ''" if peer else "false"
    statement = f"""
SELECT groupArray(key), groupArray(parent), groupArray(at), groupArray(duration_nano), groupArray(bits),
    groupArray(service), groupArray(peer_key), groupArray(link_count), groupArrayArray(linked),
    groupUniqArray((service, toString(service_name))), groupUniqArrayIf((peer_key, peer), peer_key != 0)
FROM (
    SELECT if(span_id = {_NO_SPAN}, 0, cityHash64(trace_id, span_id)) AS key,
        if(parent_span_id = {_NO_SPAN}, 0, cityHash64(trace_id, parent_span_id)) AS parent,
        toUnixTimestamp64Nano(timestamp) AS at, duration_nano, service_name, {named},
        cityHash64(toString(service_name)) AS service, if({has_peer}, cityHash64(peer), 0) AS peer_key,
        toUInt8(toUInt8(span_kind) + if(status_code = 'error', {_FAILED}, 0)
            + if({"peer_broker != ''" if peer else "false"}, {_BROKER}, 0)
            + if({_SAMPLE if sample.modulus > 1 else "true"}, {_SAMPLED}, 0)) AS bits,
        arrayDistinct(arrayMap((trace, span) -> cityHash64(trace, span), `links.trace_id`, `links.span_id`)) AS linked,
        toUInt32(length(linked)) AS link_count
    FROM @traces WHERE {where}
)"""
    return await reader.row_binary(statement, parameters, name="service_map.spans")


class _Row:
    """A row of arrays in RowBinary, read from its beginning."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def array(self, kind: str) -> "NDArray[Any]":
        count = self._count()
        found = np.frombuffer(self._content, np.dtype(kind), count, self._at)
        self._at += found.nbytes
        return found

    def names(self) -> dict[int, bytes]:
        """Texts by their hashes. There are few: names of services and of what they call."""
        found: dict[int, bytes] = {}
        for _ in range(self._count()):
            key = int.from_bytes(self._content[self._at : self._at + 8], "little")
            self._at += 8
            size = self._count()
            found[key] = self._content[self._at : self._at + size]
            self._at += size
        return found

    def _count(self) -> int:
        """A number of LEB128."""
        number = shift = 0
        while True:
            byte = self._content[self._at]
            self._at += 1
            number |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return number
            shift += 7


def decoded(content: bytes) -> Spans:
    """The arrays of spans that were read."""
    row = _Row(content)
    key, parent, at, duration, bits = (row.array(kind) for kind in ("<u8", "<u8", "<i8", "<u8", "u1"))
    service, peer, links, linked = (row.array(kind) for kind in ("<u8", "<u8", "<u4", "<u8"))
    by_hash = row.names() | row.names()
    ordered = sorted(by_hash.items(), key=lambda one: one[1])
    hashes = np.array([each for each, _ in ordered], np.uint64)
    by_size = np.argsort(hashes)

    def place(of: U64s) -> Ints:
        return by_size[np.searchsorted(hashes, of, sorter=by_size).clip(max=max(0, len(hashes) - 1))]

    return Spans(
        key=key,
        parent=parent,
        at=at,
        duration=duration,
        kind=(bits & _KIND_BITS).astype(np.int64),
        failed=(bits & _FAILED) > 0,
        sampled=(bits & _SAMPLED) > 0,
        service=place(service) if len(service) else np.empty(0, np.int64),
        peer=np.where(peer == 0, -1, place(peer)) if len(peer) else np.empty(0, np.int64),
        names_broker=(bits & _BROKER) > 0,
        linking=np.repeat(np.arange(len(key)), links),
        linked=linked,
        names=[name for _, name in ordered],
    )
