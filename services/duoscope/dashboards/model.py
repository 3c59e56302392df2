"""The document of a dashboard: widgets, the sections in which they stand, and variables."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Annotated, Any, Final, NamedTuple, cast

import msgspec
from msgspec import Meta, Struct

from duoscope.dashboards.annotations import ANNOTATIONS_MAX, Annotation, ExpressionMarks
from duoscope.dashboards.filling import Chosen, Values, filled
from duoscope.dashboards.transformations import problem_of
from duoscope.dashboards.variables import Variable, chosen, in_order
from duoscope.dashboards.widgets import AlertList, Asked, Key, LogRecords, ShortText, Text, Widget
from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.telemetry.language import Signal, compile_query
from duoscope.telemetry.questions.promql import PromqlQuestion

WIDGETS_MAX: Final = 200
SECTIONS_MAX: Final = 100
VARIABLES_MAX: Final = 100
COLUMNS: Final = 24
ROWS_MAX: Final = 10_000
DEPTH_MAX: Final = 50
PLACEHOLDER_BYTES_MAX: Final = 64 * 1024
_SAMPLES: Final = ("a", "1", "5m")


class Place(Struct, frozen=True, forbid_unknown_fields=True):
    """The place of a widget in its section, on a grid of 24 columns."""

    widget: Key
    x: Annotated[int, Meta(ge=0, lt=COLUMNS)]
    y: Annotated[int, Meta(ge=0, le=ROWS_MAX)]
    width: Annotated[int, Meta(ge=1, le=COLUMNS)]
    height: Annotated[int, Meta(ge=1, le=200)]


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """Widgets that are shown and hidden together. One without a title is always shown."""

    title: ShortText = ""
    is_collapsed: Annotated[bool, Meta(description="Nothing is asked for its widgets until it is opened.")] = False
    places: Annotated[tuple[Place, ...], Meta(max_length=WIDGETS_MAX)] = ()
    repeat: Annotated[
        Key | None, Meta(description="A variable: the section stands once for each of its chosen values.")
    ] = None


class Dashboard(Struct, frozen=True, forbid_unknown_fields=True):
    """A dashboard, as it is written and as it is exported."""

    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$", examples=["Checkout"])]
    description: Text = ""
    tags: Annotated[tuple[ShortText, ...], Meta(max_length=50)] = ()
    widgets: Annotated[
        tuple[Widget, ...], Meta(max_length=WIDGETS_MAX, examples=[[{"key": "requests", "type": "text"}]])
    ] = ()
    sections: Annotated[
        tuple[Section, ...],
        Meta(
            max_length=SECTIONS_MAX,
            description="Each widget stands in one, once.",
            examples=[[{"places": [{"widget": "requests", "x": 0, "y": 0, "width": 12, "height": 8}]}]],
        ),
    ] = ()
    variables: Annotated[
        tuple[Variable, ...], Meta(max_length=VARIABLES_MAX, examples=[[{"kind": "text", "name": "service"}]])
    ] = ()
    annotations: Annotated[
        tuple[Annotation, ...],
        Meta(max_length=ANNOTATIONS_MAX, examples=[[{"kind": "deployments", "name": "Deployments"}]]),
    ] = ()
    range_seconds: Annotated[
        int, Meta(ge=60, le=400 * 86_400, description="The time range that is shown at first, up to now.")
    ] = 3600
    refresh_seconds: Annotated[int, Meta(ge=5, le=86_400, examples=[30])] | None = None


class Mistake(NamedTuple):
    """A mistake and its place, a JSON pointer (RFC 6901)."""

    pointer: str
    message: str


def require_storable(dashboard: Dashboard) -> None:
    """Check a dashboard that was read by its type alone. Raises INVALID `invalid-dashboard`."""
    for number, widget in enumerate(dashboard.widgets):
        if not _is_shallow(widget.placeholder):
            raise _refused(Mistake(f"/widgets/{number}/placeholder", f"it nests deeper than {DEPTH_MAX}"))
    check(dashboard)


def require_shallow(document: object) -> None:
    """Raise INVALID `invalid-dashboard` for JSON that nests deeper than any dashboard does."""
    if not _is_shallow(document):
        raise _refused(Mistake("", f"it nests deeper than {DEPTH_MAX}"))


def _is_shallow(document: object) -> bool:
    level: list[Any] = [document]
    for _ in range(DEPTH_MAX):
        level = [inner for each in level for inner in _within(each)]
        if not level:
            return True
    return False


def _within(value: Any) -> Collection[Any]:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).values()
    return cast("list[Any]", value) if isinstance(value, list) else ()


def parsed(document: Any) -> Dashboard:
    """Read a dashboard from JSON's types.

    Raises:
        DuoscopeError: INVALID `invalid-dashboard`, with the place of the first mistake as a JSON pointer.
    """
    require_shallow(document)
    try:
        dashboard = msgspec.convert(document, Dashboard)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `")
        raise _refused(Mistake(_pointer(path.removesuffix("`")), what)) from error
    check(dashboard)
    return dashboard


def renamed(dashboard: Dashboard, name: str) -> Dashboard:
    """The same dashboard under another name."""
    return msgspec.structs.replace(dashboard, name=name)


def check(dashboard: Dashboard) -> None:
    """Check what the types do not say. Raises INVALID `invalid-dashboard`, with the place of the first mistake."""
    for mistake in mistakes(dashboard):
        raise _refused(mistake)


def mistakes(dashboard: Dashboard) -> Iterator[Mistake]:
    """Whatever is wrong with a dashboard whose types are right."""
    if b"\\u0000" in msgspec.json.encode(dashboard):
        yield Mistake("", "the character U+0000 cannot be stored")
    yield from _of_variables(dashboard)
    questions = Questions(dashboard.variables)
    names = {variable.name for variable in dashboard.variables}
    keys = Counter(widget.key for widget in dashboard.widgets)
    for number, widget in enumerate(dashboard.widgets):
        at = f"/widgets/{number}"
        if keys[widget.key] > 1:
            yield Mistake(f"{at}/key", f"several widgets are called {widget.key!r}")
        if widget.repeat is not None and widget.repeat not in names:
            yield Mistake(f"{at}/repeat", f"there is no variable {widget.repeat!r}")
        yield from (Mistake(at + place, what) for place, what in of_widget(widget, questions))
    yield from _of_sections(dashboard, names, keys)
    yield from _of_annotations(dashboard, questions)


def _of_annotations(dashboard: Dashboard, questions: "Questions") -> Iterator[Mistake]:
    names = Counter(each.name for each in dashboard.annotations)
    for number, each in enumerate(dashboard.annotations):
        if names[each.name] > 1:
            yield Mistake(f"/annotations/{number}/name", f"several annotations are called {each.name!r}")
        if problem := of_annotation(each, questions):
            yield Mistake(f"/annotations/{number}/expression", problem)


def of_annotation(annotation: Annotation, questions: "Questions") -> str:
    """The mistake of an annotation, whatever its variables stand for; empty if there is none."""
    if not isinstance(annotation, ExpressionMarks):
        return ""
    return questions.problem_of(PromqlQuestion(annotation.expression))


def _of_sections(dashboard: Dashboard, names: Collection[str], keys: Collection[str]) -> Iterator[Mistake]:
    placed: Counter[str] = Counter()
    for number, section in enumerate(dashboard.sections):
        at = f"/sections/{number}"
        if section.repeat is not None and section.repeat not in names:
            yield Mistake(f"{at}/repeat", f"there is no variable {section.repeat!r}")
        for position, place in enumerate(section.places):
            here = f"{at}/places/{position}"
            placed[place.widget] += 1
            if place.widget not in keys:
                yield Mistake(f"{here}/widget", f"there is no widget {place.widget!r}")
            elif placed[place.widget] > 1:
                yield Mistake(f"{here}/widget", f"the widget {place.widget!r} has a place already")
            if place.x + place.width > COLUMNS:
                yield Mistake(f"{here}/width", f"x and width together are at most {COLUMNS}")
    for number, widget in enumerate(dashboard.widgets):
        if not placed[widget.key]:
            yield Mistake(f"/widgets/{number}/key", f"no section has a place for the widget {widget.key!r}")


def of_widget(widget: Widget, questions: "Questions") -> Iterator[Mistake]:
    """The mistakes of a widget by itself; pointers begin at the widget."""
    if widget.type == "text" and widget.queries:
        yield Mistake("/queries", "a text asks nothing")
    if widget.placeholder and len(msgspec.json.encode(widget.placeholder)) > PLACEHOLDER_BYTES_MAX:
        yield Mistake("/placeholder", f"it has more than {PLACEHOLDER_BYTES_MAX} bytes of JSON")
    if widget.text and widget.type != "text":
        yield Mistake("/text", "only widgets of type text have one")
    for number, step in enumerate(widget.transformations):
        if problem := problem_of(step):
            yield Mistake(f"/transformations/{number}", problem)
    yield from _of_queries(widget, questions)


def _of_queries(widget: Widget, questions: "Questions") -> Iterator[Mistake]:
    names = Counter(query.name for query in widget.queries)
    for number, query in enumerate(widget.queries):
        at = f"/queries/{number}"
        if names[query.name] > 1:
            yield Mistake(f"{at}/name", f"several queries are called {query.name!r}")
        if isinstance(query.question, LogRecords) and widget.type not in ("logs", "table"):
            yield Mistake(f"{at}/question/kind", "log records are shown by widgets of type logs and table")
        elif isinstance(query.question, AlertList) and widget.type not in ("table", "stat"):
            yield Mistake(f"{at}/question/kind", "lists of alerts are shown by widgets of type table and stat")
        elif widget.type == "logs" and not isinstance(query.question, LogRecords):
            yield Mistake(f"{at}/question/kind", "a widget of type logs shows log-records")
        if problem := questions.problem_of(query.question):
            yield Mistake(f"{at}/question", problem)


class Questions:
    """The check of questions whose texts may use variables: each distinct question is read once."""

    def __init__(self, variables: Iterable[Variable]) -> None:
        variables = tuple(variables)
        self._samples = [
            Values({variable.name: _sample(variable, sample) for variable in variables}, 60, 3600)
            for sample in (None, *_SAMPLES)
        ]
        self._problems: dict[bytes, str] = {}

    def problem_of(self, question: Asked) -> str:
        """The mistake of a question, whatever its variables stand for; empty if there is none."""
        key = msgspec.json.encode(question)
        if (found := self._problems.get(key)) is None:
            found = self._problems[key] = self._read(question)
        return found

    def _read(self, asked: Asked) -> str:
        first = ""
        for values in self._samples:
            try:
                question = filled(asked, values)
                if isinstance(question, LogRecords):
                    compile_query(question.query, Signal.LOGS)
                elif not isinstance(question, AlertList):
                    question.check()
            except DuoscopeError as error:
                first = first or error.message
                continue
            return ""
        return first


def _sample(variable: Variable, sample: str | None) -> Chosen:
    try:
        found = chosen(variable, None)
    except ValueError:
        found = Chosen(("a",), is_literal=True)
    return Chosen((sample,), is_literal=True) if sample is not None and not found.is_interval else found


def _of_variables(dashboard: Dashboard) -> Iterator[Mistake]:
    names = Counter(variable.name for variable in dashboard.variables)
    for number, variable in enumerate(dashboard.variables):
        if names[variable.name] > 1:
            yield Mistake(f"/variables/{number}/name", f"several variables are called {variable.name!r}")
        try:
            chosen(variable, None)
        except ValueError as error:
            yield Mistake(f"/variables/{number}/value", str(error))
    try:
        in_order(dashboard.variables)
    except ValueError as error:
        yield Mistake("/variables", f"variables depend on themselves: {error}")


def _pointer(path: str) -> str:
    """The path of msgspec, `$.widgets[0].title`, as a JSON pointer."""
    return path.removeprefix("$").replace("[", ".").replace("]", "").replace(".", "/")


def _refused(mistake: Mistake) -> DuoscopeError:
    return invalid(f"{mistake.pointer or '/'}: {mistake.message}.", code="invalid-dashboard")
