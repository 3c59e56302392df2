"""Users. Invitations create them; their permissions are in /roles below each user."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from litestar import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from duoscope.api import listing
from duoscope.api.bodies import Change, LastName, PersonName, Services, ShortText, given, shown
from duoscope.api.listing import ActiveFilter, DeletedFilter, NameFilter, OrganizationParameter, PagingDependency
from duoscope.api.routing import READS, WRITES, Routes
from duoscope.identity.authorization.permissions import Principal
from duoscope.identity.directory import roles
from duoscope.identity.directory import users as people
from duoscope.kernel.errors import invalid, require_found
from duoscope.metadata import user_roles, users
from duoscope.metadata.users import User

ROUTES: Final = Routes("users")
VIEWS_MAX: Final = 20
"""Views that one user keeps; with their paths, they fit what settings may have."""


class UserPage(Struct, frozen=True):
    """One page of users, and the cursor of the next page."""

    items: list[User]
    next_cursor: str | None


class ProfileChange(Change):
    """The fields that users change of themselves."""

    first_name: PersonName | UnsetType = UNSET
    last_name: LastName | UnsetType = UNSET
    avatar_url: Annotated[ShortText, Meta(examples=["https://shop.example.com/ada.png"])] | UnsetType = UNSET
    timezone: Annotated[ShortText, Meta(examples=["Europe/London"])] | UnsetType = UNSET
    language: Annotated[ShortText, Meta(examples=["en"])] | UnsetType = UNSET


class SavedView(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of the UI with its query and range, kept under a name."""

    tenant_id: UUID
    name: Annotated[str, Meta(min_length=1, max_length=80, examples=["Failed checkouts"])]
    path: Annotated[
        str,
        Meta(
            max_length=2048,
            pattern=r"^[a-z]+[a-z/]*(\?[!-~]*)?$",
            description="Below the tenant's address: a page, and what stands behind its `?`.",
            examples=["traces?q=service%3Acheckout+status%3Aerror&range=6h"],
        ),
    ]


SavedViews = Annotated[list[SavedView], Meta(max_length=VIEWS_MAX, description="Of all tenants, as they were kept.")]


class UserSettings(Struct, frozen=True):
    """The choices of a user in the UI."""

    theme: Annotated[Literal["system", "light", "dark"], Meta(description="`system`: like that of the machine.")] = (
        "system"
    )
    single_keys: Annotated[bool, Meta(description="Whether keys without Ctrl do something.")] = True
    views: SavedViews = []


class SettingsChange(Change):
    """The settings to change; the others stay."""

    theme: Literal["system", "light", "dark"] | UnsetType = UNSET
    single_keys: bool | UnsetType = UNSET
    views: SavedViews | UnsetType = UNSET


class Profile(User, frozen=True, kw_only=True):
    """A user as they see themselves."""

    settings: UserSettings


class OwnChange(ProfileChange):
    """The fields that users change of themselves, and their settings."""

    settings: SettingsChange | UnsetType = UNSET


class UserChange(ProfileChange):
    """The fields that admins change of a user."""

    is_active: (
        Annotated[bool, Meta(description="False: the user cannot log in, and their sessions end.")] | UnsetType
    ) = UNSET
    is_platform_admin: Annotated[bool, Meta(description="Only platform admins can change it.")] | UnsetType = UNSET


class UserRole(Struct, frozen=True):
    """A role that a user holds."""

    user_role_id: UUID
    user_id: UUID
    role_id: UUID
    role_name: Annotated[str, Meta(examples=["developer"])]
    organization_id: UUID
    workspace_id: UUID | None
    tenant_id: Annotated[UUID | None, Meta(description="Tenant of the role; null for organization-wide.")]
    assigned_at: datetime
    expires_at: datetime | None
    permissions: Annotated[tuple[str, ...], Meta(examples=[["log:read"]])]


class UserRolePage(Struct, frozen=True):
    """One page of a user's roles, and the cursor of the next page."""

    items: list[UserRole]
    next_cursor: str | None


