"""Conditions on attributes: that one exists, equals a value, is like a pattern, or is in order with a number.

Equality is decided here and nowhere else, by value and type. What a query names is a text, and may be a number or a
boolean. It equals an attribute that is this text; an integer or a double of that value, however either was written
(`5`, `5.0`, `5e0`); that boolean; a list or an object whose JSON it is. An empty text equals empty texts alone, and
neither null nor what is missing.

Attributes are stored in two forms (docs/adr/0026): in columns by name and type, and as a JSON object of those without a
column. A `Place` names both; a condition is one over both.
"""

import json
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from duoscope.telemetry.language.tree import And, AttributeColumn, Or, Predicate, Tree

Resolved = Tree[Predicate]


@dataclass(frozen=True, slots=True)
class Place:
    """The columns that hold attributes.

    Attributes:
        text: a JSON object of those without a column.
        typed: of type JSON; '' where there is none.
    """

    text: str
    typed: str = ""


_COLUMN_NAME: Final = re.compile(r"[A-Za-z0-9_./-]{1,255}", re.ASCII)
"""The names that may have a column: `object_takes` in receiver/decoder/columns/object.c."""
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INT64: Final = range(-(2**63), 2**63)
_BOOLEANS: Final = ("true", "false")
_NOT_FINITE: Final = {"nan": "isNaN({})", "inf": "{} = inf", "-inf": "{} = -inf"}


def exists(place: Place, key: str) -> Resolved:
    """Whether there is such an attribute, be it null."""
    in_text = _if_named(place, key, Predicate(f"JSONHas({place.text}, {{}})", (_text(key),)))
    return Or((Predicate("{} IS NOT NULL", (_column(place, key),)), in_text)) if _has_column(place, key) else in_text


def like(place: Place, key: str, pattern: str) -> Resolved:
    """Whether it is like a pattern of LIKE; numbers and booleans as they are printed."""
    matches = Predicate(f"JSONExtract({place.text}, {{}}, 'String') LIKE {{}}", (_text(key), _text(pattern)))
    in_text = _if_named(place, key, matches)
    if not _has_column(place, key):
        return in_text
    return Or((_in_column("CAST({}, 'Nullable(String)') LIKE {}", _column(place, key), _text(pattern)), in_text))


def ordered(place: Place, key: str, op: str, number: float) -> Resolved:
    """Whether it is a number, or a text that reads as one, on that side of a number."""
    bound = ("Float64", number)
    value = f"JSONExtract({place.text}, {{}}, 'String')"
    compares = Predicate(f"ifNull(toFloat64OrNull({value}) {op} {{}}, 0)", (_text(key), bound))
    in_text = _if_named(place, key, compares)
    if not _has_column(place, key):
        return in_text
    return Or(
        (
            *(_in_column(f"{{}} {op} {{}}", _column(place, key, kind), bound) for kind in ("Int64", "Float64")),
            _in_column(f"toFloat64OrNull({{}}) {op} {{}}", _column(place, key, "String"), bound),
            in_text,
        )
    )


def equal(place: Place, key: str, value: str) -> Resolved:
    """Whether it equals a value, as the module's beginning has it."""
    integer, number = _numbers(value)
    in_text = _equal_in_text(place, key, value, integer, number)
    if not _has_column(place, key):
        return in_text
    return Or((*_equal_in_column(place, key, value, integer, number), in_text))


def _equal_in_column(place: Place, key: str, value: str, integer: int | None, number: float | None) -> list[Predicate]:
    cases = [_in_column("{} = {}", _column(place, key, "String"), _text(value))]
    if integer is not None:
        cases.append(_in_column("{} = {}", _column(place, key, "Int64"), ("Int64", integer)))
    if number is not None:
        cases.append(_in_column("{} = {}", _column(place, key, "Float64"), ("Float64", number)))
    elif value in _NOT_FINITE:
        cases.append(_in_column(_NOT_FINITE[value], _column(place, key, "Float64")))
    elif value in _BOOLEANS:
        cases.append(_in_column(f"{{}} = {value}", _column(place, key, "Bool")))
    return cases


def _equal_in_text(place: Place, key: str, value: str, integer: int | None, number: float | None) -> Resolved:
    column, named = place.text, _text(key)
    kind = f"JSONType({column}, {{}})"
    cases = [
        Predicate(f"({kind} = 'String' AND JSONExtractString({column}, {{}}) = {{}})", (named, named, _text(value)))
    ]
    if integer is not None:
        exactly = f"({kind} IN ('Int64', 'UInt64') AND JSONExtractInt({column}, {{}}) = {{}})"
        cases.append(Predicate(exactly, (named, named, ("Int64", integer))))
    if number is not None:
        nearly = f"({kind} = 'Double' AND JSONExtractFloat({column}, {{}}) = {{}})"
        cases.append(Predicate(nearly, (named, named, ("Float64", number))))
    elif value in _BOOLEANS:
        cases.append(Predicate(f"({kind} = 'Bool' AND JSONExtractBool({column}, {{}}) = {value})", (named, named)))
    elif value[:1] in ("[", "{"):
        whole = f"({kind} IN ('Array', 'Object') AND JSONExtract({column}, {{}}, 'String') = {{}})"
        cases.append(Predicate(whole, (named, named, _text(value))))
    if len(cases) == 1:
        return _if_named(place, key, cases[0], value)
    return _if_named(place, key, Or(tuple(cases)))


def _if_named(place: Place, key: str, condition: Resolved, text: str | None = None) -> Resolved:
    """The condition, of items alone whose JSON has the possible spellings of the name, or of it and a text.

    Searching for them is cheaper than parsing the object, and excludes most items; of a resource it is done once for
    all that it sent. Characters that may be escaped in other ways are not searched for.
    """
    if re.search(r"[\x00-\x1f\x7f\u2028\u2029]", key + (text or "")):
        return condition
    spelled = f"{json.dumps(key, ensure_ascii=False)}:" + ("" if text is None else json.dumps(text, ensure_ascii=False))
    needles = tuple(dict.fromkeys((spelled, spelled.replace("/", "\\/"))))
    return And((Predicate(f"multiSearchAny({place.text}, {{}})", (("Array(String)", needles),)), condition))


def _numbers(value: str) -> tuple[int | None, float | None]:
    """The integer of 64 bits and the double that a text is, if any."""
    if not _NUMBER.fullmatch(value):
        return None, None
    number = float(value)
    if not math.isfinite(number):
        return None, None
    if abs(number) > _INT64.stop:
        return None, number
    exact = Decimal(value)
    is_whole = exact == exact.to_integral_value() and int(exact) in _INT64
    return int(exact) if is_whole else None, number


def _has_column(place: Place, key: str) -> bool:
    return bool(place.typed) and _COLUMN_NAME.fullmatch(key) is not None


def _in_column(condition: str, *values: tuple[str, str | float] | AttributeColumn) -> Predicate:
    """A condition on values in a column, which are null where an item has none."""
    return Predicate(condition, values, is_nullable=True)


def _column(place: Place, key: str, kind: str = "") -> AttributeColumn:
    return AttributeColumn(place.typed, key, kind)


def _text(value: str) -> tuple[str, str]:
    return ("String", value)
