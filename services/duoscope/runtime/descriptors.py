"""File descriptors: how many the process may have open, and how they are divided."""

import resource

from duoscope.kernel import limits


def allow_open_files() -> int:
    """Raise the limit of open files as far as the system allows: every connection is one, and the usual 1,024 is less
    than we accept.

    Returns:
        How many connections each of three ports may have, including those beyond a limit that are told so, while enough
        descriptors are reserved for the stores.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.OPEN_FILES_WANTED
    if soft == resource.RLIM_INFINITY:
        soft = wanted
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return (soft - min(limits.OPEN_FILES_KEPT, soft // 2)) // 4
