"""Service level objectives, and how much of their error budgets is left."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType, to_builtins

from duoscope.alerting import budgets, slos
from duoscope.alerting.budgets import Budget
from duoscope.alerting.burn_rates import OF_DAYS, MinEvents, Objective, PeriodDays
from duoscope.alerting.definitions import config_of
from duoscope.alerting.slos import Windows
from duoscope.api import listing
from duoscope.api.bodies import Change, Description, Name, Services, given
from duoscope.api.listing import NameFilter, PagingDependency
from duoscope.api.routes.alerting.alert_rules import Labels
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.clock import now
from duoscope.kernel.errors import invalid, require_found
from duoscope.kernel.ids import new_id
from duoscope.metadata import slos as rows
from duoscope.metadata.slos import Slo
from duoscope.telemetry.questions.formula import Simple

ROUTES: Final = Routes("slos")

_GOOD: Final = Meta(description="Counts the good events, by the same labels as `total_config`.")
_TOTAL: Final = Meta(
    description="Counts all events. A promql expression counts those of a window of the length `$window`: "
    "sum(increase(http_requests_total[$window])).",
    examples=[{"kind": "trace", "query": "service:checkout kind:server"}],
)
_WINDOWS: Final = Meta(
    description="When the budget burns too fast. By default 1 h and 5 m at 14.4, 6 h and 30 m at 6 (critical), 1 d and "
    "2 h at 3, 3 d and 6 h at 1 (warning) for 30 days, in proportion for other periods. An empty list makes no rules."
)


class SloPage(Struct, frozen=True):
    """One page of objectives, and the cursor of the next page."""

    items: list[Slo]
    next_cursor: str | None


class NewSlo(Struct, forbid_unknown_fields=True):
    """An objective to be made."""

    name: Name
    good_config: Annotated[Simple, _GOOD]
    total_config: Annotated[Simple, _TOTAL]
    objective: Objective
    period_days: PeriodDays = OF_DAYS
    min_events: MinEvents = 100
    windows: Annotated[Windows | None, _WINDOWS] = None
    description: Description = ""
    labels: Labels = {}


class SloChange(Change):
    """The changes of an objective. Questions, windows and labels are replaced whole."""

    name: Name | UnsetType = UNSET
    good_config: Simple | UnsetType = UNSET
    total_config: Simple | UnsetType = UNSET
    objective: Objective | UnsetType = UNSET
    period_days: PeriodDays | UnsetType = UNSET
    min_events: MinEvents | UnsetType = UNSET
    windows: Windows | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    version: Annotated[
        int | UnsetType, Meta(description="Change the objective only if it still has this version.", examples=[1])
    ] = UNSET


@ROUTES.post("/api/v1/slos", "Create an objective", "alert-rule:write", problems=WRITES)
async def create_slo(request: Request[Principal, Any, Any], data: JSONBody[NewSlo], services: Services) -> Slo:
    """Make an objective, with an alert rule for each severity of its windows. You must be allowed to read what it
    counts.
    """
    scope, moment = request.user.scope, now()
    windows = slos.windows_of(data.period_days) if data.windows is None else to_builtins(list(data.windows))
    slo = Slo(
        organization_id=scope.organization_id,
        workspace_id=scope.workspace_id,
        tenant_id=scope.tenant_id,
        slo_id=new_id(),
        name=data.name,
        description=data.description,
        good_config=config_of(data.good_config),
        total_config=config_of(data.total_config),
        objective=data.objective,
        period_days=data.period_days,
        min_events=data.min_events,
        windows=windows,
        labels=data.labels,
        version=1,
        created_by=request.user.user_id,
        created_at=moment,
        updated_at=moment,
    )
    return await slos.create(services.metadata, request.user, slo)


@ROUTES.get("/api/v1/slos", "List objectives", "alert-rule:read", problems=LISTS)
async def list_slos(
    request: Request[Principal, Any, Any], services: Services, paging: PagingDependency, *, name: NameFilter = None
) -> SloPage:
    """The tenant's objectives. Sorts: name, created_at."""
    async with services.metadata.open(request.user.scope, "slos.list") as tx:
        return SloPage(*await listing.page(tx, rows.LISTING, paging, {"name": name}, answer=Slo))


@ROUTES.get("/api/v1/slos/{slo_id:uuid}", "Read an objective", "alert-rule:read", problems=READS)
async def get_slo(request: Request[Principal, Any, Any], slo_id: FromPath[UUID], services: Services) -> Slo:
    """One objective. Its rules are at `GET /api/v1/alert-rules?slo_id=`."""
    async with services.metadata.open(request.user.scope, "slos.get") as tx:
        return require_found(await rows.get(tx, slo_id), "objective")


@ROUTES.get("/api/v1/slos/{slo_id:uuid}/budget", "Read an error budget", "alert-rule:read", problems=READS)
async def get_slo_budget(request: Request[Principal, Any, Any], slo_id: FromPath[UUID], services: Services) -> Budget:
    """Read what is left of an objective's error budget in the period up to now, and how it went, by series. You must be
    allowed to read what it counts.
    """
    async with services.metadata.open(request.user.scope, "slos.budget") as tx:
        slo = require_found(await rows.get(tx, slo_id), "objective")
    slos.require_readable(request.user, slo)
    return await budgets.budget(services.telemetry.bind(request.user.scope), slo, now())


@ROUTES.patch("/api/v1/slos/{slo_id:uuid}", "Change an objective", "alert-rule:write", problems=WRITES)
async def change_slo(
    request: Request[Principal, Any, Any], slo_id: FromPath[UUID], data: JSONBody[SloChange], services: Services
) -> Slo:
    """Change an objective and its rules. Alerts of rules that watch something else then are resolved. Windows that
    were the default stay so for another period.
    """
    changes = given(data)
    version = changes.pop("version", None)
    if not changes:
        raise invalid("Give a field to change beside `version`.")
    for config in ("good_config", "total_config"):
        if config in changes:
            changes[config] = config_of(changes[config])
    if "windows" in changes:
        changes["windows"] = to_builtins(list(changes["windows"]))
    return await slos.change(services.metadata, request.user, slo_id, changes, version=version)


@ROUTES.delete("/api/v1/slos/{slo_id:uuid}", "Delete an objective", "alert-rule:delete", problems=WRITES)
async def delete_slo(request: Request[Principal, Any, Any], slo_id: FromPath[UUID], services: Services) -> None:
    """Remove an objective for good, and delete its rules: what has fired is resolved."""
    await slos.delete(services.metadata, request.user, slo_id)
