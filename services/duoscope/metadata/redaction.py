"""Redacts changes before they are recorded: secrets are removed by the names of their keys, sizes are limited.

The result is plain JSON that does not change when it is redacted again: the audit log's hashes need that.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast

from duoscope.kernel.clock import rfc3339

REDACTED: Final = "[redacted]"
TEXT_CHARS_MAX: Final = 2048
ITEMS_MAX: Final = 200
DEPTH_MAX: Final = 8
CHANGE_CHARS_MAX: Final = 16 * 1024
"""Of `before` or `after`, as JSON text."""

_SECRET: Final = re.compile(
    r"pass(word|phrase|wd)|secret|encrypted|token|credential|authorization|cookie|private|signing_?key|api_?key|hash|salt|"
    r"otp|mfa_?code|backup_?code|recovery_?code|verifier|nonce|client_?assertion|dsn"
)
_HARMLESS: Final = re.compile(
    r"(_id|_ids|_at|_count|_name|_version|_prefix|_type|_s|_days|_policy|_required|_enabled|_endpoint|_url|_method)$"
)
"""Endings of names that mention a secret but hold none: token_id, password_changed_at, token_endpoint."""
_IN_TEXT: Final = re.compile(
    r"tfk-[a-z2-7]{16}\.[0-9A-Za-z]+|tfr-[\w-]{20,}|eyJ[\w-]+\.[\w-]+\.[\w-]+|\$argon2\w+\$\S+|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)
"""Our own keys and tokens, JWTs, password hashes and passwords in URLs, anywhere in a text."""


def canonical(value: Any) -> str:
    """Serialize to JSON with sorted keys, without spaces, in ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def clean(text: str, chars_max: int = TEXT_CHARS_MAX) -> str:
    """Clean a text for every store: without NUL and lone surrogates, cut to a length, without secrets of known form."""
    text = text[: chars_max + 1].encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    text = _IN_TEXT.sub(REDACTED, text)
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"


def redacted(change: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Redact `before` or `after` of an entry."""
    if change is None:
        return None
    shown = cast("dict[str, Any]", _plain(change, 0))
    size = len(canonical(shown))
    if size <= CHANGE_CHARS_MAX:
        return shown
    # The names of all fields are worth more than the full value of the first.
    room = max(0, CHANGE_CHARS_MAX // max(1, len(shown)) - 100)
    short = {
        key: value if len(text := canonical(value)) <= room else f"[{len(text)} characters left out]"
        for key, value in shown.items()
    }
    return short if len(canonical(short)) <= CHANGE_CHARS_MAX else {"left_out": f"{size} characters"}


def _plain(value: Any, depth: int) -> Any:  # noqa: PLR0911 - one a kind
    match value:
        case None | bool() | int():
            return value if not isinstance(value, int) or abs(value) < 2**63 else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime():
            return rfc3339(value)
        case str():
            return clean(value)
        case bytes() | bytearray() | memoryview():
            return REDACTED
        case _ if depth >= DEPTH_MAX:
            return "[nested too deeply]"
        case Mapping():
            return _plain_mapping(cast("Mapping[Any, Any]", value), depth)
        case list() | tuple() | set() | frozenset():
            items = list(cast("list[Any]", value))
            if isinstance(value, set | frozenset):
                items.sort(key=str)
            shown = [_plain(item, depth + 1) for item in items[:ITEMS_MAX]]
            return shown if len(items) <= ITEMS_MAX else [*shown, f"[{len(items) - ITEMS_MAX} more]"]
        case _:
            return clean(str(value))


def _plain_mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for key, item in list(value.items())[:ITEMS_MAX]:
        name = clean(str(key), 256)
        hidden = item is not None and not isinstance(item, bool) and _is_secret(name)
        shown[name] = REDACTED if hidden else _plain(item, depth + 1)
    if len(value) > ITEMS_MAX:
        shown["…"] = f"[{len(value) - ITEMS_MAX} more]"
    return shown


def _is_secret(name: str) -> bool:
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")
    return _SECRET.search(name) is not None and _HARMLESS.search(name) is None
