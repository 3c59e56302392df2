"""Previews of alert rules: what a rule would have fired, before it wakes anyone."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, cast
from uuid import UUID

from litestar import Request, Response
from litestar.enums import MediaType
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta, Struct, structs

from duoscope.alerting import held, picture, rules
from duoscope.alerting.composites import WatchedRules
from duoscope.alerting.definitions import check, offset_s, parsed
from duoscope.alerting.preview import DAYS_MAX, Preview, Previewed, preview
from duoscope.api.bodies import Services, given
from duoscope.api.routes.alerting.alert_rules import AlertRuleChange, NewAlertRule, new_rule
from duoscope.api.routing import WRITES, Routes
from duoscope.api.searching import Reader
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.alert_limits import AlertLimits
from duoscope.kernel.clock import in_range, now
from duoscope.kernel.errors import invalid, require_found
from duoscope.metadata import alert_rules, inhibition_rules, maintenance_windows, silences
from duoscope.metadata.alert_rules import AlertRule
from duoscope.stores.postgres import Transaction

ROUTES: Final = Routes("alert-rules")
_SVG: Final = "image/svg+xml"
_At = Annotated[datetime, Meta(tz=True)]
_NESTED_MAX: Final = 3


class PreviewRequest(Struct, forbid_unknown_fields=True):
    """A rule to be previewed: one that is stored, perhaps changed, or one that is not."""

    alert_rule_id: Annotated[UUID | None, Meta(description="A rule that is stored.")] = None
    changes: Annotated[AlertRuleChange | None, Meta(description="As it would be with these changes.")] = None
    rule: Annotated[NewAlertRule | None, Meta(description="A rule that is not stored.")] = None
    days: Annotated[int, Meta(ge=1, le=DAYS_MAX, description="Up to the end, unless `start` is given.")] = 7
    start: Annotated[_At | None, Meta(description="In place of `days`.")] = None
    end: Annotated[_At | None, Meta(description="Now, unless it is earlier.")] = None


@ROUTES.post(
    "/api/v1/alert-rules/preview", "Preview an alert rule", "alert-rule:read", problems=WRITES, status_code=200
)  # fmt: skip
async def preview_alert_rule(
    request: Request[Principal, Any, Any],
    data: JSONBody[PreviewRequest],
    services: Services,
    reader: Reader,
    form: Annotated[
        Literal["json", "svg"] | None, QueryParameter(name="format", description="By default, as `Accept` says.")
    ] = None,
) -> Response[Preview]:
    """Evaluate a rule over past days, as it would have been then: each firing with its start, end and peak, whether it
    flaps, and what the tenant's silences, its maintenance, and alerts that inhibit would have held back (the last for
    those who may read alerts). As JSON, or as a picture (SVG). You must be allowed to
    read what it watches. Data that came late are seen as if they had been there.
    """
    user = request.user
    start, end = _range(data)
    limits = AlertLimits().with_own(user.own_limits)
    async with services.metadata.open(user.scope, "alert_rules.preview") as tx:
        row = await _row(tx, user, data)
        check(parsed(row), limits)
        previewed = await _previewed(tx, row, user, is_stored=data.alert_rule_id is not None)
        muting = await silences.between(tx, start, end)
        windows = await maintenance_windows.enabled(tx)
        inhibiting = await inhibition_rules.enabled(tx, {user.scope.tenant_id}) if user.has("alert:read") else []
    holds = held.of_silences(muting)
    holds += await asyncio.to_thread(held.of_maintenance, windows, start, end)
    holds += await held.of_inhibition(reader, inhibiting, start, end)
    found = await preview(reader, previewed, start, end, limits.alert_instances, holds)
    if form == "svg" or (form is None and _SVG in request.headers.get("accept", "")):
        drawn = Response(picture.svg(row.name, found), media_type=cast("MediaType", _SVG))
        return cast("Response[Preview]", drawn)
    return Response(found)


async def _row(tx: Transaction, user: Principal, data: PreviewRequest) -> AlertRule:
    if (data.alert_rule_id is None) == (data.rule is None):
        raise invalid("One of `alert_rule_id` and `rule` is needed.")
    if data.rule is not None:
        if data.changes is not None:
            raise invalid("`changes` are those of a rule that is stored.")
        return new_rule(user, data.rule)
    assert data.alert_rule_id is not None
    row = require_found(await alert_rules.get(tx, data.alert_rule_id), "alert rule")
    if data.changes is None:
        return row
    changes = given(data.changes)
    changes.pop("version", None)
    typed = {name: changes.pop(f"{name}_config", None) for name in ("query", "condition", "policy")}
    return structs.replace(row, **changes | rules.configs(**typed))


async def _previewed(tx: Transaction, row: AlertRule, user: Principal, *, is_stored: bool, depth: int = 1) -> Previewed:
    definition = parsed(row)
    for permission in sorted(definition.permissions):
        user.require(permission)
    watched: dict[str, Previewed] = {}
    if isinstance(definition.question, WatchedRules):
        if depth > _NESTED_MAX:
            raise invalid("`query_config.of`: these rules watch rules that watch rules.")
        for name, identifier in definition.question.of.items():
            of_name = require_found(await alert_rules.get(tx, identifier), "alert rule")
            watched[name] = await _previewed(tx, of_name, user, is_stored=True, depth=depth + 1)
    slots_at = offset_s(row.alert_rule_id, row.interval_seconds) if is_stored else 0.0
    labels = {"alertname": row.name, "severity": row.severity} | row.labels
    return Previewed(definition, labels, slots_at, watched)


def _range(data: PreviewRequest) -> tuple[datetime, datetime]:
    end = min(now(), in_range("end", data.end) if data.end else now())
    start = in_range("start", data.start) if data.start else end - timedelta(days=data.days)
    if start >= end:
        raise invalid("`end` must be later than `start`, and `start` in the past.")
    if end - start > timedelta(days=DAYS_MAX):
        raise invalid(f"A preview is of {DAYS_MAX} days at most.")
    return start, end
