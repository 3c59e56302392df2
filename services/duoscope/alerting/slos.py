"""Service level objectives: made, changed and removed with the rules that watch how fast their budgets burn.

An objective has one rule for each severity of its windows, made and changed in its transaction. Whatever else a rule
has, such as annotations, channels and `for`, is changed at the rule.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from duoscope.alerting import rules
from duoscope.alerting.burn_rates import BurnRate, BurnWindow, check_events, default_windows
from duoscope.alerting.definitions import PolicyConfig, config_of
from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.alert_limits import AlertLimits
from duoscope.kernel.errors import DuoscopeError, ErrorKind, require_found
from duoscope.kernel.ids import new_id
from duoscope.metadata import alert_rules, slos
from duoscope.metadata.alert_rules import AlertRule
from duoscope.metadata.slos import Slo
from duoscope.stores.postgres import MetadataStore, Transaction
from duoscope.telemetry.questions.formula import Simple

SLOS_MAX: Final = 500
"""Of one tenant."""
_INTERVALS_S: Final = (60, 300)
"""Least and most time between evaluations; between them, a fifth of the shortest window."""
_SHARE: Final = 5
_SEVERITIES: Final = ("critical", "critical", "warning", "warning")


class SloWindow(BurnWindow, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A pair of windows whose rule has this severity."""

    severity: Annotated[Literal["critical", "error", "warning", "info"], Meta(examples=["critical"])] = "critical"


Windows = Annotated[tuple[SloWindow, ...], Meta(max_length=4)]


def windows_of(period_days: int) -> list[dict[str, Any]]:
    """The four default pairs for a period: the fast two critical, the slow two a warning."""
    return [
        msgspec.to_builtins(window) | {"severity": severity}
        for window, severity in zip(default_windows(period_days), _SEVERITIES, strict=True)
    ]


async def create(store: MetadataStore, principal: Principal, slo: Slo) -> Slo:
    """Make an objective and its rules.

    Raises:
        DuoscopeError: INVALID, saying what and where; FORBIDDEN for telemetry that the author may not read; CONFLICT
            for the name, `slo-limit-reached`, or as for rules.
    """
    _checked(principal, slo)
    async with store.open(principal.scope, "slos.create") as tx:
        if await slos.count(tx) >= SLOS_MAX:
            raise DuoscopeError(
                ErrorKind.CONFLICT, "slo-limit-reached", f"A tenant has at most {SLOS_MAX} objectives; delete some."
            )
        made = await slos.create(tx, slo)
        await audit.created(tx, principal.actor, made)
        await _make_rules(tx, principal, made)
    return made


async def change(
    store: MetadataStore, principal: Principal, slo_id: UUID, changes: Mapping[str, Any], *, version: int | None
) -> Slo:
    """Change an objective and its rules. With a version, only if it has that.

    Raises:
        DuoscopeError: as `create`; NOT_FOUND; CONFLICT `version-conflict`.
    """
    async with store.open(principal.scope, "slos.change") as tx:
        before = require_found(await slos.lock(tx, slo_id), "objective")
        if version is not None and version != before.version:
            raise DuoscopeError(
                ErrorKind.CONFLICT,
                "version-conflict",
                f"The objective has version {before.version} by now, not {version}: read it again, and change that.",
            )
        wanted = msgspec.structs.replace(before, **changes)
        if "period_days" in changes and "windows" not in changes and before.windows == windows_of(before.period_days):
            wanted = msgspec.structs.replace(wanted, windows=windows_of(wanted.period_days))
        if wanted == before:
            return before
        require_readable(principal, before)
        _checked(principal, wanted)
        after = await slos.save(tx, wanted)
        await audit.changed(tx, principal.actor, before, after)
        await _make_rules(tx, principal, after)
    return after


