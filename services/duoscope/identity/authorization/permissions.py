"""Permissions, the principal of an API request, and how far its permissions reach: the one place that checks.

A permission is `resource:action`. It is held in one tenant, or organization-wide: in every tenant of the organization,
and for what belongs to the organization (its workspaces, tenants and users). Platform admins also hold the platform's
permissions, and may manage the users, workspaces and tenants of every organization; like everyone else, they can read a
tenant's telemetry only with a role there.

Nothing that a user grants, creates or changes exceeds what they hold, or outlasts it: `require_held` is that rule, and
everything that gives permissions (roles, invitations, API keys, identity providers, restored users) calls it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, Protocol
from uuid import UUID

from duoscope.kernel.actor import Actor, operator
from duoscope.kernel.clock import rfc3339
from duoscope.kernel.errors import DuoscopeError, ErrorKind, not_found
from duoscope.kernel.limits import AUTHENTICATED_AGE_MAX_S
from duoscope.kernel.refs import SessionRef, UserRef
from duoscope.kernel.scope import OrganizationScope, Scope

RESOURCES: Final = (
    *("region", "organization", "workspace", "tenant", "user", "role", "permission", "api-key"),
    *("metric", "log", "trace", "dashboard", "alert", "alert-rule", "notification", "silence"),
    *("uptime-monitor", "agent", "subscription", "audit-log", "identity-provider", "query"),
)
ACTIONS: Final = ("read", "write", "delete", "admin")
PLATFORM_PERMISSIONS: Final = frozenset(
    {"region:write", "region:delete", "region:admin", "organization:delete", "organization:admin"}
)
"""Permissions beyond an organization: no role can contain them."""
ROLE_PERMISSIONS: Final = (
    frozenset(f"{resource}:{action}" for resource in RESOURCES for action in ACTIONS) - PLATFORM_PERMISSIONS
)
"""The permissions that roles can contain."""


_WORKED_ON: Final = ("dashboard", "alert", "alert-rule", "notification", "silence", "uptime-monitor", "agent")
_OF_ADMINS: Final = ("audit-log", "subscription", "identity-provider")
_ABOUT_PEOPLE: Final = ("api-key", "user", "role", "permission", "query")


def _named(resources: Iterable[str], *actions: str) -> frozenset[str]:
    return frozenset(f"{resource}:{action}" for resource in resources for action in actions)


BUILT_IN_ROLES: Final[Mapping[str, frozenset[str]]] = {
    "admin": ROLE_PERMISSIONS,
    "developer": _named((r for r in RESOURCES if r not in _OF_ADMINS), "read")
    | _named(_WORKED_ON, "write", "delete")
    | _named(("metric", "log", "trace"), "write")
    | _named(("query",), "delete"),
    "viewer": _named((r for r in RESOURCES if r not in (*_OF_ADMINS, *_ABOUT_PEOPLE)), "read"),
    "demo": _named(("metric", "log", "trace", "dashboard", "alert", "alert-rule"), "read"),
    "service": _named(("metric", "log", "trace", "alert", "uptime-monitor", "agent"), "read", "write"),
}
"""The permissions of the built-in roles, as the migrations give them to every organization; a test compares."""


Held = Mapping[str, datetime | None]
"""Held permissions, each with its expiry; None: it has none."""
NOW: Final = datetime.min.replace(tzinfo=UTC)
"""The expiry to require for actions that give no permission: it is enough to hold the permission now."""
_SHOWN_MAX: Final = 5


def endless(permissions: Iterable[str]) -> Held:
    """The permissions, held without an expiry."""
    return dict.fromkeys(permissions)


def combined(grants: Iterable[tuple[Iterable[str], datetime | None]]) -> Held:
    """The permissions of several grants together, each with its latest expiry."""
    held: dict[str, datetime | None] = {}
    for permissions, until in grants:
        for permission in permissions:
            known = held.get(permission, NOW)
            held[permission] = None if known is None or until is None else max(known, until)
    return held


def lacking(held: Held, wanted: Iterable[str], until: datetime | None) -> list[str]:
    """The wanted permissions that are not held, or not until then (None: forever), sorted."""
    return sorted(name for name in set(wanted) if not _lasts(held.get(name, NOW), until, is_held=name in held))


def require_held(held: Held, wanted: Iterable[str], until: datetime | None) -> None:
    """Check that nobody gives, creates or acts on more than they hold, nor for longer than they hold it.

    Args:
        held: by the actor, in the place that is acted on.
        wanted: the permissions that are given, or acted on.
        until: when the given permissions expire; None: never; NOW for an action that gives none.

    Raises:
        DuoscopeError: FORBIDDEN `beyond-own-permissions`.
    """
    missing = lacking(held, wanted, until)
    if not missing:
        return
    absent = [name for name in missing if name not in held]
    named = absent or missing
    shown = ", ".join(named[:_SHOWN_MAX]) + (f" and {len(named) - _SHOWN_MAX} more" if len(named) > _SHOWN_MAX else "")
    if absent:
        what = f"This would give, or act on, permissions that you lack there: {shown}."
    else:
        ends = min(end for name in missing if (end := held[name]) is not None)
        what = f"This would outlast what you hold: {shown}, until {rfc3339(ends)}. Give it an end that is no later."
    raise DuoscopeError(ErrorKind.FORBIDDEN, "beyond-own-permissions", what)


def _lasts(end: datetime | None, until: datetime | None, *, is_held: bool) -> bool:
    return is_held and (end is None or (until is not None and until <= end))


class Located(Protocol):
    """A tenant, or something that belongs to one."""

    @property
    def organization_id(self) -> UUID:
        """The organization of the tenant."""
        ...

    @property
    def workspace_id(self) -> UUID:
        """The workspace of the tenant."""
        ...

    @property
    def tenant_id(self) -> UUID:
        """The tenant."""
        ...


@dataclass(frozen=True, slots=True)
class Claims:
    """The content of an access token: user, session and tenant. Permissions are looked up."""

    scope: Scope
    user_id: UUID
    session_id: UUID

    @property
    def session(self) -> SessionRef:
        """The session that the token is of."""
        return SessionRef(self.scope.organization_id, self.user_id, self.session_id)


@dataclass(frozen=True, slots=True)
class Authority:
    """The right to manage users, workspaces and tenants, in a tenant or in a whole organization.

    Attributes:
        scope: to open the metadata store with: row level security restricts the work to it.
        actor: for the audit log.
        actor_organization_id: the actor's own organization, which for a platform admin may be another.
        is_platform_admin: whether the platform itself may be changed.
    """

    scope: Scope | OrganizationScope
    actor: Actor
    actor_organization_id: UUID
    is_platform_admin: bool
    _tenant_id: UUID
    _in_tenant: Held
    _everywhere: Held

    @property
    def whole(self) -> OrganizationScope:
        """The organization as a whole: to compare with what others hold, never for what is returned."""
        return OrganizationScope(self.scope.organization_id)

    @property
    def organization_id(self) -> UUID:
        """The organization of the work."""
        return self.scope.organization_id

    @property
    def workspace_id(self) -> UUID | None:
        """The workspace of the work's tenant; None for work on the organization itself."""
        return self.scope.workspace_id if isinstance(self.scope, Scope) else None

    @property
    def tenant_id(self) -> UUID | None:
        """The tenant of the work; None for work on the organization itself."""
        return self.scope.tenant_id if isinstance(self.scope, Scope) else None

    @property
    def is_organization_wide(self) -> bool:
        """Whether it reaches all of the organization's tenants."""
        return isinstance(self.scope, OrganizationScope)

    def require_place(self, tenant_id: UUID | None) -> None:
        """Check that a tenant's admin works in that tenant only. Raises NOT_FOUND for another, FORBIDDEN for
        organization-wide.
        """
        if self.is_organization_wide or tenant_id == self.tenant_id:
            return
        if tenant_id is not None:
            raise not_found("tenant")
        raise DuoscopeError(
            ErrorKind.FORBIDDEN, "permission-denied", "You hold this permission in this tenant, not organization-wide."
        )

    def held_at(self, tenant_id: UUID | None) -> Held:
        """The permissions held in that tenant, or, for None, organization-wide."""
        return self._in_tenant if tenant_id == self._tenant_id else self._everywhere

    def require_held(
        self, permissions: Iterable[str], tenant_id: UUID | None, *, until: datetime | None = None
    ) -> None:
        """Apply the rule of `require_held` in that tenant or, for None, organization-wide; by default forever.

        Raises:
            DuoscopeError: FORBIDDEN `beyond-own-permissions`.
        """
        require_held(self.held_at(tenant_id), permissions, until)


