"""Alert rules: what is watched, what of it is a breach, and how breaches are judged."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.alerting import rules
from duoscope.alerting.conditions import Condition
from duoscope.alerting.definitions import PolicyConfig, Watched
from duoscope.api import listing
from duoscope.api.bodies import Change, Description, Name, Services, given
from duoscope.api.listing import DeletedFilter, NameFilter, PagingDependency
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.clock import now
from duoscope.kernel.errors import invalid, require_found
from duoscope.kernel.ids import new_id
from duoscope.metadata import alert_rules
from duoscope.metadata.alert_rules import AlertRule

ROUTES: Final = Routes("alert-rules")

_TEXT: Final = r"^[^\x00]*$"
Severity = Literal["critical", "error", "warning", "info"]
_LabelName = Annotated[str, Meta(pattern="^[a-zA-Z_][a-zA-Z0-9_]{0,127}$")]
Labels = Annotated[
    dict[_LabelName, Annotated[str, Meta(max_length=1024, pattern=_TEXT)]],
    Meta(description="Added to those of each series, which they replace.", examples=[{"team": "shop"}]),
]
Annotations = Annotated[
    dict[_LabelName, Annotated[str, Meta(max_length=8192, pattern=_TEXT)]],
    Meta(
        description="Texts for people, with templates as in Prometheus' rules.",
        examples=[{"summary": "{{ $labels.service }} fails {{ $value | humanizePercentage }} of requests"}],
    ),
]
_Url = Annotated[str, Meta(max_length=2048, pattern=r"^(https?://[^\s\x00]+)?$", examples=["https://wiki/runbook"])]
_Cooldown = Annotated[
    int, Meta(ge=0, le=10_080, description="Minutes after a resolved in which the same instance does not fire.")
]
_Interval = Annotated[int, Meta(ge=1, le=86_400, description="Seconds between evaluations.", examples=[60])]


class AlertRulePage(Struct, frozen=True):
    """One page of alert rules, and the cursor of the next page."""

    items: list[AlertRule]
    next_cursor: str | None


class NewAlertRule(Struct, forbid_unknown_fields=True):
    """A rule to be created."""

    name: Name
    query_config: Annotated[Watched, Meta(description="What is watched.")]
    condition_config: Annotated[Condition, Meta(description="What of it is a breach.")]
    severity: Severity
    description: Description = ""
    policy_config: PolicyConfig = PolicyConfig()
    interval_seconds: _Interval = 60
    cooldown_minutes: _Cooldown = 0
    labels: Labels = {}
    annotations: Annotations = {}
    runbook_url: _Url = ""
    dashboard_url: _Url = ""
    is_enabled: bool = True


class AlertRuleChange(Change):
    """The changes of a rule. Configs, labels and annotations are replaced whole."""

    name: Name | UnsetType = UNSET
    query_config: Watched | UnsetType = UNSET
    condition_config: Condition | UnsetType = UNSET
    severity: Severity | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    policy_config: PolicyConfig | UnsetType = UNSET
    interval_seconds: _Interval | UnsetType = UNSET
    cooldown_minutes: _Cooldown | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    annotations: Annotations | UnsetType = UNSET
    runbook_url: _Url | UnsetType = UNSET
    dashboard_url: _Url | UnsetType = UNSET
    is_enabled: bool | UnsetType = UNSET
    version: Annotated[
        int | UnsetType, Meta(description="Change the rule only if it still has this version.", examples=[1])
    ] = UNSET


def new_rule(user: Principal, data: NewAlertRule) -> AlertRule:
    """The row of a rule that is not stored yet."""
    scope, moment = user.scope, now()
    configs = rules.configs(query=data.query_config, condition=data.condition_config, policy=data.policy_config)
    return AlertRule(
        organization_id=scope.organization_id,
        workspace_id=scope.workspace_id,
        tenant_id=scope.tenant_id,
        alert_rule_id=new_id(),
        name=data.name,
        description=data.description,
        severity=data.severity,
        cooldown_minutes=data.cooldown_minutes,
        interval_seconds=data.interval_seconds,
        labels=data.labels,
        annotations=data.annotations,
        runbook_url=data.runbook_url,
        dashboard_url=data.dashboard_url,
        is_enabled=data.is_enabled,
        version=1,
        last_evaluated_at=None,
        last_duration_ms=None,
        last_problem="",
        created_by=user.user_id,
        deleted_at=None,
        created_at=moment,
        updated_at=moment,
        **configs,
    )


@ROUTES.post("/api/v1/alert-rules", "Create an alert rule", "alert-rule:write", problems=WRITES)
async def create_alert_rule(
    request: Request[Principal, Any, Any], data: JSONBody[NewAlertRule], services: Services
) -> AlertRule:
    """Create a rule. It is evaluated within an interval from now. You must be allowed to read what it watches."""
    return await rules.create(services.metadata, request.user, new_rule(request.user, data))


@ROUTES.get("/api/v1/alert-rules", "List alert rules", "alert-rule:read", problems=LISTS)
async def list_alert_rules(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    severity: Annotated[Severity | None, QueryParameter(description="Only of this severity.")] = None,
    query_type: Annotated[str | None, QueryParameter(description="Only those that watch this.", max_length=20)] = None,
    is_enabled: Annotated[bool | None, QueryParameter(description="Whether to list enabled or disabled ones.")] = None,
    has_problem: Annotated[
        bool | None, QueryParameter(description="Whether to list those whose last evaluation had a problem.")
    ] = None,
    last_outcome: Annotated[
        Literal["judged", "learning", "late", "failed"] | None,
        QueryParameter(description="Only those whose last evaluation came to this."),
    ] = None,
    slo_id: Annotated[UUID | None, QueryParameter(description="Only those of this objective.")] = None,
    deleted: DeletedFilter = False,
) -> AlertRulePage:
    """The tenant's rules. Sorts: name, created_at."""
    filters = {
        "name": name,
        "severity": severity,
        "query_type": query_type,
        "is_enabled": is_enabled,
        "has_problem": has_problem,
        "last_outcome": last_outcome,
        "slo_id": slo_id,
        "deleted": deleted,
    }
    async with services.metadata.open(request.user.scope, "alert_rules.list") as tx:
        return AlertRulePage(*await listing.page(tx, alert_rules.LISTING, paging, filters, answer=AlertRule))


