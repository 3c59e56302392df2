"""The audit log of a tenant, an organization or the platform: every change and every sign-in."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import Request
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation
from msgspec import Meta, Struct

from duoscope.api.dependencies import ApiServices
from duoscope.api.routing import LISTS, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import invalid
from duoscope.kernel.limits import LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import audit_logs
from duoscope.metadata.audit_logs import AuditFilter, AuditLog, Result
from duoscope.telemetry.times import unix_nano

ROUTES: Final = Routes("audit-logs")

_READ: Final = "audit-log:read"
_PLATFORM: Final = PlatformScope(reason="a platform admin reads the platform's audit log")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Services = NamedDependency[SkipValidation[ApiServices]]


class AuditLogPage(Struct, frozen=True):
    """One page of entries, newest first."""

    items: list[AuditLog]
    next_cursor: Annotated[str | None, Meta(description="Send it as `cursor` for the next page.")]


@ROUTES.get("/api/v1/audit-logs", "Search the audit log", _READ, problems=LISTS)
async def list_audit_logs(  # noqa: PLR0917 - each is a parameter of the query
    request: Request[Principal, Any, Any],
    services: Services,
    start: Annotated[str | None, QueryParameter(description="Start, inclusive. RFC 3339, or Unix nanoseconds.")] = None,
    end: Annotated[str | None, QueryParameter(description="End, exclusive.")] = None,
    actor: Annotated[
        str | None, QueryParameter(max_length=320, description="An e-mail address, or the id of a user or API key.")
    ] = None,
    action: Annotated[
        str | None,
        QueryParameter(
            max_length=100, description="An action such as `api-key.revoked`, or `api-key.*` for all of a kind."
        ),
    ] = None,
    resource_type: Annotated[
        str | None, QueryParameter(max_length=100, description="A kind of resource, such as `api-key`.")
    ] = None,
    resource_id: Annotated[str | None, QueryParameter(max_length=256)] = None,
    result: Annotated[Result | None, QueryParameter(description="`failure` means a refused action.")] = None,
    request_id: Annotated[UUID | None, QueryParameter(description="The x-request-id of one request.")] = None,
    reach: Annotated[
        Literal["tenant", "organization", "platform"],
        QueryParameter(
            description="`organization` needs the permission organization-wide; `platform`, what concerns no "
            "organization, is for the platform's admins."
        ),
    ] = "tenant",
    limit: Annotated[int, QueryParameter(ge=1, le=LIST_LIMIT_MAX)] = LIST_LIMIT_DEFAULT,
    cursor: Annotated[
        str | None, QueryParameter(max_length=100, description="`next_cursor` of the previous page.")
    ] = None,
) -> AuditLogPage:
    """List entries of the tenant, newest first: every change and every sign-in, with the values before and after."""
    user_id, email = _actor(actor)
    wanted = AuditFilter(
        start=_time(start, "start"),
        end=_time(end, "end"),
        user_id=user_id,
        email=_clean(email),
        action=_clean(action),
        resource_type=_clean(resource_type),
        resource_id=_clean(resource_id),
        result=result,
        request_id=request_id,
    )
    page: dict[str, Any] = {"before": _position(cursor), "limit": limit + 1}
    principal = request.user
    if reach == "platform":
        principal.require_platform_admin()
        async with services.metadata.open_platform(_PLATFORM, "audit_logs.search_platform") as tx:
            found = await audit_logs.search(tx, wanted, organization_id=None, **page)
    else:
        scope = principal.over_organization(_READ).scope if reach == "organization" else principal.scope
        async with services.metadata.open(scope, "audit_logs.search") as tx:
            found = await audit_logs.search(tx, wanted, organization_id=scope.organization_id, **page)
    more = len(found) > limit
    return AuditLogPage(found[:limit], found[limit - 1].audit_log_id.hex if more else None)


def _actor(text: str | None) -> tuple[UUID | None, str | None]:
    if text is None or "@" in text:
        return None, text
    try:
        return UUID(text), None
    except ValueError:
        return None, text


def _time(text: str | None, name: str) -> datetime | None:
    return None if text is None else _EPOCH + timedelta(microseconds=unix_nano(text, name) // 1000)


def _position(cursor: str | None) -> UUID | None:
    try:
        return None if cursor is None else UUID(hex=cursor)
    except ValueError as error:
        raise invalid("`cursor` is none that this list gave.", code="invalid-cursor") from error


def _clean(text: str | None) -> str | None:
    """PostgreSQL accepts no NUL in a text, and no entry has one."""
    if text is not None and "\0" in text:
        raise invalid("A filter holds the character NUL, which no entry has.")
    return text
