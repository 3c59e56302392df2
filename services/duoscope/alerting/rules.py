"""Rules as people make, change and remove them, with the audit entry of each change.

A change of the question or the condition, disabling and deleting resolve what had fired, with the reason, in the
transaction of the change; any other change leaves states alone. Whoever writes a rule must be allowed to read what it
watches.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from duoscope.alerting import composites, keeping
from duoscope.alerting.composites import WatchedRules
from duoscope.alerting.definitions import Definition, check, config_of, offset_s, parsed
from duoscope.alerting.instances import Reason
from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.directory.soft_deletion import require_deleted, require_living
from duoscope.kernel.alert_limits import AlertLimits
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid
from duoscope.metadata import alert_rules
from duoscope.metadata.alert_rules import AlertRule
from duoscope.notification import labelling
from duoscope.stores.postgres import MetadataStore, Transaction

TEXTS_MAX: Final = 50
QUERIES_NEED: Final = "metric:read"
"""For queries in annotations."""
_OF_SLO: Final = frozenset({"query_config", "condition_config", "query_type"})
_ARE_CONFIGS: Final = ("query_config", "condition_config", "policy_config")


async def create(store: MetadataStore, principal: Principal, rule: AlertRule) -> AlertRule:
    """Make a rule, which is first evaluated within an interval.

    Args:
        store: of metadata.
        principal: the author, in the rule's tenant.
        rule: the new row; its configs are as `config_of` makes them.

    Raises:
        DuoscopeError: INVALID, saying what and where; FORBIDDEN for telemetry that the author may not read; CONFLICT
            for the name or `alert-rule-limit-reached`.
    """
    async with store.open(principal.scope, "alert_rules.create") as tx:
        return await create_in(tx, principal, rule)


async def create_in(tx: Transaction, principal: Principal, rule: AlertRule) -> AlertRule:
    """Make a rule in a transaction of its tenant; see `create`."""
    definition = await _checked(principal, rule)
    await _require_watchable(tx, rule, definition)
    await _require_room(tx, principal)
    made = await alert_rules.create(tx, rule, offset_s=offset_s(rule.alert_rule_id, rule.interval_seconds))
    await audit.created(tx, principal.actor, made)
    return made


async def change(
    store: MetadataStore, principal: Principal, alert_rule_id: UUID, changes: Mapping[str, Any], *, version: int | None
) -> AlertRule:
    """Change a rule. With a version, only if it has that.

    Raises:
        DuoscopeError: as `create`; NOT_FOUND; CONFLICT `version-conflict`.
    """
    async with store.open(principal.scope, "alert_rules.change") as tx:
        before = require_living(await alert_rules.lock(tx, alert_rule_id), "alert rule")
        if version is not None and version != before.version:
            raise DuoscopeError(
                ErrorKind.CONFLICT,
                "version-conflict",
                f"The rule has version {before.version} by now, not {version}: read it again, and change that.",
            )
        if before.slo_id is not None and not _OF_SLO.isdisjoint(changes):
            raise DuoscopeError(
                ErrorKind.CONFLICT,
                "rule-of-slo",
                f"This is a rule of the objective {before.slo_id}, which says what it watches: change that.",
            )
        return await change_in(tx, principal, before, changes)


async def change_in(tx: Transaction, principal: Principal, before: AlertRule, changes: Mapping[str, Any]) -> AlertRule:
    """Change a rule that a transaction of its tenant has locked; see `change`."""
    wanted = msgspec.structs.replace(before, **changes)
    if all(getattr(wanted, name) == getattr(before, name) for name in changes):
        return before
    _require_readable(principal, before)
    after = await _checked(principal, wanted)
    await _require_watchable(tx, wanted, after)
    reason = _ending(before, wanted, after)
    if reason is not None:
        await _end(tx, before, reason)
        wanted = msgspec.structs.replace(wanted, last_problem="")
    saved = await _save(tx, wanted)
    await audit.changed(tx, principal.actor, before, saved)
    return saved


async def delete(store: MetadataStore, principal: Principal, alert_rule_id: UUID) -> None:
    """Soft-delete a rule. Raises NOT_FOUND."""
    async with store.open(principal.scope, "alert_rules.delete") as tx:
        await delete_in(tx, principal, require_living(await alert_rules.lock(tx, alert_rule_id), "alert rule"))


async def delete_in(tx: Transaction, principal: Principal, rule: AlertRule) -> None:
    """Soft-delete a rule that a transaction of its tenant has locked."""
    await _end(tx, rule, Reason.RULE_DELETED)
    await _save(tx, msgspec.structs.replace(rule, deleted_at=await alert_rules.clock(tx)))
    await audit.deleted(tx, principal.actor, rule)


async def restore(store: MetadataStore, principal: Principal, alert_rule_id: UUID) -> AlertRule:
    """Undo a deletion: the rule begins anew. Raises NOT_FOUND; CONFLICT for the name or the number of rules."""
    async with store.open(principal.scope, "alert_rules.restore") as tx:
        rule = require_deleted(await alert_rules.lock(tx, alert_rule_id), "alert rule")
        await _require_room(tx, principal)
        if (definition := _parsed(rule)) is not None:
            await _require_watchable(tx, rule, definition)
        restored = await _save(tx, msgspec.structs.replace(rule, deleted_at=None))
        await audit.restored(tx, principal.actor, restored)
    return restored


def _ending(before: AlertRule, after: AlertRule, definition: Definition) -> Reason | None:
    """Why states under the rule before a change are none under the rule after it; None if they are."""
    if before.is_enabled and not after.is_enabled:
        return Reason.RULE_DISABLED
    old = _parsed(before)
    return None if old is not None and definition.is_same_watch(old) else Reason.RULE_CHANGED


async def _save(tx: Transaction, rule: AlertRule) -> AlertRule:
    return await alert_rules.save(tx, rule, offset_s=offset_s(rule.alert_rule_id, rule.interval_seconds))


async def _end(tx: Transaction, rule: AlertRule, reason: Reason) -> None:
    await keeping.end_all(tx, rule, _parsed(rule), reason, await alert_rules.clock(tx))


def _parsed(rule: AlertRule) -> Definition | None:
    try:
        return parsed(rule)
    except DuoscopeError:
        return None


def _limits(principal: Principal) -> AlertLimits:
    return AlertLimits().with_own(principal.own_limits)


async def _require_room(tx: Transaction, principal: Principal) -> None:
    most = _limits(principal).alert_rules
    if await alert_rules.count(tx) >= most:
        raise DuoscopeError(
            ErrorKind.CONFLICT,
            "alert-rule-limit-reached",
            f"Your tenant may have {most:,} alert rules (its limit alert_rules); delete some, or ask for more.",
        )


def _require_readable(principal: Principal, rule: AlertRule) -> None:
    definition = _parsed(rule)
    for permission in sorted(definition.permissions if definition else ()):
        principal.require(permission)


async def _require_watchable(tx: Transaction, rule: AlertRule, definition: Definition) -> None:
    """Raise INVALID for a rule over others that are not there, watch it, or are too deep."""
    if not isinstance(definition.question, WatchedRules):
        return
    watched = set(definition.question.of.values())
    others = {
        other.alert_rule_id: frozenset(question.of.values())
        for other in await alert_rules.watching(tx)
        if (parsed_ := _parsed(other)) and isinstance(question := parsed_.question, WatchedRules)
    }
    living = {each.alert_rule_id for each in await alert_rules.living_of(tx, watched)} | {rule.alert_rule_id}
    for missing in sorted(watched - living):
        raise composites.not_found(missing)
    composites.require_acyclic(rule.alert_rule_id, watched, others)


async def _checked(principal: Principal, rule: AlertRule) -> Definition:
    definition = parsed(rule)
    check(definition, _limits(principal))
    _require_readable(principal, rule)
    for name in ("labels", "annotations"):
        texts: dict[str, str] = getattr(rule, name)
        if len(texts) > TEXTS_MAX:
            raise invalid(f"`{name}` has at most {TEXTS_MAX} entries.")
    try:
        asks = await asyncio.to_thread(labelling.check, rule.labels, rule.annotations)
    except DuoscopeError:
        if not rule.source:
            raise
        asks = True  # a file of others is taken as it is, and its report says what is wrong
    if asks:
        principal.require(QUERIES_NEED)
    return definition


def configs(*, query: Any, condition: Any, policy: Any) -> dict[str, Any]:
    """The columns of the typed parts of a rule that are given; None leaves one out."""
    given = dict(zip(_ARE_CONFIGS, (query, condition, policy), strict=True))
    columns = {name: config_of(part) for name, part in given.items() if part is not None}
    if query is not None:
        columns["query_type"] = columns["query_config"]["kind"]
    return columns
