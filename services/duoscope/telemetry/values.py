"""Turns stored OTLP values back into typed JSON values. Only this module knows the stored forms.

Views give attributes as JSON objects, and a body as a text with its kind beside it (receiver/decoder/values/). This
module returns JSON values: null, booleans, integers, floats (`"nan"`, `"inf"`, `"-inf"` for those that JSON cannot
represent), texts, arrays, objects. Bytes are `{"bytes_value": "<base64>"}`, so that they are not taken for a text.
"""

import base64
import binascii
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, cast

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"

NANOS_PER_SECOND: Final = 1_000_000_000


def rfc3339(unix_nano: int) -> str:
    """A time as the API prints it: RFC 3339 in UTC with nine digits of a second."""
    seconds, nanos = divmod(unix_nano, NANOS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


def hex_id(identifier: bytes) -> str:
    """A trace or span id in lower-case hex; '' for the id of zeros, which means none."""
    return identifier.hex() if any(identifier) else ""


def typed(text: str, kind: str) -> Value:
    """The value behind a body's text."""
    match kind:
        case "array_value" | "kvlist_value":
            return _expand(json.loads(text))
        case "bytes_value":
            return {"bytes_value": text}
        case _:
            return _scalar(text, kind)


def attributes(text: str, doubles: Sequence[str] = ()) -> dict[str, Value]:
    """The attributes of an item.

    Args:
        text: their stored JSON.
        doubles: names of those that are doubles, even if JSON has them as whole numbers.
    """
    if not text:
        return {}
    found = cast("dict[str, Value]", _expand(json.loads(text, parse_int=_whole if "-0" in text else None)))
    for name in doubles:
        number = found.get(name)
        if isinstance(number, int):
            found[name] = float(number)
    return found


def _whole(digits: str) -> float:
    return -0.0 if digits == "-0" else int(digits)


def _scalar(text: str, kind: str) -> Value:
    match kind:
        case "string_value":
            return text
        case "bool_value":
            return text == "true"
        case "int_value":
            return int(text)
        case "double_value":
            return _finite(float(text))
        case _:
            return None


def _finite(number: float) -> float | str:
    return number if math.isfinite(number) else str(number)


_BYTES: Final = "@otlp.bytes_value"


def _expand(value: Any) -> Value:
    """Replace the stored form of bytes by the API's."""
    if isinstance(value, list):
        return [_expand(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        if len(entries) == 1 and isinstance(entries.get(_BYTES), str) and _is_base64(entries[_BYTES]):
            return {"bytes_value": entries[_BYTES]}
        return {key: _expand(item) for key, item in entries.items()}
    return _finite(value) if isinstance(value, float) else value


def _is_base64(text: str) -> bool:
    """Whether it may be what the decoder wrote, and not a sender's own key that happens to look the same."""
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True
