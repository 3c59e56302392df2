"""File descriptors: how many the process may have open, and who they are for."""

import resource

from duoscope.kernel import limits


def allow_open_files() -> None:
    """As many as the system lets us have: every connection is one, and the usual 1,024 is fewer than we take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.OPEN_FILES_WANTED
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
