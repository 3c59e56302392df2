"""Pages of rows, by keyset: a page begins after the last row of the previous one, whatever was added or removed since.

How a resource may be listed is a constant beside its SQL; nothing that a client sends becomes SQL. Row level security
decides which rows can be listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from duoscope.stores.postgres import Record, Transaction

_BINDS: Final[tuple[LiteralString, ...]] = (
    *("$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$16"),
)


@dataclass(frozen=True, slots=True)
class Listing:
    """The possible sorts and filters of a resource.

    Attributes:
        name: of the resource, for cursors.
        select: the statement up to its FROM clause, without WHERE.
        key: the column that is unique, a UUID.
        sorts: the columns to sort by, none of which is ever NULL, and the types of their values; the first is the
            default.
        filters: conditions by the name of the parameter; `?` stands for its value.
    """

    name: str
    select: LiteralString
    key: LiteralString
    sorts: Mapping[LiteralString, type[str] | type[datetime]]
    filters: Mapping[str, LiteralString]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The page to read.

    Attributes:
        column: the column to sort by, one of the listing's.
        is_descending: whether to sort in descending order.
        limit: the maximum number of rows.
        after: sort value and key of the last row of the previous page.
        filters: values by the listing's names; None means no filter.
    """

    column: str
    is_descending: bool
    limit: int
    after: tuple[str | datetime, UUID] | None = None
    filters: Mapping[str, object] = field(default_factory=dict[str, object])


async def rows(tx: Transaction, listing: Listing, page: PageRequest) -> tuple[list[Record], bool]:
    """Read a page. Returns its rows, and whether there are more after it."""
    values: list[object] = []
    conditions: list[LiteralString] = ["true"]
    for name, value in page.filters.items():
        if value is not None:
            values.append(value)
            conditions.append(listing.filters[name].replace("?", _BINDS[len(values) - 1]))
    # Looked up, so that the statement contains the listing's constant and not the caller's text.
    column: LiteralString = next(known for known in listing.sorts if known == page.column)
    direction: LiteralString = "DESC" if page.is_descending else "ASC"
    if page.after is not None:
        values.extend(page.after)
        beyond: LiteralString = "<" if page.is_descending else ">"
        position = _BINDS[len(values) - 2] + ", " + _BINDS[len(values) - 1]
        conditions.append("(" + column + ", " + listing.key + ") " + beyond + " (" + position + ")")
    values.append(page.limit + 1)
    where = listing.select + " WHERE " + " AND ".join(conditions)
    order = " ORDER BY " + column + " " + direction + ", " + listing.key + " " + direction
    found = await tx.fetch(where + order + " LIMIT " + _BINDS[len(values) - 1], *values)
    return found[: page.limit], len(found) > page.limit


IS_DELETED: Final[LiteralString] = "(deleted_at IS NOT NULL) = ?"
CONTAINS: Final[LiteralString] = "strpos(lower(name), lower(?)) > 0"
