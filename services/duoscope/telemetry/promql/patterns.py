"""Regular expressions from users: RE2, which takes time linear in the text for every expression."""

import functools
from typing import Any, cast

import re2

from duoscope.telemetry.promql.errors import ExpressionError

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.dot_nl = True
_OPTIONS.max_mem = 8 * 1024 * 1024


@functools.lru_cache(maxsize=1024)
def compiled(text: str) -> Any:
    """Compile an expression that must match a whole text, in which `.` also matches line ends.

    Raises:
        ExpressionError: it is invalid.
    """
    try:
        return cast("Any", re2).compile(text, _OPTIONS)
    except cast("type[Exception]", re2.error) as error:
        told: object = error.args[0] if error.args else ""
        detail = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
        raise ExpressionError(f"error parsing regexp: {detail}: `{text}`") from None
