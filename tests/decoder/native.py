"""Reads ClickHouse's Native format, so that what the decoder writes is seen without ClickHouse."""

import json
import struct


class Native:
    """Reads a block in ClickHouse's Native format."""

    def __init__(self, raw):
        self._raw, self._at = raw, 0

    def rows(self):
        columns, rows = self._varint(), self._varint()
        found = {}
        for _ in range(columns):
            name, kind = self._text().decode(), self._text().decode()
            found[name] = self._low_cardinality(rows) if kind.startswith("LowCardinality") else self._column(kind, rows)
        assert self._at == len(self._raw)
        return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)] if found else []

    def _take(self, size):
        self._at += size
        assert self._at <= len(self._raw)
        return self._raw[self._at - size : self._at]

    def _varint(self):
        value = shift = 0
        while True:
            byte = self._take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def _text(self):
        return self._take(self._varint())

    def _numbers(self, code, count):
        return list(struct.unpack(f"<{count}{code}", self._take(count * struct.calcsize(code))))

    def _low_cardinality(self, rows):
        (version,), (flags,), (count,) = (self._numbers("Q", 1) for _ in range(3))
        assert version == 1
        words = [self._text() for _ in range(count)]
        assert len(set(words)) == len(words)
        assert self._numbers("Q", 1) == [rows]
        return [words[index] for index in self._numbers("BHI"[flags & 0xFF], rows)]

    def _column(self, kind, rows):  # noqa: PLR0911 - one a kind
        if kind.startswith("Array("):
            ends = self._numbers("Q", rows)
            items = self._column(kind[6:-1], ends[-1] if ends else 0)
            return [items[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        if kind.startswith("Nullable("):
            nulls = self._take(rows)
            return [None if null else value for null, value in zip(nulls, self._column(kind[9:-1], rows), strict=True)]
        if kind == "String":
            return [self._text() for _ in range(rows)]
        if kind.startswith("FixedString("):
            return [self._take(int(kind[12:-1])) for _ in range(rows)]
        if kind.startswith("JSON("):
            return self._objects(rows)
        if kind == "UUID":
            return [self._take(16) for _ in range(rows)]
        codes = {"UInt8": "B", "Bool": "B", "Enum8": "b", "UInt16": "H", "UInt32": "I", "UInt64": "Q", "Int32": "i"}
        codes |= {"Int16": "h", "DateTime64": "q", "Float64": "d", "Int64": "q", "Date": "H", "DateTime": "I"}
        return self._numbers(codes[kind.partition("(")[0]], rows)

    def _objects(self, rows):
        """Of each row a dict of (type, value) by name. ClickHouse, SerializationObject, the first version."""
        version, limit, count = *self._numbers("Q", 1), self._varint(), self._varint()
        assert (version, limit) == (0, 64)
        paths = [self._text() for _ in range(count)]
        assert paths == sorted(set(paths))
        types = {}
        for path in paths:
            assert self._numbers("Q", 1) == [1]
            assert self._varint() == 32
            types[path] = [self._text().decode() for _ in range(self._varint())]
            assert types[path] == sorted(set(types[path]))
            assert self._numbers("Q", 1) == [0]
        found = [{} for _ in range(rows)]
        for path in paths:
            numbers = self._take(rows)
            order = sorted([*types[path], "SharedVariant"])
            values = {kind: iter(self._column(kind, numbers.count(order.index(kind)))) for kind in types[path]}
            for row, number in zip(found, numbers, strict=True):
                if number != 255:
                    row[unescaped(path)] = (order[number], next(values[order[number]]))
        ends = self._numbers("Q", rows)
        names = [self._text() for _ in range(ends[-1] if ends else 0)]
        values = [self._binary(self._text()) for _ in names]
        for row, start, end in zip(found, [0, *ends], ends, strict=False):
            assert names[start:end] == sorted(set(names[start:end]))
            row.update(zip(map(unescaped, names[start:end]), values[start:end], strict=True))
        return found

    def _binary(self, raw):
        kind = {0x15: "String", 0x0A: "Int64", 0x0E: "Float64", 0x2D: "Bool"}[raw[0]]
        inner = Native(raw[1:])
        (value,) = inner._column(kind, 1)
        assert inner._at == len(raw) - 1
        return kind, value


def shown(row, signal):
    """A row's attributes as a reader sees them: those of columns, then those without."""
    typed = {name.decode(): value for name, (_, value) in row[f"{signal}_attributes_typed"].items()}
    typed = {name: value.decode() if isinstance(value, bytes) else value for name, value in typed.items()}
    return typed | json.loads(row[f"{signal}_attributes_json"] or b"{}")


def unescaped(path):
    """A name as it was sent: ClickHouse's path has its dots escaped."""
    return path.replace(b"%2E", b".")