@dataclass(frozen=True, slots=True)
class Principal:
    """A user at work in one tenant.

    Attributes:
        scope: the tenant.
        user_id: the user.
        session_id: the session; it may work in several tenants of the organization.
        permissions: names such as `log:read` held in the tenant; for a platform admin including the platform's.
        organization_permissions: those of them that are held organization-wide.
        ends: the expiry of permissions that have one.
        organization_ends: the same for those that are held organization-wide.
        own_limits: of the tenant, by name (kernel/query_limits.py).
        is_platform_admin: manages the platform.
        actor: for the audit log.
        lacks_mfa: a second factor is required: only enrolling it, or only showing it, is allowed.
        authenticated_s_ago: since the user last authenticated; None if that is not known.
    """

    scope: Scope
    user_id: UUID
    session_id: UUID
    permissions: frozenset[str]
    organization_permissions: frozenset[str] = frozenset()
    is_platform_admin: bool = False
    actor: Actor = field(default_factory=lambda: Actor(None, "", "system"))
    lacks_mfa: Literal["enrol", "show"] | None = None
    authenticated_s_ago: float | None = None
    ends: Mapping[str, datetime] = field(default_factory=dict[str, datetime], hash=False)
    organization_ends: Mapping[str, datetime] = field(default_factory=dict[str, datetime], hash=False)
    own_limits: Mapping[str, int] = field(default_factory=dict[str, int], hash=False)

    @property
    def user(self) -> UserRef:
        """The user."""
        return UserRef(self.scope.organization_id, self.user_id)

    @property
    def session(self) -> SessionRef:
        """The session that the request is of."""
        return self.user.session(self.session_id)

    @property
    def held(self) -> Held:
        """The permissions held in its tenant, with their expiry."""
        return {name: self.ends.get(name) for name in self.permissions}

    @property
    def held_organization_wide(self) -> Held:
        """The permissions held organization-wide, with their expiry."""
        return {name: self.organization_ends.get(name) for name in self.organization_permissions}

    @property
    def organization(self) -> OrganizationScope:
        """The organization as a whole: to find the principal's own tenants in it, and nobody else's."""
        return OrganizationScope(self.scope.organization_id)

    def has(self, permission: str) -> bool:
        """Whether it holds the permission in its tenant."""
        return permission in self.permissions

    def require(self, permission: str) -> None:
        """Raise FORBIDDEN `permission-denied` unless it holds the permission in its tenant."""
        if permission not in self.permissions:
            raise _denied(permission)

    def require_recent(self) -> None:
        """Raise FORBIDDEN `reauthentication-required` unless the user authenticated recently."""
        if self.authenticated_s_ago is None or self.authenticated_s_ago > AUTHENTICATED_AGE_MAX_S:
            raise DuoscopeError(
                ErrorKind.FORBIDDEN,
                "reauthentication-required",
                f"This needs a login within the last {AUTHENTICATED_AGE_MAX_S // 60} minutes. Show again who you "
                "are, at POST /api/v1/auth/reauthenticate with your password or a code, or by logging in anew through "
                "your identity provider with fresh=true; then repeat this with the new access token.",
            )

    def over(self, permission: str, organization_id: UUID | None = None) -> Authority:
        """The authority as far as the permission reaches: the whole organization if it is held organization-wide, else
        the tenant.

        Args:
            permission: the required permission.
            organization_id: the organization, if it is not the principal's own.

        Raises:
            DuoscopeError: FORBIDDEN `permission-denied`; NOT_FOUND for an organization that is not the principal's,
                unless it is a platform admin.
        """
        own = self.scope.organization_id
        meant = organization_id or own
        if self.is_platform_admin:
            here = endless(ROLE_PERMISSIONS)
            scope = OrganizationScope(meant)
            return Authority(scope, self.actor, own, True, self.scope.tenant_id, here, here)  # noqa: FBT003
        if meant != own:
            raise not_found("organization")
        if permission in self.organization_permissions:
            scope = OrganizationScope(own)
        else:
            self.require(permission)
            scope = self.scope
        return Authority(
            scope,
            self.actor,
            own,
            False,  # noqa: FBT003
            self.scope.tenant_id,
            self.held,
            self.held_organization_wide,
        )

    def over_organization(self, permission: str, organization_id: UUID | None = None) -> Authority:
        """Like `over`, for what belongs to the organization. Raises FORBIDDEN unless it is held organization-wide."""
        authority = self.over(permission, organization_id)
        if not authority.is_organization_wide:
            raise DuoscopeError(
                ErrorKind.FORBIDDEN,
                "permission-denied",
                f"This needs the permission {permission} organization-wide; you hold it in this tenant only.",
            )
        return authority

    def require_platform_admin(self) -> None:
        """Raise FORBIDDEN `permission-denied` unless it is a platform admin."""
        if not self.is_platform_admin:
            raise DuoscopeError(ErrorKind.FORBIDDEN, "permission-denied", "Only platform admins can do this.")


def scopes_of(organization_id: UUID, found: Iterable[Located]) -> list[Scope]:
    """The scopes of tenants in which a user holds a permission (access.py), all of one organization."""
    scopes = [Scope(place.organization_id, place.workspace_id, place.tenant_id) for place in found]
    if any(scope.organization_id != organization_id for scope in scopes):
        raise ValueError("a tenant of another organization")
    return scopes


def _denied(permission: str) -> DuoscopeError:
    return DuoscopeError(
        ErrorKind.FORBIDDEN, "permission-denied", f"This needs the permission {permission}, which you do not have."
    )


def operator_over(organization_id: UUID) -> Authority:
    """The authority of an operator, who can reach the database and so holds everything: for `duoscope admin` alone."""
    return Authority(
        OrganizationScope(organization_id),
        operator(),
        organization_id,
        True,  # noqa: FBT003
        organization_id,
        endless(ROLE_PERMISSIONS),
        endless(ROLE_PERMISSIONS),
    )
