"""Sets of labels: pairs of name and value, by name, none of them empty; and what operations make of them."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]

NAME: Final = "__name__"
TYPE: Final = "__type__"
UNIT: Final = "__unit__"
SCHEMA: Final = frozenset({NAME, TYPE, UNIT})
"""What says which metric it is and in what it is measured; arithmetic takes it away."""
LE: Final = "le"
RAW_BYTE: Final = 0x10FF00
"""Bytes of a text that are no UTF-8 are kept as characters of a private plane, from this one on."""
NONE: Final[Labels] = ()


def of(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """Labels of pairs in any order; empty values are no labels."""
    return tuple(sorted((name, value) for name, value in dict(pairs).items() if value))


def get(labels: Labels, name: str) -> str:
    """The value of a label, or the empty text."""
    for key, value in labels:
        if key == name:
            return value
    return ""


def without(labels: Labels, names: Collection[str]) -> Labels:
    """All labels but those."""
    return tuple(pair for pair in labels if pair[0] not in names)


def only(labels: Labels, names: Collection[str]) -> Labels:
    """Those labels and no others."""
    return tuple(pair for pair in labels if pair[0] in names)


def replaced(labels: Labels, name: str, value: str) -> Labels:
    """With a label set, or taken away by an empty value."""
    others = [pair for pair in labels if pair[0] != name]
    if value:
        others.append((name, value))
        others.sort()
    return tuple(others)


def shown(labels: Labels) -> str:
    """As Prometheus prints them in messages: `{a="b", c="d"}`."""
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"


def is_name(text: str) -> bool:
    """Whether a text may be the name of a label: any UTF-8 but nothing."""
    return bool(text) and all(ord(character) < RAW_BYTE for character in text)
