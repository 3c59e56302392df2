"""Removes for good what was deleted 90 days ago: organizations, workspaces, tenants, users, roles, old invitations.

Works with the database role duoscope_purge, to which row level security shows nothing younger: a mistake here cannot
remove what may still be restored. Rows that depend on a removed row go with it. Audit entries stay, and telemetry
expires by its own retention. May run twice at once.
"""

import logging
from typing import Final

from duoscope.identity.audit import record as audit
from duoscope.identity.audit.record import About
from duoscope.kernel.actor import system
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import removal
from duoscope.stores.postgres import MetadataStore

_log = logging.getLogger(__name__)
_REASON: Final = PlatformScope(reason="what was deleted 90 days ago is removed for all organizations")
_UNTOLD: Final = frozenset({"invitation"})
"""Kinds whose removal is not audited: ended invitations only clutter lists, and their end has its own entry."""


async def purge_deleted(metadata: MetadataStore) -> int:
    """Remove due rows, each kind in a transaction with its audit entries. Returns how many rows were named."""
    removed = 0
    for resource in removal.PURGED:
        async with metadata.open_purge(_REASON, "worker.purge") as tx:
            gone = await removal.purge(tx, resource)
            for organization_id, identifier in () if resource in _UNTOLD else sorted(gone, key=str):
                about = About(resource, identifier, organization_id=organization_id)
                await audit.record(tx, system("purge"), f"{resource}.purged", about)
        if gone:
            _log.info("purged", extra={"resource": resource, "count": len(gone)})
        removed += len(gone)
    return removed
