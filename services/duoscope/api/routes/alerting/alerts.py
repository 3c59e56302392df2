"""Alerts: the instances of rules that are pending, firing, without data or in error."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import Request
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from duoscope.alerting.labelling import labels_of
from duoscope.api import listing
from duoscope.api.bodies import Services
from duoscope.api.listing import PagingDependency
from duoscope.api.routing import LISTS, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.metadata import alert_instances
from duoscope.stores.postgres import Record

ROUTES: Final = Routes("alerts")
Status = Literal["pending", "firing", "no_data", "error"]


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


class AlertPage(Struct, frozen=True):
    """One page of alerts, and the cursor of the next page."""

    items: list[Alert]
    next_cursor: str | None


def _read(row: Record) -> Alert:
    values = dict(row)
    values["labels"] = labels_of(values.pop("rule_labels"), values["labels"])
    return Alert(**values)


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
) -> AlertPage:
    """The alerts of now, the oldest first. Sorts: since."""
    filters = {"active": True, "status": status, "severity": severity, "alert_rule_id": alert_rule_id}
    async with services.metadata.open(request.user.scope, "alerts.list") as tx:
        return AlertPage(*await listing.page(tx, alert_instances.LISTING, paging, filters, answer=Alert, read=_read))
