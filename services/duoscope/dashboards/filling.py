r"""Puts the values of variables into the texts of questions: as values of the language, whatever they are.

`$name`, `${name}`, `${name:format}`, `[[name]]` and `[[name:format]]` stand for a variable; what no variable is called
stays as it is, such as `$1` of `label_replace`. The built-in ones are Grafana's: `$__interval` (the step),
`$__rate_interval` (at least four times as long as points are apart, and one more than the step), `$__range`, and the
same in `_ms` and `_s`.

In PromQL a variable within a string becomes a part of the string that no value can end; in a regular expression its
values are literal, as alternatives, unless people write regular expressions into it (texts, constants, single values of
lists). Outside of strings only numbers, lengths of time and names can stand. In the search language it becomes a quoted
text, or a list of these.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from duoscope.dashboards.widgets import AlertList, Asked, LogRecords
from duoscope.kernel.errors import DuoscopeError, invalid
from duoscope.telemetry.promql.syntax.text import decoded
from duoscope.telemetry.questions.formula import FormulaQuestion
from duoscope.telemetry.questions.items import LogQuestion, TraceQuestion
from duoscope.telemetry.questions.metric import MetricQuestion
from duoscope.telemetry.questions.promql import PromqlQuestion

ALL: Final = "$__all"
SCRAPE_S: Final = 15
"""How far apart points are taken to be, as Prometheus' and Grafana's default has it."""
AUTO_PARTS: Final = 30
"""How many intervals of length `auto` are in the range, as is Grafana's default."""
FILLED_CHARS_MAX: Final = 65_536

