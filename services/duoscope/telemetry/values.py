"""OTLP values as they are stored, turned back into typed JSON values. The only place that knows the stored forms.

ClickHouse decodes OTLP and keeps attributes as JSON objects, and a body as a text with its kind beside it
(migrations/clickhouse/0001). Out of here come JSON values: null, booleans, integers, floats (`"nan"`, `"inf"`, `"-inf"`
for what JSON has no number for), texts, arrays, objects; bytes are
`{"bytes_value": "<base64>"}`, so that nobody takes them for a text.
"""

import base64
import binascii
import json
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, cast

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValueList

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
    """The value behind a text that `otlpText` made."""
    match kind:
        case "array_value" | "kvlist_value":
            return _expand(json.loads(text))
        case "bytes_value":
            return {"bytes_value": text}
        case _:
            return _scalar(text, kind)


def attributes(text: str) -> dict[str, Value]:
    """Attributes of a resource, a span, a log record or a metric point: the JSON object that `otlpObject` printed."""
    return cast("dict[str, Value]", _expand(json.loads(text))) if text else {}


def decoded_attributes(text_base64: str) -> dict[str, Value]:
    """Attributes that are stored as toJSONString() prints the decoded message: of scopes, events, links, exemplars.

    Such a text may hold bytes that are no UTF-8, so queries select it through base64Encode().
    """
    raw = base64.b64decode(text_base64)
    return _entries(json.loads(raw.decode("utf-8", "surrogateescape"))) if raw else {}


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


def _expand(value: Any) -> Value:
    """Open what lies deeper than ClickHouse decodes."""
    if isinstance(value, list):
        return [_expand(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        if len(entries) == 1:
            (key, inner), *_ = entries.items()
            if key in _MARKERS and isinstance(inner, str):
                try:
                    return _MARKERS[key](base64.b64decode(inner, validate=True))
                except (binascii.Error, DecodeError):
                    pass  # a sender's own key that happens to look like ours
        return {key: _expand(item) for key, item in entries.items()}
    return _finite(value) if isinstance(value, float) else value


def _bytes(raw: bytes) -> Value:
    return {"bytes_value": base64.b64encode(raw).decode()}


def _array(raw: bytes) -> Value:
    return [_message(value) for value in ArrayValue.FromString(raw).values]


def _kvlist(raw: bytes) -> Value:
    return {entry.key: _message(entry.value) for entry in KeyValueList.FromString(raw).values}


_MARKERS: Final[dict[str, Callable[[bytes], Value]]] = {
    "@otlp.array_value": _array,
    "@otlp.kvlist_value": _kvlist,
    "@otlp.bytes_value": _bytes,
}


def _message(value: AnyValue) -> Value:  # noqa: PLR0911 - one a kind
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return _finite(value.double_value)
        case "array_value":
            return [_message(item) for item in value.array_value.values]
        case "kvlist_value":
            return {entry.key: _message(entry.value) for entry in value.kvlist_value.values}
        case "bytes_value":
            return _bytes(value.bytes_value)
        case _:
            return None


def _entries(entries: Iterable[dict[str, Any]]) -> dict[str, Value]:
    return {_clean(entry["key"]): _tuple(entry["value"]) for entry in entries}


def _tuple(value: dict[str, Any]) -> Value:  # noqa: PLR0911 - one a kind
    """One decoded AnyValue: the name of the field that is set under `value`, and all fields."""
    kind = value["value"]
    content = value.get(kind)
    match kind:
        case "string_value":
            return _clean(str(content))
        case "bool_value":
            return bool(content)
        case "int_value":
            return int(cast("int", content))
        case "double_value":
            return None if content is None else _finite(float(content))
        case "bytes_value":
            return _bytes(_raw(content))
        case "array_value":
            if isinstance(content, dict):
                return [_tuple(item) for item in cast("dict[str, Any]", content)["values"]]
            return _array(_raw(content))
        case "kvlist_value":
            if isinstance(content, dict):
                return _entries(cast("dict[str, Any]", content)["values"])
            return _kvlist(_raw(content))
        case _:
            return None


def _raw(text: Any) -> bytes:
    return cast("str", text).encode("utf-8", "surrogateescape")


def _clean(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
