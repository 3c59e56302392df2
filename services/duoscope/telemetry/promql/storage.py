"""The interface to series and their points: all that the engine knows of a store."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from duoscope.telemetry.promql.labels import Labels
from duoscope.telemetry.promql.syntax.tree import Matcher
from duoscope.telemetry.promql.values import Points

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """A request for points of the series that match one of `groups`, after `start_ms` and up to `end_ms`.

    Attributes:
        groups: alternatives, each of matchers that must all match.
        start_ms: exclusive.
        end_ms: inclusive.
    """

    groups: tuple[tuple[Matcher, ...], ...]
    start_ms: int
    end_ms: int


class Storage(Protocol):
    """One tenant's series."""

    async def points(self, requests: Sequence[Request]) -> list[Points]:
        """The points of each request: series ordered by labels, points by time, at most one per moment.

        Raises:
            ExpressionError: there are more than one query may read.
        """
        ...

    async def series(self, requests: Sequence[Request]) -> list[list[Labels]]:
        """The labels of each request's series that have a point in its time range."""
        ...

    async def compute(self, work: Callable[[], T], unwanted: threading.Event) -> T:
        """Run an evaluation, which ends soon after `unwanted` is set, in a thread of its own or in a fair turn."""
        ...


def meets(labels: Labels, groups: tuple[tuple[Matcher, ...], ...]) -> bool:
    """Whether a set of labels matches one of the groups of matchers."""
    values = dict(labels)
    return any(all(matcher.matches(values.get(matcher.name, "")) for matcher in group) for group in groups)
