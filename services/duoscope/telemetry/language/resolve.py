"""Second stage: what a name means for a signal. Names that are not fields are attributes.

`attributes.x` means the item's own attribute, `resource.x` that of its resource, a bare `x` both; either form also
finds an attribute whose actual name it is. `!=` is the opposite of `=`: it also matches items without the attribute.

Text pasted from a log looks like fields: `user_id=42`, `Main.java:42`. With `or_text` such a term also matches the
text.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import Final

from duoscope.telemetry.language import attributes, words
from duoscope.telemetry.language.tree import And, Not, Or, Predicate, Term, Tree, query_error
from duoscope.telemetry.times import duration_ns

SEVERITIES: Final = {
    "trace": (1, 4),
    "debug": (5, 8),
    "info": (9, 12),
    "warn": (13, 16),
    "warning": (13, 16),
    "error": (17, 20),
    "fatal": (21, 24),
}
"""Ranges of severity numbers (OpenTelemetry logs data model, SeverityNumber)."""
SEVERITY_MAX: Final = 24
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
                return Or((resolved, _WORDS[signal](replace(tree, field="", value=tree.raw, quoted=False))))
            return resolved
        case Not():
            return Not(resolve(tree.part, signal))
        case And():
            return And(tuple(resolve(part, signal, or_text=or_text) for part in tree.parts))
        case Or():
            return Or(tuple(resolve(part, signal, or_text=or_text) for part in tree.parts))


def is_field(name: str, signal: Signal) -> bool:
    """Whether a name is a field of the signal, and not an attribute."""
    return name in _FIELDS[signal]


def may_be_text(term: Term, signal: Signal) -> bool:
    """Whether a term has the form of an attribute and its value, but may also be a piece of text."""
    of_attribute = bool(term.field) and not is_field(term.field, signal)
    return of_attribute and term.op == "=" and not _is_any(term) and signal is not Signal.METRICS


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
            raise query_error(
                term.position,
                f"{term.field} is a field of {other.name.lower()}, not of {signal.name.lower()}; "
                f"for an attribute of that name write attributes.{term.field}, "
                "and to search for the text put all of it in quotes.",
            )
    return _attribute(term, signal)


def _is_pattern(term: Term) -> bool:
    return not term.quoted and "*" in term.value


def _is_any(term: Term) -> bool:
    return not term.quoted and bool(term.value) and not term.value.strip("*")


def _like(pattern: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", pattern).replace("*", "%")


def _no_order(term: Term, what: str) -> None:
    if term.op != "=":
        raise query_error(term.position, f"{term.field} is {what} and takes no {term.op}; use : or !=.")


def _no_pattern(term: Term, what: str) -> None:
    if _is_pattern(term):
        raise query_error(term.position, f"{term.field} takes {what}, not the pattern {term.value!r}.")


# Words


def _word_in_body(term: Term) -> Resolved:
    if _is_pattern(term):
        return words.pattern_in_body(term.value)
    return words.phrase_in_body(term.value) if term.quoted else words.word_in_body(term.value)


def _word_in_span_name(term: Term) -> Resolved:
    return (words.pattern_in if _is_pattern(term) else words.phrase_in)("span_name", term.value)


def _no_words(term: Term) -> Resolved:
    raise query_error(term.position, f"metrics have no text to find {term.value!r} in; write field:value.")


# Fields


def _text(column: str, term: Term) -> Resolved:
    _no_order(term, "a text")
    if _is_any(term):
        return Predicate(f"{column} != ''")
    if _is_pattern(term):
        return Predicate(f"{column} LIKE {{}}", (("String", _like(term.value)),))
    return Predicate(f"{column} = {{}}", (("String", term.value),))


def _text_in(column: str, term: Term) -> Resolved:
    _no_order(term, "a text")
    if _is_any(term):
        return Predicate(f"notEmpty({column})")
    if _is_pattern(term):
        return Predicate(f"arrayExists(name -> name LIKE {{}}, {column})", (("String", _like(term.value)),))
    return Predicate(f"has({column}, {{}})", (("String", term.value),))


def _identifier(column: str, length_bytes: int, term: Term) -> Resolved:
    _no_order(term, "an id")
    if _is_any(term):
        return Predicate(f"{column} != toFixedString('', {length_bytes})")
    if not re.fullmatch(rf"[0-9a-fA-F]{{{2 * length_bytes}}}", term.value):
        raise query_error(
            term.position, f"{term.field} takes {2 * length_bytes} hexadecimal digits, not {term.value[:40]!r}."
        )
    return Predicate(f"{column} = toFixedString(unhex({{}}), {length_bytes})", (("String", term.value.lower()),))


def _choice(column: str, choices: tuple[str, ...], term: Term) -> Resolved:
    _no_order(term, "one of a few names")
    if term.value.lower() not in choices:
        raise query_error(term.position, f"{term.field} is one of {', '.join(choices)}, not {term.value[:40]!r}.")
    return Predicate(f"{column} = {{}}", (("String", term.value.lower()),))


def _severity(term: Term) -> Resolved:
    _no_pattern(term, "a name or a number")
    low, high = SEVERITIES.get(term.value.lower(), (0, -1))
    if high < 0:
        if not re.fullmatch(r"\d{1,2}", term.value, re.ASCII) or int(term.value) > SEVERITY_MAX:
            raise query_error(
                term.position,
                f"severity is one of {', '.join(SEVERITIES)}, or a number from 0 to {SEVERITY_MAX}, "
                f"not {term.value[:40]!r}.",
            )
        low = high = int(term.value)
    match term.op:
        case "=":
            return Predicate("severity_number BETWEEN {} AND {}", (("UInt8", low), ("UInt8", high)))
        case ">=" | "<":
            return Predicate(f"severity_number {term.op} {{}}", (("UInt8", low),))
        case _:
            return Predicate(f"severity_number {term.op} {{}}", (("UInt8", high),))


def _duration(term: Term) -> Resolved:
    _no_pattern(term, "a time")
    nanos = duration_ns(term.value)
    if nanos is None or nanos >= 2**63:
        raise query_error(
            term.position,
            f"duration takes a number with a unit (ns, us, ms, s, m, h), such as 100ms, not {term.value[:40]!r}.",
        )
    return Predicate(f"duration_nano {term.op} {{}}", (("UInt64", nanos),))


# Attributes


def _attribute(term: Term, signal: Signal) -> Resolved:
    by_whole_name = (_member(term, term.field, signal.value), _member(term, term.field, RESOURCE))
    place, _, key = term.field.partition(".")
    if place == "resource" and key:
        return Or((_member(term, key, RESOURCE), *by_whole_name))
    if place == "attributes" and key:
        return Or((_member(term, key, signal.value), *by_whole_name))
    return Or(by_whole_name)


def _member(term: Term, key: str, place: attributes.Place) -> Resolved:
    if term.op != "=":
        return attributes.ordered(place, key, term.op, _number(term))
    if _is_any(term):
        return attributes.exists(place, key)
    if _is_pattern(term):
        return attributes.like(place, key, _like(term.value))
    return attributes.equal(place, key, term.value)


def _number(term: Term) -> float:
    try:
        number = float(term.value)
    except ValueError:
        number = float("nan")
    if number - number != 0 or "_" in term.value:
        raise query_error(
            term.position,
            f"{term.op} compares numbers, and {term.value[:40]!r} is none; for the text, put all of it in quotes.",
        )
    return number


_WORDS: Final[dict[Signal, Field]] = {
    Signal.LOGS: _word_in_body,
    Signal.TRACES: _word_in_span_name,
    Signal.METRICS: _no_words,
}
_COMMON: Final[dict[str, Field]] = {"service": partial(_text, "service_name"), "scope": partial(_text, "scope_name")}
_FIELDS: Final[dict[Signal, dict[str, Field]]] = {
    Signal.LOGS: {
        **_COMMON,
        "severity": _severity,
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
