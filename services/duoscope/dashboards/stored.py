"""A dashboard's document as rows, and back: `from_rows(*to_rows(document))` is the document."""

from typing import Any

import msgspec

from duoscope.dashboards.model import Dashboard
from duoscope.metadata.widgets import Widget as WidgetRow


def written(dashboard: Dashboard) -> dict[str, Any]:
    """The document in JSON's types."""
    return msgspec.json.decode(msgspec.json.encode(dashboard))  # to_builtins would leave tuples


def layout(dashboard: Dashboard) -> dict[str, Any]:
    """The column `layout_config`: everything but the name, the description, widgets, their places and variables."""
    document = written(dashboard)
    sections = [{name: value for name, value in each.items() if name != "places"} for each in document["sections"]]
    names = ("tags", "annotations", "range_seconds", "refresh_seconds")
    return {name: document[name] for name in names} | {"sections": sections}


def widgets(dashboard: Dashboard) -> list[WidgetRow]:
    """The rows of `widgets`."""
    places = {
        place.widget: {"section": number, "number": position, **msgspec.to_builtins(place)}
        for number, section in enumerate(dashboard.sections)
        for position, place in enumerate(section.places)
    }
    rows: list[WidgetRow] = []
    for widget in written(dashboard)["widgets"]:
        kept = {
            name: value
            for name, value in widget.items()
            if name not in ("key", "type", "title", "queries", "refresh_seconds")
        }
        place = {name: value for name, value in places[widget["key"]].items() if name != "widget"}
        rows.append(
            WidgetRow(
                widget_key=widget["key"],
                title=widget["title"],
                widget_type=widget["type"],
                query_config={"queries": widget["queries"]},
                visualization_config=kept,
                position_config=place,
                refresh_interval=widget["refresh_seconds"],
            )
        )
    return rows


def document(
    *, name: str, description: str, layout_config: dict[str, Any], variables: list[Any], rows: list[WidgetRow]
) -> Dashboard:
    """Put a document together from its rows, which were checked when they were written."""
    placed: list[list[tuple[int, dict[str, Any]]]] = [[] for _ in layout_config["sections"]]
    made: list[dict[str, Any]] = []
    for row in rows:
        place = dict(row.position_config)
        section, position = place.pop("section"), place.pop("number")
        placed[section].append((position, place | {"widget": row.widget_key}))
        made.append(
            {"key": row.widget_key, "type": row.widget_type, "title": row.title}
            | {"refresh_seconds": row.refresh_interval}
            | row.query_config
            | row.visualization_config
        )
    sections = [
        section | {"places": [place for _, place in sorted(places, key=lambda each: each[0])]}
        for section, places in zip(layout_config["sections"], placed, strict=True)
    ]
    whole = {"name": name, "description": description, "widgets": made, "variables": variables}
    return msgspec.convert(whole | layout_config | {"sections": sections}, Dashboard)
