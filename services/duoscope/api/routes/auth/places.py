"""The tenants in which the user of a session may work, and switching to one without logging in again."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.params import JSONBody
from msgspec import Meta, Struct

from duoscope.api.bodies import Services
from duoscope.api.routing import Routes
from duoscope.identity.authentication.access_tokens import ACCESS_LIFETIME_S
from duoscope.identity.authorization.permissions import Principal
from duoscope.metadata.permissions import Place

ROUTES: Final = Routes("auth")


class Places(Struct, frozen=True):
    """All tenants in which the user holds a role."""

    items: list[Place]


class Switch(Struct, forbid_unknown_fields=True):
    """The tenant to work in."""

    tenant_id: UUID


class Switched(Struct, frozen=True):
    """An access token of the same session for another tenant. Refreshing goes on as before."""

    access_token: Annotated[str, Meta(description="Send as `Authorization: Bearer <access_token>`.")]
    token_type: Annotated[str, Meta(examples=["Bearer"])]
    expires_in: Annotated[int, Meta(description="Lifetime of the access token in seconds.", examples=[900])]


@ROUTES.get("/api/v1/auth/tenants", "List your tenants", problems=(401, 503))
async def list_places(request: Request[Principal, Any, Any], services: Services) -> Places:
    """The active tenants in which you hold a role, there or organization-wide."""
    return Places(await services.access.places(request.user))


@ROUTES.post("/api/v1/auth/switch", "Switch to another tenant", problems=(400, 401, 404, 503), status_code=200)
async def switch(request: Request[Principal, Any, Any], data: JSONBody[Switch], services: Services) -> Switched:
    """Get an access token for another tenant of your organization, in the same session. 404 if you hold no role
    there.
    """
    grant = await services.access.grant(request.user, data.tenant_id)
    token = services.tokens.issue(grant, user_id=request.user.user_id, session_id=request.user.session_id)
    return Switched(token, "Bearer", ACCESS_LIFETIME_S)
