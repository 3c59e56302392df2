"""Conditions on sums over a whole trace, in the grammar of the search language: `spans>100 errors>0 duration>1s`."""

import re
from typing import Final

from duoscope.telemetry.language.parse import parse
from duoscope.telemetry.language.printer import Condition, printed
from duoscope.telemetry.language.tree import And, Not, Or, Predicate, Term, Tree, term_error
from duoscope.telemetry.times import duration_ns
from duoscope.telemetry.traces.whole import SUMMARY

COLUMNS: Final = (
    f"{SUMMARY}, end_unix_nano - start_unix_nano AS whole_nano, "
    "toUnixTimestamp64Nano(min(first_timestamp)) AS first_ns, toUnixTimestamp64Nano(max(last_timestamp)) AS last_ns"
)
"""What conditions are over, of `@trace_summaries AS s` grouped by trace; and where its spans are."""
FIELDS: Final = ("spans", "errors", "services", "duration", "service", "root.service", "root.name")
_COUNTS: Final = {"spans": "span_count", "errors": "error_count", "services": "length(services)"}
_TEXTS: Final = {"root.service": "root.1", "root.name": "root.2"}
_COUNT_DIGITS_MAX: Final = 18


def compile_sums(text: str) -> Condition | None:
    """Compile a query about whole traces to a condition over `COLUMNS`; None for an empty one.

    Raises:
        DuoscopeError: INVALID `invalid-query`.
    """
    tree = parse(text)
    return None if tree is None else printed(_resolved(tree))


def _resolved(tree: Tree[Term]) -> Tree[Predicate]:
    match tree:
        case Term():
            return _term(tree)
        case Not():
            return Not(_resolved(tree.part))
        case And():
            return And(tuple(map(_resolved, tree.parts)))
        case Or():
            return Or(tuple(map(_resolved, tree.parts)))


def _term(term: Term) -> Predicate:
    if term.field not in FIELDS:
        raise term_error(
            term,
            f"about a whole trace there are {', '.join(FIELDS)}, not {term.field or term.raw!r}: write spans>100, or "
            "put what is said of a span into `query`.",
            "field",
            FIELDS if term.field else (),
        )
    if term.is_regex:
        raise term_error(term, f"{term.field} of a trace takes no regular expression.")
    if term.field in _COUNTS:
        if not re.fullmatch(rf"\d{{1,{_COUNT_DIGITS_MAX}}}", term.value, re.ASCII):
            raise term_error(term, f"{term.field} takes a whole number, not {term.value[:40]!r}.", "value")
        return Predicate(f"{_COUNTS[term.field]} {term.op} {{}}", (("UInt64", int(term.value)),))
    if term.field == "duration":
        nano = duration_ns(term.value)
        if nano is None or nano >= 2**63:
            raise term_error(
                term, f"duration takes a number with a unit, such as 100ms, not {term.value[:40]!r}.", "value"
            )
        return Predicate(f"whole_nano {term.op} {{}}", (("Int64", nano),))
    if term.op not in ("=", "!="):
        raise term_error(term, f"{term.field} is a text and takes no {term.op}; use : or !=.", "op", (":", "!="))
    is_pattern = "*" in term.value and not term.quoted
    value = re.sub(r"([\\%_])", r"\\\1", term.value).replace("*", "%") if is_pattern else term.value
    negated = "NOT " if term.op == "!=" else ""
    if term.field == "service":
        holds = "arrayExists(service -> service LIKE {}, services)" if is_pattern else "has(services, {})"
    else:
        holds = f"{_TEXTS[term.field]} {'LIKE' if is_pattern else '='} {{}}"
    return Predicate(f"{negated}{holds}", (("String", value),))
