"""What may be permitted, who a request to the API acts as, and how far that reaches: the one place that checks.

A permission is `resource:action`. It is held in one tenant, or organization-wide: in every tenant of the organization,
and in what is the organization's own (its workspaces, its tenants, its people). Platform admins hold the platform's
permissions besides, and may manage the people and places of every organization; the telemetry of a tenant they read
only where they hold a role, like everybody else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol
from uuid import UUID

from duoscope.kernel.actor import Actor, operator
from duoscope.kernel.errors import DuoscopeError, ErrorKind, not_found
from duoscope.kernel.limits import AUTHENTICATED_AGE_MAX_S
from duoscope.kernel.scope import OrganizationScope, Scope

RESOURCES: Final = (
    *("region", "organization", "workspace", "tenant", "user", "role", "permission", "api-key"),
    *("metric", "log", "trace", "dashboard", "alert", "alert-rule", "notification", "silence"),
    *("uptime-monitor", "agent", "subscription", "audit-log", "identity-provider"),
)
ACTIONS: Final = ("read", "write", "delete", "admin")
PLATFORM_PERMISSIONS: Final = frozenset(
    {"region:write", "region:delete", "region:admin", "organization:delete", "organization:admin"}
)
"""Reach beyond an organization: no role can carry them."""
ROLE_PERMISSIONS: Final = (
    frozenset(f"{resource}:{action}" for resource in RESOURCES for action in ACTIONS) - PLATFORM_PERMISSIONS
)
"""What roles are made of."""


_WORKED_ON: Final = ("dashboard", "alert", "alert-rule", "notification", "silence", "uptime-monitor", "agent")
_OF_ADMINS: Final = ("audit-log", "subscription", "identity-provider")


def _named(resources: Iterable[str], *actions: str) -> frozenset[str]:
    return frozenset(f"{resource}:{action}" for resource in resources for action in actions)


BUILT_IN_ROLES: Final[Mapping[str, frozenset[str]]] = {
    "admin": ROLE_PERMISSIONS,
    "developer": _named((r for r in RESOURCES if r not in _OF_ADMINS), "read")
    | _named(_WORKED_ON, "write", "delete")
    | _named(("metric", "log", "trace"), "write"),
    "viewer": _named((r for r in RESOURCES if r not in (*_OF_ADMINS, "api-key", "user", "role", "permission")), "read"),
    "demo": _named(("metric", "log", "trace", "dashboard", "alert", "alert-rule"), "read"),
    "service": _named(("metric", "log", "trace", "alert", "uptime-monitor", "agent"), "read", "write"),
}
"""What the built-in roles hold, as the migrations give it to every organization; a test compares."""


class Located(Protocol):
    """A tenant, or something of one."""

    @property
    def organization_id(self) -> UUID:
        """Its organization."""
        ...

    @property
    def workspace_id(self) -> UUID:
        """Its workspace."""
        ...

    @property
    def tenant_id(self) -> UUID:
        """The tenant."""
        ...


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says: who, in which session, in which tenant. What they may do is looked up."""

    scope: Scope
    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Authority:
    """Leave to manage people and places, in a tenant or in a whole organization.

    Attributes:
        scope: what to open the metadata store with: row level security holds the work to it.
        actor: for the audit log.
        actor_organization_id: the organization that the actor is of, which for a platform admin may be another.
        is_platform_admin: whether the platform itself may be touched.
    """

    scope: Scope | OrganizationScope
    actor: Actor
    actor_organization_id: UUID
    is_platform_admin: bool
    _tenant_id: UUID
    _in_tenant: frozenset[str]
    _everywhere: frozenset[str]

    @property
    def whole(self) -> OrganizationScope:
        """The organization as a whole: for comparing with what others hold, never for what is answered."""
        return OrganizationScope(self.scope.organization_id)

    @property
    def organization_id(self) -> UUID:
        """The organization that the work is in."""
        return self.scope.organization_id

    @property
    def workspace_id(self) -> UUID | None:
        """The workspace of the tenant that the work is in; None for the organization's own."""
        return self.scope.workspace_id if isinstance(self.scope, Scope) else None

    @property
    def tenant_id(self) -> UUID | None:
        """The tenant that the work is in; None for the organization's own."""
        return self.scope.tenant_id if isinstance(self.scope, Scope) else None

    @property
    def is_organization_wide(self) -> bool:
        """Whether it reaches all of the organization's tenants."""
        return isinstance(self.scope, OrganizationScope)

    def require_place(self, tenant_id: UUID | None) -> None:
        """A tenant's admin works in that tenant only: NOT_FOUND for another, FORBIDDEN for organization-wide."""
        if self.is_organization_wide or tenant_id == self.tenant_id:
            return
        if tenant_id is not None:
            raise not_found("tenant")
        raise DuoscopeError(
            ErrorKind.FORBIDDEN, "permission-denied", "You hold this permission in this tenant, not organization-wide."
        )

    def held_at(self, tenant_id: UUID | None) -> frozenset[str]:
        """The permissions held in that tenant, or, for None, organization-wide."""
        return self._in_tenant if tenant_id == self._tenant_id else self._everywhere

    def require_held(self, permissions: frozenset[str], tenant_id: UUID | None) -> None:
        """Nobody gives, or has power over, more than they hold.

        Raises:
            DuoscopeError: FORBIDDEN `beyond-own-permissions`.
        """
        missing = sorted(permissions - self.held_at(tenant_id))
        if missing:
            shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")  # noqa: PLR2004
            raise DuoscopeError(
                ErrorKind.FORBIDDEN,
                "beyond-own-permissions",
                f"This would give, or act on, permissions that you lack there: {shown}.",
            )


