"""YAML and JSON from strangers as plain dictionaries, lists and texts, within bounds.

Every scalar is a text, as in Go, where `tier: 2` is the label "2": whoever reads a field says what it must be.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import yaml

from duoscope.kernel.errors import DuoscopeError, invalid

Document: TypeAlias = "str | list[Document] | dict[str, Document]"

CHARS_MAX: Final = 4 * 1024 * 1024
NODES_MAX: Final = 100_000
"""With every alias written out."""
DEPTH_MAX: Final = 60
DOCUMENTS_MAX: Final = 200
_HALF: Final = re.compile(r"[\ud800-\udfff]")


def read(text: str) -> list[Document]:
    """All documents of a YAML or JSON text; empty ones are left out.

    Raises:
        DuoscopeError: INVALID `invalid-file`, with line and column where they are known.
    """
    if len(text) > CHARS_MAX:
        raise refused(f"The file has more than {CHARS_MAX:,} characters.")
    try:
        found: list[Any] = [json.loads(text)] if text.lstrip()[:1] in {"{", "["} else _yaml(text)
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise refused(f"The file is no YAML: {where}{error.problem or error.context}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise refused(f"The file is neither YAML nor JSON: {str(error)[:200]}.") from error
    left = [NODES_MAX]
    return [_plain(each, left, 0) for each in found if each not in (None, "")]


def _yaml(text: str) -> list[Any]:
    # libyaml parses without recursion, and composes with it: deep nesting is found here.
    # So are too many values, before they are made.
    depth, documents, nodes = 0, 0, 0
    events = cast("Iterator[yaml.Event]", yaml.parse(text, Loader=yaml.CBaseLoader))
    for event in events:
        nodes += isinstance(event, yaml.NodeEvent)
        if nodes > NODES_MAX:
            raise _too_much()
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_MAX:
                raise refused(f"The file is nested more than {DEPTH_MAX} deep.")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > DOCUMENTS_MAX:
                raise refused(f"The file has more than {DOCUMENTS_MAX} documents.")
    # CBaseLoader knows no tags: it makes dictionaries, lists and texts, and merges nothing.
    return list(yaml.load_all(text, Loader=yaml.CBaseLoader))


def _whole(text: str) -> str:
    if _HALF.search(text):
        raise refused("The file has half of a surrogate pair in a text.")
    return text


def _plain(value: Any, left: list[int], depth: int) -> Document:
    left[0] -= 1
    if left[0] < 0 or depth > DEPTH_MAX:
        raise _too_much()
    match value:
        case str():
            return _whole(value)
        case dict():
            items = cast("dict[Any, Any]", value).items()
            return {_whole(_text(name)): _plain(each, left, depth + 1) for name, each in items}
        case list():
            return [_plain(each, left, depth + 1) for each in cast("list[Any]", value)]
        case _:
            return _text(value)


def _too_much() -> DuoscopeError:
    return refused(f"The file has more than {NODES_MAX:,} values, or is nested more than {DEPTH_MAX} deep.")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def mapping(document: "Document | None") -> Mapping[str, Document]:
    """The document as a dictionary; an empty one for anything else."""
    return document if isinstance(document, dict) else {}


def sequence(document: "Document | None") -> Sequence[Document]:
    """The document as a list; an empty one for anything else."""
    return document if isinstance(document, list) else []


def text(document: "Document | None") -> str:
    """The document as a text; the empty one for anything else."""
    return document if isinstance(document, str) else ""


def texts(document: "Document | Mapping[str, Document] | None") -> dict[str, str]:
    """The document as a dictionary of texts, without what is none."""
    found = document if isinstance(document, Mapping) else {}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def refused(message: str) -> DuoscopeError:
    """The error for a file that cannot be read."""
    return invalid(message, code="invalid-file")
