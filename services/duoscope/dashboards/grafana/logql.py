r"""Simple LogQL as questions about log records: a selector, line filters, and counts of these by labels.

{app="cart", level=~"warn|error"} |= "timeout" !~ "retry \d+"
sum by (level) (count_over_time({app="cart"} |= "timeout" [$__auto]))
"""

import re
from typing import Final

from duoscope.dashboards.grafana.report import NotConvertedError, Notes
from duoscope.dashboards.widgets import Asked, LogRecords
from duoscope.telemetry.promql.syntax.text import decoded
from duoscope.telemetry.questions.items import LogQuestion

_STRING: Final = r'"(?:[^"\\\n]|\\.)*"|`[^`]*`'
_MATCHER: Final = re.compile(rf"\s*([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*({_STRING})\s*(,|(?=\}}))", re.ASCII)
_FILTER: Final = re.compile(rf"\s*(\|=|\|~|!=|!~)\s*({_STRING})", re.ASCII)
_COUNT: Final = re.compile(
    r"\s*(?:sum\s*(?:by\s*\((?P<before>[\w\s,]*)\)\s*)?\(\s*)?(?P<function>count_over_time|rate)\s*\((?P<inner>.*)"
    r"\[(?P<range>[^\[\]]+)\]\s*\)\s*(?P<closed>\)\s*(?:by\s*\((?P<after>[\w\s,]*)\))?)?\s*",
    re.ASCII | re.DOTALL,
)
_OF_THE_STEP: Final = frozenset({"$__auto", "$__interval", "${__auto}", "${__interval}"})
_FIELDS: Final = {"service_name": "service"}


def question(expression: str, notes: Notes) -> Asked:
    """Convert an expression.

    Raises:
        NotConvertedError: it is more than a selector with filters, or a count of that.
    """
    found = _COUNT.fullmatch(expression)
    if found is None:
        return LogRecords(_query(expression, notes))
    is_summed = expression.lstrip().startswith("sum")
    if is_summed != bool(found["closed"]):
        raise NotConvertedError("LogQL that is more than a selector, filters and a count")
    if not is_summed:
        notes.lose("a count by all labels of a stream is one of all records")
    if found["function"] == "rate":
        notes.lose("LogQL's rate is the count of each step, not of a second")
    elif found["range"].strip() not in _OF_THE_STEP:
        notes.lose(f"the count is of each step, not of {found['range'].strip()[:40]}")
    labels = (found["before"] or found["after"] or "").split(",")
    group_by = tuple(_FIELDS.get(label.strip(), label.strip()) for label in labels if label.strip())
    return LogQuestion(_query(found["inner"], notes), group_by=group_by)


def _query(text: str, notes: Notes) -> str:
    text = text.strip()
    if not text.startswith("{"):
        raise NotConvertedError("LogQL that does not begin with a selector")
    at, terms = 1, list[str]()
    while (found := _MATCHER.match(text, at)) is not None:
        label, operator, value = _FIELDS.get(found[1], found[1]), found[2], _decoded(found[3])
        terms.append(_term(label, operator, value))
        at = found.end()
    if not re.match(r"\s*\}", text[at:]):
        raise NotConvertedError("LogQL whose selector is not understood")
    at = text.index("}", at) + 1
    while (found := _FILTER.match(text, at)) is not None:
        terms.append(_line(found[1], _decoded(found[2]), notes))
        at = found.end()
    if rest := text[at:].strip():
        raise NotConvertedError(f"LogQL with {rest[:40]!r}")
    if terms:
        notes.lose("labels of Loki are taken as attributes of these names")
    return " ".join(terms)


def _term(label: str, operator: str, value: str) -> str:
    if operator in ("=", "!="):
        return f'{label}{":" if operator == "=" else "!="}"{_quoted(value)}"'
    return f"{label}{':' if operator == '=~' else '!='}/^(?:{_slashed(value)})$/"


def _line(operator: str, value: str, notes: Notes) -> str:
    if operator in ("|=", "!="):
        notes.lose("texts of lines are found in either case")
        return ("-" if operator == "!=" else "") + f'"{_quoted(value)}"'
    return f"body{':' if operator == '|~' else '!='}/(?:{_slashed(value)})/"


def _slashed(pattern: str) -> str:
    return re.sub(r"(?s)\\.|/", lambda found: r"\/" if found[0] == "/" else found[0], pattern)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _decoded(literal: str) -> str:
    return decoded(literal)
