"""Silences: which alerts nobody is told of for a while."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.bodies import Change, Services, given
from duoscope.api.listing import PagingDependency
from duoscope.api.routing import LISTS, READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.kernel.errors import require_found
from duoscope.metadata import silences
from duoscope.metadata.silences import Matcher, Silence, SilenceState
from duoscope.notification import silencing

ROUTES: Final = Routes("silences")

_Comment = Annotated[
    str, Meta(min_length=1, max_length=2000, pattern=r"^[^\x00]*$", examples=["The database is being moved."])
]
_At = Annotated[datetime, Meta(tz=True)]


class SilencePage(Struct, frozen=True):
    """One page of silences, and the cursor of the next page."""

    items: list[Silence]
    next_cursor: str | None


class NewSilence(Struct, forbid_unknown_fields=True):
    """A silence to be made."""

    matchers: Annotated[list[Matcher], Meta(min_length=1, max_length=silencing.MATCHERS_MAX)]
    ends_at: _At
    comment: _Comment
    starts_at: Annotated[datetime, Meta(tz=True, description="Now, unless it is later.")] | None = None


class SilenceChange(Change):
    """The changes of a silence: what it silences cannot be changed."""

    ends_at: _At | UnsetType = UNSET
    comment: _Comment | UnsetType = UNSET


@ROUTES.post("/api/v1/silences", "Make a silence", "silence:write", problems=WRITES)
async def create_silence(
    request: Request[Principal, Any, Any], data: JSONBody[NewSilence], services: Services
) -> Silence:
    """Make a silence. It holds back messages that alerts begin to fire, and no state of an alert. What it held back is
    told when it ends, if the alert still fires. The end of what was told is always told.
    """
    return await silencing.create(
        services.metadata,
        request.user,
        matchers=data.matchers,
        starts_at=data.starts_at,
        ends_at=data.ends_at,
        comment=data.comment,
    )


@ROUTES.get("/api/v1/silences", "List silences", "silence:read", problems=LISTS)
async def list_silences(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    status: Annotated[SilenceState | None, QueryParameter(name="state", description="Those in this state.")] = None,
) -> SilencePage:
    """List the tenant's silences; those that are over for 30 days. Sorts: created_at, ends_at."""
    async with services.metadata.open(request.user.scope, "silences.list") as tx:
        return SilencePage(
            *await listing.page(tx, silences.LISTING, paging, {"state": status}, answer=Silence, read=silences.from_row)
        )


@ROUTES.get("/api/v1/silences/{silence_id:uuid}", "Read a silence", "silence:read", problems=READS)
async def get_silence(request: Request[Principal, Any, Any], silence_id: FromPath[UUID], services: Services) -> Silence:
    """One silence, over or not."""
    async with services.metadata.open(request.user.scope, "silences.get") as tx:
        found = await silences.get(tx, silence_id)
    return require_found(found, "silence")


@ROUTES.patch("/api/v1/silences/{silence_id:uuid}", "Change a silence", "silence:write", problems=WRITES)
async def change_silence(
    request: Request[Principal, Any, Any],
    silence_id: FromPath[UUID],
    data: JSONBody[SilenceChange],
    services: Services,
) -> Silence:
    """Change when a silence ends, or its comment. To silence something else, end it and make another."""
    return await silencing.change(services.metadata, request.user, silence_id, given(data))


@ROUTES.delete("/api/v1/silences/{silence_id:uuid}", "End a silence", "silence:delete", problems=WRITES)
async def expire_silence(request: Request[Principal, Any, Any], silence_id: FromPath[UUID], services: Services) -> None:
    """End a silence now. It stays in the list for 30 days."""
    await silencing.expire(services.metadata, request.user, silence_id)
