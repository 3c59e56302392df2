"""Templates of dashboards, which migrations seed; the same for all tenants."""

from typing import Annotated, Any, Final, Literal, LiteralString
from uuid import UUID

from msgspec import Meta, Struct, convert

from duoscope.stores.postgres import Transaction

Category = Literal["apm", "infrastructure", "network", "custom"]


class DashboardTemplate(Struct, frozen=True):
    """A row of `dashboard_templates`."""

    template_id: UUID
    name: str
    description: str
    category: Category
    template_config: Annotated[dict[str, Any], Meta(description="The document of a dashboard.")]
    is_default: Annotated[bool, Meta(description="Whether it came with duoscope.")]


_COLUMNS: Final[LiteralString] = "template_id, name, description, category, template_config, is_default"


async def all_of(tx: Transaction, category: str | None = None) -> list[DashboardTemplate]:
    """The templates, by category and name; few enough for one answer."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM dashboard_templates WHERE coalesce(category = $1, true) ORDER BY category, name",
        category,
    )
    return [convert(dict(row), DashboardTemplate) for row in rows]


async def get(tx: Transaction, template_id: UUID) -> DashboardTemplate | None:
    """The template, or None if there is none."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM dashboard_templates WHERE template_id = $1", template_id)
    return convert(dict(row), DashboardTemplate) if row else None
