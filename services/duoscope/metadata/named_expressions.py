"""Named expressions: what imported files record, to be used in PromQL like metrics."""

from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Annotated, Any, Final, LiteralString
from uuid import UUID

from msgspec import Meta, Struct

from duoscope.metadata.listing import CONTAINS, Listing
from duoscope.stores.postgres import Transaction


class NamedExpression(Struct, frozen=True):
    """A row of `named_expressions`."""

    organization_id: UUID
    workspace_id: UUID
    tenant_id: UUID
    named_expression_id: UUID
    name: Annotated[str, Meta(examples=["job:http_requests:rate5m"])]
    expression: Annotated[str, Meta(examples=["sum by (job) (rate(http_requests_total[5m]))"])]
    labels: Annotated[dict[str, str], Meta(description="Its series have these in place of their own.")]
    interval_seconds: Annotated[int, Meta(description="Between its values.", examples=[60])]
    source: Annotated[str, Meta(description="The file, group and rule that it was imported from.")]
    created_by: UUID | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """The columns of a named expression that an import writes."""

    name: str
    expression: str
    labels: dict[str, str]
    interval_seconds: int
    source: str


_COLUMNS: Final[LiteralString] = (
    "organization_id, workspace_id, tenant_id, named_expression_id, name, expression, labels, interval_seconds, "
    "source, created_by, created_at, updated_at"
)
LISTING: Final = Listing(
    name="named_expressions",
    select=f"SELECT {_COLUMNS} FROM named_expressions",
    key="named_expression_id",
    sorts={"name": str, "created_at": datetime},
    filters={"name": CONTAINS},
)


async def every(tx: Transaction) -> list[NamedExpression]:
    """All of the transaction's tenant, by name."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM named_expressions WHERE tenant_id = app_tenant_id() ORDER BY name, source"
    )
    return [NamedExpression(**dict(row)) for row in rows]


async def lock(tx: Transaction, named_expression_id: UUID) -> NamedExpression | None:
    """One, locked for a change, or None if the transaction may not see it."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM named_expressions WHERE named_expression_id = $1 FOR UPDATE", named_expression_id
    )
    return NamedExpression(**dict(row)) if row else None


async def create(
    tx: Transaction, what: Written, *, named_expression_id: UUID, created_by: UUID | None
) -> NamedExpression:
    """Store a new one of the transaction's tenant."""
    row = await tx.fetchrow(
        "INSERT INTO named_expressions (organization_id, workspace_id, tenant_id, named_expression_id, name, "
        "expression, labels, interval_seconds, source, created_by) VALUES (app_organization_id(), app_workspace_id(), "
        f"app_tenant_id(), $1, $2, $3, $4, $5, $6, $7) RETURNING {_COLUMNS}",
        *(named_expression_id, *_values(what), created_by),
    )
    assert row is not None
    return NamedExpression(**dict(row))


async def save(tx: Transaction, named_expression_id: UUID, what: Written) -> NamedExpression:
    """Change one that the transaction may see."""
    row = await tx.fetchrow(
        "UPDATE named_expressions SET name = $2, expression = $3, labels = $4, interval_seconds = $5, source = $6 "
        f"WHERE named_expression_id = $1 RETURNING {_COLUMNS}",
        *(named_expression_id, *_values(what)),
    )
    assert row is not None
    return NamedExpression(**dict(row))


async def delete(tx: Transaction, named_expression_id: UUID) -> None:
    """Remove one."""
    await tx.execute("DELETE FROM named_expressions WHERE named_expression_id = $1", named_expression_id)


def _values(what: Written) -> tuple[Any, ...]:
    return astuple(what)
