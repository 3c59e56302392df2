"""Decompresses gzip and zstd bodies, up to the size limit of a request.

Both are read in steps, each reserved before it is made, and both may be decompression bombs: the size that a body
states is a hint for the size of a step and nothing else. Small bodies are decompressed at once, others in threads of
their own, never in those that INSERTs need.
"""

import asyncio
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, Protocol, TypeVar

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from duoscope.kernel import limits
from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.receiver.admission.memory import Reservation
from duoscope.receiver.status import too_large

GZIP: Final = "gzip"
ZSTD: Final = "zstd"
GZIP_MAGIC: Final = b"\x1f\x8b"
"""RFC 1952, section 2.3.1. No protobuf message starts so: 0x1f is a tag of the wire type 7, which does not exist."""

_GZIP_WINDOW: Final = zlib.MAX_WBITS | 16
_GZIP_RATIO_MAX: Final = 1032
_PARTS_MAX: Final = 64
"""Members of a gzip body, frames of a zstd body. Each may cost a copy of what follows it; clients send one."""

_INLINE_BYTES_MAX: Final = 32 * 1024
_INLINE_INFLATED_BYTES_MAX: Final = 256 * 1024
_STEP_BYTES: Final = 4 * 1024 * 1024

_threads: Final = ThreadPoolExecutor(limits.INGEST_UNPACK_THREADS_MAX, "otlp-unpack")


_T = TypeVar("_T")


class _Source(Protocol):
    """A compressed body that is read from its start to its end."""

    @property
    def finished(self) -> bool:
        """Whether all of it was read."""
        ...

    def read(self, size: int) -> bytes:
        """Read up to `size` more bytes, possibly none."""
        ...


async def inflate(body: bytes, encoding: str, reservation: Reservation) -> bytes:
    """Decompress `body`, which is GZIP or ZSTD and already reserved; afterwards only the result is reserved.

    Raises:
        DuoscopeError: INVALID for a damaged body, TOO_LARGE beyond INGEST_REQUEST_BYTES_MAX, UNAVAILABLE if there is no
            room for it now.
    """
    compressed = reservation.size
    source: _Source = _Gzip(body) if encoding == GZIP else _Zstd(body)
    expected = _gzip_hint(body) if encoding == GZIP else _zstd_hint(body)
    inline = len(body) <= _INLINE_BYTES_MAX and expected <= _INLINE_INFLATED_BYTES_MAX
    # One byte more than expected, so that the end is seen in the same step.
    step = min(max(expected, _INLINE_INFLATED_BYTES_MAX), limits.INGEST_REQUEST_BYTES_MAX) + 1
    pieces: list[bytes] = []
    total = 0
    while not source.finished:
        room = min(step, limits.INGEST_REQUEST_BYTES_MAX + 1 - total)
        reservation.resize(compressed + total + room)
        piece = source.read(room) if inline else await in_thread(partial(source.read, room))
        total += len(piece)
        if total > limits.INGEST_REQUEST_BYTES_MAX:
            raise too_large()
        pieces.append(piece)
        inline = False
        step = _STEP_BYTES
    if len(pieces) != 1:
        reservation.resize(2 * total)
        pieces = [await in_thread(partial(b"".join, pieces))]
    reservation.resize(total)
    return pieces[0]


async def in_thread(work: Callable[[], _T]) -> _T:
    """Run `work` on a body in a thread, while the event loop continues."""
    return await asyncio.get_running_loop().run_in_executor(_threads, work)


class _Gzip:
    """RFC 1952. A body is a series of members (section 2.2); reading only the first would lose the others unseen."""

    def __init__(self, body: bytes) -> None:
        self.finished = False
        self._rest = body
        self._parts = 1
        self._member = zlib.decompressobj(_GZIP_WINDOW)

    def read(self, size: int) -> bytes:
        try:
            piece = self._member.decompress(self._rest, size)
        except zlib.error as error:
            raise _malformed(GZIP) from error
        if not self._member.eof:
            self._rest = self._member.unconsumed_tail
            if not self._rest and len(piece) < size:
                raise _malformed(GZIP)
            return piece
        self._rest = self._member.unused_data
        self.finished = not self._rest
        if not self.finished:
            self._parts = _one_more(self._parts, GZIP)
            self._member = zlib.decompressobj(_GZIP_WINDOW)
        return piece


class _Zstd:
    """RFC 8878. A body is a series of frames; a window over 32 MiB is refused (RFC 9659 asks for 8 MiB at least)."""

    def __init__(self, body: bytes) -> None:
        self.finished = False
        self._unread = body
        self._parts = 1
        self._frame = _zstd_frame()

    def read(self, size: int) -> bytes:
        unread, self._unread = self._unread, b""
        try:
            piece = self._frame.decompress(unread, size)
        except zstd.ZstdError as error:
            raise _malformed(ZSTD) from error
        if not self._frame.eof:
            if self._frame.needs_input:
                raise _malformed(ZSTD)
            return piece
        self._unread = self._frame.unused_data
        self.finished = not self._unread
        if not self.finished:
            self._parts = _one_more(self._parts, ZSTD)
            self._frame = _zstd_frame()
        return piece


def _zstd_frame() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: limits.INGEST_ZSTD_WINDOW_LOG_MAX}
    )


def _one_more(parts: int, encoding: str) -> int:
    if parts == _PARTS_MAX:
        raise invalid(f"The {encoding} body has more than {_PARTS_MAX} parts.", code=f"malformed-{encoding}")
    return parts + 1


def _gzip_hint(body: bytes) -> int:
    """The size that the last member states, unless it cannot be true."""
    size = int.from_bytes(body[-4:], "little")
    return size if size <= len(body) * _GZIP_RATIO_MAX else 0


def _zstd_hint(body: bytes) -> int:
    try:
        return zstd.get_frame_info(body).decompressed_size or 0
    except zstd.ZstdError:
        return 0


def _malformed(encoding: str) -> DuoscopeError:
    window = f", or its window is over {2**limits.INGEST_ZSTD_WINDOW_LOG_MAX // 2**20} MiB" if encoding == ZSTD else ""
    return invalid(
        f"The body is not valid {encoding}: it is damaged, or cut short{window}.", code=f"malformed-{encoding}"
    )
