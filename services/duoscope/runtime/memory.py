"""How this process requests memory from the system."""

import ctypes
import mmap
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8

_LARGE_BYTES: Final = 256 * 1024
_TRIM_BYTES: Final = 1024 * 1024
_ARENAS: Final = 2
_PATH: Final = 4
"""Its place in a line of `/proc/self/smaps`, after the addresses."""

_ENGINE_ALLOCATOR: Final = "JE_MALLOC_CONF"
_ENGINE_DECAY: Final = "dirty_decay_ms:10,muzzy_decay_ms:0"


def return_what_is_freed() -> None:
    """Make freed memory of requests and batches return to the system.

    Call it before threads are started and before the embedded engine is imported. glibc keeps megabytes of freed memory
    in an arena per thread for later use, and the engine's allocator keeps them for ten seconds. Batches pass through
    several threads here: measured by `make bench`, glibc's part was a fifth of the peak, the engine's a tenth.
    """
    os.environ.setdefault(_ENGINE_ALLOCATOR, _ENGINE_DECAY)
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for option, value in ((_ARENA_MAX, _ARENAS), (_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, _TRIM_BYTES)):
        libc.mallopt(option, value)


def forget_what_started() -> None:
    """Give back the pages of programs that only the start has used: those that are used again come from their files.

    Loading the embedded engine touches all of its tables of addresses, and much of its code.
    """
    smaps = Path("/proc/self/smaps")
    if not smaps.exists():  # not Linux
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in list(_unchanged(smaps.read_text())):
        madvise(start, end - start, mmap.MADV_DONTNEED)


def _unchanged(smaps: str) -> Iterator[tuple[int, int]]:
    """The ranges that nobody can write to, and nobody has written to: they are as in their files."""
    start = end = 0
    for line in smaps.splitlines():
        name, *rest = line.split()
        if not name.endswith(":"):
            start, end = (int(part, 16) for part in name.split("-")) if _is_of_file(rest) else (0, 0)
        elif end and name == "Anonymous:" and rest[0] == "0":
            yield start, end


def _is_of_file(fields: list[str]) -> bool:
    return fields[0] in {"r-xp", "r--p"} and len(fields) > _PATH and fields[_PATH].startswith("/")
