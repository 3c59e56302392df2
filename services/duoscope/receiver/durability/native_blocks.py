"""Removes rows from a block in ClickHouse's Native format, for the rare batch of which a part is already stored, or
refused.

Knows the types that the decoder writes (decoder/columns/specs.h), and no others.
"""

import re
import struct
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

Ranges = Sequence[tuple[int, int]]

_WIDTHS: Final = {"UUID": 16, "Bool": 1, "Date": 2, "DateTime": 4, "DateTime64": 8}
_NUMBER: Final = re.compile(r"(?:Int|UInt|Float|Enum)(8|16|32|64|128)")


def without_rows(block: bytes, left_out: Iterable[tuple[int, int]]) -> bytes:
    """The block without these row ranges, each with an exclusive end. Returns b'' when none is left.

    Raises:
        ValueError: a type that the decoder does not write.
    """
    source = _Source(block)
    columns, rows = source.varint(), source.varint()
    kept = _complement(sorted(left_out), rows)
    count = sum(end - start for start, end in kept)
    if not count:
        return b""
    out = [_varint(columns), _varint(count)]
    for _ in range(columns):
        name, kind = source.text(), source.text()
        out += [_varint(len(name)), name, _varint(len(kind)), kind]
        _column(source, kind.decode(), rows, kept, out)
    return b"".join(out)


def only_rows(block: bytes, kept: Ranges) -> bytes:
    """The block with only these rows, in the form of `without_rows`."""
    return without_rows(block, _complement(sorted(kept), rows_of(block)))


def rows_of(block: bytes) -> int:
    """The number of rows in a block."""
    source = _Source(block)
    source.varint()
    return source.varint()


def _complement(left_out: Ranges, rows: int) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    at = 0
    for start, end in left_out:
        if start > at:
            kept.append((at, start))
        at = max(at, end)
    if at < rows:
        kept.append((at, rows))
    return kept


def _column(source: "_Source", kind: str, rows: int, kept: Ranges, out: list[bytes]) -> None:
    if kind.startswith("LowCardinality("):
        out.append(source.take(8))
        flags = source.take(8)
        keys = source.take(8)
        words = source.at
        for _ in range(int.from_bytes(keys, "little")):
            source.text()
        out += [flags, keys, source.since(words)]
        source.take(8)
        out.append(struct.pack("<Q", sum(end - start for start, end in kept)))
        _fixed(source, 1 << flags[0], rows, kept, out)
    elif kind.startswith("Array("):
        ends = struct.unpack(f"<{rows}Q", source.take(8 * rows))
        starts = (0, *ends)
        sizes = [ends[row] - starts[row] for first, end in kept for row in range(first, end)]
        out.append(struct.pack(f"<{len(sizes)}Q", *accumulate(sizes)))
        items = [(starts[first], starts[end]) for first, end in kept]
        _column(source, kind[6:-1], ends[-1] if ends else 0, items, out)
    elif kind.startswith("Nullable("):
        _fixed(source, 1, rows, kept, out)
        _column(source, kind[9:-1], rows, kept, out)
    elif kind == "String":
        places = [source.at]
        for _ in range(rows):
            source.text()
            places.append(source.at)
        out += [source.between(places[start], places[end]) for start, end in kept]
    elif kind.startswith("JSON("):
        _objects(source, rows, kept, out)
    elif kind.startswith("FixedString("):
        _fixed(source, int(kind[12:-1]), rows, kept, out)
    else:
        _fixed(source, _width(kind.partition("(")[0]), rows, kept, out)


def _objects(source: "_Source", rows: int, kept: Ranges, out: list[bytes]) -> None:
    """A column of type JSON (ClickHouse, SerializationObject, first version). Paths stay, also without a value."""
    start = source.at
    source.take(8)
    source.varint()
    types: list[list[str]] = []
    paths = [source.text() for _ in range(source.varint())]
    for _ in paths:
        source.take(8)
        source.varint()
        types.append([source.text().decode() for _ in range(source.varint())])
        source.take(8)
    out.append(source.since(start))
    for of_path in types:
        numbers = source.take(rows)
        out += [numbers[first:end] for first, end in kept]
        order = sorted([*of_path, "SharedVariant"])
        for kind in of_path:
            number = order.index(kind)
            places = [(numbers.count(number, 0, first), numbers.count(number, 0, end)) for first, end in kept]
            _column(source, kind, numbers.count(number), places, out)
    ends = struct.unpack(f"<{rows}Q", source.take(8 * rows))
    starts = (0, *ends)
    sizes = [ends[row] - starts[row] for first, end in kept for row in range(first, end)]
    out.append(struct.pack(f"<{len(sizes)}Q", *accumulate(sizes)))
    items = [(starts[first], starts[end]) for first, end in kept]
    for _ in ("names", "values"):
        _column(source, "String", ends[-1] if ends else 0, items, out)


def _width(kind: str) -> int:
    if number := _NUMBER.fullmatch(kind):
        return int(number[1]) // 8
    if kind in _WIDTHS:
        return _WIDTHS[kind]
    raise ValueError(f"The decoder writes no {kind}")


def _fixed(source: "_Source", width: int, rows: int, kept: Ranges, out: list[bytes]) -> None:
    values = source.take(width * rows)
    out += [values[width * start : width * end] for start, end in kept]


class _Source:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.at = 0

    def take(self, size: int) -> bytes:
        taken = self._raw[self.at : self.at + size]
        if len(taken) != size:
            raise ValueError("The block ends too early")
        self.at += size
        return taken

    def since(self, start: int) -> bytes:
        return self._raw[start : self.at]

    def between(self, start: int, end: int) -> bytes:
        return self._raw[start:end]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:  # noqa: PLR2004 - the format's bit for "there is more"
                return value

    def text(self) -> bytes:
        return self.take(self.varint())


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
