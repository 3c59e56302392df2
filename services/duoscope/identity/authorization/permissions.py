"""What may be permitted, who a request to the API acts as, and how far that reaches: the one place that checks.

A permission is `resource:action`. It is held in one tenant, or organization-wide: in every tenant of the organization,
and in what is the organization's own (its workspaces, its tenants, its people). Platform admins hold the platform's
permissions besides, and may manage the people and places of every organization; the telemetry of a tenant they read
only where they hold a role, like everybody else.

Nothing that somebody grants, makes or changes exceeds what they hold, or outlasts it: `require_held` is that rule, and
whatever gives power (roles, invitations, API keys, identity providers, people taken back) asks it.
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


Held = Mapping[str, datetime | None]
"""Permissions that somebody holds, each with the time at which that ends; None: it has no end."""
NOW: Final = datetime.min.replace(tzinfo=UTC)
"""As the end of what is asked for: power over what is there, which gives nothing, so that holding it now is enough."""
_SHOWN_MAX: Final = 5


def endless(permissions: Iterable[str]) -> Held:
    """The permissions, held without an end."""
    return dict.fromkeys(permissions)


def combined(grants: Iterable[tuple[Iterable[str], datetime | None]]) -> Held:
    """What several grants give together: of each permission the latest end."""
    held: dict[str, datetime | None] = {}
    for permissions, until in grants:
        for permission in permissions:
            known = held.get(permission, NOW)
            held[permission] = None if known is None or until is None else max(known, until)
    return held


def lacking(held: Held, wanted: Iterable[str], until: datetime | None) -> list[str]:
    """Those of the wanted permissions that are not held, or not until then (None: for ever), sorted."""
    return sorted(name for name in set(wanted) if not _lasts(held.get(name, NOW), until, is_held=name in held))


def require_held(held: Held, wanted: Iterable[str], until: datetime | None) -> None:
    """Nobody gives, makes or has power over more than they hold, nor for longer than they hold it.

    Args:
        held: by whoever acts, in the place that is acted on.
        wanted: the permissions that are given, or acted on.
        until: when what is given ends; None: never; NOW for power that gives nothing.

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

    @property
    def session(self) -> SessionRef:
        """The session that the token is of."""
        return SessionRef(self.scope.organization_id, self.user_id, self.session_id)


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
    _in_tenant: Held
    _everywhere: Held

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

    def held_at(self, tenant_id: UUID | None) -> Held:
        """The permissions held in that tenant, or, for None, organization-wide."""
        return self._in_tenant if tenant_id == self._tenant_id else self._everywhere

    def require_held(
        self, permissions: Iterable[str], tenant_id: UUID | None, *, until: datetime | None = None
    ) -> None:
        """The rule of `require_held`, in that tenant or, for None, organization-wide; for ever unless told otherwise.

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
        permissions: names such as `log:read` that hold in the tenant; a platform admin's with the platform's.
        organization_permissions: those of them that are held organization-wide.
        ends: when the permissions end that are held until a date; the others have no end.
        organization_ends: the same, of those that are held organization-wide.
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
    ends: Mapping[str, datetime] = field(default_factory=dict[str, datetime], hash=False)
    organization_ends: Mapping[str, datetime] = field(default_factory=dict[str, datetime], hash=False)

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
        """What it holds in its tenant, and until when."""
        return {name: self.ends.get(name) for name in self.permissions}

    @property
    def held_organization_wide(self) -> Held:
        """What it holds organization-wide, and until when."""
        return {name: self.organization_ends.get(name) for name in self.organization_permissions}

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
        endless(ROLE_PERMISSIONS),
        endless(ROLE_PERMISSIONS),
    )
