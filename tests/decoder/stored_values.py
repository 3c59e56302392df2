"""The texts that are stored for attributes and bodies, as Python makes them: what the decoder's are held against."""

import base64
import math
import re

from duoscope.kernel import limits
from duoscope.receiver.decoder import Bounds

BOUNDS = Bounds(attributes_max=6, attribute_bytes_max=120, body_bytes_max=150)
"""Small, so that small requests reach them."""
LIST_BYTES_MAX = 16 * BOUNDS.attribute_bytes_max


def number_text(value):
    """The fewest digits that give the number back."""
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value == math.floor(value) and abs(value) < 1e15 and (value or math.copysign(1, value) > 0):
        return str(int(value))
    return next(text for digits in (15, 16, 17) if float(text := f"{value:.{digits}g}") == value)


def is_text(raw):
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def quoted(raw, faults):
    if not is_text(raw):
        faults.add("invalid-utf8")
    short = {0x22: b'\\"', 0x5C: b"\\\\", 0x0A: b"\\n", 0x0D: b"\\r", 0x09: b"\\t"}
    return b'"' + b"".join(short.get(b) or (b"\\u%04x" % b if b < 0x20 else bytes([b])) for b in raw) + b'"'


def json_value(value, faults, depth=0, *, exact=False):  # noqa: PLR0911 - one a kind
    """The JSON that is stored for an AnyValue; `faults` takes what speaks against storing it.

    `exact`: doubles are known as such where they are whole, too.
    """
    kind = value.WhichOneof("value")
    match kind:
        case "string_value":
            return quoted(value.string_value, faults)
        case "bool_value":
            return b"true" if value.bool_value else b"false"
        case "int_value":
            return b"%d" % value.int_value
        case "double_value":
            text = number_text(value.double_value).encode()
            if exact and math.isfinite(value.double_value) and not set(text) & set(b".e"):
                text += b".0"
            return text if math.isfinite(value.double_value) else b'"' + text + b'"'
        case "bytes_value":
            return b'{"@otlp.bytes_value":"' + base64.b64encode(value.bytes_value) + b'"}'
        case "array_value" | "kvlist_value" if depth >= limits.INGEST_NESTING_MAX:
            return '"…[cut]"'.encode()
        case "array_value":
            return (
                b"["
                + b",".join(json_value(each, faults, depth + 1, exact=exact) for each in value.array_value.values)
                + b"]"
            )
        case "kvlist_value":
            pairs = [
                quoted(each.key, faults) + b":" + json_value(each.value, faults, depth + 1, exact=exact)
                for each in value.kvlist_value.values
            ]
            return b"{" + b",".join(pairs) + b"}"
        case _:
            return b"null"


def cut_text(raw, room, quote=b"", size=None):
    """The stored form of a text that is too long."""
    mark = f"…[cut from {len(raw) if size is None else size} bytes]".encode()
    kept = quote
    for character in raw.decode():
        piece = quoted(character.encode(), set())[1:-1] if quote else character.encode()
        if len(kept) + len(piece) + len(mark) + len(quote) > room:
            break
        kept += piece
    return kept + mark + quote


TYPES = {"string_value": "String", "bool_value": "Bool", "int_value": "Int64", "double_value": "Float64"}


def typed(pair):
    """The type and the value that a column keeps of an attribute, or None."""
    kind = pair.value.WhichOneof("value")
    if kind not in TYPES or not re.fullmatch(rb"[A-Za-z0-9_./-]{1,255}", pair.key):
        return None
    value = getattr(pair.value, kind)
    if kind == "string_value" and (len(value) > BOUNDS.attribute_bytes_max // 6 or not is_text(value)):
        return None
    return TYPES[kind], int(value) if kind == "bool_value" else value


def columns(pairs, faults):
    """The values that columns keep, by name, the JSON object of all others, and how many were dropped."""
    kept, seen, others, dropped, size, out = {}, set(), [], 0, 0, b"{"
    for pair in pairs[: BOUNDS.attributes_max]:
        if len(pair.key) <= BOUNDS.attribute_bytes_max and size + len(out) < LIST_BYTES_MAX:
            is_repeated = pair.key in seen
            seen.add(pair.key)
            if not is_repeated and (value := typed(pair)):
                kept[pair.key] = value
                size += len(pair.key) + 8 + (len(value[1]) if value[0] == "String" else 0)
                continue
        others.append(pair)
        out, dropped, _ = attributes(others, faults, room=LIST_BYTES_MAX - min(size, LIST_BYTES_MAX))
        out = out[:-1]
    return kept, out + b"}" if len(out) > 1 else b"", dropped + max(0, len(pairs) - BOUNDS.attributes_max)


def attributes(pairs, faults, *, ordered=False, room=LIST_BYTES_MAX):
    """The JSON object that is stored for attributes, how many were dropped, and what is left."""
    left = []
    taken, whole, dropped = pairs[: BOUNDS.attributes_max], b"{", max(0, len(pairs) - BOUNDS.attributes_max)
    for pair in sorted(taken, key=lambda each: each.key) if ordered else taken:
        of_pair = set()
        content, text = (
            json_value(pair.value, of_pair, exact=not ordered),
            pair.value.WhichOneof("value") == "string_value",
        )
        bad_text = text and not is_text(pair.value.string_value)
        if len(whole) >= room or len(pair.key) > BOUNDS.attribute_bytes_max:
            dropped += 1
            continue
        if len(content) > BOUNDS.attribute_bytes_max and text and not bad_text:
            content = cut_text(pair.value.string_value, BOUNDS.attribute_bytes_max, b'"')
        is_kept = text or len(content) <= BOUNDS.attribute_bytes_max
        longer = whole + (b"," if len(whole) > 1 else b"") + quoted(pair.key, of_pair) + b":" + content
        if bad_text:
            faults.add("invalid-utf8")
            left.append(pair)
        elif not is_kept or len(longer) > room:
            dropped += 1
        else:
            faults |= of_pair
            whole = longer
            left.append(pair)
    return whole + b"}", dropped, left
