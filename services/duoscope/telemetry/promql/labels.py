"""Sets of labels: pairs of name and value, ordered by name, none of them empty; and operations on them."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]

NAME: Final = "__name__"
TYPE: Final = "__type__"
UNIT: Final = "__unit__"
SCHEMA: Final = frozenset({NAME, TYPE, UNIT})
"""The labels of the metric's name, type and unit; arithmetic removes them."""
LE: Final = "le"
RAW_BYTE: Final = 0x10FF00
"""Bytes of a text that are not UTF-8 are kept as characters of a private plane, from this one on."""
NONE: Final[Labels] = ()


def of(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """Make labels from pairs in any order; pairs with an empty value are left out."""
    return tuple(sorted((name, value) for name, value in dict(pairs).items() if value))


def get(labels: Labels, name: str) -> str:
    """The value of a label, or the empty text."""
    for key, value in labels:
        if key == name:
            return value
    return ""


def without(labels: Labels, names: Collection[str]) -> Labels:
    """All labels except these."""
    return tuple(pair for pair in labels if pair[0] not in names)


def only(labels: Labels, names: Collection[str]) -> Labels:
    """Only these labels."""
    return tuple(pair for pair in labels if pair[0] in names)


def replaced(labels: Labels, name: str, value: str) -> Labels:
    """The labels with one set, or removed by an empty value."""
    others = [pair for pair in labels if pair[0] != name]
    if value:
        others.append((name, value))
        others.sort()
    return tuple(others)


def shown(labels: Labels) -> str:
    """Print labels as Prometheus does in messages: `{a="b", c="d"}`."""
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"


def is_name(text: str) -> bool:
    """Whether a text may be the name of a label: any UTF-8 except the empty text."""
    return bool(text) and all(ord(character) < RAW_BYTE for character in text)
