"""Turns OTLP requests into columns in ClickHouse's Native format: natively, in the C files beside this one.

A Python loop over spans costs several times what storing them does, and so does letting ClickHouse parse protobuf and
unfold it in views (docs/adr/0008). The C code walks the protobuf bytes once, judges each item, and appends the good
ones to the columns of the stored tables; ClickHouse gets blocks that it only has to sort and compress.

`wire.h` reads protobuf, `columns.*` are growing columns, `values.c` turns attributes into JSON, `origin.c` walks
resources and scopes, then a file a signal. `json*` turn a request in OTLP/JSON into one in protobuf beforehand.
`hatch_build.py` compiles them when duoscope is installed. Work and memory are in proportion to the bytes of a request,
whatever is in them (tests/decoder).
"""

import ctypes
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from duoscope.kernel import limits
from duoscope.kernel.scope import Scope

LIBRARY: Final = Path(__file__).with_name("libdecoder.so")

REASONS: Final = (
    "invalid-id",
    "time-out-of-range",
    "time-missing",
    "no-value",
    "invalid-histogram",
    "list-cut",
    "attribute-cut",
    "body-cut",
    "invalid-utf8",
    "nesting-cut",
    "too-many-series",
    "invalid-json-value",
)
"""Why an item was rejected, or stored with less than was sent; in the order of `enum verdict` in decoder.h."""

CUTS: Final = frozenset({"list-cut", "attribute-cut", "body-cut", "nesting-cut"})
"""Of these, what rejects nothing: a part of the item was dropped or cut short."""

_MALFORMED: Final = -1
_NO_ROOM: Final = -3

JSON_GROWTH_MAX: Final = 8
"""Bytes of protobuf that a byte of JSON becomes at most: `0,` of a bucket is eight, and of resources 14."""

_TOO_MANY_ITEMS: Final = -3
_NANOS: Final = 1_000_000_000
_DAY_NS: Final = 86_400 * _NANOS


class Kind(IntEnum):
    """The signals, as decoder.h numbers them."""

    TRACES = 0
    LOGS = 1
    METRICS = 2


class MalformedError(Exception):
    """The bytes are no request of the signal; none of its items was taken."""


@dataclass(frozen=True, slots=True)
class JsonFault:
    """What is wrong in a text.

    Attributes:
        at: the byte at which that was seen.
        where: the field, as in `resourceSpans[0].scopeSpans[2].scope`; empty where there is none.
        what: what is wrong there; words of ours, and never the text's.
    """

    at: int
    where: str
    what: str

    def __str__(self) -> str:
        """Where and what, for the sender's developer."""
        return f"{self.where}, at byte {self.at:,}: {self.what}" if self.where else f"at byte {self.at:,}: {self.what}"