async def delete(store: MetadataStore, principal: Principal, slo_id: UUID) -> None:
    """Remove an objective for good, and delete its rules. Raises NOT_FOUND."""
    async with store.open(principal.scope, "slos.delete") as tx:
        slo = require_found(await slos.lock(tx, slo_id), "objective")
        for rule in await alert_rules.of_slo(tx, slo_id):
            await rules.delete_in(tx, principal, rule)
        await slos.delete(tx, slo_id)
        await audit.deleted(tx, principal.actor, slo)


def questions(slo: Slo) -> tuple[Simple, Simple]:
    """The questions that count good events and all of them."""
    return msgspec.convert(slo.good_config, Simple), msgspec.convert(slo.total_config, Simple)


def require_readable(principal: Principal, slo: Slo) -> None:
    """Raise FORBIDDEN for telemetry that one may not read."""
    good, total = questions(slo)
    for permission in sorted(good.permissions | total.permissions):
        principal.require(permission)


def _checked(principal: Principal, slo: Slo) -> None:
    good, total = questions(slo)
    check_events("good_config", good)
    check_events("total_config", total)
    require_readable(principal, slo)
    for condition in _conditions(slo).values():
        condition.check()


def _conditions(slo: Slo) -> dict[str, BurnRate]:
    """The condition of each severity's rule."""
    good, _ = questions(slo)
    windows = msgspec.convert(slo.windows, list[SloWindow])
    return {
        severity: BurnRate(
            good=good,
            objective=slo.objective,
            period_days=slo.period_days,
            min_events=slo.min_events,
            windows=tuple(
                BurnWindow(each.long_seconds, each.short_seconds, each.factor)
                for each in windows
                if each.severity == severity
            ),
        )
        for severity in sorted({each.severity for each in windows})
    }


async def _make_rules(tx: Transaction, principal: Principal, slo: Slo) -> None:
    """Make, change and delete rules until they are those of the objective."""
    there = {rule.severity: rule for rule in await alert_rules.of_slo(tx, slo.slo_id)}
    wanted = _conditions(slo)
    for severity in sorted(there.keys() - wanted.keys()):
        await rules.delete_in(tx, principal, there[severity])
    for severity, condition in wanted.items():
        columns = {
            "name": f"{slo.name}: error budget burns ({severity})",
            "query_type": slo.total_config["kind"],
            "query_config": slo.total_config,
            "condition_config": config_of(condition),
            "labels": {"slo": slo.name} | slo.labels,
            "interval_seconds": _interval_s(principal, condition.pairs),
        }
        if (rule := there.get(severity)) is not None:
            await rules.change_in(tx, principal, rule, columns)
        else:
            await rules.create_in(tx, principal, _rule(slo, severity, columns))


def _interval_s(principal: Principal, windows: Sequence[BurnWindow]) -> int:
    least, most = _INTERVALS_S
    shortest = min(window.short_seconds for window in windows)
    wanted = max(least, min(most, shortest // _SHARE))
    return max(wanted, AlertLimits().with_own(principal.own_limits).alert_interval_seconds)


def _rule(slo: Slo, severity: str, columns: Mapping[str, Any]) -> AlertRule:
    return AlertRule(
        organization_id=slo.organization_id,
        workspace_id=slo.workspace_id,
        tenant_id=slo.tenant_id,
        alert_rule_id=new_id(),
        description=f"Of the objective {slo.name}: {slo.objective * 100:g}% of events in {slo.period_days} days.",
        policy_config=config_of(PolicyConfig()),
        severity=severity,
        cooldown_minutes=0,
        annotations={
            "summary": f"{slo.name}: the error budget burns {{{{ $value | humanize }}}} times as fast as it may"
        },
        runbook_url="",
        dashboard_url="",
        is_enabled=True,
        version=1,
        last_evaluated_at=None,
        last_duration_ms=None,
        last_problem="",
        created_by=slo.created_by,
        deleted_at=None,
        created_at=slo.created_at,
        updated_at=slo.updated_at,
        slo_id=slo.slo_id,
        **columns,
    )
