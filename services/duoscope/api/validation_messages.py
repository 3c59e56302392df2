"""Validation messages in plain words: msgspec's name its types, and leave the choices out."""

import difflib
import re
from typing import Any, Final

import msgspec

CHOICES_SHOWN_MAX: Final = 12
_VALUE_CHARS_MAX: Final = 100
_WRONG_CHOICE: Final = re.compile(r"Invalid enum value '?(?P<value>.*?)'?", re.DOTALL)
_BOUND: Final = re.compile(r"Expected '(?P<type>\w+)' (?P<length>of length )?(?P<bound><=|>=|<|>) (?P<number>-?[\d.]+)")
_BOUNDS: Final = {"<=": "At most", ">=": "At least", "<": "Less than", ">": "More than"}
_UNITS: Final = {"str": "character", "array": "item", "object": "field", "bytes": "byte"}
_STEP: Final = re.compile(r"\[[^\]]*\]|[^.\[]+")


def plain(message: str, annotation: Any, path: str) -> str:
    """Rewrite msgspec's message about the value at `path` in a value of the type `annotation`, such as
    `permissions[0]`.
    """
    if bound := _BOUND.fullmatch(message):
        unit = _UNITS.get(bound["type"], "item") if bound["length"] else ""
        plural = "" if bound["number"] == "1" else "s"
        return f"{_BOUNDS[bound['bound']]} {bound['number']}{f' {unit}{plural}' if unit else ''}"
    if wrong := _WRONG_CHOICE.fullmatch(message):
        choices = _choices(_at(msgspec.inspect.type_info(annotation), _STEP.findall(path)))
        if choices:
            value = wrong["value"]
            shown = f"{value[:_VALUE_CHARS_MAX]}…" if len(value) > _VALUE_CHARS_MAX else value
            return f"'{shown}' is none of {_listed(value[:_VALUE_CHARS_MAX], choices)}"
    return message


def _listed(value: str, choices: list[str]) -> str:
    """The choices, the most similar one first; if there are too many, as many as are readable."""
    close = difflib.get_close_matches(value, choices, n=3, cutoff=0.5)
    ordered = [*close, *(choice for choice in choices if choice not in close)]
    more = len(ordered) - CHOICES_SHOWN_MAX
    return ", ".join(ordered[:CHOICES_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")


def _at(found: msgspec.inspect.Type, steps: list[str]) -> list[msgspec.inspect.Type]:
    """The types allowed there: several, if one of several is allowed."""
    inner: list[msgspec.inspect.Type] = []
    match found:
        case msgspec.inspect.Metadata():
            return _at(found.type, steps)
        case msgspec.inspect.UnionType():
            return [each for one in found.types for each in _at(one, steps)]
        case _ if not steps:
            return [found]
        case msgspec.inspect.StructType():
            inner = [field.type for field in found.fields if field.encode_name == steps[0]]
        case msgspec.inspect.ListType() | msgspec.inspect.SetType() | msgspec.inspect.VarTupleType():
            inner = [found.item_type]
        case msgspec.inspect.DictType():
            inner = [found.value_type]
        case _:
            pass
    return [each for one in inner for each in _at(one, steps[1:])]


def _choices(types: list[msgspec.inspect.Type]) -> list[str]:
    choices: list[str] = []
    for found in types:
        if isinstance(found, msgspec.inspect.LiteralType):
            choices += map(str, found.values)
        elif isinstance(found, msgspec.inspect.EnumType):
            choices += [str(member.value) for member in found.cls]
    return list(dict.fromkeys(choices))
