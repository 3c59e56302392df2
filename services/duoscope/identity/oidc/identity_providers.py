"""An organization's OpenID providers: created, changed, deleted and restored, each change with its audit entry.

Whoever manages a provider decides who logs in as whom, so they must hold, organization-wide and without an expiry,
every permission that a role can hold. An issuer cannot change: users are identified by its subjects. Client secrets are
sealed and never returned.
"""

import secrets
from dataclasses import replace
from typing import Any
from uuid import UUID

from duoscope.identity.audit import record as audit
from duoscope.identity.authorization.permissions import ROLE_PERMISSIONS, Authority
from duoscope.identity.directory import roles
from duoscope.identity.directory.codes import code_of
from duoscope.identity.directory.organization_limits import DEFAULT_QUOTA, Quota
from duoscope.identity.directory.soft_deletion import require_deleted, require_living
from duoscope.identity.oidc.email_domains import is_domain
from duoscope.kernel.clock import now
from duoscope.kernel.errors import invalid
from duoscope.kernel.ids import new_id
from duoscope.metadata import identity_providers
from duoscope.metadata.identity_providers import GroupRole, IdentityProvider
from duoscope.net.urls import parse_url
from duoscope.secrets.box import Cell, SecretBox
from duoscope.stores.postgres import MetadataStore, Transaction


