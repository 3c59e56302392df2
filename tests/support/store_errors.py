"""How the metadata store maps an error of its driver."""

import re
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from duoscope.kernel.errors import DuoscopeError, ErrorKind


@contextmanager
def refused(error: type[Exception], *, match: str = "") -> Generator[None]:
    """Expect the block to end in `metadata-store-error`, because PostgreSQL answered with `error`."""
    with pytest.raises(DuoscopeError) as raised:
        yield
    assert (raised.value.kind, raised.value.code) == (ErrorKind.INTERNAL, "metadata-store-error")
    assert isinstance(raised.value.__cause__, error)
    assert re.search(match, str(raised.value.__cause__))
    assert str(raised.value.__cause__) not in raised.value.message
