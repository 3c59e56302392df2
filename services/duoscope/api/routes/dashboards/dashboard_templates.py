"""Templates of dashboards: those that came with duoscope, and a tenant's own; each can be made into dashboards."""

import asyncio
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.bodies import Change, Description, Name, Services, given
from duoscope.api.listing import NameFilter, PagingDependency
from duoscope.api.routes.dashboards.answers import StoredDashboard, shown
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.dashboards import management, model, stored, templates
from duoscope.dashboards.model import Dashboard
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import invalid, require_found
from duoscope.metadata import dashboard_templates
from duoscope.metadata.columns import Visibility
from duoscope.metadata.dashboard_templates import Category, DashboardTemplate, TemplateSummary

ROUTES: Final = Routes("dashboards")


class DashboardTemplatePage(Struct, frozen=True):
    """One page of templates, and the cursor of the next page."""

    items: list[TemplateSummary]
    next_cursor: str | None


class NewDashboardTemplate(Struct, forbid_unknown_fields=True):
    """A template to be made: of a dashboard that is there, or of a document."""

    name: Name
    description: Description = ""
    category: Category = "custom"
    visibility: Visibility = "tenant"
    dashboard_id: Annotated[UUID | None, Meta(description="The dashboard that is saved as a template.")] = None
    template_config: Annotated[Dashboard | None, Meta(description="In place of `dashboard_id`: a document.")] = None


class DashboardTemplateChange(Change):
    """The changes of a template."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    category: Category | UnsetType = UNSET
    visibility: Visibility | UnsetType = UNSET
    template_config: Annotated[Dashboard | UnsetType, Meta(description="The whole document.")] = UNSET


class FromTemplate(Struct, forbid_unknown_fields=True):
    """The dashboard that is made of a template."""

    name: Annotated[Name | None, Meta(description="By default that of the template's document.")] = None


@ROUTES.post("/api/v1/dashboard-templates", "Make a template of dashboards", "dashboard:write", problems=WRITES)
async def create_dashboard_template(
    request: Request[Principal, Any, Any], data: JSONBody[NewDashboardTemplate], services: Services
) -> DashboardTemplate:
    """Save a dashboard, or a document, as a template of the tenant, or of its workspace."""
    if (data.dashboard_id is None) == (data.template_config is None):
        raise invalid("Give either `dashboard_id` or `template_config`.")
    if data.template_config is not None:
        dashboard = data.template_config
        await asyncio.to_thread(model.require_storable, dashboard)
    else:
        assert data.dashboard_id is not None
        _, dashboard = await management.read(services.metadata, request.user, data.dashboard_id)
    values = {name: getattr(data, name) for name in ("name", "description", "category", "visibility")}
    return await templates.create(services.metadata, request.user, dashboard, values)


@ROUTES.get("/api/v1/dashboard-templates", "List templates of dashboards", "dashboard:read", problems=LISTS)
async def list_dashboard_templates(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    category: Annotated[Category | None, QueryParameter(description="Only of this category.")] = None,
    is_default: Annotated[bool | None, QueryParameter(description="Whether they came with duoscope.")] = None,
) -> DashboardTemplatePage:
    """List the templates without their documents: those that came with duoscope, the tenant's, and those that other
    tenants show to the workspace. Sorts: name, created_at.
    """
    filters = {"name": name, "category": category, "is_default": is_default}
    async with services.metadata.open(request.user.scope, "dashboard_templates.list") as tx:
        return DashboardTemplatePage(
            *await listing.page(tx, dashboard_templates.LISTING, paging, filters, answer=TemplateSummary)
        )


@ROUTES.get(
    "/api/v1/dashboard-templates/{template_id:uuid}", "Read a template of dashboards", "dashboard:read", problems=READS
)
async def get_dashboard_template(
    request: Request[Principal, Any, Any], template_id: FromPath[UUID], services: Services
) -> DashboardTemplate:
    """Read a template with its document."""
    async with services.metadata.open(request.user.scope, "dashboard_templates.get") as tx:
        return require_found(await dashboard_templates.get(tx, template_id), "template")


@ROUTES.patch(
    "/api/v1/dashboard-templates/{template_id:uuid}",
    "Change a template of dashboards",
    "dashboard:write",
    problems=WRITES,
)
async def change_dashboard_template(
    request: Request[Principal, Any, Any],
    template_id: FromPath[UUID],
    data: JSONBody[DashboardTemplateChange],
    services: Services,
) -> DashboardTemplate:
    """Change a template of the tenant. Those that came with duoscope, or are another tenant's, stay as they are: 403
    `of-another-tenant`.
    """
    changes = given(data)
    if isinstance(data.template_config, Dashboard):
        await asyncio.to_thread(model.require_storable, data.template_config)
        changes["template_config"] = stored.written(data.template_config)
    return await templates.change(services.metadata, request.user, template_id, changes)


@ROUTES.delete(
    "/api/v1/dashboard-templates/{template_id:uuid}",
    "Delete a template of dashboards",
    "dashboard:delete",
    problems=READS,
)
async def delete_dashboard_template(
    request: Request[Principal, Any, Any], template_id: FromPath[UUID], services: Services
) -> None:
    """Delete a template of the tenant for good. Dashboards that were made of it stay."""
    await templates.delete(services.metadata, request.user, template_id)


@ROUTES.post(
    "/api/v1/dashboard-templates/{template_id:uuid}/dashboards",
    "Make a dashboard of a template",
    "dashboard:write",
    problems=WRITES,
)
async def create_from_template(
    request: Request[Principal, Any, Any], template_id: FromPath[UUID], data: JSONBody[FromTemplate], services: Services
) -> StoredDashboard:
    """Make a dashboard of a template, which can be changed like any other."""
    template = await get_dashboard_template.fn(request, template_id, services)
    dashboard = await asyncio.to_thread(model.parsed, template.template_config)
    if data.name is not None:
        dashboard = model.renamed(dashboard, data.name)
    return shown(await management.create(services.metadata, request.user, dashboard))
