"""Second stage: what a name means for a signal. Names that are not fields are attributes.

`attributes.x` means the item's own attribute, `resource.x` that of its resource, a bare `x` both; `scope.x` that of its
scope, `event.x` and `link.x` that of an event or a link of a span, `body.x` a member of a structured body. Each form
also finds an attribute whose actual name it is.
`!=` is the opposite of `=`: it also matches items without the attribute.

Text pasted from a log looks like fields: `user_id=42`, `Main.java:42`. With `or_text` such a term also matches the
text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Final

from duoscope.kernel.errors import invalid
from duoscope.telemetry.language import attributes, words
from duoscope.telemetry.language.severities import SEVERITIES, SEVERITY_MAX, SEVERITY_OF_TEXT
from duoscope.telemetry.language.tree import And, Not, Or, Predicate, Term, Tree, term_error
from duoscope.telemetry.times import duration_ns

FIELD_NAME_CHARS_MAX: Final = 1024
"""The longest name of a field of which the value is asked for."""
KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES: Final = ("unset", "ok", "error")

Resolved = Tree[Predicate]
Field = Callable[[Term], Resolved]


RESOURCE: Final = attributes.Place("resource")
"""Where an item's resource has its attributes."""


class Signal(Enum):
    """A signal to search: where an item has its own attributes."""

    LOGS = attributes.Place("log_attributes_other", "log_attributes_typed")
    TRACES = attributes.Place("span_attributes_other", "span_attributes_typed")
    METRICS = attributes.Place("attributes_json")


def resolve(tree: Tree[Term], signal: Signal, *, or_text: bool = False) -> Resolved:
    """Resolve every term of a tree.

    Args:
        tree: of one query.
        signal: what is searched.
        or_text: whether a term that `may_be_text` also matches the text. Excluded terms do not: an exclusion that
            matched more than it names would hide items.

    Raises:
        DuoscopeError: INVALID `invalid-query`: a field of another signal, or an operator or a value that the field does
            not accept.
    """
    match tree:
        case Term():
            resolved = _term(tree, signal)
            if or_text and may_be_text(tree, signal):
                as_text = (replace(term, field="", value=term.raw, quoted=False, others=()) for term in tree.all)
                return Or((resolved, *map(_WORDS[signal], as_text)))
            return resolved
        case Not():
            return Not(resolve(tree.part, signal))
        case And():
            return And(tuple(resolve(part, signal, or_text=or_text) for part in tree.parts))
        case Or():
            parts = [resolve(part, signal, or_text=or_text) for part in _gathered(tree.parts, signal)]
            return parts[0] if len(parts) == 1 else Or(tuple(parts))


def _gathered(parts: tuple[Tree[Term], ...], signal: Signal) -> list[Tree[Term]]:
    """The parts of a disjunction, in which values that one field may equal are one term, at the place of the first."""
    gathered: dict[object, Tree[Term] | list[Term]] = {}
    for number, part in enumerate(parts):
        if isinstance(part, Term) and _is_plain(part):
            _term(part, signal)  # which says what is wrong with it, and where
            terms = gathered.setdefault((part.field, part.is_listed), [])
            if isinstance(terms, list):
                terms.append(part)
        else:
            gathered[number] = part
    return [replace(each[0], others=(*each[1:],)) if isinstance(each, list) else each for each in gathered.values()]


def _is_plain(term: Term) -> bool:
    """Whether a term is that a field equals a value, as it stands."""
    is_equality = term.op == "=" and bool(term.field) and term.field not in _ONE_BY_ONE
    return is_equality and not (term.is_regex or _is_pattern(term))


def is_plain_attribute(term: Term, signal: Signal) -> bool:
    """Whether a term is that an attribute equals a value, and nothing but an attribute has its name."""
    return _is_plain(term) and term.field not in _FIELDS[signal] and term.field not in _FIELDS_OF_PARTS[signal]


def is_field(name: str, signal: Signal) -> bool:
    """Whether a name is a field of the signal, and not an attribute."""
    return name in _FIELDS[signal]


