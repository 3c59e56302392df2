"""Changes of documents: merge patches (RFC 7396), and what differs between two versions."""

from collections.abc import Iterator
from typing import Any, Final, cast

from msgspec import Struct

CHANGES_MAX: Final = 500
_IDENTITIES: Final = ("key", "widget", "name")
"""Members by which elements of a list are told apart, wherever they stand."""
_ABSENT: Final = object()


class Change(Struct, frozen=True):
    """A difference between two versions of a dashboard.

    `pointer` is a JSON pointer, in which elements of lists go by their key or name. A value that is absent is null.
    """

    pointer: str
    before: Any
    after: Any


def merged(target: Any, patch: Any) -> Any:
    """Apply a merge patch: members replace, null removes, anything but an object replaces the whole."""
    if not isinstance(patch, dict):
        return patch
    made: dict[str, Any] = dict(cast("dict[str, Any]", target)) if isinstance(target, dict) else {}
    for name, value in cast("dict[str, Any]", patch).items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merged(made.get(name), value)
    return made


def differences(before: Any, after: Any) -> list[Change]:
    """List what differs between two documents, in the order of their members; at most CHANGES_MAX."""
    found: list[Change] = []
    for change in _differences("", before, after):
        if len(found) == CHANGES_MAX:
            break
        found.append(change)
    return found


def _differences(pointer: str, before: Any, after: Any) -> Iterator[Change]:
    if before == after:
        return
    old, new = _members(before), _members(after)
    if old is None or new is None or type(before) is not type(after):
        yield Change(pointer, None if before is _ABSENT else before, None if after is _ABSENT else after)
        return
    if isinstance(after, list) and list(old) != list(new) and set(old) == set(new):
        yield Change(pointer, list(old), list(new))
    for name in dict.fromkeys([*old, *new]):
        step = str(name).replace("~", "~0").replace("/", "~1")
        yield from _differences(f"{pointer}/{step}", old.get(name, _ABSENT), new.get(name, _ABSENT))


def _members(value: Any) -> dict[str, Any] | None:
    """The members of an object, or of a list by what tells its elements apart; None of anything else."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    if not isinstance(value, list):
        return None
    listed = cast("list[Any]", value)
    for identity in _IDENTITIES:
        names = [cast("dict[str, Any]", each).get(identity) for each in listed if isinstance(each, dict)]
        if len(names) == len(listed) and all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
            return dict(zip(cast("list[str]", names), listed, strict=True))
    return {str(number): each for number, each in enumerate(listed)}
