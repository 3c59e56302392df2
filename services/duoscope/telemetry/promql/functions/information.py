"""`info`: labels of info metrics, such as `target_info`, added to the series of the same job and instance."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from duoscope.telemetry.promql import labels as label_sets
from duoscope.telemetry.promql.errors import execution
from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.syntax.tree import Matcher, Selector
from duoscope.telemetry.promql.values import Bools, Ints, Vector, anywhere, merged

_IDENTITY: Final = frozenset({"job", "instance"})


def enriched(vector: Vector, node: Selector, info: Vector, info_times: Ints) -> Vector:
    """A vector with the labels of the info series of the same job and instance.

    Args:
        vector: the vector to enrich.
        node: the selector of the info series; its matchers, except for the name, say which labels are wanted.
        info: the info series.
        info_times: of their newest points: if two match, the newer one counts.

    Raises:
        ExpressionError: two info series of one metric are equally new, or two metrics disagree.
    """
    # What the selector names is itself an info series.
    names = [m for m in node.groups[0] if m.name == label_sets.NAME and not m.type.startswith("!")]
    wanted = [matcher for matcher in node.groups[0] if matcher.name != label_sets.NAME]
    by_identity: dict[Labels, list[int]] = {}
    for row, each in enumerate(info.labels):
        by_identity.setdefault(label_sets.only(each, _IDENTITY), []).append(row)
    labels: list[Labels] = []
    rows: list[int] = []
    present: list[Bools] = []
    for row, own in enumerate(vector.labels):
        name = label_sets.get(own, label_sets.NAME)
        if names and all(matcher.matches(name) for matcher in names):
            parts = iter([(own, vector.has[row])])
        else:
            of_it = by_identity.get(label_sets.only(own, _IDENTITY), [])
            parts = _parts(own, vector.has[row], wanted, info, info_times, of_it)
        for made, has in parts:
            labels.append(made)
            rows.append(row)
            present.append(has)
    taken = vector.taken(np.array(rows, np.int64))
    taken.labels = labels
    taken.has = np.stack(present) if present else taken.has
    return merged(taken.present())


def _parts(  # noqa: PLR0917 - a series, and what is known beside it
    own: Labels, has: Bools, wanted: list[Matcher], info: Vector, info_times: Ints, rows: list[int]
) -> Iterator[tuple[Labels, Bools]]:
    """The labels of one series, for each set of info series that exist together, and when that is."""
    current = _newest(info, info_times, rows, has) if rows else np.zeros((0, len(has)), np.bool_)
    patterns, of_step = np.unique(current, axis=1, return_inverse=True)
    for number in range(patterns.shape[1]):
        steps = has & (of_step.ravel() == number)
        if not steps.any():
            continue
        added: dict[str, str] = {}
        for row in (rows[place] for place in np.flatnonzero(patterns[:, number])):
            _add(added, own, info.labels[row], {matcher.name for matcher in wanted})
        if not patterns[:, number].any() and not all(matcher.matches("") for matcher in wanted):
            continue
        yield label_sets.of([*own, *added.items()]), steps


def _add(added: dict[str, str], own: Labels, labels: Labels, wanted: set[str]) -> None:
    for name, value in labels:
        if name in _IDENTITY or name in label_sets.SCHEMA or (wanted and name not in wanted):
            continue
        if label_sets.get(own, name):
            continue
        if added.setdefault(name, value) != value:
            raise execution(f"conflicting label: {name}")


def _newest(info: Vector, info_times: Ints, rows: list[int], has: Bools) -> Bools:
    """For the info series of one job and instance, the newest of each metric at each step."""
    current = info.has[rows] & has
    names = [label_sets.get(info.labels[row], label_sets.NAME) for row in rows]
    for name in set(names):
        places = [place for place, one in enumerate(names) if one == name]
        times = np.where(current[places], info_times[rows][places], -1)
        is_newest = current[places] & (times == times.max(axis=0))
        twice = is_newest.sum(axis=0) > 1
        if anywhere(twice[None, :]).any():
            found = ", ".join(label_sets.shown(info.labels[rows[place]]) for place in places)
            raise execution(f"found duplicate series for info metric: [{found}]")
        current[places] = is_newest
    return current