def part_of(name: str, signal: Signal) -> str:
    """Say which part of an item a name's prefix means: `its scope`; '' where it means none."""
    prefix = name.partition(".")[0]
    return _PART_NAMES[prefix] if prefix in _PARTS[signal] else ""


def may_be_text(term: Term, signal: Signal) -> bool:
    """Whether a term has the form of an attribute and its value, but may also be a piece of text."""
    of_attribute = bool(term.field) and not is_field(term.field, signal)
    is_typed = term.is_listed or term.is_regex or _is_any(term)
    return of_attribute and term.op == "=" and not is_typed and signal is not Signal.METRICS


def _term(term: Term, signal: Signal) -> Resolved:
    if term.op == "!=":
        return Not(_term(replace(term, op="="), signal))
    if not term.field:
        return _WORDS[signal](term)
    if field := _FIELDS[signal].get(term.field):
        return field(term)
    for other, fields in _FIELDS.items():
        # Points of metrics have few fields, and attributes of any name.
        if term.field in fields and signal is not Signal.METRICS:
            raise term_error(
                term,
                f"{term.field} is a field of {other.name.lower()}, not of {signal.name.lower()}; "
                f"for an attribute of that name write attributes.{term.field}, "
                "and to search for the text put all of it in quotes.",
                "field",
                (f"attributes.{term.field}",),
            )
    return _attribute(term, signal)


# Values


@dataclass(frozen=True, slots=True)
class Value:
    """The SQL of what an item has in a field or an attribute; null where it has nothing.

    Attributes:
        text: of several values the first.
        number: a double, or null where it is none and does not read as one.
    """

    text: Predicate
    number: Predicate


def value_of(name: str, signal: Signal) -> Value:
    """Resolve a name of which the value is asked for, and not a condition on it.

    Raises:
        DuoscopeError: INVALID `invalid-field`: a field of another signal, or no name.
    """
    if not name or len(name) > FIELD_NAME_CHARS_MAX or "\0" in name:
        raise invalid(
            f"A field has a name of 1 to {FIELD_NAME_CHARS_MAX} characters, none of them U+0000, such as service or "
            f"http.route; not {name[:40]!r}.",
            code="invalid-field",
        )
    if field := _FIELDS[signal].get(name):
        return _value_in_column(field)
    for other, fields in _FIELDS.items():
        if name in fields and signal is not Signal.METRICS:
            raise invalid(
                f"{name} is a field of {other.name.lower()}, not of {signal.name.lower()}; for an attribute of that "
                f"name write attributes.{name}.",
                code="invalid-field",
            )
    places = places_of(name, signal)
    texts = [attributes.text_of(of, key, parts=parts) for key, of, parts in places]
    numbers = [attributes.number_of(of, key, parts=parts) for key, of, parts in places]
    if field := _FIELDS_OF_PARTS[signal].get(name):
        of_field = _value_in_column(field)
        texts, numbers = [of_field.text, *texts], [of_field.number, *numbers]
    return Value(attributes.first_of(texts), attributes.first_of(numbers))


def _value_in_column(field: Field) -> Value:
    kind, args = (field.func, field.args) if isinstance(field, partial) else (field, ("", ""))
    if kind is _severity:
        severity = f"if(severity_number = 0, {SEVERITY_OF_TEXT}, severity_number)"
        names = ", ".join(f"'{name}'" for name in SEVERITIES if name != "warning")
        name = f"[{names}][intDiv({severity} + 3, 4)]"
        return Value(Predicate(f"nullIf({name}, '')"), Predicate(f"nullIf(toFloat64({severity}), 0)"))
    if kind is _duration:
        return Value(Predicate("toString(duration_nano)"), Predicate("toFloat64(duration_nano)"))
    column = args[0]
    if kind in {_text_in, _identifier_in}:
        column = f"{column}[1]"
    # A text that is empty is none, as in `field:*`; so is an id of zeros.
    text = f"nullIf(toString({column}), '')"
    if kind in {_identifier, _identifier_in}:
        text = f"if({column} = toFixedString('', {args[1]}), NULL, lower(hex({column})))"
    return Value(Predicate(text), attributes.as_number(Predicate(text)))