@ROUTES.get("/api/v1/alert-rules/{alert_rule_id:uuid}", "Read an alert rule", "alert-rule:read", problems=READS)
async def get_alert_rule(
    request: Request[Principal, Any, Any], alert_rule_id: FromPath[UUID], services: Services
) -> AlertRule:
    """One rule, deleted or not, with what is wrong with its last evaluation."""
    async with services.metadata.open(request.user.scope, "alert_rules.get") as tx:
        return require_found(await alert_rules.get(tx, alert_rule_id), "alert rule")


@ROUTES.patch("/api/v1/alert-rules/{alert_rule_id:uuid}", "Change an alert rule", "alert-rule:write", problems=WRITES)
async def change_alert_rule(
    request: Request[Principal, Any, Any],
    alert_rule_id: FromPath[UUID],
    data: JSONBody[AlertRuleChange],
    services: Services,
) -> AlertRule:
    """Change a rule. Another question or condition, and disabling, resolve what has fired; nothing else changes the
    state of an alert.
    """
    changes = given(data)
    version = changes.pop("version", None)
    if not changes:
        raise invalid("Give a field to change beside `version`.")
    typed = {name: changes.pop(f"{name}_config", None) for name in ("query", "condition", "policy")}
    changes |= rules.configs(**typed)
    return await rules.change(services.metadata, request.user, alert_rule_id, changes, version=version)


@ROUTES.delete("/api/v1/alert-rules/{alert_rule_id:uuid}", "Delete an alert rule", "alert-rule:delete", problems=WRITES)
async def delete_alert_rule(
    request: Request[Principal, Any, Any], alert_rule_id: FromPath[UUID], services: Services
) -> None:
    """Delete a rule: what has fired is resolved. It can be restored for 90 days."""
    await rules.delete(services.metadata, request.user, alert_rule_id)


@ROUTES.post(
    "/api/v1/alert-rules/{alert_rule_id:uuid}/restore", "Restore an alert rule", "alert-rule:delete", problems=WRITES,
    status_code=200,
)  # fmt: skip
async def restore_alert_rule(
    request: Request[Principal, Any, Any], alert_rule_id: FromPath[UUID], services: Services
) -> AlertRule:
    """Restore a deleted rule, which begins anew."""
    return await rules.restore(services.metadata, request.user, alert_rule_id)
