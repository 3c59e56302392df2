"""The lock on a data directory, so that one process owns it: an advisory lock that the kernel releases however its
holder dies.
"""

import fcntl
import os
from pathlib import Path
from typing import Self

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.files import keep_private

LOCK_FILE = "lock"


class DataDirectoryLock:
    """The lock on `<data_dir>/lock`, held from `acquire` until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, data_dir: Path) -> Self:
        """Take the lock, and create the directory (mode 0700) if it does not exist; files written in it are private.

        Raises:
            DuoscopeError: CONFLICT `data-directory-in-use` while another process holds it.
        """
        keep_private()
        _make_directory(data_dir)
        # The file stays when the lock is released: removing it would let two processes lock two files of one name.
        descriptor = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise DuoscopeError(
                ErrorKind.CONFLICT,
                "data-directory-in-use",
                f"Data folder {data_dir} is in use by another duoscope (pid {holder}); "
                "choose another with --data-dir or stop it.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Release the lock. A second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _make_directory(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DuoscopeError(
            ErrorKind.INVALID,
            "data-directory-unusable",
            f"Cannot use {data_dir} as the data folder: {error.strerror}. Choose another with --data-dir.",
        ) from error
