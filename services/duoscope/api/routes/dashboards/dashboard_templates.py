"""Templates of dashboards: listed, read, and made into dashboards."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from duoscope.api.bodies import Name, Services
from duoscope.api.routes.dashboards.answers import StoredDashboard, shown
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.dashboards import management, model
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import require_found
from duoscope.metadata import dashboard_templates
from duoscope.metadata.dashboard_templates import Category, DashboardTemplate

ROUTES: Final = Routes("dashboards")


class DashboardTemplateList(Struct, frozen=True):
    """All templates, by category and name."""

    items: list[DashboardTemplate]


class FromTemplate(Struct, forbid_unknown_fields=True):
    """The dashboard that is made of a template."""

    name: Annotated[Name | None, Meta(description="By default that of the template.")] = None


@ROUTES.get("/api/v1/dashboard-templates", "List templates of dashboards", "dashboard:read", problems=LISTS)
async def list_dashboard_templates(
    request: Request[Principal, Any, Any],
    services: Services,
    category: Annotated[Category | None, QueryParameter(description="Only of this category.")] = None,
) -> DashboardTemplateList:
    """List the templates with their documents. They are the same for everybody."""
    async with services.metadata.open(request.user.scope, "dashboard_templates.list") as tx:
        return DashboardTemplateList(await dashboard_templates.all_of(tx, category))


@ROUTES.get(
    "/api/v1/dashboard-templates/{template_id:uuid}", "Read a template of dashboards", "dashboard:read", problems=READS
)
async def get_dashboard_template(
    request: Request[Principal, Any, Any], template_id: FromPath[UUID], services: Services
) -> DashboardTemplate:
    """Read a template."""
    async with services.metadata.open(request.user.scope, "dashboard_templates.get") as tx:
        return require_found(await dashboard_templates.get(tx, template_id), "template")


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
    dashboard = model.parsed(template.template_config)
    if data.name is not None:
        dashboard = model.renamed(dashboard, data.name)
    return shown(await management.create(services.metadata, request.user, dashboard))
