"""The table that OTLP/JSON is read by is what the descriptors of opentelemetry-proto say.

`DUOSCOPE_TESTS_REGENERATE=1` writes json_fields.c anew, when the protocol has grown.
"""

import os
from pathlib import Path

from google.protobuf.descriptor import FieldDescriptor

from duoscope.receiver import decoder
from duoscope.receiver.signals import SIGNALS

TABLE = Path(decoder.__file__).with_name("json_fields.c")

OPENING = """\
// The messages of OTLP and what their fields are called in JSON. Written by tests/decoder/test_json_fields.py, from the
// descriptors of opentelemetry-proto: do not edit.
#include "json.h"

#define FIELD(name, proto_name, number, kind, flags, of) \\
  {name, proto_name, sizeof name - 1, sizeof proto_name - 1, number, kind, flags, of}
#define ALL(of) {of, sizeof of / sizeof *of}
#define MESSAGE(of, roles) {of, sizeof of / sizeof *of, roles}
"""

IDS = {"trace_id", "span_id", "parent_span_id"}
"""OTLP has the bytes of these as hex."""

KINDS = {
    getattr(FieldDescriptor, f"TYPE_{name}"): f"J_{kind}"
    for name, kind in (
        *((name, name) for name in ("BOOL", "INT32", "INT64", "UINT32", "UINT64", "SINT32", "FIXED32", "FIXED64")),
        *((name, name) for name in ("SFIXED64", "DOUBLE", "ENUM", "BYTES", "MESSAGE")),
        ("STRING", "TEXT"),
    )
}
FIELDS_MAX = 63

ITEMS = {
    "Span",
    "LogRecord",
    *(f"{kind}DataPoint" for kind in ("Number", "Histogram", "ExponentialHistogram", "Summary")),
}
HOLDERS = {f"{of}{signal}" for of in ("Resource", "Scope") for signal in ("Spans", "Logs", "Metrics")} | {"Metric"}
"""What the decoder judges, beside resources and scopes."""


def table():
    """The C file."""
    messages, enums = found()
    lines = [OPENING]
    for kind, each in (("MESSAGE", messages), ("ENUM", enums)):
        lines += ["enum {", *(f"  {kind}_{upper(one)}," for one in each), "};", ""]
    for enum in enums:
        lines.append(f"static const json_name {upper(enum)}_NAMES[] = {{")
        lines += [f'    {{"{value.name}", {value.number}}},' for value in enum.values]
        lines += ["};", ""]
    for message in messages:
        lines.append(f"static const json_field {upper(message)}_FIELDS[] = {{")
        lines += [f"    {row(field)}," for field in message.fields]
        lines += ["};", ""]
    lines.append("const json_message JSON_MESSAGES[] = {")
    lines += [f"    [MESSAGE_{upper(one)}] = MESSAGE({upper(one)}_FIELDS, {roles(one)})," for one in messages]
    lines += ["};", "", "const json_enum JSON_ENUMS[] = {"]
    lines += [f"    [ENUM_{upper(one)}] = ALL({upper(one)}_NAMES)," for one in enums]
    lines += ["};", ""]
    return "\n".join(lines[:-1]) + "\n"


def found():
    """Every message and enum that a request can hold; the requests first, in the order of the signals."""
    messages = [signal.request.DESCRIPTOR for signal in SIGNALS]
    enums = []
    for message in messages:
        for field in message.fields:
            for kind, known in ((field.message_type, messages), (field.enum_type, enums)):
                if kind is not None and kind not in known:
                    known.append(kind)
    return messages, enums


def upper(descriptor):
    """`Span.Event` as SPAN_EVENT."""
    name = descriptor.full_name.partition(".v1.")[2]
    return "".join(
        f"_{c}" if c.isupper() and at and name[at - 1].islower() else "_" if c == "." else c
        for at, c in enumerate(name)
    ).upper()


def holds_items(message):
    """Whether it is an item, or has some below it."""
    return message.name in ITEMS or any(
        holds_items(field.message_type)
        for field in message.fields
        if field.message_type and field.message_type.name not in {"AnyValue", "KeyValue"}
    )


def is_judged(message):
    """Whether the decoder looks for the mark in it."""
    return message.name in ITEMS | HOLDERS | {"Resource", "InstrumentationScope"}


def roles(message):
    """The roles of a message, in C."""
    held = [name for name, holds in (("J_PATH", holds_items), ("J_MARKED", is_judged)) if holds(message)]
    return " | ".join(held) or "J_INNER"


def row(field):
    """The line of a field."""
    kind = "J_ID" if field.name in IDS else KINDS[field.type]
    flags = [
        name
        for name, holds in (
            ("J_LIST", field.is_repeated),
            ("J_SET", field.has_presence),
            ("J_CHOICE", is_choice(field)),
        )
        if holds
    ]
    of = f"MESSAGE_{upper(field.message_type)}" if field.message_type else ""
    of = of or (f"ENUM_{upper(field.enum_type)}" if field.enum_type else "0")
    names = f'"{field.json_name}", "{field.name}"'
    return f"FIELD({names}, {field.number}, {kind}, {' | '.join(flags) or 'J_ONE'}, {of})"


def is_choice(field):
    """Whether it is one of several of a oneof; a field that is merely `optional` has one to itself."""
    return field.containing_oneof is not None and len(field.containing_oneof.fields) > 1


def test_the_table_is_what_the_descriptors_say():
    written = table()
    if os.environ.get("DUOSCOPE_TESTS_REGENERATE"):
        TABLE.write_text(written)
    assert TABLE.read_text() == written


def test_the_reader_can_hold_what_the_table_says():
    messages, enums = found()
    for message in messages:
        assert not message.is_extendable
        assert len(message.fields) <= FIELDS_MAX
        assert len({field.containing_oneof.name for field in message.fields if is_choice(field)}) <= 1
        for field in message.fields:
            assert field.type in KINDS
            assert field.number < 1 << 8
            assert (field.type == field.TYPE_BYTES) >= (field.name in IDS)
            assert not (field.message_type and field.message_type.GetOptions().map_entry)
            assert not (field.is_repeated and field.type < field.TYPE_STRING and not field.is_packed)
            assert len(field.json_name) <= 48
    assert not any(enum.is_closed for enum in enums)
