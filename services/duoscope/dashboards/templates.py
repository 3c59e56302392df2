"""Templates that a tenant makes of dashboards, for itself or for its workspace; those that came with duoscope stay."""

from typing import Any, Final
from uuid import UUID

from msgspec import structs

from duoscope.dashboards import stored
from duoscope.dashboards.management import of_another_tenant
from duoscope.dashboards.model import Dashboard
from duoscope.identity.audit import record as audit
from duoscope.identity.audit.record import About
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import DuoscopeError, ErrorKind, require_found
from duoscope.kernel.ids import new_id
from duoscope.metadata import dashboard_templates
from duoscope.metadata.dashboard_templates import DashboardTemplate
from duoscope.stores.postgres import MetadataStore, Transaction

TEMPLATES_MAX: Final = 200
"""Of one tenant."""
_TOLD: Final = ("name", "description", "category", "visibility")


async def create(
    store: MetadataStore, principal: Principal, dashboard: Dashboard, values: dict[str, Any]
) -> DashboardTemplate:
    """Store a template.

    Args:
        store: of metadata.
        principal: who makes it.
        dashboard: its document.
        values: the other columns, by name.

    Raises:
        DuoscopeError: CONFLICT `too-many-templates`, or for the name.
    """
    async with store.open(principal.scope, "dashboard_templates.create") as tx:
        if await dashboard_templates.count(tx) >= TEMPLATES_MAX:
            message = f"A tenant has at most {TEMPLATES_MAX} templates: delete some first."
            raise DuoscopeError(ErrorKind.CONFLICT, "too-many-templates", message)
        values = values | {"template_config": stored.written(dashboard)}
        template = await dashboard_templates.create(tx, new_id(), values, created_by=principal.user_id)
        about = _about(principal, template)
        await audit.record(tx, principal.actor, "dashboard-template.created", about, after=_told(template))
    return template


async def change(
    store: MetadataStore, principal: Principal, template_id: UUID, changes: dict[str, Any]
) -> DashboardTemplate:
    """Change a template of the tenant. Raises NOT_FOUND; FORBIDDEN `of-another-tenant`; CONFLICT for the name."""
    async with store.open(principal.scope, "dashboard_templates.change") as tx:
        before = await _locked(tx, template_id)
        after = await dashboard_templates.save(tx, structs.replace(before, **changes))
        old, new = _told(before), _told(after)
        different = [name for name in _TOLD if old[name] != new[name]]
        told = {name: new[name] for name in different} | (
            {"changed": ["template_config"]} if after.template_config != before.template_config else {}
        )
        about = _about(principal, after)
        await audit.record(
            tx,
            principal.actor,
            "dashboard-template.changed",
            about,
            before={name: old[name] for name in different},
            after=told,
        )
    return after


async def delete(store: MetadataStore, principal: Principal, template_id: UUID) -> None:
    """Delete a template of the tenant, for good. Raises NOT_FOUND; FORBIDDEN `of-another-tenant`."""
    async with store.open(principal.scope, "dashboard_templates.delete") as tx:
        template = await _locked(tx, template_id)
        await dashboard_templates.delete(tx, template_id)
        about = _about(principal, template)
        await audit.record(tx, principal.actor, "dashboard-template.deleted", about, before=_told(template))


async def _locked(tx: Transaction, template_id: UUID) -> DashboardTemplate:
    template = await dashboard_templates.lock(tx, template_id)
    if template is None and await dashboard_templates.get(tx, template_id) is not None:
        raise of_another_tenant()
    return require_found(template, "template")


def _about(principal: Principal, template: DashboardTemplate) -> About:
    scope = principal.scope
    return About(
        "dashboard-template",
        template.template_id,
        organization_id=scope.organization_id,
        workspace_id=scope.workspace_id,
        tenant_id=scope.tenant_id,
    )


def _told(template: DashboardTemplate) -> dict[str, Any]:
    return {name: getattr(template, name) for name in _TOLD}
