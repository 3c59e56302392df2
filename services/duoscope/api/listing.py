"""What all lists of the API share: `limit`, `cursor`, `sort`, and the cursor of the next page.

A cursor is opaque and belongs to one list with its sort and filters. Anyone can forge one: it is checked, and shows
nothing that the list itself would not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, LiteralString, TypeVar
from uuid import UUID

import msgspec
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation

from duoscope.kernel.errors import invalid
from duoscope.kernel.limits import LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX
from duoscope.metadata import listing
from duoscope.metadata.listing import Listing, PageRequest
from duoscope.stores.postgres import Record, Transaction
from duoscope.telemetry import cursor as cursors
from duoscope.telemetry.cursor import Text, Whole

T = TypeVar("T")

_UUID: Final = Text("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STORABLE: Final = Text("(?s:[^\x00]*)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS: Final = Whole(-(10**16), 2 * 10**17)

DeletedFilter = Annotated[
    bool, QueryParameter(description="List deleted ones instead, which can be restored for 90 days.")
]
NameFilter = Annotated[str | None, QueryParameter(description="Part of the name, ignoring case.", max_length=200)]
CodeFilter = Annotated[str | None, QueryParameter(description="The complete code.", max_length=63)]
ActiveFilter = Annotated[bool | None, QueryParameter(description="Whether to list active or inactive ones.")]
OrganizationParameter = Annotated[
    UUID | None,
    QueryParameter(description="For platform admins: another organization than their own."),
]


@dataclass(frozen=True, slots=True)
class Paging:
    """The parameters of every list, as sent."""

    limit: int
    cursor: str | None
    sort: str | None


PagingDependency = NamedDependency[SkipValidation[Paging]]


def paging(
    limit: Annotated[int, QueryParameter(ge=1, le=LIST_LIMIT_MAX, description="Items of a page.")] = LIST_LIMIT_DEFAULT,
    cursor: Annotated[
        str | None, QueryParameter(description="`next_cursor` of the previous page, with the same sort and filters.")
    ] = None,
    sort: Annotated[
        str | None,
        QueryParameter(description="A field such as `name` or `created_at`; with `-` before it, descending."),
    ] = None,
) -> Paging:
    """Provide `paging` to handlers of lists."""
    return Paging(limit, cursor, sort)


async def page(
    tx: Transaction,
    spec: Listing,
    asked: Paging,
    filters: Mapping[str, object],
    *,
    answer: type[T],
    read: Callable[[Record], object] = dict,
) -> tuple[list[T], str | None]:
    """Read one page of the rows that the transaction may see. Also returns the cursor of the next page.

    Args:
        tx: the transaction to read in.
        spec: how the resource may be listed.
        asked: the parameters of the request.
        filters: values by the names of the listing's filters; None means no filter.
        answer: the type of an item, whose fields are columns of the row.
        read: turns a row into an object with those fields, if the columns alone are not enough.

    Raises:
        DuoscopeError: INVALID `invalid-request` for the sort or a filter, `invalid-cursor`.
    """
    asked_sort = asked.sort or next(iter(spec.sorts))
    column: LiteralString | None = next((known for known in spec.sorts if known == asked_sort.removeprefix("-")), None)
    if column is None:
        raise invalid(f"sort is one of {', '.join(spec.sorts)}, with - before it for descending, not {asked_sort!r}.")
    for name, value in filters.items():
        if isinstance(value, str) and not _STORABLE.admits(value):
            raise invalid(f"{name} holds characters that no text has.")
    identity = (spec.name, asked_sort, sorted((name, str(value)) for name, value in filters.items()))
    of_time = spec.sorts[column] is datetime
    after: tuple[str | datetime, UUID] | None = None
    if asked.cursor is not None:
        value, key = cursors.decode(asked.cursor, identity, (_MICROSECONDS if of_time else _STORABLE, _UUID))
        after = (_EPOCH + timedelta(microseconds=value) if of_time else value, UUID(key))
    request = PageRequest(column, asked_sort.startswith("-"), asked.limit, after, filters)
    found, has_more = await listing.rows(tx, spec, request)
    next_cursor = None
    if has_more:
        last = found[-1][column]
        position = (last - _EPOCH) // timedelta(microseconds=1) if of_time else last
        key_column = spec.key.rpartition(".")[2]
        next_cursor = cursors.encode(identity, [position, str(found[-1][key_column])])
    return [msgspec.convert(read(row), answer, from_attributes=True) for row in found], next_cursor
