"""Replaces itself with a PostgreSQL program: `python -I -S launcher.py <parent pid> <uid> <gid> <program>
[argument...]`.

Runs on its own, outside the package, with the standard library alone. A uid of -1 keeps the account. Otherwise it
changes from root to that account and keeps a single capability: to traverse and read folders. Without it, a data
directory or a virtual environment below a home folder of mode 0700 would be out of reach, and no folder's mode should
be widened for that. On Linux the program also gets SIGINT, a fast shutdown, when the thread that started it dies, even
by kill -9.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def change_account(uid: int, gid: int) -> None:
    """Change from root to an unprivileged account. On Linux, keep the capability to traverse folders, if the process
    has it.
    """
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    kept = _passing_capability(libc) if libc is not None else 0
    if libc is not None and kept:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if libc is not None and kept:
        # From here on best effort: without the capability PostgreSQL itself reports the folder that it cannot enter.
        data = (_Data * 2)(_Data(1 << kept, 1 << kept, 1 << kept), _Data(0, 0, 0))
        if libc.capset(ctypes.byref(_header()), data) == 0:
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept, 0, 0)


def _header() -> _Header:
    return _Header(CAPABILITY_VERSION_3, 0)


def _passing_capability(libc: ctypes.CDLL) -> int:
    """The weaker of the two capabilities that allow traversing folders, if this process has one; 0 for neither."""
    data = (_Data * 2)()
    if libc.capget(ctypes.byref(_header()), data) != 0:
        return 0
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if data[0].permitted & 1 << capability:
            return capability
    return 0


def follow_parent(parent: int) -> None:
    """Ask the kernel for SIGINT when the starting thread dies. Must come last: a change of account clears the
    request.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
    if os.getppid() != parent:  # it died before the wish was known
        sys.exit(1)


def main() -> None:
    """Become the program named on the command line."""
    parent, uid, gid = (int(value) for value in sys.argv[1:4])
    command = sys.argv[4:]
    if uid >= 0:
        change_account(uid, gid)
    follow_parent(parent)
    # Python ignores SIGPIPE, and an ignored signal stays ignored in the program.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606 - the command is ours, and no shell is wanted


if __name__ == "__main__":
    main()