ExpiresAt = Annotated[
    datetime | None, Meta(description="When it expires; null for never.", examples=["2030-01-31T12:00:00Z"])
]


class NewUserRole(Struct, forbid_unknown_fields=True):
    """A role to be given."""

    role_id: UUID
    tenant_id: Annotated[UUID | None, Meta(description="Tenant of the role; by default that of the access token.")] = (
        None
    )
    organization_wide: Annotated[bool, Meta(description="In every tenant, including future ones.")] = False
    expires_at: ExpiresAt = None


class UserRoleChange(Struct, forbid_unknown_fields=True):
    """A new expiry."""

    expires_at: ExpiresAt


@ROUTES.get("/api/v1/users", "List users", "user:read", problems=READS)
async def list_users(
    request: Request[Principal, Any, Any],
    services: Services,
    paging: PagingDependency,
    *,
    email: Annotated[str | None, QueryParameter(max_length=254, description="Part of the address.")] = None,
    name: NameFilter = None,
    tenant_id: Annotated[
        UUID | None, QueryParameter(description="Users whose home it is, or who have a role there.")
    ] = None,
    role_id: Annotated[UUID | None, QueryParameter(description="Holders of this role.")] = None,
    is_active: ActiveFilter = None,
    deleted: DeletedFilter = False,
    organization_id: OrganizationParameter = None,
) -> UserPage:
    """List the users of the tenant; all of the organization, if you hold user:read organization-wide.

    Sorts: created_at, email, last_name, first_name.
    """
    authority = request.user.over("user:read", organization_id)
    filters = {
        "email": email,
        "name": name,
        "tenant_id": tenant_id,
        "role_id": role_id,
        "is_active": is_active,
        "deleted": deleted,
    }
    async with services.metadata.open(authority.scope, "users.list") as tx:
        return UserPage(*await listing.page(tx, users.LISTING, paging, filters, answer=User))


