"""Hints for answers without items: what was searched, and where.

A hint repeats the query and reveals nothing about stored data.
"""

from collections.abc import Iterator
from typing import Final

from duoscope.telemetry.language.parse import parse
from duoscope.telemetry.language.resolve import Signal, is_field, may_be_text, part_of
from duoscope.telemetry.language.tree import And, Not, Or, Term, Tree

TERMS_SHOWN_MAX: Final = 10
VALUE_SHOWN_CHARS: Final = 60

_ITEMS: Final = {Signal.LOGS: "log records", Signal.TRACES: "traces", Signal.METRICS: "points"}
_ITEM: Final = {Signal.LOGS: "record", Signal.TRACES: "span", Signal.METRICS: "point"}
_TEXT: Final = {Signal.LOGS: "the body", Signal.TRACES: "the span's name"}
_HOW: Final = {Signal.LOGS: "whole words, in any case", Signal.TRACES: "in any case"}
_FIELDS: Final = {"service": "`service.name` of the resource", "scope": "the name of the instrumentation scope"}


def hint_at_nothing(text: str, signal: Signal, start: str, end: str) -> str:
    """The hint for a query that found nothing from `start` to `end`."""
    found = f"No {_ITEMS[signal]} from {start} to {end}"
    tree = parse(text)
    if tree is None:
        return f"{found}."
    terms = list(_terms(tree))
    said = [_said(term, signal, negated=negated) for term, negated in terms[:TERMS_SHOWN_MAX]]
    if len(terms) > len(said):
        said.append(f"and {len(terms) - len(said)} more")
    return f"{found} match. Looked for: {'; '.join(said)}."


def hint_at_text(text: str, signal: Signal) -> str:
    """The hint for a query that found something only after terms that look like fields also matched text."""
    tree = parse(text)
    terms = [term.raw for term, negated in _terms(tree) if may_be_text(term, signal) and not negated] if tree else []
    return (
        f"As attributes alone, {_listed(terms)} found nothing: here is what has the attribute, or the text in "
        f"{_TEXT[signal]}. For the text alone, put it in quotes."
    )


def _terms(tree: Tree[Term], *, negated: bool = False) -> Iterator[tuple[Term, bool]]:
    match tree:
        case Term():
            yield tree, negated
        case Not():
            yield from _terms(tree.part, negated=not negated)
        case And() | Or():
            for part in tree.parts:
                yield from _terms(part, negated=negated)


def _said(term: Term, signal: Signal, *, negated: bool) -> str:
    without = "without " if negated else ""
    value = _short(term.value)
    if not term.field:
        of_field = ""
        if not term.quoted and any(sign in term.value[1:-1] for sign in ":=") and "://" not in term.value:
            of_field = "; for a field of such a name put the name in quotes"
        if term.quoted:
            return f'{without}the phrase "{value}" in {_TEXT[signal]} (as it stands, in any case)'
        return f"{without}{value} in {_TEXT[signal]} ({_HOW[signal]}{of_field})"
    compared = f"matches /{value}/" if term.is_regex else f"{term.op} {value or chr(34) * 2}"
    if is_field(term.field, signal):
        where = f" ({_FIELDS[term.field]})" if term.field in _FIELDS else ""
        return f"{without}the field {term.field}{where} {compared}"
    place, _, key = _short(term.field).partition(".")
    of = f"of the {_ITEM[signal]} or its resource"
    if key and place in {"resource", "attributes"}:
        of = f"or {key} of the {'resource' if place == 'resource' else _ITEM[signal]}"
    elif key and (part := part_of(term.field, signal)):
        of = f"or {key} of {part}"
    text = f", or the text in {_TEXT[signal]}" if may_be_text(term, signal) and not negated else ""
    return f"{without}an attribute {_short(term.field)} {of} {compared}{text}"


def _listed(terms: list[str]) -> str:
    shown = [f"`{_short(term)}`" for term in terms[:TERMS_SHOWN_MAX]]
    return ", ".join(shown) + (f" and {len(terms) - len(shown)} more" if len(terms) > len(shown) else "")


def _short(text: str) -> str:
    return text if len(text) <= VALUE_SHOWN_CHARS else f"{text[: VALUE_SHOWN_CHARS - 1]}…"
