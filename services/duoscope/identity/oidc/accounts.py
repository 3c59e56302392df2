"""Maps a provider's identity to a user of the provider's organization, with the roles that its groups give.

Changes of the organization's users wait for each other meanwhile, so that all see the last admin.
"""

import dataclasses
import secrets
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from duoscope.identity.audit import record as audit
from duoscope.identity.audit.record import About
from duoscope.identity.directory import users as people
from duoscope.identity.directory.organization_limits import DEFAULT_QUOTA, Quota
from duoscope.identity.oidc.provider import Refused
from duoscope.identity.passwords.hashing import SlowHasher
from duoscope.kernel.actor import Actor
from duoscope.kernel.errors import DuoscopeError, ErrorKind
from duoscope.kernel.refs import UserRef
from duoscope.kernel.scope import PlatformScope
from duoscope.metadata import credentials, email_domains, identity_providers, organizations, user_roles, users
from duoscope.metadata.identity_providers import EVERYBODY, GivenRole, GroupRole, IdentityProvider
from duoscope.stores.postgres import MetadataStore, Transaction

_PLATFORM: Final = PlatformScope(reason="whoever logs in through a provider has no scope yet")


@dataclass(frozen=True, slots=True)
class Identity:
    """The provider's statements about the authenticated user."""

    subject: str
    email: str
    email_verified: bool
    first_name: str
    last_name: str
    groups: frozenset[str]


class OidcUsers:
    """Finds, links and creates users."""

    def __init__(self, store: MetadataStore, hasher: SlowHasher, quota: Quota = DEFAULT_QUOTA) -> None:
        self._store = store
        self._hasher = hasher
        self._quota = quota

    async def resolve(self, provider: IdentityProvider, identity: Identity, actor: Actor) -> UUID:
        """The user of the identity, with the roles that its groups give now.

        Raises:
            Refused: the identity may not log in.
        """
        _check_email(provider, identity)
        # Nobody knows this password; the user may set one with a link by mail.
        nobodys = await self._hasher.hash(secrets.token_urlsafe(32))
        try:
            async with self._store.open_platform(_PLATFORM, "oidc.resolve") as tx:
                await organizations.serialise(tx, provider.organization_id)
                wanted = [
                    role
                    for role in await identity_providers.group_roles(tx, provider.identity_provider_id)
                    if role.group_name == EVERYBODY or role.group_name in identity.groups
                ]
                user_id = await identity_providers.user_of_subject(tx, provider, identity.subject)
                if user_id is None:
                    await _require_proof(tx, provider, identity)
                user_id = user_id or await self._link(tx, provider, identity, actor)
                user_id = user_id or await self._make(tx, provider, identity, wanted, actor, nobodys)
                login = await users.find_login_by_id(tx, UserRef(provider.organization_id, user_id))
                if login is None or not login.is_open:
                    raise Refused("the account is closed")
                if login.is_platform_admin:
                    raise Refused("platform admins do not sign in through an organization's provider")
                who = dataclasses.replace(actor, user_id=user_id, email=identity.email)
                await _sync_roles(tx, provider, user_id, wanted, who)
                return user_id
        except DuoscopeError as error:
            if error.code == "user-exists":
                raise Refused("the address belongs to another account") from error
            if error.code == "organization-limit-reached":
                raise Refused("the organization has as many users as it may have") from error
            raise

    async def _link(self, tx: Transaction, provider: IdentityProvider, identity: Identity, actor: Actor) -> UUID | None:
        login = await users.find_login(tx, identity.email)
        if login is None:
            return None
        if login.organization_id != provider.organization_id:
            raise Refused("the address belongs to another account")
        known = await credentials.get_addressee(tx, login.user)
        if known is None or login.is_platform_admin:
            raise Refused("the account is closed, or a platform admin's")
        if not known.email_verified:
            # The maker of the account might not be the reader of the mail.
            raise Refused("the account of this address has not verified it")
        if not await identity_providers.link(tx, provider, identity.subject, login.user_id):
            raise Refused("the account is another subject of the provider already")
        await self._tell(tx, provider, login.user_id, identity, actor, "user-identity.linked")
        return login.user_id

    async def _make(  # noqa: PLR0917 - one step of `resolve`
        self,
        tx: Transaction,
        provider: IdentityProvider,
        identity: Identity,
        wanted: list[GroupRole],
        actor: Actor,
        password_hash: str,
    ) -> UUID:
        if not wanted:
            raise Refused("no group of the account gives a role")
        await self._quota.require_room(tx, provider.organization_id, "users")
        await organizations.enter(tx, provider.organization_id)
        user = await users.create(
            tx,
            email=identity.email,
            password_hash=password_hash,
            first_name=identity.first_name,
            last_name=identity.last_name,
        )
        await credentials.verify_email(tx, user.ref, user.email)
        await identity_providers.link(tx, provider, identity.subject, user.user_id)
        await self._tell(tx, provider, user.user_id, identity, actor, "user.created")
        return user.user_id

    async def _tell(  # noqa: PLR0917 - one step of `resolve`
        self,
        tx: Transaction,
        provider: IdentityProvider,
        user_id: UUID,
        identity: Identity,
        actor: Actor,
        action: str,
    ) -> None:
        await audit.record(
            tx,
            dataclasses.replace(actor, user_id=user_id, email=identity.email),
            action,
            About.user(UserRef(provider.organization_id, user_id)),
            after={
                "email": identity.email,
                "identity_provider_id": provider.identity_provider_id,
                "subject": identity.subject,
            },
        )