class IdentityProviders:
    """Manages providers. `allows_http` is for operators who permit providers in their own network."""

    def __init__(
        self, store: MetadataStore, box: SecretBox, *, allows_http: bool, quota: Quota = DEFAULT_QUOTA
    ) -> None:
        self._store = store
        self._box = box
        self._allows_http = allows_http
        self._quota = quota

    async def create(
        self,
        authority: Authority,
        *,
        name: str,
        issuer: str,
        client_id: str,
        client_secret: str,
        scopes: list[str],
        allowed_email_domains: list[str],
        group_claim: str,
        acr_values: list[str],
        group_roles: list[tuple[str, UUID, UUID | None]],
    ) -> tuple[IdentityProvider, list[GroupRole]]:
        """Create a provider.

        Args:
            authority: organization-wide.
            name: for display.
            issuer: exactly as the provider states it.
            client_id: our id at the provider.
            client_secret: our secret at the provider.
            scopes: the scopes to request.
            allowed_email_domains: the domains whose addresses it may vouch for.
            group_claim: the claim of its tokens that names groups.
            acr_values: values to request, each of which means more than one factor.
            group_roles: group, role and tenant (None: organization-wide).

        Raises:
            DuoscopeError: FORBIDDEN `beyond-own-permissions`; INVALID; NOT_FOUND for a role or a tenant.
        """
        authority.require_held(ROLE_PERMISSIONS, None)
        organization_id, identity_provider_id = authority.organization_id, new_id()
        async with self._store.open(authority.scope, "identity_providers.create") as tx:
            await self._quota.require_room(tx, organization_id, "identity_providers")
            cell = Cell("identity_providers", "client_secret_encrypted", (organization_id, identity_provider_id))
            wanted = IdentityProvider(
                organization_id=organization_id,
                identity_provider_id=identity_provider_id,
                slug=f"{code_of(name)[:50].rstrip('-')}-{secrets.token_hex(4)}",
                name=name,
                issuer=self._checked_issuer(issuer),
                client_id=client_id,
                client_secret_encrypted=await self._box.seal(tx, client_secret.encode(), cell),
                scopes=_checked_scopes(scopes),
                allowed_email_domains=_checked_domains(allowed_email_domains),
                group_claim=group_claim,
                acr_values=tuple(dict.fromkeys(acr_values)),
                is_active=True,
                deleted_at=None,
                created_at=now(),
                updated_at=now(),
            )
            made = await identity_providers.create(tx, wanted)
            mapping = await self._set_group_roles(tx, authority, made, group_roles)
            await audit.created(tx, authority.actor, made, **_group_roles(mapping))
        return made, mapping

    async def change(
        self, authority: Authority, identity_provider_id: UUID, changes: dict[str, Any]
    ) -> tuple[IdentityProvider, list[GroupRole]]:
        """Change the given fields; `client_secret` and `group_roles` as in `create`. Raises as `create` does, and
        NOT_FOUND.
        """
        authority.require_held(ROLE_PERMISSIONS, None)
        client_secret: str | None = changes.pop("client_secret", None)
        group_roles: list[tuple[str, UUID, UUID | None]] | None = changes.pop("group_roles", None)
        if "scopes" in changes:
            changes["scopes"] = _checked_scopes(changes["scopes"])
        if "acr_values" in changes:
            changes["acr_values"] = tuple(dict.fromkeys(changes["acr_values"]))
        if "allowed_email_domains" in changes:
            changes["allowed_email_domains"] = _checked_domains(changes["allowed_email_domains"])
        async with self._store.open(authority.scope, "identity_providers.change") as tx:
            before = require_living(await identity_providers.lock(tx, identity_provider_id), "identity provider")
            if client_secret is not None:
                cell = Cell("identity_providers", "client_secret_encrypted", _key(before))
                changes["client_secret_encrypted"] = await self._box.seal(tx, client_secret.encode(), cell)
            old_mapping = await identity_providers.group_roles(tx, identity_provider_id)
            after = await identity_providers.save(tx, replace(before, **changes))
            mapping = old_mapping
            if group_roles is not None:
                mapping = await self._set_group_roles(tx, authority, after, group_roles)
            more = (_group_roles(old_mapping), _group_roles(mapping)) if mapping != old_mapping else ()
            await audit.changed(tx, authority.actor, before, after, *more)
        return after, mapping

    async def delete(self, authority: Authority, identity_provider_id: UUID) -> None:
        """Delete a provider: nobody logs in through it any more; roles it gave stay until it is purged. Raises
        NOT_FOUND.
        """
        async with self._store.open(authority.scope, "identity_providers.delete") as tx:
            found = require_living(await identity_providers.lock(tx, identity_provider_id), "identity provider")
            await identity_providers.save(tx, replace(found, deleted_at=now()))
            await audit.deleted(tx, authority.actor, found)

    async def restore(
        self, authority: Authority, identity_provider_id: UUID
    ) -> tuple[IdentityProvider, list[GroupRole]]:
        """Restore a provider. Raises NOT_FOUND if it is not deleted; FORBIDDEN `beyond-own-permissions`."""
        authority.require_held(ROLE_PERMISSIONS, None)
        async with self._store.open(authority.scope, "identity_providers.restore") as tx:
            found = require_deleted(await identity_providers.lock(tx, identity_provider_id), "identity provider")
            await self._quota.require_room(tx, authority.organization_id, "identity_providers", restores=True)
            restored = await identity_providers.save(tx, replace(found, deleted_at=None))
            mapping = await identity_providers.group_roles(tx, identity_provider_id)
            await audit.restored(tx, authority.actor, restored)
        return restored, mapping

    async def _set_group_roles(
        self,
        tx: Transaction,
        authority: Authority,
        provider: IdentityProvider,
        wanted: list[tuple[str, UUID, UUID | None]],
    ) -> list[GroupRole]:
        mapping: list[GroupRole] = []
        for group, role_id, tenant_id in wanted:
            role = await roles.assignable(tx, authority, role_id, tenant_id=tenant_id, until=None)
            workspace_id = await roles.workspace_of(tx, tenant_id)
            mapping.append(GroupRole(group, role_id, role.owner_id, workspace_id, tenant_id))
        await identity_providers.set_group_roles(tx, provider, mapping)
        return await identity_providers.group_roles(tx, provider.identity_provider_id)

    def _checked_issuer(self, issuer: str) -> str:
        try:
            url = parse_url(issuer, ("https", "http") if self._allows_http else ("https",))
        except ValueError as error:
            raise invalid(
                f"issuer must be an https URL, as the provider's discovery document names it: {error}."
            ) from error
        if url.query or url.has_fragment:
            raise invalid("issuer must be an https URL without a query, as the provider's discovery document names it.")
        return issuer


def _key(provider: IdentityProvider) -> tuple[UUID, UUID]:
    return provider.organization_id, provider.identity_provider_id


def _checked_scopes(scopes: list[str]) -> tuple[str, ...]:
    if "openid" not in scopes:
        raise invalid("scopes must name openid.")
    return tuple(dict.fromkeys(scopes))


def _checked_domains(domains: list[str]) -> tuple[str, ...]:
    lowered = tuple(dict.fromkeys(domain.lower() for domain in domains))
    for domain in lowered:
        if not is_domain(domain):
            raise invalid(f"allowed_email_domains: {domain[:100]!r} is no domain such as example.com.")
    if not lowered:
        raise invalid("allowed_email_domains must name at least one domain.")
    return lowered


def _group_roles(mapping: list[GroupRole]) -> dict[str, Any]:
    return {
        "group_roles": [
            {"group": each.group_name, "role_id": each.role_id, "tenant_id": each.tenant_id} for each in mapping
        ]
    }
