"""How this process requests memory from the system."""

import ctypes
import os
import platform
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8

_LARGE_BYTES: Final = 256 * 1024
_TRIM_BYTES: Final = 1024 * 1024
_ARENAS: Final = 2


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
