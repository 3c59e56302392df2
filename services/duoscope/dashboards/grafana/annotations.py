"""Annotations of Grafana, and ours as Grafana's: those that ask Prometheus have a counterpart."""

from typing import Final

from duoscope.dashboards import model
from duoscope.dashboards.annotations import ANNOTATIONS_MAX, Annotation, ExpressionMarks
from duoscope.dashboards.grafana.queries import source_of
from duoscope.dashboards.grafana.reading import Json, obj, objects, text
from duoscope.dashboards.grafana.report import Line, NotConvertedError, Notes
from duoscope.kernel.limits import QUERY_TEXT_CHARS_MAX

_TITLE_CHARS_MAX: Final = 1000


def convert(source: Json, questions: model.Questions) -> tuple[tuple[Annotation, ...], list[Line]]:
    """The annotations of a dashboard, and what became of each. What is built in, of its own panels' alerts, is none."""
    made: dict[str, Annotation] = {}
    report: list[Line] = []
    for number, each in objects(obj(source.get("annotations")).get("list")):
        if each.get("builtIn") == 1:
            continue
        kind, name, notes = source_of(each, {}), text(each.get("name"), 200).strip(), Notes()
        pointer = f"/annotations/list/{number}"
        if len(made) == ANNOTATIONS_MAX:
            why = f"a dashboard has up to {ANNOTATIONS_MAX} annotations"
            report.append(Line("annotation", kind, name, pointer, "left-out", [why]))
            continue
        try:
            marks = _marks(each, kind, _free(name, made), questions, notes)
        except NotConvertedError as error:
            report.append(Line("annotation", kind, name, pointer, "left-out", [str(error)]))
        else:
            made[marks.name] = marks
            report.append(notes.line("annotation", kind, name, pointer))
    return tuple(made.values()), report


def export(annotations: tuple[Annotation, ...]) -> list[Json]:
    """Write those that Grafana has, too."""
    return [
        {
            "name": each.name,
            "enable": each.is_shown,
            "iconColor": each.color,
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "expr": each.expression,
            "titleFormat": each.title,
        }
        for each in annotations
        if isinstance(each, ExpressionMarks)
    ]


def _marks(given: Json, kind: str, name: str, questions: model.Questions, notes: Notes) -> ExpressionMarks:
    expression = text(given.get("expr")) or text(obj(given.get("target")).get("expr"))
    if kind != "prometheus":
        raise NotConvertedError(f"it asks a source of type {kind}")
    if not expression.strip():
        raise NotConvertedError("it asks nothing")
    if len(expression) > QUERY_TEXT_CHARS_MAX:
        raise NotConvertedError("its expression is too long")
    title, told = text(given.get("titleFormat"), _TITLE_CHARS_MAX), text(given.get("textFormat"), _TITLE_CHARS_MAX)
    if title and told:
        notes.lose("the text beside its title")
    if given.get("useValueForTime"):
        notes.lose("that its values are times")
    marks = ExpressionMarks(
        name=name,
        is_shown=given.get("enable") is not False,
        color=_color(text(given.get("iconColor"), 64)),
        expression=expression.strip(),
        title=title or told,
    )
    if problem := model.of_annotation(marks, questions):
        raise NotConvertedError(problem)
    return marks


def _color(color: str) -> str:
    return color if all(each.isascii() and (each.isalnum() or each in "#(),.% -") for each in color) else ""


def _free(name: str, taken: dict[str, Annotation]) -> str:
    stem = found = name or "Annotation"
    number = 2
    while found in taken:
        found, number = f"{stem[:190]} {number}", number + 1
    return found
