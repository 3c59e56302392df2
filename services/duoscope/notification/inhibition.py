"""Inhibition rules: made, changed and deleted by users, each change with its audit entry; muting.py applies them."""

from typing import Any, Final
from uuid import UUID

from msgspec import structs

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import DuoscopeError, ErrorKind, require_found
from duoscope.kernel.ids import new_id
from duoscope.metadata import inhibition_rules
from duoscope.metadata.inhibition_rules import InhibitionRule
from duoscope.notification import silencing
from duoscope.stores.postgres import MetadataStore

RULES_MAX: Final = 100
"""Of one tenant."""


async def create(store: MetadataStore, principal: Principal, values: dict[str, Any]) -> InhibitionRule:
    """Make a rule. Raises INVALID; CONFLICT for the name or `too-many-inhibition-rules`."""
    for name in ("source_matchers", "target_matchers"):
        silencing.check(values[name], name)
    async with store.open(principal.scope, "inhibition_rules.create") as tx:
        if await inhibition_rules.count(tx) >= RULES_MAX:
            raise DuoscopeError(
                ErrorKind.CONFLICT, "too-many-inhibition-rules", f"A tenant has at most {RULES_MAX} inhibition rules."
            )
        made = await inhibition_rules.create(tx, new_id(), values)
        await audit.created(tx, principal.actor, made)
    return made


async def change(
    store: MetadataStore, principal: Principal, inhibition_rule_id: UUID, changes: dict[str, Any]
) -> InhibitionRule:
    """Change a rule: what it held back and does no longer is told. Raises NOT_FOUND; INVALID; CONFLICT."""
    for name in ("source_matchers", "target_matchers"):
        if name in changes:
            silencing.check(changes[name], name)
    async with store.open(principal.scope, "inhibition_rules.change") as tx:
        before = require_found(await inhibition_rules.lock(tx, inhibition_rule_id), "inhibition rule")
        after = await inhibition_rules.save(tx, structs.replace(before, **changes))
        await audit.changed(tx, principal.actor, before, after)
    return after


async def delete(store: MetadataStore, principal: Principal, inhibition_rule_id: UUID) -> None:
    """Delete a rule: what it held back is told. Raises NOT_FOUND."""
    async with store.open(principal.scope, "inhibition_rules.delete") as tx:
        found = require_found(await inhibition_rules.lock(tx, inhibition_rule_id), "inhibition rule")
        await inhibition_rules.delete(tx, inhibition_rule_id)
        await audit.deleted(tx, principal.actor, found)
