"""Notification groups: created, changed, deleted, and named by rules, each change with its audit entry."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from msgspec import structs

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, not_found, require_found
from duoscope.metadata import alert_rules, notification_groups
from duoscope.metadata.notification_groups import NotificationGroup
from duoscope.notification.silencing import MATCHERS_MAX, check_expressions
from duoscope.stores.postgres import MetadataStore

GROUPS_MAX: Final = 200
"""Of one tenant."""
GROUPS_OF_RULE_MAX: Final = 20


async def create(
    store: MetadataStore, principal: Principal, *, name: str, description: str, **telling: object
) -> NotificationGroup:
    """Create a group, which tells alerts as `telling` says (see TELLING). Raises CONFLICT for a name that is taken, or
    `too-many-groups`.
    """
    _check(telling)
    async with store.open(principal.scope, "notification_groups.create") as tx:
        if await notification_groups.count(tx) >= GROUPS_MAX:
            raise DuoscopeError(ErrorKind.CONFLICT, "too-many-groups", f"A tenant has at most {GROUPS_MAX} groups.")
        made = await notification_groups.create(tx, name=name, description=description, telling=telling)
        await audit.created(tx, principal.actor, made)
    return made


async def change(
    store: MetadataStore, principal: Principal, group_id: UUID, changes: dict[str, Any]
) -> NotificationGroup:
    """Change a group. Raises NOT_FOUND; INVALID; CONFLICT for a name that is taken."""
    _check(changes)
    async with store.open(principal.scope, "notification_groups.change") as tx:
        before = require_found(await notification_groups.lock(tx, group_id), "notification group")
        after = await notification_groups.save(tx, structs.replace(before, **changes))
        await audit.changed(tx, principal.actor, before, after)
    return after


def _check(values: Mapping[str, Any]) -> None:
    matchers = values.get("external_matchers") or ()
    if len(matchers) > MATCHERS_MAX:
        raise invalid(f"external_matchers: at most {MATCHERS_MAX}.")
    check_expressions(matchers, "external_matchers")


async def delete(store: MetadataStore, principal: Principal, group_id: UUID) -> None:
    """Delete a group with its channels. What they are owed is sent to nobody. Raises NOT_FOUND."""
    async with store.open(principal.scope, "notification_groups.delete") as tx:
        found = require_found(await notification_groups.lock(tx, group_id), "notification group")
        await notification_groups.delete(tx, group_id)
        await audit.deleted(tx, principal.actor, found)


async def of_rule(store: MetadataStore, principal: Principal, alert_rule_id: UUID) -> list[UUID]:
    """The groups that a rule tells. Raises NOT_FOUND."""
    async with store.open(principal.scope, "notification_groups.of_rule") as tx:
        require_found(await alert_rules.get(tx, alert_rule_id), "alert rule")
        return await notification_groups.of_rule(tx, alert_rule_id)


async def set_of_rule(
    store: MetadataStore, principal: Principal, alert_rule_id: UUID, group_ids: Sequence[UUID]
) -> list[UUID]:
    """Replace the groups that a rule tells, from its next transition on. Raises NOT_FOUND for the rule or a group."""
    async with store.open(principal.scope, "notification_groups.set_of_rule") as tx:
        rule = require_found(await alert_rules.get(tx, alert_rule_id), "alert rule")
        before = await notification_groups.of_rule(tx, alert_rule_id)
        await notification_groups.set_of_rule(tx, alert_rule_id, group_ids)
        after = await notification_groups.of_rule(tx, alert_rule_id)
        if set(after) != set(group_ids):
            raise not_found("notification group")
        await audit.record(
            tx,
            principal.actor,
            "alert-rule.changed",
            rule,
            before={"notification_group_ids": before},
            after={"notification_group_ids": after},
        )
    return after
