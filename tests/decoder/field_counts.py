"""What a decoder should have counted of the values of fields, by the rows that it made of the same requests."""

import json
import struct
from collections import Counter

QUARTER_NS = 900 * 10**9
VALUE_BYTES_MAX, NAME_BYTES_MAX = 256, 255
RUNS_MAX = 64  # of rows of one request in one quarter
FIELD, ATTRIBUTES, RESOURCE = 1, 2, 3
TYPES = {"String": 1, "Bool": 2, "Int64": 3, "Float64": 4}
KINDS = [b"unspecified", b"internal", b"server", b"client", b"producer", b"consumer"]
STATUSES = [b"unset", b"ok", b"error"]
SEVERITIES = [b"trace", b"debug", b"info", b"warn", b"error", b"fatal"]


def counts_due(rows):
    """Counts by quarter, place, name, type and value, of the rows of one request of spans or log records."""
    due = Counter()
    runs, before = 0, None
    for row in rows:
        quarter = row["timestamp"] // QUARTER_NS * 900
        runs, before = runs + (quarter != before), quarter
        if runs > RUNS_MAX:
            break
        for name, value in _fields(row).items():
            if value:
                due[quarter, FIELD, name, *_told(1, value)] += 1
        typed = row["span_attributes_typed" if "span_name" in row else "log_attributes_typed"]
        for name, (kind, value) in typed.items():
            due[quarter, ATTRIBUTES, name, *_told(TYPES[kind], value)] += 1
        # Their JSON does not tell a whole double from an integer.
        for name, value in json.loads(row["resource"] or "{}", object_pairs_hook=list):
            if isinstance(value, str | int | float) and len(name.encode()) <= NAME_BYTES_MAX:
                due[quarter, RESOURCE, name.encode()] += 1
    return due


def counted(rows):
    """The same of rows of counts."""
    found = Counter()
    for row in rows:
        key = row["quarter"], row["place"], row["name"]
        if row["place"] != RESOURCE:
            key += (row["type"], _bits(float(row["value"])) if row["type"] == TYPES["Float64"] else row["value"])
        assert row["count"]
        found[key] += row["count"]
    return found


def _fields(row):
    shared = {b"service": row["service_name"], b"scope": row["scope_name"]}
    if "span_name" in row:
        kind, status = KINDS[row["span_kind"]], STATUSES[row["status_code"]]
        told = {b"name": row["span_name"], b"status_message": row["status_message"]}
        return shared | told | {b"kind": kind, b"status": status}
    number = row["severity_number"]
    severity = SEVERITIES[(number - 1) // 4] if number else b""
    return shared | {b"severity": severity, b"severity_text": row["severity_text"], b"event": row["event_name"]}


def _told(kind, value):
    match kind:
        case 1:
            return (0, b"") if len(value) > VALUE_BYTES_MAX else (kind, value)
        case 2:
            return kind, b"true" if value else b"false"
        case 3:
            return kind, b"%d" % value
        case _:
            return kind, _bits(value)


def _bits(number):
    return "nan" if number != number else struct.pack("<d", number)  # noqa: PLR0124 - so it is told
