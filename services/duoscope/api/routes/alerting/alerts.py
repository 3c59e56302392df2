"""Alerts: the instances of rules that are pending, firing, without data or in error."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct, structs

from duoscope.alerting import acknowledging, rules
from duoscope.alerting import evidence as alert_evidence
from duoscope.alerting.definitions import Definition, parsed
from duoscope.alerting.evidence import ExemplarTrace
from duoscope.api import listing
from duoscope.api.bodies import Services
from duoscope.api.listing import Paging, PagingDependency
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.api.searching import Reader
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel import clock
from duoscope.kernel.errors import DuoscopeError, require_found
from duoscope.metadata import alert_instances
from duoscope.notification.annotating import Texts, with_queries, without_queries
from duoscope.notification.asking import answered
from duoscope.notification.labelling import labels_of
from duoscope.notification.muting import Mutes

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
    url: Annotated[str, Meta(description="The page of the UI that asks the question; empty for rules over rules.")]
    traces: Annotated[
        list[ExemplarTrace] | None,
        Meta(description="Traces in which it happened, of exemplars or of the items that are counted, the latest "
             "first. Null in lists, and for those who may not read what the rule watches."),
    ] = None  # fmt: skip


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
    annotations: Annotated[
        dict[str, str],
        Meta(
            description="Filled in as messages have them; in lists, one that asks a query is the template that it is."
        ),
    ]
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
        rows, cursor = await listing.page(tx, alert_instances.LISTING, paging, filters, answer=_Row)
    # Templates are filled in: not in the event loop.
    shown = await asyncio.to_thread(lambda: [_shown(row, mutes, services.public_url) for row in rows])
    return AlertPage(shown, cursor)


@ROUTES.get("/api/v1/alerts/{instance_id:uuid}", "Show an alert", "alert:read", problems=READS)
async def show_alert(
    request: Request[Principal, Any, Any], instance_id: FromPath[UUID], services: Services, reader: Reader
) -> Alert:
    """An alert of now, with the queries of its annotations answered as of when it came to its status, and traces in
    which it happened.
    """
    async with services.metadata.open(request.user.scope, "alerts.show") as tx:
        mutes = await Mutes.read(tx, [request.user.scope.tenant_id])
        asked = Paging(1, None, None)
        filters = {"active": True, "instance_id": instance_id}
        rows, _ = await listing.page(tx, alert_instances.LISTING, asked, filters, answer=_Row)
    row = require_found(rows[0] if rows else None, "alert")
    shown = await asyncio.to_thread(_shown, row, mutes, services.public_url)
    definition = row.definition()
    if definition is None or not definition.permissions <= request.user.permissions:
        return shown
    evidence = shown.evidence
    traces = await alert_evidence.traces(reader, definition.question, row.labels, evidence.start, clock.now())
    annotations = shown.annotations
    if request.user.has(rules.QUERIES_NEED):
        texts = row.texts(services.public_url)
        annotations = await with_queries(
            texts, lambda each: answered(reader, each, row.since), whose=f"alert {instance_id}"
        )
    return structs.replace(shown, annotations=annotations, evidence=structs.replace(evidence, traces=traces))


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


class _Row(Struct, frozen=True):
    """A row of the listing."""

    instance_id: UUID
    alert_rule_id: UUID
    alert_rule_name: str
    severity: str
    subject: Literal["series", "data", "health"]
    status: Status
    labels: dict[str, str]
    rule_labels: dict[str, str]
    annotations: dict[str, str]
    value: float | None
    since: datetime
    active_at: datetime | None
    fired_at: datetime | None
    is_recovering: bool
    runbook_url: str
    dashboard_url: str
    tenant_id: UUID
    query_config: dict[str, Any]
    condition_config: dict[str, Any]
    policy_config: dict[str, Any]
    interval_seconds: int
    cooldown_minutes: int
    acknowledgement: Acknowledgement | None

    def definition(self) -> Definition | None:
        """That of its rule; None for one that cannot be read."""
        try:
            return parsed(self)
        except DuoscopeError:
            return None

    def texts(self, public_url: str) -> Texts:
        """The annotations, and what they are filled in from."""
        labels = labels_of(self.rule_labels, self.labels)
        return Texts(self.annotations, self.subject, self.alert_rule_name, labels, self.value, public_url)


def _shown(row: _Row, mutes: Mutes, public_url: str) -> Alert:
    texts, definition = row.texts(public_url), row.definition()
    told = {"alertname": row.alert_rule_name, "severity": row.severity, **texts.labels}
    held = mutes.all_of(told, tenant_id=row.tenant_id, instance_id=row.instance_id)
    before = timedelta(seconds=max(_BEFORE_S, 10 * row.interval_seconds))
    delay = timedelta(seconds=definition.config.delay_seconds if definition else 0)
    began = row.active_at or row.since
    return Alert(
        instance_id=row.instance_id,
        alert_rule_id=row.alert_rule_id,
        alert_rule_name=row.alert_rule_name,
        severity=row.severity,
        subject=row.subject,
        status=row.status,
        labels=dict(texts.labels),
        annotations=without_queries(texts),
        value=row.value,
        since=row.since,
        active_at=row.active_at,
        fired_at=row.fired_at,
        is_recovering=row.is_recovering,
        runbook_url=row.runbook_url,
        dashboard_url=row.dashboard_url,
        acknowledgement=row.acknowledgement,
        silenced_by=[each.silence_id for each in held if each.silence_id],
        maintained_by=[each.maintenance_window_id for each in held if each.maintenance_window_id],
        inhibited_by=[each.inhibited_by for each in held if each.inhibited_by],
        evidence=Evidence(
            row.query_config,
            began - before - delay,
            None,
            alert_evidence.url(row, row.labels, began, clock.now(), public_url),
        ),
    )