@dataclass(frozen=True, slots=True)
class Principal:
    """A user at work in one tenant.

    Attributes:
        scope: the tenant.
        user_id: the user.
        session_id: the session; it may work in several tenants of the organization.
        permissions: names such as `log:read` that hold in the tenant; a platform admin's with the platform's.
        organization_permissions: those of them that are held organization-wide.
        is_platform_admin: manages the platform.
        actor: who that is for the audit log, and from where.
        lacks_mfa: a second factor is wanted: only enrolling one is open, or only showing it.
        authenticated_s_ago: since the user showed who they are; None where nobody knows.
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

    @property
    def organization(self) -> OrganizationScope:
        """The organization as a whole: to find the principal's own places in it, and nobody else's."""
        return OrganizationScope(self.scope.organization_id)

    def has(self, permission: str) -> bool:
        """Whether it holds the permission in its tenant."""
        return permission in self.permissions

    def require(self, permission: str) -> None:
        """FORBIDDEN `permission-denied` unless it holds the permission in its tenant."""
        if permission not in self.permissions:
            raise _denied(permission)

    def require_recent(self) -> None:
        """FORBIDDEN `reauthentication-required` unless the user showed lately who they are."""
        if self.authenticated_s_ago is None or self.authenticated_s_ago > AUTHENTICATED_AGE_MAX_S:
            raise DuoscopeError(
                ErrorKind.FORBIDDEN,
                "reauthentication-required",
                f"This asks for a login of the last {AUTHENTICATED_AGE_MAX_S // 60} minutes. Show once more who you "
                "are, at POST /api/v1/auth/reauthenticate with your password or a code, or by logging in anew through "
                "your identity provider with fresh=true; then repeat this with the new access token.",
            )

    def over(self, permission: str, organization_id: UUID | None = None) -> Authority:
        """As far as the permission reaches: the whole organization if it is held organization-wide, else the tenant.

        Args:
            permission: what is asked for.
            organization_id: the organization meant, where it is not the principal's own.

        Raises:
            DuoscopeError: FORBIDDEN `permission-denied`; NOT_FOUND for an organization that is not the principal's,
                unless it is a platform admin.
        """
        own = self.scope.organization_id
        meant = organization_id or own
        if self.is_platform_admin:
            here = ROLE_PERMISSIONS
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
            self.permissions,
            self.organization_permissions,
        )

    def over_organization(self, permission: str, organization_id: UUID | None = None) -> Authority:
        """Like `over`, for what is the organization's own: FORBIDDEN unless it is held organization-wide."""
        authority = self.over(permission, organization_id)
        if not authority.is_organization_wide:
            raise DuoscopeError(
                ErrorKind.FORBIDDEN,
                "permission-denied",
                f"This needs the permission {permission} organization-wide; you hold it in this tenant only.",
            )
        return authority

    def require_platform_admin(self) -> None:
        """FORBIDDEN `permission-denied` for everybody else."""
        if not self.is_platform_admin:
            raise DuoscopeError(ErrorKind.FORBIDDEN, "permission-denied", "This is for the platform's admins.")


def scopes_of(organization_id: UUID, found: Iterable[Located]) -> list[Scope]:
    """Those of tenants in which somebody was found to hold what is asked for (access.py), all of one organization."""
    scopes = [Scope(place.organization_id, place.workspace_id, place.tenant_id) for place in found]
    if any(scope.organization_id != organization_id for scope in scopes):
        raise ValueError("a tenant of another organization")
    return scopes


def _denied(permission: str) -> DuoscopeError:
    return DuoscopeError(
        ErrorKind.FORBIDDEN, "permission-denied", f"This needs the permission {permission}, which you lack."
    )


def operator_over(organization_id: UUID) -> Authority:
    """Somebody at the command line, who can reach the database and so holds everything: for `duoscope admin` alone."""
    return Authority(
        OrganizationScope(organization_id),
        operator(),
        organization_id,
        True,  # noqa: FBT003
        organization_id,
        ROLE_PERMISSIONS,
        ROLE_PERMISSIONS,
    )
