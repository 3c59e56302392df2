"""Invitations by e-mail: how users join an organization, or one of its tenants, with the roles they get.

Only the message contains the token, which works once and for INVITATION_LIFETIME_S; resending makes a new one. The
sender must hold everything that the roles give, for as long, when the invitation is sent and still when it is accepted:
an invitation kept in reserve does not outlive its sender's permissions. Only the reader of an address's mail learns
whether it has an account elsewhere.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import Meta, Struct

from duoscope.delivery.mail import Mailer
from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import Authority, combined, lacking
from duoscope.identity.directory.organization_limits import DEFAULT_QUOTA, Quota
from duoscope.identity.directory.roles import assignable, check_expiry, workspace_of
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.identity.passwords.rules import PasswordRules
from duoscope.kernel.actor import Actor
from duoscope.kernel.clock import now
from duoscope.kernel.errors import DuoscopeError, ErrorKind, invalid, require_found
from duoscope.kernel.refs import UserRef
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import invitations, organizations, roles, tenants, user_roles, users
from duoscope.metadata.invitations import Invitation
from duoscope.metadata.roles import Role
from duoscope.metadata.users import User
from duoscope.stores.postgres import MetadataStore, Transaction

INVITATION_LIFETIME_S: Final = 7 * 24 * 3600
ROLES_MAX: Final = 20
_ACCEPTING: Final = PlatformScope(reason="an invitation's token names no organization")
_TOKEN: Final = re.compile(r"tfi-[A-Za-z0-9_-]{43}")


class NewMember(Struct, frozen=True):
    """The new member; log in with the address and the chosen password."""

    user_id: UUID
    email: str
    organization_id: UUID
    tenant_id: Annotated[UUID | None, Meta(description="Null for an organization-wide invitation.")]
    is_new_user: Annotated[bool, Meta(description="False: the account existed and keeps its name and password.")]


@dataclass(frozen=True, slots=True)
class Sent:
    """An invitation and its link, which only the message may contain."""

    invitation: Invitation
    link: str = field(repr=False)


class Invitations:
    """Sends, resends and revokes invitations, and accepts them."""

    def __init__(
        self,
        store: MetadataStore,
        mailer: Mailer,
        hasher: SlowHasher,
        *,
        public_url: str,
        rules: PasswordRules | None = None,
        quota: Quota = DEFAULT_QUOTA,
    ) -> None:
        self._store = store
        self._mailer = mailer
        self._hasher = hasher
        self._rules = rules or PasswordRules()
        self._quota = quota
        self._public_url = public_url.rstrip("/")

    async def create(
        self,
        authority: Authority,
        *,
        email: str,
        role_ids: list[UUID],
        tenant_id: UUID | None,
        roles_expire_at: datetime | None = None,
        needs_mail: bool = True,
    ) -> Sent:
        """Invite an address to a tenant, or, without one, to the organization; a platform admin may invite to any of
        them.

        The roles are given until `roles_expire_at`, or without an expiry.

        Raises:
            DuoscopeError: FORBIDDEN `beyond-own-permissions`; NOT_FOUND for roles and tenant; INVALID for the address
                or an expiry in the past; CONFLICT `mail-not-configured`, `user-exists`, or `invitation-exists` for an
                address with an open one.
        """
        if needs_mail:
            self._mailer.require()
        email = users.check_email(email)
        if not role_ids:
            raise invalid("role_ids: an invitation gives at least one role.")
        check_expiry(roles_expire_at)
        authority.require_place(tenant_id)
        token = _new_token()
        async with self._store.open(authority.scope, "invitations.create") as tx:
            organization = require_found(await organizations.get(tx, authority.organization_id), "organization")
            given = [
                await assignable(tx, authority, role_id, tenant_id=tenant_id, until=roles_expire_at)
                for role_id in dict.fromkeys(role_ids)
            ]
            if await users.has_email(tx, email):
                raise DuoscopeError(
                    ErrorKind.CONFLICT,
                    "user-exists",
                    "This address already has an account here; give that user the role.",
                )
            await self._quota.require_room(tx, authority.organization_id, "invitations")
            await self._quota.require_room(tx, authority.organization_id, "users")
            made = await invitations.create(
                tx,
                organization_id=authority.organization_id,
                workspace_id=await workspace_of(tx, tenant_id),
                tenant_id=tenant_id,
                email=email,
                roles=given,
                token_hash=_hash(token),
                lifetime_s=INVITATION_LIFETIME_S,
                invited_by=_inviter(authority),
                roles_expire_at=roles_expire_at,
            )
            await self._send(tx, made, organization.name, given, token)
            await audit.record(tx, authority.actor, "invitation.created", made, after=_summary(made))
        return Sent(made, self._link(token))

    async def resend(self, authority: Authority, invitation_id: UUID, *, needs_mail: bool = True) -> Sent:
        """Send an invitation again, also an expired one, with a new token, which invalidates the previous one, and a
        new lifetime.

        Raises:
            DuoscopeError: NOT_FOUND; CONFLICT `invitation-closed`, `mail-not-configured` or
                `organization-limit-reached`; FORBIDDEN.
        """
        if needs_mail:
            self._mailer.require()
        token = _new_token()
        async with self._store.open(authority.scope, "invitations.resend") as tx:
            before = await _lock_open(tx, invitation_id)
            organization = await organizations.get(tx, authority.organization_id)
            assert organization is not None
            until = before.roles_expire_at
            check_expiry(until)
            given = [
                await assignable(tx, authority, each, tenant_id=before.tenant_id, until=until)
                for each in before.role_ids
            ]
            if before.status == "expired":
                await self._quota.require_room(tx, authority.organization_id, "invitations")
            renewed = await invitations.renew(
                tx,
                invitation_id,
                token_hash=_hash(token),
                lifetime_s=INVITATION_LIFETIME_S,
                invited_by=_inviter(authority),
            )
            await self._send(tx, renewed, organization.name, given, token)
            await audit.record(tx, authority.actor, "invitation.resent", renewed, after=_summary(renewed))
        return Sent(renewed, self._link(token))

    async def revoke(self, authority: Authority, invitation_id: UUID) -> None:
        """Revoke an invitation. Raises NOT_FOUND, or CONFLICT `invitation-closed`."""
        async with self._store.open(authority.scope, "invitations.revoke") as tx:
            found = await _lock_open(tx, invitation_id)
            await invitations.revoke(tx, invitation_id)
            await audit.record(tx, authority.actor, "invitation.revoked", found, before=_summary(found))

    async def accept(self, actor: Actor, token: str, *, first_name: str, last_name: str, password: str) -> NewMember:
        """Create the user, with the name and password they choose, and give the roles.

        A user who already has an account in the organization keeps name and password and gets the roles.

        Raises:
            DuoscopeError: INVALID `invitation-invalid`, the same for unknown, used, revoked, expired and orphaned;
                INVALID for the password; CONFLICT `user-exists` for an account in another organization, or
                `organization-limit-reached`.
        """
        if not _TOKEN.fullmatch(token):
            raise _refused()
        # Checked before the slow hash, which strangers must not be able to trigger.
        async with self._store.open_platform(_ACCEPTING, "invitations.find") as tx:
            found, _ = await self._acceptable(tx, token)
        await self._rules.check(password, email=found.email, names=(first_name, last_name))
        password_hash = await self._hasher.hash(password)
        async with self._store.open_platform(_ACCEPTING, "invitations.accept") as tx:
            found, given = await self._acceptable(tx, token)
            await organizations.enter(tx, found.organization_id)
            if found.tenant_id is not None:
                tenant = await tenants.get(tx, found.tenant_id)
                if tenant is None:
                    raise _refused()
                await tenants.enter(tx, tenant)
            user, is_new = await self._user(tx, found, password_hash, first_name, last_name)
            for role in given:
                if not await user_roles.has(tx, user_id=user.user_id, role_id=role.role_id, tenant_id=found.tenant_id):
                    await user_roles.create(
                        tx,
                        organization_id=found.organization_id,
                        workspace_id=found.workspace_id,
                        tenant_id=found.tenant_id,
                        user_id=user.user_id,
                        role=role,
                        expires_at=found.roles_expire_at,
                    )
            await users.verify_email(tx, user.user_id)
            await invitations.accept(tx, found.invitation_id, user_id=user.user_id)
            who = Actor(user.user_id, user.email, "user", actor.ip_address, actor.user_agent, actor.request_id)
            if is_new:
                await audit.created(tx, who, user)
            await audit.record(tx, who, "invitation.accepted", found, after=_summary(found))
        return NewMember(user.user_id, user.email, found.organization_id, found.tenant_id, is_new)

    async def _acceptable(self, tx: Transaction, token: str) -> tuple[Invitation, list[Role]]:
        """The open invitation and its roles, if its sender could still send it today."""
        found = await invitations.lock_open(tx, _hash(token))
        if found is None or await organizations.get(tx, found.organization_id) is None:
            raise _refused()
        if found.roles_expire_at is not None and found.roles_expire_at <= now():
            raise _refused()
        given: list[Role] = []
        for role_id in found.role_ids:
            role = await roles.get(tx, role_id)
            if role is not None and role.deleted_at is None:
                given.append(role)
        if not given or not await _may_still(tx, found, given):
            raise _refused()
        return found, given

    async def _user(
        self, tx: Transaction, invitation: Invitation, password_hash: str, first_name: str, last_name: str
    ) -> tuple[User, bool]:
        login = await users.find_login(tx, invitation.email)
        if login is None:
            await self._quota.require_room(tx, invitation.organization_id, "users")
            made = await users.create(
                tx, email=invitation.email, password_hash=password_hash, first_name=first_name, last_name=last_name
            )
            return made, True
        if login.organization_id != invitation.organization_id:
            raise DuoscopeError(
                ErrorKind.CONFLICT,
                "user-exists",
                "This address has an account in another organization; ask for an invitation to another address.",
            )
        user = await users.get(tx, login.user_id)
        assert user is not None
        return user, False

    def _link(self, token: str) -> str:
        # Browsers do not send the part after the #: no log on the way contains the token.
        return f"{self._public_url}/invitation#{token}"

    async def _send(
        self, tx: Transaction, invitation: Invitation, organization: str, given: list[Role], token: str
    ) -> None:
        names = ", ".join(role.name for role in given)
        text = (
            f"You are invited to work in {organization} on duoscope as {names}.\n\n"
            f"Choose your name and password here:\n\n    {self._link(token)}\n\n"
            f"The link works once, until {invitation.expires_at:%Y-%m-%d %H:%M} UTC. "
            "If you did not expect this, you need not do anything.\n"
        )
        await self._mailer.queue(
            tx,
            organization_id=invitation.organization_id,
            to=invitation.email,
            subject=f"Invitation to {' '.join(organization.split())}",
            text=text,
        )


async def _may_still(tx: Transaction, invitation: Invitation, given: list[Role]) -> bool:
    if invitation.invited_by is None:
        return True
    inviter = await users.get(tx, invitation.invited_by)
    if inviter is None or not inviter.is_active or inviter.is_locked:
        return False
    if inviter.is_platform_admin:
        return True
    held = combined(
        (assigned.permissions, assigned.expires_at)
        for assigned in await user_roles.of_user(tx, inviter.user_id)
        if assigned.tenant_id in {None, invitation.tenant_id}
    )
    return not any(lacking(held, role.permissions, invitation.roles_expire_at) for role in given)


async def _lock_open(tx: Transaction, invitation_id: UUID) -> Invitation:
    found = require_found(await invitations.lock(tx, invitation_id), "invitation")
    if found.status not in {"open", "expired"}:
        raise DuoscopeError(
            ErrorKind.CONFLICT, "invitation-closed", f"This invitation is already {found.status}; create another."
        )
    return found


def _inviter(authority: Authority) -> UserRef | None:
    return UserRef(authority.actor_organization_id, authority.actor.user_id) if authority.actor.user_id else None


def _new_token() -> str:
    return "tfi-" + secrets.token_urlsafe(32)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _refused() -> DuoscopeError:
    return invalid(
        "This invitation is not valid, or no longer; ask for a new one.",
        code="invitation-invalid",
    )


def _summary(invitation: Invitation) -> dict[str, Any]:
    return {
        "email": invitation.email,
        "role_ids": invitation.role_ids,
        "expires_at": invitation.expires_at,
        "roles_expire_at": invitation.roles_expire_at,
    }
