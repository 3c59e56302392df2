"""What items that match a query must fulfil and ClickHouse has indexes for, so that it reads few granules.

An equality on an attribute is a condition on its column, on values beside columns, on the resource, and on parts of all
these (`attributes`). An index is used if each of these has one. So a query gets a further condition that follows from
it, where its column has an index: the column's value; or that there is something beside columns, of which an index
knows the length; or that a resource of the range has the name, which is found out first by reading resources alone.
"""

from collections.abc import Iterator
from typing import Final

from duoscope.stores.clickhouse import Indexed
from duoscope.telemetry.language import attributes
from duoscope.telemetry.language.resolve import RESOURCE, Signal, is_plain_attribute, places_of
from duoscope.telemetry.language.tree import And, Or, Predicate, Term, Tree
from duoscope.telemetry.times import TimeRange

_RESOURCES: Final = {Signal.TRACES: "@traces_resources", Signal.LOGS: "@logs_resources"}


def necessary(tree: Tree[Term], signal: Signal, indexed: Indexed) -> Iterator[Tree[Predicate]]:
    """Conditions that follow from a query about items within the statement's `TimeRange.CONDITION`, with indexes."""
    match tree:
        case Term():
            if found := _of_term(tree, signal, indexed):
                yield Or(tuple(found))
        case And():
            for part in tree.parts:
                yield from necessary(part, signal, indexed)
        case _:  # what is excluded, and either of two
            return


def _of_term(term: Term, signal: Signal, indexed: Indexed) -> list[Predicate]:
    if signal not in _RESOURCES or not is_plain_attribute(term, signal):
        return []
    own, texts = signal.value, tuple(each.value for each in term.all)
    found: list[Predicate] = []
    of_resource: list[str] = []
    for key, places, _ in places_of(term.field, signal):
        for place in places:
            if place == RESOURCE:
                of_resource += attributes.first_names(key)
            elif place == own and (own.typed, key) in indexed and (columns := attributes.in_column(own, key, texts)):
                found += columns
            else:
                return []
    if found:
        found.append(_beside_columns(own, _RESOURCES[signal], of_resource))
    return found


def _beside_columns(own: attributes.Place, resources: str, names: list[str]) -> Predicate:
    """Whether an item has something beside columns; true for all if a resource of the range has one of some names.

    That is a part of the one comparison, since ClickHouse uses no index beside a condition that is constant.
    """
    if not names:
        return Predicate(f"length({own.text}) > 2")
    within = TimeRange.CONDITION.replace("{", "{{").replace("}", "}}")
    least = f"SELECT if(count() > 0, -1, 2) FROM {resources} WHERE {within} AND multiSearchAny(resource, {{}})"
    return Predicate(f"length({own.text}) > ({least})", (("Array(String)", attributes.as_keys(names)),))
