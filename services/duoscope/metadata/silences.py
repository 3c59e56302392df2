"""Silences: which alerts nobody is told of, from when to when, why, and by whom."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Final, Literal, LiteralString, TypeAlias
from uuid import UUID

from msgspec import Meta, Struct, convert, to_builtins

from duoscope.kernel.ids import new_id
from duoscope.metadata.listing import Listing
from duoscope.stores.postgres import Record, Transaction

Operator: TypeAlias = Literal["=", "!=", "=~", "!~"]
SilenceState: TypeAlias = Literal["pending", "active", "expired"]


class Matcher(Struct, frozen=True, forbid_unknown_fields=True):
    """A condition on one label. A label that an alert lacks is empty; expressions match a whole value."""

    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$", examples=["service"])]
    operator: Operator
    value: Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00]*$", examples=["checkout|cart"])]


class Silence(Struct, frozen=True):
    """A silence of a tenant."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    silence_id: UUID
    matchers: Annotated[list[Matcher], Meta(description="All of them must match.")]
    starts_at: datetime
    ends_at: datetime
    state: Annotated[SilenceState, Meta(description="By the clock of the database.")]
    comment: str
    created_by: UUID | None
    created_by_email: str
    created_at: datetime
    updated_at: datetime


_STATE: Final[LiteralString] = (
    "CASE WHEN ends_at <= now() THEN 'expired' WHEN starts_at > now() THEN 'pending' ELSE 'active' END"
)
_COLUMNS: Final[LiteralString] = (
    f"organization_id, workspace_id, tenant_id, silence_id, matchers, starts_at, ends_at, {_STATE} AS state, comment, "
    "created_by, created_by_email, created_at, updated_at"
)
LISTING: Final = Listing(
    name="silences",
    select=f"SELECT {_COLUMNS} FROM silences",
    key="silence_id",
    sorts={"created_at": datetime, "ends_at": datetime},
    filters={"state": f"({_STATE}) = ?"},
)


def from_row(row: Record) -> Silence:
    """Build a Silence from a row of the listing or of the table."""
    return convert(dict(row), Silence)


async def create(
    tx: Transaction,
    *,
    matchers: Collection[Matcher],
    starts_at: datetime | None,
    ends_at: datetime,
    comment: str,
    created_by: UUID | None,
    created_by_email: str,
) -> Silence | None:
    """Store a silence of the transaction's tenant, which begins now unless `starts_at` is later. Returns None if it
    would be over already.
    """
    row = await tx.fetchrow(
        "INSERT INTO silences (organization_id, workspace_id, tenant_id, silence_id, matchers, starts_at, ends_at, "
        "comment, created_by, created_by_email) SELECT app_organization_id(), app_workspace_id(), app_tenant_id(), "
        "$1, $2, greatest($3::timestamptz, now()), $4, $5, $6, $7 "
        f"WHERE $4::timestamptz > greatest($3::timestamptz, now()) RETURNING {_COLUMNS}",
        *(new_id(), to_builtins(list(matchers)), starts_at, ends_at, comment, created_by, created_by_email),
    )
    return from_row(row) if row else None


async def of_tenant(tx: Transaction) -> list[Silence]:
    """All silences of the transaction's tenant that are known, the newest first."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM silences WHERE tenant_id = app_tenant_id() "
        "ORDER BY starts_at DESC, silence_id LIMIT 5000"
    )
    return [from_row(row) for row in rows]


async def get(tx: Transaction, silence_id: UUID) -> Silence | None:
    """The silence, over or not, or None if the transaction may not see it."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM silences WHERE silence_id = $1", silence_id)
    return from_row(row) if row else None


async def lock(tx: Transaction, silence_id: UUID) -> Silence | None:
    """Like `get`, locked for a change."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM silences WHERE silence_id = $1 FOR UPDATE", silence_id)
    return from_row(row) if row else None


async def count(tx: Transaction) -> int:
    """How many silences of the transaction's tenant are not over."""
    return await tx.fetchval("SELECT count(*) FROM silences WHERE tenant_id = app_tenant_id() AND ends_at > now()")


async def save(tx: Transaction, silence: Silence) -> Silence | None:
    """Save its end, now at the earliest, and its comment. Returns None if it would end before it begins."""
    row = await tx.fetchrow(
        "UPDATE silences SET ends_at = greatest($2, now()), comment = $3 WHERE silence_id = $1 "
        f"AND greatest($2, now()) >= starts_at RETURNING {_COLUMNS}",
        *(silence.silence_id, silence.ends_at, silence.comment),
    )
    return from_row(row) if row else None


async def expire(tx: Transaction, silence_id: UUID) -> Silence:
    """End a silence now; one that has not begun never will."""
    row = await tx.fetchrow(
        "UPDATE silences SET starts_at = least(starts_at, now()), ends_at = now() WHERE silence_id = $1 "
        f"RETURNING {_COLUMNS}",
        silence_id,
    )
    assert row is not None
    return from_row(row)


async def active(tx: Transaction, tenant_ids: Collection[UUID]) -> list[Silence]:
    """The silences of tenants that are active now, those that last longest first. Needs a platform transaction."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM silences WHERE tenant_id = ANY ($1) AND starts_at <= now() AND ends_at > now() "
        "ORDER BY ends_at DESC, silence_id",
        list(tenant_ids),
    )
    return [from_row(row) for row in rows]


async def between(tx: Transaction, start: datetime, end: datetime) -> list[Silence]:
    """The silences of the transaction's tenant that were or are active in a range, those that last longest first."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM silences WHERE tenant_id = app_tenant_id() AND starts_at < $2 AND ends_at > $1 "
        "ORDER BY ends_at DESC, silence_id",
        *(start, end),
    )
    return [from_row(row) for row in rows]


async def forget(tx: Transaction, *, older_than_s: float, rows_max: int) -> int:
    """Remove silences that ended that long ago, in a platform transaction. Returns how many."""
    return await tx.execute(
        "DELETE FROM silences WHERE (tenant_id, silence_id) IN (SELECT tenant_id, silence_id FROM silences "
        "WHERE ends_at < now() - make_interval(secs => $1) LIMIT $2)",
        *(older_than_s, rows_max),
    )