async def _sync_roles(
    tx: Transaction, provider: IdentityProvider, user_id: UUID, wanted: list[GroupRole], actor: Actor
) -> None:
    left = {(role.role_id, role.tenant_id): role for role in wanted}
    for given in await identity_providers.given_roles(tx, provider, user_id):
        if left.pop((given.role_id, given.tenant_id), None) is not None:
            continue
        if await _may_be_taken(tx, given, user_id):
            await user_roles.delete(tx, given.user_role_id)
            await _tell_role(tx, provider, actor, "user-role.taken", given)
    for role in left.values():
        given = await identity_providers.give_role(tx, provider, user_id, role)
        if given is not None:
            await _tell_role(tx, provider, actor, "user-role.assigned", given)


async def _may_be_taken(tx: Transaction, given: GivenRole, user_id: UUID) -> bool:
    """Return whether a provider may take the role away: the last admin stays, whatever it says."""
    role = await user_roles.get(tx, user_id=user_id, user_role_id=given.user_role_id)
    if role is None:
        return True
    try:
        await people.require_another_admin(tx, UserRef(role.organization_id, user_id), role)
    except DuoscopeError as error:
        if error.kind is ErrorKind.CONFLICT:
            return False
        raise
    return True


async def _tell_role(tx: Transaction, provider: IdentityProvider, actor: Actor, action: str, given: GivenRole) -> None:
    fields = {
        "user_id": actor.user_id,
        "role_id": given.role_id,
        "tenant_id": given.tenant_id,
        "identity_provider_id": provider.identity_provider_id,
    }
    is_gone = action.endswith("taken")
    await audit.record(
        tx,
        actor,
        action,
        About("user-role", given.user_role_id, organization_id=provider.organization_id),
        before=fields if is_gone else None,
        after=None if is_gone else fields,
    )


async def _require_proof(tx: Transaction, provider: IdentityProvider, identity: Identity) -> None:
    """Require a proven domain before a user is found or created by address: anyone may run a provider that vouches for
    other people's addresses.
    """
    if not await email_domains.is_proven(tx, provider.organization_id, _domain_of(identity)):
        raise Refused("the domain of the e-mail address is not proven to be the organization's")


def _domain_of(identity: Identity) -> str:
    return identity.email.rpartition("@")[2].lower()


def _check_email(provider: IdentityProvider, identity: Identity) -> None:
    if not users.is_email(identity.email):
        raise Refused("the provider names no usable e-mail address")
    if not identity.email_verified:
        raise Refused("the provider has not verified the e-mail address")
    if _domain_of(identity) not in provider.allowed_email_domains:
        raise Refused("the domain of the e-mail address is not among allowed_email_domains")
