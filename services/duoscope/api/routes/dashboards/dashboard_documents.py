"""Dashboards in and out: imports with a report, and exports for other products."""

import asyncio
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from duoscope.api.bodies import Name, Services
from duoscope.api.routes.dashboards.answers import StoredDashboard, shown
from duoscope.api.routing import READS, WRITES, Routes
from duoscope.dashboards import management, model, perses, stored
from duoscope.dashboards.grafana.dashboards import convert
from duoscope.dashboards.grafana.export import export
from duoscope.dashboards.grafana.report import Line
from duoscope.dashboards.model import Dashboard
from duoscope.identity.authorization.permissions import Principal

ROUTES: Final = Routes("dashboards")
_SCHEMA: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Dashboard",
    **msgspec.json.schema(Dashboard),
}


class DashboardImport(Struct, forbid_unknown_fields=True):
    """A dashboard to be imported."""

    document: Annotated[
        dict[str, Any],
        Meta(description="JSON of Grafana, with `schemaVersion` 12 to 42 or of schema v2, or an export of duoscope."),
    ]
    name: Annotated[Name | None, Meta(description="By default that of the document.")] = None
    is_trial: Annotated[bool, Meta(description="Only report, and store nothing.")] = False


class ImportedDashboard(Struct, frozen=True):
    """The result of an import, and what became of each part."""

    stored: Annotated[StoredDashboard | None, Meta(description="Null for a trial.")]
    dashboard: Dashboard
    report: Annotated[list[Line], Meta(description="Empty for exports of duoscope, which lose nothing.")]


@ROUTES.post("/api/v1/dashboards/import", "Import a dashboard", "dashboard:write", problems=WRITES)
async def import_dashboard(
    request: Request[Principal, Any, Any], data: JSONBody[DashboardImport], services: Services
) -> ImportedDashboard:
    """Import a dashboard of Grafana, or one that duoscope exported. A panel that cannot be converted becomes a text
    that says why and keeps the panel's JSON; the report has a line for every panel, variable, transformation and
    annotation.
    """
    dashboard, report = await asyncio.to_thread(_read, data.document)
    if data.name is not None:
        dashboard = model.renamed(dashboard, data.name)
    if data.is_trial:
        return ImportedDashboard(None, dashboard, report)
    kept = await management.create(services.metadata, request.user, dashboard)
    return ImportedDashboard(shown(kept), dashboard, report)


@ROUTES.get("/api/v1/dashboards/{dashboard_id:uuid}/export", "Export a dashboard", "dashboard:read", problems=READS)
async def export_dashboard(
    request: Request[Principal, Any, Any],
    dashboard_id: FromPath[UUID],
    services: Services,
    form: Annotated[
        Literal["duoscope", "grafana", "perses"], QueryParameter(name="format", description="Whose JSON.")
    ] = "duoscope",
) -> dict[str, Any]:
    """Export the document of a dashboard. duoscope's is imported as it was; widgets that Grafana or Perses cannot show
    become texts there.
    """
    _, dashboard = await management.read(services.metadata, request.user, dashboard_id)
    match form:
        case "duoscope":
            return stored.written(dashboard)
        case "grafana":
            return export(dashboard)
        case "perses":
            return perses.export(dashboard)


@ROUTES.get("/api/v1/dashboards/schema", "Read the JSON schema of dashboards", problems=(401, 503))
async def get_dashboard_schema() -> dict[str, Any]:
    """Read the JSON schema (draft 2020-12) by which every document of a dashboard is checked. What a schema cannot say,
    such as that each widget has one place, is checked as well.
    """
    return _SCHEMA


def _read(document: dict[str, Any]) -> tuple[Dashboard, list[Line]]:
    if "sections" in document and "schemaVersion" not in document:
        return model.parsed(document), []
    return convert(document)
