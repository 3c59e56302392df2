"""Where the files that come with the package lie, and that those which a process writes are its account's alone."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def keep_private() -> None:
    """Let nobody but this account read what this process and its children write from now on: modes 0600 and 0700.

    A folder of mode 0700 protects what is in it until somebody copies, mounts or backs it up elsewhere.
    """
    os.umask(0o077)


def shipped(name: str) -> Path:
    """The folder `migrations` or `proto` of this installation: beside it in a checkout, inside it in a wheel."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parents[1] / name
