"""File descriptors: how many the process may have open, and who they are for."""

import resource

from duoscope.kernel import limits


def allow_open_files() -> int:
    """As many as the system lets us have: every connection is one, and the usual 1,024 is fewer than we take.

    Answers how many connections each of three ports may then have, with what comes beyond a limit to be told so, while
    enough are kept back for the stores.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.OPEN_FILES_WANTED
    if soft == resource.RLIM_INFINITY:
        soft = wanted
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return (soft - min(limits.OPEN_FILES_KEPT, soft // 2)) // 4
