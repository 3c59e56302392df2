"""How this process asks the system for memory."""

import ctypes
import platform
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8

_LARGE_BYTES: Final = 256 * 1024
_TRIM_BYTES: Final = 1024 * 1024
_ARENAS: Final = 2


def return_what_is_freed() -> None:
    """Let what requests and batches took go back to the system; call it before threads are started.

    glibc keeps megabytes that were freed once in an arena per thread, for a next time. Batches of many megabytes pass
    through several threads here: measured by the benchmark, a fifth of the peak. Elsewhere than on glibc, nothing.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for option, value in ((_ARENA_MAX, _ARENAS), (_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, _TRIM_BYTES)):
        libc.mallopt(option, value)
