"""Where the package's own files are installed, and how files that a process writes are kept private."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def keep_private() -> None:
    """Make files that this process and its children write readable by its account only: modes 0600 and 0700.

    A folder of mode 0700 protects its content only until it is copied, mounted or backed up elsewhere.
    """
    os.umask(0o077)


def shipped(name: str) -> Path:
    """The folder `migrations` or `proto` of this installation: beside the package in a checkout, inside it in a
    wheel.
    """
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parents[1] / name