class NotJsonError(Exception):
    """The text is no request of the signal in OTLP/JSON.

    Attributes:
        fault: why.
    """

    def __init__(self, fault: JsonFault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class NoRoomError(Exception):
    """The request takes more bytes as protobuf than it may."""


class TooManyItemsError(Exception):
    """The request has more parts than one may have; none of its items was taken."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request's items.

    Attributes:
        items: spans, log records or points in the request.
        stored: rows made of them. A point that says it has no value makes none and is not rejected either.
        reasons: how many were left out or cut, by reason; one that was cut in two ways is in both.
    """

    items: int
    stored: int
    reasons: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def rejected(self) -> dict[str, int]:
        """How many were left out, by reason."""
        return {reason: count for reason, count in self.reasons.items() if reason not in CUTS}

    @property
    def cut(self) -> dict[str, int]:
        """How many were stored with less than was sent, by reason."""
        return {reason: count for reason, count in self.reasons.items() if reason in CUTS}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an item may be like; a part beyond that is dropped or cut short, and series beyond are rejected.

    Attributes:
        attributes_max: attributes of one resource, scope or item, and events or links of one span.
        attribute_bytes_max: one attribute's value, as stored.
        body_bytes_max: a log body, as stored.
        series_max: active series of the tenant; 0 for no limit.
    """

    attributes_max: int = limits.INGEST_ATTRIBUTES_MAX
    attribute_bytes_max: int = limits.INGEST_ATTRIBUTE_BYTES_MAX
    body_bytes_max: int = limits.INGEST_BODY_BYTES_MAX
    series_max: int = 0


DEFAULT_BOUNDS: Final = Bounds()


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one table in Native format."""

    table: str
    rows: int
    native: bytes = field(repr=False)


class _Limits(ctypes.Structure):
    _fields_ = (
        ("earliest", ctypes.c_uint64),
        ("latest", ctypes.c_uint64),
        ("now", ctypes.c_uint64),
        ("series_max", ctypes.c_uint64),
        ("attributes_max", ctypes.c_uint32),
        ("attribute_bytes_max", ctypes.c_uint32),
        ("body_bytes_max", ctypes.c_uint32),
        ("depth_max", ctypes.c_uint32),
        ("items_max", ctypes.c_uint64),
    )


class _Outcome(ctypes.Structure):
    _fields_ = (
        ("items", ctypes.c_uint64),
        ("stored", ctypes.c_uint64),
        ("rejected", ctypes.c_uint64 * (len(REASONS) + 1)),
    )


class _Transcoded(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("at", ctypes.c_uint64),
        ("what", ctypes.c_char_p),
        ("where", ctypes.c_char * 200),
    )


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        raise RuntimeError(
            f"The decoder is not built: {LIBRARY} is missing or of another machine. Install duoscope again "
            "(`make run` does), which compiles it."
        ) from error
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    for name, result, arguments in (
        ("seed", None, (ctypes.c_uint64,)),
        ("open", pointer, (ctypes.c_int,)),
        ("close", None, (pointer,)),
        ("clear", None, (pointer,)),
        ("forget", None, (pointer,)),
        (
            "add",
            ctypes.c_int,
            (pointer, ctypes.c_char_p, size, ctypes.c_char_p, pointer, pointer, pointer),
        ),
        ("tables", size, (pointer,)),
        ("table", ctypes.c_char_p, (pointer, size)),
        ("rows", ctypes.c_uint64, (pointer, size)),
        ("native", size, (pointer, size, pointer)),
        ("count", ctypes.c_int64, (ctypes.c_int, ctypes.c_char_p, size)),
        ("is_dated", ctypes.c_bool, (ctypes.c_int, ctypes.c_char_p, size)),
        ("json", ctypes.c_int, (ctypes.c_int, ctypes.c_char_p, size, size, pointer)),
        ("json_free", None, (pointer,)),
        ("series_open", pointer, ()),
        ("series_close", None, (pointer,)),
        ("series_rotate", None, (pointer,)),
        ("series_active", ctypes.c_uint64, (pointer,)),
    ):
        function = getattr(library, f"duoscope_{name}")
        function.restype, function.argtypes = result, arguments
    library.duoscope_seed(secrets.randbits(64))
    return library


def count_items(kind: Kind, request: bytes) -> int:
    """Spans, log records or points in a serialized request, in about 10 ns each.

    Raises:
        MalformedError: the bytes are no such message, as far as was looked.
    """
    count: int = _library().duoscope_count(int(kind), request, len(request))
    if count < 0:
        raise MalformedError
    return count


def is_dated(kind: Kind, request: bytes) -> bool:
    """Whether the same bytes, sent again, can only be the same items sent again.

    So it is where an item has a time of its own to less than a second, and of spans, which have ids.
    """
    return bool(_library().duoscope_is_dated(int(kind), request, len(request)))


def from_json(kind: Kind, text: bytes, room: int) -> tuple[bytes, JsonFault | None]:
    """The request that `text` is in OTLP/JSON, as protobuf of at most `room` bytes, and the first fault in its items.

    A fault costs the item that it is in, which then says so to `Decoder.add`. While this runs it takes twice what it
    answers with.

    Raises:
        NotJsonError: it is none, with where and why.
        NoRoomError: it takes more.
        MemoryError: there is none.
    """
    library, result = _library(), _Transcoded()
    status: int = library.duoscope_json(int(kind), text, len(text), room, ctypes.byref(result))
    if status == _MALFORMED:
        raise NotJsonError(_fault(result))
    if status == _NO_ROOM:
        raise NoRoomError
    if status:
        raise MemoryError
    try:
        return ctypes.string_at(result.data, result.size), _fault(result) if result.what else None
    finally:
        library.duoscope_json_free(result.data)


def _fault(result: _Transcoded) -> JsonFault:
    return JsonFault(result.at, result.where.decode(), result.what.decode())


class ActiveSeries:
    """The series of a tenant that were seen in this period and the last. One thread at a time."""

    def __init__(self) -> None:
        self._library = _library()
        self.handle = _allocated(self._library.duoscope_series_open())

    def __len__(self) -> int:
        return int(self._library.duoscope_series_active(self.handle))

    def rotate(self) -> None:
        """Begin a period: forget what the one before last saw and the last did not."""
        self._library.duoscope_series_rotate(self.handle)

    def __del__(self) -> None:
        self._library.duoscope_series_close(self.handle)


class Decoder:
    """Gathers the rows of requests of one signal. One thread at a time; the calls let other threads run."""

    _handle: int | None = None

    def __init__(self, kind: Kind) -> None:
        self._library = _library()
        self._handle = _allocated(self._library.duoscope_open(int(kind)))
        tables = range(self._library.duoscope_tables(self._handle))
        self._tables = [self._library.duoscope_table(self._handle, number).decode() for number in tables]

    def add(
        self,
        request: bytes,
        scope: Scope,
        retention_days: int,
        *,
        now_ns: int,
        bounds: Bounds = DEFAULT_BOUNDS,
        series: ActiveSeries | None = None,
    ) -> Outcome:
        """Append the rows of a serialized request.

        Args:
            request: the OTLP message.
            scope: whose rows they are.
            retention_days: how long they are kept; an item older than that is out of range.
            now_ns: nanoseconds since 1970; the time of log records that have none.
            bounds: what an item may be like.
            series: the tenant's active series, where `bounds` limits them.

        Raises:
            MalformedError: the bytes are no such message; nothing was appended.
            TooManyItemsError: nothing was appended.
            MemoryError: nothing was appended.
        """
        applied = _Limits(
            earliest=now_ns - retention_days * _DAY_NS,
            latest=now_ns + limits.INGEST_AHEAD_MAX_S * _NANOS,
            now=now_ns,
            series_max=bounds.series_max,
            attributes_max=bounds.attributes_max,
            attribute_bytes_max=bounds.attribute_bytes_max,
            body_bytes_max=bounds.body_bytes_max,
            depth_max=limits.INGEST_NESTING_MAX,
            items_max=limits.INGEST_ITEMS_MAX,
        )
        outcome = _Outcome()
        status: int = self._library.duoscope_add(
            self._handle,
            request,
            len(request),
            _owner(scope, retention_days),
            ctypes.byref(applied),
            None if series is None else series.handle,
            ctypes.byref(outcome),
        )
        if status == _MALFORMED:
            raise MalformedError
        if status == _TOO_MANY_ITEMS:
            raise TooManyItemsError
        if status:
            raise MemoryError
        reasons = {reason: count for reason, count in zip(REASONS, outcome.rejected[1:], strict=True) if count}
        return Outcome(outcome.items, outcome.stored, reasons)

    def rows(self) -> dict[str, int]:
        """How many rows each table has so far."""
        library, handle = self._library, self._handle
        return {name: library.duoscope_rows(handle, number) for number, name in enumerate(self._tables)}

    def blocks(self) -> list[Block]:
        """The rows gathered so far, a block a table that has any."""
        return list(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        for number, name in enumerate(self._tables):
            rows: int = self._library.duoscope_rows(self._handle, number)
            if rows:
                # Written where it stays: a block has megabytes.
                size: int = self._library.duoscope_native(self._handle, number, None)
                native = _new_bytes(None, size)
                self._library.duoscope_native(self._handle, number, _place_of(native))
                yield Block(name, rows, native)

    def clear(self) -> None:
        """Forget the rows."""
        self._library.duoscope_clear(self._handle)

    def forget(self) -> None:
        """Put into the catalogue anew what earlier rows have put there: now and then, or when those rows were lost."""
        self._library.duoscope_forget(self._handle)

    def __del__(self) -> None:
        if self._handle:
            self._library.duoscope_close(self._handle)


# A bytes object that is yet to be filled, and where it lies.
_new_bytes: Final = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t)(
    ("PyBytes_FromStringAndSize", ctypes.pythonapi)
)
_place_of: Final = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(("PyBytes_AsString", ctypes.pythonapi))


def _allocated(handle: int | None) -> int:
    if not handle:
        raise MemoryError
    return handle


@lru_cache(maxsize=4096)
def _owner(scope: Scope, retention_days: int) -> bytes:
    """`struct owner`. ClickHouse keeps a UUID as two little-endian halves."""
    ids = (scope.organization_id, scope.workspace_id, scope.tenant_id)
    return b"".join(i.bytes[7::-1] + i.bytes[:7:-1] for i in ids) + retention_days.to_bytes(8, "little")
