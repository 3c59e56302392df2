"""Templates of dashboards: those that migrations seed, which everybody reads, and those of a tenant or a workspace."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, LiteralString
from uuid import UUID

from msgspec import Meta, Struct, convert

from duoscope.metadata.columns import Visibility
from duoscope.metadata.conflicts import taken
from duoscope.metadata.listing import CONTAINS, Listing
from duoscope.stores.postgres import Record, Transaction

Category = Literal["apm", "infrastructure", "network", "custom"]


class TemplateSummary(Struct, frozen=True, kw_only=True):
    """A template without its document."""

    template_id: UUID
    workspace_id: Annotated[UUID | None, Meta(description="Null for one that came with duoscope.")]
    tenant_id: Annotated[UUID | None, Meta(description="Whose it is; null for one that came with duoscope.")]
    name: str
    description: str
    category: Category
    is_default: Annotated[bool, Meta(description="Whether it came with duoscope, for everybody.")]
    visibility: Visibility
    created_at: datetime
    updated_at: datetime


class DashboardTemplate(TemplateSummary, frozen=True, kw_only=True):
    """A template: a row of `dashboard_templates`, or of `own_dashboard_templates`."""

    template_config: Annotated[dict[str, Any], Meta(description="The document of a dashboard.")]


_SHARED: Final[LiteralString] = "template_id, name, description, category, created_at, updated_at, template_config"
_ALL: Final[LiteralString] = (
    f"(SELECT NULL::uuid AS workspace_id, NULL::uuid AS tenant_id, true AS is_default, 'workspace' AS visibility, "
    f"{_SHARED} FROM dashboard_templates UNION ALL "
    f"SELECT workspace_id, tenant_id, false, visibility, {_SHARED} FROM own_dashboard_templates) AS t"
)
_SUMMARY: Final[LiteralString] = (
    "template_id, workspace_id, tenant_id, name, description, category, is_default, visibility, created_at, updated_at"
)
_OWN: Final[LiteralString] = f"workspace_id, tenant_id, false AS is_default, visibility, {_SHARED}"
LISTING: Final = Listing(
    name="dashboard_templates",
    select=f"SELECT {_SUMMARY} FROM {_ALL}",
    key="template_id",
    sorts={"name": str, "created_at": datetime},
    filters={"name": CONTAINS, "category": "category = ?", "is_default": "is_default = ?"},
)


def _from_row(row: Record) -> DashboardTemplate:
    return convert(dict(row), DashboardTemplate)


async def get(tx: Transaction, template_id: UUID) -> DashboardTemplate | None:
    """The template, or None if the transaction may not see it."""
    row = await tx.fetchrow(f"SELECT {_SUMMARY}, template_config FROM {_ALL} WHERE template_id = $1", template_id)
    return _from_row(row) if row else None


async def lock(tx: Transaction, template_id: UUID) -> DashboardTemplate | None:
    """A template of the transaction's own tenant, locked for a change; None if it is none of these."""
    row = await tx.fetchrow(
        f"SELECT {_OWN} FROM own_dashboard_templates WHERE template_id = $1 FOR UPDATE", template_id
    )
    return _from_row(row) if row else None


async def count(tx: Transaction) -> int:
    """How many the transaction's tenant has. Others who make one wait until the transaction ends."""
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('templates ' || current_setting('app.tenant_id'), 0))"
    )
    return await tx.fetchval("SELECT count(*) FROM own_dashboard_templates WHERE tenant_id = app_tenant_id()")


async def create(
    tx: Transaction, template_id: UUID, values: dict[str, Any], *, created_by: UUID | None
) -> DashboardTemplate:
    """Store a template of the transaction's tenant. Raises CONFLICT for the name."""
    with taken("dashboard-template", "name"):
        row = await tx.fetchrow(
            "INSERT INTO own_dashboard_templates (organization_id, workspace_id, tenant_id, template_id, name, "
            "description, category, visibility, template_config, created_by) VALUES (app_organization_id(), "
            f"app_workspace_id(), app_tenant_id(), $1, $2, $3, $4, $5, $6, $7) RETURNING {_OWN}",
            *(template_id, values["name"], values["description"], values["category"], values["visibility"]),
            *(values["template_config"], created_by),
        )
    assert row is not None
    return _from_row(row)


async def save(tx: Transaction, template: DashboardTemplate) -> DashboardTemplate:
    """Save all that may change of a template that the transaction has locked. Raises CONFLICT for the name."""
    with taken("dashboard-template", "name"):
        row = await tx.fetchrow(
            "UPDATE own_dashboard_templates SET name = $2, description = $3, category = $4, visibility = $5, "
            f"template_config = $6 WHERE template_id = $1 RETURNING {_OWN}",
            *(template.template_id, template.name, template.description, template.category, template.visibility),
            template.template_config,
        )
    assert row is not None
    return _from_row(row)


async def delete(tx: Transaction, template_id: UUID) -> None:
    """Delete a template of the transaction's own tenant."""
    await tx.execute("DELETE FROM own_dashboard_templates WHERE template_id = $1", template_id)
