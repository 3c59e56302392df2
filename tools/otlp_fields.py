"""Writes what the decoder knows of OTLP's messages, from the descriptors of the pinned `opentelemetry-proto`.

`make otlp-fields` runs it when the protocol has grown. It makes two C files in receiver/decoder/:

* `wire/otlp_fields.h`: the messages, the numbers and tags of their fields, what those that are looked into hold, and
  the values of enums.
* `json/json_fields.c`: the same fields by their names in JSON.

tests/decoder/test_otlp_fields.py holds the committed files to what this makes.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from duoscope.receiver import decoder
from duoscope.receiver.signals import SIGNALS

DECODER: Final = Path(decoder.__file__).parent
WRITTEN: Final = """\
Written by tools/otlp_fields.py
// (make otlp-fields) from the descriptors of opentelemetry-proto: do not edit.
"""

HEADER_OPENING: Final = f"""\
// The messages of OTLP, the numbers and tags of their fields, and the values of enums. {WRITTEN}\
#ifndef DUOSCOPE_OTLP_FIELDS_H
#define DUOSCOPE_OTLP_FIELDS_H

#include "wire/wire.h"
"""

TABLE_OPENING: Final = f"""\
// The messages of OTLP and what their fields are called in JSON. {WRITTEN}\
#include "json/json_fields.h"

#define FIELD(name, proto_name, number, kind, flags, of) \\
  {{name, proto_name, sizeof name - 1, sizeof proto_name - 1, number, kind, flags, of}}