@ROUTES.get("/api/v1/users/{user_id:uuid}", "Read a user", "user:read", problems=READS)
async def get_user(
    request: Request[Principal, Any, Any],
    user_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> User:
    """One user, deleted or not."""
    authority = request.user.over("user:read", organization_id)
    async with services.metadata.open(authority.scope, "users.get") as tx:
        found = await users.find(tx, user_id)
    return require_found(found, "user")


@ROUTES.get("/api/v1/users/me", "Read your profile", problems=(401, 503))
async def get_me(request: Request[Principal, Any, Any], services: Services) -> Profile:
    """Your own profile, and your settings: those that you never changed have their usual values."""
    return _profile(*await people.own_profile(services.metadata, request.user))


@ROUTES.patch("/api/v1/users/me", "Change your profile", problems=(400, 401, 503))
async def change_me(request: Request[Principal, Any, Any], data: JSONBody[OwnChange], services: Services) -> Profile:
    """Change your own name, picture, time zone, language and settings. What is not given keeps its value."""
    changes = given(data)
    settings = given(changes.pop("settings")) if "settings" in changes else {}
    chosen: dict[str, Any] = msgspec.to_builtins(settings)
    return _profile(*await people.change_own_profile(services.metadata, request.user, changes, chosen))


def _profile(user: User, settings: dict[str, Any]) -> Profile:
    # Settings of a newer duoscope, or of none any more, are left out.
    return Profile(**msgspec.structs.asdict(user), settings=msgspec.convert(settings, UserSettings))


@ROUTES.patch("/api/v1/users/{user_id:uuid}", "Change a user", "user:write", problems=WRITES)
async def change_user(
    request: Request[Principal, Any, Any],
    user_id: FromPath[UUID],
    data: JSONBody[UserChange],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> User:
    """Change a user. You must hold everything that the user holds. The last admin stays active. Fields that are not
    given keep their values.
    """
    authority = request.user.over("user:write", organization_id)
    return await people.change(services.metadata, authority, user_id, given(data))


@ROUTES.delete("/api/v1/users/{user_id:uuid}", "Delete a user", "user:delete", problems=WRITES)
async def delete_user(
    request: Request[Principal, Any, Any],
    user_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> None:
    """Delete a user: their access ends at once. The last admin stays. A user can be restored for 90 days."""
    authority = request.user.over("user:delete", organization_id)
    await people.delete(services.metadata, authority, user_id)


@ROUTES.post("/api/v1/users/{user_id:uuid}/restore", "Restore a user", "user:delete", problems=WRITES, status_code=200)
async def restore_user(
    request: Request[Principal, Any, Any],
    user_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> User:
    """Restore a deleted user, with their previous roles. Refused while another user has the address."""
    authority = request.user.over("user:delete", organization_id)
    return await people.restore(services.metadata, authority, user_id, quota=services.quota)


@ROUTES.get("/api/v1/users/{user_id:uuid}/roles", "List the roles of a user", "user:read", problems=READS)
async def list_user_roles(
    request: Request[Principal, Any, Any],
    user_id: FromPath[UUID],
    services: Services,
    paging: PagingDependency,
    *,
    tenant_id: Annotated[UUID | None, QueryParameter(description="Roles held in this tenant.")] = None,
    role_id: Annotated[UUID | None, QueryParameter(description="Assignments of this role.")] = None,
    organization_id: OrganizationParameter = None,
) -> UserRolePage:
    """List a user's roles in the tenant and organization-wide; everywhere, if you hold user:read organization-wide.
    Sort: assigned_at.
    """
    authority = request.user.over("user:read", organization_id)
    filters = {"user_id": user_id, "tenant_id": tenant_id, "role_id": role_id}
    async with services.metadata.open(authority.scope, "user_roles.list") as tx:
        require_found(await users.find(tx, user_id), "user")
        return UserRolePage(*await listing.page(tx, user_roles.LISTING, paging, filters, answer=UserRole))


@ROUTES.post("/api/v1/users/{user_id:uuid}/roles", "Give a user a role", "user:admin", problems=WRITES)
async def assign_role(
    request: Request[Principal, Any, Any],
    user_id: FromPath[UUID],
    data: JSONBody[NewUserRole],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> UserRole:
    """Give a user a role, at once. You must hold all its permissions in that place."""
    if data.organization_wide and data.tenant_id is not None:
        raise invalid("Give tenant_id or organization_wide, not both.")
    authority = request.user.over("user:admin", organization_id)
    place = None if data.organization_wide else data.tenant_id or request.user.scope.tenant_id
    made = await roles.assign(
        services.metadata, authority, user_id, role_id=data.role_id, tenant_id=place, expires_at=data.expires_at
    )
    return shown(made, UserRole)


@ROUTES.patch(
    "/api/v1/users/{user_id:uuid}/roles/{user_role_id:uuid}",
    "Move the end of a user's role",
    "user:admin",
    problems=WRITES,
)
async def change_user_role(  # noqa: PLR0917 - path, body and query
    request: Request[Principal, Any, Any],
    user_id: FromPath[UUID],
    user_role_id: FromPath[UUID],
    data: JSONBody[UserRoleChange],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> UserRole:
    """Change the expiry of a user's role; null removes it. The last admin's role cannot get one."""
    authority = request.user.over("user:admin", organization_id)
    changed = await roles.set_expiry(
        services.metadata, authority, user_id=user_id, user_role_id=user_role_id, expires_at=data.expires_at
    )
    return shown(changed, UserRole)


@ROUTES.delete(
    "/api/v1/users/{user_id:uuid}/roles/{user_role_id:uuid}", "Take a role from a user", "user:admin", problems=WRITES
)
async def take_role(
    request: Request[Principal, Any, Any],
    user_id: FromPath[UUID],
    user_role_id: FromPath[UUID],
    services: Services,
    organization_id: OrganizationParameter = None,
) -> None:
    """Take a role away from a user, at once. The last admin keeps the role."""
    authority = request.user.over("user:admin", organization_id)
    await roles.take(services.metadata, authority, user_id=user_id, user_role_id=user_role_id)
