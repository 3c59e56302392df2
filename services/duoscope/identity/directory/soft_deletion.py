"""Soft deletion by the directory's rules: a deleted resource seems not to exist, and can be restored for 90 days.

`metadata/removal.py` has the SQL. A resource adds its own rules: what must remain, the state of its parent, the audit
entry.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from duoscope.kernel.errors import DuoscopeError, ErrorKind, not_found
from duoscope.metadata import removal
from duoscope.metadata.removal import Table
from duoscope.stores.postgres import Transaction


class Deletable(Protocol):
    """A row that may be soft-deleted."""

    @property
    def deleted_at(self) -> datetime | None:
        """The time of deletion; None if it is not deleted."""
        ...


Row = TypeVar("Row", bound=Deletable)


def require_living(row: Row | None, resource: str) -> Row:
    """Return the row. Raises NOT_FOUND if there is none, or if it is deleted."""
    if row is None or row.deleted_at is not None:
        raise not_found(resource)
    return row


def require_deleted(row: Row | None, resource: str) -> Row:
    """Return the row. Raises NOT_FOUND if there is none, or if it is not deleted."""
    if row is None or row.deleted_at is None:
        raise not_found(f"deleted {resource}")
    return row


async def delete(tx: Transaction, table: Table, row: Row | None, identifier: UUID) -> Row:
    """Soft-delete a row, and return it as it was.

    Args:
        tx: the transaction that has locked the row.
        table: the table of the row.
        row: the row; None if the transaction sees none.
        identifier: its id.

    Raises:
        DuoscopeError: NOT_FOUND if there is none, if it is deleted, or if the transaction may not delete it.
    """
    if row is None or not await removal.delete(tx, table, identifier):
        raise not_found(_name(table))
    return row


async def restore(
    tx: Transaction, table: Table, identifier: UUID, read: Callable[[Transaction, UUID], Awaitable[Row | None]]
) -> Row:
    """Undo a deletion, and return the row, read by `read`.

    Raises:
        DuoscopeError: NOT_FOUND if the transaction may not, or sees no such deleted row; CONFLICT for a user whose
            address belongs to another by now.
    """
    if not await removal.restore(tx, table, identifier):
        raise not_found(f"deleted {_name(table)}")
    row = await read(tx, identifier)
    assert row is not None
    return row


def parent_deleted(parent: str) -> DuoscopeError:
    """The error for restoring something whose parent is deleted."""
    return DuoscopeError(ErrorKind.CONFLICT, "parent-deleted", f"Its {parent} is deleted; restore that first.")


def _name(table: Table) -> str:
    return table.removesuffix("s")
