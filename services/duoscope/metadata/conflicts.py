"""Turns the violation of a unique key into a conflict that the client can understand."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.stores.postgres import UniqueViolationError

CODE_REMEDY: Final = "it is made of the name unless given: choose another name or code"


@contextmanager
def taken(resource: str, what: str, remedy: str = "") -> Generator[None]:
    """Wrap one INSERT or UPDATE. Raises CONFLICT `<resource>-exists` if another row already has `what`."""
    try:
        yield
    except UniqueViolationError as error:
        message = f"Another {resource} has this {what}{remedy and f'; {remedy}'}."
        raise DuoscopeError(ErrorKind.CONFLICT, f"{resource}-exists", message) from error
