"""What happened to alerts, and which rules make the most noise."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from duoscope.api.bodies import Services
from duoscope.api.routing import READS, Routes
from duoscope.api.searching import EndParameter, Reader, StartParameter
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import require_found
from duoscope.kernel.limits import SEARCH_LIMIT_DEFAULT, SEARCH_LIMIT_MAX
from duoscope.metadata import alert_rules
from duoscope.telemetry import alert_history
from duoscope.telemetry.alert_history import EventPage, Noise
from duoscope.telemetry.times import time_range

ROUTES: Final = Routes("alerts")
_PROBLEMS: Final = (400, 401, 403, 503)
_Limit = Annotated[int, QueryParameter(ge=1, le=SEARCH_LIMIT_MAX, description="Items of a page.")]
_Cursor = Annotated[
    str | None, QueryParameter(description="`next_cursor` of the previous page, with the same filters.")
]
_Severity = Annotated[
    Literal["critical", "error", "warning", "info"] | None, QueryParameter(description="Only of this severity.")
]
_Status = Annotated[
    Literal["pending", "cleared", "triggered", "resolved", "no_data", "error", "silenced", "missed"] | None,
    QueryParameter(name="status", description="Only this."),
]


class NoisiestRules(Struct, frozen=True):
    """The rules that fired the most, the first of them the most."""

    items: list[Noise]


@ROUTES.get("/api/v1/alerts/history", "List what happened to alerts", "alert:read", problems=_PROBLEMS)
async def list_alert_history(  # noqa: PLR0917 - parameters of the query
    reader: Reader,
    start: StartParameter = None,
    end: EndParameter = None,
    alert_rule_id: Annotated[UUID | None, QueryParameter(description="Only of this rule.")] = None,
    instance_id: Annotated[UUID | None, QueryParameter(description="Only of this alert.")] = None,
    severity: _Severity = None,
    status: _Status = None,
    limit: _Limit = SEARCH_LIMIT_DEFAULT,
    cursor: _Cursor = None,
) -> EventPage:
    """List the transitions of the tenant's alerts in a range, the latest first, each once. It is there a few
    seconds after it happened, with who was told, and stays when the rule is deleted. What was held back has a second
    item, `silenced`, which says by what.
    """
    filters = {
        "alert_rule_id": None if alert_rule_id is None else str(alert_rule_id),
        "instance_id": None if instance_id is None else str(instance_id),
        "severity": severity,
        "status": status,
    }
    return await alert_history.events(reader, time_range(start, end), filters, limit=limit, cursor=cursor)


@ROUTES.get(
    "/api/v1/alert-rules/{alert_rule_id:uuid}/history", "List what happened to a rule's alerts", "alert:read",
    problems=READS,
)  # fmt: skip
async def list_history_of_rule(  # noqa: PLR0917 - parameters of the query
    request: Request[Principal, Any, Any],
    alert_rule_id: FromPath[UUID],
    services: Services,
    reader: Reader,
    start: StartParameter = None,
    end: EndParameter = None,
    limit: _Limit = SEARCH_LIMIT_DEFAULT,
    cursor: _Cursor = None,
) -> EventPage:
    """List the transitions of the alerts of one rule, deleted or not, in a range, the latest first."""
    async with services.metadata.open(request.user.scope, "alerts.history_of_rule") as tx:
        require_found(await alert_rules.get(tx, alert_rule_id), "alert rule")
    filters = {"alert_rule_id": str(alert_rule_id)}
    return await alert_history.events(reader, time_range(start, end), filters, limit=limit, cursor=cursor)


@ROUTES.get("/api/v1/alerts/noisiest", "List the noisiest rules", "alert:read", problems=_PROBLEMS)
async def list_noisiest_rules(
    reader: Reader,
    start: StartParameter = None,
    end: EndParameter = None,
    limit: Annotated[int, QueryParameter(ge=1, le=alert_history.NOISIEST_MAX, description="How many.")] = 10,
) -> NoisiestRules:
    """The rules that fired the most in a range, with how many alerts that were and how often these flapped."""
    return NoisiestRules(await alert_history.noisiest(reader, time_range(start, end), limit=limit))
