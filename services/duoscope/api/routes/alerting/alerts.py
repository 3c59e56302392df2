"""Alerts: the instances of rules that are pending, firing, without data or in error."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from duoscope.alerting import acknowledging
from duoscope.alerting.labelling import labels_of
from duoscope.api import listing
from duoscope.api.bodies import Services
from duoscope.api.listing import PagingDependency
from duoscope.api.routing import LISTS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.metadata import alert_instances
from duoscope.notification.muting import Mutes
from duoscope.stores.postgres import Record

ROUTES: Final = Routes("alerts")
_BEFORE_S: Final = 900
Status = Literal["pending", "firing", "no_data", "error"]


class Acknowledgement(Struct, frozen=True):
    """A note that somebody is at it."""

    comment: str
    acknowledged_at: datetime
    acknowledged_by: UUID | None
    acknowledged_by_email: str


class Evidence(Struct, frozen=True):
    """The question of the rule and the range in which its answer is worth seeing."""

    query_config: dict[str, Any]
    start: Annotated[datetime, Meta(description="A while before the breach began.")]
    end: Annotated[datetime | None, Meta(description="Null: until now.")]


class NewAcknowledgement(Struct, forbid_unknown_fields=True):
    """A note to be made."""

    comment: Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"^[^\x00]*$", examples=["I am at it."])]


class Alert(Struct, frozen=True):
    """A rule with one set of labels, in breach."""

    instance_id: UUID
    alert_rule_id: UUID
    alert_rule_name: Annotated[str, Meta(examples=["Checkout fails"])]
    severity: Annotated[str, Meta(examples=["critical"])]
    subject: Annotated[
        Literal["series", "data", "health"],
        Meta(description="What it tells of: one series, that there are no data, or that the rule cannot be evaluated."),
    ]
    status: Status
    labels: Annotated[dict[str, str], Meta(examples=[{"service": "checkout", "team": "shop"}])]
    annotations: Annotated[dict[str, str], Meta(description="Of the rule, with their templates as they are.")]
    value: Annotated[float | None, Meta(description="The last one; null for none.", examples=[0.12])]
    since: Annotated[datetime, Meta(description="When it came to its status.")]
    active_at: Annotated[datetime | None, Meta(description="When the breach began.")]
    fired_at: Annotated[datetime | None, Meta(description="When it began to fire; null if it never did.")]
    is_recovering: Annotated[bool, Meta(description="Whether its breach is over, and it keeps firing for a while.")]
    runbook_url: str
    dashboard_url: str
    acknowledgement: Annotated[Acknowledgement | None, Meta(description="Of this firing; it ends with it.")]
    silenced_by: Annotated[list[UUID], Meta(description="Silences that hold it back now.")]
    maintained_by: Annotated[list[UUID], Meta(description="Maintenance windows that hold it back now.")]
    inhibited_by: Annotated[list[UUID], Meta(description="Alerts that inhibit it now.")]
    evidence: Evidence


class AlertPage(Struct, frozen=True):
    """One page of alerts, and the cursor of the next page."""

    items: list[Alert]
    next_cursor: str | None


@ROUTES.get("/api/v1/alerts", "List alerts", "alert:read", problems=LISTS)
async def list_alerts(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    status: Annotated[Status | None, QueryParameter(description="Only with this status.")] = None,
    severity: Annotated[
        Literal["critical", "error", "warning", "info"] | None, QueryParameter(description="Only of this severity.")
    ] = None,
    alert_rule_id: Annotated[UUID | None, QueryParameter(description="Only of this rule.")] = None,
    acknowledged: Annotated[bool | None, QueryParameter(description="Whether somebody has taken note.")] = None,
) -> AlertPage:
    """The alerts of now, the oldest first, with who has taken note of them, what holds their messages back, and where
    to look. Sorts: since.
    """
    filters = {
        "active": True, "status": status, "severity": severity, "alert_rule_id": alert_rule_id,
        "acknowledged": acknowledged,
    }  # fmt: skip
    async with services.metadata.open(request.user.scope, "alerts.list") as tx:
        mutes = await Mutes.read(tx, [request.user.scope.tenant_id])
        found = await listing.page(
            tx, alert_instances.LISTING, paging, filters, answer=Alert, read=lambda row: _shown(row, mutes)
        )
        return AlertPage(*found)


@ROUTES.post(
    "/api/v1/alerts/{instance_id:uuid}/acknowledge", "Acknowledge an alert", "alert:write", problems=WRITES,
    status_code=204,
)  # fmt: skip
async def acknowledge_alert(
    request: Request[Principal, Any, Any],
    instance_id: FromPath[UUID],
    data: JSONBody[NewAcknowledgement],
    services: Services,
) -> None:
    """Take note of an alert that fires, with a comment for the others. It changes neither its state nor who is told,
    and ends with the firing.
    """
    await acknowledging.acknowledge(services.metadata, request.user, instance_id, data.comment)


def _shown(row: Record, mutes: Mutes) -> dict[str, Any]:
    labels = labels_of(row["rule_labels"], row["labels"])
    told = {"alertname": row["alert_rule_name"], "severity": row["severity"]} | labels
    held = mutes.all_of(told, tenant_id=row["tenant_id"], instance_id=row["instance_id"])
    before = timedelta(seconds=max(_BEFORE_S, 10 * row["interval_seconds"]))
    delay = timedelta(seconds=row["policy_config"].get("delay_seconds", 0))
    evidence = Evidence(row["query_config"], (row["active_at"] or row["since"]) - before - delay, None)
    return dict(row) | {
        "labels": labels,
        "silenced_by": [each.silence_id for each in held if each.silence_id],
        "maintained_by": [each.maintenance_window_id for each in held if each.maintenance_window_id],
        "inhibited_by": [each.inhibited_by for each in held if each.inhibited_by],
        "evidence": evidence,
    }
