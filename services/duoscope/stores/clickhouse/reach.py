"""How far apart the rows of questions were, so that the same question begins where it ended when it is asked again."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from duoscope.stores.clickhouse.kept import Kept

QUESTIONS_MAX: Final = 4096
"""Questions that are remembered, over all tenants. That which was not asked for the longest time is forgotten first."""


class Reach:
    """Nanoseconds for each row that was found, by tenant and question. They say where to begin to look, never what is
    there. Its methods are for the event loop's thread.
    """

    def __init__(self) -> None:
        self._ns_per_row: OrderedDict[tuple[UUID, int], float] = OrderedDict()

    def get(self, tenant_id: UUID, question: int) -> float | None:
        """Return what was noted last, if it is remembered."""
        known = self._ns_per_row.get((tenant_id, question))
        if known is not None:
            self._ns_per_row.move_to_end((tenant_id, question))
        return known

    def note(self, tenant_id: UUID, question: int, ns_per_row: float) -> None:
        """Remember how far apart the rows of a question were."""
        self._ns_per_row[tenant_id, question] = ns_per_row
        self._ns_per_row.move_to_end((tenant_id, question))
        if len(self._ns_per_row) > QUESTIONS_MAX:
            self._ns_per_row.popitem(last=False)


Indexed = frozenset[tuple[str, str]]
"""The columns of attributes that have an index: the table's column of type JSON, and the name."""


@dataclass(slots=True)
class Guides:
    """Guides of readers: they make statements cheaper, and change no answer.

    Attributes:
        reach: how far apart the rows of questions were.
        kept: what was computed and may be wanted again.
        indexed: the columns of attributes that have an index.
    """

    reach: Reach = field(default_factory=Reach)
    kept: Kept = field(default_factory=Kept)
    indexed: Indexed = frozenset()


class Reached:
    """A question of one tenant, and what is remembered of it."""

    def __init__(self, reach: Reach, tenant_id: UUID, name: str, text: str) -> None:
        self._reach = reach
        self._tenant_id = tenant_id
        self._question, self._all = hash((name, text)), hash((name, ""))

    @property
    def ns_per_row(self) -> float:
        """How far apart its rows were, or those of all, which are no farther apart; 0 if neither is known."""
        known = self._reach.get(self._tenant_id, self._question)
        return known or self._reach.get(self._tenant_id, self._all) or 0.0

    def note(self, ns_per_row: float) -> None:
        """Remember how far apart its rows were."""
        self._reach.note(self._tenant_id, self._question, ns_per_row)
