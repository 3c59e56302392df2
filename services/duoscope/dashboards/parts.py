"""Changes of one part of a dashboard's document: a widget is put in, changed or taken out, a variable is changed.

Documents are in JSON's types, as `stored.written` makes them. What comes out is checked by whoever stores it.
"""

from typing import Any, Final, Literal

from duoscope.dashboards.changes import merged
from duoscope.kernel.errors import invalid, not_found

_IDENTITIES: Final = {"widgets": "key", "variables": "name"}
WIDTH: Final = 12
HEIGHT: Final = 8
"""Of a widget that is put in without a place."""


def changed(
    document: dict[str, Any], listed: Literal["widgets", "variables"], name: str, patch: dict[str, Any]
) -> dict[str, Any]:
    """The document with a merge patch of one widget or variable; places follow a widget's new key. Raises NOT_FOUND."""
    identity = _IDENTITIES[listed]
    _require(document, listed, name)
    parts = [merged(each, patch) if each[identity] == name else each for each in document[listed]]
    key = patch.get("key")
    if listed == "widgets" and isinstance(key, str):
        return document | {listed: parts, "sections": [_renamed(each, name, key) for each in document["sections"]]}
    return document | {listed: parts}


def with_widget(
    document: dict[str, Any], widget: dict[str, Any], place: dict[str, Any] | None, section: int | None
) -> dict[str, Any]:
    """The document with another widget.

    Args:
        document: of the dashboard.
        widget: to be put in.
        place: its `x`, `y`, `width` and `height`; None for below all others.
        section: the number of its section; None for the last one.

    Raises:
        DuoscopeError: INVALID for a section that is not there.
    """
    sections = [*document["sections"]] or [{"places": []}]
    number = len(sections) - 1 if section is None else section
    if number >= len(sections):
        raise invalid(f"`section`: the dashboard has {len(sections)} of them, counted from 0.")
    places = sections[number]["places"]
    below = max((each["y"] + each["height"] for each in places), default=0)
    place = place or {"x": 0, "y": below, "width": WIDTH, "height": HEIGHT}
    sections[number] = sections[number] | {"places": [*places, place | {"widget": widget["key"]}]}
    return document | {"widgets": [*document["widgets"], widget], "sections": sections}


def without_widget(document: dict[str, Any], key: str) -> dict[str, Any]:
    """The document without a widget and its place. Raises NOT_FOUND."""
    _require(document, "widgets", key)
    sections = [
        each | {"places": [place for place in each["places"] if place["widget"] != key]}
        for each in document["sections"]
    ]
    return document | {
        "widgets": [each for each in document["widgets"] if each["key"] != key],
        "sections": sections,
    }


def _require(document: dict[str, Any], listed: str, name: str) -> None:
    if all(each[_IDENTITIES[listed]] != name for each in document[listed]):
        raise not_found(listed.removesuffix("s"))


def _renamed(section: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    places = [place | {"widget": new} if place["widget"] == old else place for place in section["places"]]
    return section | {"places": places}