def _is_pattern(term: Term) -> bool:
    return not term.quoted and not term.is_regex and "*" in term.value


def _is_any(term: Term) -> bool:
    return _is_pattern(term) and not term.value.strip("*")


def _like(pattern: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", pattern).replace("*", "%")


def _no_order(term: Term, what: str) -> None:
    if term.op != "=":
        choices = () if term.is_listed else (":", "!=")
        raise term_error(term, f"{term.field} is {what} and takes no {term.op}; use : or !=.", "op", choices)


def _no_pattern(term: Term, what: str) -> None:
    if term.is_regex:
        raise term_error(term, f"{term.field} takes {what}, not the regular expression /{term.value[:40]}/.", "value")
    if _is_pattern(term):
        raise term_error(term, f"{term.field} takes {what}, not the pattern {term.value!r}.", "value")


# Words


def _word_in_body(term: Term) -> Resolved:
    if _is_pattern(term):
        return words.pattern_in_body(term.value)
    return words.phrase_in_body(term.value) if term.quoted else words.word_in_body(term.value)


def _word_in_span_name(term: Term) -> Resolved:
    return (words.pattern_in if _is_pattern(term) else words.phrase_in)("span_name", term.value)


def _no_words(term: Term) -> Resolved:
    raise term_error(term, f"metrics have no text to find {term.value!r} in; write field:value.")


# Fields


def _text(column: str, term: Term) -> Resolved:
    _no_order(term, "a text")
    if _is_any(term):
        return Predicate(f"{column} != ''")
    if term.is_regex:
        return Predicate(f"match({column}, {{}})", (("String", term.value),))
    if _is_pattern(term):
        return Predicate(f"{column} LIKE {{}}", (("String", _like(term.value)),))
    return _one_of(column, [each.value for each in term.all])


def _text_in(column: str, term: Term) -> Resolved:
    _no_order(term, "a text")
    if _is_any(term):
        return Predicate(f"notEmpty({column})")
    if term.is_regex:
        return Predicate(f"arrayExists(name -> match(name, {{}}), {column})", (("String", term.value),))
    if _is_pattern(term):
        return Predicate(f"arrayExists(name -> name LIKE {{}}, {column})", (("String", _like(term.value)),))
    return _has_one_of(column, [each.value for each in term.all])


def _identifier(column: str, length_bytes: int, term: Term) -> Resolved:
    _no_order(term, "an id")
    if _is_any(term):
        return Predicate(f"{column} != toFixedString('', {length_bytes})")
    return _one_of(column, _hexadecimal(term, length_bytes), f"toFixedString(unhex({{}}), {length_bytes})")


def _identifier_in(column: str, length_bytes: int, term: Term) -> Resolved:
    _no_order(term, "an id")
    if _is_any(term):
        return Predicate(f"notEmpty({column})")
    return _has_one_of(column, _hexadecimal(term, length_bytes), f"toFixedString(unhex({{}}), {length_bytes})")


def _hexadecimal(term: Term, length_bytes: int) -> list[str]:
    _no_pattern(term, f"{2 * length_bytes} hexadecimal digits")
    for each in term.all:
        if not re.fullmatch(rf"[0-9a-fA-F]{{{2 * length_bytes}}}", each.value):
            raise term_error(
                each, f"{term.field} takes {2 * length_bytes} hexadecimal digits, not {each.value[:40]!r}.", "value"
            )
    return [each.value.lower() for each in term.all]


def _choice(column: str, choices: tuple[str, ...], term: Term) -> Resolved:
    _no_order(term, "one of a few names")
    _no_pattern(term, f"one of {', '.join(choices)}")
    for each in term.all:
        if each.value.lower() not in choices:
            raise term_error(
                each, f"{term.field} is one of {', '.join(choices)}, not {each.value[:40]!r}.", "value", choices
            )
    return _one_of(column, [each.value.lower() for each in term.all])


def _one_of(column: str, values: list[str], read: str = "{}") -> Predicate:
    """Whether a column equals one of some values, which are read by SQL of ours."""
    if len(values) == 1:
        return Predicate(f"{column} = {read}", (("String", values[0]),))
    return Predicate(f"{column} IN {_each(read)}", (("Array(String)", tuple(dict.fromkeys(values))),))


def _has_one_of(column: str, values: list[str], read: str = "{}") -> Predicate:
    """Whether a column of arrays has one of some values."""
    if len(values) == 1:
        return Predicate(f"has({column}, {read})", (("String", values[0]),))
    return Predicate(f"hasAny({column}, {_each(read)})", (("Array(String)", tuple(dict.fromkeys(values))),))


def _each(read: str) -> str:
    return "{}" if read == "{}" else f"arrayMap(value -> {read.replace('{}', 'value')}, {{}})"


def _severity(term: Term) -> Resolved:
    _no_pattern(term, "a name or a number")
    low, high = SEVERITIES.get(term.value.lower(), (0, -1))
    if high < 0:
        if not re.fullmatch(r"\d{1,2}", term.value, re.ASCII) or int(term.value) > SEVERITY_MAX:
            raise term_error(
                term,
                f"severity is one of {', '.join(SEVERITIES)}, or a number from 0 to {SEVERITY_MAX}, "
                f"not {term.value[:40]!r}.",
                "value",
                tuple(SEVERITIES),
            )
        low = high = int(term.value)
    match term.op:
        case "=":
            pass
        case ">=":
            high = 255
        case ">":
            low, high = high + 1, 255
        case "<":
            low, high = 0, low - 1
        case _:
            low = 0
    if low > high:
        return Predicate("0")
    number, bounds = "severity_number BETWEEN {} AND {}", (("UInt8", low), ("UInt8", high))
    if low > 0:
        by_text = And(
            (Predicate("severity_number = 0"), Predicate(f"{SEVERITY_OF_TEXT} BETWEEN {{}} AND {{}}", bounds))
        )
        return Or((Predicate(number, bounds), by_text))
    severity = f"if(severity_number = 0, {SEVERITY_OF_TEXT}, severity_number)"
    return Predicate(f"{severity} BETWEEN {{}} AND {{}}", bounds)


def _duration(term: Term) -> Resolved:
    _no_pattern(term, "a time")
    nanos = duration_ns(term.value)
    if nanos is None or nanos >= 2**63:
        raise term_error(
            term,
            f"duration takes a number with a unit (ns, us, ms, s, m, h), such as 100ms, not {term.value[:40]!r}.",
            "value",
        )
    return Predicate(f"duration_nano {term.op} {{}}", (("UInt64", nanos),))


# Attributes


def _attribute(term: Term, signal: Signal) -> Resolved:
    places = places_of(term.field, signal)
    found = [_member(term, name, *of, parts=parts) for name, of, parts in places]
    if field := _FIELDS_OF_PARTS[signal].get(term.field):
        found = [field(term), *found] if term.op == "=" else [field(term)]
    return found[0] if len(found) == 1 else Or(tuple(found))


def places_of(field: str, signal: Signal) -> list[tuple[str, attributes.Places, bool]]:
    """The attributes that a name may mean, each with where it may be, and whether it may be a part of another."""
    own = (signal.value, RESOURCE)
    prefix, _, key = field.partition(".")
    by_prefix = {"resource": RESOURCE, "attributes": signal.value, **_PARTS[signal]}
    if field in _FIELDS_OF_PARTS[signal]:
        return [(field, own, False)]
    if key and prefix in by_prefix:
        names = [key]
        if prefix in _PARTS[signal] and key.startswith("attributes."):
            names.append(key.removeprefix("attributes."))
        return [*((name, (by_prefix[prefix],), True) for name in names if name), (field, own, False)]
    if prefix == "exception" and "event" in _PARTS[signal]:
        # What was thrown is an event of the span, by the semantic conventions.
        return [(field, (*own, _PARTS[signal]["event"]), True)]
    return [(field, own, True)]


def _member(term: Term, key: str, *places: attributes.Place, parts: bool = True) -> Resolved:
    if term.op != "=":
        return attributes.ordered(places, key, term.op, _number(term), parts=parts)
    if _is_any(term):
        return attributes.exists(places, key, parts=parts)
    if term.is_regex:
        return attributes.matches(places, key, term.value, parts=parts)
    if _is_pattern(term):
        return attributes.like(places, key, _like(term.value), parts=parts)
    return attributes.equal(places, key, *(each.value for each in term.all), parts=parts)


def _number(term: Term) -> float:
    try:
        number = float(term.value)
    except ValueError:
        number = float("nan")
    if number - number != 0 or "_" in term.value:
        raise term_error(
            term,
            f"{term.op} compares numbers, and {term.value[:40]!r} is none; for the text, put all of it in quotes.",
            "value",
        )
    return number


_WORDS: Final[dict[Signal, Field]] = {
    Signal.LOGS: _word_in_body,
    Signal.TRACES: _word_in_span_name,
    Signal.METRICS: _no_words,
}
_COMMON: Final[dict[str, Field]] = {"service": partial(_text, "service_name"), "scope": partial(_text, "scope_name")}
_ONE_BY_ONE: Final = frozenset({"severity", "duration"})
"""Fields whose values mean more than one comparison."""
_FIELDS: Final[dict[Signal, dict[str, Field]]] = {
    Signal.LOGS: {
        **_COMMON,
        "severity": _severity,
        "severity_text": partial(_text, "severity_text"),
        "body": partial(_text, "body"),
        "event": partial(_text, "event_name"),
        "trace_id": partial(_identifier, "trace_id", 16),
        "span_id": partial(_identifier, "span_id", 8),
    },
    Signal.TRACES: {
        **_COMMON,
        "name": partial(_text, "span_name"),
        "kind": partial(_choice, "span_kind", KINDS),
        "status": partial(_choice, "status_code", STATUSES),
        "status_message": partial(_text, "status_message"),
        "duration": _duration,
        "event": partial(_text_in, "`events.name`"),
        "trace_id": partial(_identifier, "trace_id", 16),
        "span_id": partial(_identifier, "span_id", 8),
        "parent_span_id": partial(_identifier, "parent_span_id", 8),
    },
    Signal.METRICS: _COMMON,
}

_SCOPE_PARTS: Final[dict[str, Field]] = {
    "scope.name": partial(_text, "scope_name"),
    "scope.version": partial(_text, "scope_version"),
}
_FIELDS_OF_PARTS: Final[dict[Signal, dict[str, Field]]] = {
    Signal.LOGS: {**_SCOPE_PARTS, "event.name": partial(_text, "event_name")},
    Signal.TRACES: {
        **_SCOPE_PARTS,
        **dict.fromkeys(("event.name", "events.name"), partial(_text_in, "`events.name`")),
        **dict.fromkeys(("link.trace_id", "links.trace_id"), partial(_identifier_in, "`links.trace_id`", 16)),
        **dict.fromkeys(("link.span_id", "links.span_id"), partial(_identifier_in, "`links.span_id`", 8)),
    },
    Signal.METRICS: {},
}
"""Fields whose names may also be those of attributes."""
_SCOPE: Final = attributes.Place("scope_attributes")
_EVENTS: Final = attributes.Place("`events.attributes`", is_list=True)
_LINKS: Final = attributes.Place("`links.attributes`", is_list=True)
_PARTS: Final[dict[Signal, dict[str, attributes.Place]]] = {
    Signal.LOGS: {"scope": _SCOPE, "body": attributes.Place("body")},
    Signal.TRACES: {"scope": _SCOPE, "event": _EVENTS, "events": _EVENTS, "link": _LINKS, "links": _LINKS},
    Signal.METRICS: {},
}
"""What else of an item has attributes, by the name before the first point."""
_PART_NAMES: Final = {
    "scope": "its scope",
    "body": "its structured body",
    **dict.fromkeys(("event", "events"), "one of its events"),
    **dict.fromkeys(("link", "links"), "one of its links"),
}
