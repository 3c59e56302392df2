"""Inhibition rules: while one alert fires, nobody is told of others that follow from it."""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.bodies import Change, Name, Services, given
from duoscope.api.listing import NameFilter, PagingDependency
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import require_found
from duoscope.metadata import inhibition_rules
from duoscope.metadata.inhibition_rules import InhibitionRule
from duoscope.metadata.silences import Matcher
from duoscope.notification import inhibition
from duoscope.notification.silencing import MATCHERS_MAX

ROUTES: Final = Routes("inhibition-rules")

_Matchers = Annotated[list[Matcher], Meta(min_length=1, max_length=MATCHERS_MAX)]
_Equal = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]],
    Meta(max_length=20, description="Labels of which both have the same value, or none.", examples=[["service"]]),
]


class InhibitionRulePage(Struct, frozen=True):
    """One page of inhibition rules, and the cursor of the next page."""

    items: list[InhibitionRule]
    next_cursor: str | None


class NewInhibitionRule(Struct, forbid_unknown_fields=True):
    """An inhibition rule to be made."""

    name: Name
    source_matchers: _Matchers
    target_matchers: _Matchers
    equal: _Equal = msgspec.field(default_factory=list[str])
    is_enabled: bool = True


class InhibitionRuleChange(Change):
    """The changes of an inhibition rule."""

    name: Name | UnsetType = UNSET
    source_matchers: _Matchers | UnsetType = UNSET
    target_matchers: _Matchers | UnsetType = UNSET
    equal: _Equal | UnsetType = UNSET
    is_enabled: bool | UnsetType = UNSET


@ROUTES.post("/api/v1/inhibition-rules", "Make an inhibition rule", "silence:write", problems=WRITES)
async def create_inhibition_rule(
    request: Request[Principal, Any, Any], data: JSONBody[NewInhibitionRule], services: Services
) -> InhibitionRule:
    """Make an inhibition rule. While an alert fires that meets `source_matchers`, nobody is told of the beginning of
    one that meets `target_matchers` and has the same values of the labels `equal`.
    """
    return await inhibition.create(services.metadata, request.user, msgspec.structs.asdict(data))


@ROUTES.get("/api/v1/inhibition-rules", "List inhibition rules", "silence:read", problems=LISTS)
async def list_inhibition_rules(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    name: NameFilter = None,
    is_enabled: Annotated[bool | None, QueryParameter(description="Only those that are, or are not.")] = None,
) -> InhibitionRulePage:
    """List the tenant's inhibition rules. Sorts: name, created_at."""
    filters = {"name": name, "is_enabled": is_enabled}
    async with services.metadata.open(request.user.scope, "inhibition_rules.list") as tx:
        return InhibitionRulePage(
            *await listing.page(
                tx, inhibition_rules.LISTING, paging, filters, answer=InhibitionRule, read=inhibition_rules.from_row
            )
        )


@ROUTES.get(
    "/api/v1/inhibition-rules/{inhibition_rule_id:uuid}", "Read an inhibition rule", "silence:read", problems=READS
)
async def get_inhibition_rule(
    request: Request[Principal, Any, Any], inhibition_rule_id: FromPath[UUID], services: Services
) -> InhibitionRule:
    """One inhibition rule."""
    async with services.metadata.open(request.user.scope, "inhibition_rules.get") as tx:
        found = await inhibition_rules.get(tx, inhibition_rule_id)
    return require_found(found, "inhibition rule")


@ROUTES.patch(
    "/api/v1/inhibition-rules/{inhibition_rule_id:uuid}", "Change an inhibition rule", "silence:write", problems=WRITES
)
async def change_inhibition_rule(
    request: Request[Principal, Any, Any],
    inhibition_rule_id: FromPath[UUID],
    data: JSONBody[InhibitionRuleChange],
    services: Services,
) -> InhibitionRule:
    """Change an inhibition rule. What it held back and does no longer is told, if it still fires."""
    return await inhibition.change(services.metadata, request.user, inhibition_rule_id, given(data))


@ROUTES.delete(
    "/api/v1/inhibition-rules/{inhibition_rule_id:uuid}", "Delete an inhibition rule", "silence:delete", problems=READS
)
async def delete_inhibition_rule(
    request: Request[Principal, Any, Any], inhibition_rule_id: FromPath[UUID], services: Services
) -> None:
    """Delete an inhibition rule for good. What it held back is told, if it still fires."""
    await inhibition.delete(services.metadata, request.user, inhibition_rule_id)
