"""Turns a violated unique key into the conflict that a client can understand."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.stores.postgres import UniqueViolationError

CODE_REMEDY: Final = "it is made of the name unless given: choose another name or code"


@contextmanager
def taken(resource: str, what: str, remedy: str = "") -> Generator[None]:
    """Around one INSERT or UPDATE: CONFLICT `<resource>-exists` if `what` is taken by another row."""
    try:
        yield
    except UniqueViolationError as error:
        message = f"Another {resource} has this {what}{remedy and f'; {remedy}'}."
        raise DuoscopeError(ErrorKind.CONFLICT, f"{resource}-exists", message) from error