#define ALL(of) {{of, sizeof of / sizeof *of}}
#define MESSAGE(of, roles) {{of, sizeof of / sizeof *of, roles}}
"""

IDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
"""OTLP has the bytes of these as hex in JSON."""

KINDS: Final = {
    getattr(FieldDescriptor, f"TYPE_{name}"): f"J_{kind}"
    for name, kind in (
        *((name, name) for name in ("BOOL", "INT32", "INT64", "UINT32", "UINT64", "SINT32", "FIXED32", "FIXED64")),
        *((name, name) for name in ("SFIXED64", "DOUBLE", "ENUM", "BYTES", "MESSAGE")),
        ("STRING", "TEXT"),
    )
}
"""What a field holds, as `enum json_kind` names it."""

_FIXED64: Final = {FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED64, FieldDescriptor.TYPE_DOUBLE}
_LENGTH: Final = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE}

_ITEMS: Final = frozenset({"Span", "LogRecord"}) | {
    f"{kind}DataPoint" for kind in ("Number", "Histogram", "ExponentialHistogram", "Summary")
}
_HOLDERS: Final = {f"{of}{signal}" for of in ("Resource", "Scope") for signal in ("Spans", "Logs", "Metrics")}
_MARKED: Final = _ITEMS | _HOLDERS | {"Metric", "Resource", "InstrumentationScope"}


def found() -> tuple[list[Descriptor], list[EnumDescriptor]]:
    """Every message and enum that a request can hold; the requests first, in the order of the signals."""
    messages = [signal.request.DESCRIPTOR for signal in SIGNALS]
    enums: list[EnumDescriptor] = []
    for message in messages:  # which grows meanwhile
        for field in message.fields:
            if field.message_type and field.message_type not in messages:
                messages.append(field.message_type)
            if field.enum_type and field.enum_type not in enums:
                enums.append(field.enum_type)
    return messages, enums


def holds_items(message: Descriptor) -> bool:
    """Whether it is an item, or has some below it."""
    return message.name in _ITEMS or any(
        holds_items(field.message_type)
        for field in message.fields
        if field.message_type and field.message_type.name not in {"AnyValue", "KeyValue"}
    )


def is_judged(message: Descriptor) -> bool:
    """Whether the decoder looks in it for the mark that says that a member was passed over."""
    return message.name in _MARKED


def is_choice(field: FieldDescriptor) -> bool:
    """Whether it is one of several of a oneof; a field that is merely `optional` has one to itself."""
    return field.containing_oneof is not None and len(field.containing_oneof.fields) > 1


def header() -> str:
    """wire/otlp_fields.h."""
    messages, _ = found()
    lines = [
        HEADER_OPENING,
        "// What a field of type LENGTH holds, of those that are looked into.",
        "enum otlp_message {",
        *(f"  {name}," for name in ("HOLDS_NOTHING", "HOLDS_FIXED64S", "HOLDS_VARINTS")),
        *(f"  MESSAGE_{_upper(message)}," for message in messages),
        "  OTLP_MESSAGES",
        "};",
        "",
    ]
    for message in messages:
        name = _upper(message)
        lines += ["enum {", *(_field_line(name, field) for field in message.fields), "};", ""]
    held = [(message, field, holds) for message in messages for field in message.fields if (holds := _holds(field))]
    end = max(field.number for _, field, _ in held) + 1
    lines += [
        f"enum {{ OTLP_HOLDERS_END = {end} }};  // of the fields that are looked into",
        "",
        "// HOLDS(message, field, what the field holds)",
        "#define OTLP_HOLDS(HOLDS) \\",
        *(
            f"  HOLDS(MESSAGE_{_upper(message)}, FIELD_{_upper(message)}_{field.name.upper()}, {holds}) \\"
            for message, field, holds in held
        ),
    ]
    lines[-1] = lines[-1].removesuffix(" \\")
    for enum in _enums_of_files(messages):
        lines += ["", "enum {", *(f"  {value.name} = {value.number}," for value in enum.values), "};"]
    return "\n".join([*lines, "", "#endif"]) + "\n"


def table() -> str:
    """json/json_fields.c."""
    messages, enums = found()
    lines = [TABLE_OPENING, "enum {", *(f"  ENUM_{_upper(one)}," for one in enums), "};", ""]
    for enum in enums:
        lines.append(f"static const json_name {_upper(enum)}_NAMES[] = {{")
        lines += [f'    {{"{value.name}", {value.number}}},' for value in enum.values]
        lines += ["};", ""]
    for message in messages:
        lines.append(f"static const json_field {_upper(message)}_FIELDS[] = {{")
        lines += [f"    {_row(field)}," for field in message.fields]
        lines += ["};", ""]
    lines.append("const json_message JSON_MESSAGES[OTLP_MESSAGES] = {")
    lines += [f"    [MESSAGE_{_upper(one)}] = MESSAGE({_upper(one)}_FIELDS, {_roles(one)})," for one in messages]
    lines += ["};", "", "const json_enum JSON_ENUMS[] = {"]
    lines += [f"    [ENUM_{_upper(one)}] = ALL({_upper(one)}_NAMES)," for one in enums]
    return "\n".join([*lines, "};"]) + "\n"


FILES: Final = {DECODER / "wire" / "otlp_fields.h": header, DECODER / "json" / "json_fields.c": table}
"""What makes which file."""


def _upper(descriptor: Descriptor | EnumDescriptor) -> str:
    """`Span.Event` as SPAN_EVENT."""
    name = descriptor.full_name.partition(".v1.")[2]
    return "".join(
        f"_{c}" if c.isupper() and at and name[at - 1].islower() else "_" if c == "." else c
        for at, c in enumerate(name)
    ).upper()


def _enums_of_files(messages: Iterable[Descriptor]) -> Iterator[EnumDescriptor]:
    """Also those that no field has as its type, such as the flags."""
    files = {message.file.name: message.file for message in messages}
    for file in files.values():
        yield from file.enum_types_by_name.values()
        for message in file.message_types_by_name.values():
            yield from message.enum_types


def _field_line(message: str, field: FieldDescriptor) -> str:
    name, number = f"{message}_{field.name.upper()}", field.number
    return f"  FIELD_{name} = {number}, TAG_{name} = {number} << 3 | {_wire_type(field)},"


def _wire_type(field: FieldDescriptor) -> str:
    if field.is_packed or field.type in _LENGTH:
        return "LENGTH"
    if field.type in _FIXED64:
        return "FIXED64"
    return "FIXED32" if field.type == FieldDescriptor.TYPE_FIXED32 else "VARINT"


def _holds(field: FieldDescriptor) -> str | None:
    if field.message_type:
        return f"MESSAGE_{_upper(field.message_type)}"
    if not field.is_packed:
        return None
    return "HOLDS_FIXED64S" if field.type in _FIXED64 else "HOLDS_VARINTS"


def _roles(message: Descriptor) -> str:
    held = [name for name, holds in (("J_PATH", holds_items), ("J_MARKED", is_judged)) if holds(message)]
    return " | ".join(held) or "J_INNER"


def _row(field: FieldDescriptor) -> str:
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
    of = f"MESSAGE_{_upper(field.message_type)}" if field.message_type else ""
    of = of or (f"ENUM_{_upper(field.enum_type)}" if field.enum_type else "0")
    names = f'"{field.json_name}", "{field.name}"'
    return f"FIELD({names}, {field.number}, {kind}, {' | '.join(flags) or 'J_ONE'}, {of})"


def main() -> None:
    """Write the files."""
    for path, make in FILES.items():
        path.write_text(make(), encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
