"""Targets of a panel as queries of a widget."""

from typing import Final

from duoscope.dashboards.grafana import logql
from duoscope.dashboards.grafana.reading import Json, obj, objects, text
from duoscope.dashboards.grafana.report import NotConvertedError, Notes
from duoscope.dashboards.widgets import QUERIES_MAX, Query
from duoscope.telemetry.questions.promql import PromqlQuestion

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
    )


def _free(name: str, taken: dict[str, Query]) -> str:
    found, number = name, 2
    while found in taken:
        found, number = f"{name[:56]}_{number}", number + 1
    return found
