"""The limits of tenants, of what they send and ask: shown to those who may see the tenant, changed by those who run the
instance.

A tenant's own limits are in its settings. Its admins cannot raise them: they protect other tenants.
"""

from collections.abc import Mapping
from uuid import UUID

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.directory.soft_deletion import require_living
from duoscope.kernel.actor import Actor
from duoscope.kernel.ingest_limits import IngestLimits
from duoscope.kernel.query_limits import OF_TENANT
from duoscope.kernel.scope import PlatformScope, Scope
from duoscope.metadata import tenants
from duoscope.metadata.tenants import Tenant
from duoscope.stores.postgres import MetadataStore

_LIMITS = PlatformScope(reason="limits of tenants are the instance's to set")


async def of_scope(store: MetadataStore, scope: Scope, defaults: IngestLimits) -> IngestLimits:
    """The limits that apply to the tenant of a scope."""
    async with store.open(scope, "ingest_limits.of_scope") as tx:
        found = await tenants.get(tx, scope.tenant_id)
    return defaults.with_own(found.own_limits) if found else defaults


async def of_tenant(store: MetadataStore, tenant_id: UUID) -> Tenant:
    """Any tenant with its own limits, for those who run the instance. Raises NOT_FOUND."""
    async with store.open_platform(_LIMITS, "ingest_limits.show") as tx:
        return require_living(await tenants.get(tx, tenant_id), "tenant")


async def as_seen_by(store: MetadataStore, principal: Principal, tenant_id: UUID) -> Tenant:
    """A tenant that the principal may see, with its own limits. Raises NOT_FOUND, FORBIDDEN."""
    if principal.is_platform_admin:
        return await of_tenant(store, tenant_id)
    async with store.open(principal.over("tenant:read").scope, "ingest_limits.as_seen_by") as tx:
        return require_living(await tenants.get(tx, tenant_id), "tenant")


async def change(store: MetadataStore, actor: Actor, tenant_id: UUID, changes: Mapping[str, int | None]) -> Tenant:
    """Set a tenant's own limits; None removes one, so that the instance's default applies again.

    Receivers are notified with the commit.

    Raises:
        DuoscopeError: NOT_FOUND; INVALID for an unknown limit, or a value out of range.
    """
    async with store.open_platform(_LIMITS, "ingest_limits.change") as tx:
        before = require_living(await tenants.lock(tx, tenant_id), "tenant")
        own = OF_TENANT.changed(before.own_limits, changes)
        after = await tenants.set_limits(tx, tenant_id, own)
        await audit.record(
            tx, actor, "tenant.changed", before, before={"limits": before.own_limits}, after={"limits": own}
        )
    return after
