"""Targets of a panel as queries of a widget."""

import re
from typing import Any, Final

import msgspec

from duoscope.dashboards.grafana import logql
from duoscope.dashboards.grafana.reading import Json, obj, objects, text, whole
from duoscope.dashboards.grafana.report import NotConvertedError, Notes
from duoscope.dashboards.widgets import QUERIES_MAX, RECORDS_MAX, AlertList, Query
from duoscope.telemetry.questions.promql import PromqlQuestion

_LABEL: Final = re.compile(r'([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
_OURS: Final = ("prometheus", "loki")


def convert(panel: Json, notes: Notes) -> tuple[Query, ...]:
    """The queries of a panel.

    Raises:
        NotConvertedError: it asks nothing, or one that it shows cannot be converted.
    """
    made: dict[str, Query] = {}
    for number, target in objects(panel.get("targets")):
        name = _free(text(target.get("refId"), 64) or chr(ord("A") + number % 26), made)
        is_hidden = target.get("hide") is True
        if source_of(target, panel) in _OURS and not text(target.get("expr")).strip():
            continue  # as Grafana does
        try:
            made[name] = _query(name, target, panel, notes, is_hidden=is_hidden)
        except NotConvertedError as error:
            if not is_hidden:
                raise
            notes.lose(f"the hidden query {name}: {error}")
        if len(made) > QUERIES_MAX:
            raise NotConvertedError(f"it asks more than {QUERIES_MAX} questions")
    if not made:
        raise NotConvertedError("it asks nothing")
    return tuple(made.values())


def alerts(panel: Json, notes: Notes) -> Query:
    """The query of a list of alerts: ours take the place of Grafana's."""
    options = obj(panel.get("options"))
    given = obj(options.get("stateFilter"))
    names: dict[str, Any] = {"firing": "firing", "pending": "pending", "noData": "no_data", "error": "error"}
    states = tuple(name for key, name in names.items() if given.get(key) is True)
    pairs = _LABEL.findall(text(options.get("alertInstanceLabelFilter")))
    if any(operator != "=" for _, operator, _ in pairs):
        notes.lose("conditions on labels other than that they are equal")
    labels = {name: value for name, operator, value in pairs if operator == "="}
    listed = AlertList(
        states=states or ("firing", "pending"),
        name=text(options.get("alertName"), 1000),
        labels=labels,
        limit=whole(options.get("maxItems"), 1, RECORDS_MAX) or 100,
    )
    return Query("A", msgspec.convert(msgspec.to_builtins(listed), AlertList), is_instant=True)


def source_of(target: Json, panel: Json) -> str:
    """The type of the source that a target asks, as far as it can be told: `prometheus` if nothing is said."""
    for holder in (target, panel):
        named = holder.get("datasource")
        kind = text(obj(named).get("type"), 100)
        if kind and kind not in ("datasource", "mixed"):
            return kind
        uid = (text(obj(named).get("uid"), 100) or text(named, 100)).lower()
        if kind == "datasource" or uid in ("-- dashboard --", "-- grafana --", "grafana"):
            return uid.strip("- ") or "grafana"
        for known in (*_OURS, "opensearch", "elasticsearch", "tempo", "jaeger"):
            if known in uid:
                return known
    return "prometheus"


def _query(name: str, target: Json, panel: Json, notes: Notes, *, is_hidden: bool) -> Query:
    source = source_of(target, panel)
    if source == "dashboard":
        raise NotConvertedError("it shows the answer of another panel")
    if source not in _OURS:
        raise NotConvertedError(f"it asks a source of type {source}")
    expression = text(target.get("expr"))
    if not expression.strip():
        raise NotConvertedError("it asks nothing")
    question = logql.question(expression, notes) if source == "loki" else PromqlQuestion(expression.strip())
    legend = text(target.get("legendFormat"), 1000)
    return Query(
        name,
        question,
        legend="" if legend == "__auto" else legend,
        is_hidden=is_hidden,
        is_instant=target.get("instant") is True and target.get("range") is not True,
        format="table" if target.get("format") == "table" else "series",
    )


def _free(name: str, taken: dict[str, Query]) -> str:
    found, number = name, 2
    while found in taken:
        found, number = f"{name[:56]}_{number}", number + 1
    return found