_REFERENCE: Final = re.compile(
    r"\$\{(?P<braced>\w+)(?::(?P<format>[\w ]+))?\}|\[\[(?P<square>\w+)(?::(?P<form>[\w ]+))?\]\]|\$(?P<plain>\w+)",
    re.ASCII,
)
_REF: Final = r"(?:\$\{\w+(?::[\w ]+)?\}|\[\[\w+(?::[\w ]+)?\]\]|\$\w+)"
_PROMQL: Final = re.compile(
    rf"""(?P<comment>\#[^\n]*)
    | (?:(?P<operator>=~|!~|!=|=)(?P<space>\s*))?(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    | (?P<reference>{_REF})""",
    re.VERBOSE | re.ASCII,
)
_SEARCH: Final = re.compile(
    rf"""(?P<minus>(?<![^\s(])-(?=\S))
    | (?P<field>[^\s()":=<>!]+|"(?:[^"\\]|\\.)+")?
        (?P<operator>!=|>=|<=|[:=><])
        (?:(?P<value>{_REF})(?=[\s)]|$)|/(?P<regex>(?!\s)(?:[^/\\]|\\.)+)/(?=[\s)]|$)|(?P<said>"(?:[^"\\]|\\.)*"))
    | (?P<phrase>"(?:[^"\\]|\\.)*")
    | (?P<word>[^\s()"]+)""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_PLAIN_CODE: Final = re.compile(r"[A-Za-z_:][\w:]*|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|(?:\d+(?:ms|[smhdwy]))+", re.ASCII)
_ESCAPED: Final = re.compile(r"[\\^$*+?.()|\[\]{}]")
_AS_REGEX: Final = frozenset({"regex", "pipe"})
_FORMATS: Final = frozenset({"", "regex", "pipe", "raw", "csv", "text", "value", "glob"})


@dataclass(frozen=True, slots=True)
class Chosen:
    """The values chosen for a variable.

    Attributes:
        values: at least one.
        is_literal: whether they are no regular expressions, but texts to be found.
        is_all: whether the only one is a regular expression for whatever there is.
        is_interval: whether `auto` is a part of the range.
    """

    values: tuple[str, ...]
    is_literal: bool
    is_all: bool = False
    is_interval: bool = False


class _Room:
    """The characters that a text may still get, counted while it is built: no more than that is ever in memory."""

    def __init__(self) -> None:
        self._left = FILLED_CHARS_MAX

    def take(self, part: str) -> str:
        """The part. Raises INVALID `invalid-variable` if there is no room for it."""
        self._left -= len(part)
        if self._left < 0:
            raise _too_long()
        return part

    def require(self, values: Iterable[str]) -> None:
        """Raise the same if values would not fit once they are joined, before they are."""
        if sum(map(len, values)) > self._left:
            raise _too_long()


@dataclass(frozen=True, slots=True)
class Values:
    """The filling of texts: the values of the variables by name, and the lengths of a step and of the range."""

    variables: Mapping[str, Chosen]
    step_s: int
    range_s: int
    scrape_s: int = SCRAPE_S

    def of(self, name: str) -> Chosen | None:
        """The values that a name stands for; None if it is no variable's."""
        if found := self.variables.get(name):
            if found.is_interval and "auto" in found.values:
                return Chosen((f"{max(self.step_s, self.range_s // AUTO_PARTS)}s",), is_literal=True)
            return found
        rate_s = max(self.step_s + self.scrape_s, 4 * self.scrape_s)
        lengths = {
            "__interval": self.step_s, "__auto": self.step_s, "__rate_interval": rate_s, "__range": self.range_s,
        }  # fmt: skip
        if name.startswith("__auto_interval"):
            name = "__auto"
        if name in lengths:
            return Chosen((f"{lengths[name]}s",), is_literal=True)
        stem, _, unit = name.rpartition("_")
        if stem in lengths and unit in ("s", "ms"):
            return Chosen((str(lengths[stem] * (1000 if unit == "ms" else 1)),), is_literal=True)
        return None


def names_in(text: str) -> set[str]:
    """All names that variables could have in a text."""
    return {_name(found) for found in _REFERENCE.finditer(text)}


def filled(question: Asked, values: Values) -> Asked:
    """A question with values for its variables.

    Raises:
        DuoscopeError: INVALID `invalid-variable` for a value that cannot stand where it would.
    """
    match question:
        case PromqlQuestion():
            return msgspec.structs.replace(question, expression=promql(question.expression, values))
        case MetricQuestion():
            return msgspec.structs.replace(
                question,
                metric=plain(question.metric, values),
                query=search(question.query, values),
                group_by=tuple(plain(each, values) for each in question.group_by),
            )
        case LogQuestion() | TraceQuestion():
            measure = question.measure
            return msgspec.structs.replace(
                question,
                query=search(question.query, values),
                group_by=tuple(plain(each, values) for each in question.group_by),
                measure=msgspec.structs.replace(
                    measure,
                    query=search(measure.query, values),
                    field=plain(measure.field, values) if measure.field else measure.field,
                ),
            )
        case LogRecords():
            return msgspec.structs.replace(question, query=search(question.query, values))
        case AlertList():
            # Labels may have any value where all are chosen.
            labels = {
                name: "" if _names_all(text, values) else plain(text, values) for name, text in question.labels.items()
            }
            return msgspec.structs.replace(question, name=plain(question.name, values), labels=labels)
        case FormulaQuestion():
            of = {name: filled(each, values) for name, each in question.of.items()}
            return msgspec.structs.replace(question, of=of, formula=promql(question.formula, values))


def plain(text: str, values: Values) -> str:
    """A text that is no expression: a name or a legend; several values stand with commas between them."""
    return _replaced(text, values, lambda found, _: ", ".join(found.values))


def several(text: str, values: Values) -> tuple[str, ...] | None:
    """The values of a text that is compared with names: those chosen if it is a variable; None if these are all."""
    if _names_all(text, values):
        return None
    only = _REFERENCE.fullmatch(text)
    of = values.of(_name(only)) if only else None
    return of.values if of is not None else (plain(text, values),)


def promql(text: str, values: Values) -> str:
    """A PromQL expression with values for its variables. Raises INVALID `invalid-variable`."""
    room = _Room()

    def part(found: re.Match[str]) -> str:
        if (literal := found["string"]) is not None:
            return room.take(_string(literal, found["operator"] or "", found["space"] or "", values))
        if found["comment"] is not None:
            return room.take(found[0])
        return room.take(_replaced(found[0], values, _code))

    return _bounded(_PROMQL.sub(part, text))


def search(text: str, values: Values) -> str:
    """A query of the search language with values for its variables. Raises INVALID `invalid-variable`."""
    room = _Room()
    return _bounded(_SEARCH.sub(lambda found: room.take(_searched(found, values)), text))


def _searched(found: re.Match[str], values: Values) -> str:
    if found["minus"]:
        return found[0]
    field, operator = found["field"] or "", found["operator"] or ""
    if value := found["value"]:
        return _term(field, operator, value, values)
    if pattern := found["regex"]:
        only = _REFERENCE.fullmatch(pattern.removeprefix("^(?:").removesuffix(")$"))
        if only and _is_all(only, values):
            return _anything(field, operator)
        inner = _replaced(pattern, values, _alternatives_in_slashes)
        # In a group, so that what people write neither ends the expression nor makes it something else.
        return f"{field}{operator}/{inner if inner == pattern else f'(?:{inner})'}/"
    if said := found["said"] or found["phrase"]:
        return field + operator + _replaced(said, values, _within_quotes)
    return _word(found["word"], values)


def _word(word: str, values: Values) -> str:
    whole = _REFERENCE.fullmatch(word)
    of = values.of(_name(whole)) if whole else None
    if of is None:
        if any(values.of(name) for name in names_in(word)):
            raise _wrong(f"{word[:60]!r}: a variable within a word stands in quotes")
        return word
    if of.is_all or not any(of.values):
        return "*"
    return f"({' OR '.join(_quoted(each) for each in of.values)})"


def _replaced(text: str, values: Values, shown: Callable[[Chosen, str], str]) -> str:
    room = _Room()

    def value(found: re.Match[str]) -> str:
        of = values.of(_name(found))
        if of is None:
            return found[0]
        form = (found["format"] or found["form"] or "").strip()
        if form not in _FORMATS:
            raise _wrong(f"{found[0][:80]}: there is no format {form[:20]!r} here; regex, pipe, csv and raw there are")
        room.require(of.values)
        return room.take(shown(of, form))

    return _bounded(_REFERENCE.sub(value, text))


def _string(literal: str, operator: str, space: str, values: Values) -> str:
    quote, inner = literal[0], literal[1:-1]
    used = [found for found in _REFERENCE.finditer(inner) if values.of(_name(found))]
    if not used:
        return operator + space + literal
    if operator in ("=", "!=") and any(_is_several(found, values) for found in used):
        operator = "=~" if operator == "=" else "!~"
        is_regex, rest_is_literal = True, True
    else:
        is_regex, rest_is_literal = operator in ("=~", "!~"), False
    room, made, at = _Room(), "", 0
    for found in [*used, None]:
        between = decoded(quote + inner[at : found.start() if found else None] + quote)
        made += room.take(escaped(between) if rest_is_literal else between)
        if found:
            made += room.take(_replaced(found[0], values, _alternatives if is_regex else _literal))
            at = found.end()
    return f"{operator}{space}{_quoted_promql(made)}"


def _alternatives(of: Chosen, form: str) -> str:
    is_literal = (of.is_literal or form == "regex") and form not in ("raw", "pipe")
    parts = [escaped(value) if is_literal and not of.is_all else value for value in of.values]
    joined = "|".join(parts)
    return joined if len(parts) == 1 else f"({joined})"


def _alternatives_in_slashes(of: Chosen, form: str) -> str:
    pattern = re.sub(r"(?s)\\.|/", lambda found: r"\/" if found[0] == "/" else found[0], _alternatives(of, form))
    trailing = len(pattern) - len(pattern.rstrip("\\"))
    return pattern + "\\" * (trailing % 2)


def _literal(of: Chosen, form: str) -> str:
    if form in _AS_REGEX:
        return _alternatives(of, form)
    return ",".join(of.values)


def _within_quotes(of: Chosen, form: str) -> str:
    del form  # the text is literal
    if len(of.values) > 1 or of.is_all:
        raise _wrong("several values of a variable cannot stand within one text; write field:$variable")
    return _quoted("".join(of.values))[1:-1]


def _code(of: Chosen, form: str) -> str:
    del form  # numbers and names are written in one way
    for value in of.values:
        if not _PLAIN_CODE.fullmatch(value):
            raise _wrong(f"{value[:60]!r} can stand only within a string: it is no number, length of time or name")
    return ", ".join(of.values)


def _term(field: str, operator: str, reference: str, values: Values) -> str:
    found = _REFERENCE.fullmatch(reference)
    assert found is not None
    of = values.of(_name(found))
    if of is None:
        return field + operator + reference
    if of.is_all:
        return _anything(field, operator)
    if len(of.values) == 1:
        return field + operator + _quoted(of.values[0])
    if operator not in (":", "=", "!="):
        raise _wrong(f"{operator} takes one value")
    return f"{field}{operator}({' OR '.join(_quoted(value) for value in of.values)})"


def _anything(field: str, operator: str) -> str:
    return f"({field}:* OR NOT {field}:*)" if operator != "!=" else f"({field}:* AND NOT {field}:*)"


def _names_all(text: str, values: Values) -> bool:
    only = _REFERENCE.fullmatch(text)
    return only is not None and _is_all(only, values)


def _is_all(reference: re.Match[str], values: Values) -> bool:
    of = values.of(_name(reference))
    return of is not None and of.is_all and of.values == (".*",)


def _is_several(reference: re.Match[str], values: Values) -> bool:
    of = values.of(_name(reference))
    return of is not None and (of.is_all or len(of.values) > 1)


def _name(found: re.Match[str]) -> str:
    return found["braced"] or found["square"] or found["plain"]


def escaped(text: str) -> str:
    """A text as a regular expression that matches it alone."""
    return _ESCAPED.sub(r"\\\g<0>", text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _quoted_promql(text: str) -> str:
    return _quoted(text).replace("\n", "\\n")


def _bounded(text: str) -> str:
    if len(text) > FILLED_CHARS_MAX:
        raise _too_long()
    return text


def _too_long() -> DuoscopeError:
    return _wrong(f"the text would have more than {FILLED_CHARS_MAX} characters: choose fewer values")


def _wrong(message: str) -> DuoscopeError:
    return invalid(f"A variable: {message}.", code="invalid-variable")
